"""Columns of inputs: their names, their order, and whether float32 can hold what they hold.

A network computes in float32 and knows its inputs by their order. Both lose what a table says in
silence, unless it is looked at first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from spikedrop.errors import InputError

STEPS_PER_SD = 100  # of float32, at least, in the sd of a column to learn from
ROUNDING = 8 * np.finfo(np.float64).eps  # relative; what varies less is constant


def names_of(x: object) -> tuple[str, ...] | None:
    """Return the names of a table's columns, or None where `x` has none.

    As in scikit-learn, columns have names if all of them are strings.

    Examples
    --------
    >>> import pandas as pd
    >>> names_of(pd.DataFrame({"a": [1.0], "b": [2.0]})), names_of(np.ones((1, 2)))
    (('a', 'b'), None)
    """
    if not (hasattr(x, "columns") and hasattr(x, "to_numpy")):
        return None
    names = tuple(x.columns)
    return names if names and all(isinstance(name, str) for name in names) else None


def order_of(names: Sequence[str], wanted: Sequence[str], table: str, model: str) -> list[int]:
    """Return the positions in `names` of the inputs `wanted`, in the order of the model.

    `table` and `model` are what a message calls the two.

    Raises
    ------
    InputError
        If an input is missing, or a column is not an input.

    Examples
    --------
    >>> order_of(["c", "a"], ["a", "c"], "x.csv", "m.keras")
    [1, 0]
    >>> order_of(["c", "b"], ["a", "c"], "x.csv", "m.keras")
    Traceback (most recent call last):
    spikedrop.errors.InputError: x.csv: column 'a' is missing, an input of m.keras; the table has...
    """
    missing = [name for name in wanted if name not in names]
    if missing:
        raise InputError(
            f"{table}: column {few(missing)} is missing, an input of {model}; the table has "
            f"{few(names)}."
        )
    extra = [name for name in names if name not in wanted]
    if extra:
        raise InputError(
            f"{table}: column {few(extra)} is not an input of {model}, which takes "
            f"{few(wanted)}; drop the column from the table."
        )
    doubled = {name for name in names if list(names).count(name) > 1}
    if doubled:
        raise InputError(f"{table}: column {few(sorted(doubled))} occurs twice; keep one.")
    return [list(names).index(name) for name in wanted]


def frame_values(x: object, wanted: Sequence[str], table: str, model: str) -> object:
    """Return the values of a table in the order of a model; what is not a table, as it is.

    Where the model or the table has no names, the order of the table is taken as it is.
    """
    if hasattr(x, "to_pandas") and (hasattr(x, "column_names") or hasattr(x, "columns")):
        x = x.to_pandas()  # a table of Arrow or Polars
    if not (hasattr(x, "columns") and hasattr(x, "to_numpy")):
        return x
    names = names_of(x)
    if wanted and names is not None:
        x = x.iloc[:, order_of(names, wanted, table, model)]
    return numbers_of(x, table)


def numbers_of(x: object, table: str) -> np.ndarray:
    """Return the values of a DataFrame, axes (row, column), float64 where types differ."""
    for name, dtype in x.dtypes.items():
        if getattr(dtype, "kind", "O") not in "fiub":
            raise InputError(
                f"{table}, column {name!r}: has type {dtype}; expected numbers. Turn categories "
                "into columns of 0 and 1, and dates into numbers."
            )
    check_whole(x, table)
    kind = x.dtypes.iloc[0] if x.dtypes.nunique() == 1 else None
    if isinstance(kind, np.dtype) and kind.kind in "fiu":
        return x.to_numpy()
    return x.to_numpy(np.float64, na_value=np.nan)


def check_whole(x: object, table: str) -> None:
    """`check_integers` of every column of a table or an array; what is neither passes."""
    if hasattr(x, "columns") and hasattr(x, "iloc"):
        for i, name in enumerate(x.columns):
            check_integers(x.iloc[:, i].to_numpy(), f"{table}, column {name!r}")
        return
    x = x.to_numpy() if hasattr(x, "to_numpy") else x
    if isinstance(x, np.ndarray) and x.dtype.kind in "iu" and x.size:
        for i, values in enumerate(x.reshape(len(x), -1).T):
            check_integers(values, _place(table, None, i))


def check_integers(values: np.ndarray, where: str) -> None:
    """Refuse whole numbers whose differences float64 loses, such as ``2**60 + i``."""
    if values.dtype.kind not in "iu" or values.dtype.itemsize < 8 or not values.size:
        return
    low, high = int(values.min()), int(values.max())
    largest = max(abs(low), abs(high))
    if largest > 2**53 and low < high and np.spacing(float(largest)) * STEPS_PER_SD > high - low:
        raise InputError(
            f"{where}: holds whole numbers from {low} to {high}, whose differences are lost in "
            "floating point; subtract a constant from the column, or leave it out if it only "
            "identifies rows."
        )


def check_spread(
    x: np.ndarray, names: Sequence[str] | None, table: str, *, steps: float = STEPS_PER_SD
) -> None:
    """Refuse columns that vary by less than `steps` of float32 at their size.

    `x` has axes (row, column), or (row,) for one column; finite. A column that is constant up to
    the rounding of float64 passes.

    Raises
    ------
    InputError
        With the column, its size, its sd and the step of float32 there.

    Examples
    --------
    >>> check_spread(np.array([[1e8, 1.0], [1e8 + 1, 2.0]]), ["t", "u"], "x.csv")
    Traceback (most recent call last):
    spikedrop.errors.InputError: x.csv, column 't': its values, near 1e+08, have an sd of 0.5...
    """
    x = np.asarray(x)
    if x.dtype.kind in "iu" and x.dtype.itemsize == 8:
        columns = x.T if x.ndim == 2 else x[None]
        for i, column in enumerate(columns):
            check_integers(column, _place(table, names, i))
    if x.dtype.kind not in "fiu" or x.dtype.itemsize < 4 or x.dtype == np.float32 or not x.size:
        return  # float32 already, or what float32 holds exactly
    values = x.reshape(len(x), -1)
    low, high = (np.asarray(f(axis=0), np.float64) for f in (values.min, values.max))
    largest = np.maximum(np.abs(low), np.abs(high))
    with np.errstate(over="ignore", invalid="ignore"):
        step = np.spacing(largest.astype(np.float32)).astype(np.float64)
        suspect = (high - low > ROUNDING * largest) & (high - low < 1e6 * steps * step)
    for i in np.flatnonzero(suspect):
        column = values[:, i].astype(np.float64)
        sd = float((column - column[0]).std())
        if step[i] * steps > sd:
            raise InputError(
                f"{_place(table, names, int(i))}: its values, near {column[0]:.6g}, have an sd of "
                f"{sd:.3g}, and float32, in which networks compute, has steps of {step[i]:.3g} "
                "there; subtract a constant from the column, such as its mean, or round it if its "
                "differences do not matter."
            )


def _place(table: str, names: Sequence[str] | None, i: int) -> str:
    return f"{table}, column {names[i]!r}" if names is not None else f"{table}, column {i}"


def few(names: Iterable[object], most: int = 5, *, quoted: bool = True) -> str:
    """Return up to `most` names, quoted and cut or as they are, and the number of the rest.

    >>> few(["a", "b", "c"], most=2), few([3, 1, 2], most=2, quoted=False)
    ("'a', 'b' and 1 more", '3, 1 and 1 more')
    """
    words = [repr(str(name)[:40]) if quoted else str(name) for name in names]
    rest = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + rest
