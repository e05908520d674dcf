"""Error for a given number of spikes, neuron by neuron, on the running example.

``python -m benchmarks.fidelity`` prints the table; SPIKEDROP_DATA names the folder of real data.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

import spikedrop as sd
from benchmarks.work import BACKEND, FOLDER, SEED, figure
from spikedrop.errors import InputError
from spikedrop.network import Network
from spikedrop.neurons import Readout, neuron_of
from spikedrop.sampling.neuron_scales import allocate
from spikedrop.study.example import Example, running_example


@dataclass(frozen=True)
class Way:
    """How to convert: a neuron, the weights of the readout's steps, scales per layer or neuron."""

    neuron: str
    readout: Readout = "mean"
    allocated: bool = False


WAYS = {
    "rectified": Way("rectified"),
    "charge_keeping": Way("charge_keeping"),
    "charge_keeping_allocated": Way("charge_keeping", allocated=True),
    "charge_keeping_parabola": Way("charge_keeping", "parabola"),
    "charge_keeping_parabola_allocated": Way("charge_keeping", "parabola", allocated=True),
    "integrate_first": Way("integrate_first"),
    "radix": Way("radix"),
}
WINDOWS = {  # one spike per step, or one bit: the number of steps sets the spikes
    "integrate_first": (50, 75, 100, 150, 200, 250, 300, 350, 400, 450, 500),
    "radix": range(4, 13),
}
BUDGETS = (2_700, 13_000)
ROWS, DRAWS, STEPS = 60, 20, 200
RATES_HZ = (1.0, 20_000.0)
TRIALS = 8
#: What kinds of neuron are called in the names of figures. A rate code is what plain spikes carry;
#: the other two send a rounded activation (`spikedrop.study.rounded`).
KIND_NAMES = {"SNN": "rate_coded", "quantised": "quantised", "bit-serial": "bit_serial"}


@dataclass(frozen=True)
class Point:
    """One way to convert at one setting."""

    way: str
    rate_hz: float
    steps: int
    spikes: float
    mean: float
    p95: float

    def line(self, budget: int) -> str:
        """Return the row of the table."""
        return (
            f"{budget:>8,}  {self.way:<34} {self.rate_hz:>9.1f} {self.steps:>6} "
            f"{self.spikes:>10.0f} {self.mean:>9.4f} {self.p95:>9.4f}"
        )


@dataclass(frozen=True, eq=False)
class Bench:
    """What every neuron is measured on."""

    network: Network
    x_train: np.ndarray
    x: np.ndarray
    ann: xr.DataArray

    def point(self, name: str, rate_hz: float, steps: int) -> Point:
        """Sample one way at one setting."""
        way = WAYS[name]
        conversion = sd.calibrate(
            self.network, self.x_train, rate_hz=rate_hz, neuron=way.neuron, readout=way.readout
        )
        if way.allocated:
            conversion = allocate(self.network, conversion, self.x_train, seed=SEED)
        snn = sd.sample_snn(
            self.network,
            conversion,
            self.x,
            draws=DRAWS,
            seed=SEED,
            steps=steps,
            backend=BACKEND,
            progress=False,
        )
        error = sd.paired_error(self.ann, snn)
        spikes = float(snn.attrs["spikes_per_presentation"])
        return Point(name, rate_hz, steps, spikes, error.mean, error.p95)


def open_bench(data: str) -> Bench:
    """Train the network of the running example, or load it."""
    example: Example = running_example(
        data=data, work=f"{FOLDER}/bench", seed=SEED, hidden=(256,) * 3
    )
    x = example.x[example.test_rows(ROWS, seed=SEED)]
    ann = sd.sample_ann(example.network, x, draws=DRAWS, seed=SEED, progress=False)
    return Bench(example.network, example.x[example.parts.train][:4000], x, ann)


def bisected(bench: Bench, way: str, budget: int) -> Iterator[Point]:
    """Search the rate that spends the budget: spikes grow with the rate."""
    low, high = RATES_HZ
    rate = 100.0
    for _ in range(TRIALS):
        point = bench.point(way, rate, STEPS)
        yield point
        if 0.99 * budget <= point.spikes <= budget:
            return
        low, high = (rate, high) if point.spikes <= budget else (low, rate)
        guess = rate * 0.995 * budget / max(point.spikes, 1.0)
        rate = guess if low < guess < high else float(np.sqrt(low * high))


def points(bench: Bench, way: str, budget: int) -> Iterator[Point]:
    """Yield settings of one way, within the budget or not."""
    if way in WINDOWS:
        yield from (bench.point(way, 500.0, steps) for steps in WINDOWS[way])
    else:  # the rate sets the spikes
        yield from bisected(bench, way, budget)


def best(bench: Bench, way: str, budget: int) -> Point | None:
    """Return the most accurate setting of one way within the budget."""
    within = [point for point in points(bench, way, budget) if point.spikes <= budget]
    return min(within, key=lambda point: point.mean, default=None)


def table(bench: Bench) -> dict[int, dict[str, Point]]:
    """Measure and print every way at every budget."""
    print(f"  budget  {'way':<34}   rate_hz  steps     spikes      mean       p95  (/ sd)")
    found: dict[int, dict[str, Point]] = {}
    for budget in BUDGETS:
        found[budget] = {}
        for way in WAYS:
            try:
                point = best(bench, way, budget)
            except InputError as error:
                print(f"{budget:>8,}  {way:<34} not offered: {str(error)[:60]}")
                continue
            if point is not None:
                found[budget][way] = point
                print(point.line(budget), flush=True)
    return found


def by_kind(entry: dict[str, object]) -> list[dict[str, object]]:
    """Return a figure for each kind of neuron, from the figure of the best neuron of all.

    The bar holds for rate codes only: it was set for plain spikes. Where the best of them weights
    its steps, the best that does not has a figure as well, ``..._equal_weights``.

    >>> best = {"name": "error_2700_spikes", "unit": "predictive sd", "bar": "<= 0.05",
    ...     "data": "simulated", "neurons": {"charge_keeping": 0.1, "radix": 0.01}}
    >>> [(found["name"], found["value"], found["bar"]) for found in by_kind(best)]
    [('error_2700_rate_coded', 0.1, '<= 0.05'), ('error_2700_bit_serial', 0.01, None)]
    >>> best["neurons"] = {"charge_keeping": 0.1, "charge_keeping_parabola": 0.06}
    >>> [(found["name"], found["value"]) for found in by_kind(best)]
    [('error_2700_rate_coded', 0.06), ('error_2700_rate_coded_equal_weights', 0.1)]
    """
    found = []
    for kind, word in KIND_NAMES.items():
        errors = {
            n: e
            for n, e in entry.get("neurons", {}).items()
            if neuron_of(WAYS[n].neuron).kind == kind
        }
        if not errors:
            continue
        neuron = min(errors, key=errors.__getitem__)
        name = str(entry["name"]).replace("spikes", word)
        bar = entry["bar"] if kind == "SNN" else None
        more = {"data": entry["data"], "neuron": neuron, "derived_from": entry["name"]}
        found.append(figure(name, errors[neuron], str(entry["unit"]), bar, **more))
        equal = {n: e for n, e in errors.items() if WAYS[n].readout == "mean"}
        if equal and neuron not in equal:
            more["neuron"] = min(equal, key=equal.__getitem__)
            name, value = f"{name}_equal_weights", equal[more["neuron"]]
            found.append(figure(name, value, str(entry["unit"]), bar, **more))
    return found


def errors() -> list[dict[str, object]]:
    """Return the figures of error for each budget of spikes: the best neuron, then each kind."""
    data = os.environ.get("SPIKEDROP_DATA", "")
    found = table(open_bench(data))
    screen = "real" if data else "simulated"
    entries = []
    for budget, attribute, bar in (
        (2_700, "mean", "<= 0.05"),
        (13_000, "mean", "<= 0.01"),
        (13_000, "p95", "<= 0.03"),
    ):
        name = f"error_{budget}_spikes" + ("_p95" if attribute == "p95" else "")
        kept = found[budget]
        unit = "predictive sd"
        if not kept:
            why = "no neuron stays within the spikes"
            entries.append(figure(name, None, unit, bar, data=screen, why=why))
            continue
        top = min(kept.values(), key=lambda point: point.mean)
        neurons = {way: round(getattr(point, attribute), 5) for way, point in kept.items()}
        more = {"data": screen, "neuron": top.way, "spikes": round(top.spikes)}
        more |= {"steps": top.steps, "rate_hz": round(top.rate_hz, 2), "neurons": neurons}
        entries.append(figure(name, getattr(top, attribute), unit, bar, **more))
    return entries + [kind for entry in entries for kind in by_kind(entry)]


if __name__ == "__main__":
    table(open_bench(os.environ.get("SPIKEDROP_DATA", "")))
