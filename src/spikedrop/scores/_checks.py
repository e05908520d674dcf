"""What every score does first: refuse what cannot be scored, and take the moments."""

from __future__ import annotations

import numpy as np
import xarray as xr

from spikedrop.errors import InputError


def draws_of(samples: xr.DataArray | np.ndarray, *, least: int = 1) -> np.ndarray:
    """Return samples as float64 (draw, observation), or raise `InputError`."""
    values = np.asarray(samples, dtype=np.float64)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim != 2 or values.size == 0:
        two = values.ndim == 3 and values.shape[2] == 2
        raise InputError(
            f"samples have shape {np.shape(samples)}; expected (draw, observation[, 1]), at least "
            "one of each: score one output at a time"
            + (", or split a mean and its log variance with mean_and_noise." if two else ".")
        )
    if len(values) < least:
        raise InputError(f"{len(values)} draws; this score needs at least {least}: draw more.")
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        raise InputError(
            f"samples hold NaN or infinite values, the first in draw {bad[0][0]}, observation "
            f"{bad[0][1]}: find out where they come from before you score them."
        )
    return values


def observed(y: np.ndarray, observations: int) -> np.ndarray:
    """Return what was observed as float64 (observation,), or raise `InputError`."""
    y = np.asarray(y, dtype=np.float64)
    if y.shape != (observations,):
        raise InputError(f"{observations} observations are predicted and y has shape {y.shape}.")
    if not np.isfinite(y).all():
        raise InputError(
            "y: the observations hold NaN or infinite values, the first is observation "
            f"{int(np.argmin(np.isfinite(y)))}: drop what was not measured."
        )
    return y


def pair(
    samples: xr.DataArray | np.ndarray, y: np.ndarray, *, least: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Return samples (draw, observation) and observations (observation,), both float64."""
    y = np.asarray(y, dtype=np.float64)
    shape = np.shape(samples)
    if y.ndim != 1 or len(shape) < 2 or y.shape != shape[1:2]:
        raise InputError(
            f"samples have shape {shape} and observations {y.shape}; expected "
            "(draw, observation[, 1]) and (observation,)."
        )
    values = draws_of(samples, least=least)
    return values, observed(y, values.shape[1])


def noise_of(noise_sd: float | np.ndarray, values: np.ndarray, *, zero: bool) -> np.ndarray:
    """Return the noise as an array that broadcasts against the draws, or raise `InputError`.

    One number, one for each observation, or one for each draw and observation.
    """
    noise = np.asarray(noise_sd, dtype=np.float64)
    if noise.shape not in ((), values.shape[1:], values.shape):
        raise InputError(
            f"noise_sd has shape {noise.shape}; expected one number, {values.shape[1:]} or "
            f"{values.shape}."
        )
    wrong = ~(np.isfinite(noise) & ((noise >= 0) if zero else (noise > 0)))
    if wrong.any():
        raise InputError(
            f"noise_sd={noise[wrong].flat[0]} must be positive{' or 0' if zero else ''}."
        )
    return noise


def level_of(level: float) -> float:
    """Return a nominal coverage, or raise `InputError`."""
    if not 0 < level < 1:
        raise InputError(f"level={level}: a nominal coverage lies between 0 and 1.")
    return float(level)


def moments(values: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and sd of the mixture of draws and noise, each with axis (observation,).

    By the law of total variance the variance is that of the draws (n - 1) plus the mean over
    draws of the noise variance.
    """
    spread = values.var(axis=0, ddof=1)
    spread[values.min(axis=0) == values.max(axis=0)] = 0.0  # not 1e-17
    return values.mean(axis=0), np.sqrt(spread + np.broadcast_to(noise**2, values.shape).mean(0))
