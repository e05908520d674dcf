"""Masks that are redrawn at every time step: how far the spread falls, and where the mean goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from spikedrop.comparison import predictive_sd
from spikedrop.conversion import Conversion
from spikedrop.engines.reference import simulate
from spikedrop.errors import InputError
from spikedrop.masks import network_masks
from spikedrop.network.graph import Network
from spikedrop.sampling.ann import predict, sample_ann
from spikedrop.sampling.snn import Hold, sample_snn

__all__ = ["hold_table", "mean_shifts", "spikes_seen"]


def hold_table(
    network: Network,
    conversion: Conversion,
    x: np.ndarray,
    *,
    steps: Sequence[int],
    draws: int,
    seed: int,
) -> pd.DataFrame:
    r"""Predictive sd of the SNN over that of the ANN, masks frozen against masks redrawn.

    Redrawn masks shrink the spread as :math:`1 / \sqrt{N}` with N the spikes seen, not as one over
    the square root of T. No step is left out of the readout.

    Parameters
    ----------
    network : Network
    conversion : Conversion
        From `calibrate`.
    x : array
        Axes (observation, input).
    steps : sequence of int
        Time steps T of a presentation, one row each.
    draws : int
        Draws of each sample, at least 2.
    seed : int
        Of the masks.

    Returns
    -------
    pandas.DataFrame
        Index T; ``frozen for the presentation`` and ``redrawn at every step``, medians over
        observations of the ratio of sds, 1 is faithful; and ``spikes seen``, which is
        `spikes_seen`.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.conversion import calibrate
    >>> conversion = calibrate(network, [[1.0]], rate_hz=500)
    >>> table = hold_table(network, conversion, [[1.0]], steps=[50], draws=100, seed=0)
    >>> frozen, redrawn = table.iloc[0, :2]
    >>> bool(0.9 < frozen < 1.1), bool(redrawn < 0.5)
    (True, True)
    """
    holds: dict[str, Hold] = {
        "frozen for the presentation": "presentation",
        "redrawn at every step": "step",
    }
    sd = predictive_sd(sample_ann(network, x, draws=draws, seed=seed, progress=False))
    columns = [*holds, "spikes seen"]
    table = pd.DataFrame(index=pd.Index(steps, name="steps"), columns=columns, dtype=float)
    table["spikes seen"] = [spikes_seen(network, conversion, x, steps=t) for t in steps]
    for name, hold in holds.items():
        for t in steps:
            snn = sample_snn(
                network, conversion, x, draws=draws, seed=seed, steps=t, settle=0, hold=hold
            )
            table.loc[t, name] = np.median(predictive_sd(snn) / sd)
    return table


def spikes_seen(network: Network, conversion: Conversion, x: np.ndarray, *, steps: int) -> float:
    r"""Return how many spikes the neuron of a randomly chosen spike sends in a presentation.

    .. math:: N = \frac{\sum_i n_i^2}{\sum_i n_i}

    with :math:`n_i` the spikes of neuron i behind dropout while one input is shown, no neuron
    dropped, summed over neurons and observations. A mask that is frozen multiplies the sum of a
    neuron's spikes, so that neurons with outgoing weight w add :math:`w^2 n_i^2 p / (1 - p)` to the
    variance of what they send; a mask that is redrawn at every step multiplies every spike with a
    factor of its own and adds :math:`w^2 n_i p / (1 - p)`, if there is at most one spike per step.
    Where the weights do not depend on the rates, the sd of redrawn masks is therefore
    :math:`1 / \sqrt{N}` of that of frozen ones. N is T only if every neuron fires at every step.

    Parameters
    ----------
    network, conversion, x : see `hold_table`
    steps : int
        Time steps of a presentation.

    Returns
    -------
    float
        Spikes, at most `steps` if neurons fire at most once per step.

    Raises
    ------
    InputError
        If no hidden layer has dropout, or no neuron behind dropout fires.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.conversion import calibrate
    >>> conversion = calibrate(network, [[1.0]], rate_hz=500)
    >>> spikes_seen(network, conversion, [[1.0]], steps=100)  # one neuron, 500 Hz, 0.1 s
    50.0
    """
    plain = network.with_dropout(0.0)
    _, counts = simulate(plain, conversion, x, network_masks(plain, 0, 0), steps=steps)
    dropped = [
        n.ravel().astype(float)
        for n, layer in zip(counts, network.hidden, strict=True)
        if layer.dropout
    ]
    total = sum(n.sum() for n in dropped)
    if not total:
        raise InputError(
            "no neuron of a layer with dropout fires: take more steps or a higher rate."
        )
    return float(sum(n @ n for n in dropped) / total)


def mean_shifts(
    network: Network,
    conversion: Conversion,
    x: np.ndarray,
    *,
    steps: int,
    draws: int,
    seed: int,
    reference_draws: int = 1000,
) -> pd.DataFrame:
    r"""How far three predictions lie from the mean of the ANN's draws, input by input.

    A neuron that integrates over the presentation receives the average of its masked inputs. If
    masks are frozen, that is the input J of this draw, and the mean over draws is

    .. math:: \mathrm{E}[\max(0, J)] \ge \max(0, \mathrm{E} J) .

    If they are redrawn at every step, it tends to the mean of J over masks, and the neuron answers
    the right-hand side: that of the network without dropout, whatever the draw.

    Parameters
    ----------
    network, conversion, x : see `hold_table`
    steps, draws, seed : see `sample_snn`
    reference_draws : int, default 1000
        Draws of the ANN, with other masks, that the last two columns are measured against and
        whose sd is the unit.

    Returns
    -------
    pandas.DataFrame
        One row per observation and output, in predictive sd: ``frozen``, the mean of spiking draws
        with frozen masks against that of the ANN's draws with the same masks; ``redrawn``, the mean
        of spiking draws with masks redrawn at every step, and ``without dropout``, one pass of the
        plain network, against that of the `reference_draws`.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.conversion import calibrate
    >>> conversion = calibrate(network, [[1.0]], rate_hz=500)
    >>> found = mean_shifts(network, conversion, [[1.0]], steps=50, draws=50, seed=0)
    >>> list(found.columns), found.shape
    (['frozen', 'redrawn', 'without dropout'], (1, 3))
    """
    settings: dict[str, Any] = {"draws": draws, "seed": seed}
    ann = sample_ann(network, x, **settings, progress=False)
    reference = sample_ann(network, x, draws=reference_draws, seed=seed + 1, progress=False)
    sd = reference.std("draw", ddof=1)
    snn = {
        hold: sample_snn(
            network, conversion, x, **settings, steps=steps, hold=hold, progress=False
        ).mean("draw")
        for hold in ("presentation", "step")
    }
    plain = predict(network, x).reshape(sd.shape)
    shifts: dict[str, Any] = {
        "frozen": (snn["presentation"] - ann.mean("draw")) / sd,
        "redrawn": (snn["step"] - reference.mean("draw")) / sd,
        "without dropout": (plain - reference.mean("draw")) / sd,
    }
    return pd.DataFrame({name: shift.to_numpy().ravel() for name, shift in shifts.items()})
