"""The network of the CANDLE Combo benchmark, whole: towers, shared weights, concatenation.

The gene tower has 3 x 1000 units, one drug tower of 3 x 1000 serves both drugs, 3 x 1000 follow
their concatenation; dropout after every hidden layer. The sizes are those of the published
benchmark (https://github.com/ECP-CANDLE/Benchmarks, Pilot1/Combo), the weights random.
"""

from __future__ import annotations

import json
import time

import numpy as np

import spikedrop as sd
from benchmarks.speed import floor_runs, peak_gb
from benchmarks.work import DROPOUT, RATE_HZ, SEED, STEPS, figure, interleaved
from spikedrop.network import Layer, Network

GENES, DESCRIPTORS, UNITS = 942, 3820, 1000
ROWS, DRAWS = 256, 20
CHUNK = (128, 10)  # rows and draws that the engine works on at a time in this job
MEMORY_GB = 4.0


def combo_network() -> Network:
    """Build the network, 13,772,001 parameters."""
    rng = np.random.default_rng(SEED)

    def weights(n_in: int, n_out: int) -> tuple[np.ndarray, np.ndarray]:
        drawn = rng.normal(0, np.sqrt(2 / n_in), (n_in, n_out))
        return drawn.astype(np.float32), np.zeros(n_out, np.float32)

    def tower(name: str, source: str, parts: list[tuple[np.ndarray, np.ndarray]]) -> list[Layer]:
        names = [source, *(f"{name}{i + 1}" for i in range(len(parts)))]
        return [
            Layer(names[i + 1], *part, DROPOUT, sources=(names[i],), activation="relu")
            for i, part in enumerate(parts)
        ]

    def three(n_in: int) -> list[tuple[np.ndarray, np.ndarray]]:
        return [weights(n_in, UNITS), weights(UNITS, UNITS), weights(UNITS, UNITS)]

    shared = three(DESCRIPTORS)
    layers = [
        Layer("genes", op="input", shape=(GENES,)),
        Layer("drug_a", op="input", shape=(DESCRIPTORS,)),
        Layer("drug_b", op="input", shape=(DESCRIPTORS,)),
        *tower("gene", "genes", three(GENES)),
        *tower("a", "drug_a", shared),
        *tower("b", "drug_b", shared),
        Layer("all", op="concatenate", sources=("gene3", "a3", "b3")),
        *tower("top", "all", three(3 * UNITS)),
        Layer("growth", *weights(UNITS, 1), sources=("top3",)),
    ]
    return Network(tuple(layers), ("growth",))


def parameters(network: Network) -> int:
    """Count weights and biases, shared ones once."""
    arrays = {
        id(array): array.size
        for layer in network.layers
        for array in (layer.weights, layer.bias)
        if array is not None
    }
    return sum(arrays.values())


def combo() -> dict[str, object]:
    """Return floor time over engine time, with the peak memory."""
    network = combo_network()
    rng = np.random.default_rng(SEED)
    x = rng.normal(size=(ROWS, network.n_inputs)).astype(np.float32)
    conversion = sd.calibrate(network, x, rate_hz=RATE_HZ, neuron="charge_keeping")

    def engine(rows: int, draws: int) -> object:
        return sd.sample_snn(
            network,
            conversion,
            x[:rows],
            draws=draws,
            seed=SEED,
            steps=STEPS,
            memory_gb=MEMORY_GB,
            progress=False,
        )

    engine(*CHUNK)  # compiles
    start = time.perf_counter()
    samples = engine(ROWS, DRAWS)
    seconds = time.perf_counter() - start
    peak = peak_gb()
    # Products a step: 2 in each of three towers, 3 from the concatenation (its 3000 x 1000 weights
    # as three of 1000 x 1000), 2 above it. Timed for one chunk of the four.
    chunks = ROWS * DRAWS // (CHUNK[0] * CHUNK[1])
    floors = floor_runs(UNITS, CHUNK[0] * CHUNK[1], STEPS, products=11)
    floor = chunks * min(interleaved(floors, 1))
    if not np.isfinite(samples.values).all():
        raise RuntimeError("the samples are not finite")
    return figure(
        "combo_floor",
        floor / seconds,
        "floor time / engine time",
        None,
        engine_seconds=round(seconds, 2),
        floor_seconds=round(floor, 2),
        engine_us_per_presentation=round(1e6 * seconds / (ROWS * DRAWS), 1),
        peak_memory_gb=round(peak, 2),
        parameters=parameters(network),
    )


if __name__ == "__main__":
    print(json.dumps(combo()))
