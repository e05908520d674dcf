"""The names of a model's inputs, kept inside its `.keras` file.

They are an entry of the archive's `metadata.json`, which Keras writes and does not read: a file
that is moved or renamed keeps them, and Keras opens it as any other. Keras drops them when it
saves the model again; then the file has no names, and no wrong ones.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spikedrop.errors import InputError
from spikedrop.files.checks import regular_file

if TYPE_CHECKING:
    import keras

METADATA, KEY = "metadata.json", "spikedrop"
MAX_BYTES = 16_000_000


@dataclass(frozen=True)
class Columns:
    """The columns that a model learnt from.

    Attributes
    ----------
    inputs : tuple of str
        In the order of the model.
    target : str, optional
        What it predicts.
    """

    inputs: tuple[str, ...]
    target: str | None = None


def save_named(model: keras.Model, place: Path, columns: Columns | None) -> None:
    """Save a model as `.keras`, with the names of its columns if it has any."""
    model.save(place)
    if columns is None:
        return
    with zipfile.ZipFile(place) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    about = json.loads(members[METADATA])
    about[KEY] = {"inputs": list(columns.inputs), "target": columns.target}
    members[METADATA] = json.dumps(about).encode()
    with zipfile.ZipFile(place, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def read_columns(path: str | Path) -> Columns | None:
    """Return the columns that a model file names; None where it names none, or is damaged.

    What else is wrong with the file, `load_keras` says. Raises `InputError` if there is no such
    file, or its names are not names.
    """
    path = Path(path)
    regular_file(path, (".keras",), "a model")
    try:
        with zipfile.ZipFile(path) as archive:
            return columns_in(path, archive)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError):
        return None


def columns_in(path: Path, archive: zipfile.ZipFile) -> Columns | None:
    """Return the columns that the archive of a model names, if any."""
    if METADATA not in archive.namelist() or archive.getinfo(METADATA).file_size > MAX_BYTES:
        return None
    try:
        about = json.loads(archive.read(METADATA))
    except (ValueError, RecursionError):
        return None
    if not isinstance(about, dict) or KEY not in about:
        return None
    names = about[KEY] if isinstance(about[KEY], dict) else {}
    inputs, target = names.get("inputs"), names.get("target")
    words = isinstance(inputs, list) and all(isinstance(name, str) for name in inputs)
    if not words or not inputs or not (target is None or isinstance(target, str)):
        raise InputError(
            f"{path}: the names of its inputs in {METADATA} are damaged; train or save it again."
        )
    return Columns(tuple(inputs), target)
