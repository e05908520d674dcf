"""What a store is asked to hold: a job, cut into the chunks that are done one at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikedrop.checks.arguments import one_of, whole_number
from spikedrop.conversion import Conversion
from spikedrop.engines.compiled import chunks, load, run_ann, run_snn
from spikedrop.engines.saturation import REMEDY, Saturation, Shares
from spikedrop.errors import InputError
from spikedrop.masks import BLOCK_ROWS, Scope, blocks, network_masks, stacked_masks
from spikedrop.network.graph import Network
from spikedrop.sampling.samples import check_finite, check_job, rows_of_masks
from spikedrop.sampling.snn import (
    BACKENDS,
    Backend,
    check_presentation,
    make_simulator,
    timing_of,
)
from spikedrop.store import fingerprint

__all__ = ["CHUNK_VALUES", "Grid"]

SECONDS = 10.0  # that a chunk takes by default, on two cores of a laptop
WEIGHTS_PER_SECOND = {"steps": 1e11, "once": 2e10}  # that two such cores get through
CHUNK_VALUES = 2**21  # samples in a chunk by default, at most: 8 MiB; and features of its inputs
CHUNK_DRAWS = 512  # of the engine
SLOW_DRAWS = 8  # of other backends
ROUND = 128  # the rows that the engine likes

MASKS = (
    "m = z / (1 - p), z ~ Bernoulli(1 - p) (family gaussian: m ~ N(1, p / (1 - p))); numbers of "
    "Philox 4x64, key (seed, layer), counter (block, 0 or 1 for scope row, draw, 0): "
    "spikedrop.masks.layer_mask"
)


@dataclass(frozen=True, eq=False)
class Job:
    """What to sample, as `sample_to_store` takes it, checked.

    Attributes
    ----------
    network : Network
    conversion : Conversion or None
        None for the classical network.
    draws, seed, steps, settle, scope, backend, memory_gb : see `sample_to_store`
    """

    network: Network
    conversion: Conversion | None
    draws: int
    seed: int
    steps: int
    settle: int
    scope: Scope
    backend: Backend
    memory_gb: float

    @property
    def kind(self) -> str:
        """Return ``ann`` or ``snn``."""
        return "ann" if self.conversion is None else "snn"

    @property
    def timed(self) -> bool:
        """Whether neurons fire while they integrate, step by step."""
        return self.conversion is not None and not self.conversion.windowed

    def attributes(self, inputs_sha256: str) -> dict[str, Any]:
        """Return what is written beside the samples: all that they follow from, plain values."""
        told: dict[str, Any] = {
            "kind": self.kind,
            "seed": self.seed,
            "scope": self.scope,
            "masks": MASKS,
            "model_sha256": fingerprint.of_network(self.network),
            "inputs_sha256": inputs_sha256,
            "versions": fingerprint.versions(self.backend),
        }
        if self.conversion is not None:
            conversion = self.conversion
            told |= {
                "conversion_sha256": fingerprint.of_conversion(conversion),
                "steps": self.steps,
                "settle": self.settle,
                "backend": self.backend,
                "neuron": conversion.neuron,
                "initial_charge": float(conversion.initial_charge),
                "dt": float(conversion.dt),
                "scales_hz": [float(np.mean(scale)) for scale in conversion.scales_hz],
            }
            if conversion.synapse_s is not None:
                told["synapse_s"] = float(conversion.synapse_s)
            if conversion.readout != "mean":
                told["readout"] = conversion.readout
        return told


def make_job(
    network: Network,
    conversion: Conversion | None,
    *,
    draws: int,
    seed: int,
    steps: int,
    settle: int | None,
    scope: Scope,
    memory_gb: float,
    backend: Backend = "engine",
) -> Job:
    """Check the settings of a job; see `sample_to_store`."""
    seed, numbers = check_job(network, draws=draws, seed=seed, scope=scope, memory_gb=memory_gb)
    one_of("backend", backend, BACKENDS)
    if conversion is None:
        if backend != "engine":
            raise InputError(
                f"backend={backend!r} runs spiking networks: give a conversion, or leave backend "
                "out."
            )
        steps, settle = 0, 0
    else:
        steps, settle = timing_of(conversion, steps, settle, backend)
        check_presentation(network, conversion, steps, settle, backend=backend)
    if backend in fingerprint.SIMULATORS:
        import spikedrop.engines.nengo_door  # noqa: F401  refuses before a store is made
    timing = (steps, settle)
    job = Job(network, conversion, len(numbers), seed, *timing, scope, backend, memory_gb)
    next(chunks(network, 1, range(1), memory_gb, timed=job.timed))  # refuses too little memory
    return job


Sample = Callable[[np.ndarray, range, range], np.ndarray]
Measured = Callable[[np.ndarray, range, range, Saturation], np.ndarray]


@contextmanager
def opened(job: Job, observations: int) -> Iterator[Sample]:
    """Open ``sample(x, draws, rows)``: some draws of some of the job's `observations`.

    `x` holds those observations alone, axes (observation, feature), float32; `rows` are their
    numbers in the job. The samples have axes (draw, observation, output), float32, all finite. At
    the end the chunk whose neurons are driven farthest beyond full scale is warned of.
    """
    loudest = Saturation(job.network, range(1))

    def checked(x: np.ndarray, draws: range, rows: range) -> np.ndarray:
        nonlocal loudest
        saturation = Saturation(job.network, rows)
        values = check_finite(sample(x, draws, rows, saturation), draws, rows, job.backend)
        loudest = max(loudest, saturation, key=lambda one: one.loudness)
        return values

    with (
        nullcontext(_engine(job))
        if job.backend == "engine"
        else _simulated(job, observations) as sample
    ):
        yield checked
    loudest.warn(REMEDY)


@contextmanager
def _simulated(job: Job, observations: int) -> Iterator[Measured]:
    """Open another backend, one draw of at most one block of observations at a time."""
    shares: Shares = {}
    assert job.conversion is not None  # other backends run spiking networks only
    with make_simulator(
        job.network,
        job.conversion,
        rows=min(observations, BLOCK_ROWS),
        steps=job.steps,
        settle=job.settle,
        backend=job.backend,
        shares=shares,
    ) as simulator:

        def sample(x: np.ndarray, draws: range, rows: range, saturation: Saturation) -> np.ndarray:
            values = np.empty((len(draws), len(rows), job.network.n_outputs), np.float32)
            for i, draw in enumerate(draws):
                for part in blocks(len(rows)):
                    numbers = range(rows.start + part.start, rows.start + part.stop)
                    which = rows_of_masks(job.scope, numbers)
                    masks = network_masks(job.network, job.seed, draw, which)
                    readout, _ = simulator(x[part.start : part.stop], masks)
                    values[i, part.start : part.stop] = readout
                    saturation.add(shares, 1, numbers)
            return values

        yield sample


def _engine(job: Job) -> Measured:
    """Hand the job's network to the engine."""
    loaded = load(job.network, job.conversion)

    def sample(x: np.ndarray, draws: range, rows: range, saturation: Saturation) -> np.ndarray:
        values = np.empty((len(draws), len(rows), job.network.n_outputs), np.float32)
        shares: Shares = {}
        for some, part in chunks(job.network, len(rows), draws, job.memory_gb, timed=job.timed):
            numbers = range(rows.start + part.start, rows.start + part.stop)
            masks = stacked_masks(job.network, job.seed, some, rows_of_masks(job.scope, numbers))
            shown = x[part.start : part.stop]
            if job.conversion is None:
                found = run_ann(loaded, shown, masks, len(some))
            else:
                timing: dict[str, Any] = {"steps": job.steps, "settle": job.settle}
                found, _, _ = run_snn(
                    loaded, shown, masks, len(some), **timing, keep_counts=False, shares=shares
                )
                saturation.add(shares, len(some), numbers)
            here = slice(some.start - draws.start, some.stop - draws.start)
            values[here, part.start : part.stop] = found
        return values

    return sample


@dataclass(frozen=True)
class Grid:
    """How the samples of a store are cut into chunks.

    Attributes
    ----------
    shape : tuple of int
        Draws, observations, outputs.
    chunk : tuple of int
        The same of one chunk; all outputs are in one.

    Examples
    --------
    >>> grid = Grid((3, 5, 1), (2, 4, 1))
    >>> grid.count, list(grid.pieces())[-1]
    (4, (range(2, 3), range(4, 5)))
    >>> grid.key(range(2, 3), range(4, 5))
    'c.1.1.0'
    >>> grid.has("c.1.1.0"), grid.has("c.1.2.0"), grid.has("c.1.1.0f3e.partial")
    (True, False, False)
    """

    shape: tuple[int, int, int]
    chunk: tuple[int, int, int]

    @property
    def count(self) -> int:
        """Number of chunks."""
        along = [-(-n // size) for n, size in zip(self.shape, self.chunk, strict=True)]
        return along[0] * along[1] * along[2]

    @property
    def chunk_bytes(self) -> int:
        """Size of a chunk's file: its values, and a checksum."""
        return 4 * self.chunk[0] * self.chunk[1] * self.chunk[2] + 4

    def pieces(self) -> Iterator[tuple[range, range]]:
        """Yield the draws and observations of every chunk, all draws of some observations first."""
        for row in range(0, self.shape[1], self.chunk[1]):
            for draw in range(0, self.shape[0], self.chunk[0]):
                yield self.piece(draw // self.chunk[0], row // self.chunk[1])

    def piece(self, i: int, j: int) -> tuple[range, range]:
        """Return the draws and observations of the chunk ``c.i.j.0``."""
        draw, row = i * self.chunk[0], j * self.chunk[1]
        return (
            range(draw, min(draw + self.chunk[0], self.shape[0])),
            range(row, min(row + self.chunk[1], self.shape[1])),
        )

    def key(self, draws: range, rows: range) -> str:
        """Name of a chunk's file."""
        return f"c.{draws.start // self.chunk[0]}.{rows.start // self.chunk[1]}.0"

    def has(self, name: str) -> bool:
        """Tell whether a file of that name is one of the chunks."""
        match = re.fullmatch(r"c\.(\d{1,15})\.(\d{1,15})\.0", name)
        return match is not None and all(
            int(number) * size < n
            for number, size, n in zip(match.groups(), self.chunk[:2], self.shape[:2], strict=True)
        )


def make_grid(job: Job, observations: int, chunk: int | None) -> Grid:
    """Cut a job so that a chunk takes seconds; `chunk` sets its observations.

    For other backends than the engine they are whole blocks, so that no bit depends on the cut.

    Raises
    ------
    InputError
        If `chunk` is not a positive whole number.
    """
    engine = job.backend == "engine"
    most_draws = CHUNK_DRAWS if engine else SLOW_DRAWS
    draws = -(-job.draws // -(-job.draws // most_draws))  # even
    if chunk is None and not engine:
        chunk = BLOCK_ROWS
    elif chunk is None:
        passes, rate = (job.steps, "steps") if job.timed else (1, "once")
        seconds = passes * _synapses(job.network) / WEIGHTS_PER_SECOND[rate]
        most = min(SECONDS / seconds, CHUNK_VALUES / job.network.n_outputs)
        chunk = int(max(1, min(most / draws, CHUNK_VALUES / job.network.n_inputs)))
        chunk -= chunk % ROUND if chunk > ROUND else 0
    chunk = whole_number("chunk", chunk, least=1)
    if not engine:
        chunk = -(-chunk // BLOCK_ROWS) * BLOCK_ROWS
    outputs = job.network.n_outputs
    return Grid((job.draws, observations, outputs), (draws, min(chunk, observations), outputs))


def _synapses(network: Network) -> int:
    """Multiplications of one pass: weights, times the positions they slide over."""
    return sum(
        layer.weights.size
        * (int(np.prod(network.shapes[layer.name][:-1])) if layer.op == "conv" else 1)
        for layer in network.layers
        if layer.weights is not None
    )
