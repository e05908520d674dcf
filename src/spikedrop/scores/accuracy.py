"""How near the predictive mean is to what was observed, in value and in rank."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import stats

from spikedrop.checks.accepted import SamplesLike, ValuesLike
from spikedrop.checks.arguments import one_of
from spikedrop.checks.samples import both, pair, per_observation
from spikedrop.errors import InputError

__all__ = ["kendall_tau", "r2", "ranking_agreement", "rmse"]


def r2(samples: SamplesLike, y: ValuesLike) -> float:
    r"""Coefficient of determination of the predictive mean; higher is better, 1 at most.

    .. math:: R^2 = 1 - \sum_i (y_i - \bar y_i)^2 / \sum_i (y_i - \bar y)^2

    with :math:`\bar y_i` the mean over draws and :math:`\bar y` that over observations (Chicco et
    al. 2021, doi:10.7717/peerj-cs.623).

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]).
    y : array
        What was observed, axis (observation,), in the unit of the samples.

    Returns
    -------
    float
        At most 1, without unit; higher is better.

    Raises
    ------
    InputError
        If shapes disagree, a value is NaN or infinite, or all of `y` is one value.

    Examples
    --------
    >>> r2(np.array([[0.0, 2.0], [2.0, 2.0]]), np.array([1.0, 2.0]))
    1.0
    """
    values, y = pair(samples, y)
    if y.min() == y.max():
        raise InputError("every observation has the same value: R2 has nothing to explain.")
    return r2_of_mean(per_observation(_mean, values), y)


def rmse(samples: SamplesLike, y: ValuesLike) -> float:
    r"""Root mean squared error of the predictive mean, in the unit of `y`; lower is better.

    .. math:: \sqrt{\tfrac1N \sum_i (y_i - \bar y_i)^2}

    (Hyndman & Koehler 2006, doi:10.1016/j.ijforecast.2006.03.001.)

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]).
    y : array
        What was observed, axis (observation,), in the unit of the samples.

    Returns
    -------
    float
        In the unit of `y`; lower is better.

    Raises
    ------
    InputError
        If shapes disagree, or a value is NaN or infinite.

    Examples
    --------
    >>> rmse(np.array([[0.0, 2.0], [2.0, 2.0]]), np.array([1.0, 4.0])) == 2**0.5
    True
    """
    values, y = pair(samples, y)
    return rmse_of_mean(per_observation(_mean, values), y)


def kendall_tau(samples: SamplesLike, y: ValuesLike) -> float:
    r"""Rank correlation of the predictive mean with the observations; higher is better, 1 at most.

    The share of pairs of observations in the same order minus that in the opposite one, with
    ties taken out (:math:`\tau_b`, Kendall 1945, doi:10.1093/biomet/33.3.239):

    .. math:: \tau_b = (C - D) / \sqrt{(P - T_\mu)(P - T_y)}

    with C and D the numbers of concordant and discordant pairs, P of all pairs, and T of those tied
    in the mean and in `y`.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]).
    y : array
        What was observed, axis (observation,), in the unit of the samples.

    Returns
    -------
    float
        From -1 to 1; higher is better. NaN if all means or all of `y` are one value: there is no
        ranking then.

    Raises
    ------
    InputError
        If shapes disagree, or a value is NaN or infinite.

    Examples
    --------
    >>> round(kendall_tau(np.array([[1.0, 2.0, 3.0]]), np.array([1.0, 5.0, 4.0])), 3)
    0.333
    """
    values, y = pair(samples, y)
    return tau(per_observation(_mean, values), y)


def ranking_agreement(
    a: SamplesLike,
    b: SamplesLike,
    by: Literal["mean", "sd"] = "mean",
) -> float:
    r"""Kendall's :math:`\tau_b` of two samples' rankings of the observations; 1 is the same.

    Ranked by predictive mean (which to expect most of) or by predictive sd (which to trust least).
    See `kendall_tau`.

    Parameters
    ----------
    a, b : xarray.DataArray or array
        Axes (draw, observation[, 1]), of the same observations; the numbers of draws may differ.
    by : {"mean", "sd"}, default "mean"
        What ranks the observations; ``sd`` takes at least two draws.

    Returns
    -------
    float
        From -1 to 1; 1 is the same order. NaN if one ranks nothing because all its values are
        equal.

    Raises
    ------
    InputError
        If `by` is neither ``mean`` nor ``sd``, the observations differ in number, a value is NaN or
        infinite, or there are too few draws.

    Examples
    --------
    >>> a = np.array([[1.0, 2.0, 3.0], [1.0, 4.0, 9.0]])
    >>> ranking_agreement(a, a**2), ranking_agreement(a, -a), ranking_agreement(a, -a, "sd")
    (1.0, -1.0, 1.0)
    """
    one_of("by", by, ("mean", "sd"))
    x, y = both(a, b, least=2 if by == "sd" else 1, outputs="one")
    ranked = _mean if by == "mean" else lambda values: values.std(axis=0, ddof=1)
    return tau(per_observation(ranked, x), per_observation(ranked, y))


def _mean(values: np.ndarray) -> np.ndarray:
    return values.mean(axis=0)


def r2_of_mean(mean: np.ndarray, y: np.ndarray) -> float:
    """`r2` of means (observation,) without checks."""
    return float(1 - np.sum((y - mean) ** 2) / np.sum((y - y.mean()) ** 2))


def rmse_of_mean(mean: np.ndarray, y: np.ndarray) -> float:
    """`rmse` of means (observation,) without checks."""
    return float(np.sqrt(np.mean((y - mean) ** 2)))


def tau(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's tau-b of two arrays (observation,); NaN if one of them is constant."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(stats.kendalltau(x, y).statistic)
