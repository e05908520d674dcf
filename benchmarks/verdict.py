"""How often `compare` says what: ``python -m benchmarks.verdict``.

Prints false alarms of ANN against ANN, detection of the six controls (scope ``draw``, whose
observations move together and tell less), how the true conversion fares by number of draws, and
paired samples. A network of three layers of 64 on the simulated
screen, 40 test records; large pools are drawn once and resampled without replacement. ``--quick``
tries it at small sizes.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np

import spikedrop as sd
from benchmarks.work import FOLDER, SEED
from spikedrop.comparison import VERDICTS, verdict_rates
from spikedrop.study.controls import Sampler, six_controls
from spikedrop.study.example import running_example


@dataclass(frozen=True)
class Sizes:
    """How much is drawn and how often it is repeated."""

    alarms: int = 200
    detections: int = 100
    power: int = 20
    draws: int = 500
    pool: int = 1000
    steps: int = 200
    enough: tuple[tuple[str, tuple[int, ...]], ...] = (
        ("draw", (500, 2000, 6000)),
        ("row", (500, 2000, 4000)),
    )


QUICK = Sizes(4, 2, 2, 80, 100, 50, (("draw", (60,)), ("row", (60,))))


def line(name: str, scope: str, draws: int, repeats: int, rates: dict[str, float]) -> None:
    """Print one row of the table."""
    shares = "".join(f"{rates[verdict]:>12.3f}" for verdict in VERDICTS)
    print(f"{name:<34}{scope:<6}{draws:>6}{repeats:>9}{shares}", flush=True)


def main() -> None:
    """Draw the pools and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    sizes = QUICK if parser.parse_args().quick else Sizes()
    start = time.perf_counter()
    example = running_example(work=f"{FOLDER}/bench", seed=SEED, hidden=(64,) * 3, epochs=30)
    network, x_train = example.network, example.x[example.parts.train]
    x = example.x[example.test_rows(40, seed=SEED)]
    right = Sampler(network, sd.calibrate(network, x_train, rate_hz=500))
    controls = six_controls(network, x_train)
    columns = "".join(f"{verdict.split(' to')[0]:>12.11}" for verdict in VERDICTS)
    print(f"{'against the ANN':<34}{'scope':<6}{'draws':>6}{'repeats':>9}{columns}")
    paired_pools: dict[str, np.ndarray] = {}
    for scope, many in sizes.enough:
        how = {"scope": scope, "progress": False}
        pool = 2 * max(*many, sizes.draws)
        ann = sd.sample_ann(network, x, draws=pool, seed=1, **how)
        again = sd.sample_ann(network, x, draws=sizes.pool, seed=2, **how)
        for n, repeats in ((sizes.draws, sizes.alarms), (sizes.draws // 5, 5 * sizes.alarms)):
            few = {"repeats": repeats, "seed": SEED, "permutations": 199}
            line("ANN", scope, n, repeats, verdict_rates(ann, draws=n, **few))
        for name, control in controls.items() if scope == "draw" else ():  # the harder scope
            wrong = control.sample(x, draws=sizes.pool, seed=2, steps=sizes.steps, **how)
            paired_pools[name] = wrong
            few = {"repeats": sizes.detections, "seed": SEED, "permutations": 199}
            line(
                name,
                scope,
                sizes.draws,
                sizes.detections,
                verdict_rates(ann, wrong, draws=sizes.draws, **few),
            )
        snn = right.sample(x, draws=pool, seed=2, steps=sizes.steps, **how)
        for n in (20, *many):
            few = {"repeats": sizes.power, "seed": SEED, "permutations": 199}
            line("SNN", scope, n, sizes.power, verdict_rates(ann, snn, draws=n, **few))
        if scope == "draw":
            paired_pools = {"SNN": snn[: sizes.pool], **paired_pools}
            for name, pool_of in paired_pools.items():
                for n in (5, 60, sizes.draws) if name == "SNN" else (sizes.draws,):
                    few = {"draws": min(n, sizes.pool), "repeats": sizes.detections, "seed": SEED}
                    rates = verdict_rates(again, pool_of, paired=True, **few)
                    line(f"{name}, paired", scope, n, sizes.detections, rates)
            print(f"mean paired error {sd.paired_error(again, snn[: sizes.pool]).mean:.4f} sd")
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
