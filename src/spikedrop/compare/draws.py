"""What every comparison asks of two samples before it begins."""

from __future__ import annotations

import numpy as np
import xarray as xr

from spikedrop.errors import InputError


def as_draws(samples: xr.DataArray | np.ndarray, name: str, *, outputs: bool = False) -> np.ndarray:
    """Return samples as float64 (draw, observation) after checks.

    With `outputs`, every (observation, output) becomes an observation; without, several outputs
    are refused.
    """
    values = np.asarray(samples, dtype=np.float64)
    if values.ndim == 3 and (outputs or values.shape[2] == 1):
        values = values.reshape(len(values), -1)
    if values.ndim != 2 or not values.shape[1]:
        raise InputError(
            f"{name} has shape {np.shape(samples)}; expected (draw, observation) or "
            "(draw, observation, 1): compare one output at a time."
        )
    if len(values) < 2:
        raise InputError(f"{name} has {len(values)} draw(s); a spread needs at least two.")
    if not np.isfinite(values).all():
        draw, observation = np.argwhere(~np.isfinite(values))[0]
        raise InputError(
            f"{name} holds NaN or infinite values, the first in draw {draw}, observation "
            f"{observation}."
        )
    return values


def same_observations(a: np.ndarray, b: np.ndarray) -> None:
    """Refuse two (draw, observation) arrays of different observations."""
    if a.shape[1] != b.shape[1]:
        raise InputError(f"a has {a.shape[1]} observations and b {b.shape[1]}; they must agree.")


def predictive_sd(samples: xr.DataArray | np.ndarray, name: str = "samples") -> np.ndarray:
    """Return the standard deviation over draws, axis (observation,); an error where it is 0."""
    values = as_draws(samples, name)
    constant = values.min(axis=0) == values.max(axis=0)  # rounding can leave an sd of 1e-17
    if constant.any():
        raise InputError(
            f"{name}: observation {int(np.argmax(constant))} has the same value in every draw, so "
            "there is no predictive sd to measure in; is every dropout rate 0?"
        )
    return values.std(axis=0, ddof=1)


def pairing_fault(a: xr.DataArray | np.ndarray, b: xr.DataArray | np.ndarray) -> str | None:
    """Say what forbids that draw s of both samples had the same masks; None if nothing does.

    Arrays without labels say nothing.
    """
    if not (isinstance(a, xr.DataArray) and isinstance(b, xr.DataArray)):
        return None
    for key in ("seed", "scope"):
        one, other = a.attrs.get(key), b.attrs.get(key)
        if one != other:
            return f"{key} is {one!r} for one and {other!r} for the other."
    if "draw" in a.coords and "draw" in b.coords and a.sizes == b.sizes:
        which = [samples["draw"].to_numpy() for samples in (a, b)]
        if not np.array_equal(*which):
            return (
                f"draws {which[0][0]} to {which[0][-1]} for one and {which[1][0]} to "
                f"{which[1][-1]} for the other."
            )
    return None


def said_to_be_paired(a: xr.DataArray | np.ndarray, b: xr.DataArray | np.ndarray) -> bool:
    """Whether the labels of both samples say that they had the same masks."""
    labelled = all(isinstance(s, xr.DataArray) and "seed" in s.attrs for s in (a, b))
    return labelled and a.shape == b.shape and pairing_fault(a, b) is None
