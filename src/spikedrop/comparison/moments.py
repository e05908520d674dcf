"""Location, spread and quantiles of every observation: how large is the difference of each?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spikedrop.checks.accepted import SamplesLike
from spikedrop.checks.samples import both
from spikedrop.comparison.criteria import WORST, Claim, Criterion, size_bounds
from spikedrop.comparison.draws import centre_and_sd, fewest_draws
from spikedrop.comparison.gap import Gap, Square, root_of
from spikedrop.comparison.kernel import side_by_side

__all__ = ["moment_equivalence"]

SMALL = 2**15  # values of a sample in a block, each of which has a dozen copies
QUANTILES = (0.05, 0.5, 0.95)
AT_WORST = ("mean", "log sd")

# Standardised draws of both samples to the difference of each column, and each draw's influence.
Summary = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, list[np.ndarray]]]


def moment_equivalence(
    a: SamplesLike, b: SamplesLike, claim: Claim | None = None
) -> list[Criterion]:
    r"""Mean, log sd and three quantiles: over all observations, and at the worst of them.

    With :math:`\sigma_i` the sd of `a` at observation i, and T the mean or a quantile,

    .. math:: d_i = \frac{T_i(b) - T_i(a)}{\sigma_i}, \qquad
              d_i^\mathrm{sd} = \log\frac{s_i(b)}{s_i(a)}, \qquad
              \theta = \sqrt{\tfrac1m \sum_i d_i^2} .

    A root mean square, because what has one sign at half of the observations and the other at the
    rest would cancel in a mean. Its bounds are those of `spikedrop.comparison.gap`; the covariance
    is that of each draw's influence on all observations at once, so that it holds whatever ties
    them together. Of the mean and of the log sd the largest :math:`|d_i|` is a criterion of its
    own, at `WORST` times the margin, with Student's bounds that hold at all observations together.

    A quantile q is the mean of the quantile function over a window around q, half as wide as q is
    far from 0 or 1 (0.1 at most): its influence is smooth, so that pairing helps.

    Parameters
    ----------
    a, b : xarray.DataArray or array
        Axes (draw, observation[, output]).
    claim : Claim
        The default is unpaired, margin and level 0.05.

    Returns
    -------
    list of Criterion
        Seven: mean, log sd, three quantiles, and the worst observation's mean and log sd, in
        predictive sd of `a`; the log sd in logarithms, so that 0.05 means 5 %.

    Raises
    ------
    InputError
        If observations differ in number, values are NaN, or `a` does not vary somewhere.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a, noise = rng.normal(size=(2, 200, 10))
    >>> found = moment_equivalence(a, a + 0.1 + 0.01 * noise, Claim(paired=True))
    >>> [(one.name, one.answer) for one in found[:3]]
    [('mean', 'beyond'), ('log sd', 'within'), ('5% quantile', 'beyond')]
    """
    claim = claim or Claim()
    x, y = both(a, b)
    summaries: dict[str, Summary] = {
        "mean": _mean,
        "log sd": _log_sd,
        **{f"{q:.0%} quantile": _quantile(q, len(x), len(y)) for q in QUANTILES},
    }
    m, rows = x.shape[1], len(x) + (0 if claim.paired else len(y))
    gaps: dict[str, list[np.ndarray]] = {name: [] for name in summaries}
    errors: dict[str, list[np.ndarray]] = {name: [] for name in AT_WORST}
    squares = {name: Square(rows, m) for name in summaries}
    for _, (p, q) in side_by_side((x, y), *centre_and_sd(x), SMALL):
        for name, summary in summaries.items():
            gap, influence = summary(p, q)
            if name != "log sd":  # measured in an sd that the draws of a estimate
                influence[0] = influence[0] + gap * (p**2 - 1) / 2
            root = root_of(influence, paired=claim.paired)
            gaps[name].append(gap)
            squares[name].add(root / np.sqrt(m))
            if name in errors:
                errors[name].append(np.sqrt((root**2).sum(axis=0)))
    freedom = len(x) - 1 if claim.paired else len(x) + len(y) - 2
    known = min(len(x), len(y)) >= fewest_draws(claim.level)
    found = [
        _overall(name, np.concatenate(gaps[name]), square, freedom, claim, known=known)
        for name, square in squares.items()
    ]
    return found + [
        _at_worst(name, np.concatenate(gaps[name]), np.concatenate(se), freedom, claim, known=known)
        for name, se in errors.items()
    ]


def _unit(name: str) -> str:
    return "log" if name == "log sd" else "sd"


def _overall(
    name: str, gap: np.ndarray, square: Square, freedom: int, claim: Claim, *, known: bool
) -> Criterion:
    if not np.isfinite(gap).all():
        return _boundless(name, claim.margin, known=known)
    seen = Gap.of(float(np.mean(gap**2)), square.matrix(), freedom, claim.seed)
    low, high = seen.bounds(claim)
    return Criterion(name, _unit(name), seen.estimate, low, high, claim.margin, high)


def _at_worst(
    name: str, gap: np.ndarray, se: np.ndarray, freedom: int, claim: Claim, *, known: bool
) -> Criterion:
    title, margin = f"worst {name}", WORST * claim.margin
    if not np.isfinite(gap).all():
        return _boundless(title, margin, known=known)
    low, high = size_bounds(gap, se, np.asarray(freedom), claim, among=len(gap))
    size = float(np.abs(gap).max())
    top = float(high.max())
    return Criterion(title, _unit(name), size, float(low.max()), top, margin, top / WORST)


def _boundless(name: str, margin: float, *, known: bool) -> Criterion:
    """`b` never varies at some observation: no log sd, unless there were few draws to see it."""
    low = float("inf") if known else 0.0
    return Criterion(name, "log", float("inf"), low, float("inf"), margin, float("inf"))


def _mean(p: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    return q.mean(axis=0) - p.mean(axis=0), [p, q]


def _log_sd(p: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Log sd, influence ((z - mean)^2 / variance - 1) / 2; minus infinity where q is constant."""
    still = np.ptp(q, axis=0) == 0
    sds = [p.std(axis=0, ddof=1), np.where(still, 1, q.std(axis=0, ddof=1))]
    influence = [((z - z.mean(axis=0)) / sd) ** 2 / 2 for z, sd in zip((p, q), sds, strict=True)]
    return np.where(still, -np.inf, np.log(sds[1] / sds[0])), influence


def _quantile(q: float, *sizes: int) -> Summary:
    """Quantile function averaged over a window; influence: the draw, cut at both ends.

    The ends are those of the first sample, seen from its own quantile: with each sample's own ends,
    their noise would count as noise of the difference.
    """
    width = min(0.1, q / 2, (1 - q) / 2)

    def weights(draws: int) -> np.ndarray:
        edges = np.clip(np.arange(draws + 1) / draws, q - width, q + width)
        return np.diff(edges) / (2 * width)

    ranks = {n: weights(n) for n in sizes}

    def summary(*samples: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        orders = [np.sort(z, axis=0) for z in samples]
        values = [ranks[len(order)] @ order for order in orders]
        ends = np.quantile(orders[0], [q - width, q + width], axis=0) - values[0]
        influence = [
            np.clip(z - value, *ends) / (2 * width)
            for z, value in zip(samples, values, strict=True)
        ]
        return values[1] - values[0], influence

    return summary
