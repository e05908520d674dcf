"""Does a stated probability come true as often as stated, and how narrow is the statement?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special, stats

from spikedrop.checks.accepted import NoiseLike, SamplesLike, ValuesLike
from spikedrop.checks.arguments import real_number
from spikedrop.checks.samples import as_samples, one_axis, pair, per_observation
from spikedrop.errors import InputError
from spikedrop.scores._checks import moments, noise_of, noiseless

__all__ = [
    "calibration_curve",
    "calibration_error",
    "central_interval",
    "coverage",
    "interval_coverage",
    "pit",
    "predictive_moments",
    "sharpness",
    "width",
]

LEVELS = tuple(float(level) for level in np.linspace(0.05, 0.95, 19))


def predictive_moments(
    samples: SamplesLike, noise_sd: NoiseLike = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    r"""Mean and sd of draws and noise together.

    .. math:: \bar y_i, \qquad
              \sqrt{\mathrm{var}_s\, y^{(s)}_i + \tfrac1S \textstyle\sum_s \sigma_{si}^2}

    by the law of total variance.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]), at least two draws.
    noise_sd : float or array, default 0.0
        Sd of the observation noise: a number, one per observation, or per draw and observation; 0
        for none.

    Returns
    -------
    mean, sd : numpy.ndarray
        Axis (observation,), in the unit of the samples.

    Raises
    ------
    InputError
        If there is one draw, shapes disagree, a value is NaN or infinite, or the noise is negative.

    Examples
    --------
    >>> predictive_moments(np.array([[-1.0], [1.0]]), noise_sd=2**0.5)
    (array([0.]), array([2.]))
    """
    samples = as_samples(samples, least=2)
    return per_observation(moments, samples, noise_of(noise_sd, samples, zero=True))


def positive_moments(
    samples: SamplesLike, noise_sd: NoiseLike, what: str = "observation"
) -> tuple[np.ndarray, np.ndarray]:
    """`predictive_moments`, or `InputError` where the sd is 0; `what` is for the message."""
    mean, sd = predictive_moments(samples, noise_sd)
    if (sd == 0).any():
        raise InputError(
            f"{what} {int(np.argmin(sd))} has the same value in every draw and no noise, so there "
            "is no sd. Give noise_sd."
        )
    return mean, sd


def central_interval(
    samples: SamplesLike, noise_sd: NoiseLike = 0.0, level: float = 0.9
) -> tuple[np.ndarray, np.ndarray]:
    r"""Lower and upper end of the central `level` interval.

    The interval is that of the Gaussian with the mixture's moments,
    :math:`\bar y_i \pm z \sqrt{\mathrm{var}_s\, y^{(s)}_i + \tfrac1S\sum_s\sigma_{si}^2}` with
    :math:`z` the :math:`(1+\mathrm{level})/2` quantile of the standard normal.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]), at least two draws.
    noise_sd : float or array, default 0.0
        Sd of the observation noise: a number, one per observation, or per draw and observation; 0
        for none.
    level : float, default 0.9
        Nominal coverage, in (0, 1).

    Returns
    -------
    lower, upper : numpy.ndarray
        Axis (observation,), in the unit of the samples.

    Raises
    ------
    InputError
        As `predictive_moments`, or if `level` is not in (0, 1).

    Examples
    --------
    >>> low, high = central_interval(np.array([[-1.0], [1.0]]))
    >>> low.round(3).tolist(), high.round(3).tolist()  # 1.645 x sqrt(2)
    ([-2.326], [2.326])
    """
    level = real_number("level", level, above=0, below=1)
    mean, sd = predictive_moments(samples, noise_sd)
    half = stats.norm.ppf((1 + level) / 2) * sd
    return mean - half, mean + half


def interval_coverage(lower: np.ndarray, upper: np.ndarray, y: np.ndarray) -> float:
    """Share of observations inside given intervals, ends included; nearest to the level is best.

    Parameters
    ----------
    lower, upper : array
        Ends of the intervals, axis (observation,).
    y : array
        What was observed, axis (observation,), in the unit of the ends.

    Returns
    -------
    float
        From 0 to 1; nearest to the level of the intervals is best.

    Raises
    ------
    InputError
        If shapes disagree, a value is NaN or infinite, or a lower end is above its upper one.

    Examples
    --------
    >>> interval_coverage(np.zeros(2), np.ones(2), np.array([1.0, 2.0]))
    0.5
    """
    lower, upper, y = bounds_of(lower, upper, y)
    return float(np.mean((lower <= y) & (y <= upper)))


def coverage(
    samples: SamplesLike,
    y: ValuesLike,
    noise_sd: NoiseLike = 0.0,
    level: float = 0.9,
) -> float:
    r"""Share of observations inside the central `level` interval; closest to `level` is best.

    .. math:: \tfrac1N \sum_i 1\{l_i \le y_i \le u_i\}

    with the ends of `central_interval` (Gneiting, Balabdaoui & Raftery 2007,
    doi:10.1111/j.1467-9868.2007.00587.x). Draws without spread and without noise make an interval
    of one point.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]), at least two draws.
    y : array
        What was observed, axis (observation,), in the unit of the samples.
    noise_sd : float or array, default 0.0
        Sd of the observation noise: a number, one per observation, or per draw and observation; 0
        for none.
    level : float, default 0.9
        Nominal coverage, in (0, 1).

    Returns
    -------
    float
        From 0 to 1; closest to `level` is best.

    Raises
    ------
    InputError
        If shapes disagree, a value is NaN or infinite, there is one draw, the noise is negative, or
        `level` is not in (0, 1).

    Examples
    --------
    >>> coverage(np.array([[-1.0, -1.0], [1.0, 1.0]]), np.array([0.0, 5.0]))
    0.5
    """
    level = real_number("level", level, above=0, below=1)
    return float(np.mean(_absolute_z(samples, y, noise_sd) <= stats.norm.ppf((1 + level) / 2)))


def width(samples: SamplesLike, noise_sd: NoiseLike = 0.0, level: float = 0.9) -> float:
    """Mean width of the central `level` interval.

    Lower is better among distributions with the same `coverage`; without that it says nothing. See
    `central_interval`.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]), at least two draws.
    noise_sd : float or array, default 0.0
        Sd of the observation noise: a number, one per observation, or per draw and observation; 0
        for none.
    level : float, default 0.9
        Nominal coverage, in (0, 1).

    Returns
    -------
    float
        In the unit of the samples; lower is sharper.

    Raises
    ------
    InputError
        As `central_interval`.

    Examples
    --------
    >>> round(width(np.array([[-1.0], [1.0]])), 3)
    4.652
    """
    lower, upper = central_interval(samples, noise_sd, level)
    return float(np.mean(upper - lower))


def sharpness(samples: SamplesLike, noise_sd: NoiseLike = 0.0) -> float:
    r"""Root mean predictive variance; lower is better if calibrated.

    .. math:: \sqrt{\tfrac1N \sum_i \bigl(\mathrm{var}_s\, y^{(s)}_i
              + \tfrac1S \textstyle\sum_s \sigma_{si}^2\bigr)}

    (Kuleshov, Fenner & Ermon 2018, arXiv:1807.00263.) Of a calibrated distribution it equals the
    `rmse`, in expectation and for many draws.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]), at least two draws.
    noise_sd : float or array, default 0.0
        Sd of the observation noise: a number, one per observation, or per draw and observation; 0
        for none.

    Returns
    -------
    float
        In the unit of the samples; lower is better among calibrated distributions.

    Raises
    ------
    InputError
        As `predictive_moments`.

    Examples
    --------
    >>> sharpness(np.array([[-1.0], [1.0]]), noise_sd=2**0.5)
    2.0
    """
    return float(np.sqrt(np.mean(predictive_moments(samples, noise_sd)[1] ** 2)))


def pit(
    samples: SamplesLike,
    y: ValuesLike,
    noise_sd: NoiseLike = 0.0,
    *,
    seed: int = 0,
) -> np.ndarray:
    r"""Probability integral transform of each observation.

    .. math:: u_i = \tfrac1S \sum_s \Phi\bigl((y_i - y^{(s)}_i) / \sigma_{si}\bigr)

    Uniform on (0, 1) if the distribution is calibrated (Dawid 1984, doi:10.2307/2981683): a
    histogram with a hump says too wide, with high ends too narrow, with a slope biased. Without
    noise it is the randomised rank :math:`(R_i + V_i (1 + E_i)) / (S + 1)`, with :math:`R_i` draws
    below the observation, :math:`E_i` equal to it, and :math:`V_i` uniform.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]).
    y : array
        What was observed, axis (observation,), in the unit of the samples.
    noise_sd : float or array, default 0.0
        Sd of the observation noise: a number, one per observation, or per draw and observation; 0
        for none.
    seed : int, default 0
        Of the randomised ranks; with noise nothing is random.

    Returns
    -------
    numpy.ndarray
        Axis (observation,), in [0, 1], without unit.

    Raises
    ------
    InputError
        If shapes disagree, a value is NaN or infinite, or the noise is negative, or 0 in some
        places and not in others.

    Examples
    --------
    >>> pit(np.array([[-1.0], [1.0]]), np.zeros(1), noise_sd=1.0).round(6).tolist()
    [0.5]
    >>> rank = pit(np.array([[-1.0], [1.0]]), np.zeros(1))  # between 1/3 and 2/3, by chance
    >>> rank.round(2).tolist()
    [0.55]
    """
    samples, y = pair(samples, y)
    noise = noise_of(noise_sd, samples, zero=True)
    if not noiseless(noise):
        return per_observation(_smooth_rank, samples, y, noise)
    below, equal = per_observation(
        lambda values, y: ((values < y).sum(axis=0), (values == y).sum(axis=0)), samples, y
    )
    v = np.random.default_rng(seed).uniform(size=len(y))
    return (below + v * (1 + equal)) / (len(samples) + 1)


def _smooth_rank(values: np.ndarray, y: np.ndarray, noise: np.ndarray) -> np.ndarray:
    return special.ndtr((y - values) / noise).mean(axis=0)


def calibration_curve(
    samples: SamplesLike,
    y: ValuesLike,
    noise_sd: NoiseLike = 0.0,
    levels: Sequence[float] = LEVELS,
) -> tuple[list[float], list[float]]:
    """Nominal levels and the `coverage` observed at each; on the diagonal is best.

    Below it the intervals are too narrow (Kuleshov, Fenner & Ermon 2018, arXiv:1807.00263).

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]), at least two draws.
    y : array
        What was observed, axis (observation,), in the unit of the samples.
    noise_sd : float or array, default 0.0
        Sd of the observation noise: a number, one per observation, or per draw and observation; 0
        for none.
    levels : sequence of float
        Nominal levels in (0, 1), increasing; by default 0.05, 0.1, ... 0.95.

    Returns
    -------
    levels, observed : list of float
        The nominal levels, and the share of observations inside the central interval of each.

    Raises
    ------
    InputError
        As `coverage`, or if the levels do not increase.

    Examples
    --------
    >>> calibration_curve(np.array([[-1.0], [1.0]]), np.array([0.0]), levels=(0.5,))
    ([0.5], [1.0])
    """
    levels = _sorted_levels(levels)
    return levels, _observed_at(_absolute_z(samples, y, noise_sd), levels)


def calibration_error(
    samples: SamplesLike,
    y: ValuesLike,
    noise_sd: NoiseLike = 0.0,
    levels: Sequence[float] = LEVELS,
) -> float:
    r"""Mean distance of the calibration curve to the diagonal; lower is better, 0 at best.

    .. math:: \tfrac1K \sum_k |\hat c(\alpha_k) - \alpha_k|

    with :math:`\hat c` the `coverage` observed at level :math:`\alpha_k` (Kuleshov, Fenner & Ermon
    2018, arXiv:1807.00263). With N observations a calibrated distribution scores about
    :math:`0.3/\sqrt N`, not 0.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]), at least two draws.
    y : array
        What was observed, axis (observation,), in the unit of the samples.
    noise_sd : float or array, default 0.0
        Sd of the observation noise: a number, one per observation, or per draw and observation; 0
        for none.
    levels : sequence of float
        Nominal levels in (0, 1), increasing; by default 0.05, 0.1, ... 0.95.

    Returns
    -------
    float
        From 0 to 1, without unit; lower is better.

    Raises
    ------
    InputError
        As `calibration_curve`.

    Examples
    --------
    >>> calibration_error(np.array([[-1.0], [1.0]]), np.array([0.0]), levels=(0.5,))
    0.5
    """
    levels = _sorted_levels(levels)
    return curve_error(_absolute_z(samples, y, noise_sd), levels)


def _sorted_levels(levels: Sequence[float]) -> list[float]:
    """Return nominal levels as a list, or raise `InputError` unless they increase in (0, 1)."""
    found = [real_number("level", level, above=0, below=1) for level in levels]
    if not found or (np.diff(found) <= 0).any():
        raise InputError(f"levels={found[:6]}: give at least one, in increasing order.")
    return found


def _absolute_z(samples: SamplesLike, y: ValuesLike, noise_sd: NoiseLike = 0.0) -> np.ndarray:
    """Absolute error in predictive sd, axis (observation,); 0 for a hit without any spread."""
    samples, y = pair(samples, y, least=2)
    mean, sd = predictive_moments(samples, noise_sd)
    return ratio(np.abs(y - mean), sd)


def ratio(error: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Divide; where sd is 0, an error of 0 gives 0 and any other infinity."""
    beyond = np.where(error > 0, np.inf, 0.0)
    return np.divide(error, sd, out=beyond, where=sd > 0)


def _observed_at(z: np.ndarray, levels: Sequence[float]) -> list[float]:
    """Share of absolute errors within the central interval of each level."""
    return [float(np.mean(z <= stats.norm.ppf((1 + level) / 2))) for level in levels]


def curve_error(z: np.ndarray, levels: Sequence[float]) -> float:
    """`calibration_error` of absolute errors in sd."""
    return float(np.mean(np.abs(np.subtract(_observed_at(z, levels), levels))))


def bounds_of(
    lower: np.ndarray, upper: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return intervals and observations as float64 (observation,), or raise `InputError`."""
    like, lower = (lower, "lower"), one_axis(lower, "lower")
    upper = one_axis(upper, "upper", len(lower), like=like)
    y = one_axis(y, "y", len(lower), like=like)
    if not (lower <= upper).all():
        where = int(np.argmin(lower <= upper))
        raise InputError(
            f"observation {where}: lower={lower[where]} and upper={upper[where]}; the lower end "
            "must not be above the upper one."
        )
    return lower, upper, y
