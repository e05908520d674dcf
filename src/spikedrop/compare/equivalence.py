r"""Is the difference within a margin? Tests whose null hypothesis is that it is *not*.

A test that finds no difference may only have had too few draws. An equivalence test has to
reject "the difference is at least the margin", and so cannot pass for want of draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import stats

from spikedrop.compare.draws import both, centre_and_sd
from spikedrop.compare.kernel import side_by_side
from spikedrop.errors import InputError
from spikedrop.predictive import BLOCK, blocks, observed
from spikedrop.scores.proper import crps_of_draws

QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class Equivalence:
    """One equivalence test.

    Attributes
    ----------
    name : str
        What is compared.
    unit : str
    estimate : float
        Of the difference, b minus a; of an MMD, the root of the unbiased estimate, 0 if negative.
    margin : float
        The difference that would matter, in the same unit.
    p_value : float
        Of "the difference is at least the margin"; at most the level: equivalent.
    reach : float
        The smallest margin, as the argument `margin` is given, that the test would affirm.
    """

    name: str
    unit: str
    estimate: float
    margin: float
    p_value: float
    reach: float


def tost(
    a: xr.DataArray | np.ndarray,
    b: xr.DataArray | np.ndarray,
    *,
    margin: float = 0.05,
    level: float = 0.05,
) -> list[Equivalence]:
    r"""Two one-sided tests on mean, log sd and quantiles, pooled over observations.

    With :math:`\sigma_i` the sd of `a` at observation i, and T the mean or the 5, 50 or 95 %
    quantile of the draws,

    .. math:: \theta_T = \frac1m \sum_i \frac{T_i(b) - T_i(a)}{\sigma_i}, \qquad
              \theta_\mathrm{sd} = \frac1m \sum_i \log\frac{s_i(b)}{s_i(a)} .

    :math:`|\theta| \ge` `margin` is rejected when both one-sided t tests reject, at `level` each
    (Schuirmann 1987, doi:10.1007/BF01068419). The standard error is that of the mean over draws of
    each draw's influence, summed over observations first, so that it holds whatever ties the
    observations of a draw together.

    Pooling is what makes a margin of 5 % attainable: at one observation the standard error of a
    difference of means is :math:`\sqrt{2/n}` sd, 0.06 at 500 draws. What pooling can hide,
    differences of opposite sign, `kernel_equivalence` sees.

    Parameters
    ----------
    a, b : array
        Axes (draw, observation[, output]), not paired.
    margin : float
        In predictive sd of `a`; for the sd, in logarithms, so that 0.05 means 5 %.
    level : float

    Returns
    -------
    list of Equivalence
        Five: mean, log sd, and the quantiles.

    Raises
    ------
    InputError
        If observations differ in number, values are NaN, or `a` does not vary somewhere.

    Examples
    --------
    >>> a, b = np.random.default_rng(0).normal(size=(2, 4000, 10))
    >>> [bool(test.p_value < 0.05) for test in tost(a, b)]
    [True, True, True, True, True]
    >>> [bool(test.p_value < 0.05) for test in tost(a, b + 0.1)]
    [False, True, False, False, False]
    """
    x, y = both(a, b)
    check_claim(margin, level)
    summaries: dict[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
        "mean": _mean,
        "log sd": _log_sd,
        **{f"{q:.0%} quantile": lambda z, q=q: _quantile(z, q) for q in QUANTILES},
    }
    gaps = dict.fromkeys(summaries, 0.0)
    influences = {name: (np.zeros(len(x)), np.zeros(len(y))) for name in summaries}
    m = x.shape[1]
    for _, standardised in side_by_side((x, y), *centre_and_sd(x), BLOCK):
        for name, summary in summaries.items():
            values, parts = zip(*map(summary, standardised), strict=True)
            gaps[name] += float(np.sum(values[1] - values[0]))
            for influence, part in zip(influences[name], parts, strict=True):
                influence += part / m
    return [
        _two_one_sided(
            name, "log" if name == "log sd" else "sd", gaps[name] / m, parts, margin, level
        )
        for name, parts in influences.items()
    ]


def _two_one_sided(
    name: str,
    unit: str,
    estimate: float,
    influences: tuple[np.ndarray, ...],
    margin: float,
    level: float,
) -> Equivalence:
    """TOST of an estimate from the influence of each independent draw, one array a sample."""
    if not np.isfinite(estimate):
        return Equivalence(name, unit, estimate, margin, 1.0, float("inf"))
    squares = np.array([part.var(ddof=1) / len(part) for part in influences])
    se = float(np.sqrt(squares.sum()))
    if se == 0:
        p = float(abs(estimate) >= margin)
        return Equivalence(name, unit, estimate, margin, p, abs(estimate))
    freedom = se**4 / sum(s**2 / (len(i) - 1) for s, i in zip(squares, influences, strict=True))
    p = float(stats.t.sf((margin - abs(estimate)) / se, freedom))
    reach = abs(estimate) + float(stats.t.ppf(1 - level, freedom)) * se
    return Equivalence(name, unit, estimate, margin, p, reach)


def _mean(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each column, and the influence of each draw, summed over columns."""
    return z.mean(axis=0), z.sum(axis=1)


def _log_sd(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log sd, and its influence ((z - mean)^2 / variance - 1) / 2; minus infinity if constant."""
    sd = np.where(np.ptp(z, axis=0) == 0, 0, z.std(axis=0, ddof=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(sd), (((z - z.mean(axis=0)) / sd) ** 2 / 2).sum(axis=1)


def _quantile(z: np.ndarray, q: float) -> tuple[np.ndarray, np.ndarray]:
    """Quantile, and its influence (q - 1[z <= value]) / density.

    One over the density is the slope of the quantile function, by a difference quotient
    (Siddiqui 1960) whose width makes it slightly too large in the tails.
    """
    width = min(0.1, q / 2, (1 - q) / 2)
    below, value, above = np.quantile(z, [q - width, q, q + width], axis=0)
    slope = (above - below) / (2 * width)
    return value, ((q - (z <= value)) * slope).sum(axis=1)


def crps_equivalence(
    a: xr.DataArray | np.ndarray,
    b: xr.DataArray | np.ndarray,
    y: np.ndarray,
    *,
    margin: float = 0.01,
    level: float = 0.05,
    paired: bool = False,
) -> Equivalence:
    r"""Two one-sided tests on the score that `b` loses or gains against `a`.

    .. math:: \theta = \mathrm{CRPS}(b, y) / \mathrm{CRPS}(a, y) - 1

    with the mean over observations of the fair CRPS (scoringrules; Ferro 2014,
    doi:10.1002/qj.2270). The observations are those at hand; the draws are the sample, and their
    influence on the score gives the standard error.

    Parameters
    ----------
    a, b : array
        Axes (draw, observation[, output]).
    y : numpy.ndarray
        What was observed, axes (observation[, output]).
    margin : float
        As a fraction of the CRPS of `a`.
    paired : bool
        Draws of `a` and `b` with the same number belong together.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y, a, b = rng.normal(size=50), *rng.normal(size=(2, 2000, 50))
    >>> [crps_equivalence(a, b, y, margin=m).p_value < 0.05 for m in (0.05, 0.001)]
    [True, False]
    """
    x, z = both(a, b)
    check_claim(margin, level)
    y = observed(y, x, two_axes=True)
    if paired and len(x) != len(z):
        raise InputError(f"a has {len(x)} draws and b {len(z)}: paired samples have as many.")
    totals, parts = np.zeros(2), (np.zeros(len(x)), np.zeros(len(z)))
    for columns, values in blocks(x, z):
        for i, s in enumerate(values):
            totals[i] += crps_of_draws(s, y[columns]).sum()
            parts[i][:] += _crps_influence(s, y[columns]) / len(y)
    scores = totals / len(y)
    if scores[0] <= 0:
        raise InputError("the CRPS of a is 0: there is nothing to take a percentage of.")
    ratio = float(scores[1] / scores[0])
    if paired:
        influences = ((parts[1] - ratio * parts[0]) / scores[0],)
    else:
        influences = (ratio * parts[0] / scores[0], parts[1] / scores[0])
    return _two_one_sided("CRPS", "fraction", ratio - 1, influences, margin, level)


def _crps_influence(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Influence of each draw on the sum of CRPS: |z - y| less its mean distance to other draws."""
    n = len(z)
    order = np.sort(z, axis=0)
    sums = np.cumsum(order, axis=0)
    rank = np.arange(1, n + 1)[:, None]
    distance = (rank * order - sums + (sums[-1] - sums) - (n - rank) * order) / (n - 1)
    to_others = np.empty_like(z)
    np.put_along_axis(to_others, np.argsort(z, axis=0), distance, axis=0)
    return (np.abs(z - y) - to_others).sum(axis=1)


def check_claim(margin: float, level: float) -> None:
    """Refuse a margin or a level that cannot be claimed."""
    if not (0 < margin < 1 and 0 < level < 0.5):
        raise InputError(f"margin={margin} must be in (0, 1) and level={level} in (0, 0.5).")
