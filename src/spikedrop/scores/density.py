"""The density a predictive distribution gives to what was observed."""

from __future__ import annotations

import numpy as np
from scipy import special, stats

from spikedrop.checks.accepted import NoiseLike, SamplesLike, ValuesLike
from spikedrop.checks.samples import pair, per_observation
from spikedrop.scores._checks import noise_of
from spikedrop.scores.calibration import positive_moments

__all__ = ["gaussian_log_densities", "gaussian_log_likelihood", "log_densities", "log_likelihood"]


def log_likelihood(samples: SamplesLike, y: ValuesLike, noise_sd: NoiseLike) -> float:
    r"""Mean log density of the observations under the mixture of draws; higher is better.

    .. math::

        \frac1N \sum_i \log \frac1S \sum_s \mathcal N(y_i \mid y^{(s)}_i, \sigma^2)

    (Gal & Ghahramani 2016, arXiv:1506.02142), computed by log-sum-exp. Minus this is the negative
    log likelihood.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]).
    y : array
        What was observed, axis (observation,), in the unit of the samples.
    noise_sd : float or array
        Observation noise :math:`\sigma > 0` in the unit of `y`: one number (`fit_noise_sd`), one
        for each observation, or one for each draw and observation (`mean_and_noise`).

    Returns
    -------
    float
        In nats; higher is better.

    Raises
    ------
    InputError
        If shapes disagree, a value is NaN, or the noise is not positive.

    Examples
    --------
    >>> value = log_likelihood(np.zeros((3, 1)), np.zeros(1), 1.0)
    >>> round(value, 4)  # -log(2 pi) / 2
    -0.9189
    """
    return float(log_densities(samples, y, noise_sd).mean())


def log_densities(samples: SamplesLike, y: ValuesLike, noise_sd: NoiseLike) -> np.ndarray:
    """Log density of each observation, axis (observation,); `log_likelihood` is their mean.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]).
    y : array
        What was observed, axis (observation,), in the unit of the samples.
    noise_sd : float or array
        Sd of the observation noise: a number, one per observation, or per draw and observation.

    Returns
    -------
    numpy.ndarray
        Nats, axis (observation,), higher is better.

    Examples
    --------
    >>> log_densities(np.zeros((3, 2)), np.array([0.0, 2.0]), 1.0).round(4).tolist()
    [-0.9189, -2.9189]
    """
    samples, y = pair(samples, y)
    return per_observation(
        _mixture_log_density, samples, y, noise_of(noise_sd, samples, zero=False)
    )


def _mixture_log_density(values: np.ndarray, y: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """`log_densities` of values (draw, observation) without checks."""
    log_density = stats.norm.logpdf(y, loc=values, scale=noise)
    return special.logsumexp(log_density, axis=0) - np.log(len(values))


def gaussian_log_likelihood(
    samples: SamplesLike, y: ValuesLike, noise_sd: NoiseLike = 0.0
) -> float:
    r"""Mean log density under the Gaussian with the mixture's moments; higher is better.

    .. math::

        \frac1N \sum_i \log \mathcal N\bigl(y_i \mid \bar y_i,\;
        \mathrm{var}_s\, y^{(s)}_i + \tfrac1S \textstyle\sum_s \sigma_{si}^2\bigr)

    It needs only the first two moments (Dawid & Sebastiani 1999, doi:10.1214/aos/1018031101), so it
    stays usable with few draws, and punishes draws that are too narrow harder than the mixture
    does.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]), at least two draws.
    y : array
        What was observed, axis (observation,), in the unit of the samples.
    noise_sd : float or array, default 0.0
        Sd of the observation noise: a number, one per observation, or per draw and observation; it
        may be 0 where the draws spread.

    Returns
    -------
    float
        In nats; higher is better.

    Raises
    ------
    InputError
        If shapes disagree, a value is NaN, there is one draw, the noise is negative, or an
        observation has neither spread nor noise.

    Examples
    --------
    >>> value = gaussian_log_likelihood(np.array([[-1.0], [1.0]]), np.zeros(1))
    >>> round(value, 4)  # variance 2: -log(4 pi) / 2
    -1.2655
    """
    return float(gaussian_log_densities(samples, y, noise_sd).mean())


def gaussian_log_densities(
    samples: SamplesLike, y: ValuesLike, noise_sd: NoiseLike = 0.0
) -> np.ndarray:
    """Log density of each observation, axis (observation,); `gaussian_log_likelihood` is the mean.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]).
    y : array
        What was observed, axis (observation,), in the unit of the samples.
    noise_sd : float or array, default 0.0
        Sd of the observation noise: a number, one per observation, or per draw and observation.

    Returns
    -------
    numpy.ndarray
        Nats, axis (observation,), higher is better.

    Raises
    ------
    InputError
        If an observation has the same value in every draw and no noise.

    Examples
    --------
    >>> gaussian_log_densities(np.array([[-1.0], [1.0]]), np.zeros(1)).round(4).tolist()
    [-1.2655]
    """
    samples, y = pair(samples, y, least=2)
    mean, sd = positive_moments(samples, noise_sd)
    return stats.norm.logpdf(y, loc=mean, scale=sd)
