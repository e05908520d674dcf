"""Results that were computed once and are kept as a small JSON file with the package."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from spikedrop.errors import InputError
from spikedrop.files.writing import written

#: What a recorded run says of itself.
KEYS = ("date", "commit", "machine", "command")


@dataclass(frozen=True)
class Run:
    """Where recorded results come from.

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
    """

    date: str
    commit: str
    machine: str
    command: str


@dataclass(frozen=True)
class Recorded(Run):
    """Results of a run: `rows`, one mapping each, and where they come from."""

    rows: tuple[Mapping[str, Any], ...]


def read_record(
    file: str | Path | None,
    shipped: str,
    build: Callable[[Any], Any],
    *,
    what: str,
    command: str,
) -> Any:
    """Read a recorded run.

    Parameters
    ----------
    file : path, optional
        By default the one that comes with the package, `shipped`, a path inside it.
    build : callable
        Makes the record from what the file holds; a key it misses or a value of another type
        means that the file is another one.
    what : str
        What the file should be, for the error, with its article.
    command : str
        That writes such a file.

    Raises
    ------
    InputError
        If the file cannot be read or `build` cannot use it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(Path(folder, "run.json"), {"date": "2026-01-02"})
    ...     file = Path(folder, "run.json")
    ...     read_record(file, "", lambda run: run["date"], what="", command="")
    '2026-01-02'
    """
    path = files("spikedrop") / shipped if file is None else Path(file)
    try:
        return build(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not {what}: {error!r}. Run: {command}") from error


def recorded_rows(run: Mapping[str, Any]) -> Recorded:
    """Return a run of the keys date, commit, machine, command and rows, for `read_record`."""
    return Recorded(*(run[key] for key in KEYS), tuple(run["rows"]))


def write_json(file: Path, value: object) -> None:
    """Write a JSON file whole or not at all, for people to read too.

    Raises `ValueError` for NaN and infinity, which JSON does not have.
    """
    text = json.dumps(value, indent=2, allow_nan=False)
    with written(file) as part:
        part.write_text(text + "\n", encoding="utf-8")
