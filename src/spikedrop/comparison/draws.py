"""What every comparison asks of two samples before it begins."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from scipy import stats

from spikedrop.checks.accepted import SamplesLike
from spikedrop.checks.arguments import real_number
from spikedrop.checks.samples import Samples, as_samples, blocks, per_observation
from spikedrop.comparison.criteria import RARE
from spikedrop.errors import InputError

__all__ = ["fewest_draws", "predictive_sd"]


def predictive_sd(samples: SamplesLike, name: str = "samples") -> np.ndarray:
    """Return the standard deviation over draws, axis (observation,); an error where it is 0.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]).
    name : str
        For error messages.

    Returns
    -------
    numpy.ndarray
        In the unit of the samples, axis (observation,).

    Raises
    ------
    InputError
        If it is 0 at an observation.

    Examples
    --------
    >>> predictive_sd(np.array([[1.0, 0.0], [3.0, 8.0]])).round(3).tolist()  # root of 2, of 32
    [1.414, 5.657]
    """
    return centre_and_sd(as_samples(samples, name, least=2))[1]


def centre_and_sd(samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and `predictive_sd`, each with axis (column,)."""
    mean, sd, constant = per_observation(
        lambda values: (
            values.mean(axis=0),
            values.std(axis=0, ddof=1),
            values.min(axis=0) == values.max(axis=0),  # rounding can leave an sd of 1e-17
        ),
        samples,
    )
    if constant.any():
        raise InputError(
            f"{samples.name}: observation {int(np.argmax(constant))} has the same value in every "
            "draw, so there is no predictive sd to measure in; is every dropout rate 0?"
        )
    return mean, sd


def check_independent(samples: Samples) -> None:
    r"""Refuse draws that depend on the one before, which say less than their number.

    The correlation of neighbouring draws in their ranks z, less the mean rank, mean over
    observations,

    .. math:: \bar r = \tfrac1m \sum_i \frac{\sum_s z_{s,i}\, z_{s-1,i}}{\sum_s z_{s,i}^2},

    has an sd of at most :math:`1/\sqrt n` for n independent draws, however observations depend on
    each other: beyond five of those it is not chance (a false alarm in two million
    samples). Asked of the first observations, as many as a block holds, without those in which most
    draws have one value.

    Raises `InputError` if they depend on each other.

    >>> steps = np.random.default_rng(0).normal(size=(400, 3))
    >>> check_independent(as_samples(steps, "a"))
    >>> check_independent(as_samples(np.cumsum(steps, axis=0), "a"))
    Traceback (most recent call last):
    spikedrop.errors.InputError: a: each draw follows the one before it (correlation 0.98), and a
    verdict counts draws as independent: keep every k-th draw, with k so large that neighbours are,
    or give draws in the order they were drawn in.
    """
    _, (values,) = next(blocks(samples))
    z = stats.rankdata(values.reshape(len(values), -1), axis=0)  # no tail is too heavy for ranks
    z -= z.mean(axis=0)
    square = (z**2).sum(axis=0)
    moving = square > (len(z) ** 3 - len(z)) / 24  # half of what it is without ties
    if not moving.any():
        return
    r = float(((z[1:] * z[:-1]).sum(axis=0)[moving] / square[moving]).mean())
    if abs(r) > 5 / math.sqrt(len(z)):
        raise InputError(
            f"{samples.name}: each draw follows the one before it (correlation {r:.2f}), and a "
            "verdict counts draws as independent: keep every k-th draw, with k so large that "
            "neighbours are, or give draws in the order they were drawn in."
        )


def fewest_draws(level: float = 0.05) -> int:
    """Draws below which nothing is called equivalent, however close it looks.

    A fault that strikes one draw in twenty is absent from n draws with probability 0.95**n; it
    takes 59 draws to make that at most 5 %.

    Parameters
    ----------
    level : float, default 0.05
        Probability that such a fault is missed, in (0, 1).

    Returns
    -------
    int
        Number of draws.

    Raises
    ------
    InputError
        If `level` is not in (0, 1).

    Examples
    --------
    >>> fewest_draws(0.05)
    59
    """
    level = real_number("level", level, above=0, below=1)
    return math.ceil(math.log(level) / math.log(1 - RARE))


def pairing_fault(a: object, b: object) -> str | None:
    """Say what forbids that draw s of both samples had the same masks; None if nothing does.

    Arrays without labels say nothing.
    """
    a, b = (s.source if isinstance(s, Samples) else s for s in (a, b))
    if not (isinstance(a, xr.DataArray) and isinstance(b, xr.DataArray)):
        return None
    for key in ("seed", "scope"):
        first, second = a.attrs.get(key), b.attrs.get(key)
        if first != second:
            return f"{key} is {first!r} for one and {second!r} for the other."
    if "draw" in a.coords and "draw" in b.coords and a.sizes["draw"] == b.sizes["draw"]:
        numbers = [samples["draw"].to_numpy() for samples in (a, b)]
        wrong = np.flatnonzero(numbers[0] != numbers[1])
        if len(wrong):
            first, second = (number[wrong[0]] for number in numbers)
            return f"position {wrong[0]} holds draw {first} of one and draw {second} of the other."
    return None


def said_to_be_paired(a: object, b: object) -> bool:
    """Whether the labels of both samples say that they had the same masks."""
    if not (isinstance(a, xr.DataArray) and isinstance(b, xr.DataArray)):
        return False
    labelled = "seed" in a.attrs and "seed" in b.attrs
    return labelled and a.sizes == b.sizes and pairing_fault(a, b) is None
