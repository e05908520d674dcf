"""Fill a store with Dask: the workers sample and write their chunks themselves.

The model is a plugin of the workers: each gets it once, also one that joins late, and it is not
lost with any of them. Chunks are pure tasks; those of a lost worker are done again elsewhere, with
the same bytes.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Generator
from contextlib import ExitStack
from typing import Any

import dask
import numpy as np
import zarr
from distributed import Client, Future, KilledWorker, Worker, WorkerPlugin, get_worker, wait
from zarr.storage import MemoryStore

from spikedrop.errors import InputError, StoreError
from spikedrop.network.inputs import check_rows
from spikedrop.store.fingerprint import versions
from spikedrop.store.inputs import is_dask, read_rows
from spikedrop.store.job import Job, opened
from spikedrop.store.layout import Layout, write

__all__: list[str] = []

Piece = tuple[range, range]
AHEAD = 2  # tasks in flight for each worker: one that runs, one that waits
LARGEST_ROWS = "1 GB"  # that may go with a task without Dask's advice against it


class Model(WorkerPlugin):
    """A job, kept on a worker; its network goes to the backend when the first chunk is done."""

    def __init__(self, job: Job, layout: Layout) -> None:
        """Keep what to do and where to write."""
        self.job = job
        self.layout = layout

    def setup(self, worker: Worker) -> None:
        """Start without the backend, which takes seconds to import."""
        self.address = worker.address
        self.sample: Any = None
        self.open = ExitStack()
        self.one_at_a_time = threading.Lock()  # the engine has threads of its own

    def teardown(self, worker: Worker) -> None:
        """Close the backend."""
        self.open.close()

    def do(self, draws: range, rows: range, x: np.ndarray | zarr.Array) -> None:
        """Sample a chunk and write it; `x` holds its rows, or all where they are read here."""
        layout, job = self.layout, self.job
        if not layout.folder.is_dir():
            raise StoreError(
                f"{layout.path}: worker {self.address} does not see it; use a folder that all "
                "machines share."
            )
        if layout.has(layout.grid.key(draws, rows)):
            return  # the worker that wrote it was lost before it could say so
        if layout.attributes["versions"] != (here := versions(job.backend)):
            raise InputError(
                f"worker {self.address} has {here}; the store was created with "
                f"{layout.attributes['versions']}: install the same everywhere."
            )
        with self.one_at_a_time:
            if self.sample is None:
                self.sample = self.open.enter_context(opened(job, layout.grid.shape[1]))
            shown = read_rows(x, rows) if isinstance(x, zarr.Array) else x
            shown = check_rows(job.network.inputs, shown, rows.start)
            values = self.sample(shown, draws, rows)
        write(layout, values, draws, rows)


def do_chunk(name: str, draws: range, rows: range, x: np.ndarray | zarr.Array) -> None:
    """Do a chunk on a worker that has the model of that name."""
    plugin: Any = get_worker().plugins[name]
    plugin.do(draws, rows, x)


def fill_by(
    client: Client, layout: Layout, job: Job, x: Any, waiting: list[Piece]
) -> Generator[Piece, None, None]:
    """Have the workers do chunk after chunk; yield each when it is written."""
    if not waiting:
        return
    # One name a store: after a driver was killed the next one takes the place of its model.
    name = "spikedrop-" + hashlib.sha256(str(layout.path).encode()).hexdigest()[:16]
    client.register_plugin(Model(job, layout), name=name)
    flying: dict[Future, Piece] = {}
    pieces = iter(waiting)
    try:
        while True:
            while len(flying) < AHEAD * max(1, len(client.nthreads())):
                piece = next(pieces, None)
                if piece is None:
                    break
                flying[_submit(client, name, x, piece)] = piece
            if not flying:
                return
            for future in wait(list(flying), return_when="FIRST_COMPLETED").done:
                piece = flying.pop(future)
                try:
                    future.result()
                except KilledWorker as error:
                    raise StoreError(
                        f"{layout.path}: several workers died over the same chunk ({error}). They "
                        "may need more memory; run the same again to go on."
                    ) from None
                yield piece
    finally:
        client.cancel(list(flying))
        client.unregister_worker_plugin(name)


def _submit(client: Client, name: str, x: Any, piece: Piece) -> Future:
    draws, rows = piece
    if is_dask(x):
        part = client.compute(x[rows.start : rows.stop])  # stays on the cluster
    elif isinstance(x, zarr.Array) and not isinstance(x.store, MemoryStore):
        part = x  # a reference; the worker reads its rows
    else:
        part = read_rows(x, rows)
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": LARGEST_ROWS}):
        return client.submit(do_chunk, name, draws, rows, part, pure=False)
