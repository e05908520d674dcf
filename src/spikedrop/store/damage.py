"""Which file of a store is damaged, and what is mended when its job is run again."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import zarr

from spikedrop.errors import InputError
from spikedrop.store.layout import (
    DIMENSIONS,
    Layout,
    describes,
    read_json,
    unreadable,
    write_coordinate,
    writing,
)
from spikedrop.store.layout import coordinate as described_coordinate

__all__: list[str] = []

Piece = tuple[range, range]
A_FOLDER = "is a folder where a file belongs"
MISSING = "is missing"
AGAIN = "Run the same sampling again to mend it."


def chunk_fault(layout: Layout, piece: Piece) -> str:
    """Return what is wrong with the file of a chunk, or ""; its checksum is computed.

    Raises
    ------
    StoreError
        If it cannot be read, which does not tell whether it is damaged.
    """
    file = layout.folder / layout.grid.key(*piece)
    if fault := _size_fault(file, layout.grid.chunk_bytes):
        return fault
    draws, rows = piece
    try:
        layout.values[draws.start : draws.stop, rows.start : rows.stop]
    except ValueError as error:
        return _checksum_fault(error)
    except OSError as error:
        raise unreadable(file, error) from error
    return ""


def remedy(file: Path, fault: str) -> str:
    """Return what to do about a file that `unfinished` or `mend_coordinates` replaces."""
    return f"Move {file} away and run the same sampling again." if fault == A_FOLDER else AGAIN


def refuse_folder(file: Path, fault: str) -> None:
    """Refuse to mend what would remove a folder."""
    if fault == A_FOLDER:
        raise InputError(f"{file}: {fault}. {remedy(file, fault)}")


def _coordinate_faults(layout: Layout) -> Iterator[tuple[str, Path, str]]:
    """Yield the name of each damaged coordinate, its file, and what is wrong with that."""
    for name, n in zip(DIMENSIONS[:2], layout.grid.shape[:2], strict=True):
        folder = layout.path / name
        if folder.exists() and not folder.is_dir():
            yield name, folder, "is a file where a folder belongs"
            continue
        file = folder / "zarr.json"
        fault = _size_fault(file) or _description_fault(file, name, n)
        if fault:
            yield name, file, fault
        values = folder / "c.0"
        fault = _size_fault(values, 8 * n + 4) or ("" if fault else _values_fault(values, n))
        if fault:
            yield name, values, fault


def check_coordinates(layout: Layout) -> None:
    """Refuse to read a store with a damaged coordinate.

    Raises
    ------
    InputError
        With the damaged file.
    """
    for _, file, fault in _coordinate_faults(layout):
        raise InputError(f"{file}: {fault}. {remedy(file, fault)}")


def mend_coordinates(layout: Layout) -> None:
    """Write the damaged files of coordinates anew."""
    faults = list(_coordinate_faults(layout))
    for _, file, fault in faults:
        refuse_folder(file, fault)
    if not faults:
        return
    with writing(layout.path), tempfile.TemporaryDirectory(dir=layout.path, prefix=".") as new:
        group = zarr.create_group(new, zarr_format=3)
        for name in {name: None for name, _, _ in faults}:
            write_coordinate(group, name, layout.grid.shape[DIMENSIONS.index(name)])
        for name, file, _ in faults:
            if file == layout.path / name:
                file.unlink()
                os.replace(Path(new, name), file)
                continue
            file.parent.mkdir(exist_ok=True)
            os.replace(Path(new, name, file.name), file)


def _size_fault(file: Path, size: int | None = None) -> str:
    """Return what is wrong with a file without a look into it; any size will do without one."""
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except OSError as error:
        raise unreadable(file, error) from error
    if stat.S_ISDIR(found.st_mode):
        return A_FOLDER
    if size is not None and found.st_size != size:
        return f"is damaged: it has {found.st_size} bytes in place of {size}"
    return ""


def _checksum_fault(error: ValueError) -> str:
    if "checksum" not in str(error):
        raise error
    return "is damaged: its checksum is wrong"


def _description_fault(file: Path, name: str, n: int) -> str:
    try:
        found = read_json(file)
    except InputError:
        return "is damaged"
    return "" if describes(found, described_coordinate(name, n)) else "is damaged"


def _values_fault(file: Path, n: int) -> str:
    """Compare a coordinate's file, of the right size, with the numbers 0 to n - 1."""
    try:
        values = zarr.open_array(file.parent, mode="r")[:]
    except ValueError as error:
        return _checksum_fault(error)
    except OSError as error:
        raise unreadable(file, error) from error
    return "" if np.array_equal(values, np.arange(n)) else "is damaged: it holds other numbers"
