"""What a store looks like on disk, and how it comes to be: whole, or not at all.

::

    draws.zarr/zarr.json             a Zarr 3 group; attributes: what samples follow from
              /draw, /observation    coordinates, int64: 0, 1, ...
              /samples/zarr.json     float32, axes (draw, observation, output)
              /samples/c.i.j.0       a chunk and its checksum (CRC-32C), uncompressed
              /samples/.lock         held by the process that fills the store
              /samples/.owner        its name

A chunk's file is written under another name and then renamed (`zarr.storage.LocalStore` since Zarr
3.1.3), so a file of that name is complete unless the disk itself has lost it; size and checksum
tell. A new store is made in a hidden folder beside its place and renamed, too.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import shutil
import socket
import stat
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from filelock import FileLock, Timeout
from zarr.codecs import BytesCodec, Crc32cCodec
from zarr.errors import ZarrUserWarning

from spikedrop.errors import InputError, StoreError
from spikedrop.store.job import Grid

__all__ = ["Layout", "read_layout"]

FORMAT = 1  # of the folder; raise it when older releases could no longer read it
DIMENSIONS = ("draw", "observation", "output")
SAMPLES = "samples"
CODECS = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
SEAL = "sha256"  # attribute: the checksum of the others
LARGEST_JSON = 4_000_000  # bytes of metadata that are read


@dataclass(frozen=True)
class Layout:
    """A store that was looked at.

    Attributes
    ----------
    path : pathlib.Path
    attributes : dict
        Of the group, with `format`.
    grid : Grid
    """

    path: Path
    attributes: dict[str, Any]
    grid: Grid

    @property
    def folder(self) -> Path:
        """Where the chunks lie."""
        return self.path / SAMPLES

    def open_array(self) -> zarr.Array:
        """Open the samples to read and write."""
        return zarr.open_array(self.folder, mode="r+", config={"write_empty_chunks": True})

    @cached_property
    def values(self) -> zarr.Array:
        """The samples, to read."""
        return zarr.open_array(self.folder, mode="r")

    def present(self) -> set[str]:
        """Names of the chunks whose files are there and have the right size."""
        return {name for name in os.listdir(self.folder) if self.grid.has(name) and self.has(name)}

    def has(self, name: str) -> bool:
        """Tell whether the file of a chunk is there and has the right size."""
        try:
            found = (self.folder / name).stat()
        except FileNotFoundError:  # or the process that fills the store has just removed it
            return False
        except OSError as error:
            raise unreadable(self.folder / name, error) from error
        return stat.S_ISREG(found.st_mode) and found.st_size == self.grid.chunk_bytes

    def missing(self) -> list[tuple[range, range]]:
        """Chunks that are not there, as `Grid.pieces` yields them."""
        present = self.present()
        return [piece for piece in self.grid.pieces() if self.grid.key(*piece) not in present]

    def first_missing(self) -> tuple[range, range] | None:
        """Return the first chunk that is not there or has another size."""
        has, key = self.has, self.grid.key
        return next((piece for piece in self.grid.pieces() if not has(key(*piece))), None)


def read_layout(path: str | Path) -> Layout:
    """Look at a store; nothing but its two small metadata files is read.

    Raises
    ------
    InputError
        If there is none, it is damaged, or its format is newer than this release can read.

    Parameters
    ----------
    path : path
        Of the store.

    Returns
    -------
    Layout
        Its attributes and the grid of its chunks.

    Examples
    --------
    >>> import tempfile
    >>> from spikedrop.network.graph import Layer, Network
    >>> from spikedrop.store import sample_to_store
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sample_to_store(folder + "/draws.zarr", network, [[1.0]], draws=100, seed=0)
    ...     layout = read_layout(folder + "/draws.zarr")
    ...     layout.grid.shape, layout.first_missing()
    ((100, 1, 1), None)
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: there is no store.")
    group = read_json(path / "zarr.json")
    attributes: Any = group.get("attributes")
    known = attributes.get("format") if isinstance(attributes, dict) else None
    if not isinstance(known, int) or isinstance(known, bool) or "kind" not in attributes:
        raise InputError(
            f"{path}: is a folder, but not a store of samples, or its zarr.json is damaged. Use "
            "another path."
        )
    if known > FORMAT:
        raise InputError(
            f"{path}: has format {known}, newer than format {FORMAT} that this release reads: "
            "update spikedrop."
        )
    grid = _grid(read_json(path / SAMPLES / "zarr.json"))
    if grid is None:
        raise _damaged(path, f"{SAMPLES}/zarr.json")
    sealed = attributes.pop(SEAL, None)
    if sealed is not None and sealed != seal(attributes, grid):  # older stores have none
        other = _grid(_copy_of(group, SAMPLES))
        intact = other is not None and sealed == seal(attributes, other)
        raise _damaged(path, f"{SAMPLES}/zarr.json" if intact else "zarr.json")
    return Layout(path, attributes, grid)


def seal(attributes: dict[str, Any], grid: Grid) -> str:
    """Return a checksum of the attributes and sizes, which JSON does not have (SHA-256)."""
    content = json.dumps([attributes, grid.shape, grid.chunk], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _damaged(path: Path, name: str) -> InputError:
    return InputError(
        f"{path / name}: is damaged, and with it what the samples are of. Put a copy of that file "
        f"back, or remove the folder {path} and sample again."
    )


def _copy_of(group: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the description of an array that the group holds, too."""
    try:
        found = group["consolidated_metadata"]["metadata"][name]
    except (KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _grid(samples: dict[str, Any]) -> Grid | None:
    """Return the sizes in a description of samples, or None if it is not one."""
    try:
        shape, chunk = samples["shape"], samples["chunk_grid"]["configuration"]["chunk_shape"]
        sizes = [*shape, *chunk]
        whole = len(shape) == len(chunk) == 3 and chunk[2] == shape[2]
        whole = whole and all(type(n) is int and 0 < n < 2**48 for n in sizes)
        grid = Grid(tuple(shape), tuple(chunk))
        return grid if whole and describes(samples, _described(grid)) else None
    except (KeyError, TypeError):
        return None


def describes(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Return whether metadata that were read say what they should, and nothing else."""
    # Zarr writes these, or not.
    nothing: dict[str, Any] = {"attributes": {}, "storage_transformers": []}
    return {**nothing, **found} == {**nothing, **expected}


def _described(grid: Grid) -> dict[str, Any]:
    """Return what the metadata of the samples say."""
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(grid.shape),
        "data_type": "float32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(grid.chunk)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": "NaN",
        "codecs": CODECS,
        "dimension_names": list(DIMENSIONS),
    }


def coordinate(name: str, n: int) -> dict[str, Any]:
    """Return what the metadata of a coordinate say."""
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [n],
        "data_type": "int64",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [n]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": 0,
        "codecs": CODECS,
        "dimension_names": [name],
    }


def read_json(file: Path) -> dict[str, Any]:
    """Read metadata, or raise `InputError`."""
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST_JSON + 1)
    except FileNotFoundError:
        raise InputError(
            f"{file}: is missing, so {file.parent} is not a store of samples; use another path."
        ) from None
    except OSError as error:
        raise InputError(
            f"{file}: cannot be read ({error.strerror}); make it readable, or use another path."
        ) from None
    if len(content) > LARGEST_JSON:
        raise InputError(f"{file}: is too large for the metadata of a store; use another path.")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise InputError(f"{file}: is damaged, it is not JSON; use another path.") from None
    if not isinstance(found, dict):
        raise InputError(f"{file}: does not describe a store; use another path.")
    return found


@contextlib.contextmanager
def locked(layout: Layout) -> Iterator[None]:
    """Hold a store, so that no other process fills it; a process that dies lets go.

    Raises
    ------
    InputError
        If another process holds it, at once.
    """
    with writing(layout.path):
        lock = _take(layout.folder)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def created(path: Path, attributes: dict[str, Any], grid: Grid) -> Iterator[Layout]:
    """Make a store and hold it.

    Raises
    ------
    InputError
        If another process was quicker.
    StoreError
        If it cannot be written.
    """
    _remove_unfinished(path)
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}.new")
    lock = None
    try:
        with writing(path):
            folder = new / SAMPLES
            folder.mkdir(parents=True)
            lock = _take(folder)
            _write_metadata(new, attributes, grid)
            _move(new, path)
        yield Layout(path, {"format": FORMAT, **attributes}, grid)
    finally:
        shutil.rmtree(new, ignore_errors=True)  # only where it was not renamed
        if lock is not None:
            lock.release()


def _write_metadata(new: Path, attributes: dict[str, Any], grid: Grid) -> None:
    attributes = {"format": FORMAT, **attributes}
    attributes[SEAL] = seal(attributes, grid)
    group = zarr.create_group(new, zarr_format=3, attributes=attributes, overwrite=False)
    group.create_array(
        SAMPLES,
        shape=grid.shape,
        chunks=grid.chunk,
        dtype="float32",
        fill_value=float("nan"),
        dimension_names=DIMENSIONS,
        **_plain(),
    )
    for name, n in zip(DIMENSIONS[:2], grid.shape[:2], strict=True):
        write_coordinate(group, name, n)
    with warnings.catch_warnings():  # Zarr 3 has not settled how; readers do without, too
        warnings.simplefilter("ignore", ZarrUserWarning)
        zarr.consolidate_metadata(new)


def write_coordinate(group: zarr.Group, name: str, n: int) -> None:
    """Write the numbers from 0 to n - 1 as a coordinate."""
    array = group.create_array(
        name, shape=(n,), chunks=(n,), dtype="int64", dimension_names=(name,), **_plain()
    )
    array[:] = np.arange(n)


def _plain() -> dict[str, Any]:
    """Return how all arrays are written: as they are, with a checksum."""
    return {
        "serializer": BytesCodec(endian="little"),
        "compressors": Crc32cCodec(),
        "filters": None,
        "chunk_key_encoding": {"name": "default", "separator": "."},
        "config": {"write_empty_chunks": True},  # also where all is 0
    }


def _move(new: Path, path: Path) -> None:
    try:
        new.rename(path)
    except OSError:
        if path.exists():
            raise InputError(f"{path}: another process has just made it; run again.") from None
        raise


def _take(folder: Path) -> FileLock:
    """Lock a folder of samples, and say in it who has."""
    lock, owner = FileLock(folder / ".lock", timeout=0), folder / ".owner"
    try:
        lock.acquire()
    except Timeout:
        try:
            who = owner.read_text(encoding="utf-8")[:200]
        except (OSError, ValueError):
            who = "another process"
        raise InputError(
            f"{folder.parent}: {who} is filling it; wait, or use another path."
        ) from None
    try:
        since = datetime.now().astimezone().isoformat(timespec="seconds")
        owner.write_text(
            f"process {os.getpid()} on {socket.gethostname()}, since {since},", encoding="utf-8"
        )
    except BaseException:  # passed on; whatever it was, the lock is not kept
        lock.release()
        raise
    return lock


def _remove_unfinished(path: Path) -> None:
    """Remove what processes have left that died while they made this store."""
    for folder in path.parent.glob(f".{glob.escape(path.name)}.*.new"):
        lock = FileLock(folder / SAMPLES / ".lock", timeout=0)
        try:
            with lock:
                shutil.rmtree(folder, ignore_errors=True)
        except (Timeout, OSError):
            continue  # somebody is at work in it, or has just removed it


def remove_partial(layout: Layout) -> None:
    """Remove the half-written files of processes that died."""
    with writing(layout.path):
        for file in layout.folder.glob("*.partial"):
            file.unlink(missing_ok=True)


def write(layout: Layout, values: np.ndarray, draws: range, rows: range) -> None:
    """Write one chunk, whole or not at all."""
    with writing(layout.path):
        array = layout.open_array()
        array[draws.start : draws.stop, rows.start : rows.stop] = values


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system says against writing into one clear error."""
    try:
        yield
    except OSError as error:
        where = error.filename or path
        raise StoreError(
            f"{where}: cannot be written ({error.strerror or error}). What is finished is kept; "
            "make room or mend it, and run the same again to go on."
        ) from error


def unreadable(file: Path, error: OSError) -> StoreError:
    """Return an error about a file of which is not known whether it is damaged."""
    return StoreError(
        f"{file}: cannot be read ({error.strerror or error}). Make it readable; where the disk has "
        "lost it, delete it and run the same sampling again."
    )
