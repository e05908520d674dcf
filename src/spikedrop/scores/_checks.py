"""Observation noise that is handed in, checked, and the moments of draws and noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spikedrop.checks.accepted import NoiseLike
from spikedrop.checks.samples import (
    Samples,
    aligned,
    as_samples,
    matched,
    per_observation,
    plain,
)
from spikedrop.errors import InputError

Noise = np.ndarray | Samples


def noise_of(noise_sd: NoiseLike, samples: Samples, *, zero: bool) -> Noise:
    """Return the noise, cut with the samples by `per_observation`, or raise `InputError`.

    One number, one for each observation, or one for each draw and observation.
    """
    name = "noise_sd"
    if isinstance(noise_sd, list | tuple):
        noise_sd = plain(noise_sd, name)
    axes = np.ndim(noise_sd)
    if axes > 1:
        noise = as_samples(noise_sd, name)
        if noise.shape != samples.shape:
            raise InputError(
                f"{name} has shape {noise.shape}; expected one number, {samples.shape[1:]} or "
                f"{samples.shape}."
            )
        noise = aligned(samples, noise)
    elif axes == 1:
        noise = matched(noise_sd, samples, name).astype(np.float64)
    else:
        noise = np.asarray(plain(noise_sd, name)).astype(np.float64)
    good = everywhere(noise, lambda v: np.isfinite(v) & ((v >= 0) if zero else (v > 0)))
    if not good.all():
        row = int(np.argmin(good))
        value: Any = f"... in observation {row}"
        if not isinstance(noise, Samples):
            value = noise[row] if axes else noise
        raise InputError(f"{name}={value} must be positive{' or 0' if zero else ''}, and finite.")
    return noise


def everywhere(noise: Noise, condition: Callable[[np.ndarray], Any]) -> np.ndarray:
    """Whether a condition holds in every draw of each observation."""
    if isinstance(noise, Samples):
        return per_observation(lambda v: condition(v).all(axis=0), noise)
    return np.atleast_1d(condition(noise))


def noiseless(noise: Noise) -> bool:
    """Tell whether there is no noise at all; some noise is an `InputError`."""
    if everywhere(noise, lambda v: v > 0).all():
        return False
    if everywhere(noise, lambda v: v == 0).all():
        return True
    raise InputError("noise_sd is 0 in some places and positive in others: give one or other.")


def moments(values: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and sd of the mixture of draws and noise, each with axis (observation,).

    `values` have axes (draw, observation). By the law of total variance the variance is that of
    the draws (n - 1) plus the mean over draws of the noise variance.
    """
    spread = values.var(axis=0, ddof=1)
    spread[values.min(axis=0) == values.max(axis=0)] = 0.0  # not 1e-17
    return values.mean(axis=0), np.sqrt(spread + np.broadcast_to(noise**2, values.shape).mean(0))
