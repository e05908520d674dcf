r"""How long is a vector that is seen with noise? Bounds of a size over many observations.

What is compared at m observations, or in m waves, is a vector d; what is seen is
:math:`\hat d = d + e`, e nearly Gaussian with covariance :math:`\Gamma`, eigenvalues
:math:`\lambda_1 \ge \lambda_2 \ge \dots`. Among all d of length M, :math:`|\hat d|^2` varies most
where d lies along the largest noise, and there

.. math:: |\hat d|^2 \sim (M + \sqrt{\lambda_1} g_1)^2 + \sum_{k>1} \lambda_k g_k^2,
          \qquad g_k \sim N(0, 1) .

The bounds of M are those whose law leaves as little as `level` on the side of what is seen. The
hypotheses are those of Liu & Gandy 2026 (arXiv:2603.10886); the test is our own. The covariance is
estimated, so the noise is multiplied by :math:`\sqrt{\nu / \chi^2_\nu}`, as Student's t is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spikedrop.comparison.criteria import Claim

__all__: list[str] = []

SIMULATIONS, AT_ONCE = 8000, 500
LARGEST = 64.0  # predictive sd; no bound is looked for beyond


class Square:
    """Sum up a matrix with the eigenvalues of the covariance, some columns at a time.

    Columns are those of a root R (row, column) whose crossproduct :math:`R^T R` is the covariance;
    the smaller of :math:`R^T R` and :math:`R R^T` is kept.
    """

    def __init__(self, rows: int, columns: int) -> None:
        """Start with nothing."""
        self.wide = columns > rows
        self.total = np.zeros((rows, rows)) if self.wide else np.zeros(0)
        self.parts: list[np.ndarray] = []

    def add(self, root: np.ndarray) -> None:
        """Add some columns."""
        if self.wide:
            self.total += root @ root.T
        else:
            self.parts.append(root)

    def matrix(self) -> np.ndarray:
        """Return the sum."""
        if self.wide:
            return self.total
        root = np.concatenate(self.parts, axis=1)
        return root.T @ root


def root_of(parts: list[np.ndarray], *, paired: bool) -> np.ndarray:
    """Return a root of the covariance of a difference of means, from the terms of both samples.

    `parts` have axes (draw, column); paired, draws of one number are subtracted.
    """
    if paired:
        parts = [parts[1] - parts[0]]
    roots = []
    for part in parts:
        n = len(part)
        roots.append((part - part.mean(axis=0)) / np.sqrt(n * (n - 1)))
    return np.concatenate(roots)


@dataclass(frozen=True, eq=False)
class Gap:
    """A vector that was seen, and what noise does to it.

    Attributes
    ----------
    seen : float
        Its squared length.
    trace : float
        What noise adds to that on average.
    along : numpy.ndarray
        Simulated noise in the direction where it is largest, axis (simulation,).
    across : numpy.ndarray
        Squared length of the rest.
    """

    seen: float
    trace: float
    along: np.ndarray
    across: np.ndarray

    @classmethod
    def of(cls, seen: float, square: np.ndarray, freedom: int, seed: int) -> Gap:
        """Simulate the noise whose covariance has the eigenvalues of `square`."""
        eigenvalues = np.maximum(np.linalg.eigvalsh(square)[::-1], 0)
        large = eigenvalues > 1e-4 * eigenvalues.sum()  # the rest is as good as its mean
        rng = np.random.default_rng(seed)
        scale = freedom / rng.chisquare(freedom, SIMULATIONS)
        along = rng.standard_normal(SIMULATIONS) * np.sqrt(eigenvalues[0])
        rest = eigenvalues[large][1:]
        across = np.full(SIMULATIONS, eigenvalues[~large].sum())
        for i in range(0, SIMULATIONS, AT_ONCE):
            part = across[i : i + AT_ONCE]
            part += rng.standard_normal((len(part), len(rest))) ** 2 @ rest
        return cls(seen, float(eigenvalues.sum()), along * np.sqrt(scale), across * scale)

    @property
    def estimate(self) -> float:
        """Length without what noise adds, 0 if that is more."""
        return float(np.sqrt(max(0.0, self.seen - self.trace)))

    def below(self, length: float) -> float:
        """Probability of seeing so little, were the vector so long.

        Less than noise alone adds on average counts as that much: a sample that happens to agree
        better than its size allows is not a reason for a tighter bound.
        """
        seen = max(self.seen, self.trace)
        return float(np.mean((length + self.along) ** 2 + self.across <= seen))

    def above(self, length: float) -> float:
        """Probability of seeing so much, were the vector so long."""
        return float(np.mean((length + self.along) ** 2 + self.across >= self.seen))

    def bounds(
        self, claim: Claim, length: Callable[[float], float] = float, largest: float = LARGEST
    ) -> tuple[float, float]:
        """Return the bounds of a size whose vector has the given length.

        The upper bound is infinite beyond `largest`.
        """
        low, high = 0.0, float("inf")
        if self.above(length(0.0)) <= claim.beyond:
            low = crossing(lambda size: self.above(length(size)) <= claim.beyond, largest)
        if self.below(length(largest)) <= claim.level:
            high = crossing(lambda size: self.below(length(size)) > claim.level, largest)
        return low, high


def crossing(holds: Callable[[float], bool], largest: float, halvings: int = 50) -> float:
    """Size up to which `holds` is true, given that it is at 0."""
    low, high = 0.0, largest
    if holds(high):
        return high
    for _ in range(halvings):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return high
