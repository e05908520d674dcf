"""What pairing bounds directly: the mean error of a draw, and how many draws are far off."""

from __future__ import annotations

import numpy as np
from scipy import stats

from spikedrop.checks.accepted import SamplesLike
from spikedrop.checks.samples import both
from spikedrop.comparison.criteria import FAR, RARE, Claim, Criterion, share_bounds
from spikedrop.comparison.draws import centre_and_sd
from spikedrop.comparison.kernel import side_by_side

__all__ = ["mean_error", "rare_draws"]

MEAN_ERROR, FAR_OFF = "mean error", "draws far off"  # names of the criteria
SMALL = 2**15  # values of a sample in a block
FEW = 30  # draws far off, below which no mean of their errors is trusted


def mean_error(a: SamplesLike, b: SamplesLike, claim: Claim | None = None) -> Criterion:
    r"""Bound the mean paired error, in predictive sd.

    .. math:: \theta = \mathrm E\, \tfrac1m \sum_i |b_{si} - a_{si}| / \sigma_i

    The pairing is one coupling of the two joint laws, so this bounds their Wasserstein-1 distance
    from above, distances of whole draws being measured by the mean absolute difference; what it
    says of single observations and of whatever ties them together is in that one number.

    The draws are the sample; the observations are those at hand. The error up to `FAR` has
    Student's bounds, the standard error being the jackknife's over draws, whose errors and whose sd
    come from the same draws (Efron & Stein 1981, doi:10.1214/aos/1176345462). What lies beyond is
    rare, and a mean of a few such draws says little: below `FEW` of them, it is bounded by the
    largest excess seen times the upper bound of their share (`share_bounds`). **If none was seen,
    the bound is that of the error up to `FAR`**, and `rare_draws` says how many can have been
    missed.

    Parameters
    ----------
    a, b : xarray.DataArray or array
        Axes (draw, observation[, output]), draw s of both with the same masks.
    claim : Claim
        The default has margin and level 0.05.

    Returns
    -------
    Criterion
        With two draws nothing is known: bounds 0 and infinity.

    Examples
    --------
    >>> a = np.random.default_rng(0).normal(size=(100, 4))
    >>> found = mean_error(a, a + 0.01)
    >>> round(found.estimate, 3), found.answer
    (0.01, 'within')
    """
    claim = claim or Claim(paired=True)
    x, z = both(a, b, paired=True)
    centre, sd = centre_and_sd(x)
    n, m = x.shape
    near, far = _Jackknife(n), _Jackknife(n)  # up to FAR, and beyond
    total = 0.0
    for _, (p, q) in side_by_side((x, z), centre, sd, SMALL):
        error = np.abs(q - p)
        total += float(error.sum())
        for jackknife, part in ((near, np.minimum(error, FAR)), (far, np.maximum(error - FAR, 0))):
            jackknife.add(part, p)
    estimate = total / (n * m)
    if n < 3 or not near.known:
        return Criterion(MEAN_ERROR, "sd", estimate, 0.0, float("inf"), claim.margin, np.inf)
    excess = far.sums / m
    struck = int((excess > 0).sum())
    low, high = near.bounds(m, claim)
    if struck >= FEW:
        whole = _Jackknife.together(near, far)
        low, high = whole.bounds(m, claim)
    elif struck:
        high += share_bounds(struck, n, claim)[1] * float(excess.max())
    high = max(high, estimate)
    return Criterion(MEAN_ERROR, "sd", estimate, low, high, claim.margin, high)


class _Jackknife:
    """Sum up errors in units of an sd that the same draws estimate, leaving out one at a time."""

    def __init__(self, draws: int) -> None:
        self.sums = np.zeros(draws)  # of each draw, over observations
        self.without = np.zeros(draws)  # mean over draws, one left out, summed over observations
        self.known = True

    def add(self, error: np.ndarray, z: np.ndarray) -> None:
        """Add some observations: errors, and the standardised draws of `a`."""
        n = len(self.sums)
        self.sums += error.sum(axis=1)
        squares = (n - 1) - n / (n - 1) * z**2  # of the sd without each draw
        if n < 3 or (squares <= 0).any():
            self.known = False
            return
        left = (error.sum(axis=0) - error) / (n - 1)
        self.without += (left / np.sqrt(squares / (n - 2))).sum(axis=1)

    @classmethod
    def together(cls, one: _Jackknife, other: _Jackknife) -> _Jackknife:
        """Add two sums over the same draws."""
        both = cls(len(one.sums))
        both.sums, both.without = one.sums + other.sums, one.without + other.without
        return both

    def bounds(self, observations: int, claim: Claim) -> tuple[float, float]:
        """Student's bounds of the mean."""
        n = len(self.sums)
        estimate = self.sums.mean() / observations
        pseudo = n * estimate - (n - 1) * self.without / observations
        se = pseudo.std(ddof=1) / np.sqrt(n)
        centre = pseudo.mean()  # less the bias of few draws
        low = centre - stats.t.ppf(1 - claim.beyond, n - 1) * se
        high = centre + stats.t.ppf(1 - claim.level, n - 1) * se
        return max(0.0, float(min(low, estimate))), float(max(high, estimate))


def rare_draws(a: SamplesLike, b: SamplesLike, claim: Claim | None = None) -> Criterion:
    """Share of draws that are far off, at the observation that has most of them.

    Paired, a draw is far off where its error is more than `FAR` predictive sd; unpaired, where it
    lies further than that outside everything `a` drew there. Nothing seen in n draws leaves a share
    of about 3/n, so it takes `fewest_draws` to be within the margin, which is `RARE`.

    Parameters
    ----------
    a, b, claim : see `moment_equivalence`

    Returns
    -------
    Criterion
        A share of draws, from 0 to 1; lower is closer.

    Examples
    --------
    >>> a = np.random.default_rng(0).normal(size=(100, 4))
    >>> found = rare_draws(a, a, Claim(paired=True))
    >>> found.estimate, round(found.high, 3), found.answer
    (0.0, 0.03, 'within')
    """
    claim = claim or Claim()
    x, z = both(a, b, paired=claim.paired)
    most = 0
    for _, (p, q) in side_by_side((x, z), *centre_and_sd(x), SMALL):
        off = (
            np.abs(q - p) > FAR
            if claim.paired
            else (q < p.min(axis=0) - FAR) | (q > p.max(axis=0) + FAR)
        )
        most = max(most, int(off.sum(axis=0).max()))
    n = len(z)
    among = Claim(claim.margin, claim.level, claim.beyond / x.shape[1], claim.paired)
    low, high = share_bounds(most, n, among)
    return Criterion(FAR_OFF, "share", most / n, low, high, RARE, 0.0 if high < RARE else np.inf)
