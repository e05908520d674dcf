"""What a plan is worth: ``python -m benchmarks.budget``.

First brute force, on a small network (three layers of 64, simulated screen): every setting of a
grid gets as many draws as 100 draws of the default setting cost, its error is measured, and the
plan's beside it. ``to the best`` is the plan's error over the grid's best; the bar is 1.1.

Then the plan against the default setting (200 steps at 500 Hz, 100 draws) at equal cost, on three
layers of 256, for every quantity and unit; with SPIKEDROP_DATA on the real screen. ``saved`` is
the share of the error that the plan takes away; the bar is above 0.

Errors are root mean squares in predictive sd, on rows that no pilot saw, against 20,000 draws of
the ANN; their standard errors over rows stand beside. ``--quick`` tries it at small sizes.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.work import FOLDER, SEED
from spikedrop.energy.planning import measured_errors, plan_from, run_pilot, trade_off
from spikedrop.energy.planning.pilot import Pilot
from spikedrop.energy.planning.quantities import QUANTITIES
from spikedrop.study.example import Example, running_example

UNITS = {
    "joules (loihi)": {"unit": "joules", "device": "loihi"},
    "joules (spinnaker2)": {"unit": "joules", "device": "spinnaker2"},
    "operations": {"unit": "operations"},
    "seconds (here)": {"unit": "seconds"},
    "seconds (1 ms a step)": {"unit": "seconds", "seconds_per_step": 1e-3},
}
USUAL = {"steps": 200, "rate (Hz)": 500.0, "draws": 100}
GRID_STEPS, GRID_RATES = (8, 16, 32, 64, 128, 256), (125.0, 250.0, 500.0, 1000.0)


@dataclass(frozen=True)
class Sizes:
    """How much is drawn and how often it is repeated."""

    rows: int = 120
    seeds: int = 3
    ann_draws: int = 20_000
    draws: int = 500
    epochs: int = 60
    grid_steps: tuple[int, ...] = GRID_STEPS
    grid_rates: tuple[float, ...] = GRID_RATES


QUICK = Sizes(10, 1, 1000, 100, 2, (16, 64), (500.0, 1000.0))


def rows_of(example: Example, sizes: Sizes, part: int) -> np.ndarray:
    """Return one of several sets of test rows that share none."""
    rows = np.random.default_rng(SEED).permutation(example.parts.test)
    return np.sort(rows[part * sizes.rows : (part + 1) * sizes.rows])


def pilot_of(example: Example, rows: np.ndarray, seed: int) -> Pilot:
    """Run a pilot on many rows: errors differ more from row to row than from mask to mask."""
    x_train = example.x[example.parts.train][:4000]
    sizes = {"seed": seed, "draws": 64, "progress": False}
    return run_pilot(example.network, x_train, example.x[rows], y=example.y[rows], **sizes)


def measure(example: Example, rows: np.ndarray, cells: pd.DataFrame, sizes: Sizes) -> pd.DataFrame:
    """Measure the errors of all cells on rows that no pilot saw."""
    return measured_errors(
        example.network,
        example.x[example.parts.train][:4000],
        example.x[rows],
        cells,
        y=example.y[rows],
        seed=SEED + 100,
        draws=sizes.draws,
        ann_draws=sizes.ann_draws,
    )


def brute_force(sizes: Sizes) -> float:
    """Print plan against grid; return the worst ratio."""
    example = running_example(
        work=f"{FOLDER}/bench", seed=SEED, hidden=(64,) * 3, epochs=min(30, sizes.epochs)
    )
    cells = []
    for seed in range(sizes.seeds):
        pilot = pilot_of(example, rows_of(example, sizes, 1 + seed), seed)
        for quantity in QUANTITIES:
            found = trade_off(pilot, quantity=quantity)
            budget = found.cost(*USUAL.values())[1]
            grid = found.spend(budget, sizes.grid_steps, sizes.grid_rates)
            grid = grid.rename(columns={"error": "expected"})
            grid = grid.assign(quantity=quantity, what="grid", seed=seed)
            if seed == 0:  # the grid's draws hardly differ from pilot to pilot
                cells.append(grid)
            plan = plan_from(found, budget).row()
            cells.append(pd.DataFrame([plan]).assign(what="plan", seed=seed))
    rows = rows_of(example, sizes, 0)
    done = measure(example, rows, pd.concat(cells, ignore_index=True), sizes)
    print(f"\n{'quantity':<10}{'':<12}{'steps':>6}{'Hz':>7}{'draws':>7}{'expected':>10}"
          f"{'measured':>10}{'s.e.':>8}{'to the best':>13}")  # fmt: skip
    worst = 0.0
    for quantity in QUANTITIES:
        of = done[done["quantity"] == quantity]
        best = of[of["what"] == "grid"].nsmallest(1, "measured")
        for _, row in pd.concat([best, of[of["what"] == "plan"]]).iterrows():
            ratio = row["measured"] / best["measured"].iloc[0]
            name = "grid's best" if row["what"] == "grid" else f"plan {row['seed']}"
            worst = max(worst, ratio)
            print(
                f"{quantity:<10}{name:<12}{row['steps']:>6}{row['rate (Hz)']:>7.0f}"
                f"{row['draws']:>7}{row['expected']:>10.4f}{row['measured']:>10.4f}"
                f"{row['standard error']:>8.4f}{ratio:>13.3f}"
            )
    print(f"worst plan {worst:.3f} times the grid's best (bar 1.1)", flush=True)
    return worst


def against_default(sizes: Sizes) -> float:
    """Print plan against default at equal cost; return the smallest share saved."""
    data = os.environ.get("SPIKEDROP_DATA", "")
    example = running_example(
        data=data, work=f"{FOLDER}/bench", seed=SEED, hidden=(256,) * 3, epochs=sizes.epochs
    )
    start = time.perf_counter()
    pilot = pilot_of(example, rows_of(example, sizes, 1), SEED)
    print(f"\n{'real' if data else 'simulated'} screen, 3 x 256; pilot "
          f"{time.perf_counter() - start:.0f} s")  # fmt: skip
    cells = []
    for unit, settings in UNITS.items():
        for quantity in QUANTITIES:
            found = trade_off(pilot, quantity=quantity, **settings)
            plan = plan_from(found, found.cost(*USUAL.values())[1])
            low, high = plan.cost
            cost = f"{high:.3g}" if low == high else f"{low:.2g} to {high:.2g}"
            cells.append(plan.row() | {"unit": unit, "cost": cost})
    cells += [USUAL | {"quantity": quantity, "unit": "default"} for quantity in QUANTITIES]
    done = measure(example, rows_of(example, sizes, 0), pd.DataFrame(cells), sizes)
    usual = done[done["unit"] == "default"].set_index("quantity")
    print(f"{'unit':<23}{'cost':<20}{'quantity':<10}{'steps':>6}{'Hz':>6}{'draws':>6}"
          f"{'expected':>10}{'measured':>10}{'s.e.':>8}{'default':>9}{'saved':>7}")  # fmt: skip
    least = 1.0
    for _, row in done[done["unit"] != "default"].iterrows():
        default = usual.loc[row["quantity"], "measured"]
        saved = 1 - row["measured"] / default
        least = min(least, saved)
        print(
            f"{row['unit']:<23}{row['cost']:<20}{row['quantity']:<10}{row['steps']:>6}"
            f"{row['rate (Hz)']:>6.0f}{row['draws']:>6}{row['expected']:>10.4f}"
            f"{row['measured']:>10.4f}{row['standard error']:>8.4f}{default:>9.4f}{saved:>7.0%}"
        )
    print(f"smallest share saved {least:.0%} (bar above 0)")
    return least


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=("brute-force", "default"))
    given = parser.parse_args()
    sizes = QUICK if given.quick else Sizes()
    start = time.perf_counter()
    if given.only != "default":
        brute_force(sizes)
    if given.only != "brute-force":
        against_default(sizes)
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
