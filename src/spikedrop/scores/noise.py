"""Observation noise: one number chosen on validation rows, or a second output of the network."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import optimize

from spikedrop.checks.accepted import NoiseLike, SamplesLike, ValuesLike
from spikedrop.checks.samples import as_samples, blocks, pair, per_observation
from spikedrop.errors import InputError
from spikedrop.scores._checks import noise_of
from spikedrop.scores.density import log_likelihood

__all__ = ["fit_noise_factor", "fit_noise_sd", "mean_and_noise"]


def fit_noise_sd(samples: SamplesLike, y: ValuesLike) -> float:
    r"""Observation noise that maximises `log_likelihood`; use validation rows, never test rows.

    .. math:: \hat\sigma = \arg\max_\sigma \sum_i \log \tfrac1S \textstyle\sum_s
              \mathcal N(y_i \mid y^{(s)}_i, \sigma^2)

    Its inverse square is the noise precision (Gal & Ghahramani 2016, arXiv:1506.02142). It is the
    sd of everything that the draws miss: the noise of the measurement, and the error of the network
    that its masks do not show, whose variances add.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]).
    y : array
        What was observed, axis (observation,), in the unit of the samples.

    Returns
    -------
    float
        In the unit of `y`.

    Raises
    ------
    InputError
        If shapes disagree, a value is NaN, or every draw equals its observation.

    Examples
    --------
    >>> round(fit_noise_sd(np.zeros((1, 2)), np.array([3.0, -3.0])), 3)
    3.0
    """
    return fit_noise_factor(samples, y, 1.0)


def fit_noise_factor(samples: SamplesLike, y: ValuesLike, noise_sd: NoiseLike) -> float:
    r"""Factor of a stated noise that maximises `log_likelihood`; use validation rows.

    .. math:: \hat c = \arg\max_c \sum_i \log \tfrac1S \textstyle\sum_s
              \mathcal N(y_i \mid y^{(s)}_i, c^2 \sigma_{si}^2)

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]).
    y : array
        What was observed, axis (observation,), in the unit of the samples.
    noise_sd : float or array
        The stated noise, positive: a number, one per observation, or per draw and observation.

    Returns
    -------
    float
        1 if the stated noise has the right level, above 1 if it is too small.

    Raises
    ------
    InputError
        If shapes disagree, a value is NaN, the noise is not positive, or every draw equals its
        observation.

    Examples
    --------
    >>> round(fit_noise_factor(np.zeros((1, 2)), np.array([3.0, -6.0]), np.array([1.0, 2.0])), 3)
    3.0
    """
    samples, y = pair(samples, y)
    noise = noise_of(noise_sd, samples, zero=False)
    # At the optimum the variance is a mean of squared deviations that favours small ones, so the
    # plain mean bounds it from above.
    squares = per_observation(
        lambda values, y, noise: (((y - values) / noise) ** 2).mean(axis=0), samples, y, noise
    )
    top = float(np.sqrt(np.mean(squares)))
    if top == 0:
        raise InputError("every draw equals its observation: there is no noise to estimate.")
    scaled: Any = noise_sd if hasattr(noise_sd, "ndim") else np.asarray(noise_sd)
    best = optimize.minimize_scalar(
        lambda log_factor: -log_likelihood(samples, y, float(np.exp(log_factor)) * scaled),
        bounds=(np.log(top) - 6, np.log(top) + 0.01),
        method="bounded",
    )
    return float(np.exp(best.x))


def mean_and_noise(samples: SamplesLike) -> tuple[np.ndarray, np.ndarray]:
    r"""Split the draws of a network that predicts its own noise: means, and noise sd.

    A network trained with ``noise="heteroscedastic"`` (`spikedrop.training.keras.train`) has two
    outputs, the mean and the logarithm of the noise variance (Nix & Weigend 1994,
    doi:10.1109/ICNN.1994.374138; with dropout Kendall & Gal 2017, arXiv:1703.04977):

    .. math:: \sigma^{(s)}_i = \exp\bigl(v^{(s)}_i / 2\bigr)

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation, 2), from `sample_ann` or `sample_snn`.

    Returns
    -------
    means, noise_sd : numpy.ndarray
        Each float64 with axes (draw, observation), in the unit of the observations; every score
        takes the second as its `noise_sd`.

    Raises
    ------
    InputError
        If the last axis is not 2, or a value is NaN or infinite.

    Examples
    --------
    >>> means, noise_sd = mean_and_noise(np.array([[[5.0, 0.0], [6.0, np.log(4)]]]))
    >>> means.tolist(), noise_sd.round(6).tolist()
    ([[5.0, 6.0]], [[1.0, 2.0]])
    """
    samples = as_samples(samples, outputs="many")
    if samples.outputs != 2:
        raise InputError(
            f"samples have {samples.outputs} output(s); expected (draw, observation, 2), mean and "
            "log variance: train with noise='heteroscedastic'."
        )
    means, noise_sd = np.empty((2, len(samples), samples.observations))
    for columns, (values,) in blocks(samples):
        here = slice(columns.start // 2, columns.stop // 2)
        if (np.abs(values[:, 1::2]) > 500).any():
            raise InputError("samples hold log variances beyond 500.")
        means[:, here], noise_sd[:, here] = values[:, ::2], np.exp(values[:, 1::2] / 2)
    return means, noise_sd
