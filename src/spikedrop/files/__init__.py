"""Untrusted files: model files, arrays and tables; every check before memory is taken.

CONTRIBUTING.md lists the threats and what guards against each.
"""

from spikedrop.files.models import load_keras, read_model
from spikedrop.files.named import Columns, read_columns, save_named
from spikedrop.files.rows import read_column, read_rows, read_table
from spikedrop.files.tables import Table, open_columns
from spikedrop.files.writing import check_output, written

__all__ = [
    "Columns",
    "Table",
    "check_output",
    "load_keras",
    "open_columns",
    "read_column",
    "read_columns",
    "read_model",
    "read_rows",
    "read_table",
    "save_named",
    "written",
]
