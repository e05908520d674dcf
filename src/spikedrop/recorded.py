"""Runs that take too long for the book: recorded once, with what is needed to make them again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from spikedrop.errors import InputError

KEYS = ("date", "commit", "machine", "command")


@dataclass(frozen=True)
class Recorded:
    """Results of a run, and where they come from.

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
        The results.
    """

    date: str
    commit: str
    machine: str
    command: str
    rows: tuple[Mapping[str, Any], ...]


def read_recorded(file: str | Path | Traversable, command: str) -> Recorded:
    """Read a recorded run, a JSON file of the keys date, commit, machine, command and rows.

    Raises
    ------
    InputError
        If `file` is not such a file; `command` says how to make one.
    """
    path = Path(file) if isinstance(file, str) else file
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Recorded(*(content[key] for key in KEYS), tuple(content["rows"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a recorded run: {error!r}. Run: {command}") from error
