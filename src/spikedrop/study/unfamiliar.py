"""Is the spread wider where the network meets a drug or a cell line it has never seen?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from spikedrop.checks.arguments import real_number
from spikedrop.checks.samples import as_samples
from spikedrop.conversion import calibrate
from spikedrop.data import Screen, Split, split
from spikedrop.errors import InputError
from spikedrop.sampling.ann import sample_ann
from spikedrop.sampling.snn import sample_snn
from spikedrop.scores import detection_auc, predictive_moments, rmse
from spikedrop.study.example import Example, trained_example


def unfamiliarity_auc(
    familiar: xr.DataArray | np.ndarray, unfamiliar: xr.DataArray | np.ndarray
) -> float:
    """Chance that an unfamiliar observation has a larger predictive sd than a familiar one.

    `spikedrop.scores.detection_auc` of the predictive sd.

    Parameters
    ----------
    familiar, unfamiliar : array
        Axes (draw, observation[, 1]), at least two draws.

    Examples
    --------
    >>> familiar = np.array([[0.0, 0.0], [1.0, 3.0]])
    >>> unfamiliarity_auc(familiar, np.array([[0.0], [2.0]]))
    0.5
    """
    both = {"familiar": familiar, "unfamiliar": unfamiliar}
    sd = [predictive_moments(as_samples(s, name, least=2))[1] for name, s in both.items()]
    if max(part.max() for part in sd) == 0:
        raise InputError("no observation has any spread; is every dropout rate 0?")
    return detection_auc(*sd)


def hold_back(parts: Split, share: float, *, seed: int) -> tuple[Split, np.ndarray]:
    """Take a random `share` of the training rows out of a split: familiar, and not trained on.

    Returns the split without them, and their positions, axis (row,).

    >>> rest, familiar = hold_back(Split(np.arange(10), *2 * [np.arange(0)], "drugs"), 0.2, seed=0)
    >>> len(rest.train), len(familiar), len(np.intersect1d(rest.train, familiar))
    (8, 2, 0)
    """
    real_number("share", share, above=0, below=1)
    order = np.random.default_rng(seed).permutation(parts.train)
    count = max(1, round(share * len(order)))
    if count >= len(order):
        raise InputError(f"{len(order)} training rows are too few to hold any back.")
    rest = Split(np.sort(order[count:]), parts.validation, parts.test, parts.by)
    return rest, np.sort(order[:count])


def unfamiliar_samples(
    screen: Screen,
    by: str,
    *,
    work: str | Path,
    seed: int,
    hidden: Sequence[int] = (512, 512, 512),
    epochs: int = 60,
    observations: int = 300,
    draws: int = 50,
    steps: int = 50,
    rate_hz: float = 500.0,
) -> tuple[Example, dict[str, tuple[np.ndarray, xr.DataArray, xr.DataArray]]]:
    """Train without some drugs or cell lines, and sample rows with and without them.

    Parameters
    ----------
    screen : Screen
    by : {"drugs", "cell_lines", "pairs"}
        What the network has never seen in the unfamiliar rows; see `spikedrop.data.split`.
    work, seed, hidden, epochs : see `running_example`
    observations : int
        Rows of each kind, at most.
    draws, steps, rate_hz : see `sample_snn` and `calibrate`

    Returns
    -------
    example : Example
        The network and its split.
    samples : dict
        ``familiar`` and ``unfamiliar``: positions of the rows, ANN samples, SNN samples with the
        same masks, each (draw, observation, 1).
    """
    parts, familiar = hold_back(split(screen.pairs, by, seed=seed, validation=0.06), 0.1, seed=seed)
    example = trained_example(screen, parts, work=work, seed=seed, hidden=hidden, epochs=epochs)
    conversion = calibrate(example.network, example.x[parts.train], rate_hz=rate_hz)
    samples = {}
    for name, rows in (("familiar", familiar), ("unfamiliar", parts.test)):
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:observations])
        ann = sample_ann(example.network, example.x[rows], draws=draws, seed=seed)
        snn = sample_snn(
            example.network, conversion, example.x[rows], draws=draws, seed=seed, steps=steps
        )
        samples[name] = (rows, ann, snn)
    return example, samples


def unfamiliar_row(example: Example, samples: dict) -> dict[str, float]:
    """Summarise the samples of `unfamiliar_samples` as one row of a table.

    ``AUROC, ANN`` and ``AUROC, SNN`` (see `unfamiliarity_auc`); ``sd ratio, ANN`` and ``sd ratio,
    SNN``: median predictive sd of unfamiliar over familiar rows; ``RMSE ratio``: the same of the
    ANN's root mean squared error, which says how much wider the spread ought to be.
    """
    (known, *old), (novel, *new) = samples["familiar"], samples["unfamiliar"]
    row: dict[str, float] = {}
    for name, a, b in zip(("ANN", "SNN"), old, new, strict=True):
        row[f"AUROC, {name}"] = unfamiliarity_auc(a, b)
        ratio = np.divide(*(np.median(predictive_moments(s)[1]) for s in (b, a)))
        row[f"sd ratio, {name}"] = float(ratio)
    errors = [rmse(old[0], example.y[known]), rmse(new[0], example.y[novel])]
    row["RMSE ratio"] = errors[1] / errors[0]
    return row
