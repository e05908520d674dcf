"""Was it a good choice: regret against the truth, agreement of one sampler with another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from spikedrop.checks.accepted import SamplesLike
from spikedrop.checks.arguments import whole_number
from spikedrop.checks.samples import (
    aligned,
    as_samples,
    one_axis,
)
from spikedrop.decisions.choices import POLICIES, _samples, choose
from spikedrop.errors import InputError

__all__ = ["agreement", "agreement_table", "regret"]


def regret(truth: np.ndarray, chosen: np.ndarray, best: int | None = None) -> float:
    r"""How far the truth of the chosen is below that of as many best candidates.

    .. math:: \frac1B \sum_{b=1}^{B} t_{(b)} - \frac1B \sum_{b=1}^{B} t_{c_{(b)}}

    with :math:`t_{(1)} \ge t_{(2)} \ge \dots` the truths in order, and :math:`t_{c_{(b)}}` those of
    the chosen in order. In the unit of `truth`; lower is better, 0 at best. Choosing at random is
    expected to give the first term less ``truth.mean()``, where B is all of the chosen.

    Parameters
    ----------
    truth : numpy.ndarray
        Axis (candidate,), higher is better.
    chosen : numpy.ndarray
        Positions in it, each once.
    best : int, optional
        B, at most as many as were chosen: count the best of the chosen only, which is what matters
        once they are measured. By default all.

    Returns
    -------
    float
        In the unit of the truth; 0 is the best choice, lower is better.

    Raises
    ------
    InputError
        If `best` is not between 1 and the number of the chosen.

    Examples
    --------
    >>> truth = np.array([0.0, 1.0, 2.0, 3.0])
    >>> regret(truth, np.array([0, 3])), regret(truth, np.array([0, 3]), best=1)
    (1.0, 0.0)
    """
    truth, chosen = one_axis(truth, "truth"), np.asarray(chosen)
    positions = chosen.ndim == 1 and len(chosen) > 0 and chosen.dtype.kind in "iu"
    if not positions or len(np.unique(chosen)) < len(chosen):
        raise InputError("chosen must be positions: whole numbers, at least one, each once.")
    if chosen.min() < 0 or chosen.max() >= len(truth):
        raise InputError(f"chosen goes beyond the {len(truth)} candidates.")
    best = len(chosen) if best is None else best
    whole_number("best", best, least=1, below=len(chosen) + 1)
    highest, reached = (np.sort(values)[-best:].mean() for values in (truth, truth[chosen]))
    return float(highest - reached)


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Share of one batch that is in the other too; 1 is the same decision.

    Two batches chosen at random from n candidates are expected to share ``batch / n``.

    Parameters
    ----------
    a, b : array
        Positions of candidates, axis (batch,), each once.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    InputError
        If the batches differ in size, or hold a candidate twice.

    Examples
    --------
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
    reference: SamplesLike,
    others: Mapping[str, Sequence[SamplesLike]],
    batch: int,
    *,
    seed: int,
    repeats: int = 20,
) -> pd.DataFrame:
    """Agreement of the batches chosen from `reference` with those chosen from other samples.

    Parameters
    ----------
    reference : xarray.DataArray or array
        Axes (draw, candidate[, 1]).
    others : mapping
        Name to one or more sample sets of the same observations; means over them are shown.
        Independent ANN sample sets give the noise floor.
    batch : int
        Candidates in a batch.
    seed : int
        Of the Thompson choices: both sides use the same seeds, so paired samples pick by the same
        draws.
    repeats : int, default 20
        Seeds of the Thompson choices, from `seed` on.

    Returns
    -------
    pandas.DataFrame
        One row per name, one column per policy, and a last row ``chance``: two batches at random.

    Raises
    ------
    InputError
        If a name has no samples, or shapes differ.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> samples = np.arange(10) + 0.1 * rng.normal(size=(50, 10))
    >>> agreement_table(samples, {"same": [samples]}, 3, seed=0)["greedy"].tolist()
    [1.0, 0.3]
    """
    rows: dict[str, Any] = {}
    reference = _samples(reference, batch)
    for name, sets in others.items():
        if not len(sets):
            raise InputError(f"{name}: no sample set to compare with.")
        taken = [aligned(reference, as_samples(other, name)) for other in sets]
        rows[name] = {}
        for policy in POLICIES:
            seeds = range(seed, seed + (repeats if policy == "thompson" else 1))
            batches = [
                [choose(policy, s, batch, seed=k) for s in (reference, other)]
                for other in taken
                for k in seeds
            ]
            rows[name][policy] = np.mean([agreement(*pair) for pair in batches])
    rows["chance"] = dict.fromkeys(POLICIES, batch / reference.observations)
    return pd.DataFrame(rows).T
