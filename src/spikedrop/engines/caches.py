"""Folders for what numba, matplotlib and Keras keep between runs, where a user has none.

They write below the home folder or beside the installed files. In containers, on clusters and
under service users often neither can be written; numba then refuses to import a cached function,
matplotlib warns, and Keras takes a folder that all users share. So `prepare` gives each a private
folder before it is imported, by the environment variable that it documents. What the user can
write, and what the user has set, stays.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOM = 2**24  # bytes that a folder must have left: all compiled kernels together take less
SHARED_MEMORY = "/dev/shm"  # writable in many containers whose /tmp is not


def prepare() -> None:
    """Set ``NUMBA_CACHE_DIR``, ``MPLCONFIGDIR`` and ``KERAS_HOME`` where their defaults fail.

    Processes that are started later inherit them. On Windows nothing is done: there each user has
    a writable profile.
    """
    if not hasattr(os, "getuid"):
        return
    faults = {
        "NUMBA_CACHE_DIR": not _numba_can_cache(),
        "MPLCONFIGDIR": "MPLCONFIGDIR" not in os.environ and not _matplotlib_can_write(),
        "KERAS_HOME": "KERAS_HOME" not in os.environ and not _keras_can_write(),
    }
    if not any(faults.values()) or (private := private_folder()) is None:
        return
    for variable, fault in faults.items():
        if fault:
            os.environ[variable] = str(private / variable.split("_")[0].lower())
    numba = sys.modules.get("numba")
    if numba is not None and faults["NUMBA_CACHE_DIR"]:
        numba.config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]  # it has read its variables already


def private_folder() -> Path | None:
    """Return a folder that only this user can enter, made if need be, or None if there is none.

    numba unpickles what it finds in its cache, so a folder that another user made is never taken.
    """
    places = [SHARED_MEMORY]
    try:
        if tempfile.gettempdir() != os.getcwd():  # the last that `tempfile` tries
            places.insert(0, tempfile.gettempdir())
    except FileNotFoundError:  # nothing can be written, or the working folder is gone
        pass
    for place in filter(takes_files, map(Path, places)):
        folder = place / f"spikedrop-{os.getuid()}"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            if not _is_private(folder):
                folder = Path(tempfile.mkdtemp(prefix="spikedrop-", dir=place))
        except OSError:
            continue
        if takes_files(folder):
            return folder
    return None


def takes_files(folder: Path) -> bool:
    """Return whether files can be written to a folder, which may still have to be made.

    >>> takes_files(Path("/dev/null/folder"))
    False
    """
    if not folder.is_absolute():  # a home that is not known stays "~"
        return False
    for place in (folder, *folder.parents):
        if os.path.isdir(place):
            break
        if os.path.lexists(place):
            return False
    try:
        with tempfile.TemporaryFile(dir=place, buffering=0) as file:
            file.write(bytes(2**12))  # fails where a quota is used up
        return shutil.disk_usage(place).free >= ROOM
    except OSError:
        return False


def _is_private(folder: Path) -> bool:
    found = folder.lstat()
    return (
        stat.S_ISDIR(found.st_mode)
        and found.st_uid == os.getuid()
        and not stat.S_IMODE(found.st_mode) & 0o077
    )


def _base(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or os.path.expanduser(default))


def _numba_can_cache() -> bool:
    """Return whether numba can keep the kernels of this package and of scoringrules.

    It takes the first folder of these that it can write to: the one that is set, the one beside
    the source, the user's own.
    """
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        return takes_files(Path(chosen).absolute())
    if sys.platform == "darwin":
        own = Path(os.path.expanduser("~/Library/Caches/numba"))
    else:
        own = _base("XDG_CACHE_HOME", "~/.cache") / "numba"
    sources = [Path(__file__).parent]
    if (spec := find_spec("scoringrules")) is not None and spec.origin is not None:
        sources.append(Path(spec.origin).parent)
    return all(
        takes_files(source / "__pycache__")
        or (not _writable(source / "__pycache__") and takes_files(own))
        for source in sources
    )


def _writable(folder: Path) -> bool:
    """Return whether numba would try to write to a folder, even where the disk is full."""
    return os.access(folder if folder.is_dir() else folder.parent, os.W_OK)


def _matplotlib_can_write() -> bool:
    if sys.platform.startswith(("linux", "freebsd")):
        bases = [_base("XDG_CONFIG_HOME", "~/.config"), _base("XDG_CACHE_HOME", "~/.cache")]
        return all(takes_files(base / "matplotlib") for base in bases)
    return takes_files(Path(os.path.expanduser("~/.matplotlib")))


def _keras_can_write() -> bool:
    home = os.path.expanduser("~")
    return os.path.isdir(home) and os.access(home, os.W_OK)


def njit(**options: Any) -> Callable[[Callable], Callable]:
    """`numba.njit`, without ``cache=True`` where no folder at all can be written.

    >>> @njit(nogil=True)
    ... def double(x):
    ...     return 2 * x
    >>> double(4)
    8
    """
    import numba  # takes half a second, and `prepare` does without

    options["cache"] = bool(options.get("cache")) and _numba_can_cache()
    return numba.njit(**options)
