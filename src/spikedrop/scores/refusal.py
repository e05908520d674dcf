"""Which predictions to refuse: does the spread know where the errors are?"""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import stats

from spikedrop.scores._checks import pair
from spikedrop.scores.calibration import predictive_moments


def risk_coverage(
    samples: xr.DataArray | np.ndarray, y: np.ndarray, noise_sd: float | np.ndarray = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    r"""Mean absolute error of what is kept when the least certain predictions are refused.

    .. math:: r_k = \tfrac1k \sum_{i \in \text{the } k \text{ of smallest } \sigma_i}
              |y_i - \bar y_i|, \qquad c_k = k / N

    (Geifman & El-Yaniv 2017, arXiv:1705.08500.) Lower is better at every coverage; a spread that
    knows nothing gives a flat curve. Among observations of equal :math:`\sigma_i` the order is
    chance, and its expectation is returned; constant predictions give a flat curve.

    Parameters
    ----------
    samples : array
        Axes (draw, observation[, 1]), at least two draws.
    y : numpy.ndarray
        Axis (observation,).
    noise_sd : float or array
        As in `log_likelihood`; one number changes no order.

    Returns
    -------
    coverage, risk : numpy.ndarray
        Axis (observation,): share kept, from 1/N to 1, and the risk in the unit of `y`.

    Raises
    ------
    InputError
        If shapes disagree, a value is NaN, or there is one draw.

    Examples
    --------
    >>> samples = np.array([[-1.0, -2.0, -3.0], [1.0, 2.0, 3.0]])
    >>> risk_coverage(samples, np.array([0.0, 1.0, 5.0]))[1].tolist()
    [0.0, 0.5, 2.0]
    """
    samples, y = pair(samples, y, least=2)
    mean, sd = predictive_moments(samples, noise_sd)
    return np.arange(1, len(y) + 1) / len(y), risk_of(sd, np.abs(y - mean))


def risk_coverage_area(
    samples: xr.DataArray | np.ndarray, y: np.ndarray, noise_sd: float | np.ndarray = 0.0
) -> float:
    r"""Mean of the risk-coverage curve, in the unit of `y`; lower is better.

    .. math:: \tfrac1N \sum_k r_k

    Between that of an oracle, which refuses the largest errors first, and the mean absolute error,
    which is what refusing at random gives (AURC; Geifman, Uziel & El-Yaniv 2019,
    arXiv:1805.08206). See `risk_coverage`.

    >>> samples = np.array([[-1.0, -2.0, -3.0], [1.0, 2.0, 3.0]])
    >>> round(risk_coverage_area(samples, np.array([0.0, 1.0, 5.0])), 4)
    0.8333
    """
    return float(risk_coverage(samples, y, noise_sd)[1].mean())


def error_correlation(samples: xr.DataArray | np.ndarray, y: np.ndarray) -> float:
    """Spearman rank correlation of predictive sd and absolute error; higher is better.

    (Spearman 1904, doi:10.2307/1412159.) Without unit. NaN if the sd or the error is the same at
    every observation, as for constant draws. `samples` has axes (draw, observation[, 1]), at least
    two draws, `y` (observation,).

    >>> error_correlation(np.array([[-1.0, -2.0, -3.0], [1.0, 2.0, 3.0]]), np.array([0, 1, 5]))
    1.0
    """
    samples, y = pair(samples, y, least=2)
    mean, sd = predictive_moments(samples)
    return rank_correlation(sd, np.abs(y - mean))


def risk_of(uncertainty: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Mean error of the k most certain, for every k, axis (observation,)."""
    _, group, size = np.unique(uncertainty, return_inverse=True, return_counts=True)
    ordered = np.repeat(np.bincount(group, error) / size, size)
    return np.cumsum(ordered) / np.arange(1, len(error) + 1)


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rho of two arrays (observation,); NaN if one of them is constant."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return round(float(stats.spearmanr(x, y).statistic), 12)
