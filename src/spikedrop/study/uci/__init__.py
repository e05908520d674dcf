"""UCI regression by the published protocol: permanent dropout and its spiking twin, scored.

>>> from spikedrop.study import uci
>>> for name, folder in uci.find_sets("folder/of/sets").items():  # doctest: +SKIP
...     rows = uci.run_set(uci.read_set(name, folder), uci.Protocol(), work="_build/uci")
...     print(uci.format_table(rows))
"""

from spikedrop.study.uci.protocol import Protocol, fit_rows, fit_split, run_split
from spikedrop.study.uci.published import PUBLISHED, SOURCES, published_name
from spikedrop.study.uci.reading import RegressionSet, find_sets, read_set
from spikedrop.study.uci.recorded import Recorded, read_recorded
from spikedrop.study.uci.run import run_set, split_results
from spikedrop.study.uci.table import format_table, table_cells

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
