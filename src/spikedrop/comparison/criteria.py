"""A criterion: the size of one difference, its interval, and the margin it is held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from spikedrop.checks.arguments import real_number

Answer = Literal["within", "beyond", "open"]

RARE = 0.05  # share of the draws of an observation that may be far off
FAR = 1.0  # predictive sd: an error beyond this is far off
WORST = 4  # what is asked of the worst observation, in margins


@dataclass(frozen=True)
class Criterion:
    """How large one difference is, and whether that is within its margin.

    Attributes
    ----------
    name : str
        What is compared.
    unit : str
    estimate : float
        Size of the difference, 0 or more.
    low, high : float
        Confidence bounds of the size: `high` fails with probability `level` at most, `low` with a
        probability so much smaller that of all criteria of a verdict none fails with more.
    margin : float
        The size that would matter, in the same unit.
    reach : float
        The smallest `margin` of the call that would be affirmed, in predictive sd; 0 where it plays
        no part.
    """

    name: str
    unit: str
    estimate: float
    low: float
    high: float
    margin: float
    reach: float = 0.0

    @property
    def answer(self) -> Answer:
        """*within* or *beyond* the margin where the interval says so, else *open*.

        >>> Criterion("mean", "sd", 0.03, 0.01, 0.06, margin=0.05).answer
        'open'
        """
        if self.high < self.margin:
            return "within"
        return "beyond" if self.low > self.margin else "open"


@dataclass(frozen=True)
class Claim:
    """What is asked of a comparison.

    Attributes
    ----------
    margin : float
        In predictive sd.
    level : float
        Of each upper bound.
    beyond : float
        Of each lower bound: `level` over the number of criteria (Bonferroni).
    paired : bool
        Draws of one number had the same masks.
    seed : int
        Of simulated quantiles.
    """

    margin: float = 0.05
    level: float = 0.05
    beyond: float = 0.05
    paired: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be claimed."""
        real_number("margin", self.margin, above=0, below=1)
        real_number("level", self.level, above=0, below=0.5)
        real_number("beyond", self.beyond, above=0, below=0.5)


def share_bounds(struck: int, draws: int, claim: Claim) -> tuple[float, float]:
    """Bounds of a probability from the number of draws that were struck.

    Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404. Nothing seen in n draws leaves at most
    about 3/n at a level of 5 %.

    >>> low, high = share_bounds(0, 59, Claim())
    >>> low, round(high, 4)
    (0.0, 0.0495)
    """
    low = float(stats.beta.ppf(claim.beyond, struck, draws - struck + 1)) if struck else 0.0
    rest = draws - struck
    high = float(stats.beta.ppf(1 - claim.level, struck + 1, rest)) if rest else 1.0
    return low, high


def size_bounds(
    estimate: np.ndarray, se: np.ndarray, freedom: np.ndarray, claim: Claim, among: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Student's bounds of sizes from signed estimates; those of `among` sizes hold together."""
    reach = stats.t.ppf(1 - claim.level / among, freedom) * se
    short = stats.t.ppf(1 - claim.beyond / among, freedom) * se
    return np.maximum(0, np.abs(estimate) - short), np.abs(estimate) + reach
