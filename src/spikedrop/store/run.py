"""Fill a store, chunk by chunk."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from spikedrop.checks.arguments import path_of, whole_number, yes_or_no
from spikedrop.conversion import Conversion
from spikedrop.errors import InputError
from spikedrop.masks import Scope
from spikedrop.network.graph import Network
from spikedrop.network.inputs import check_rows
from spikedrop.store.damage import chunk_fault, mend_coordinates, refuse_folder
from spikedrop.store.inputs import as_source, check_all, read_rows
from spikedrop.store.job import Grid, Job, make_grid, make_job, opened
from spikedrop.store.layout import (
    Layout,
    created,
    locked,
    read_layout,
    remove_partial,
    write,
    writing,
)

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["sample_to_store"]

Piece = tuple[range, range]


def sample_to_store(
    path: str | Path,
    network: Network,
    x: Any,
    *,
    draws: int,
    seed: int,
    conversion: Conversion | None = None,
    steps: int = 200,
    settle: int | None = None,
    scope: Scope = "draw",
    backend: str = "engine",
    chunk: int | None = None,
    client: Client | None = None,
    memory_gb: float = 1.0,
    progress: bool | None = None,
) -> None:
    """Sample into a folder, with the values of `sample_ann` or `sample_snn`, in bounded memory.

    Stopped at any moment, also by ``kill -9`` or a full disk, the same call resumes: chunks that
    are finished are kept, and the result has the same bytes as without a stop. Their size, the
    memory, the number of threads and of workers change no value. The last bits may depend on the
    kind of processor, so let the machines of one job be alike.

    Parameters
    ----------
    path : path
        Folder of the store, to be made or to go on with; its parent must exist. With a `client`
        all workers must reach it under that path.
    network : Network
    x : array
        Axes ``(observation, *shape of the input)`` or (observation, feature): a NumPy array, a
        `numpy.memmap`, a `zarr.Array` or a `dask.array.Array`, none of which is read as a whole;
        anything else as for `sample_ann`.
    draws, seed, scope, memory_gb, progress : see `sample_ann`
        Memory is that of each process.
    conversion : Conversion, optional
        From `calibrate`: sample the spiking network. Without, the classical one.
    steps, settle, backend : see `sample_snn`
        The backend is the spiking network's; all but the engine are for comparison, and slow.
    chunk : int, optional
        Observations in a chunk of a new store; by default such that a chunk takes seconds. A store
        that is there keeps its own. Backends other than the engine work on blocks of 128
        observations, and a chunk is whole blocks.
    client : dask.distributed.Client, optional
        Whose workers do the work. The model goes to each worker once; rows go with each task, and
        blocks of a Dask array and of a Zarr array on disk do not pass through this process. Each
        worker process works on one chunk at a time, with all threads that it may use.

    Raises
    ------
    InputError
        If an argument cannot be used, `x` holds NaN, `path` holds samples of another model, other
        inputs or settings, or another process is filling it. Nothing has been written then.
    StoreError
        If a chunk cannot be written or workers died; the store can be opened with ``partial=True``.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer
    >>> from spikedrop.store import open_samples
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sample_to_store(folder + "/draws.zarr", network, [[1.0]], draws=100, seed=0)
    ...     samples = open_samples(folder + "/draws.zarr")
    ...     samples.sizes, sorted(set(samples.values.ravel().tolist()))
    (Frozen({'draw': 100, 'observation': 1, 'output': 1}), [0.0, 4.0])
    """
    path = path_of("path", path).absolute()
    if client is not None and not hasattr(client, "asynchronous"):
        raise InputError(
            f"client is of type {type(client).__name__}; give a dask.distributed.Client."
        )
    if client is not None and client.asynchronous:
        raise InputError("client is asynchronous: give one made with asynchronous=False.")
    if progress is not None:
        yes_or_no("progress", progress)
    if chunk is not None:
        whole_number("chunk", chunk, least=1)
    job = make_job(
        network,
        conversion,
        draws=draws,
        seed=seed,
        steps=steps,
        settle=settle,
        scope=scope,
        backend=backend,
        memory_gb=memory_gb,
    )
    x = as_source(network, x)
    grid = make_grid(job, x.shape[0], chunk)
    with _held(path, job, x, grid, client) as layout:
        remove_partial(layout)
        mend_coordinates(layout)
        waiting = unfinished(layout)
        if client is None:
            run = fill(layout, job, x, waiting)
        else:
            from spikedrop.store.cluster import fill_by  # Dask is needed from here on, not before

            run = fill_by(client, layout, job, x, waiting)
        size = {piece: len(piece[0]) * len(piece[1]) for piece in waiting}
        total = job.draws * x.shape[0]
        with (
            tqdm(
                total=total,
                initial=total - sum(size.values()),
                desc=job.kind,
                unit=" presentations",
                unit_scale=True,
                disable=None if progress is None else not progress,
            ) as bar,
            contextlib.closing(run),
        ):
            for piece in run:
                bar.update(size[piece])


@contextlib.contextmanager
def _held(path: Path, job: Job, x: Any, grid: Grid, client: Client | None) -> Iterator[Layout]:
    """Hold the store of a job, which is made if it is not there, after all checks."""
    if path.exists():
        layout = read_layout(path)
        with locked(layout):
            _check_same(layout, job.attributes(check_all(job.network, x, client)), grid)
            yield layout
        return
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}; make it first.")
    attributes = job.attributes(check_all(job.network, x, client))
    with created(path, attributes, grid) as layout:
        yield layout


def _check_same(layout: Layout, attributes: dict[str, Any], grid: Grid) -> None:
    """Refuse a store of other samples, and name what differs."""
    words = {
        "model_sha256": "the model",
        "inputs_sha256": "x",
        "conversion_sha256": "the conversion",
    }
    there = {**layout.attributes, **_sizes(layout.grid)}
    asked = {**attributes, **_sizes(grid)}
    compared = ["kind", "seed", "scope", "draws", "observations", *words, "masks", "versions"]
    if there.get("kind") == asked["kind"]:
        compared += ["steps", "settle", "backend"]
    else:
        compared.remove("conversion_sha256")  # only one of the two has it
    differ = [
        f"{words[name]} is another"
        if name in words
        else f"{name} is {there.get(name)} there and {asked.get(name)} here"
        for name in compared
        if there.get(name) != asked.get(name)
    ]
    if differ:
        raise InputError(
            f"{layout.path}: holds other samples ({'; '.join(differ)}). Use another path, or what "
            "it was created with."
        )


def _sizes(grid: Grid) -> dict[str, int]:
    return {"draws": grid.shape[0], "observations": grid.shape[1]}


def unfinished(layout: Layout) -> list[Piece]:
    """Return the chunks to be done, the damaged among them, whose files are removed."""
    pieces = list(layout.grid.pieces())
    with ThreadPoolExecutor() as pool:
        faults = list(pool.map(partial(chunk_fault, layout), pieces))
    waiting = {
        layout.folder / layout.grid.key(*piece): piece
        for piece, fault in zip(pieces, faults, strict=True)
        if fault
    }
    for file, fault in zip(waiting, filter(None, faults), strict=True):
        refuse_folder(file, fault)
    with writing(layout.path):
        for file in waiting:
            file.unlink(missing_ok=True)
    return list(waiting.values())


def fill(layout: Layout, job: Job, x: Any, waiting: list[Piece]) -> Generator[Piece, None, None]:
    """Do chunk after chunk in this process; yield each when it is written."""
    if not waiting:
        return
    with opened(job, layout.grid.shape[1]) as sample:
        for draws, rows in waiting:
            shown = check_rows(job.network.inputs, read_rows(x, rows), rows.start)
            write(layout, sample(shown, draws, rows), draws, rows)
            yield draws, rows
