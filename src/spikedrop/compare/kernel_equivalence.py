"""Equivalence of laws: a test that their maximum mean discrepancy is within a margin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from spikedrop.compare.draws import both, centre_and_sd
from spikedrop.compare.equivalence import Equivalence, check_claim
from spikedrop.compare.kernel import (
    joint_phases,
    marginal_features,
    modulus,
    moved,
    quadrature,
    side_by_side,
    waves,
)
from spikedrop.errors import InputError
from spikedrop.predictive import Samples

KERNELS = ("each law", "joint law")
SIMULATIONS = 4000
SMALL = 2**14  # values of a sample in a block, each of which has sixteen features


def kernel_equivalence(
    a: xr.DataArray | np.ndarray,
    b: xr.DataArray | np.ndarray,
    *,
    margin: float = 0.05,
    level: float = 0.05,
    kernel: str = "each law",
    seed: int,
) -> Equivalence:
    r"""Test "MMD at least M" against "MMD below M", over all observations.

    The hypotheses are those of Liu & Gandy 2026 (arXiv:2603.10886); the test is our own. The
    margin M is the MMD between the law of `a` and that law moved by `margin` predictive sd at
    every observation: a margin in the kernel's unit says nothing to anybody.

    Let d be the difference of the two mean feature vectors, :math:`|d| = \mathrm{MMD}`, and
    :math:`\hat d = d + e` what is seen, e nearly Gaussian with covariance
    :math:`\Gamma = \Sigma_a / n_a + \Sigma_b / n_b`, eigenvalues :math:`\lambda_1 \ge
    \lambda_2 \ge \dots`. A small :math:`|\hat d|^2` speaks for equivalence. Among all d with
    :math:`|d| \ge M` it is most probable where :math:`|d| = M` and d lies where the noise is
    largest; that worst case gives the p-value

    .. math:: p = P\Bigl( (M + \sqrt{\lambda_1} g_1)^2 + \sum_{k>1} \lambda_k g_k^2
              \le |\hat d|^2 \Bigr), \qquad g_k \sim N(0, 1),

    by simulation. The level is held in every direction; in most of them the test is conservative.

    Parameters
    ----------
    a, b, margin, level : see `tost`
    kernel : {"each law", "joint law"}
        `spikedrop.compare.kernel.marginal_kernel`, a mean over observations of the squared MMD of
        each, which nothing can cancel; or `joint_kernel`, on whole draws.
    seed : int
        Of the joint kernel's waves and of the simulation.

    Examples
    --------
    >>> a, b = np.random.default_rng(0).normal(size=(2, 2000, 20))
    >>> up_and_down = 0.1 * (-1.0) ** np.arange(20)  # cancels in the mean over observations
    >>> [kernel_equivalence(a, b + d, seed=0).p_value < 0.05 for d in (0, up_and_down)]
    [True, False]
    """
    x, y = both(a, b)
    check_claim(margin, level)
    if kernel not in KERNELS:
        raise InputError(f"kernel={kernel!r}; use {', '.join(map(repr, KERNELS))}.")
    centre, sd = centre_and_sd(x)
    law = (
        _each_law(x, y, centre, sd) if kernel == "each law" else _joint_law(x, y, centre, sd, seed)
    )
    noise = _Noise.of(law.square, seed)
    return Equivalence(
        name=f"MMD, {kernel}",
        unit="MMD",
        # Less the trace, which is what noise adds, it is the estimate without bias.
        estimate=float(np.sqrt(max(0.0, law.seen - np.trace(law.square)))),
        margin=law.moved(margin),
        p_value=noise.p_value(law.moved(margin), law.seen),
        reach=_reach(law.moved, noise, law.seen, level),
    )


@dataclass(frozen=True, eq=False)
class _Gap:
    """What `kernel_equivalence` needs of the features of both samples.

    Attributes
    ----------
    seen : float
        Squared distance of the mean feature vectors.
    square : numpy.ndarray
        A matrix with the eigenvalues of the covariance of that difference.
    moved : callable
        The MMD that a shift makes.
    """

    seen: float
    square: np.ndarray
    moved: Callable[[float], float]


def _joint_law(x: Samples, y: Samples, centre: np.ndarray, sd: np.ndarray, seed: int) -> _Gap:
    phases, weights, together = joint_phases((x, y), centre, sd, seed)
    p, q = (waves(phase, weights) for phase in phases)
    gap = p.mean(axis=0) - q.mean(axis=0)
    root = np.concatenate([_centred(p), _centred(q)])
    square = root.T @ root if root.shape[1] < len(root) else root @ root.T
    shift = moved(modulus(phases[0]), weights, together, len(x))
    return _Gap(float(gap @ gap), square, shift)


def _each_law(x: Samples, y: Samples, centre: np.ndarray, sd: np.ndarray) -> _Gap:
    m, n = x.shape[1], len(x) + len(y)
    nodes, weights = quadrature()
    if 2 * m * len(nodes) >= n:
        means, square = _many_features((x, y), centre, sd)
    else:
        means, square = _many_draws((x, y), centre, sd)
    gap = means[0] - means[1]
    weights, together = np.tile(weights / m, m), np.tile(nodes, m)
    squared = (means[0] ** 2).reshape(2, -1).sum(axis=0) / weights
    return _Gap(float(np.sum(gap**2)), square, moved(squared, weights, together, len(x)))


def _many_features(
    samples: tuple[Samples, Samples], centre: np.ndarray, sd: np.ndarray
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Mean features of both samples, and the crossproduct of draws, some observations at a time."""
    square: np.ndarray | float = 0.0
    means: tuple[list[np.ndarray], ...] = ([], [])
    for _, values in side_by_side(samples, centre, sd, SMALL):
        features = [marginal_features(z, len(centre)) for z in values]
        for found, f in zip(means, features, strict=True):
            found.append(f.mean(axis=0).reshape(2, -1))
        root = np.concatenate([_centred(f) for f in features])
        square = square + root @ root.T
    return tuple(np.concatenate(found, axis=1).ravel() for found in means), np.asarray(square)


def _many_draws(
    samples: tuple[Samples, Samples], centre: np.ndarray, sd: np.ndarray
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """The same with the crossproduct of features, some draws at a time."""
    m = len(centre)
    step = max(1, SMALL // m)
    square: np.ndarray | float = 0.0
    means = []
    for sample in samples:
        z = (sample.all() - centre) / sd
        n, parts = len(z), range(0, len(z), step)
        mean = sum(marginal_features(z[i : i + step], m).sum(axis=0) for i in parts) / n
        for i in parts:
            root = (marginal_features(z[i : i + step], m) - mean) / np.sqrt(n * (n - 1))
            square = square + root.T @ root
        means.append(mean)
    return tuple(means), np.asarray(square)


def _centred(features: np.ndarray) -> np.ndarray:
    """Centred features whose crossproduct is the covariance of their mean."""
    n = len(features)
    return (features - features.mean(axis=0)) / np.sqrt(n * (n - 1))


@dataclass(frozen=True, eq=False)
class _Noise:
    """Simulated sampling noise of a mean feature vector.

    Attributes
    ----------
    along : numpy.ndarray
        In the direction where it is largest, axis (simulation,).
    across : numpy.ndarray
        Squared length of the rest.
    """

    along: np.ndarray
    across: np.ndarray

    @classmethod
    def of(cls, square: np.ndarray, seed: int) -> _Noise:
        eigenvalues = np.maximum(np.linalg.eigvalsh(square)[::-1], 0)
        large = eigenvalues > 1e-4 * eigenvalues.sum()  # the rest is as good as its mean
        g = np.random.default_rng(seed).standard_normal((SIMULATIONS, large.sum()))
        across = g[:, 1:] ** 2 @ eigenvalues[large][1:] + eigenvalues[~large].sum()
        return cls(g[:, 0] * np.sqrt(eigenvalues[0]), across)

    def p_value(self, margin: float, seen: float) -> float:
        return float(np.mean((margin + self.along) ** 2 + self.across <= seen))


def _reach(moved: Callable[[float], float], noise: _Noise, seen: float, level: float) -> float:
    """Smallest shift whose MMD the test would affirm as a margin; infinite beyond one sd."""
    low, high = 0.0, 1.0
    if noise.p_value(moved(high), seen) > level:
        return float("inf")
    for _ in range(20):
        middle = (low + high) / 2
        passed = noise.p_value(moved(middle), seen) <= level
        low, high = (low, middle) if passed else (middle, high)
    return high
