"""What a draw costs in time, beside the matrix products alone and other simulators."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spikedrop.checks.arguments import real_number, whole_number
from spikedrop.conversion import Conversion
from spikedrop.errors import InputError
from spikedrop.files.records import read_record
from spikedrop.network.graph import Network
from spikedrop.network.keras_import import import_tensorflow
from spikedrop.sampling.ann import sample_ann
from spikedrop.sampling.snn import sample_snn

__all__ = ["cost_table", "read_benchmark", "scale_table"]


@cache
def _products() -> Callable:
    """Compiled matrix products, step after step, each fed by the last so that none is skipped."""
    tf = import_tensorflow()

    @tf.function(jit_compile=True)
    def products(states: Any, weights: Any, steps: Any) -> Any:
        def step(t: Any, *h: Any) -> tuple:
            return t + 1, *(a * 0.5 + tf.matmul(a, w) for a, w in zip(h, weights, strict=True))

        return tf.while_loop(lambda t, *_: t < steps, step, (0, *states))

    return products


def product_seconds(network: Network, pairs: int, steps: int, repeats: int = 5) -> float:
    """Time the products that a step-by-step simulation makes if it multiplies, alone.

    For each time step, (draw, observation) pairs times the weights between hidden layers; the
    first layer's current is constant and the readout is linear, so neither has a product a step.

    Parameters
    ----------
    network : Network
        With at least two hidden layers of one width a product.
    pairs : int
        Draws times observations.
    steps : int
    repeats : int
        The median of so many runs is returned, after one that compiles.

    Returns
    -------
    float
        Seconds.
    """
    square = [layer.weights for layer in network.hidden[1:]]
    if any(w.shape[0] != w.shape[1] for w in square):
        raise ValueError("the products are timed for hidden layers of equal width")
    weights = [np.asarray(1e-3 * w, np.float32) for w in square]
    states = [np.ones((pairs, w.shape[0]), np.float32) for w in weights]
    return median_seconds(
        lambda: _products()(states, weights, np.int32(steps))[-1].numpy(), repeats
    )


def median_seconds(job: Callable[[], object], repeats: int = 5) -> float:
    """Median wall time of `job` after one run that is not counted (it compiles).

    >>> median_seconds(lambda: None, repeats=3) >= 0
    True
    """
    job()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        job()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def cost_table(
    network: Network,
    conversions: Mapping[str, tuple[Conversion, int]],
    x: np.ndarray,
    *,
    draws: int,
    seed: int,
    repeats: int = 3,
) -> pd.DataFrame:
    """Microseconds per draw and observation on this machine, sampler by sampler.

    Parameters
    ----------
    network : Network
    conversions : mapping
        Name to (conversion, time steps).
    x : numpy.ndarray
        Axes (observation, input).
    draws, seed : see `sample_ann`
    repeats : int, default 3
        The median of so many runs is shown.

    Returns
    -------
    pandas.DataFrame
        One row per sampler: ``steps``, ``us per draw``, ``against the ANN`` (times the ANN's cost;
        lower is better) and, for neurons that fire while they integrate, ``products alone``: the
        time of the products over the sampler's (higher is better; above 1 it is faster than they).

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.conversion import calibrate
    >>> conversion = calibrate(network, [[1.0]], rate_hz=500)
    >>> table = cost_table(network, {"SNN": (conversion, 20)}, np.ones((4, 1)), draws=4, seed=0)
    >>> "us per draw" in table, {"ANN", "SNN"} <= set(table.index)
    (True, True)
    """
    pairs, rows = draws * len(x), {}
    settings: dict[str, Any] = {"draws": draws, "seed": seed, "progress": False}
    ann = median_seconds(lambda: sample_ann(network, x, **settings), repeats)
    rows["ANN"] = {"us per draw": 1e6 * ann / pairs, "against the ANN": 1.0}
    for name, (conversion, steps) in conversions.items():
        job = partial(sample_snn, network, conversion, x, steps=steps, **settings)
        seconds = median_seconds(job, repeats)
        rows[name] = {
            "steps": steps,
            "us per draw": 1e6 * seconds / pairs,
            "against the ANN": seconds / ann,
        }
        if not conversion.windowed:
            rows[name]["products alone"] = product_seconds(network, pairs, steps, 3) / seconds
    columns = ["steps", "us per draw", "against the ANN", "products alone"]
    return pd.DataFrame(rows).T.reindex(columns=columns).rename_axis("sampler")


def scale_table(
    presentations_per_second: float,
    *,
    predictions: Sequence[float] = (1e6, 1e9, 1e12),
    workers: Sequence[int] = (1, 10, 100),
    price_per_hour: float = 0.0,
) -> pd.DataFrame:
    r"""Time, price and disk space of a large job, from the rate that was measured on one worker.

    .. math::

        \text{hours} = \frac{P}{3600\, r\, W}, \qquad \text{cost} = c \cdot W \cdot \text{hours}

    with P predictions (draws times observations), r presentations per second of one worker, W
    workers and c the price of a worker's hour. Chunks do not depend on each other, so workers add
    up until the disk that they share is full of work: a prediction of one output takes four bytes.

    Parameters
    ----------
    presentations_per_second : float
        Of one worker, measured.
    predictions : sequence of float, default (1e6, 1e9, 1e12)
        Numbers of predictions P.
    workers : sequence of int, default (1, 10, 100)
        Numbers of workers W.
    price_per_hour : float, default 0.0
        Of one worker, in any currency.

    Returns
    -------
    pandas.DataFrame
        One row for each number of predictions and of workers: ``hours``, ``cost``, ``gigabytes`` on
        disk, and ``megabytes per second`` that all workers together write.

    Raises
    ------
    InputError
        If a number is not positive; the price may be 0.

    Examples
    --------
    >>> scale_table(1e6 / 36, predictions=[1e6], workers=[1, 10], price_per_hour=0.5)
                         hours   cost  gigabytes  megabytes per second
    predictions workers
    1000000.0   1         0.010  0.005      0.004            0.111111
                10        0.001  0.005      0.004            1.111111
    """
    real_number("presentations_per_second", presentations_per_second, above=0)
    real_number("price_per_hour", price_per_hour, least=0)
    for number in predictions:
        real_number("predictions", number, above=0)
    for number in workers:
        whole_number("workers", number, least=1)
    levels = [np.asarray(predictions, float), np.asarray(workers, int)]
    index = pd.MultiIndex.from_product(levels, names=["predictions", "workers"])
    total, count = (index.get_level_values(name).to_numpy() for name in index.names)
    seconds = total / (presentations_per_second * count)
    columns = {
        "hours": seconds / 3600,
        "cost": count * seconds / 3600 * price_per_hour,
        "gigabytes": 4 * total / 1e9,
        "megabytes per second": 4 * total / seconds / 1e6,
    }
    return pd.DataFrame(columns, index=index)


@dataclass(frozen=True)
class Benchmark:
    """What ``make bench`` found, and where.

    Attributes
    ----------
    date : str
        Day of the run, UTC.
    commit : str
        Of the sources that were measured.
    machine : str
        In words.
    figures : tuple of dict
        Each with ``name``, ``value``, ``unit``, ``bar`` and details.
    """

    date: str
    commit: str
    machine: str
    figures: tuple[Mapping[str, Any], ...]

    def table(self) -> pd.DataFrame:
        """Return ``figure``, ``value``, ``unit``, ``bar`` and ``met``, one row per figure.

        Figures without a value or a bar have none in ``met``.
        """
        rows = []
        for entry in self.figures:
            value, bar, met = entry["value"], entry["bar"] or "", ""
            if bar and value is not None:
                sign, limit = bar.split()
                reached = value >= float(limit) if sign == ">=" else value <= float(limit)
                met = "yes" if reached else "no"
            rows.append((entry["name"], value, entry["unit"], bar, met))
        return pd.DataFrame(rows, columns=["figure", "value", "unit", "bar", "met"])

    def figure(self, name: str) -> Mapping[str, Any]:
        """Return a figure by its name; `InputError` if there is none.

        >>> read_benchmark().figure("error_2700_rate_coded")["unit"]
        'predictive sd'
        """
        by_name = {entry["name"]: entry for entry in self.figures}
        if name not in by_name:
            raise InputError(f"figure {name!r} is not in this benchmark; it has {[*by_name]}.")
        return by_name[name]

    def answer(self, name: str) -> str:
        """Say whether a figure's bar was ``reached`` or ``missed``; `InputError` without a bar."""
        met = self.table().set_index("figure")["met"].get(self.figure(name)["name"])
        if met == "":
            raise InputError(f"figure {name!r} has no bar, or no value to hold against it.")
        return {"yes": "reached", "no": "missed"}[met]

    def simulators(self) -> pd.DataFrame:
        """Return each simulator's time over the engine's, for networks of several widths.

        One row per simulator, one column per width of three hidden layers; above 1 the engine is
        faster. Each simulator is used the fastest way that was found for it.
        """
        ratios: dict[str, dict[int, float]] = {}
        for entry in self.figures:
            name, _, width = str(entry["name"]).rpartition("_")
            if entry["value"] is None or name not in ("nengo", "nengo_dl", "peers"):
                continue
            times = {name: entry["value"]}
            if name == "peers":
                seconds = {p: peer.get("seconds") for p, peer in entry["peers"].items()}
                engine = seconds[entry["fastest"]] / entry["value"]
                times = {peer: s / engine for peer, s in seconds.items() if s}
            for simulator, ratio in times.items():
                ratios.setdefault(SIMULATORS[simulator], {})[int(width)] = ratio
        table = pd.DataFrame.from_dict(ratios, orient="index").sort_index(axis=1)
        table.columns = [f"3 x {width} neurons" for width in table.columns]
        return table.sort_values(list(table.columns)).rename_axis("simulator")


#: Names that the simulators give themselves.
SIMULATORS = {
    "nengo": "Nengo",
    "nengo_dl": "NengoDL",
    "spikingjelly": "SpikingJelly",
    "snntorch": "snnTorch",
    "norse": "Norse",
    "sinabs": "sinabs",
}


def read_benchmark(file: str | Path | None = None) -> Benchmark:
    """Read what ``make bench`` wrote.

    Parameters
    ----------
    file : path, optional
        By default the run that is recorded in the package.

    Returns
    -------
    Benchmark
        Its figures, and where they were measured.

    Raises
    ------
    InputError
        If `file` is not such a file.

    Examples
    --------
    >>> bool(read_benchmark().table()["met"].isin(["yes", "no", ""]).all())
    True
    """

    def build(run: Mapping[str, Any]) -> Benchmark:
        return Benchmark(run["date"], run["commit"], run["machine"], tuple(run["figures"]))

    shipped = "study/benchmark.json"
    return read_record(file, shipped, build, what="a benchmark", command="make bench")
