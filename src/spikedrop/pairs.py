"""Drug pairs as candidates: their numbers, their true synergy, and a network that predicts it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import xarray as xr

from spikedrop.controls import Sampler
from spikedrop.data import Screen, fit_design
from spikedrop.data.screen import target_of
from spikedrop.decisions import group_means
from spikedrop.errors import InputError
from spikedrop.fitting import fit_network
from spikedrop.network import Network
from spikedrop.spiking.conversion import calibrate


def pair_numbers(pairs: pd.DataFrame) -> np.ndarray:
    """Number the drug pairs of a table from 0, axis (row,): the candidates of a search.

    >>> table = pd.DataFrame({"drug_a": [1, 1, 2], "drug_b": [7, 8, 7]})
    >>> pair_numbers(table).tolist()
    [0, 1, 2]
    """
    return pairs.groupby(["drug_a", "drug_b"], sort=True).ngroup().to_numpy()


def pair_truth(screen: Screen) -> np.ndarray:
    """True synergy score of every drug pair, mean over its records, axis (pair,).

    Expected less true growth, a growth fraction, higher is better; what is expected follows from
    the true growth under each drug alone (`spikedrop.data.expected_growth`). Raises `InputError`
    where the truth is not known: for real records.

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

    def snn(self, neuron: str = "charge_keeping") -> Sampler:
        """Return the spiking sampler, calibrated on the records that were learnt from."""
        x = self.x[self.train]
        return Sampler(self.network, calibrate(self.network, x, neuron=neuron))


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
    (`spikedrop.fitting.fit_network`). Every record is shown in both orders of its drugs.

    Parameters
    ----------
    screen : Screen
    tested : numpy.ndarray
        Numbers of the pairs (`pair_numbers`), axis (pair,).
    seed : int
        Of initial weights, order of rows and masks.
    hidden, dropout : see `spikedrop.fitting.fit_network`
    train_steps : int
        Optimiser steps, up to the next whole epoch.

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
