"""What is wrong with a cell of a table, and where the first such cell stands.

Tables are read by pandas, which is fast and does not say where it met what. Only when it fails is
the file walked through once more, record by record, for the true line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spikedrop.errors import InputError
from spikedrop.files import csvs

MISSING = frozenset(
    (
        *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "1.#IND", "1.#QNAN", "<NA>", "N/A"),
        *("NA", "NULL", "NaN", "None", "n/a", "nan", "-NaN", "-nan", "null", "-", "?", "."),
    )
)
INFINITE = "is infinite; drop such rows, or write a finite number"
TOO_LARGE = (
    "is too large for float32, in which networks compute (at most 3.4e38); divide the column by a "
    "constant"
)
TRUTH = {"true": 1.0, "false": 0.0}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.ASCII | re.IGNORECASE)
_KINDS = (
    (
        re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?|\d{1,2}:\d\d(:\d\d.*)?", re.ASCII),
        "is a date or a time; turn it into a number, such as days since a first day",
    ),
    (
        re.compile(r"[+-]?[\d.,]+\s*%", re.ASCII),
        "has a per cent sign; write the number without it",
    ),
    (
        re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?|[+-]?\d{1,3}([., ]\d{3})+(,\d+|\.\d+)?", re.ASCII),
        "has a comma or a blank in the number; write decimals with a point and leave out "
        "separators of thousands",
    ),
    (
        re.compile(r"[^\w\s+-]?\s*[+-]?\s*\d[\d.,]*\s*[^\d\s.,][^\d]*", re.ASCII),
        "is a number with a unit or a sign; write only the number",
    ),
    (
        re.compile(r"[^\w\s.,+-]\s*[+-]?\d[\d.,]*", re.ASCII),
        "is a number with a unit or a sign; write only the number",
    ),
)


def fault_of(cell: str) -> str | None:
    """Say what is wrong with a cell that should be a number, and what to do; None if it is one.

    Examples
    --------
    >>> fault_of("1.5"), fault_of(" "), fault_of("1,5")[:12], fault_of("red")[:15]
    (None, 'is blank; fill it in, or drop such rows', 'has a comma ', 'is not a number')
    """
    word = cell.strip()
    if _NUMBER.fullmatch(word):
        return TOO_LARGE if np.isinf(float(word)) else too_large(float(word))
    if not word:
        return "is blank; fill it in, or drop such rows"
    if word in MISSING:
        return "stands for a missing value; fill it in, or drop such rows"
    if _INFINITE.fullmatch(word):
        return INFINITE
    if word.lower() in TRUTH:
        return None
    for pattern, fault in _KINDS:
        if pattern.fullmatch(word):
            return fault
    return "is not a number; turn categories into columns of 0 and 1, or leave the column out"


def too_large(value: float) -> str | None:
    """Say what is wrong with a number that is not finite in float32.

    >>> too_large(1e30), too_large(1e300)[:12], too_large(float("inf"))[:11]
    (None, 'is too large', 'is infinite')
    """
    if np.isnan(value):
        return "is NaN; fill it in, or drop such rows"
    if np.isinf(value):
        return INFINITE
    with np.errstate(over="ignore"):
        return None if np.isfinite(np.float32(value)) else TOO_LARGE


def find_fault(path: Path, used: Sequence[str]) -> InputError | None:
    """Return the error of the first cell of a `.csv` that cannot be used, or None.

    Cells of the columns `used` are looked at, and the number of cells of every record.
    """
    try:
        rows = csvs.records(path, strict=True)
        _, names = next(rows)
        names = [name.strip() for name in names]
        places = [(names.index(name), name) for name in used]
        for number, (line, record) in enumerate(rows):
            if not csvs.fits(record, names):
                return csvs.cells_error(path, line, record, names)
            faults = [(i, name, why) for i, name in places if (why := fault_of(record[i]))]
            if not faults:
                continue
            i, name, why = faults[0]
            cell = record[i].strip()
            shown = f"{cell[:40]!r} " if cell else ""
            words = [c for c in record if c.strip() and not _NUMBER.fullmatch(c.strip())]
            if number == 0 and len(words) == len(names):
                why += (
                    f". Are these the names of the columns, below a title? Then delete the lines "
                    f"above line {line}"
                )
            return InputError(f"{path}, line {line}, column {name!r}: {shown}{why}.")
    except InputError as error:
        return error
    return None
