"""Drug pairs as candidates: their numbers, their true synergy, and a network that predicts it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression

from spikedrop.conversion import calibrate
from spikedrop.data import Screen, Split, fit_design, naive_mean
from spikedrop.data.screen import target_of
from spikedrop.decisions import group_means
from spikedrop.errors import InputError
from spikedrop.network.graph import Network
from spikedrop.sampling.ann import sample_ann
from spikedrop.study.controls import Sampler
from spikedrop.training.dense import fit_network

__all__ = ["fit_pairs", "pair_facts", "pair_numbers", "pair_truth"]


def pair_numbers(pairs: pd.DataFrame) -> np.ndarray:
    """Number the drug pairs of a table from 0: the candidates of a search.

    Parameters
    ----------
    pairs : pandas.DataFrame
        Columns ``drug_a`` and ``drug_b``, as `Screen.pairs`.

    Returns
    -------
    numpy.ndarray
        Number of each row's pair, integers, axis (row,), in the order of ``drug_a``, then
        ``drug_b``.

    Examples
    --------
    >>> table = pd.DataFrame({"drug_a": [1, 1, 2], "drug_b": [7, 8, 7]})
    >>> pair_numbers(table).tolist()
    [0, 1, 2]
    """
    return pairs.groupby(["drug_a", "drug_b"], sort=True).ngroup().to_numpy()


def pair_truth(screen: Screen) -> np.ndarray:
    """True synergy score of every drug pair, mean over its records.

    Expected less true growth; what is expected follows from the true growth under each drug alone
    (`spikedrop.data.expected_growth`).

    Parameters
    ----------
    screen : Screen
        A simulated one.

    Returns
    -------
    numpy.ndarray
        Growth fraction, axis (pair,), in the order of `pair_numbers`; higher is better.

    Raises
    ------
    InputError
        If the truth is not known, as for real records.

    Examples
    --------
    >>> from spikedrop.data import simulate_candidates
    >>> pair_truth(simulate_candidates(n_drugs=6, n_cell_lines=2, seed=0)).shape
    (15,)
    """
    pairs = screen.pairs
    if "true_growth_fraction" not in pairs:
        raise InputError(f"{screen.source}: only simulated screens have a known truth.")
    score = pairs["true_expected_growth_fraction"] - pairs["true_growth_fraction"]
    return group_means(score.to_numpy()[None], pair_numbers(pairs))[0]


@dataclass(frozen=True, eq=False)
class PairModel:
    """A network that predicts the synergy score of a record.

    Attributes
    ----------
    network : Network
    x : numpy.ndarray
        Inputs of all records of the screen, axes (record, input).
    pairs : numpy.ndarray
        Number of the drug pair of each record, axis (record,).
    train : numpy.ndarray
        Positions of the records that the network learnt from, axis (record,).
    """

    network: Network
    x: np.ndarray
    pairs: np.ndarray
    train: np.ndarray

    def of_pairs(
        self, which: np.ndarray, sample: Callable[[np.ndarray], xr.DataArray]
    ) -> np.ndarray:
        """Return the mean score of the pairs `which`, sorted, draw by draw, axes (draw, pair).

        `sample` takes inputs and returns samples (draw, record, 1), of mask scope ``draw``.
        """
        rows = np.flatnonzero(np.isin(self.pairs, which))
        return group_means(sample(self.x[rows]), np.searchsorted(which, self.pairs[rows]))

    def snn(self, neuron: str = "charge_keeping", percentile: float | None = None) -> Sampler:
        """Return the spiking sampler, calibrated on the records that were learnt from."""
        x = self.x[self.train]
        conversion = calibrate(self.network, x, neuron=neuron, percentile=percentile)
        return Sampler(self.network, conversion)


def fit_pairs(
    screen: Screen,
    tested: np.ndarray,
    *,
    seed: int,
    hidden: Sequence[int] = (64, 64),
    dropout: float = 0.1,
    train_steps: int = 1500,
) -> PairModel:
    """Train a network on the synergy scores of the records of `tested` pairs.

    Its inputs are descriptors, doses and expression. `train_steps` optimiser steps of 128 rows are
    taken however few pairs were measured, with a learning rate that falls to zero along a cosine
    (`spikedrop.training.dense.fit_network`). Every record is shown in both orders of its drugs.

    Parameters
    ----------
    screen : Screen
        Records with expected growth.
    tested : numpy.ndarray
        Numbers of the pairs (`pair_numbers`), axis (pair,).
    seed : int
        Of initial weights, order of rows and masks.
    hidden, dropout : see `spikedrop.training.dense.fit_network`
    train_steps : int, default 1500
        Optimiser steps, up to the next whole epoch.

    Returns
    -------
    PairModel
        The network, whose output is the synergy score (growth fraction), and what it learnt from.

    Examples
    --------
    >>> from spikedrop.data import simulate_candidates
    >>> screen = simulate_candidates(n_drugs=6, n_cell_lines=2, seed=0)
    >>> fit_pairs(screen, np.arange(8), seed=0, hidden=[4], train_steps=10).train.size
    16
    """
    pairs = pair_numbers(screen.pairs)
    train = np.flatnonzero(np.isin(pairs, tested))
    design = fit_design(screen, train)
    x, y = design.matrix(screen.pairs), target_of(screen, "score")[train]
    mean, sd = y.mean(), y.std() or 1.0
    both = np.concatenate([x[train], x[train][:, design.swap]])
    scaled = np.tile((y - mean) / sd, 2)[:, None]
    batch = min(128, len(both))
    network = fit_network(
        both,
        scaled,
        hidden=tuple(hidden),
        dropout=dropout,
        head="linear",
        epochs=-(-train_steps // (len(both) // batch)),
        batch_size=batch,
        learning_rate=2e-3,
        weight_decay=1e-2,
        rng=np.random.default_rng(seed),
    )
    *below, readout = network.layers
    weights, bias = readout.weights * np.float32(sd), readout.bias * np.float32(sd)
    readout = replace(readout, weights=weights, bias=bias + np.float32(mean))
    return PairModel(replace(network, layers=(*below, readout)), x, pairs, train)


def additive_share(values: np.ndarray, pairs: pd.DataFrame) -> float:
    r"""Share of the variance over pairs that one effect per drug explains, from 0 to 1.

    The R² of the least-squares fit :math:`v_{ab} = \mu + u_a + u_b`. A choice by values of which
    this share is near 1 is a choice of drugs, not of pairs.

    Parameters
    ----------
    values : numpy.ndarray
        One value per drug pair, axis (pair,), in the order of `pair_numbers`.
    pairs : pandas.DataFrame
        Columns ``drug_a`` and ``drug_b``, as `Screen.pairs`.

    Examples
    --------
    >>> table = pd.DataFrame({"drug_a": [1, 1, 1, 2, 2, 3], "drug_b": [2, 3, 4, 3, 4, 4]})
    >>> round(additive_share(np.array([3.0, 4.0, 5.0, 5.0, 6.0, 7.0]), table), 6)  # a + b
    1.0
    >>> round(additive_share(np.array([1.0, 0.0, 0.0, 0.0, 0.0, 1.0]), table), 6)
    0.0
    """
    named = pairs[["drug_a", "drug_b"]].drop_duplicates().sort_values(["drug_a", "drug_b"])
    values = np.asarray(values, float)
    if values.shape != (len(named),) or not np.isfinite(values).all():
        raise InputError(f"values: shape {values.shape}; give one number per pair, {len(named)}.")
    drugs = np.unique(named)
    member = sum((named[[side]].to_numpy() == drugs) for side in named).astype(float)
    return float(LinearRegression().fit(member, values).score(member, values))


def pair_facts(
    screen: Screen, known: int, *, seed: int, draws: int = 30, **fit: Any
) -> dict[str, float]:
    """What a choice of pairs rests on, for a network that learnt `known` pairs of the screen.

    Parameters
    ----------
    screen : Screen
        With a known truth.
    known : int
        Pairs to learn from, taken at random; the facts are about the others.
    seed : int
        Of the pairs to learn from, the training and the masks.
    draws : int, default 30
        Samples of each prediction.
    **fit : see `fit_pairs`

    Returns
    -------
    dict
        ``drugs explain, growth`` and ``drugs explain, score``: `additive_share` of the true
        growth and of the true synergy score of all pairs. ``rank correlation, network`` and
        ``rank correlation, naive mean``: Spearman's, of predicted and true score of unseen pairs,
        higher is better. ``sd / spread``: median predictive sd of a pair over the sd of the
        predictive means between pairs.

    Examples
    --------
    >>> from spikedrop.data import simulate_candidates
    >>> screen = simulate_candidates(n_drugs=6, n_cell_lines=2, seed=0)
    >>> facts = pair_facts(screen, 8, seed=0, draws=4, hidden=(8,), train_steps=20)
    >>> all(np.isfinite(value) for value in facts.values())
    True
    """
    truth, pairs = pair_truth(screen), pair_numbers(screen.pairs)
    growth = group_means(screen.pairs["true_growth_fraction"].to_numpy()[None], pairs)[0]
    order = np.random.default_rng(seed).permutation(len(truth))
    tested, left = order[:known], np.sort(order[known:])
    model = fit_pairs(screen, tested, seed=seed, **fit)
    samples = model.of_pairs(left, lambda x: sample_ann(model.network, x, draws=draws, seed=seed))
    naive = naive_scores(screen, tested, left)
    mean = samples.mean(axis=0)
    return {
        "drugs explain, growth": additive_share(growth, screen.pairs),
        "drugs explain, score": additive_share(truth, screen.pairs),
        "rank correlation, network": float(spearmanr(mean, truth[left]).statistic),
        "rank correlation, naive mean": float(spearmanr(naive, truth[left]).statistic),
        "sd / spread": float(np.median(samples.std(axis=0)) / mean.std()),
    }


def naive_scores(screen: Screen, tested: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Synergy score of the pairs `left` by `spikedrop.data.naive_mean`, learnt from `tested`.

    `left` is sorted; returns growth fractions, axis (pair,), higher is better.
    """
    pairs = pair_numbers(screen.pairs)
    train, test = (np.flatnonzero(np.isin(pairs, which)) for which in (tested, left))
    parts = Split(train, test[:0], test, "pairs")
    score = naive_mean(screen, parts, target="score").predicted
    return group_means(score[None], np.searchsorted(left, pairs[test]))[0]
