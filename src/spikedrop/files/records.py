"""Results that were computed once and are kept as a small JSON file with the package."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from spikedrop.errors import InputError
from spikedrop.files.writing import written

__all__ = ["read_recorded", "write_json"]

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
    file: Path | Traversable, build: Callable[[Any], Any], *, what: str, command: str
) -> Any:
    """Read a recorded run.

    Parameters
    ----------
    file : path
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
    ...     read_record(Path(folder, "run.json"), lambda run: run["date"], what="", command="")
    '2026-01-02'
    """
    try:
        return build(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{file} is not {what}: {error!r}. Run: {command}") from error


def read_recorded(file: str | Path | Traversable, command: str) -> Recorded:
    """Read a recorded run, a JSON file of the keys date, commit, machine, command and rows.

    Raises
    ------
    InputError
        If `file` is not such a file; `command` says how to make one.

    Examples
    --------
    >>> import tempfile
    >>> about = {"date": "2026-01-02", "commit": "1a2b3c", "machine": "2 cores", "command": "make"}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(Path(folder, "run.json"), about | {"rows": [{"error": 0.5}]})
    ...     read_recorded(Path(folder, "run.json"), "make").rows
    ({'error': 0.5},)
    """
    return read_record(
        Path(file) if isinstance(file, str) else file,
        lambda found: Recorded(**{key: found[key] for key in KEYS}, rows=tuple(found["rows"])),
        what="a recorded run",
        command=command,
    )


def write_json(file: Path, value: object) -> None:
    """Write a JSON file whole or not at all, for people to read too.

    Raises `ValueError` for NaN and infinity, which JSON does not have.

    Parameters
    ----------
    file : Path
    value : object
        What JSON can hold.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(Path(folder, "a.json"), {"draws": 100})
    ...     print(Path(folder, "a.json").read_text())
    {
      "draws": 100
    }
    """
    text = json.dumps(value, indent=2, allow_nan=False)
    with written(file) as part:
        part.write_text(text + "\n", encoding="utf-8")
