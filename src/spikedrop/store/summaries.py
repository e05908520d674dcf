"""Summaries of a store, block by block: all draws are never in memory at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from spikedrop.checks.samples import as_samples, observed
from spikedrop.errors import InputError
from spikedrop.scores import coverage, crps_values, log_densities, rmse
from spikedrop.store.job import Grid
from spikedrop.store.layout import read_layout
from spikedrop.store.reading import opened

__all__ = ["summarize"]

BLOCK_VALUES = 2**23  # samples read at a time, unless one observation has more


def summarize(
    path: str | Path,
    *,
    y: np.ndarray | None = None,
    probabilities: Sequence[float] = (0.05, 0.5, 0.95),
    noise_sd: float = 0.0,
    level: float = 0.9,
) -> xr.Dataset:
    r"""Summarise the draws of every observation, and score them, reading block by block.

    Parameters
    ----------
    path : path
        Of a store that is finished.
    y : numpy.ndarray, optional
        What was observed, axis (observation,), or (observation, output) for several outputs.
    probabilities : sequence of float
        Of the quantiles, each from 0 to 1.
    noise_sd : float
        Observation noise in the unit of `y`, only for the scores.
    level : float
        Nominal coverage of the interval that is scored.

    Returns
    -------
    xarray.Dataset
        Axes (observation, output): ``mean`` and ``sd`` (divisor S - 1; NaN for one draw) of the
        draws. Axes (probability, observation, output): ``quantile``, linear between draws. With `y`
        also the scores of `spikedrop.scores`, axis (output,): ``rmse`` (lower is better), and from
        two draws on ``crps`` (fair; lower is better) and ``coverage`` (nearest to `level` is best);
        with noise ``log_likelihood`` (nats an observation; higher is better).

    Raises
    ------
    InputError
        If the store cannot be opened, is damaged or not finished, or an argument cannot be used.

    Examples
    --------
    >>> import tempfile
    >>> from spikedrop.network.graph import Layer, Network
    >>> from spikedrop.store import sample_to_store
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sample_to_store(folder + "/draws.zarr", network, [[1.0], [3.0]], draws=100, seed=0)
    ...     summary = summarize(folder + "/draws.zarr", probabilities=[0, 1])
    >>> summary["quantile"].values[:, :, 0].tolist()  # silent, or twice the input plus one
    [[0.0, 0.0], [4.0, 8.0]]
    """
    layout = read_layout(path)
    grid = layout.grid
    probabilities = np.asarray(probabilities, float)
    if probabilities.ndim != 1 or not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise InputError(f"probabilities={probabilities}; give numbers from 0 to 1.")
    if not (np.isfinite(noise_sd) and noise_sd >= 0 and 0 < level < 1):
        raise InputError(
            f"noise_sd={noise_sd} and level={level}; noise is not negative, and a nominal coverage "
            "lies between 0 and 1."
        )
    samples = opened(layout)
    told = None
    if y is not None:
        told = observed(y, as_samples(samples, outputs="many"), two_axes=True)
        told = told.reshape(grid.shape[1:])
    n, outputs = grid.shape[1:]
    mean, sd = np.empty((n, outputs)), np.full((n, outputs), np.nan)
    quantile = np.empty((len(probabilities), n, outputs), np.float32)
    sums: dict[str, np.ndarray] = {}
    for rows in _blocks(grid):
        values = samples[:, rows.start : rows.stop].values
        here = slice(rows.start, rows.stop)
        mean[here] = values.mean(axis=0, dtype=np.float64)
        if len(values) > 1:
            sd[here] = values.std(axis=0, dtype=np.float64, ddof=1)
        quantile[:, here] = np.quantile(values, probabilities, axis=0)
        if told is not None:
            for output in range(outputs):
                parts = _scores(values[..., output], told[here, output], noise_sd, level)
                for name, value in parts.items():
                    sums.setdefault(name, np.zeros(outputs))[output] += len(rows) * value
    scores = {name: ("output", total / n) for name, total in sums.items()}
    if scores:
        scores["rmse"] = ("output", np.sqrt(scores.pop("squared_error")[1]))
    return xr.Dataset(
        {
            "mean": (("observation", "output"), mean),
            "sd": (("observation", "output"), sd),
            "quantile": (("probability", "observation", "output"), quantile),
            **scores,
        },
        coords={"observation": samples["observation"], "probability": probabilities},
        attrs={**samples.attrs, "noise_sd": float(noise_sd), "level": float(level)},
    )


def _blocks(grid: Grid) -> Iterator[range]:
    """Cut the observations as the chunks are cut, or finer where all draws would be too many."""
    draws, n, outputs = grid.shape
    most = max(1, BLOCK_VALUES // (draws * outputs))
    size = min(grid.chunk[1], most) if grid.chunk[1] > most else most - most % grid.chunk[1]
    for start in range(0, n, size):
        yield range(start, min(start + size, n))


def _scores(values: np.ndarray, y: np.ndarray, noise_sd: float, level: float) -> dict[str, float]:
    """Mean over a block of what the scores average."""
    found = {"squared_error": rmse(values, y) ** 2}
    if len(values) > 1:
        found["crps"] = float(crps_values(values, y, noise_sd).mean())
        found["coverage"] = coverage(values, y, noise_sd, level)
    if noise_sd > 0:
        found["log_likelihood"] = float(log_densities(values, y, noise_sd).mean())
    return found
