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
from spikedrop.data.splits import By
from spikedrop.errors import InputError
from spikedrop.sampling.ann import sample_ann
from spikedrop.sampling.snn import sample_snn
from spikedrop.scores import detection_auc, predictive_moments, rmse
from spikedrop.study.example import Example, trained_example

__all__ = ["hold_back", "unfamiliar_row", "unfamiliar_samples"]


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
    """Take a random share of the training rows out of a split: familiar, and not trained on.

    Parameters
    ----------
    parts : Split
        From `spikedrop.data.split`.
    share : float
        Of the training rows, in (0, 1); rounded to whole rows, at least one.
    seed : int
        Of the choice.

    Returns
    -------
    rest : Split
        The split without them.
    familiar : numpy.ndarray
        Positions of the rows taken out, sorted, axis (row,).

    Raises
    ------
    InputError
        If `share` is not between 0 and 1, or there are too few training rows.

    Examples
    --------
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
    by: By,
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
    work, seed, hidden, epochs : see `trained_example`
    observations : int, default 300
        Rows of each kind, at most.
    draws, steps, rate_hz : see `sample_snn` and `calibrate`

    Returns
    -------
    example : Example
        The network and its split.
    samples : dict
        ``familiar`` and ``unfamiliar``: positions of the rows, ANN samples, SNN samples with the
        same masks, each (draw, observation, 1).

    Examples
    --------
    >>> import tempfile
    >>> from spikedrop.data import simulate_screen
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> small = {"hidden": (8,), "epochs": 1, "observations": 5, "draws": 4, "steps": 10}
    >>> with tempfile.TemporaryDirectory() as work:
    ...     example, samples = unfamiliar_samples(screen, "drugs", work=work, seed=0, **small)
    >>> {name: snn.shape for name, (rows, ann, snn) in samples.items()}
    {'familiar': (4, 5, 1), 'unfamiliar': (4, 5, 1)}
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

    Parameters
    ----------
    example, samples : see `unfamiliar_samples`
        What it returns.

    Returns
    -------
    dict
        ``AUROC, ANN`` and ``AUROC, SNN``, see `unfamiliarity_auc` (higher is better);
        ``sd ratio, ANN`` and ``sd ratio, SNN``: median predictive sd of unfamiliar over familiar
        rows; ``RMSE ratio``: the same of the ANN's root mean squared error, which says how much
        wider the spread ought to be.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> known, novel = np.arange(20), np.arange(20, 40)
    >>> rng = np.random.default_rng(0)
    >>> narrow, wide = rng.normal(0, 1, (50, 20)), rng.normal(0, 3, (50, 20))
    >>> samples = {"familiar": (known, narrow, narrow), "unfamiliar": (novel, wide, wide)}
    >>> row = unfamiliar_row(SimpleNamespace(y=np.zeros(40)), samples)
    >>> row["AUROC, ANN"], bool(2 < row["sd ratio, SNN"] < 4)
    (1.0, True)
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
