"""The engine against the matrix-product floor, against the ANN, and its memory."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import spikedrop as sd
from benchmarks.work import BACKEND, SEED, Job, figure, interleaved, random_job
from spikedrop.network.keras_import import import_tensorflow

FULL_DRAWS = 10_000  # of the memory measure


def engine(job: Job, *, draws: int | None = None, first_draw: int = 0) -> object:
    """Sample the job once by the project's engine."""
    return sd.sample_snn(
        job.network,
        job.conversion,
        job.x,
        draws=draws or job.draws,
        first_draw=first_draw,
        seed=SEED,
        steps=job.steps,
        scope="draw",
        backend=BACKEND,
        progress=False,
    )


def floor_runs(width: int, rows: int, steps: int, products: int = 2) -> list[Callable[[], object]]:
    """Return the products of weights and spikes as two runs: compiled by XLA, and one by one.

    `steps` times the products from hidden layer to hidden layer, two in a chain of three. The
    first layer's current is constant and the readout linear in the counts, so neither belongs to
    it. Orthogonal weights keep the values from growing and from vanishing; each product feeds on
    the last.
    """
    tf = import_tensorflow()
    rng = np.random.default_rng(SEED)
    weights = [
        tf.constant(np.linalg.qr(rng.normal(size=(width, width)))[0], tf.float32)
        for _ in range(products)
    ]
    starts = [tf.constant(rng.normal(size=(rows, width)), tf.float32) for _ in range(products)]

    def next_states(states: list[object]) -> list[object]:
        return [tf.matmul(a, w) for a, w in zip(states, weights, strict=True)]

    @tf.function(jit_compile=True)
    def compiled(*states: object) -> object:
        def body(step: object, *states: object) -> tuple:
            return step + 1, *next_states(states)

        _, *states = tf.while_loop(lambda step, *_: step < steps, body, (0, *states))
        return tf.add_n([tf.reduce_sum(a) for a in states])

    def one_by_one() -> float:
        states = starts
        for _ in range(steps):
            states = next_states(states)
        return float(tf.add_n([tf.reduce_sum(a) for a in states]))

    return [lambda: float(compiled(*starts)), one_by_one]


def against_floor(job: Job, repeats: int, bar: str) -> tuple[dict[str, object], float]:
    """Return the figure of floor time over engine time, and the engine's seconds."""
    width = job.network.hidden[0].weights.shape[1]
    floors = floor_runs(width, job.presentations, job.steps)
    ours, *products = interleaved([lambda: engine(job), *floors], repeats)
    rate = job.presentations * job.steps * job.synapses / ours
    entry = figure(
        f"floor_{width}",
        min(products) / ours,
        "floor time / engine time",
        bar,
        engine_seconds=round(ours, 4),
        floor_xla_seconds=round(products[0], 4),
        floor_matmul_seconds=round(products[1], 4),
        synapse_steps_per_second=float(f"{rate:.3g}"),
        engine_us_per_presentation=round(1e6 * ours / job.presentations, 2),
    )
    return entry, ours


def one_hidden(repeats: int, *, rows: int = 1000, draws: int = 200) -> dict[str, object]:
    """Return SNN over ANN time on one hidden layer, whose spike counts have a closed form."""
    job = random_job(512, rows, draws, depth=1)

    def ann() -> object:
        return sd.sample_ann(job.network, job.x, draws=draws, seed=SEED, progress=False)

    snn_s, ann_s = interleaved([lambda: engine(job), ann], repeats)
    return figure(
        "one_hidden_vs_ann",
        snn_s / ann_s,
        "SNN time / ANN time",
        "<= 1.5",
        snn_seconds=round(snn_s, 3),
        ann_seconds=round(ann_s, 3),
    )


def peak_gb() -> float:
    """Return this process's largest resident memory so far, in 1e9 bytes.

    On Linux from the process itself: `getrusage` of a child begins at its parent's peak.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e9
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e9


def memory(budget_s: float, *, width: int = 256, rows: int = 1000) -> dict[str, object]:
    """Sample as many draws as the time allows in one call, and return the peak memory.

    What the draws left out would add is known: their samples, which are added to the peak.
    """
    trial = random_job(width, rows, 8)
    engine(trial)
    start = time.perf_counter()
    engine(trial, first_draw=8)
    one_draw = (time.perf_counter() - start) / trial.draws
    draws = int(np.clip(budget_s / one_draw, 10, FULL_DRAWS))
    engine(trial, draws=draws)
    rest = (FULL_DRAWS - draws) * rows * trial.network.n_outputs * 4 / 1e9
    more: dict[str, object] = {"draws": draws}
    if draws < FULL_DRAWS:
        more["why"] = (
            f"{draws} of {FULL_DRAWS} draws were run (all would take "
            f"{one_draw * FULL_DRAWS / 60:.0f} minutes); the {rest:.2f} GB of the other draws' "
            "samples are added"
        )
    return figure("peak_memory_gb", peak_gb() + rest, "GB", "<= 2", **more)


def main() -> None:
    """Measure memory in a process of its own; the figure goes to standard output."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--budget", type=float, default=40.0, help="seconds of sampling")
    print(json.dumps(memory(parser.parse_args().budget)))


if __name__ == "__main__":
    main()
