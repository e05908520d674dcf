"""Scores of predictive samples against what was observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from scipy import optimize, special, stats

from spikedrop.ann import sample_ann
from spikedrop.errors import InputError
from spikedrop.network import Network


def _pair(samples: xr.DataArray | np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, y = np.asarray(samples, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim != 2 or y.shape != values.shape[1:] or values.size == 0:
        raise InputError(
            f"samples have shape {np.shape(samples)} and observations {y.shape}; expected "
            "(draw, observation[, 1]) and (observation,), at least one of each."
        )
    if not (np.isfinite(values).all() and np.isfinite(y).all()):
        raise InputError("samples or observations hold NaN or infinite values.")
    return values, y


def _noise(noise_sd: float | np.ndarray, y: np.ndarray, *, zero: bool) -> np.ndarray:
    """Return the noise as an array of one number or one an observation."""
    noise = np.asarray(noise_sd, dtype=np.float64)
    if noise.shape not in ((), y.shape):
        raise InputError(f"noise_sd has shape {noise.shape}; expected one number or {y.shape}.")
    if not (np.isfinite(noise) & ((noise >= 0) if zero else (noise > 0))).all():
        raise InputError(f"noise_sd={noise_sd} must be positive{' or 0' if zero else ''}.")
    return noise


def r2(samples: xr.DataArray | np.ndarray, y: np.ndarray) -> float:
    r"""Coefficient of determination of the predictive mean; higher is better, 1 at most.

    .. math:: R^2 = 1 - \sum_i (y_i - \bar y_i)^2 / \sum_i (y_i - \bar y)^2

    >>> r2(np.array([[0.0, 2.0], [2.0, 2.0]]), np.array([1.0, 2.0]))
    1.0
    """
    values, y = _pair(samples, y)
    if y.min() == y.max():
        raise InputError("every observation has the same value: R2 has nothing to explain.")
    return float(1 - np.sum((y - values.mean(axis=0)) ** 2) / np.sum((y - y.mean()) ** 2))


def rmse(samples: xr.DataArray | np.ndarray, y: np.ndarray) -> float:
    """Root mean squared error of the predictive mean, in the unit of `y`; lower is better.

    >>> rmse(np.array([[0.0, 2.0], [2.0, 2.0]]), np.array([1.0, 4.0])) == 2**0.5
    True
    """
    values, y = _pair(samples, y)
    return float(np.sqrt(np.mean((y - values.mean(axis=0)) ** 2)))


def log_likelihood(
    samples: xr.DataArray | np.ndarray, y: np.ndarray, noise_sd: float | np.ndarray
) -> float:
    r"""Mean log density of the observations under the mixture of draws; higher is better.

    .. math::

        \frac1N \sum_i \log \frac1S \sum_s \mathcal N(y_i \mid y^{(s)}_i, \sigma^2)

    (Gal & Ghahramani 2016, arXiv:1506.02142), in nats, with `noise_sd` :math:`\sigma` the
    observation noise in the unit of `y`, one number or one per observation.

    >>> value = log_likelihood(np.zeros((3, 1)), np.zeros(1), 1.0)
    >>> round(value, 4)  # -log(2 pi) / 2
    -0.9189
    """
    values, y = _pair(samples, y)
    noise = _noise(noise_sd, y, zero=False)
    log_density = stats.norm.logpdf(y, loc=values, scale=noise)
    return float(np.mean(special.logsumexp(log_density, axis=0) - np.log(len(values))))


def fit_noise_sd(samples: xr.DataArray | np.ndarray, y: np.ndarray) -> float:
    """Observation noise that maximises `log_likelihood`; use validation rows, never test rows.

    Its inverse square is the noise precision. In the unit of `y`.
    """
    values, y = _pair(samples, y)
    # At the optimum the variance is a mean of squared deviations that favours small ones, so the
    # plain mean bounds it from above.
    top = float(np.sqrt(np.mean((y - values) ** 2)))
    if top == 0:
        raise InputError("every draw equals its observation: there is no noise to estimate.")
    best = optimize.minimize_scalar(
        lambda log_sd: -log_likelihood(values, y, float(np.exp(log_sd))),
        bounds=(np.log(top) - 6, np.log(top) + 0.01),
        method="bounded",
    )
    return float(np.exp(best.x))


def coverage(
    samples: xr.DataArray | np.ndarray,
    y: np.ndarray,
    noise_sd: float | np.ndarray = 0.0,
    level: float = 0.9,
) -> float:
    r"""Share of observations inside the central `level` interval; closest to `level` is best.

    The interval is that of the Gaussian with the draws' mean and the variance of the draws plus
    that of the noise: :math:`\bar y_i \pm z \sqrt{\mathrm{var}_s\, y^{(s)}_i + \sigma^2}`.

    >>> coverage(np.array([[-1.0, -1.0], [1.0, 1.0]]), np.array([0.0, 5.0]))
    0.5
    """
    values, y = _pair(samples, y)
    if len(values) < 2 or not 0 < level < 1:
        raise InputError(f"{len(values)} draws, level={level}: need two draws and 0 < level < 1.")
    noise = _noise(noise_sd, y, zero=True)
    half = stats.norm.ppf((1 + level) / 2) * np.sqrt(values.var(axis=0, ddof=1) + noise**2)
    return float(np.mean(np.abs(y - values.mean(axis=0)) <= half))


def calibration_curve(
    samples: xr.DataArray | np.ndarray,
    y: np.ndarray,
    noise_sd: float | np.ndarray = 0.0,
    levels: Sequence[float] = tuple(np.linspace(0.05, 0.95, 19)),
) -> tuple[list[float], list[float]]:
    """Nominal levels and the `coverage` observed at each; on the diagonal is best.

    >>> calibration_curve(np.array([[-1.0], [1.0]]), np.array([0.0]), levels=(0.5,))
    ([0.5], [1.0])
    """
    return list(levels), [coverage(samples, y, noise_sd, float(level)) for level in levels]


def error_correlation(samples: xr.DataArray | np.ndarray, y: np.ndarray) -> float:
    """Spearman rank correlation of predictive sd and absolute error; higher is better.

    NaN if the samples have no spread at all.

    >>> error_correlation(np.array([[-1.0, -2.0, -3.0], [1.0, 2.0, 3.0]]), np.array([0, 1, 5]))
    1.0
    """
    values, y = _pair(samples, y)
    sd = values.std(axis=0)
    if np.ptp(sd) == 0:
        return float("nan")
    return round(float(stats.spearmanr(sd, np.abs(y - values.mean(axis=0))).statistic), 12)


def score_table(
    methods: Mapping[str, tuple[xr.DataArray | np.ndarray, float]], y: np.ndarray
) -> pd.DataFrame:
    """Tabulate the scores of several methods on the same observations.

    `methods` maps a name to predictive samples (draw, observation[, 1]) and the noise sd chosen
    for them on validation records; `y` has axis (observation,). RMSE and noise in the unit of y,
    log likelihood in nats.
    """
    rows = {
        name: {
            "R2": r2(samples, y),
            "RMSE": rmse(samples, y),
            "noise sd": noise_sd,
            "sd of draws": float(np.std(np.asarray(samples), axis=0, ddof=1).mean()),
            "log likelihood": log_likelihood(samples, y, noise_sd),
            "90 % coverage": coverage(samples, y, noise_sd),
            "sd tracks error": error_correlation(samples, y),
        }
        for name, (samples, noise_sd) in methods.items()
    }
    return pd.DataFrame(rows).T


def rate_table(
    network: Network,
    validation: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    *,
    rates: Sequence[float],
    draws: int,
    seed: int,
) -> pd.DataFrame:
    """Scores of the same weights sampled at other dropout rates, index the rate.

    `validation` and `test` are pairs (inputs, observations); the noise of every rate is chosen on
    the first. See `score_table` for the columns.
    """
    methods = {}
    for rate in rates:
        other = network.with_dropout(rate)
        held_out = sample_ann(other, validation[0], draws=draws, seed=seed)
        samples = sample_ann(other, test[0], draws=draws, seed=seed)
        methods[rate] = (samples, fit_noise_sd(held_out, validation[1]))
    return score_table(methods, test[1]).rename_axis("dropout rate")
