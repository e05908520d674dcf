"""Is there a difference? One exact test over all observations, and tests of each alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spikedrop.checks.accepted import SamplesLike
from spikedrop.checks.arguments import one_of, real_number, whole_number
from spikedrop.checks.samples import BLOCK, Samples, both, per_observation
from spikedrop.comparison.distances import anderson_darling
from spikedrop.comparison.gap import crossing
from spikedrop.comparison.kernel import joint_phases, marginal_features, side_by_side, waves
from spikedrop.errors import InputError

__all__ = ["classifier_test", "global_test", "pointwise_p_values"]

SMALL = 2**15  # values of a sample in a block, each of which has sixteen features
WIDE = 32  # observations in a block, at most: every exchange has sums of all their features
POWER = 0.8  # of the smallest effect that a test could have seen


@dataclass(frozen=True)
class GlobalTest:
    """Outcome of `global_test`.

    Attributes
    ----------
    p_value : float
        Of "the joint laws of all observations are the same"; exact.
    alone : dict of float
        What the p-value of each statistic would be, had it been the only one.
    smallest_shift : float
        Shift of every observation, in predictive sd, that the test finds with probability 0.8;
        infinite if there is none.
    smallest_spread : float
        The same for the sd: 0.05 means that an sd 5 % larger at every observation is found.
    """

    p_value: float
    alone: dict[str, float]
    smallest_shift: float
    smallest_spread: float


def global_test(
    a: SamplesLike,
    b: SamplesLike,
    *,
    seed: int,
    permutations: int = 999,
    level: float = 0.05,
) -> GlobalTest:
    r"""Test whether draws of `a` and `b` have one joint law over all observations.

    Whole draws are exchanged between the samples. If the laws are the same, every exchange was
    as likely as what was seen, whatever ties the observations of a draw together; so the level
    is exact at any number of draws. Four statistics look in different directions, each a sum over
    observations or a distance of whole draws:

    - ``location``: squared differences of means;
    - ``spread``: squared differences of :math:`(s_b^2 - s_a^2) / (s_b^2 + s_a^2)`;
    - ``each law``: squared MMD of every observation (`marginal_features`);
    - ``joint law``: squared MMD of whole draws (`joint_phases`).

    The smallest of the four p-values is compared with its own distribution over the same
    exchanges (Westfall & Young 1993; Ernst 2004, doi:10.1214/088342304000000396), which keeps
    the level exact.

    Parameters
    ----------
    a, b : xarray.DataArray or array
        Axes (draw, observation[, output]), draws independent of each other within and between the
        samples; their numbers may differ.
    seed : int
        Of the exchanges.
    permutations : int, default 999
        Exchanges tried.
    level : float, default 0.05
        Only for the smallest effects.

    Returns
    -------
    GlobalTest
        The p-value, what each statistic says, and the smallest effects that the test finds.

    Raises
    ------
    InputError
        If the observations differ in number or values are NaN.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(size=(2, 100, 5))
    >>> global_test(a, b + 1.0, seed=0).p_value < 0.01
    True
    """
    x, y = both(a, b)
    whole_number("permutations", permutations, least=1)
    real_number("level", level, above=0, below=1)
    centre, spread, moving = per_observation(_pooled, x, y)
    if not moving.any():
        return GlobalTest(1.0, {}, float("inf"), float("inf"))
    if not moving.all():  # what never moves tells nothing
        x, y = (Samples(s.name, s.all()[:, moving], (len(s), int(moving.sum()))) for s in (x, y))
        centre, spread = centre[moving], spread[moving]
    in_b = np.zeros((permutations + 1, len(x) + len(y)), dtype=np.int8)
    in_b[:, len(x) :] = 1
    in_b[1:] = np.random.default_rng(seed).permuted(in_b[1:], axis=1)
    m = len(centre)
    sums = {name: np.zeros((permutations + 1, 2)) for name in ("location", "spread")}
    each_law = np.zeros(permutations + 1)
    size = min(SMALL, WIDE * max(len(x), len(y)))
    for _, values in side_by_side((x, y), centre, spread, size):
        z = np.concatenate(values)
        for part, effects in zip(sums.values(), _moments(z, in_b), strict=True):
            part += np.stack([effects.sum(axis=1), np.sum(effects**2, axis=1)], axis=1)
        each_law += _gap(marginal_features(z, m), in_b)
    phases, weights, _ = joint_phases((x, y), centre, spread, seed)
    statistics = {
        "location": sums["location"][:, 1],
        "spread": sums["spread"][:, 1],
        "each law": each_law,
        "joint law": _gap(waves(np.concatenate(phases), weights), in_b),
    }
    p = {name: _p_values(values) for name, values in statistics.items()}
    least = np.min(list(p.values()), axis=0)
    values, counts = np.unique(least, return_counts=True)
    allowed = values[np.cumsum(counts) / len(least) <= level + 1e-12]
    critical = float(allowed[-1]) if len(allowed) else 0.0  # largest that is still significant

    def smallest(name: str) -> float:
        passed = np.sort(statistics[name])[::-1]
        needed = int(critical * len(passed)) - 1  # so many exchanges may reach what is seen
        return _smallest(sums[name][1:], m, passed[needed]) if needed >= 0 else float("inf")

    ratio = smallest("spread")
    return GlobalTest(
        p_value=float(np.mean(least <= least[0])),
        alone={name: float(values[0]) for name, values in p.items()},
        smallest_shift=smallest("location"),
        smallest_spread=float(np.expm1(np.arctanh(ratio))) if ratio < 1 else float("inf"),
    )


def _pooled(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and sd of both samples together, and whether a column moves at all."""
    pooled = np.concatenate([x, y])
    spread = pooled.std(axis=0)
    return pooled.mean(axis=0), spread, spread > 1e-12 * np.abs(pooled).max(axis=0)


def _exchanged(in_b: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sum the values (draw, column) of `b` after each exchange, axes (exchange, column)."""
    step = max(1, BLOCK // in_b.shape[1])
    parts = range(0, len(in_b), step)
    return np.concatenate([in_b[i : i + step].astype(np.float64) @ values for i in parts])


def _moments(z: np.ndarray, in_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Difference of means and contrast of variances, axes (exchange, observation)."""
    n = float(in_b[0].sum())
    sums, squares = _exchanged(in_b, z), _exchanged(in_b, z**2)
    means, variances = [], []
    for count, s, q in (
        (len(z) - n, z.sum(axis=0) - sums, (z**2).sum(axis=0) - squares),
        (n, sums, squares),
    ):
        means.append(s / count)
        variances.append(np.maximum(q / count - (s / count) ** 2, 0) * count / (count - 1))
    total = variances[0] + variances[1]
    contrast = np.divide(
        variances[1] - variances[0], total, out=np.zeros_like(total), where=total > 0
    )
    return means[1] - means[0], contrast


def _gap(features: np.ndarray, in_b: np.ndarray) -> np.ndarray:
    """Squared distance of the mean features of the two samples, for every exchange."""
    n = float(in_b[0].sum())
    sums = _exchanged(in_b, features)
    gap = sums / n - (features.sum(axis=0) - sums) / (len(features) - n)
    return np.einsum("ij,ij->i", gap, gap)


def _p_values(statistic: np.ndarray) -> np.ndarray:
    """Share of all exchanges, itself included, that reach each value.

    >>> _p_values(np.array([3.0, 1.0, 2.0, 2.0])).tolist()
    [0.25, 1.0, 0.75, 0.75]
    """
    # Sums in another order differ in their last bits: what is equal must count as equal.
    rounded = (statistic / (statistic.max() or 1.0)).round(10)
    return (len(rounded) - np.searchsorted(np.sort(rounded), rounded, "left")) / len(rounded)


def _smallest(noise: np.ndarray, observations: int, threshold: float) -> float:
    """Effect, the same at every observation, that lifts the sum of squares above `threshold`.

    `noise` holds its sum and its sum of squares over observations, axes (exchange, 2).
    """
    total, squares = noise.T

    def power(effect: float) -> float:
        lifted = squares + 2 * effect * total + observations * effect**2
        return float(np.mean(lifted > threshold))

    if power(4.0) < POWER:
        return float("inf")
    return crossing(lambda effect: power(effect) < POWER, 4.0, halvings=30)


POINTWISE: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "ks": lambda p, q: float(stats.ks_2samp(p, q).pvalue),
    "anderson_darling": lambda p, q: float(anderson_darling(p, q).pvalue),
}


def pointwise_p_values(a: SamplesLike, b: SamplesLike, test: str = "ks") -> pd.DataFrame:
    """Two-sample test of every observation by itself, corrected for their number.

    Parameters
    ----------
    a, b : xarray.DataArray or array
        Axes (draw, observation[, output]), not paired.
    test : {"ks", "anderson_darling"}, default "ks"
        From SciPy. The second's p-values end at 0.001 and 0.25.

    Returns
    -------
    pandas.DataFrame
        One row per observation: ``p``; ``holm``, adjusted so that *any* false alarm among all
        observations has probability at most the level (Holm 1979); ``benjamini_hochberg``,
        adjusted so that the expected share of false alarms among those found is at most the level
        (Benjamini & Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x).

    Raises
    ------
    InputError
        If there is no such test.

    Examples
    --------
    >>> a, b = np.random.default_rng(0).normal(size=(2, 200, 3))
    >>> table = pointwise_p_values(a, b + [0.0, 0.0, 1.0])
    >>> (table["holm"] < 0.05).tolist()
    [False, False, True]
    """
    x, y = both(a, b)
    one_of("test", test, tuple(POINTWISE))

    def p_values(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.array([POINTWISE[test](u, v) for u, v in zip(x.T, y.T, strict=True)])

    p = per_observation(p_values, x, y)
    order = np.argsort(p)
    holm = np.empty_like(p)  # the k-th smallest times n - k + 1, and never below one before it
    holm[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    table = {"p": p, "holm": holm, "benjamini_hochberg": stats.false_discovery_control(p)}
    return pd.DataFrame(table).rename_axis("observation")


@dataclass(frozen=True)
class ClassifierTest:
    """Outcome of `classifier_test`.

    Attributes
    ----------
    auc : float
        Area under the ROC curve on the draws kept back; 0.5 is chance, 1 is certainty.
    p_value : float
    floor : float
        95 % quantile of the area under chance.
    """

    auc: float
    p_value: float
    floor: float


def classifier_test(a: SamplesLike, b: SamplesLike, *, seed: int) -> ClassifierTest:
    """Classifier two-sample test: can one learn to tell a draw of `a` from a draw of `b`?

    A logistic regression on the values of a draw and their squares learns on half of the draws;
    on the other half its scores of both samples are compared by the rank test of Mann and Whitney,
    which makes the level that of the rank test (after Lopez-Paz & Oquab 2017, arXiv:1610.06545,
    who count correct answers).

    Parameters
    ----------
    a, b : xarray.DataArray or array
        Axes (draw, observation[, output]), not paired, at least four draws each.
    seed : int
        Of the split in halves.

    Returns
    -------
    ClassifierTest
        The area under the ROC curve, 0.5 by chance, and its p-value.

    Raises
    ------
    InputError
        If a sample has fewer than four draws.

    Examples
    --------
    >>> a, b = np.random.default_rng(0).normal(size=(2, 100, 3))
    >>> classifier_test(a, b + 2.0, seed=0).auc > 0.9
    True
    """
    x, y = both(a, b)
    if min(len(x), len(y)) < 4:
        raise InputError(f"{len(x)} and {len(y)} draws: a classifier needs four of each to learn.")
    rng = np.random.default_rng(seed)
    x, y = x.all(), y.all()
    centre, scale = x.mean(axis=0), x.std(axis=0)
    x, y = ((s - centre) / np.where(scale > 0, scale, 1) for s in (x, y))
    halves = [np.array_split(rng.permutation(np.hstack([s, s**2])), 2) for s in (x, y)]
    labels = np.repeat([0, 1], [len(half[0]) for half in halves])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    model.fit(np.concatenate([half[0] for half in halves]), labels)
    scores = [model.decision_function(half[1]) for half in halves]
    rank = stats.mannwhitneyu(scores[1], scores[0], alternative="greater")
    n, m = map(len, scores)
    return ClassifierTest(
        auc=float(rank.statistic / (n * m)),
        p_value=float(rank.pvalue),
        floor=0.5 + stats.norm.ppf(0.95) * float(np.sqrt((n + m + 1) / (12 * n * m))),
    )
