"""What a setting really errs by, counted out: the plan's judge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from spikedrop.checks.accepted import Inputs
from spikedrop.checks.samples import as_samples
from spikedrop.comparison.draws import predictive_sd
from spikedrop.conversion import calibrate
from spikedrop.energy.planning.pilot import check_pilot, scope_of
from spikedrop.energy.planning.quantities import check_quantity, value
from spikedrop.engines.backends import backend_for
from spikedrop.network.graph import Network
from spikedrop.sampling.ann import sample_ann
from spikedrop.sampling.snn import sample_snn

REPEATS = 2  # predictions from draws of their own, at least


def measured_errors(
    network: Network,
    x_train: Inputs,
    x: Inputs,
    cells: pd.DataFrame,
    *,
    y: np.ndarray | None = None,
    seed: int,
    neuron: str = "charge_keeping",
    draws: int = 2000,
    ann_draws: int = 20_000,
) -> pd.DataFrame:
    r"""State the quantity again and again with a setting's draws, and compare with the truth.

    No model enters. The truth is the quantity of `ann_draws` draws of the ANN; the SNN draws at
    least `draws` times, with other masks, and every S of its draws state the quantity once. The
    error is that of `spikedrop.energy.planning.plan_budget`.

    Parameters
    ----------
    network, x_train, x, y, seed, neuron : see `spikedrop.energy.planning.plan_budget`
    cells : pandas.DataFrame
        One row per setting, with ``steps``, ``rate (Hz)``, ``draws`` and ``quantity``.
    draws : int, default 2000
        Of the SNN at every setting, at least 16; more where `cells` need them.
    ann_draws : int, default 20000
        Of the ANN, at least 16 and `draws`.

    Returns
    -------
    pandas.DataFrame
        `cells` with ``measured``, the error in predictive sd, and ``standard error``, over cases.

    Raises
    ------
    InputError
        As `spikedrop.energy.planning.run_pilot`, and for an unknown quantity.

    Examples
    --------
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> cell = {"quantity": "mean", "steps": 40, "rate (Hz)": 250.0, "draws": 8}
    >>> cells = pd.DataFrame([cell])
    >>> small = {"draws": 64, "ann_draws": 256}
    >>> found = measured_errors(network, [[1.0]], [[1.0], [2.0]], cells, seed=0, **small)
    >>> bool(0.2 < found["measured"].iloc[0] < 0.6)  # one over the root of 8 is 0.35
    True
    """
    for quantity in cells["quantity"].unique():
        check_quantity(quantity, y)
    x = check_pilot(network, x, y, draws, ann_draws)
    how: dict[str, Any] = {"scope": scope_of(network), "progress": False}
    ann = sample_ann(network, x, draws=ann_draws, seed=seed, **how)
    truth = as_samples(ann, "ann", outputs="many").all()
    centre, sd = truth.mean(axis=0), predictive_sd(truth, "ann")
    truth = (truth - centre) / sd
    observed = None if y is None else (np.asarray(y, float).ravel() - centre) / sd
    right = {name: value(truth, name, observed) for name in cells["quantity"].unique()}
    found = cells.assign(**{"measured": np.nan, "standard error": np.nan})
    for (steps, rate), group in cells.groupby(["steps", "rate (Hz)"]):
        conversion = calibrate(network, x_train, rate_hz=rate, neuron=neuron)
        many = max(draws, REPEATS * int(group["draws"].max()))
        setting: dict[str, Any] = {
            "seed": seed + 1,
            "steps": int(steps),
            "backend": backend_for(conversion),
        }
        snn = sample_snn(network, conversion, x, draws=many, **setting, **how)
        pool = (as_samples(snn, "snn", outputs="many").all() - centre) / sd
        for row in group.itertuples():
            size, repeats = row.draws, many // row.draws
            cut = pool[: size * repeats].reshape(repeats, size, -1).swapaxes(0, 1)
            squares = (value(cut, row.quantity, observed) - right[row.quantity][:, None]) ** 2
            cases = squares.mean(axis=(0, 1))
            error = np.sqrt(cases.mean())
            spread = cases.std(ddof=1) / np.sqrt(len(cases)) / (2 * error)
            found.loc[row.Index, ["measured", "standard error"]] = error, spread
    return found
