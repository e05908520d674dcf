"""What a store looks like on disk, and how it comes to be: whole, or not at all.

    draws.zarr/zarr.json             a Zarr 3 group; attributes: `format`, and what the samples follow from
              /draw, /observation    coordinates, int64
              /samples/zarr.json     float32, axes (draw, observation, output)
              /samples/c.i.j.0       a chunk and its checksum (CRC-32C), uncompressed
              /samples/.lock, .owner whoever fills the store holds the one and is named in the other

A chunk's file is written under another name and then renamed (`zarr.storage.LocalStore` since Zarr
3.1.3), so a file of that name is complete unless the disk itself has lost it; size and checksum
tell. A new store is made in a hidden folder beside its place and renamed, too.
"""  # noqa: E501

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import zarr
from filelock import FileLock, Timeout
from zarr.codecs import BytesCodec, Crc32cCodec
from zarr.errors import ZarrUserWarning

from spikedrop.errors import InputError, StoreError
from spikedrop.store.work import Grid

FORMAT = 1  # of the folder; raise it when older releases could no longer read it
DIMENSIONS = ("draw", "observation", "output")
SAMPLES = "samples"
CODECS = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
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
    attributes: dict[str, object]
    grid: Grid

    @property
    def folder(self) -> Path:
        """Where the chunks lie."""
        return self.path / SAMPLES

    def open_array(self) -> zarr.Array:
        """Open the samples to read and write."""
        return zarr.open_array(self.folder, mode="r+", config={"write_empty_chunks": True})

    def present(self) -> set[str]:
        """Names of the chunks whose files are there and have the right size."""
        return {name for name in os.listdir(self.folder) if self.grid.has(name) and self.has(name)}

    def has(self, name: str) -> bool:
        """Tell whether the file of a chunk is there and has the right size."""
        try:
            return (self.folder / name).stat().st_size == self.grid.chunk_bytes
        except FileNotFoundError:  # or the process that fills the store has just removed it
            return False

    def missing(self) -> list[tuple[range, range]]:
        """Chunks that are not there, as `Grid.pieces` yields them."""
        present = self.present()
        return [piece for piece in self.grid.pieces() if self.grid.key(*piece) not in present]


def read_layout(path: str | Path) -> Layout:
    """Look at a store; nothing but its two small metadata files is read.

    Raises
    ------
    InputError
        If there is none, it is damaged, or its format is newer than this release can read.
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: there is no store.")
    group = _read_json(path / "zarr.json")
    attributes = group.get("attributes")
    known = attributes.get("format") if isinstance(attributes, dict) else None
    if not isinstance(known, int) or isinstance(known, bool) or "kind" not in attributes:
        raise InputError(f"{path}: is a folder, but no store of samples; use another path.")
    if known > FORMAT:
        raise InputError(
            f"{path}: has format {known}, newer than format {FORMAT} that this release reads: "
            "update spikedrop."
        )
    samples = _read_json(path / SAMPLES / "zarr.json")
    try:
        shape, chunk = samples["shape"], samples["chunk_grid"]["configuration"]["chunk_shape"]
        sizes = [*shape, *chunk]
        whole = len(shape) == len(chunk) == 3 and chunk[2] == shape[2]
        whole = whole and all(type(n) is int and 0 < n < 2**48 for n in sizes)
        whole = whole and _described(Grid(tuple(shape), tuple(chunk))).items() <= samples.items()
    except (KeyError, TypeError):
        whole = False
    if not whole:
        raise InputError(f"{path}: is damaged, {SAMPLES}/zarr.json does not describe samples.")
    return Layout(path, attributes, Grid(tuple(shape), tuple(chunk)))


def _described(grid: Grid) -> dict[str, object]:
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


def _read_json(file: Path) -> dict[str, object]:
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST_JSON + 1)
    except FileNotFoundError:
        raise InputError(
            f"{file.parent}: holds no zarr.json, so it is no store of samples; use another path."
        ) from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}).") from None
    if len(content) > LARGEST_JSON:
        raise InputError(f"{file}: is no metadata of a store, it is too large.")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise InputError(f"{file}: is damaged, it is not JSON.") from None
    if not isinstance(found, dict):
        raise InputError(f"{file}: is damaged, it does not describe a part of a store.")
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
def created(path: Path, attributes: dict[str, object], grid: Grid) -> Iterator[Layout]:
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


def _write_metadata(new: Path, attributes: dict[str, object], grid: Grid) -> None:
    group = zarr.create_group(
        new, zarr_format=3, attributes={"format": FORMAT, **attributes}, overwrite=False
    )
    plain = {
        "serializer": BytesCodec(endian="little"),
        "compressors": Crc32cCodec(),
        "filters": None,
        "chunk_key_encoding": {"name": "default", "separator": "."},
        "config": {"write_empty_chunks": True},  # also where all is 0
    }
    group.create_array(
        SAMPLES,
        shape=grid.shape,
        chunks=grid.chunk,
        dtype="float32",
        fill_value=float("nan"),
        dimension_names=DIMENSIONS,
        **plain,
    )
    for name, n in zip(DIMENSIONS[:2], grid.shape[:2], strict=True):
        array = group.create_array(
            name, shape=(n,), chunks=(n,), dtype="int64", dimension_names=(name,), **plain
        )
        array[:] = np.arange(n)
    with warnings.catch_warnings():  # Zarr 3 has not settled how; readers do without, too
        warnings.simplefilter("ignore", ZarrUserWarning)
        zarr.consolidate_metadata(new)


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
    except BaseException:
        lock.release()
        raise
    return lock


def _remove_unfinished(path: Path) -> None:
    """Remove what processes have left that died while they made this store."""
    for folder in path.parent.glob(f".{glob_escaped(path.name)}.*.new"):
        lock = FileLock(folder / SAMPLES / ".lock", timeout=0)
        try:
            with lock:
                shutil.rmtree(folder, ignore_errors=True)
        except (Timeout, OSError):
            continue  # somebody is at work in it, or has just removed it


def glob_escaped(name: str) -> str:
    """Take a name literally in a pattern.

    >>> glob_escaped("a[1]*.zarr")
    'a[[]1][*].zarr'
    """
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)


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
        raise StoreError(
            f"{path}: cannot be written ({error.strerror or error}). What is finished is kept; "
            "make room or mend it, and run the same again to go on."
        ) from error
