"""Search a screen round by round: choose drug pairs, measure them, train again, choose the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from spikedrop.ann import sample_ann
from spikedrop.data import Screen, Split
from spikedrop.decisions import Policy, best_regret, choose, group_means, regret
from spikedrop.errors import InputError
from spikedrop.example import trained_example
from spikedrop.spiking.conversion import calibrate
from spikedrop.spiking.sampler import sample_snn

Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]


def pair_numbers(pairs: pd.DataFrame) -> np.ndarray:
    """Number the drug pairs of a table from 0, axis (row,): the candidates of a search.

    >>> table = pd.DataFrame({"drug_a": [1, 1, 2], "drug_b": [7, 8, 7]})
    >>> pair_numbers(table).tolist()
    [0, 1, 2]
    """
    return pairs.groupby(["drug_a", "drug_b"], sort=True).ngroup().to_numpy()


def pair_truth(screen: Screen) -> np.ndarray:
    """True mean growth fraction of every drug pair over its records, axis (pair,).

    Raises `InputError` where the truth is not known: for real records.
    """
    if "true_growth_fraction" not in screen.pairs:
        raise InputError(f"{screen.source}: the truth is known of simulated screens alone.")
    truth = screen.pairs["true_growth_fraction"].to_numpy()[None]
    return group_means(truth, pair_numbers(screen.pairs))[0]


def search(
    predict: Predict | None,
    truth: np.ndarray,
    start: np.ndarray,
    *,
    policy: Policy | Literal["random"],
    batch: int,
    rounds: int,
    seed: int,
) -> pd.DataFrame:
    """Choose `batch` candidates a round, `rounds` times, learning in between.

    Parameters
    ----------
    predict : callable or None
        ``predict(tested, left)``: positions of the candidates measured so far and of those left,
        each sorted; returns predictive samples of the latter, axes (draw, len(left)). Not called
        by the policy ``random``.
    truth : numpy.ndarray
        True value of each candidate, axis (candidate,), lower is better; used only to score.
    start : numpy.ndarray
        Positions measured before the search starts.
    policy : {"random", "greedy", "optimistic", "thompson"}
    batch, rounds, seed : int

    Returns
    -------
    pandas.DataFrame
        Index ``round`` from 1; columns ``tested`` (candidates chosen so far, without `start`),
        ``regret`` of all chosen so far against as many best of those not in `start`, and ``best``,
        the same of the best one (`best_regret`), in the unit of `truth`.

    Raises
    ------
    InputError
        If there are fewer candidates left than the rounds choose.

    Examples
    --------
    A model that knows the truth has no regret:

    >>> truth = np.array([0.5, 0.1, 0.9, 0.3])
    >>> know = lambda tested, left: truth[None, left]
    >>> search(know, truth, np.array([2]), policy="greedy", batch=1, rounds=2, seed=0)
           tested  regret  best
    round
    1           1     0.0   0.0
    2           2     0.0   0.0
    """
    truth, start = np.asarray(truth, float), np.unique(start)
    pool = np.setdiff1d(np.arange(len(truth)), start)
    if batch < 1 or rounds < 1 or batch * rounds > len(pool):
        raise InputError(
            f"{rounds} rounds of {batch} need as many candidates, and {len(pool)} are left."
        )
    rng = np.random.default_rng(seed)
    chosen = np.array([], dtype=int)
    rows = []
    for number in range(1, rounds + 1):
        left = np.setdiff1d(pool, chosen)
        if policy == "random":
            picked = rng.choice(len(left), size=batch, replace=False)
        else:
            samples = predict(np.union1d(start, chosen), left)
            picked = choose(policy, samples, batch, seed=seed + number)
        chosen = np.concatenate([chosen, left[picked]])
        where = np.searchsorted(pool, chosen)
        rows.append(
            {
                "round": number,
                "tested": len(chosen),
                "regret": regret(truth[pool], where),
                "best": best_regret(truth[pool], where),
            }
        )
    return pd.DataFrame(rows).set_index("round")


def retrained(
    screen: Screen,
    sampler: Literal["ann", "snn"],
    *,
    work: str | Path,
    seed: int,
    hidden: Sequence[int] = (128, 128),
    epochs: int = 40,
    draws: int = 50,
    digits: int = 10,
) -> Predict:
    """Make the ``predict`` of `search` that trains the network anew on all measured pairs.

    A tenth of the measured records stops the training. The SNN is of ``radix`` neurons, which
    are simulated at about the price of the ANN, and has the masks of the ANN.

    Parameters
    ----------
    screen : Screen
    sampler : {"ann", "snn"}
    work : path
        Folder of trained networks; what was trained already is loaded.
    seed, hidden, epochs : see `running_example`
    draws : int
    digits : int
        Time steps of the SNN, each a binary digit.
    """
    if sampler not in ("ann", "snn"):
        raise InputError(f"sampler={sampler!r}; use 'ann' or 'snn'.")
    numbers = pair_numbers(screen.pairs)

    def predict(tested: np.ndarray, left: np.ndarray) -> np.ndarray:
        known = np.flatnonzero(np.isin(numbers, tested))
        shuffled = np.random.default_rng(seed).permutation(known)
        cut = max(1, len(known) // 10)
        parts = Split(
            np.sort(shuffled[cut:]), np.sort(shuffled[:cut]), np.array([], dtype=int), "pairs"
        )
        example = trained_example(screen, parts, work=work, seed=seed, hidden=hidden, epochs=epochs)
        rows = np.flatnonzero(np.isin(numbers, left))
        x = example.x[rows]
        if sampler == "ann":
            samples = sample_ann(example.network, x, draws=draws, seed=seed)
        else:
            conversion = calibrate(example.network, example.x[parts.train], neuron="radix")
            samples = sample_snn(
                example.network, conversion, x, draws=draws, seed=seed, steps=digits
            )
        return group_means(samples, np.searchsorted(left, numbers[rows]))

    return predict


def search_table(
    screen: Screen,
    start: int,
    *,
    batch: int,
    rounds: int,
    repeats: int,
    work: str | Path,
    seed: int,
    hidden: Sequence[int] = (128, 128),
    epochs: int = 40,
    draws: int = 50,
) -> pd.DataFrame:
    """Search a simulated screen by chance, by means, by optimism and by Thompson's rule.

    Every repetition starts from other pairs and other initial weights, the same for all policies.

    Parameters
    ----------
    screen : Screen
        With a known truth.
    start : int
        Pairs measured before the search, chosen at random.
    batch, rounds : see `search`
    repeats : int
    work, seed, hidden, epochs, draws : see `retrained`

    Returns
    -------
    pandas.DataFrame
        One row a repetition, policy and round: ``repeat``, ``policy``, ``round``, and the columns
        of `search`.
    """
    truth = pair_truth(screen)
    frames = []
    for repeat in range(repeats):
        own = seed + repeat
        first = np.random.default_rng([seed, repeat]).permutation(len(truth))[:start]
        size = {"batch": batch, "rounds": rounds, "seed": own}
        settings = {"work": work, "seed": own, "hidden": hidden, "epochs": epochs, "draws": draws}
        ann, snn = (retrained(screen, sampler, **settings) for sampler in ("ann", "snn"))
        runs = {"random": search(None, truth, first, policy="random", **size)}
        for name, predict in (("ANN", ann), ("SNN", snn)):
            for policy in ("greedy", "optimistic", "thompson"):
                runs[f"{name}, {policy}"] = search(predict, truth, first, policy=policy, **size)
        frames += [
            frame.reset_index().assign(repeat=repeat, policy=name) for name, frame in runs.items()
        ]
    columns = ["repeat", "policy", "round", "tested", "regret", "best"]
    return pd.concat(frames, ignore_index=True)[columns]
