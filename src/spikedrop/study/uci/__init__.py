"""UCI regression by the published protocol: permanent dropout and its spiking twin, scored.

>>> from spikedrop.study import uci
>>> for name, folder in uci.find_sets("folder/of/sets").items():  # doctest: +SKIP
...     rows = uci.run_set(uci.read_set(name, folder), uci.Protocol(), work="_build/uci")
...     print(uci.format_table(rows))
"""

from spikedrop.study.uci.protocol import Protocol, fit_rows, fit_split, run_split
from spikedrop.study.uci.published import (
    PUBLISHED,
    SOURCES,
    format_table,
    published_name,
    table_cells,
)
from spikedrop.study.uci.reading import RegressionSet, find_sets, read_set
from spikedrop.study.uci.run import Recorded, read_recorded, run_set, split_results

__all__ = [
    "PUBLISHED",
    "SOURCES",
    "Protocol",
    "Recorded",
    "RegressionSet",
    "find_sets",
    "fit_rows",
    "fit_split",
    "format_table",
    "published_name",
    "read_recorded",
    "read_set",
    "run_set",
    "run_split",
    "split_results",
    "table_cells",
]
