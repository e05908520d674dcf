"""Read rows of numbers from `.npy`, `.csv` and `.parquet` files from anywhere."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spikedrop.errors import InputError
from spikedrop.files.checks import enough_memory, regular_file

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".npy", ".csv", ".parquet")
BLOCK_BYTES = 1 << 24  # looked through at a time
BATCH_ROWS = 65_536


def read_rows(path: str | Path, *, without: str | None = None) -> np.ndarray:
    """Read the inputs of a network: one row an observation.

    A `.npy` file stays on disk and is read piece by piece (`numpy.memmap`); tables are read into
    memory as float32.

    Parameters
    ----------
    path : path
        A `.npy` array, axes ``(observation, *shape of the input)``, or a `.csv` (with a line of
        names) or `.parquet` table of numeric columns, one an input.
    without : str, optional
        Column of a table that is no input, such as the target.

    Returns
    -------
    numpy.ndarray
        At least one row, all values finite.

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
    names, values = _read_columns(path, needed=() if without is None else (without,))
    kept = [i for i, name in enumerate(names) if name != without]
    return values if len(kept) == len(names) else np.ascontiguousarray(values[:, kept])


def read_table(path: str | Path, target: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Read a table to learn from: every column but `target` is an input.

    Returns inputs (row, input) and targets (row,), float32, and the names of the inputs. Raises
    `InputError` as `read_rows`, and if there is no such column or no other.
    """
    path = Path(path)
    regular_file(path, SUFFIXES[1:], "a table")
    names, values = _read_columns(path, needed=(target,))
    if len(names) < 2:
        raise InputError(f"{path}: has no column but {target!r}; there is nothing to learn from.")
    column = names.index(target)
    x = np.ascontiguousarray(np.delete(values, column, axis=1))
    return x, values[:, column].copy(), [name for name in names if name != target]


def read_column(path: str | Path, target: str | None = None) -> np.ndarray:
    """Read one number an observation: a `.npy` array of one axis, or a column of a table.

    Axis (row,), float32. Without `target` the table must have one column alone. Raises `InputError`
    as `read_rows`.
    """
    path = Path(path)
    regular_file(path, SUFFIXES, "a column of numbers")
    if path.suffix.lower() == ".npy":
        array = _read_npy(path)
        if array.ndim != 1 and array.shape[1:] != (1,):
            raise InputError(f"{path}: has shape {array.shape}; expected one number a row.")
        return np.asarray(array, np.float32).reshape(-1)
    names, values = _read_columns(path, needed=() if target is None else (target,))
    if target is None and len(names) > 1:
        raise InputError(f"{path}: has columns {_few(names)}; name one of them with --target.")
    return values[:, 0 if target is None else names.index(target)].copy()


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
        raise InputError(f"{path}: is no sound .npy array ({_line(error)}).") from error
    if array.dtype.kind not in "fiu":
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


def _read_columns(path: Path, needed: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Return the names and values (row, column), float32, of a table."""
    read = _read_csv if path.suffix.lower() == ".csv" else _read_parquet
    names, values = read(path, needed)
    if len(values) == 0:
        raise InputError(f"{path}: the table has no rows.")
    return names, values


def _read_csv(path: Path, needed: Sequence[str]) -> tuple[list[str], np.ndarray]:
    import pandas as pd

    from spikedrop.data import _files

    enough_memory(path, 4 * path.stat().st_size)  # "1," becomes a number of 8 bytes
    with _files.open_table(path) as stream:
        names = _files.header(path, stream, needed)
        if all(_is_number(name) for name in names):
            raise InputError(f"{path}, line 1: holds numbers; put the names of the columns there.")
        with _files.reading(path), warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            try:
                frame = pd.read_csv(
                    stream, names=names, header=None, index_col=False, low_memory=False
                )
            except pd.errors.EmptyDataError:
                frame = pd.DataFrame(columns=names)
    if frame.empty:
        return names, np.empty((0, len(names)), np.float32)
    columns = [_numbers(path, name, frame[name]) for name in names]
    with np.errstate(over="ignore"):
        values = np.stack(columns, axis=1).astype(np.float32)
    _check_finite(path, values, 0, names, 2)
    return names, values


def _numbers(path: Path, name: str, column: pd.Series) -> np.ndarray:
    """Return a column as float64, or say which line holds a word."""
    import pandas as pd

    if column.dtype.kind in "fiub":
        return column.to_numpy(np.float64)
    found = pd.to_numeric(column, errors="coerce")
    row = int(np.argmax((found.isna() & column.notna()).to_numpy()))
    raise InputError(
        f"{path}, line {row + 2}, column {name!r}: {str(column.iloc[row])[:40]!r} is no number; "
        "turn categories into columns of 0 and 1."
    )


def _read_parquet(path: Path, needed: Sequence[str]) -> tuple[list[str], np.ndarray]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema, about = file.schema_arrow, file.metadata
            names = schema.names
            _check_names(path, names, needed)
            for field in schema:
                kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
                if not any(kind(field.type) for kind in kinds):
                    raise InputError(
                        f"{path}, column {field.name!r}: has type {field.type}; expected numbers: "
                        "turn categories into columns of 0 and 1."
                    )
            largest = max((about.row_group(i).total_byte_size for i in range(about.num_row_groups)),
                          default=0)  # fmt: skip
            enough_memory(path, max(4 * about.num_rows * len(names), largest))
            return names, _fill(path, names, about.num_rows, file.iter_batches(BATCH_ROWS))
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is no sound Parquet file ({_line(error)}).") from error


def _fill(path: Path, names: list[str], rows: int, batches: Iterator) -> np.ndarray:
    """Fill an array of the promised size from batches of columns."""
    values, done = np.empty((rows, len(names)), np.float32), 0
    for batch in batches:
        block = values[done : done + batch.num_rows]
        if len(block) < batch.num_rows:
            break
        for i, column in enumerate(batch.columns):
            with np.errstate(over="ignore"):
                block[:, i] = column.cast("float64", safe=False).to_numpy(zero_copy_only=False)
        _check_finite(path, block, done, names)
        done += batch.num_rows
    if done != rows:
        raise InputError(f"{path}: promises {rows:,} rows, and holds others; write it again.")
    return values


def _check_names(path: Path, names: Sequence[str], needed: Sequence[str]) -> None:
    """Refuse doubled names, and missing ones."""
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled or not names:
        raise InputError(f"{path}: column {_few(doubled)} stands there twice; keep one." if doubled
                         else f"{path}: the table has no columns.")  # fmt: skip
    missing = [name for name in needed if name not in names]
    if missing:
        raise InputError(f"{path}: has no column {missing[0]!r}; there are {_few(names)}.")


def _check_finite(
    path: Path,
    block: np.ndarray,
    first: int,
    names: Sequence[str] | None = None,
    line: int | None = None,
) -> None:
    """Refuse NaN and infinite values (in float32); `first` is the number of the block's row 0."""
    if block.dtype.kind != "f":
        return
    with np.errstate(over="ignore"):
        finite = np.isfinite(block.astype(np.float32, copy=False))
    if finite.all():
        return
    row, column = (int(i) for i in np.argwhere(~finite)[0])
    where = f"line {row + line}" if line is not None else f"row {first + row}"
    raise InputError(
        f"{path}, {where}, column {repr(names[column]) if names else column}: is missing, NaN or "
        "infinite; fill or drop such rows first."
    )


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _few(names: Iterable[str]) -> str:
    names = [repr(str(name)[:40]) for name in names]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
