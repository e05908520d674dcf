"""Tables of numbers with named columns: `.csv` and `.parquet`."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spikedrop.checks.columns import check_integers, few
from spikedrop.errors import InputError, InputWarning
from spikedrop.files import csvs
from spikedrop.files.cells import TRUTH, find_fault, too_large
from spikedrop.files.checks import enough_memory, regular_file

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["Table", "open_columns"]

SUFFIXES = (".csv", ".parquet")
BATCH_ROWS = 65_536
_ROW_NUMBERS = re.compile(r"(Unnamed: 0(\.\d+)?|__index_level_\d+__)", re.ASCII)


@dataclass(frozen=True, eq=False)
class Table:
    """A table whose names are known and whose values are read when they are asked for.

    Attributes
    ----------
    path : Path
    names : tuple of str
        Columns in their order, without row numbers.
    row_numbers : tuple of str
        Columns that number the rows: the index that pandas wrote.
    read : callable
        ``read(names)`` gives the values of columns, axes (row, column), float64, all finite in
        float32. Raises `InputError`, with the line (or row) and the column.
    """

    path: Path
    names: tuple[str, ...]
    row_numbers: tuple[str, ...]
    read: Callable[[Sequence[str]], np.ndarray]


def open_columns(path: Path, needed: Sequence[str] = (), keep: Sequence[str] = ()) -> Table:
    """Open a table; columns of row numbers are left out, and an `InputWarning` says so.

    Parameters
    ----------
    path : Path
        Of a `.csv` or `.parquet` file.
    needed : sequence of str, default ()
        Columns that must be there; they are never taken for row numbers.
    keep : sequence of str, default ()
        Columns that are not taken for row numbers either.

    Returns
    -------
    Table
        The names of the columns, and a function that reads their values.

    Raises
    ------
    InputError
        If the file is missing, damaged or larger than this machine, its names cannot be used, or
        one of `needed` is not among them.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "x.csv")
    ...     _ = file.write_text("a,b\\n1,2\\n3,4\\n")
    ...     table = open_columns(file, needed=["b"])
    ...     table.names, table.read(["b"]).tolist()
    (('a', 'b'), [[2.0], [4.0]])
    """
    regular_file(path, SUFFIXES, "a table")
    table = (_open_csv if path.suffix.lower() == ".csv" else _open_parquet)(
        path, needed, {*needed, *keep}
    )
    if table.row_numbers:
        warnings.warn(
            f"{path}: column {few(table.row_numbers)} numbers the rows and is not an input; it is "
            "left out",
            InputWarning,
            stacklevel=3,
        )
    if not table.names:
        raise InputError(f"{path}: the table has no columns.")
    return table


def _split(
    names: Sequence[str], index: Sequence[str], keep: set[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of columns, and those of row numbers."""
    numbers = tuple(name for name in names if name in index and name not in keep)
    return tuple(name for name in names if name not in numbers), numbers


def _open_csv(path: Path, needed: Sequence[str], keep: set[str]) -> Table:
    import pandas as pd

    enough_memory(path, 4 * path.stat().st_size)  # "1," becomes a number of 8 bytes
    frame = csvs.frame(path, needed, {})
    names = [*frame]
    if pd.to_numeric(pd.Series(names), errors="coerce").notna().all():
        raise InputError(f"{path}, line 1: holds numbers; put the names of the columns there.")
    blank = [i + 1 for i, name in enumerate(names) if not name and i > 0]
    if blank:
        raise find_fault(path, ()) or InputError(
            f"{path}, line 1: column {csvs.few(blank)} has no name. Name it, or look for a comma "
            "at the end of each line, or a title above the names."
        )
    index = [name for name in names if not name or _ROW_NUMBERS.fullmatch(name)]
    if frame.empty:
        raise InputError(f"{path}: the table has no rows.")

    def read(wanted: Sequence[str]) -> np.ndarray:
        columns = [_float64(frame[name]) for name in wanted]
        values = np.stack(columns, axis=1)
        finite = _finite(values)
        if not finite.all():
            row, i = (int(place) for place in np.argwhere(~finite)[0])
            raise find_fault(path, wanted) or InputError(
                f"{path}, line {csvs.line_of(path, row)}, column {wanted[i]!r}: "
                f"{frame[wanted[i]].iloc[row]!r} is not a finite number."
            )
        for name in wanted:
            if frame[name].dtype.kind in "iu":
                check_integers(frame[name].to_numpy(), f"{path}, column {name!r}")
        return values

    return Table(path, *_split(names, index, keep), read=read)


def _float64(column: pd.Series) -> np.ndarray:
    """Return a column as float64, NaN where it holds something else."""
    import pandas as pd

    if column.dtype.kind in "fiub":
        return column.to_numpy(np.float64)
    words = column.astype(str).str.strip()
    values = pd.to_numeric(words, errors="coerce").to_numpy(np.float64, copy=True)
    lower = words.str.lower()
    for word, value in TRUTH.items():
        values[(lower == word).to_numpy()] = value
    return values


def _finite(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.isfinite(values.astype(np.float32))


def _open_parquet(path: Path, needed: Sequence[str], keep: set[str]) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema, about = file.schema_arrow, file.metadata
            names = schema.names
            _check_names(path, names, needed)
            index = [name for name in names if _ROW_NUMBERS.fullmatch(name)]
            written = schema.pandas_metadata or {}
            index += [name for name in written.get("index_columns", ()) if isinstance(name, str)]
            largest = max((about.row_group(i).total_byte_size for i in range(about.num_row_groups)),
                          default=0)  # fmt: skip
            enough_memory(path, max(8 * about.num_rows * len(names), largest))
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        raise _unsound(path, error) from error
    if about.num_rows == 0:
        raise InputError(f"{path}: the table has no rows.")

    def read(wanted: Sequence[str]) -> np.ndarray:
        for name in wanted:
            _check_type(path, schema.field(name))
        try:
            with pq.ParquetFile(path) as file:
                return _fill(path, list(wanted), about.num_rows, file)
        except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
            raise _unsound(path, error) from error

    return Table(path, *_split(names, index, keep), read=read)


def _unsound(path: Path, error: BaseException) -> InputError:
    if isinstance(error, InputError):
        return error
    return InputError(f"{path}: is not a sound Parquet file ({one_line(error)}).")


def _check_type(path: Path, field: pa.Field) -> None:
    """Refuse columns that do not hold numbers."""
    import pyarrow as pa

    kind = pa.types
    numbers = (kind.is_integer, kind.is_floating, kind.is_boolean, kind.is_decimal, kind.is_null)
    if any(is_kind(field.type) for is_kind in numbers):
        return
    remedy = "turn categories into columns of 0 and 1"
    if kind.is_temporal(field.type):
        remedy = "turn dates and times into numbers, such as days since a first day"
    raise InputError(
        f"{path}, column {field.name!r}: has type {field.type}; expected numbers: {remedy}, or "
        "leave the column out."
    )


def _fill(path: Path, names: list[str], rows: int, file: pq.ParquetFile) -> np.ndarray:
    """Fill an array of the promised size from batches of columns."""
    values, done = np.empty((rows, len(names)), np.float64), 0
    whole: dict[str, list[np.ndarray]] = {}
    for batch in file.iter_batches(BATCH_ROWS):
        block = values[done : done + batch.num_rows]
        if len(block) < batch.num_rows:
            break
        for i, name in enumerate(names):
            column = batch.column(batch.schema.get_field_index(name))
            block[:, i] = column.cast("float64", safe=False).to_numpy(zero_copy_only=False)
            if str(column.type) in ("int64", "uint64") and not column.null_count:
                ends = column.to_numpy(zero_copy_only=False)
                whole.setdefault(name, []).append(np.array([ends.min(), ends.max()]))
        finite = _finite(block)
        if not finite.all():
            row, i = (int(place) for place in np.argwhere(~finite)[0])
            column = batch.column(batch.schema.get_field_index(names[i]))
            value = column[row].as_py()
            shown, why = "", "is missing; fill it in, or drop such rows"
            if value is not None:
                shown, why = f"{value} ", too_large(np.float64(value))
            raise InputError(f"{path}, row {done + row}, column {names[i]!r}: {shown}{why}.")
        done += batch.num_rows
    if done != rows:
        raise InputError(f"{path}: promises {rows:,} rows, and holds others; write it again.")
    for name, ends in whole.items():
        check_integers(np.concatenate(ends), f"{path}, column {name!r}")
    return values


def _check_names(path: Path, names: Sequence[str], needed: Sequence[str]) -> None:
    """Refuse doubled names, and missing ones."""
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled or not names:
        raise InputError(f"{path}: column {few(doubled)} occurs twice; keep one." if doubled
                         else f"{path}: the table has no columns.")  # fmt: skip
    missing = [name for name in needed if name not in names]
    if missing:
        raise InputError(f"{path}: has no column {missing[0]!r}; there are {few(names)}.")


def one_line(error: BaseException) -> str:
    """Return one short line of an error of a library."""
    return " ".join(str(error).split())[:200] or type(error).__name__
