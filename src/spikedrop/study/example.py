"""The running example of the book: one screen, one split, one trained network."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikedrop.data import Design, Screen, Split, fit_design, open_screen, split
from spikedrop.data.screen import Target, target_of
from spikedrop.data.splits import By
from spikedrop.network.graph import Network
from spikedrop.training.keras import Noise, train

if TYPE_CHECKING:
    import keras

__all__ = ["Example", "running_example", "trained_example"]


@dataclass(frozen=True, eq=False)
class Example:
    """What every chapter starts from.

    Attributes
    ----------
    screen : Screen
    parts : Split
        A record without an expected growth is in no part where the target is the score.
    design : Design
    x, y : numpy.ndarray
        Inputs (record, input) and targets (record,) of all pair records: the growth fraction, or
        the synergy score, expected less measured growth, which is NaN where nothing was expected.
    network : Network
        Trained on ``parts.train``.
    """

    screen: Screen
    parts: Split
    design: Design
    x: np.ndarray
    y: np.ndarray
    network: Network

    def test_rows(self, n: int, *, seed: int) -> np.ndarray:
        """Return the positions of `n` test records chosen at random (all, if there are fewer)."""
        rows = np.random.default_rng(seed).permutation(self.parts.test)
        return np.sort(rows[:n])

    def dose_curve(self, row: int, points: int = 60) -> tuple[np.ndarray, np.ndarray]:
        """Vary the dose of drug A of record `row` over the screen's range, all else fixed.

        Returns the grid of log10 molar doses, axis (point,), and inputs (point, input).
        """
        pairs = self.screen.pairs
        same = pairs[pairs["drug_a"] == pairs["drug_a"].iloc[row]]["log10_dose_a_molar"]
        grid = np.linspace(same.min() - 0.5, same.max() + 0.5, points)
        rows = pairs.iloc[np.full(points, row)].assign(log10_dose_a_molar=grid)
        return grid, self.design.matrix(rows)


def running_example(
    *,
    data: str = "",
    work: str | Path,
    seed: int,
    records: int | None = None,
    by: By = "rows",
    **training: Any,
) -> Example:
    """Open the screen, split it, and train the network, or load it if `work` has it.

    Parameters
    ----------
    data : str, default ""
        Folder of real records; empty for the simulated screen.
    work : path
        Folder of trained networks.
    seed : int
        Of the simulated screen or the choice of records, the split and the training.
    records : int, optional
        Pair records; by default all real ones, or as many simulated ones as `open_screen` makes.
    by : {"rows", "pairs", "drugs", "cell_lines"}, default "rows"
        What the split holds out, see `spikedrop.data.split`.
    **training : see `trained_example`

    Returns
    -------
    Example
        The screen, its split, inputs and targets of all records, and the network.

    Examples
    --------
    >>> import tempfile
    >>> small = {"records": 300, "hidden": (8,), "epochs": 1, "seed": 0}
    >>> with tempfile.TemporaryDirectory() as work:
    ...     example = running_example(work=work, **small)
    ...     example.network.dropout_rates
    {'dense_1': 0.1}
    """
    screen = open_screen(data, seed=seed, n_records=records)
    parts = split(screen.pairs, by, seed=seed, validation=0.06)
    return trained_example(screen, parts, work=work, seed=seed, **training)


def trained_example(
    screen: Screen,
    parts: Split,
    *,
    work: str | Path,
    seed: int,
    hidden: Sequence[int] = (512, 512, 512),
    dropout: float = 0.1,
    epochs: int = 60,
    member: int = 0,
    noise: Noise = "constant",
    target: Target = "growth",
) -> Example:
    """Train the example's network on any split of a screen, or load it if `work` has it.

    Its inputs are descriptors, doses, expression, and the growth under each drug alone as estimated
    from the training records (``alone_by`` of `fit_design`). ``parts.test`` is not looked at.

    Parameters
    ----------
    screen : Screen
        Records.
    parts : Split
        From `spikedrop.data.split`.
    work : path
        Folder of trained networks; the file name carries everything the training depends on.
    seed : int
        Of the training.
    hidden : sequence of int, default (512, 512, 512)
        Units of the hidden layers.
    dropout : float, default 0.1
        Rate after every hidden layer.
    epochs : int, default 60
        Passes over the training rows, at most.
    member : int, default 0
        Another member trains the same network from another start on the same rows.
    noise : {"constant", "heteroscedastic"}, default "constant"
        A constant noise to be chosen afterwards, or one that the network predicts, see
        `spikedrop.training.keras.train`.
    target : {"growth", "score"}, default "growth"
        What the network predicts: the growth of a pair, or its synergy score.

    Returns
    -------
    Example
        As of `running_example`. Where the target is the score, records without one are in no part.

    Examples
    --------
    >>> import tempfile
    >>> from spikedrop.data import simulate_screen
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> parts = split(screen.pairs, seed=0)
    >>> small = {"hidden": (8,), "epochs": 1, "seed": 0}
    >>> with tempfile.TemporaryDirectory() as work:
    ...     example = trained_example(screen, parts, work=work, **small)
    >>> example.x.shape[0], example.network.n_outputs
    (300, 1)
    """
    by, y = parts.by, target_of(screen, target)
    if target == "score":
        first, second, third = (
            part[np.isfinite(y[part])] for part in (parts.train, parts.validation, parts.test)
        )
        parts = Split(first, second, third, by)
    design = fit_design(screen, parts.train, alone_by=by)
    trained = np.zeros(len(screen.pairs), bool)
    trained[parts.train] = True
    x = design.matrix(screen.pairs, trained)
    digest = hashlib.sha256(x.tobytes() + y.tobytes() + parts.train.tobytes())
    digest.update(repr((tuple(hidden), dropout, epochs, seed, member)).encode())

    def trained_as(kind: str, **settings: Any) -> keras.Model:
        name = kind + ("-score" if target == "score" else "")
        return train(
            x[parts.train],
            y[parts.train],
            (x[parts.validation], y[parts.validation]),
            seed=seed + 1000 * member,
            hidden=hidden,
            dropout=dropout,
            epochs=epochs,
            swap=design.swap,
            file=Path(work) / f"{name}-{by}-{member}-{digest.hexdigest()[:16]}.keras",
            **settings,
        )

    model = trained_as("network")
    if noise == "heteroscedastic":
        model = trained_as("noise-head", noise=noise, mean=model)
    return Example(screen, parts, design, x, y, Network.from_keras(model))
