"""How often each verdict comes out: false alarms, detection and power by repetition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import pandas as pd

from spikedrop.checks.accepted import SamplesLike
from spikedrop.checks.arguments import whole_number
from spikedrop.checks.samples import as_samples, both
from spikedrop.comparison.comparison import Verdict
from spikedrop.comparison.draws import predictive_sd
from spikedrop.comparison.verdict import compare
from spikedrop.errors import InputError

__all__ = ["power_table", "verdict_rates"]

VERDICTS: tuple[str, ...] = get_args(Verdict)


def verdict_rates(
    a: SamplesLike,
    b: SamplesLike | None = None,
    *,
    draws: int,
    repeats: int,
    seed: int,
    paired: bool = False,
    **settings: Any,
) -> dict[str, float]:
    """Compare many small samples taken from two large ones, and count the verdicts.

    Each repetition takes `draws` draws of both without replacement. Draws recur from one
    repetition to the next, so pools much larger than `draws` are needed for rates near 0 or 1.

    Parameters
    ----------
    a, b : xarray.DataArray or array
        Pools, axes (draw, observation[, output]). Without `b` both samples are taken from `a`, no
        draw in both: false alarms.
    draws, repeats, seed : int
    paired : bool
        The same draws are taken of both.
    settings : see `spikedrop.comparison.compare`

    Returns
    -------
    dict of float
        Share of repetitions by verdict.

    Raises
    ------
    InputError
        If the pools hold too few draws, or `repeats` is below 1.

    Examples
    --------
    >>> pool = np.random.default_rng(0).normal(size=(500, 5))
    >>> verdict_rates(pool, pool + 2, draws=60, repeats=5, seed=0, permutations=99)
    {'equivalent': 0.0, 'different': 1.0, 'detected': 0.0, 'not enough draws to tell': 0.0}
    """
    if b is None:
        x, y = as_samples(a, "a", least=2, outputs="many").all(), None
    else:
        x, y = (samples.all() for samples in both(a, b))
    available = len(x) // 2 if y is None else min(len(x), len(y))
    whole_number("draws", draws, least=2)
    if draws > available:
        raise InputError(
            f"draws={draws}: the pools hold {len(x)} draws{'' if y is None else f' and {len(y)}'}, "
            f"enough for {available} each."
        )
    whole_number("repeats", repeats, least=1)
    rng = np.random.default_rng(seed)
    counts = dict.fromkeys(VERDICTS, 0)
    for repeat in range(repeats):
        order = rng.permutation(len(x))
        taken = order[:draws]
        if y is None:
            other = x[order[draws : 2 * draws]]
        else:
            other = y[taken if paired else rng.permutation(len(y))[:draws]]
        comparison = compare(x[taken], other, paired=paired, seed=seed + repeat, **settings)
        counts[comparison.verdict] += 1
    return {verdict: count / repeats for verdict, count in counts.items()}


def power_table(
    pool: SamplesLike,
    *,
    draws: Sequence[int],
    shifts: Sequence[float] = (),
    spreads: Sequence[float] = (),
    repeats: int,
    seed: int,
    **settings: Any,
) -> pd.DataFrame:
    """Rates of the verdicts on samples of one law, one of them changed by a known amount.

    Parameters
    ----------
    pool : array
        Axes (draw, observation[, output]).
    draws : sequence of int
        Sizes of the samples.
    shifts : sequence of float
        Every draw moved by so many predictive sd, at every observation.
    spreads : sequence of float
        Every sd multiplied by 1 + this.
    repeats, seed, settings : see `verdict_rates`

    Returns
    -------
    pandas.DataFrame
        One row per setting: ``change`` ("shift" or "spread"), ``size``, ``draws``, and a rate for
        each verdict.

    Examples
    --------
    >>> pool = np.random.default_rng(0).normal(size=(500, 5))
    >>> found = power_table(pool, draws=[60], shifts=[2.0], repeats=5, seed=0, permutations=99)
    >>> found[["change", "size", "draws", "different"]].to_numpy().tolist()
    [['shift', 2.0, 60, 1.0]]
    """
    x = as_samples(pool, "pool", least=2, outputs="many").all()
    centre, sd = x.mean(axis=0), predictive_sd(x, "pool")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))
    first, second = np.array_split(x[order], [len(x) // 2])
    changes = [("shift", size, second + size * sd) for size in shifts]
    changes += [("spread", size, centre + (1 + size) * (second - centre)) for size in spreads]
    rows = [
        {
            "change": change,
            "size": size,
            "draws": n,
            **verdict_rates(first, changed, draws=n, repeats=repeats, seed=seed, **settings),
        }
        for n in draws
        for change, size, changed in changes
    ]
    return pd.DataFrame(rows)
