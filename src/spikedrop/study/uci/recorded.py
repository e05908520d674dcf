"""A run of the UCI protocol that was recorded, and comes with the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from spikedrop.files import records
from spikedrop.files.records import Recorded

__all__ = ["read_recorded"]


def read_recorded(file: str | Path | None = None) -> Recorded:
    """Read a recorded run; by default the one that comes with the package.

    It was made by ``python -m benchmarks.uci``. Its rows are as `spikedrop.study.uci.run_set`
    returns them, both networks of a run after one another.

    Raises
    ------
    InputError
        If `file` is not such a file.

    Examples
    --------
    >>> sorted({row["network"] for row in read_recorded().rows})
    ['ann', 'snn']
    """
    path = files("spikedrop.study.uci") / "recorded.json" if file is None else file
    return records.read_recorded(path, "python -m benchmarks.uci")
