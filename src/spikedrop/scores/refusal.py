"""Which predictions to refuse: does the spread know where the errors are?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from spikedrop.checks.accepted import NoiseLike, SamplesLike, ValuesLike
from spikedrop.checks.arguments import real_number
from spikedrop.checks.samples import pair
from spikedrop.scores.bootstrap import paired_bootstrap
from spikedrop.scores.calibration import predictive_moments

__all__ = ["error_correlation", "refusal_table", "risk_coverage", "risk_coverage_area", "risk_of"]


def risk_coverage(
    samples: SamplesLike, y: ValuesLike, noise_sd: NoiseLike = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    r"""Mean absolute error of what is kept when the least certain predictions are refused.

    .. math:: r_k = \tfrac1k \sum_{i \in \text{the } k \text{ of smallest } \sigma_i}
              |y_i - \bar y_i|, \qquad c_k = k / N

    (Geifman & El-Yaniv 2017, arXiv:1705.08500.) Lower is better at every coverage; a spread that
    knows nothing gives a flat curve. Among observations of equal :math:`\sigma_i` the order is
    chance, and its expectation is returned; constant predictions give a flat curve.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]), at least two draws.
    y : array
        What was observed, axis (observation,).
    noise_sd : float or array, default 0.0
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


def risk_coverage_area(samples: SamplesLike, y: ValuesLike, noise_sd: NoiseLike = 0.0) -> float:
    r"""Mean of the risk-coverage curve; lower is better.

    .. math:: \tfrac1N \sum_k r_k

    Between that of an oracle, which refuses the largest errors first, and the mean absolute error,
    which is what refusing at random gives (AURC; Geifman, Uziel & El-Yaniv 2019,
    arXiv:1805.08206). See `risk_coverage`.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]), at least two draws.
    y : array
        What was observed, axis (observation,), in the unit of the samples.
    noise_sd : float or array, default 0.0
        As in `risk_coverage`.

    Returns
    -------
    float
        In the unit of `y`; lower is better.

    Raises
    ------
    InputError
        As `risk_coverage`.

    Examples
    --------
    >>> samples = np.array([[-1.0, -2.0, -3.0], [1.0, 2.0, 3.0]])
    >>> round(risk_coverage_area(samples, np.array([0.0, 1.0, 5.0])), 4)
    0.8333
    """
    return float(risk_coverage(samples, y, noise_sd)[1].mean())


def error_correlation(samples: SamplesLike, y: ValuesLike) -> float:
    """Spearman rank correlation of predictive sd and absolute error; higher is better.

    (Spearman 1904, doi:10.2307/1412159.)

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]), at least two draws.
    y : array
        What was observed, axis (observation,), in the unit of the samples.

    Returns
    -------
    float
        From -1 to 1, without unit; higher is better. NaN if the sd or the error is the same at
        every observation, as for constant draws.

    Raises
    ------
    InputError
        If shapes disagree, a value is NaN, or there is one draw.

    Examples
    --------
    >>> error_correlation(np.array([[-1.0, -2.0, -3.0], [1.0, 2.0, 3.0]]), np.array([0, 1, 5]))
    1.0
    """
    samples, y = pair(samples, y, least=2)
    mean, sd = predictive_moments(samples)
    return rank_correlation(sd, np.abs(y - mean))


def refusal_table(
    samples: SamplesLike,
    y: ValuesLike,
    noise_sd: NoiseLike = 0.0,
    *,
    kept: float = 0.5,
    seed: int,
    resamples: int = 1000,
) -> pd.DataFrame:
    r"""Error of the records kept by the spread, beside a control that knows only the mean.

    A spread that follows the mean orders the errors without knowing anything else, wherever the
    noise depends on the size of what is measured. So each rule keeps the same share k/N: the
    smallest :math:`\sigma_i`; the largest or the smallest :math:`\bar y_i`, which need no spread;
    any (chance); the smallest errors (an oracle). A rule is worth something beyond the mean where
    its error is below that of the better control.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]), at least two draws.
    y : array
        What was observed, axis (observation,), at least two.
    noise_sd : float or array, default 0.0
        As in `risk_coverage`.
    kept : float, default 0.5
        Share that is kept, in (0, 1); rounded to whole observations, at least one.
    seed, resamples : int
        Of the bootstrap over observations, see `paired_bootstrap`.

    Returns
    -------
    pandas.DataFrame
        One row per rule, with ``mean |error|`` in the unit of `y` (lower is better), ``spread's
        less this`` (negative where the spread is better), and ``low`` and ``high``, the ends of
        its 95 % interval.

    Raises
    ------
    InputError
        As `risk_coverage` and `paired_bootstrap`; and if `kept` is not in (0, 1).

    Examples
    --------
    Errors of 0, 1 and 5 and spreads in the same order: of three, two are kept.

    >>> samples = np.array([[-1.0, -2.0, -3.0], [1.0, 2.0, 3.0]]) + np.array([1.0, 2.0, 3.0])
    >>> table = refusal_table(samples, np.array([1.0, 3.0, 8.0]), kept=2 / 3, seed=0, resamples=9)
    >>> table["mean |error|"].round(3).to_dict()
    {'spread': 0.5, 'high mean': 3.0, 'low mean': 0.5, 'chance': 2.0, 'oracle': 0.5}
    """
    samples, y = pair(samples, y, least=2)
    real_number("kept", kept, above=0, below=1)
    count = max(1, round(kept * len(y)))
    mean, sd = predictive_moments(samples, noise_sd)
    error = np.abs(y - mean)
    rules = {"spread": sd, "high mean": -mean, "low mean": mean, "chance": 0 * sd, "oracle": error}

    def risks(rows: np.ndarray) -> np.ndarray:
        return np.array([risk_of(rule[rows], error[rows])[count - 1] for rule in rules.values()])

    def apart(rows: np.ndarray) -> np.ndarray:
        found = risks(rows)
        return found[0] - found

    everywhere = np.arange(len(y))
    low, high = paired_bootstrap(apart, len(y), seed=seed, resamples=resamples)
    columns = {"mean |error|": risks(everywhere), "spread's less this": apart(everywhere)}
    return pd.DataFrame(columns | {"low": low, "high": high}, index=list(rules))


def risk_of(uncertainty: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Mean error of the k most certain, for every k, axis (observation,).

    Parameters
    ----------
    uncertainty : numpy.ndarray
        Axis (observation,).
    error : numpy.ndarray
        Axis (observation,).

    Returns
    -------
    numpy.ndarray
        In the unit of the error, axis (observation,), lower is better.

    Examples
    --------
    >>> risk_of(np.array([0.1, 0.3, 0.2]), np.array([1.0, 6.0, 2.0])).tolist()  # most certain first
    [1.0, 1.5, 3.0]
    """
    _, group, size = np.unique(uncertainty, return_inverse=True, return_counts=True)
    ordered = np.repeat(np.bincount(group, error) / size, size)
    return np.cumsum(ordered) / np.arange(1, len(error) + 1)


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rho of two arrays (observation,); NaN if one of them is constant."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return round(float(stats.spearmanr(x, y).statistic), 12)
