"""Read rows of numbers from `.npy`, `.csv` and `.parquet` files from anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikedrop.checks.columns import few
from spikedrop.errors import InputError
from spikedrop.files.cells import too_large
from spikedrop.files.checks import regular_file
from spikedrop.files.tables import SUFFIXES as TABLES
from spikedrop.files.tables import one_line, open_columns

__all__ = ["read_column", "read_rows", "read_table"]

SUFFIXES = (".npy", *TABLES)
BLOCK_BYTES = 1 << 24  # looked through at a time


def read_rows(path: str | Path, *, without: str | None = None) -> np.ndarray:
    """Read the inputs of a network: one row per observation.

    A `.npy` file stays on disk and is read piece by piece (`numpy.memmap`); tables are read into
    memory as float64.

    Parameters
    ----------
    path : path
        A `.npy` array, axes ``(observation, *shape of the input)``, or a `.csv` (with a line of
        names) or `.parquet` table of numeric columns, one per input. Columns that number the rows
        (the index that pandas writes) are left out, and an `InputWarning` says so.
    without : str, optional
        Column of a table that is not an input, such as the target.

    Returns
    -------
    numpy.ndarray
        At least one row, all values finite in float32.

    Raises
    ------
    InputError
        If the file is missing, damaged or larger than this machine, claims more than it holds, or
        holds anything but finite numbers.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "x.csv")
    ...     _ = file.write_text("a,b,y\\n1,2,3\\n4,5,6\\n")
    ...     read_rows(file, without="y").tolist()
    [[1.0, 2.0], [4.0, 5.0]]
    """
    path = Path(path)
    regular_file(path, SUFFIXES, "rows of numbers")
    if path.suffix.lower() == ".npy":
        if without is not None:
            raise InputError(f"{path}: an array has no column {without!r}; leave it out.")
        array = _read_npy(path)
        if array.ndim < 2:
            raise InputError(
                f"{path}: has shape {array.shape}; expected (observations, inputs), a row each."
            )
        return array
    table = open_columns(path, () if without is None else (without,))
    names = [name for name in table.names if name != without]
    if not names:
        raise InputError(f"{path}: has no column but {without!r}, so that there are no inputs.")
    return table.read(names)


def read_table(path: str | Path, target: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Read a table to learn from: every column but `target` is an input.

    Parameters
    ----------
    path : path
        Of a `.csv` or `.parquet` file.
    target : str
        Column to learn.

    Returns
    -------
    inputs : numpy.ndarray
        Axes (row, input), float64.
    targets : numpy.ndarray
        Axis (row,), float64.
    names : list of str
        Of the inputs, in their order.

    Raises
    ------
    InputError
        As `read_rows`, and if there is no such column, or it is the only one.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "x.csv")
    ...     _ = file.write_text("a,b,y\\n1,2,3\\n4,5,6\\n")
    ...     x, y, names = read_table(file, "y")
    >>> x.tolist(), y.tolist(), list(names)
    ([[1.0, 2.0], [4.0, 5.0]], [3.0, 6.0], ['a', 'b'])
    """
    path = Path(path)
    regular_file(path, TABLES, "a table")
    table = open_columns(path, (target,))
    names = [name for name in table.names if name != target]
    if not names:
        raise InputError(f"{path}: has no column but {target!r}; there is nothing to learn from.")
    values = table.read([*names, target])
    return np.ascontiguousarray(values[:, :-1]), values[:, -1].copy(), names


def read_column(path: str | Path, target: str | None = None) -> np.ndarray:
    """Read one number per observation: a `.npy` array of one axis, or a column of a table.

    Parameters
    ----------
    path : path
        A `.npy` array, axes (row[, 1]), or a `.csv` or `.parquet` table.
    target : str, optional
        Column of the table, which by default must have only one.

    Returns
    -------
    numpy.ndarray
        Axis (row,), float64 (float32 of an array in float32), all finite in float32.

    Raises
    ------
    InputError
        As `read_rows`, and if an array has more than one column, or a table none of that name.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "x.csv")
    ...     _ = file.write_text("a,y\\n1,3\\n4,6\\n")
    ...     read_column(file, "y").tolist()
    [3.0, 6.0]
    """
    path = Path(path)
    regular_file(path, SUFFIXES, "a column of numbers")
    if path.suffix.lower() == ".npy":
        array = _read_npy(path)
        if array.ndim != 1 and array.shape[1:] != (1,):
            raise InputError(f"{path}: has shape {array.shape}; expected one number per row.")
        kind = array.dtype if array.dtype == np.float32 else np.float64
        return np.asarray(array, kind).reshape(-1)
    table = open_columns(path, () if target is None else (target,))
    if target is None and len(table.names) > 1:
        raise InputError(f"{path}: has columns {few(table.names)}; name one of them with --target.")
    return table.read([table.names[0] if target is None else target])[:, 0]


def _read_npy(path: Path) -> np.ndarray:
    """Open an array without reading it, then look through its values block by block."""
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, OSError, EOFError, TypeError, OverflowError, SyntaxError) as error:
        if "Python objects" in str(error):
            raise InputError(
                f"{path}: holds pickled Python objects, which are not loaded, because they can "
                "carry code; save an array of numbers."
            ) from error
        raise InputError(f"{path}: is not a sound .npy array ({one_line(error)}).") from error
    if array.dtype.kind not in "fiub":
        raise InputError(f"{path}: has type {array.dtype}; expected real numbers.")
    if array.offset + array.nbytes != path.stat().st_size:
        raise InputError(
            f"{path}: its header claims shape {array.shape}, and the file has another size; save "
            "it again."
        )
    if array.ndim == 0 or array.size == 0:
        raise InputError(f"{path}: has shape {array.shape}; expected at least one row.")
    step = max(1, BLOCK_BYTES // max(1, array.nbytes // len(array)))
    for start in range(0, len(array), step):
        block = array[start : start + step].reshape(min(step, len(array) - start), -1)
        _check_finite(path, block, start)
    return array


def _check_finite(path: Path, block: np.ndarray, first: int) -> None:
    """Refuse NaN and infinite values (in float32); `first` is the number of the block's row 0."""
    if block.dtype.kind != "f":
        return
    with np.errstate(over="ignore"):
        finite = np.isfinite(block.astype(np.float32, copy=False))
    if finite.all():
        return
    row, column = (int(i) for i in np.argwhere(~finite)[0])
    value = float(block[row, column])
    raise InputError(f"{path}, row {first + row}, column {column}: {value:g} {too_large(value)}.")
