"""Read NCI-ALMANAC records in NCI's own layout.

The screen is described by Holbeck et al. (2017), doi 10.1158/0008-5472.CAN-17-0489.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from spikedrop.checks.arguments import one_of, whole_number
from spikedrop.data.describe import growth_from_readings
from spikedrop.data.screen import LoadReport, Screen
from spikedrop.errors import InputError
from spikedrop.files import csvs

__all__ = ["load_almanac"]

COLUMNS = [
    *("COMBODRUGSEQ", "SCREENER", "STUDY", "TESTDATE", "PLATE", "PANELNBR", "CELLNBR"),
    *("PREFIX1", "NSC1", "SAMPLE1", "CONCINDEX1", "CONC1", "CONCUNIT1"),
    *("PREFIX2", "NSC2", "SAMPLE2", "CONCINDEX2", "CONC2", "CONCUNIT2"),
    *("PERCENTGROWTH", "PERCENTGROWTHNOTZ", "TESTVALUE", "CONTROLVALUE", "TZVALUE"),
    *("EXPECTEDGROWTH", "SCORE", "VALID", "PANEL", "CELLNAME"),
]
"""The 29 columns of NCI's file, in its order."""

GROWTH_TOLERANCE_POINTS = 0.1
# Every score of the source is within rounding of the difference; 0.01 covers its three decimals.
SCORE_TOLERANCE_POINTS = 0.51

_NUMBERS = [
    *("NSC1", "CONC1", "NSC2", "CONC2", "PERCENTGROWTH"),
    *("TESTVALUE", "CONTROLVALUE", "TZVALUE", "EXPECTEDGROWTH", "SCORE"),
]
_WORDS = ("SCREENER", "CONCUNIT1", "CONCUNIT2", "VALID", "PANEL", "CELLNAME")
# PLATE mixes names and numbers, and nothing here needs what it says.
_TEXT = (*_WORDS, "STUDY", "TESTDATE", "PLATE", "PREFIX1", "PREFIX2")
MISSING = ["", "-", ".", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "#N/A"]
"""What stands in numeric columns for no value, such as NSC2 of a row with one drug."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONVERT = (
    "micrograms per millilitre cannot be compared with molar doses; convert it with the drug's "
    "molecular weight in g/mol (molar = micrograms per ml / 1000 / weight) and write M"
)


def clean_name(name: str) -> str:
    r"""Strip control characters, and blanks at both ends, from a name.

    Examples
    --------
    >>> clean_name(" SK-OV-3\x1a \r")
    'SK-OV-3'
    >>> clean_name("HS 578T")
    'HS 578T'
    """
    return _CONTROL.sub("", name).strip()


@dataclass
class _Tally:
    """Counts and compact columns gathered from the chunks."""

    rows: int = 0
    left_out: Counter = field(default_factory=Counter)
    growth: list[int] = field(default_factory=lambda: [0, 0])
    score: list[int] = field(default_factory=lambda: [0, 0])
    words: dict[str, dict[str, int]] = field(
        default_factory=lambda: {"cell_line": {}, "panel": {}, "lab": {}}
    )
    pairs: list[pd.DataFrame] = field(default_factory=list)
    singles: list[pd.DataFrame] = field(default_factory=list)


def load_almanac(
    path: str | Path,
    *,
    bad_rows: Literal["raise", "drop"] = "raise",
    chunk_rows: int = 100_000,
) -> Screen:
    """Read drug-pair records in NCI-ALMANAC's 29-column layout.

    With the readings T (treated), C (control) and Tz (time zero), the source defines growth in
    per cent as 100 (T - Tz) / (C - Tz) where T >= Tz and 100 (T - Tz) / Tz elsewhere, and the
    synergy score as expected minus measured growth, rounded. Both are recomputed as a check, and
    the report counts the rows that disagree; the values of the source are kept.

    A record is one condition: laboratory, cell line, drugs and doses. Repeats of a condition are
    averaged. Laboratories stay apart, because they read different assays: the one marked 1A
    reports optical densities, the two others cell counts or luminescence in arbitrary units, and
    the same single drug at the same dose differs between them far more than within one.

    Rows whose VALID is not `Y`, and rows that pair a drug with itself, are left out and counted.

    Parameters
    ----------
    path : path
        A `.csv`, `.csv.gz` or `.zip` with one member.
    bad_rows : {"raise", "drop"}, default "raise"
        ``raise`` stops at the first row that cannot be used; ``drop`` leaves such rows out and
        counts them by reason.
    chunk_rows : int, default 100000
        Rows held as text at one time; it bounds the memory and changes nothing else.

    Returns
    -------
    Screen
        Without features (`drugs` and `cells` are None).

    Raises
    ------
    InputError
        If the file is missing, empty, of an unknown kind, broken, or not UTF-8; a column is
        missing; no row can be used; or, with ``bad_rows="raise"``, a row has a growth or a dose
        that is not a finite number, a dose in micrograms per millilitre, or a blank key. The
        message names the file, the line, the column and the value.

    References
    ----------
    Holbeck et al. (2017), Cancer Research 77, 3564, doi 10.1158/0008-5472.CAN-17-0489.

    Examples
    --------
    >>> load_almanac("nowhere.csv")
    Traceback (most recent call last):
    spikedrop.errors.InputError: nowhere.csv: No such file...
    """
    path = Path(path)
    one_of("bad_rows", bad_rows, ("raise", "drop"))
    whole_number("chunk_rows", chunk_rows, least=1)
    tally = _Tally()
    for chunk in _chunks(path, chunk_rows):
        _add(chunk, tally, path, bad_rows)
    if not tally.rows:
        raise InputError(f"{path}: a header and no records. Download the file again.")
    if not tally.pairs and not tally.singles:
        raise InputError(f"{path}: no row of {tally.rows:,} can be used: {dict(tally.left_out)}.")
    n_pairs, n_singles = (sum(map(len, rows)) for rows in (tally.pairs, tally.singles))
    pairs = _average(tally.pairs, tally.words, ("drug_a", "drug_b"))
    singles = _average(tally.singles, tally.words, ("drug",))
    counts = (n_pairs, n_singles, len(pairs), len(singles), *tally.growth, *tally.score)
    report = LoadReport(path.name, tally.rows, tuple(sorted(tally.left_out.items())), *counts)
    return Screen(pairs, singles, None, None, report, f"NCI-ALMANAC records, {path.name}")


def _chunks(path: Path, chunk_rows: int) -> Iterator[pd.DataFrame]:
    """Yield blocks of rows, indexed by their line number in the file."""
    with csvs.open_table(path) as stream, csvs.as_text(stream) as text:
        names = csvs.header(path, text, COLUMNS)
        with csvs.parsing(path):
            try:  # The first line is read; pandas gets the names that stood there.
                reader = pd.read_csv(
                    text,
                    names=names,
                    header=None,
                    index_col=False,
                    chunksize=chunk_rows,
                    # One character ends a line: in most files a stray \r stays inside its cell.
                    lineterminator="\r" if text.newlines == "\r" else "\n",
                    skip_blank_lines=False,
                    keep_default_na=False,
                    na_values={name: MISSING if name in _NUMBERS else [""] for name in names},
                    dtype=dict.fromkeys(_TEXT, "category"),
                    low_memory=False,
                )
            except pd.errors.EmptyDataError:
                return
        line, blank = 2, 0
        while True:
            with csvs.parsing(path):
                chunk = next(reader, None)
            if chunk is None:
                return
            chunk.index = pd.RangeIndex(line, line + len(chunk), name="line")
            line += len(chunk)
            nothing = chunk.iloc[:, 1:].isna().all(axis=1).to_numpy()
            if nothing.any():  # or a carriage return alone
                first = chunk.iloc[:, 0]
                empty = (first.isna() | (first.astype(str).str.strip() == "")).to_numpy()
                nothing = nothing & empty
            blank += int(nothing.sum())
            if blank > csvs.MAX_BLANK:
                raise InputError(
                    f"{path}: has more than {csvs.MAX_BLANK:,} blank lines. Remove them, or "
                    "download the file again."
                )
            yield chunk[~nothing]


def _add(chunk: pd.DataFrame, tally: _Tally, path: Path, bad_rows: str) -> None:
    """Check one block of rows and keep what a record needs of it."""
    tally.rows += len(chunk)
    chunk = chunk.assign(**{name: _clean(chunk[name]) for name in _WORDS})
    # A line that breaks off before VALID is a fault of the file, not a row marked as not valid.
    cut_short = (chunk["VALID"] == "") & (chunk["CELLNAME"] == "")
    valid = ((chunk["VALID"] == "Y") | cut_short).to_numpy()
    if not valid.all():
        tally.left_out["VALID is not Y"] += int((~valid).sum())
        chunk = chunk[valid]
    numbers = pd.DataFrame(
        {name: pd.to_numeric(chunk[name], errors="coerce").astype(float) for name in _NUMBERS}
    )
    single = (chunk["NSC2"].isna() | (chunk["NSC2"].astype(str).str.strip() == "")).to_numpy()
    good = ~_refuse(chunk, numbers, single, tally, path, bad_rows)
    itself = good & (numbers["NSC1"] == numbers["NSC2"]).to_numpy()
    if itself.any():
        tally.left_out["a drug paired with itself"] += int(itself.sum())
        good &= ~itself
    chunk, numbers, single = chunk[good], numbers[good], single[good]
    _check_formulas(numbers, tally)
    base = pd.DataFrame(
        {
            "cell_line": _codes(chunk["CELLNAME"], tally.words["cell_line"]),
            "panel": _codes(chunk["PANEL"], tally.words["panel"]),
            "lab": _codes(chunk["SCREENER"], tally.words["lab"]),
            "growth_fraction": numbers["PERCENTGROWTH"].to_numpy() / 100,
        }
    )
    if single.any():
        alone = numbers[single]
        tally.singles.append(
            base[single].assign(
                drug=alone["NSC1"].to_numpy(np.int32),
                log10_dose_molar=np.log10(alone["CONC1"].to_numpy()),
            )
        )
    if not single.all():
        two = numbers[~single]
        drugs = two[["NSC1", "NSC2"]].to_numpy(np.int32)
        doses = np.log10(two[["CONC1", "CONC2"]].to_numpy())
        order = np.argsort(drugs, axis=1)
        drugs, doses = (np.take_along_axis(values, order, axis=1) for values in (drugs, doses))
        tally.pairs.append(
            base[~single].assign(
                drug_a=drugs[:, 0],
                drug_b=drugs[:, 1],
                log10_dose_a_molar=doses[:, 0],
                log10_dose_b_molar=doses[:, 1],
                expected_growth_fraction=two["EXPECTEDGROWTH"].to_numpy() / 100,
            )
        )


def _refuse(
    chunk: pd.DataFrame,
    numbers: pd.DataFrame,
    single: np.ndarray,
    tally: _Tally,
    path: Path,
    bad_rows: str,
) -> np.ndarray:
    """Mark the rows that cannot be used; raise at the first one unless they are dropped."""
    bad = np.zeros(len(chunk), dtype=bool)
    faults = []
    for column, reason, rows, advice in _faults(chunk, numbers, single):
        fresh = rows & ~bad  # a row with two faults is counted once, under the first
        if fresh.any():
            faults.append((int(np.argmax(fresh)), column, reason, advice))
            tally.left_out[reason] += int(fresh.sum())
            bad |= fresh
    if faults and bad_rows == "raise":
        row, column, reason, advice = min(faults)
        value = chunk[column].iloc[row]
        raise InputError(
            f"{path}, line {chunk.index[row]}, column {column}, value "
            f"{'blank' if pd.isna(value) else repr(str(value))}: {reason}; {advice}. Correct it, "
            'or pass bad_rows="drop" to leave such rows out and count them.'
        )
    return bad


def _faults(
    chunk: pd.DataFrame, numbers: pd.DataFrame, single: np.ndarray
) -> Iterator[tuple[str, str, np.ndarray, str]]:
    """Yield (column, reason, rows at fault, what to do) for every kind of fault."""
    for column in ("CELLNAME", "PANEL"):
        blank = (chunk[column].isna() | (chunk[column] == "")).to_numpy()
        yield column, f"{column} is blank", blank, "every record needs it"
    for column in _NUMBERS:
        value = numbers[column].to_numpy()
        missing, raw = np.isnan(value), chunk[column]
        word = missing & raw.notna().to_numpy()
        if word.any():
            word[word] = raw[word].astype(str).str.strip() != ""
        yield column, f"{column} is not a number", word, "a finite number is needed here"
        asked = {"NSC1": True, "CONC1": True, "PERCENTGROWTH": True, "CONC2": ~single}
        blank = missing & ~word & asked.get(column, False)
        yield column, f"{column} is missing", blank, "a finite number is needed here"
        infinite = np.isinf(value)
        yield column, f"{column} is infinite", infinite, "a finite number is needed here"
        if column.startswith("CONC"):
            low = (value <= 0) & asked[column]
            yield column, f"{column} is not above 0", low, "a dose is a molar amount above 0"
        if column.startswith("NSC"):
            odd = ~missing & ~infinite & ((value < 1) | (value >= 2**31) | (value != value // 1))
            yield column, f"{column} is not an NSC number", odd, "it is a whole number above 0"
    for column, asked_rows in (("CONCUNIT1", True), ("CONCUNIT2", ~single)):
        unit = chunk[column]
        micro = (unit == "u").to_numpy() & asked_rows
        yield column, f"{column} is u, not M", micro, _CONVERT
        other = ~unit.isin(["u", "M"]).to_numpy() & asked_rows
        yield column, f"{column} is not M", other, "doses are read in molar, unit M"


def _check_formulas(numbers: pd.DataFrame, tally: _Tally) -> None:
    """Count the rows whose growth or score is not what its formula gives."""
    readings = (numbers[column] for column in ("TESTVALUE", "CONTROLVALUE", "TZVALUE"))
    off = (100 * growth_from_readings(*readings) - numbers["PERCENTGROWTH"]).abs()
    tally.growth[0] += int(off.notna().sum())
    tally.growth[1] += int((off > GROWTH_TOLERANCE_POINTS).sum())
    off = (numbers["EXPECTEDGROWTH"] - numbers["PERCENTGROWTH"] - numbers["SCORE"]).abs()
    tally.score[0] += int(off.notna().sum())
    tally.score[1] += int((off > SCORE_TOLERANCE_POINTS).sum())


def _clean(column: pd.Series) -> pd.Series:
    """Clean a column of categories; only its distinct words are touched."""
    words = np.array([*(clean_name(str(word)) for word in column.cat.categories), ""], object)
    return pd.Series(pd.Categorical(words[column.cat.codes]), index=column.index)


def _codes(column: pd.Series, vocabulary: dict[str, int]) -> np.ndarray:
    """Return codes that mean the same in every block."""
    words = column.cat.categories
    used = np.unique(column.cat.codes)
    table = np.zeros(len(words), dtype=np.int16)
    for code in used:
        table[code] = vocabulary.setdefault(words[code] or "unknown", len(vocabulary))
    return table[column.cat.codes]


def _average(
    blocks: list[pd.DataFrame], words: dict[str, dict[str, int]], drugs: tuple[str, ...]
) -> pd.DataFrame:
    """Average the repeats of each condition and put names in the place of codes."""
    doses = [f"log10_dose{name.removeprefix('drug')}_molar" for name in drugs]
    values = ["growth_fraction"] + ["expected_growth_fraction"] * (len(drugs) == 2)
    keys = [*words, *drugs, *doses]
    if blocks:
        frame = pd.concat(blocks, ignore_index=True)
    else:
        frame = pd.DataFrame({name: np.zeros(0) for name in [*keys, *values]})
    blocks.clear()  # they are in `frame` now, and memory should not hold them twice
    for name, vocabulary in words.items():
        named = pd.Categorical.from_codes(frame[name].astype(np.int16), [*vocabulary])
        frame[name] = named.reorder_categories(sorted(vocabulary))
    groups = frame.groupby(keys, sort=True, observed=True)
    table = groups[values].mean()
    table["replicates"] = groups.size()
    table["growth_sd_fraction"] = groups["growth_fraction"].std()
    table = table.reset_index()
    return table.astype(dict.fromkeys((*drugs, "replicates"), "int64"))
