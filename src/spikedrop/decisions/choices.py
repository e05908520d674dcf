"""Choose candidates from predictive samples: by their mean, their best draws, or as a batch."""

from __future__ import annotations

from itertools import combinations
from typing import Literal

import numpy as np
import xarray as xr
from scipy.special import comb

from spikedrop.checks.accepted import SamplesLike
from spikedrop.checks.arguments import one_of, real_number, seed_of, whole_number
from spikedrop.checks.samples import (
    Samples,
    as_samples,
    matched,
    per_observation,
)
from spikedrop.errors import InputError

__all__ = [
    "choose",
    "diverse_choice",
    "greedy_choice",
    "group_means",
    "optimistic_choice",
    "thompson_choice",
]

Policy = Literal["greedy", "optimistic", "thompson", "diverse"]
POLICIES: tuple[Policy, ...] = ("greedy", "optimistic", "thompson", "diverse")
TRIPLES = 2000
"""Triples of draws that `diverse_choice` averages over, at most."""


def _samples(samples: SamplesLike, batch: int = 1, least: int = 1) -> Samples:
    """Return samples (draw, candidate), or say what is wrong with them or `batch`."""
    samples = as_samples(samples, least=least)
    whole_number("batch", batch, least=1, below=samples.observations + 1)
    return samples


def group_means(samples: xr.DataArray | np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Mean over the observations of each group, draw by draw.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, observation[, 1]), of mask scope ``draw``: with masks of their own,
        observations vary independently, and the spread of a mean over n of them comes out too
        small, by up to the square root of n.
    groups : numpy.ndarray
        Group of each observation, whole numbers from 0 without gaps, axis (observation,).

    Returns
    -------
    numpy.ndarray
        float64, axes (draw, group), in the unit of the samples.

    Raises
    ------
    InputError
        If groups are not whole numbers from 0 without gaps.

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


def greedy_choice(samples: SamplesLike, batch: int) -> np.ndarray:
    """Choose the candidates of highest predictive mean, best first; the spread plays no part.

    Returns positions, axis (batch,). Of equals, the first comes first.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, candidate[, 1]), higher is better.
    batch : int
        How many to choose.

    Returns
    -------
    numpy.ndarray
        Positions, axis (batch,), the best first.

    Examples
    --------
    >>> greedy_choice(np.array([[3.0, 1.0, 2.0]]), 2).tolist()
    [0, 2]
    """
    mean = per_observation(lambda values: values.mean(axis=0), _samples(samples, batch))
    return np.argsort(-mean, kind="stable")[:batch]


def optimistic_choice(samples: SamplesLike, batch: int, quantile: float = 0.9) -> np.ndarray:
    r"""Choose the candidates that could be highest: highest `quantile` of the draws, best first.

    The upper-confidence-bound rule, with the quantile of the draws as the bound (Bayes-UCB;
    Kaufmann, Cappé & Garivier 2012, https://proceedings.mlr.press/v22/kaufmann12.html). At 0.5 it
    is `greedy_choice` by medians; the higher, the more a wide spread counts.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, candidate[, 1]).
    batch : int
    quantile : float
        Between 0 and 1.

    Returns
    -------
    numpy.ndarray
        Positions, axis (batch,).

    Raises
    ------
    InputError
        If `quantile` is not between 0 and 1, or `batch` is larger than the number of candidates.

    Examples
    --------
    The second candidate is worse on average, and could be better:

    >>> samples = np.array([[0.4, -0.1], [0.5, 0.4], [0.6, 0.9]])
    >>> greedy_choice(samples, 1).tolist(), optimistic_choice(samples, 1).tolist()
    ([0], [1])
    """
    samples = _samples(samples, batch)
    real_number("quantile", quantile, least=0, most=1)
    high = per_observation(lambda values: np.quantile(values, quantile, axis=0), samples)
    return np.argsort(-high, kind="stable")[:batch]


def thompson_choice(samples: SamplesLike, batch: int, seed: int) -> np.ndarray:
    """Choose by function draws: each pick is the best candidate of one draw, taken at random.

    A candidate is chosen with the probability that it is the best one, as the draws see it
    (Thompson 1933, doi:10.2307/2332286). A batch takes a draw for each pick, and the best that is
    not chosen yet (Hernández-Lobato et al. 2017,
    https://proceedings.mlr.press/v70/hernandez-lobato17a.html). Draws are used again, in another
    order, when there are fewer than picks.

    Parameters
    ----------
    samples : xarray.DataArray or array
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
    [0, 2]
    """
    values = _samples(samples, batch).all()
    rng = np.random.default_rng(seed_of(seed))
    turns = -(-batch // len(values))
    order = np.concatenate([rng.permutation(len(values)) for _ in range(turns)])[:batch]
    chosen: list[int] = []
    left = np.ones(values.shape[1], dtype=bool)
    for draw in order:
        pick = int(np.argmax(np.where(left, values[draw], -np.inf)))
        left[pick] = False
        chosen.append(pick)
    return np.array(chosen)


def diverse_choice(
    samples: SamplesLike, batch: int, seed: int, noise_sd: float | None = None
) -> np.ndarray:
    r"""Choose the batch that is expected to leave the fewest doubts about which are the best.

    Probabilistic diameter-based active learning (PDBAL; Tosh, Tec & Tansey 2022, arXiv:2210.12122)
    in the form in which BATCHIE plans the batches of a drug-pair screen (Tosh et al. 2025,
    doi:10.1038/s41467-024-55287-7; https://github.com/tansey-lab/batchie): pick by pick, add the
    candidate that minimises the average, over triples of draws i < j < k, of how much two of them
    disagree times how likely they still explain what the third says is measured. With Gaussian
    noise of one sd :math:`\sigma` that is, up to a constant,

    .. math::

        \hat s(P) &\propto \sum_{i<j<k} (d_{ij} + d_{jk} + d_{ik})
                    \exp\Bigl(-\frac{s_{ijk}}{6 \sigma^2}\Bigr) , \\
        s_{ijk} &= \sum_{c \in P} \bigl[ (f_{ic} - f_{jc})^2
                   + (f_{jc} - f_{kc})^2 + (f_{ic} - f_{kc})^2 \bigr]

    for a batch P, where :math:`f_{ic}` is draw i of candidate c. A candidate that moves with one
    already in the batch separates the same draws again, and gains little.

    It departs from BATCHIE in four ways. The draws are dropout masks, not a Monte Carlo chain.
    BATCHIE's distance d is the squared error between the predictions of two draws; here it is
    what it costs to choose the batch by one draw if the other is true, there and back, so that
    doubts count only where they change the choice. BATCHIE adds plates of experiments to a batch;
    here a candidate is one measurement. Its model estimates the noise; here it is given.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, candidate[, 1]), of mask scope ``draw``, three draws or more.
    batch : int
    seed : int
        Of the triples, where there are more than `TRIPLES` of them.
    noise_sd : float, optional
        Sd of a measured value of a candidate, in the unit of the samples. By default the root mean
        square of the predictive sds: a measurement that halves the variance.

    Returns
    -------
    numpy.ndarray
        Positions, axis (batch,), in the order they were picked. Of equals, the candidate of higher
        mean comes first; so draws that agree on the best batch give `greedy_choice`.

    Raises
    ------
    InputError
        If `noise_sd` is not positive.

    Examples
    --------
    The first two candidates are the same under two names:

    >>> first = np.array([0.9, 0.1, 0.8, 0.2, 0.7, 0.3])
    >>> other = np.array([0.9, 0.7, 0.2, 0.1, 0.3, 0.8])
    >>> samples = np.stack([first, first, other], axis=1)
    >>> greedy_choice(samples, 2).tolist(), diverse_choice(samples, 2, seed=0).tolist()
    ([0, 1], [0, 2])
    """
    values = _samples(samples, batch, least=3).all()
    order = np.argsort(-values.mean(axis=0), kind="stable")
    values = values[:, order]
    if noise_sd is None:
        noise_sd = float(np.sqrt(values.var(axis=0).mean())) or 1.0
    real_number("noise_sd", noise_sd, above=0)
    draws, rng = len(values), np.random.default_rng(seed_of(seed))
    if comb(draws, 3, exact=True) <= TRIPLES:
        triples = np.array(list(combinations(range(draws), 3)))
    else:
        triples = [np.sort(rng.choice(draws, 3, replace=False)) for _ in range(TRIPLES)]
    i, j, k = np.transpose(triples)
    member = np.zeros_like(values)
    np.put_along_axis(member, np.argsort(-values, axis=1, kind="stable")[:, :batch], 1, axis=1)
    worth = values @ member.T / batch  # of the best batch of draw j, as draw i has it
    loss = np.diag(worth)[:, None] - worth
    distance = np.maximum(loss + loss.T, 0)
    weight = distance[i, j] + distance[j, k] + distance[i, k]
    apart = (values[i] - values[j]) ** 2 + (values[j] - values[k]) ** 2
    apart += (values[i] - values[k]) ** 2
    explained = np.exp(-apart / (6 * noise_sd**2))  # (triple, candidate)
    chosen: list[int] = []
    left = np.ones(values.shape[1], dtype=bool)
    for _ in range(batch):
        score = np.where(left, weight @ explained, np.inf)
        pick = int(np.argmin(score))
        left[pick] = False
        chosen.append(pick)
        weight = weight * explained[:, pick]
        weight = weight / (weight.max() or 1.0)  # the scale is free
    return order[chosen]


def choose(policy: Policy, samples: SamplesLike, batch: int, *, seed: int) -> np.ndarray:
    """Choose a batch by the name of the policy; see the four functions.

    Parameters
    ----------
    policy : {"greedy", "optimistic", "diverse", "thompson"}
    samples : xarray.DataArray or array
        Axes (draw, candidate[, 1]), higher is better.
    batch : int
    seed : int
        Of Thompson's order of draws.

    Returns
    -------
    numpy.ndarray
        Positions, axis (batch,).

    Raises
    ------
    InputError
        If there is no such policy.

    Examples
    --------
    >>> samples = np.array([[0.1, 0.9, 0.5], [0.3, 0.7, 0.5]])
    >>> choose("greedy", samples, 1, seed=0).tolist()  # the largest mean
    [1]
    """
    one_of("policy", policy, POLICIES)
    if policy == "greedy":
        return greedy_choice(samples, batch)
    if policy == "optimistic":
        return optimistic_choice(samples, batch)
    return (thompson_choice if policy == "thompson" else diverse_choice)(samples, batch, seed)
