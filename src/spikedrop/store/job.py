"""What a store is asked to hold: a job, cut into the chunks that are done one at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikedrop.checks.arguments import whole_number
from spikedrop.conversion import Conversion
from spikedrop.engines.backends import Presentation, Ran, backend_of
from spikedrop.engines.compiled import chunks
from spikedrop.engines.saturation import REMEDY, Saturation
from spikedrop.errors import InputError
from spikedrop.masks import BLOCK_ROWS, Scope
from spikedrop.network.graph import Network
from spikedrop.network.kinds import kind_of
from spikedrop.sampling.ann import ann_sampler
from spikedrop.sampling.checks import check_job
from spikedrop.sampling.sampler import Sampler, fill
from spikedrop.sampling.snn import check_presentation, snn_sampler, timing_of
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
    backend: str
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
        attributes: dict[str, Any] = {
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
            attributes |= {
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
                attributes["synapse_s"] = float(conversion.synapse_s)
            if conversion.readout != "mean":
                attributes["readout"] = conversion.readout
        return attributes


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
    backend: str = "engine",
) -> Job:
    """Check the settings of a job; see `sample_to_store`."""
    seed, numbers = check_job(network, draws=draws, seed=seed, scope=scope, memory_gb=memory_gb)
    used = backend_of(backend)
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
    used.require()  # before a store is made
    timing = (steps, settle)
    job = Job(network, conversion, len(numbers), seed, *timing, scope, backend, memory_gb)
    next(chunks(network, 1, range(1), memory_gb, timed=job.timed))  # refuses too little memory
    return job


Sample = Callable[[np.ndarray, range, range], np.ndarray]


@contextmanager
def opened(job: Job, observations: int) -> Iterator[Sample]:
    """Open ``sample(x, draws, rows)``: some draws of some of the job's `observations`.

    `x` holds those observations alone, axes (observation, feature), float32; `rows` are their
    numbers in the job. The samples have axes (draw, observation, output), float32, all finite. At
    the end the chunk whose neurons are driven farthest beyond full scale is warned of.
    """
    loudest = Saturation(job.network, range(1))

    def sample(x: np.ndarray, draws: range, rows: range) -> np.ndarray:
        nonlocal loudest
        filled = fill(sampler, x, draws, first_row=rows.start)
        loudest = max(loudest, filled.saturation, key=lambda one: one.loudness)
        return filled.outputs

    with _sampler(job, min(observations, BLOCK_ROWS)) as sampler:
        yield sample
    loudest.warn(REMEDY)


def _sampler(job: Job, rows: int) -> AbstractContextManager[Sampler[Ran]]:
    if job.conversion is None:
        return nullcontext(ann_sampler(job.network, job.seed, job.scope, job.memory_gb))
    asked = Presentation(job.network, job.conversion, job.steps, job.settle, rows)
    return snn_sampler(asked, job.seed, job.scope, job.backend, job.memory_gb)


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
    engine = backend_of(job.backend).stacks
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
        * (int(np.prod(network.shapes[layer.name][:-1])) if kind_of(layer).slides else 1)
        for layer in network.layers
        if layer.weights is not None
    )
