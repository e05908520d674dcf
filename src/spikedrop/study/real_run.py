"""Chapters that were run on real screen records, and what they found: it comes with the package.

The book's own run is on a simulated screen unless it is pointed to real records. So that its pages
can show both, ``python -m book.build real`` executes the chapters on real records and writes what
they recorded into ``real_run.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from spikedrop.files.records import Run, read_record

Value = float | str | None


@dataclass(frozen=True)
class RealRun(Run):
    """One executed chapter on real records, and where it comes from.

    Attributes
    ----------
    chapter : str
        Its file name without suffix.
    results : dict
        What the chapter recorded by name: numbers and short texts, None for NaN.
    """

    chapter: str
    results: Mapping[str, Value]


def beside_recorded(
    chapter: str, rows: Mapping[str, tuple[str, Value]], file: str | Path | None = None
) -> pd.DataFrame:
    """Set values of this run beside those that the same chapter recorded on real records.

    Parameters
    ----------
    chapter : str
        Its file name without suffix.
    rows : mapping
        What a value is, in words, to its recorded name and its value in this run.
    file : path, optional
        See `read_real_runs`.

    Returns
    -------
    pandas.DataFrame
        Index the words; columns ``this run`` and the recorded one with its day, where
        ``not recorded`` stands for what a later version of the chapter has added.

    Examples
    --------
    >>> table = beside_recorded("05_comparison", {"verdict": ("verdict_paired", "different")})
    >>> table.loc["verdict"].tolist()
    ['different', 'equivalent']
    """
    run = read_real_runs(file).get(chapter)
    recorded = run.results if run else {}
    when = f"real records, run on {run.date}" if run else "real records"
    return pd.DataFrame(
        {
            "this run": {words: value for words, (_, value) in rows.items()},
            when: {words: recorded.get(name, "not recorded") for words, (name, _) in rows.items()},
        },
        dtype=object,
    )


def read_real_runs(file: str | Path | None = None) -> dict[str, RealRun]:
    """Read what chapters found on real records; by default as it comes with the package.

    Raises `InputError` if `file` is not such a file.

    >>> read_real_runs()["05_comparison"].results["verdict_paired"]
    'equivalent'
    """
    return read_record(
        file,
        "study/real_run.json",
        lambda runs: {name: RealRun(chapter=name, **run) for name, run in sorted(runs.items())},
        what="a recorded run",
        command="python -m book.build real",
    )
