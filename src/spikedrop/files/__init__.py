"""What strangers hand in: model files, arrays and tables; every check before memory is taken.

CONTRIBUTING.md lists the threats and what guards against each.
"""

from spikedrop.files.models import load_keras, read_model
from spikedrop.files.rows import read_column, read_rows, read_table
from spikedrop.files.writing import check_output, written

__all__ = [
    "check_output",
    "load_keras",
    "read_column",
    "read_model",
    "read_rows",
    "read_table",
    "written",
]
