"""Untrusted files: arrays and tables, every check before memory is taken; files written whole.

CONTRIBUTING.md lists the threats and what guards against each. Model files are read by
`spikedrop.network`.
"""

from spikedrop.files.rows import read_column, read_rows, read_table
from spikedrop.files.tables import Table, open_columns
from spikedrop.files.writing import check_output, written

__all__ = [
    "Table",
    "check_output",
    "open_columns",
    "read_column",
    "read_rows",
    "read_table",
    "written",
]
