"""Whole laws, one observation at a time and all together, by their maximum mean discrepancy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spikedrop.checks.accepted import SamplesLike
from spikedrop.checks.arguments import one_of
from spikedrop.checks.samples import Samples, both
from spikedrop.comparison.criteria import Claim, Criterion
from spikedrop.comparison.draws import centre_and_sd
from spikedrop.comparison.gap import Gap, crossing, root_of
from spikedrop.comparison.kernel import (
    joint_phases,
    marginal_features,
    modulus,
    moved,
    quadrature,
    side_by_side,
    waves,
)

__all__ = ["kernel_equivalence"]

KERNELS = ("each law", "joint law")
Law = tuple[float, np.ndarray, Callable[[float], float]]
"""Squared distance of the mean feature vectors of two samples, a matrix with the eigenvalues of the
covariance of their difference, and the MMD that a shift makes."""
NAMES = {"each law": "each law", "joint law": "the joint law"}
ONE = 1.0  # predictive sd; larger shifts are not told apart
SMALL = 2**13  # values of a sample in a block, each of which has sixteen features


def kernel_equivalence(
    a: SamplesLike,
    b: SamplesLike,
    claim: Claim | None = None,
    *,
    kernel: str = "each law",
) -> Criterion:
    r"""How far apart are the laws, by their maximum mean discrepancy (MMD)?

    The MMD is the length of the difference of two mean feature vectors, and
    `spikedrop.comparison.gap` bounds such lengths. An MMD has no unit of its own, so it is stated
    as a shift: the distance, in predictive sd and the same at every observation, by which the law
    of `a` would have to be moved for the same MMD. Beyond one sd nothing is stated.

    Parameters
    ----------
    a, b : xarray.DataArray or array
        Axes (draw, observation[, output]); `a` must vary at every observation.
    claim : Claim, optional
        By default unpaired, margin and level 0.05. Its seed is that of the joint kernel's waves,
        too.
    kernel : {"each law", "joint law"}, default "each law"
        `spikedrop.comparison.kernel.marginal_features`, a mean over observations of the squared MMD
        of each, which nothing can cancel; or `joint_phases`, on whole draws.

    Returns
    -------
    Criterion
        In predictive sd; lower is closer.

    Raises
    ------
    InputError
        If there is no such kernel.

    Examples
    --------
    >>> a, b = np.random.default_rng(0).normal(size=(2, 2000, 20))
    >>> up_and_down = 0.1 * (-1.0) ** np.arange(20)  # cancels in the mean over observations
    >>> [kernel_equivalence(a, b + d).answer for d in (0, up_and_down)]
    ['within', 'beyond']
    """
    claim = claim or Claim()
    x, y = both(a, b)
    one_of("kernel", kernel, KERNELS)
    centre, sd = centre_and_sd(x)
    of_law = _each_law if kernel == "each law" else _joint_law
    seen, square, mmd_of_shift = of_law(x, y, centre, sd, claim)
    freedom = len(x) - 1 if claim.paired else len(x) + len(y) - 2
    gap = Gap.of(seen, square, freedom, claim.seed)
    low, high = gap.bounds(claim, mmd_of_shift, ONE)
    estimate = 0.0
    if gap.estimate > 0:
        estimate = crossing(lambda shift: mmd_of_shift(shift) <= gap.estimate, ONE)
    return Criterion(f"MMD of {NAMES[kernel]}", "sd", estimate, low, high, claim.margin, high)


def _joint_law(x: Samples, y: Samples, centre: np.ndarray, sd: np.ndarray, claim: Claim) -> Law:
    phases, weights, together = joint_phases((x, y), centre, sd, claim.seed)
    features = [waves(phase, weights) for phase in phases]
    gap = features[0].mean(axis=0) - features[1].mean(axis=0)
    root = root_of(features, paired=claim.paired)
    square = root.T @ root if root.shape[1] < len(root) else root @ root.T
    shift = moved(modulus(phases[0]), weights, together, len(x))
    return float(gap @ gap), square, shift


def _each_law(x: Samples, y: Samples, centre: np.ndarray, sd: np.ndarray, claim: Claim) -> Law:
    m, rows = x.shape[1], len(x) + (0 if claim.paired else len(y))
    nodes, weights = quadrature()
    way = _many_features if 2 * m * len(nodes) >= rows else _many_draws
    means, square = way((x, y), centre, sd, paired=claim.paired)
    gap = means[0] - means[1]
    weights, together = np.tile(weights / m, m), np.tile(nodes, m)
    squared = (means[0] ** 2).reshape(2, -1).sum(axis=0) / weights
    return float(np.sum(gap**2)), square, moved(squared, weights, together, len(x))


def _many_features(
    samples: tuple[Samples, Samples], centre: np.ndarray, sd: np.ndarray, *, paired: bool
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Mean features of both samples, and the crossproduct of draws, some observations at a time."""
    square: np.ndarray | float = 0.0
    means: tuple[list[np.ndarray], ...] = ([], [])
    for _, values in side_by_side(samples, centre, sd, SMALL):
        features = [marginal_features(z, len(centre)) for z in values]
        for found, f in zip(means, features, strict=True):
            found.append(f.mean(axis=0).reshape(2, -1))
        root = root_of(features, paired=paired)
        square = square + root @ root.T
    return tuple(np.concatenate(found, axis=1).ravel() for found in means), np.asarray(square)


def _many_draws(
    samples: tuple[Samples, Samples], centre: np.ndarray, sd: np.ndarray, *, paired: bool
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """The same with the crossproduct of features, some draws at a time."""
    m = len(centre)
    step = max(1, SMALL // m)

    def features(z: np.ndarray, start: int) -> np.ndarray:
        return marginal_features((z[start : start + step] - centre) / sd, m)

    everything = [sample.all() for sample in samples]
    means = [
        sum(features(z, i).sum(axis=0) for i in range(0, len(z), step)) / len(z) for z in everything
    ]
    square: np.ndarray | float = 0.0
    for i in range(0, max(map(len, everything)), step):
        roots = [
            (features(z, i) - mean) * np.sqrt(1 / (len(z) * (len(z) - 1)))
            for z, mean in zip(everything, means, strict=True)
            if i < len(z)
        ]
        for root in [roots[1] - roots[0]] if paired else roots:
            square = square + root.T @ root
    return tuple(means), np.asarray(square)
