"""Proper scores: what is best in expectation is to state what one believes."""

from __future__ import annotations

import numpy as np
from scipy import special

from spikedrop.checks.accepted import NoiseLike, SamplesLike, ValuesLike
from spikedrop.checks.arguments import real_number
from spikedrop.checks.samples import pair, per_observation
from spikedrop.scores._checks import noise_of, noiseless
from spikedrop.scores.calibration import bounds_of

__all__ = ["crps", "crps_values", "interval_score", "interval_scores"]

SMALL = 2**16  # values of a block whose pairs of draws are formed: it stays in the cache


def crps(samples: SamplesLike, y: ValuesLike, noise_sd: NoiseLike = 0.0) -> float:
    r"""Fair continuous ranked probability score; lower is better.

    .. math::

        \frac1N \sum_i \Bigl( \frac1S \sum_s \mathrm E|X_{si} - y_i| -
        \frac{1}{2S(S-1)} \sum_{s \ne t} \mathrm E|X_{si} - X_{ti}| \Bigr),

        X_{si} \sim \mathcal N(y^{(s)}_i, \sigma_{si}^2)

    (Gneiting & Raftery 2007, doi:10.1198/016214506000001437; fair in the number of draws: Ferro
    2014, doi:10.1002/qj.2270). *Fair* means that its expectation does not depend on the number of
    draws, so it can be slightly negative. With noise the expectations are those of Gaussians, in
    closed form (Grimit et al. 2006, doi:10.1256/qj.05.235); one draw with noise is refused, as
    one without.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]), at least two draws.
    y : array
        What was observed, axis (observation,), in the unit of the samples.
    noise_sd : float or array, default 0.0
        Sd of the observation noise: a number, one per observation, or per draw and observation; 0
        for none.

    Returns
    -------
    float
        In the unit of `y`; lower is better.

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


def crps_values(samples: SamplesLike, y: ValuesLike, noise_sd: NoiseLike = 0.0) -> np.ndarray:
    """Fair CRPS of each observation, axis (observation,); `crps` is their mean.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]), at least two draws.
    y : array
        What was observed, axis (observation,), in the unit of the samples.
    noise_sd : float or array, default 0.0
        Sd of the observation noise: a number, one per observation, or per draw and observation; 0
        for none.

    Returns
    -------
    numpy.ndarray
        In the unit of the samples, axis (observation,), lower is better.

    Raises
    ------
    InputError
        As `crps`.

    Examples
    --------
    >>> crps_values(np.array([[-1.0, -1.0], [1.0, 1.0]]), np.array([0.0, 3.0])).tolist()
    [0.0, 2.0]
    """
    samples, y = pair(samples, y, least=2)
    noise = noise_of(noise_sd, samples, zero=True)
    if noiseless(noise):
        return per_observation(_crps_of_draws, samples, y)
    return per_observation(_crps_of_mixture, samples, y, noise, size=SMALL)


def _crps_of_draws(values: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Fair CRPS of values (draw, observation) without checks or noise.

    In order of size the k-th draw is below S - k others and above k - 1, so that the pairs need
    not be formed.
    """
    import scoringrules  # takes seconds, and most of the package does without

    # "pwm" equals "fair". Less y, because the sums of the sorted form cancel where the draws are
    # far from 0 and near to each other; NumPy spares the compiler's wait.
    return np.atleast_1d(
        scoringrules.crps_ensemble(
            np.zeros(len(y)), values - y, m_axis=0, estimator="pwm", backend="numpy"
        )
    )


def _crps_of_mixture(values: np.ndarray, y: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Fair CRPS of Gaussians around values (draw, observation) without checks."""
    draws = len(values)
    sd = np.broadcast_to(noise, values.shape)
    others = np.zeros(len(y))
    for k in range(1, draws):  # every pair once, by the distance of their numbers
        both = np.hypot(sd[k:], sd[:-k])
        others += absolute_mean(values[k:] - values[:-k], both).sum(axis=0)
    return absolute_mean(y - values, sd).mean(axis=0) - others / (draws * (draws - 1))


def absolute_mean(mean: np.ndarray, sd: np.ndarray | float) -> np.ndarray:
    """Mean absolute value of a Gaussian."""
    z = mean / sd
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return mean * (2 * special.ndtr(z) - 1) + 2 * sd * density


def interval_score(
    lower: np.ndarray, upper: np.ndarray, y: np.ndarray, level: float = 0.9
) -> float:
    r"""Width of the intervals plus a fine for every miss; lower is better.

    .. math::

        \tfrac1N \sum_i (u_i - l_i) + \tfrac2\alpha (l_i - y_i)^+ + \tfrac2\alpha (y_i - u_i)^+

    with :math:`\alpha = 1 - \mathrm{level}` (Winkler 1972, doi:10.1080/01621459.1972.10481224;
    Gneiting & Raftery 2007, doi:10.1198/016214506000001437).

    Parameters
    ----------
    lower, upper : numpy.ndarray
        Ends of the intervals, axis (observation,), from `central_interval` or
        `spikedrop.scores.conformal`.
    y : array
        What was observed, axis (observation,), in the unit of the ends.
    level : float, default 0.9
        Nominal coverage of the intervals.

    Returns
    -------
    float
        In the unit of `y`; lower is better.

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
    """Interval score of each observation; `interval_score` is their mean.

    Parameters
    ----------
    lower, upper : array
        Ends of the intervals, axis (observation,).
    y : array
        What was observed, axis (observation,), in the unit of the ends.
    level : float, default 0.9
        Nominal coverage of the intervals, in (0, 1).

    Returns
    -------
    numpy.ndarray
        In the unit of `y`, axis (observation,); lower is better.

    Raises
    ------
    InputError
        As `interval_score`.

    Examples
    --------
    >>> interval_scores(np.zeros(2), np.ones(2), np.array([0.5, 2.0]), level=0.5).tolist()
    [1.0, 5.0]
    """
    import scoringrules

    level = real_number("level", level, above=0, below=1)
    lower, upper, y = bounds_of(lower, upper, y)
    return np.atleast_1d(scoringrules.interval_score(y, lower, upper, 1 - level))
