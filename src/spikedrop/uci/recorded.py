"""A run of the UCI protocol that was recorded, and comes with the package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from spikedrop.files.records import read_record

KEYS = ("date", "commit", "machine", "command")


@dataclass(frozen=True)
class Recorded:
    """What a run found, and where.

    Attributes
    ----------
    date : str
        Day of the run, UTC.
    commit : str
        Of the sources that ran.
    machine : str
        In words.
    command : str
        That makes the same again.
    rows : tuple of dict
        As `spikedrop.uci.run_set` returns them, both networks of a run after one another.
    """

    date: str
    commit: str
    machine: str
    command: str
    rows: tuple[Mapping[str, Any], ...]


def read_recorded(file: str | Path | None = None) -> Recorded:
    """Read a recorded run; by default the one that comes with the package.

    It was made by ``python -m benchmarks.uci``.

    Raises
    ------
    InputError
        If `file` is not such a file.

    Examples
    --------
    >>> sorted({row["network"] for row in read_recorded().rows})
    ['ann', 'snn']
    """
    path = files("spikedrop.uci") / "recorded.json" if file is None else Path(file)
    return read_record(
        path,
        lambda found: Recorded(*(found[key] for key in KEYS), tuple(found["rows"])),
        what="a recorded run",
        command="python -m benchmarks.uci",
    )
