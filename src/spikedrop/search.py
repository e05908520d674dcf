"""Search a screen for synergy round by round: choose drug pairs, measure, train again, choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd
import xarray as xr

from spikedrop.ann import sample_ann
from spikedrop.controls import Sampler, six_controls
from spikedrop.data import Screen, Split, fit_design, naive_mean
from spikedrop.data.screen import target_of
from spikedrop.decisions import (
    POLICIES,
    Policy,
    agreement_table,
    choose,
    greedy_choice,
    group_means,
    regret,
)
from spikedrop.errors import InputError
from spikedrop.fitting import fit_network
from spikedrop.network import Network
from spikedrop.spiking.conversion import calibrate

Rule = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
"""``rule(tested, left, seed)``: which of the pairs `left` to measure next, positions in `left`."""

DIGITS = 10
"""Time steps of the bit-serial network, each a binary digit."""


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
    steps: int = 1500,
) -> PairModel:
    """Train a network on the synergy scores of the records of `tested` pairs.

    Its inputs are descriptors, doses and expression. `steps` optimiser steps of 128 rows are
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
    steps : int
        Optimiser steps, up to the next whole epoch.

    Examples
    --------
    >>> from spikedrop.data import simulate_candidates
    >>> screen = simulate_candidates(n_drugs=6, n_cell_lines=2, seed=0)
    >>> fit_pairs(screen, np.arange(8), seed=0, hidden=[4], steps=10).train.size
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
        epochs=-(-steps // (len(both) // batch)),
        batch_size=batch,
        learning_rate=2e-3,
        weight_decay=1e-2,
        rng=np.random.default_rng(seed),
    )
    *below, readout = network.layers
    weights, bias = readout.weights * np.float32(sd), readout.bias * np.float32(sd)
    readout = replace(readout, weights=weights, bias=bias + np.float32(mean))
    return PairModel(replace(network, layers=(*below, readout)), x, pairs, train)


def agreement_of_samplers(
    screen: Screen,
    known: int,
    *,
    batch: int,
    seed: int,
    draws: int = 30,
    steps: int = 50,
    floors: int = 3,
    **fit: object,
) -> pd.DataFrame:
    """Does a spiking network choose the pairs that the classical network chooses?

    A network is trained on `known` pairs, taken at random; the candidates are the others.

    Parameters
    ----------
    screen : Screen
    known : int
    batch : int
    seed : int
        Of the known pairs, the training, the masks and Thompson's order of draws.
    draws, steps : see `spikedrop.sample_snn`
    floors : int
        ANN sample sets with other masks: the noise floor.
    **fit : see `fit_pairs`

    Returns
    -------
    pandas.DataFrame
        Agreement with the batch of the ANN, see `spikedrop.decisions.agreement_table`: rows
        ``SNN`` (rate-coded, same masks), ``ANN, other masks``, the six controls
        (`spikedrop.controls.six_controls`, same masks) and ``chance``; a column per policy.
    """
    count = len(pair_truth(screen))
    order = np.random.default_rng(seed).permutation(count)
    model = fit_pairs(screen, order[:known], seed=seed, **fit)
    candidates = np.sort(order[known:])
    ann, *others = (
        model.of_pairs(
            candidates,
            lambda x, k=k: sample_ann(model.network, x, draws=draws, seed=seed + 1000 * k),
        )
        for k in range(1 + floors)
    )
    controls = six_controls(model.network, model.x[model.train])
    ask = {"draws": draws, "seed": seed, "steps": steps}
    spiking = {
        name: [model.of_pairs(candidates, lambda x, sampler=sampler: sampler.sample(x, **ask))]
        for name, sampler in {"SNN": model.snn(), **controls}.items()
    }
    compared = {"SNN": spiking.pop("SNN"), "ANN, other masks": others, **spiking}
    return agreement_table(ann, compared, batch, seed=seed)


def search(
    rule: Rule, truth: np.ndarray, start: np.ndarray, *, batch: int, rounds: int, seed: int
) -> pd.DataFrame:
    """Choose `batch` candidates per round, `rounds` times, learning in between.

    Parameters
    ----------
    rule : callable
        ``rule(tested, left, seed)``: numbers of the candidates measured so far and of those left,
        each sorted; returns `batch` positions in `left`.
    truth : numpy.ndarray
        True value of each candidate, axis (candidate,), higher is better; used only to score.
    start : numpy.ndarray
        Numbers of the candidates measured before the search starts.
    batch, rounds, seed : int

    Returns
    -------
    pandas.DataFrame
        Index ``round`` from 1; columns ``tested`` (candidates chosen so far, without `start`),
        ``regret`` of all chosen so far against as many best of those not in `start`, and
        ``found``, the same of the best `batch` of them, in the unit of `truth`; lower is better.

    Raises
    ------
    InputError
        If there are fewer candidates left than the rounds choose.

    Examples
    --------
    A rule that knows the truth has no regret:

    >>> truth = np.array([0.5, 0.9, 0.1, 0.7])
    >>> know = lambda tested, left, seed: [np.argmax(truth[left])]
    >>> search(know, truth, np.array([2]), batch=1, rounds=2, seed=0)
           tested  regret  found
    round
    1           1     0.0    0.0
    2           2     0.0    0.0
    """
    truth, start = np.asarray(truth, float), np.unique(start)
    pool = np.setdiff1d(np.arange(len(truth)), start)
    if batch < 1 or rounds < 1 or batch * rounds > len(pool):
        raise InputError(
            f"{rounds} rounds of {batch} need as many candidates, and {len(pool)} are left."
        )
    chosen = np.array([], dtype=int)
    rows = []
    for number in range(1, rounds + 1):
        left = np.setdiff1d(pool, chosen)
        picked = rule(np.union1d(start, chosen), left, seed + number)
        chosen = np.concatenate([chosen, left[picked]])
        where = np.searchsorted(pool, chosen)
        rows.append(
            {
                "round": number,
                "tested": len(chosen),
                "regret": regret(truth[pool], where),
                "found": regret(truth[pool], where, best=batch),
            }
        )
    return pd.DataFrame(rows).set_index("round")


def search_rules(
    screen: Screen, *, batch: int, seed: int, draws: int = 30, **fit: object
) -> dict[str, Rule]:
    """Return the rules that `search_table` compares, by name.

    Without a network: ``random``; ``null model``, the lowest growth expected of the two drugs
    alone (to the null model every pair has synergy 0); ``naive mean``, the highest score by an
    effect of each drug and one of the cell line (`spikedrop.data.naive_mean`), learnt from the
    tested pairs. With a network that is trained anew on the tested pairs (`fit_pairs`), and each
    of `spikedrop.decisions.POLICIES`: ``ANN, greedy`` to ``ANN, diverse``, and ``bit-serial,
    greedy`` to ``bit-serial, diverse`` on spikes, by radix neurons with the masks of the ANN.

    Parameters
    ----------
    screen : Screen
    batch : int
    seed : int
        Of the training and the masks.
    draws : int
    **fit : see `fit_pairs`
    """
    pairs = pair_numbers(screen.pairs)
    expected = group_means(screen.pairs["expected_growth_fraction"].to_numpy()[None], pairs)

    @lru_cache(maxsize=64)  # all policies start from the same pairs
    def samples(sampler: str, tested: tuple[int, ...]) -> np.ndarray:
        model = trained(tested)
        left = np.setdiff1d(np.arange(pairs.max() + 1), tested)
        if sampler == "ANN":
            return model.of_pairs(
                left, lambda x: sample_ann(model.network, x, draws=draws, seed=seed)
            )
        radix = model.snn("radix")
        return model.of_pairs(left, lambda x: radix.sample(x, draws=draws, seed=seed, steps=DIGITS))

    @lru_cache(maxsize=64)
    def trained(tested: tuple[int, ...]) -> PairModel:
        return fit_pairs(screen, np.array(tested), seed=seed, **fit)

    def random(tested: np.ndarray, left: np.ndarray, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).choice(len(left), size=batch, replace=False)

    def null_model(tested: np.ndarray, left: np.ndarray, seed: int) -> np.ndarray:
        return greedy_choice(-expected[:, left], batch)

    def naive(tested: np.ndarray, left: np.ndarray, seed: int) -> np.ndarray:
        train, test = (np.flatnonzero(np.isin(pairs, which)) for which in (tested, left))
        parts = Split(train, test[:0], test, "pairs")
        score = naive_mean(screen, parts, target="score").predicted
        return greedy_choice(group_means(score[None], np.searchsorted(left, pairs[test])), batch)

    def network(sampler: str, policy: Policy) -> Rule:
        return lambda tested, left, seed: choose(
            policy, samples(sampler, tuple(tested.tolist())), batch, seed=seed
        )

    return {"random": random, "null model": null_model, "naive mean": naive} | {
        f"{sampler}, {policy}": network(sampler, policy)
        for sampler in ("ANN", "bit-serial")
        for policy in POLICIES
    }


def search_table(
    screens: Sequence[Screen],
    start: int,
    *,
    batch: int,
    rounds: int,
    seed: int,
    draws: int = 30,
    **fit: object,
) -> pd.DataFrame:
    """Search simulated screens by every rule of `search_rules`.

    Parameters
    ----------
    screens : sequence of Screen
        With a known truth; each is a repetition, with its own starting pairs and initial weights,
        which are the same for all rules.
    start : int
        Pairs measured before the search, chosen at random.
    batch, rounds : see `search`
    seed, draws, **fit : see `search_rules`

    Returns
    -------
    pandas.DataFrame
        One row per repetition, policy and round: ``repeat``, ``policy``, ``round``, and the
        columns of `search`.
    """
    frames = []
    for repeat, screen in enumerate(screens):
        truth = pair_truth(screen)
        first = np.random.default_rng([seed, repeat]).permutation(len(truth))[:start]
        rules = search_rules(screen, batch=batch, seed=seed + repeat, draws=draws, **fit)
        for name, rule in rules.items():
            frame = search(rule, truth, first, batch=batch, rounds=rounds, seed=seed + repeat)
            frames.append(frame.reset_index().assign(repeat=repeat, policy=name))
    columns = ["repeat", "policy", "round", "tested", "regret", "found"]
    return pd.concat(frames, ignore_index=True)[columns]
