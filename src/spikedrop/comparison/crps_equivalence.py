"""How much does `b` lose or gain against `a`, scored by what was observed?"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

from spikedrop.checks.accepted import NoiseLike, SamplesLike, ValuesLike
from spikedrop.checks.arguments import real_number
from spikedrop.checks.samples import BLOCK, blocks, both, observed, plain
from spikedrop.comparison.criteria import Claim, Criterion, size_bounds
from spikedrop.comparison.gap import root_of
from spikedrop.errors import InputError
from spikedrop.scores.proper import absolute_mean

__all__ = ["crps_equivalence"]


def crps_equivalence(
    a: SamplesLike,
    b: SamplesLike,
    y: ValuesLike,
    claim: Claim | None = None,
    *,
    noise_sd: NoiseLike = 0.0,
    margin: float = 0.01,
) -> Criterion:
    r"""How much the score changes, as a fraction of that of `a`.

    .. math:: \theta = |\mathrm{CRPS}(b, y) / \mathrm{CRPS}(a, y) - 1|

    with the mean over observations of the fair CRPS (Ferro 2014, doi:10.1002/qj.2270; see
    `spikedrop.scores.crps`). The observations are those at hand; the draws are the sample, and
    their influence on the score gives the standard error.

    Parameters
    ----------
    a, b : xarray.DataArray or array
        Axes (draw, observation[, output]).
    y : array
        What was observed, axes (observation[, output]).
    claim : Claim, optional
        By default unpaired, margin and level 0.05; its margin plays no part.
    noise_sd : float or array, default 0.0
        Sd of the observation noise that is added to every draw, in the unit of `y`, one number or
        one for each (observation[, output]).
    margin : float, default 0.01
        As a fraction of the CRPS of `a`, in (0, 1).

    Returns
    -------
    Criterion
        A fraction, without unit; lower is closer.

    Raises
    ------
    InputError
        If shapes disagree, values are NaN, noise is negative or 0 at some observations only, or the
        CRPS of `a` is 0.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y, a, b = rng.normal(size=50), *rng.normal(size=(2, 2000, 50))
    >>> [crps_equivalence(a, b, y, margin=m).answer for m in (0.05, 0.001)]
    ['within', 'open']
    """
    claim = claim or Claim()
    real_number("crps_margin", margin, above=0, below=1)
    x, z = both(a, b)
    y = observed(y, x, two_axes=True)
    if isinstance(noise_sd, list | tuple):
        noise_sd = plain(noise_sd, "noise_sd")
    if np.ndim(noise_sd) == 0:
        noise_sd = np.full((x.observations, x.outputs), noise_sd)
    noise = observed(noise_sd, x, "noise_sd", two_axes=True)
    if (noise < 0).any() or 0 < (noise > 0).sum() < len(noise):
        raise InputError("noise_sd must be above 0 everywhere, or 0 everywhere.")
    totals, parts = np.zeros(2), (np.zeros(len(x)), np.zeros(len(z)))
    influence = _noisy if noise.any() else _influence
    for columns, values in blocks(x, z):
        for i, s in enumerate(values):
            score, effect = influence(s, y[columns], noise[columns])
            totals[i] += score
            parts[i][:] += effect / len(y)
    scores = totals / len(y)
    if scores[0] <= 0:
        raise InputError("the CRPS of a is 0: there is nothing to take a percentage of.")
    ratio = float(scores[1] / scores[0])
    terms = [ratio * parts[0][:, None] / scores[0], parts[1][:, None] / scores[0]]
    se = np.sqrt((root_of(terms, paired=claim.paired) ** 2).sum(axis=0))
    freedom = len(x) - 1 if claim.paired else len(x) + len(z) - 2
    low, high = size_bounds(np.array([ratio - 1]), se, np.asarray(freedom), claim)
    return Criterion("CRPS", "fraction", abs(ratio - 1), float(low[0]), float(high[0]), margin)


def _influence(z: np.ndarray, y: np.ndarray, _: np.ndarray) -> tuple[float, np.ndarray]:
    """Sum of CRPS, and the influence of each draw: |z - y| less its mean distance to the others."""
    z = z - y  # sums of what is far from 0 would cancel
    n = len(z)
    order = np.sort(z, axis=0)
    sums = np.cumsum(order, axis=0)
    rank = np.arange(1, n + 1)[:, None]
    distance = (rank * order - sums + (sums[-1] - sums) - (n - rank) * order) / (n - 1)
    to_others = np.empty_like(z)
    np.put_along_axis(to_others, np.argsort(z, axis=0), distance, axis=0)
    return _score(np.abs(z), to_others)


def _noisy(z: np.ndarray, y: np.ndarray, noise: np.ndarray) -> tuple[float, np.ndarray]:
    """The same with Gaussian noise around every draw."""
    n = len(z)
    to_others = np.empty_like(z)
    for column, width in enumerate(noise * np.sqrt(2)):
        draws = z[:, column]
        own = absolute_mean(np.zeros(1), width)  # of a draw from itself
        to_others[:, column] = (n * _smooth(draws, width) - own) / (n - 1)
    return _score(absolute_mean(y - z, np.broadcast_to(noise, z.shape)), to_others)


def _smooth(draws: np.ndarray, width: float) -> np.ndarray:
    """Mean distance of each draw to all of them, two noises of together `width` between.

    It is a smooth function of the draw: with nodes much closer than `width` a spline through them
    gives the sums over all pairs to seven digits.
    """
    low, high = draws.min(), draws.max()
    nodes = np.linspace(low, high, 16 + int((high - low) / (width / 20)))
    if len(nodes) >= len(draws):
        nodes = draws
    step = max(1, BLOCK // len(draws))
    values = np.concatenate(
        [
            absolute_mean(nodes[i : i + step, None] - draws, width).mean(axis=1)
            for i in range(0, len(nodes), step)
        ]
    )
    return values if nodes is draws else CubicSpline(nodes, values)(draws)


def _score(to_truth: np.ndarray, to_others: np.ndarray) -> tuple[float, np.ndarray]:
    score = to_truth.mean(axis=0) - to_others.mean(axis=0) / 2
    return float(score.sum()), (to_truth - to_others).sum(axis=1)
