"""Files are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from spikedrop.errors import InputError

__all__ = ["check_output", "written"]


def check_output(path: Path, suffixes: Sequence[str]) -> Path:
    """Return the path of a file that can be written, or refuse it before any work.

    Parameters
    ----------
    path : Path
        File to be written; a folder only if it ends in `.zarr`.
    suffixes : sequence of str
        Endings that its name may have, in lower case.

    Returns
    -------
    Path
        The same.

    Raises
    ------
    InputError
        If the name ends otherwise, is that of a folder, or lies in a folder that is missing or
        cannot be written to.

    Examples
    --------
    >>> check_output(Path("draws.npy"), [".npy"]).name
    'draws.npy'
    >>> check_output(Path("draws.csv"), [".npy"])
    Traceback (most recent call last):
    spikedrop.errors.InputError: draws.csv: the name of this output must end in .npy.
    """
    if path.suffix.lower() not in suffixes:
        raise InputError(f"{path}: the name of this output must end in {' or '.join(suffixes)}.")
    if path.is_dir() and path.suffix != ".zarr":
        raise InputError(f"{path}: is a folder; name a file.")
    parent = path.absolute().parent
    if not parent.is_dir():
        raise InputError(f"{path}: the folder {parent} does not exist; make it first.")
    if not os.access(parent, os.W_OK):
        raise InputError(f"{path}: the folder {parent} cannot be written to.")
    return path


@contextlib.contextmanager
def written(path: Path) -> Iterator[Path]:
    """Give a name beside `path` to write to; it takes the place of `path` when all went well.

    Parameters
    ----------
    path : Path
        File that is written whole or not at all.

    Yields
    ------
    Path
        Name to write to, in the same folder; what is there is removed if something is raised.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with written(Path(folder, "a.txt")) as part:
    ...         _ = part.write_text("whole")
    ...     [file.name for file in Path(folder).iterdir()]
    ['a.txt']
    """
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield part
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
