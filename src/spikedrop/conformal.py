"""Conformal intervals on top of predictive samples: coverage that needs no model of the noise."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import xarray as xr
from scipy import stats

from spikedrop.errors import InputError
from spikedrop.predictive import Samples, as_samples, observed
from spikedrop.scores._checks import level_of, pair
from spikedrop.scores.calibration import predictive_moments


def conformal_interval(
    held_out: xr.DataArray | np.ndarray,
    y_held_out: np.ndarray,
    samples: xr.DataArray | np.ndarray,
    *,
    level: float = 0.9,
    noise_sd: float | np.ndarray = 0.0,
    held_out_noise_sd: float | np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Split-conformal intervals that follow the predictive sd.

    With mean :math:`\mu` and sd :math:`\sigma` of draws and noise at each observation, the scores
    of the n held-out rows are :math:`e_j = |y_j - \mu_j| / \sigma_j`, and with
    :math:`\hat q` the :math:`\lceil (n+1)\,\mathrm{level} \rceil`-th smallest of them the interval
    is

    .. math:: \mu_i \pm \hat q\, \sigma_i .

    If the held-out rows and the others are exchangeable, it holds the observation with probability
    at least `level`, whatever the network, the draws and the noise are worth (Lei et al. 2018,
    doi:10.1080/01621459.2017.1307116). Where MAPIE takes so few rows, the intervals are those of
    its `SplitConformalRegressor` with a `ResidualNormalisedScore`. The promise is an average over
    observations and over choices of the held-out rows (`coverage_limits`), and it does not reach
    beyond exchangeable rows: not to drugs or pairs that the held-out rows do not stand for.

    Parameters
    ----------
    held_out : array
        Samples for the held-out rows, axes (draw, row[, 1]), at least two draws. Rows that neither
        the training, nor its stopping, nor the choice of the noise have seen.
    y_held_out : numpy.ndarray
        What was observed there, axis (row,).
    samples : array
        Samples for the observations to be predicted, axes (draw, observation[, 1]), from the same
        network with as many draws.
    level : float
        Nominal coverage.
    noise_sd : float or array
        Observation noise at the observations, in the unit of `y_held_out`; see `mean_and_noise`. 0
        lets the spread of the draws alone shape the intervals.
    held_out_noise_sd : float or array, optional
        That of the held-out rows; by default `noise_sd`, which then is one number.

    Returns
    -------
    lower, upper : numpy.ndarray
        Axis (observation,), in the unit of `y_held_out`.

    Raises
    ------
    InputError
        If shapes disagree, a value is NaN, an observation has neither spread nor noise, the
        numbers of draws differ, or the held-out rows are too few for the level.

    Examples
    --------
    >>> held_out = np.repeat([[-1.0], [1.0]], 19, axis=1)
    >>> low, high = conformal_interval(
    ...     held_out, np.arange(19.0), np.array([[4.0], [6.0]]), level=0.5
    ... )
    >>> low.round(6).tolist(), high.round(6).tolist()  # the 10th of 0, 1, ... is 9
    ([-4.0], [14.0])
    """
    level = level_of(level)
    held = as_samples(held_out, "held_out", least=2)
    y = observed(y_held_out, held, "y_held_out")
    values = as_samples(samples, least=2)
    if len(held) != len(values):
        raise InputError(
            f"{len(held)} draws of the held-out rows and {len(values)} of the others: take as "
            "many, because the spread of few draws is another statistic than that of many."
        )
    if held_out_noise_sd is None:
        if np.ndim(noise_sd):
            raise InputError("noise_sd is an array: give held_out_noise_sd for the other rows.")
        held_out_noise_sd = noise_sd
    rank = conformal_rank(len(y), level)
    mean, sd = _mean_and_sd(held, held_out_noise_sd, "held-out row")
    reach = np.sort(np.abs(y - mean) / sd)[rank - 1]
    mean, sd = _mean_and_sd(values, noise_sd, "observation")
    return mean - reach * sd, mean + reach * sd


def conformal_rank(held_out: int, level: float) -> int:
    r"""Rank k of the held-out score that makes the interval, the k-th smallest.

    .. math:: k = \lceil (n+1)\,\mathrm{level} \rceil \le n

    A level is meant as the decimal or the fraction that it is written as: 0.9 as a binary number is
    a little more than nine tenths, and would ask for a rank of 10 from 9 rows.

    Raises `InputError` if the n held-out rows are too few.

    >>> conformal_rank(9, 0.9), conformal_rank(2, 2 / 3)
    (9, 2)
    """
    exact = Fraction(level)
    meant = exact.limit_denominator(10**6)
    if abs(meant - exact) > Fraction(1, 2**50):  # four units in the last place of a level
        meant = exact
    rank = math.ceil((held_out + 1) * meant)
    if rank > held_out:
        raise InputError(
            f"{held_out} held-out rows; level={level} needs at least "
            f"{math.ceil(meant / (1 - meant))}: take more, or a lower level."
        )
    return rank


def divided_coverage(
    samples: xr.DataArray | np.ndarray,
    y: np.ndarray,
    *,
    held_out: int,
    divisions: int,
    seed: int,
    level: float = 0.9,
    noise_sd: float = 0.0,
) -> np.ndarray:
    """Coverage of `conformal_interval` over random divisions of the same rows.

    One division is one throw of the dice. Each makes intervals from `held_out` rows chosen at
    random and counts what they hold of the others. Rows divided at random are exchangeable, so
    over all divisions the mean is `level` or a little more, whatever the network is worth.

    Parameters
    ----------
    samples : array
        Axes (draw, row[, 1]), of rows that nothing has looked at.
    y : numpy.ndarray
        What was observed, axis (row,).
    held_out, divisions, seed : int
        Rows that make the intervals, and how often rows are divided.
    level, noise_sd : float
        See `conformal_interval`.

    Returns
    -------
    numpy.ndarray
        Share of the other rows inside their intervals, axis (division,).

    Raises
    ------
    InputError
        As `conformal_interval`; and if no row is left to count.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y, samples = rng.normal(size=400), 0.1 * rng.normal(size=(20, 400))  # far too narrow
    >>> found = divided_coverage(samples, y, held_out=200, divisions=50, seed=0)
    >>> bool(0.88 < found.mean() < 0.92)
    True
    """
    samples, y = pair(samples, y, least=2)
    if not 1 <= held_out < len(y) or divisions < 1:
        raise InputError(
            f"held_out={held_out} of {len(y)} rows, divisions={divisions}: leave a row to count, "
            "and divide at least once."
        )
    rng, found = np.random.default_rng(seed), []
    for _ in range(divisions):
        kept, others = np.split(rng.permutation(len(y)), [held_out])
        low, high = conformal_interval(
            samples.take(kept), y[kept], samples.take(others), level=level, noise_sd=noise_sd
        )
        found.append(np.mean((low <= y[others]) & (y[others] <= high)))
    return np.array(found)


def coverage_limits(
    observations: int,
    *,
    level: float = 0.9,
    held_out: int | None = None,
    confidence: float = 0.95,
) -> tuple[float, float]:
    r"""Shares inside that chance alone explains, when each interval holds with chance `level`.

    The central `confidence` of the binomial distribution of N observations, as shares. With n
    `held_out` rows, of the beta-binomial one

    .. math:: \mathrm{BetaBinomial}(N, k, n + 1 - k), \qquad
              k = \lceil (n+1)\,\mathrm{level} \rceil ,

    because the coverage of split-conformal intervals depends on the held-out rows they were made
    with (Vovk 2012, doi:10.1007/s10994-013-5355-6); with n much larger than N the two agree.

    Raises `InputError` if a number is below 1, `level` or `confidence` not in (0, 1), or the
    held-out rows too few for the level.

    >>> coverage_limits(100)
    (0.84, 0.95)
    >>> coverage_limits(100, held_out=100)
    (0.81, 0.97)
    """
    level, confidence = level_of(level), level_of(confidence, "confidence")
    if observations < 1 or (held_out is not None and held_out < 1):
        raise InputError(f"observations={observations}, held_out={held_out}: at least one each.")
    if held_out is None:
        chance = stats.binom(observations, level)
    else:
        rank = conformal_rank(held_out, level)
        chance = stats.betabinom(observations, rank, held_out + 1 - rank)
    ends = chance.ppf([(1 - confidence) / 2, (1 + confidence) / 2]) / observations
    return float(ends[0]), float(ends[1])


def _mean_and_sd(
    samples: Samples, noise_sd: float | np.ndarray, what: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean, and sd of draws and noise, each with axis (observation,)."""
    mean, sd = predictive_moments(samples, noise_sd)
    if (sd == 0).any():
        raise InputError(
            f"{what} {int(np.argmin(sd))} has the same value in every draw and no noise: there is "
            "no sd for the interval to follow. Give noise_sd."
        )
    return mean, sd
