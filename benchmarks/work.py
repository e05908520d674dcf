"""The work that every simulator is given, and how a figure is written down."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from joblib import cpu_count

from spikedrop.conversion import Conversion, calibrate
from spikedrop.masks import network_masks
from spikedrop.network import Layer, Network

BACKEND = os.environ.get("BENCH_BACKEND", "engine")  # "numpy" to try the benchmarks themselves
STEPS = 50
INPUTS = 54
RATE_HZ = 500.0
DROPOUT = 0.1
SEED = 0
FOLDER = "_build"


@dataclass(frozen=True, eq=False)
class Job:
    """One network and the presentations asked of it."""

    network: Network
    conversion: Conversion
    x: np.ndarray
    draws: int
    steps: int = STEPS

    @property
    def presentations(self) -> int:
        """Rows times draws."""
        return len(self.x) * self.draws

    @property
    def synapses(self) -> int:
        """Return all weights of the network."""
        return sum(layer.weights.size for layer in self.network.layers if layer.weights is not None)

    def masks(self) -> list[np.ndarray]:
        """Return the masks of the hidden layers, each with axes (draw, unit)."""
        every = [network_masks(self.network, SEED, draw) for draw in range(self.draws)]
        return [
            np.concatenate([masks[layer.name] for masks in every]) for layer in self.network.hidden
        ]


def random_job(
    width: int,
    rows: int,
    draws: int,
    *,
    depth: int = 3,
    steps: int = STEPS,
    inputs: int = INPUTS,
) -> Job:
    """Make a network with random He weights, converted at `RATE_HZ`, and inputs for it."""
    rng = np.random.default_rng(SEED)

    def layer(name: str, n_in: int, n_out: int, dropout: float) -> Layer:
        weights = rng.normal(0, np.sqrt(2 / n_in), (n_in, n_out)).astype(np.float32)
        return Layer(name, weights, np.zeros(n_out, np.float32), dropout)

    sizes = [inputs] + [width] * depth
    hidden = tuple(layer(f"h{i + 1}", sizes[i], sizes[i + 1], DROPOUT) for i in range(depth))
    network = Network.chain(hidden, layer("y", width, 1, 0.0))
    x = rng.normal(size=(rows, inputs)).astype(np.float32)
    train = rng.normal(size=(1000, inputs)).astype(np.float32)
    conversion = calibrate(network, train, rate_hz=RATE_HZ, neuron="charge_keeping")
    return Job(network, conversion, x, draws, steps)


def seconds(run: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def interleaved(runs: list[Callable[[], object]], repeats: int) -> list[float]:
    """Warm every run up, then time them in turns; return the median seconds of each.

    In turns, so that a machine that slows down slows all of them.
    """
    for run in runs:
        run()
    times = [[seconds(run) for run in runs] for _ in range(repeats)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def figure(
    name: str, value: float | None, unit: str, bar: str | None, **more: object
) -> dict[str, object]:
    """Return one entry of ``bench.json``."""
    rounded = None if value is None else float(f"{value:.4g}")
    return {"name": name, "value": rounded, "unit": unit, "bar": bar, **more}


def cores() -> int:
    """Return how many cores this process may use."""
    return cpu_count()
