"""How sure is a difference of scores? Draw the observations again, for both networks alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spikedrop.checks.arguments import real_number, whole_number


def paired_bootstrap(
    difference: Callable[[np.ndarray], float | np.ndarray],
    observations: int,
    *,
    seed: int,
    resamples: int = 1000,
    level: float = 0.95,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Percentile interval of a difference of scores over resampled observations.

    Resample b draws rows :math:`R_b` with replacement, the same rows for both networks, so that
    hard observations count for both:

    .. math:: d_b = \mathrm{score}(\mathrm{SNN}, R_b) - \mathrm{score}(\mathrm{ANN}, R_b)

    and the interval holds the central `level` of the :math:`d_b` (Efron & Tibshirani 1993,
    doi:10.1201/9780429246593). It covers chance in the observations, not
    in the draws or in the training, and it takes the observations as independent.

    Parameters
    ----------
    difference : callable
        Takes positions of observations, axis (observation,), returns a number or several.
    observations : int
        How many there are, at least two.
    seed : int
        Of the resamples.
    resamples : int
        At least two.
    level : float
        Share of resamples within the interval.

    Returns
    -------
    low, high : numpy.ndarray
        Of the shape that `difference` returns.

    Raises
    ------
    InputError
        If a number is too small, or `level` is not in (0, 1).

    Examples
    --------
    >>> error = np.array([1.0, 2.0, 3.0, 4.0])
    >>> low, high = paired_bootstrap(lambda rows: error[rows].mean(), 4, seed=0)
    >>> bool(1 < low < 2.5 < high < 4)
    True
    """
    whole_number("observations", observations, least=2)
    whole_number("resamples", resamples, least=2)
    level, rng = real_number("level", level, above=0, below=1), np.random.default_rng(seed)
    # SciPy's bootstrap gives the same numbers, but warns about a score without an answer.
    found = [difference(rng.integers(0, observations, observations)) for _ in range(resamples)]
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high
