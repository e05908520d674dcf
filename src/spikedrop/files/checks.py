"""Checks that all readers share: a regular file of a known kind, and memory enough."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from spikedrop.errors import InputError


def regular_file(path: Path, suffixes: Sequence[str], what: str) -> int:
    """Return the size in bytes of a regular, readable, non-empty file of a known kind.

    Raises
    ------
    InputError
        If there is no such file, or it is a folder, a pipe or a device, unreadable, empty, or its
        name ends in none of `suffixes`.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: {why}; give the path of {what}.") from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path}: is a folder; give the path of {what}.")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: is not a regular file; give the path of {what}.")
    if not path.name.lower().endswith(tuple(suffixes)):
        raise InputError(
            f"{path}: unknown kind of file {path.suffix!r}; {what} ends in {', '.join(suffixes)}."
        )
    if status.st_size == 0:
        raise InputError(f"{path}: the file is empty.")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: permission denied; make the file readable.")
    return status.st_size


def machine_memory() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def enough_memory(path: Path, n_bytes: int) -> None:
    """Refuse what this machine cannot hold."""
    if n_bytes > machine_memory():
        raise InputError(
            f"{path}: would take {n_bytes / 1e9:.3g} GB of memory, and this machine has "
            f"{machine_memory() / 1e9:.3g} GB; hand it in as .npy, which is read piece by piece, "
            "or in parts."
        )
