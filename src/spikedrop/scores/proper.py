"""Proper scores: what is best in expectation is to state what one believes."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import special

from spikedrop.errors import InputError
from spikedrop.scores._checks import level_of, noise_of, pair
from spikedrop.scores.calibration import bounds_of

BLOCK = 2_000_000  # pairs of draws held at once


def crps(
    samples: xr.DataArray | np.ndarray, y: np.ndarray, noise_sd: float | np.ndarray = 0.0
) -> float:
    r"""Fair continuous ranked probability score, in the unit of `y`; lower is better.

    .. math::

        \frac1N \sum_i \Bigl( \frac1S \sum_s \mathrm E|X_{si} - y_i| -
        \frac{1}{2S(S-1)} \sum_{s \ne t} \mathrm E|X_{si} - X_{ti}| \Bigr), \qquad
        X_{si} \sim \mathcal N(y^{(s)}_i, \sigma_{si}^2)

    (Gneiting & Raftery 2007, doi:10.1198/016214506000001437; fair in the number of draws: Ferro
    2014, doi:10.1002/qj.2270). *Fair* means that its expectation does not depend on the number of
    draws, so it can be slightly negative. With noise the expectations are those of Gaussians, in
    closed form (Grimit et al. 2006, doi:10.1256/qj.05.235); one draw with noise is refused, as
    one without.

    Parameters
    ----------
    samples : array
        Axes (draw, observation[, 1]), at least two draws.
    y : numpy.ndarray
        Axis (observation,).
    noise_sd : float or array
        As in `log_likelihood`; 0 scores the draws alone.

    Raises
    ------
    InputError
        If shapes disagree, a value is NaN, there is one draw, or the noise is 0 in some places and
        not in others.

    Examples
    --------
    >>> crps(np.array([[-1.0], [1.0]]), np.zeros(1))  # 1 - 2 / 2
    0.0
    >>> crps(np.array([[-1.0], [1.0]]), np.array([3.0]))  # 3 - 2 / 2
    2.0
    """
    return float(crps_values(samples, y, noise_sd).mean())


def crps_values(
    samples: xr.DataArray | np.ndarray, y: np.ndarray, noise_sd: float | np.ndarray = 0.0
) -> np.ndarray:
    """Fair CRPS of each observation, axis (observation,); `crps` is their mean.

    >>> crps_values(np.array([[-1.0, -1.0], [1.0, 1.0]]), np.array([0.0, 3.0])).tolist()
    [0.0, 2.0]
    """
    import scoringrules  # takes seconds, and most of the package does without

    values, y = pair(samples, y, least=2)
    noise = noise_of(noise_sd, values, zero=True)
    if not (noise > 0).any():
        return scoringrules.crps_ensemble(y, values, m_axis=0, estimator="fair")
    if not (noise > 0).all():
        raise InputError("noise_sd is 0 in some places and positive in others: give one or other.")
    draws = len(values)
    sd = np.broadcast_to(noise, values.shape)
    size = max(1, BLOCK // draws**2)
    blocks = [slice(start, start + size) for start in range(0, len(y), size)]
    mixture = np.concatenate(
        [scoringrules.crps_mixnorm(y[b], values[:, b].T, sd[:, b].T) for b in blocks]
    )
    # The library's mixture holds each draw's distance to itself, 2 sd / sqrt(pi); the fair score
    # leaves it out.
    to_observation = absolute_mean(y - values, sd).mean(axis=0)
    all_pairs = 2 * (to_observation - mixture) * draws**2
    other_pairs = all_pairs - 2 * sd.sum(axis=0) / np.sqrt(np.pi)
    return to_observation - other_pairs / (2 * draws * (draws - 1))


def absolute_mean(mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Mean absolute value of a Gaussian."""
    z = mean / sd
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return mean * (2 * special.ndtr(z) - 1) + 2 * sd * density


def interval_score(
    lower: np.ndarray, upper: np.ndarray, y: np.ndarray, level: float = 0.9
) -> float:
    r"""Width of the intervals plus a fine for every miss, in the unit of `y`; lower is better.

    .. math::

        \tfrac1N \sum_i (u_i - l_i) + \tfrac2\alpha (l_i - y_i)^+ + \tfrac2\alpha (y_i - u_i)^+

    with :math:`\alpha = 1 - \mathrm{level}` (Winkler 1972, doi:10.1080/01621459.1972.10481224;
    Gneiting & Raftery 2007, doi:10.1198/016214506000001437).

    Parameters
    ----------
    lower, upper : numpy.ndarray
        Ends of the intervals, axis (observation,), from `central_interval` or
        `spikedrop.conformal`.
    y : numpy.ndarray
        Axis (observation,).
    level : float
        Nominal coverage of the intervals.

    Raises
    ------
    InputError
        If shapes disagree, a lower end is above its upper one, or `level` is not in (0, 1).

    Examples
    --------
    >>> interval_score(np.zeros(2), np.ones(2), np.array([0.5, 2.0]), level=0.5)  # 1 and 1 + 4
    3.0
    """
    return float(interval_scores(lower, upper, y, level).mean())


def interval_scores(
    lower: np.ndarray, upper: np.ndarray, y: np.ndarray, level: float = 0.9
) -> np.ndarray:
    """Interval score of each observation, axis (observation,); `interval_score` is their mean.

    >>> interval_scores(np.zeros(2), np.ones(2), np.array([0.5, 2.0]), level=0.5).tolist()
    [1.0, 5.0]
    """
    import scoringrules

    level = level_of(level)
    lower, upper, y = bounds_of(lower, upper, y)
    return np.atleast_1d(scoringrules.interval_score(y, lower, upper, 1 - level))
