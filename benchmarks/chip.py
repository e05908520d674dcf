"""The integer chip on the running example: ``python -m benchmarks.chip``.

Prints its speed beside the engine's, the same job in turns, and what few bits and other resets do
to the predictive distribution. SPIKEDROP_DATA names the folder of the real screen.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import pandas as pd

import spikedrop as sd
from benchmarks.fidelity import ROWS, open_bench
from benchmarks.work import SEED, interleaved
from spikedrop.chip import quantise, sample_chip
from spikedrop.study.bits import bits_samples, bits_table, neuron_table


def cpu_seconds(run: Callable[[], object], repeats: int) -> float:
    """Median processor time of one call, of all threads: other work on the machine adds little."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rate-hz", type=float, default=300.0)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    data = os.environ.get("SPIKEDROP_DATA", "")
    bench = open_bench(data)
    network, x = bench.network, bench.x
    conversion = sd.calibrate(network, bench.x_train, rate_hz=options.rate_hz)
    chip = quantise(network, conversion, steps=options.steps)
    job = {"draws": 20, "seed": SEED, "steps": options.steps, "progress": False}
    both = [
        lambda: sd.sample_snn(network, conversion, x, **job),
        lambda: sample_chip(chip, x, **job),
    ]
    engine, ours = interleaved(both, options.repeats)
    pairs = 20 * ROWS
    print(f"{'real' if data else 'simulated'} screen, {len(x)} inputs, {options.steps} steps")
    for layer in chip.layers:
        print(f"  {layer.name}: threshold {layer.threshold}, exponent {layer.exponent}")
    print(
        f"engine {1e6 * engine / pairs:.0f} µs, chip {1e6 * ours / pairs:.0f} µs per presentation"
    )
    busy = [cpu_seconds(run, options.repeats) for run in both]
    print("processor time {:.0f} µs and {:.0f} µs".format(*(1e6 * b / pairs for b in busy)))
    again = {"draws": options.draws, "seed": SEED, "steps": options.steps}
    pd.set_option("display.width", 160)
    pd.set_option("display.max_columns", 12)
    samples = bits_samples(network, conversion, x, bits=(8, 7, 6, 5, 4, 3), **again)
    print(bits_table(samples).round(4).to_string(index=False))
    print(neuron_table(chip, x, **again).round(4).to_string())
    print("one spike per step at most: 8 bits, by firing rate and steps")
    print(
        "rate_hz  steps  saturated  spikes   SNN    quantised ANN  chip  (mean error / sd)  verdict"
    )
    for steps in (options.steps, 2 * options.steps):
        for rate in (100.0, 150.0, 200.0, 300.0, 500.0):
            slower = sd.calibrate(network, bench.x_train, rate_hz=rate)
            some = {**again, "steps": steps}
            samples = bits_samples(network, slower, x, bits=(8,), **some)
            attrs, table = samples["chip", 8].attrs, bits_table(samples)
            errors = "  ".join(f"{error:8.4f}" for error in table["error"])
            print(
                f"{rate:7.0f} {steps:6d} {attrs['saturated']:10.5f} "
                f"{attrs['spikes_per_presentation']:8.0f} {errors}  {table['verdict'].iloc[-1]}",
                flush=True,
            )


if __name__ == "__main__":
    main()
