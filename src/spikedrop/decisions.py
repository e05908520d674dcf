"""Use the predictive distribution: which candidates to measure next, which predictions to refuse.

A low growth fraction is what a screen looks for, so lower is better throughout. Choices take
predictive samples with axes (draw, candidate). The draws should be functions, that is sampled with
mask scope ``draw``: candidates are compared within a draw, and a candidate's value may be a mean
over several observations (`group_means`), whose spread depends on how they move together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from spikedrop.errors import InputError
from spikedrop.predictive import Samples, aligned, as_samples, matched, observed, per_observation

Policy = Literal["greedy", "optimistic", "thompson"]
POLICIES: tuple[Policy, ...] = ("greedy", "optimistic", "thompson")


def _samples(samples: xr.DataArray | np.ndarray, batch: int = 1) -> Samples:
    """Return samples (draw, candidate), or say what is wrong with them or `batch`."""
    samples = as_samples(samples)
    _check_batch(batch, samples.observations)
    return samples


def _check_batch(batch: int, candidates: int) -> None:
    if not 1 <= batch <= candidates:
        raise InputError(
            f"batch={batch}: choose at least one of the {candidates} candidates, and not more."
        )


def group_means(samples: xr.DataArray | np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Mean over the observations of each group, draw by draw.

    Parameters
    ----------
    samples : array
        Axes (draw, observation[, 1]), of mask scope ``draw``: with masks of their own,
        observations vary independently, and the spread of a mean over n of them comes out too
        small, by up to the square root of n.
    groups : numpy.ndarray
        Group of each observation, whole numbers from 0 without gaps, axis (observation,).

    Returns
    -------
    numpy.ndarray
        float64, axes (draw, group), in the unit of the samples.

    Examples
    --------
    >>> group_means(np.array([[1.0, 3.0, 5.0], [0.0, 0.0, 1.0]]), np.array([0, 0, 1]))
    array([[2., 5.],
           [0., 1.]])
    """
    samples = _samples(samples)
    groups = matched(groups, samples, "groups")
    if groups.dtype.kind not in "iu":
        raise InputError(f"groups have type {groups.dtype}; expected whole numbers.")
    if groups.min() < 0 or (np.bincount(groups) == 0).any():
        raise InputError("groups must be numbered from 0 without gaps; see numpy.unique.")
    member = groups[:, None] == np.arange(groups.max() + 1)
    return samples.all() @ (member / member.sum(axis=0))


def greedy_choice(samples: xr.DataArray | np.ndarray, batch: int) -> np.ndarray:
    """Choose the candidates of lowest predictive mean, best first; the spread plays no part.

    Returns positions, axis (batch,). Of equals, the first comes first.

    >>> greedy_choice(np.array([[3.0, 1.0, 2.0]]), 2).tolist()
    [1, 2]
    """
    mean = per_observation(lambda values: values.mean(axis=0), _samples(samples, batch))
    return np.argsort(mean, kind="stable")[:batch]


def optimistic_choice(
    samples: xr.DataArray | np.ndarray, batch: int, quantile: float = 0.1
) -> np.ndarray:
    r"""Choose the candidates that could be lowest: lowest `quantile` of the draws, best first.

    The upper-confidence-bound rule, with the quantile of the draws as the bound (Bayes-UCB;
    Kaufmann, Cappé & Garivier 2012, https://proceedings.mlr.press/v22/kaufmann12.html), turned
    round because low growth is wanted. At 0.5 it is `greedy_choice` by medians; the lower, the
    more a wide spread counts.

    Parameters
    ----------
    samples : array
        Axes (draw, candidate[, 1]).
    batch : int
    quantile : float
        Between 0 and 1.

    Returns
    -------
    numpy.ndarray
        Positions, axis (batch,).

    Examples
    --------
    The second candidate is worse on average, and could be better:

    >>> samples = np.array([[0.4, 0.1], [0.5, 0.6], [0.6, 1.1]])
    >>> greedy_choice(samples, 1).tolist(), optimistic_choice(samples, 1).tolist()
    ([0], [1])
    """
    samples = _samples(samples, batch)
    if not 0 <= quantile <= 1:
        raise InputError(f"quantile={quantile} must be between 0 and 1.")
    low = per_observation(lambda values: np.quantile(values, quantile, axis=0), samples)
    return np.argsort(low, kind="stable")[:batch]


def thompson_choice(samples: xr.DataArray | np.ndarray, batch: int, seed: int) -> np.ndarray:
    """Choose by function draws: each pick is the best candidate of one draw, taken at random.

    A candidate is chosen with the probability that it is the best one, as the draws see it
    (Thompson 1933, doi:10.2307/2332286). A batch takes a draw for each pick, and the best that is
    not chosen yet (Hernández-Lobato et al. 2017,
    https://proceedings.mlr.press/v70/hernandez-lobato17a.html). Draws are used again, in another
    order, when there are fewer than picks.

    Parameters
    ----------
    samples : array
        Axes (draw, candidate[, 1]), of mask scope ``draw``.
    batch, seed : int

    Returns
    -------
    numpy.ndarray
        Positions, axis (batch,), in the order they were picked.

    Examples
    --------
    Draws that agree leave no choice:

    >>> thompson_choice(np.tile([3.0, 1.0, 2.0], (5, 1)), 2, seed=0).tolist()
    [1, 2]
    """
    values = _samples(samples, batch).all()
    rng = np.random.default_rng(seed)
    turns = -(-batch // len(values))
    order = np.concatenate([rng.permutation(len(values)) for _ in range(turns)])[:batch]
    chosen: list[int] = []
    left = np.ones(values.shape[1], dtype=bool)
    for draw in order:
        pick = int(np.argmin(np.where(left, values[draw], np.inf)))
        left[pick] = False
        chosen.append(pick)
    return np.array(chosen)


def choose(
    policy: Policy, samples: xr.DataArray | np.ndarray, batch: int, *, seed: int
) -> np.ndarray:
    """Choose a batch by the name of the policy; see the three functions."""
    if policy == "greedy":
        return greedy_choice(samples, batch)
    if policy == "optimistic":
        return optimistic_choice(samples, batch)
    if policy == "thompson":
        return thompson_choice(samples, batch, seed)
    raise InputError(f"policy={policy!r}; use {', '.join(map(repr, POLICIES))}.")


def probability_best(samples: xr.DataArray | np.ndarray) -> np.ndarray:
    """Share of draws in which each candidate is the lowest, axis (candidate,); sums to 1.

    >>> probability_best(np.array([[0.0, 1.0], [0.0, -1.0], [0.0, 2.0], [0.0, 3.0]])).tolist()
    [0.75, 0.25]
    """
    values = _samples(samples).all()
    return np.bincount(values.argmin(axis=1), minlength=values.shape[1]) / len(values)


def regret(truth: np.ndarray, chosen: np.ndarray) -> float:
    r"""How much higher the truth of the chosen is than that of the best batch of the same size.

    .. math:: \frac1B \sum_{b=1}^{B} t_{c_b} - \frac1B \sum_{b=1}^{B} t_{(b)}

    with :math:`t_{(1)} \le t_{(2)} \le \dots` the truths in order. In the unit of `truth`; lower
    is better, 0 at best. Choosing at random is expected to give ``truth.mean()`` less the second
    term.

    Parameters
    ----------
    truth : numpy.ndarray
        Axis (candidate,).
    chosen : numpy.ndarray
        Positions in it, each once.

    Examples
    --------
    >>> regret(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0, 3]))
    1.0
    """
    truth, chosen = _truth(truth, chosen)
    return float(truth[chosen].mean() - np.sort(truth)[: len(chosen)].mean())


def best_regret(truth: np.ndarray, chosen: np.ndarray) -> float:
    """Truth of the best of the chosen, less that of the best of all; lower is better, 0 at best.

    >>> best_regret(np.array([0.0, 1.0, 2.0, 3.0]), np.array([2, 1]))
    1.0
    """
    truth, chosen = _truth(truth, chosen)
    return float(truth[chosen].min() - truth.min())


def _truth(truth: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth, chosen = np.asarray(truth, dtype=np.float64), np.asarray(chosen)
    if truth.ndim != 1 or not np.isfinite(truth).all():
        raise InputError(f"truth has shape {truth.shape}; expected finite numbers (candidate,).")
    if chosen.ndim != 1 or len(chosen) == 0 or len(np.unique(chosen)) < len(chosen):
        raise InputError("chosen must be positions, at least one, each once.")
    if chosen.min() < 0 or chosen.max() >= len(truth):
        raise InputError(f"chosen goes beyond the {len(truth)} candidates.")
    return truth, chosen


def regret_table(
    truth: np.ndarray,
    samples: Mapping[str, xr.DataArray | np.ndarray],
    batches: Sequence[int],
    *,
    seed: int,
    repeats: int = 20,
) -> pd.DataFrame:
    """Regret of one-shot batches, each chosen at once without learning in between.

    Parameters
    ----------
    truth : numpy.ndarray
        Axis (candidate,).
    samples : mapping
        Name (``ANN``, ``SNN``) to axes (draw, candidate[, 1]).
    batches : sequence of int
        Sizes of the batch.
    seed : int
        Of the Thompson choices, which are averaged over `repeats` of them.

    Returns
    -------
    pandas.DataFrame
        Index the batch; a column ``NAME, POLICY`` for each, and ``random`` with what choosing at
        random is expected to give. See `regret`.
    """
    most = max(batches)
    taken = {name: as_samples(values, name) for name, values in samples.items()}
    for first in list(taken.values())[:1]:
        truth = observed(truth, first, "truth")
        taken = {name: aligned(first, values) for name, values in taken.items()}
    _check_batch(min(batches), len(truth))
    columns = {}
    for name, values in taken.items():
        for policy in POLICIES:
            seeds = range(seed, seed + (repeats if policy == "thompson" else 1))
            orders = [choose(policy, values, most, seed=one) for one in seeds]
            columns[f"{name}, {policy}"] = [
                np.mean([regret(truth, order[:batch]) for order in orders]) for batch in batches
            ]
    ordered = np.sort(truth)
    columns["random"] = [np.mean(truth) - ordered[:batch].mean() for batch in batches]
    return pd.DataFrame(columns, index=pd.Index(batches, name="batch"))


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Share of one batch that is in the other too; 1 is the same decision.

    Two batches chosen at random from n candidates are expected to share ``batch / n``.

    >>> agreement(np.array([4, 1, 7]), np.array([7, 2, 4])) == 2 / 3
    True
    """
    a, b = np.asarray(a), np.asarray(b)
    if a.ndim != 1 or a.shape != b.shape or len(a) == 0:
        raise InputError(f"batches of shapes {a.shape} and {b.shape}: compare equal sizes.")
    if len(np.unique(a)) < len(a) or len(np.unique(b)) < len(b):
        raise InputError("a batch holds a candidate twice.")
    return len(np.intersect1d(a, b)) / len(a)


def agreement_table(
    reference: xr.DataArray | np.ndarray,
    others: Mapping[str, Sequence[xr.DataArray | np.ndarray]],
    batch: int,
    *,
    seed: int,
    repeats: int = 20,
) -> pd.DataFrame:
    """Agreement of the batches chosen from `reference` with those chosen from other samples.

    Parameters
    ----------
    reference : array
        Axes (draw, candidate[, 1]).
    others : mapping
        Name to one or more sample sets of the same shape; means over them are shown. Independent
        ANN sample sets give the noise floor.
    batch : int
    seed : int
        Of the Thompson choices: both sides use the same seeds, `repeats` of them, so paired
        samples pick by the same draws.

    Returns
    -------
    pandas.DataFrame
        A row a name, a column a policy, and a last row ``chance``: two batches at random.
    """
    rows, reference = {}, _samples(reference, batch)
    for name, sets in others.items():
        if not len(sets):
            raise InputError(f"{name}: no sample set to compare with.")
        taken = [aligned(reference, as_samples(other, name)) for other in sets]
        rows[name] = {}
        for policy in POLICIES:
            seeds = range(seed, seed + (repeats if policy == "thompson" else 1))
            rows[name][policy] = np.mean(
                [
                    agreement(*(choose(policy, s, batch, seed=one) for s in (reference, other)))
                    for other in taken
                    for one in seeds
                ]
            )
    rows["chance"] = dict.fromkeys(POLICIES, batch / reference.observations)
    return pd.DataFrame(rows).T
