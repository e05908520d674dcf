"""Search a screen for synergy round by round: choose drug pairs, measure, train again, choose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spikedrop.data import Screen
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
from spikedrop.files.records import Recorded, read_record, recorded_rows
from spikedrop.sampling.ann import sample_ann
from spikedrop.study.controls import six_controls
from spikedrop.study.pairs import PairModel, fit_pairs, naive_scores, pair_numbers, pair_truth
from spikedrop.study.repetitions import against

__all__ = [
    "after_the_last_round",
    "agreement_of_samplers",
    "pair_numbers",
    "recorded_search",
    "search",
    "search_table",
]

Rule = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
"""``rule(tested, left, seed)``: which of the pairs `left` to measure next, positions in `left`."""

LEARNABLE = {"class_synergy": 0.3, "pair_synergy": 0.175}
"""Arguments of `simulate_candidates` with which most synergy is a matter of the two drugs' classes.

Its sd over pairs is about that of the default, of which other pairs teach almost nothing."""

DIGITS = 10
"""Time steps of the bit-serial network, each a binary digit."""


def agreement_of_samplers(
    screen: Screen,
    known: int,
    *,
    batch: int,
    seed: int,
    draws: int = 30,
    steps: int = 50,
    floors: int = 3,
    **fit: Any,
) -> pd.DataFrame:
    """Tabulate whether a spiking network chooses the pairs that the classical network chooses.

    A network is trained on `known` pairs, taken at random; the candidates are the others.

    Parameters
    ----------
    screen : Screen
        With a known truth.
    known : int
        Pairs to learn from.
    batch : int
        Pairs to choose.
    seed : int
        Of the known pairs, the training, the masks and Thompson's order of draws.
    draws, steps : see `spikedrop.sample_snn`
    floors : int, default 3
        ANN sample sets with other masks: the noise floor.
    **fit : see `fit_pairs`

    Returns
    -------
    pandas.DataFrame
        Agreement with the batch of the ANN, see `spikedrop.decisions.agreement_table`: rows
        ``SNN`` (rate-coded, same masks), ``ANN, other masks``, the six controls
        (`spikedrop.study.controls.six_controls`, same masks) and ``chance``; one column per policy.

    Examples
    --------
    >>> from spikedrop.data import simulate_candidates
    >>> screen = simulate_candidates(n_drugs=6, n_cell_lines=2, seed=0)
    >>> small = {"draws": 4, "steps": 10, "floors": 1, "hidden": (8,), "train_steps": 20}
    >>> table = agreement_of_samplers(screen, 8, batch=2, seed=0, **small)
    >>> table.index[0], table.index[-1], len(table)
    ('SNN', 'chance', 9)
    """
    count = len(pair_truth(screen))
    order = np.random.default_rng(seed).permutation(count)
    model = fit_pairs(screen, order[:known], seed=seed, **fit)
    candidates = np.sort(order[known:])
    ann, *others = (
        model.of_pairs(
            candidates, partial(sample_ann, model.network, draws=draws, seed=seed + 1000 * k)
        )
        for k in range(1 + floors)
    )
    controls = six_controls(model.network, model.x[model.train])
    ask: dict[str, Any] = {"draws": draws, "seed": seed, "steps": steps}
    spiking = {
        name: [model.of_pairs(candidates, partial(sampler.sample, **ask))]
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
    batch, rounds : int
        Candidates per round, and rounds.
    seed : int
        Round r calls `rule` with ``seed + r``.

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
    screen: Screen, *, batch: int, seed: int, draws: int = 30, **fit: Any
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
        radix = model.snn("radix", percentile=100)  # candidates drive it further than the tested
        return model.of_pairs(left, lambda x: radix.sample(x, draws=draws, seed=seed, steps=DIGITS))

    @lru_cache(maxsize=64)
    def trained(tested: tuple[int, ...]) -> PairModel:
        return fit_pairs(screen, np.array(tested), seed=seed, **fit)

    def random(tested: np.ndarray, left: np.ndarray, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).choice(len(left), size=batch, replace=False)

    def null_model(tested: np.ndarray, left: np.ndarray, seed: int) -> np.ndarray:
        return greedy_choice(-expected[:, left], batch)

    def naive(tested: np.ndarray, left: np.ndarray, seed: int) -> np.ndarray:
        return greedy_choice(naive_scores(screen, tested, left)[None], batch)

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
    screens: Iterable[Screen],
    start: int,
    *,
    batch: int,
    rounds: int,
    seed: int,
    draws: int = 30,
    **fit: Any,
) -> pd.DataFrame:
    """Search simulated screens by every rule of `search_rules`.

    Parameters
    ----------
    screens : iterable of Screen
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

    Examples
    --------
    >>> from spikedrop.data import simulate_candidates
    >>> screens = [simulate_candidates(n_drugs=6, n_cell_lines=2, seed=0)]
    >>> small = {"draws": 4, "hidden": (8,), "train_steps": 20}
    >>> table = search_table(screens, 8, batch=2, rounds=1, seed=0, **small)
    >>> sorted(table.columns)
    ['found', 'policy', 'regret', 'repeat', 'round', 'tested']
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


def after_the_last_round(
    table: pd.DataFrame, reference: str = "ANN, greedy"
) -> dict[str, pd.DataFrame]:
    """Compare the policies of `search_table` after the last round, search by search.

    Parameters
    ----------
    table : pandas.DataFrame
        From `search_table`.
    reference : str, default "ANN, greedy"
        Policy to take differences from.

    Returns
    -------
    dict
        ``regret`` and ``found``, each what `spikedrop.study.repetitions.against` returns: one row
        per policy, sorted by the mean; lower is better.

    Examples
    --------
    >>> policies = ["ANN, greedy"] * 2 + ["random"] * 2
    >>> table = pd.DataFrame({"repeat": [0, 1, 0, 1], "policy": policies})
    >>> table = table.assign(round=1, regret=[0.1, 0.3, 0.4, 0.8], found=[1.0, 2.0, 2.0, 4.0])
    >>> after_the_last_round(table)["regret"]["mean"].round(3).to_dict()
    {'ANN, greedy': 0.2, 'random': 0.6}
    """
    last = table[table["round"] == table["round"].max()]
    wide = {"index": "repeat", "columns": "policy"}
    return {
        value: against(last.pivot_table(**wide, values=value), reference).sort_values("mean")
        for value in ("regret", "found")
    }


def recorded_search(file: str | Path | None = None) -> tuple[Recorded, pd.DataFrame]:
    """Read a recorded series of searches.

    Parameters
    ----------
    file : path, optional
        What ``python -m benchmarks.decisions --record`` wrote; by default the one that comes with
        the package.

    Returns
    -------
    recorded : Recorded
        The rows of the file, and where they come from.
    table : pandas.DataFrame
        As of `search_table`.

    Raises
    ------
    InputError
        If `file` is not such a file.

    Examples
    --------
    >>> recorded, table = recorded_search()
    >>> sorted(table.columns)
    ['found', 'policy', 'regret', 'repeat', 'round', 'tested']
    """

    def build(run: Mapping[str, Any]) -> tuple[Recorded, pd.DataFrame]:
        recorded = recorded_rows(run)
        table = pd.DataFrame(recorded.rows)
        table["repeat"] = [list(range(len(values))) for values in table["regret"]]
        table = table.explode(["repeat", "regret", "found"], ignore_index=True)
        return recorded, table.astype({"repeat": int, "regret": float, "found": float})

    command = "python -m benchmarks.decisions --record"
    shipped = "study/recorded_search.json"
    return read_record(file, shipped, build, what="a recorded search", command=command)
