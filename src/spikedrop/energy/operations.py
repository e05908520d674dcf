"""Operations of a predictive distribution, counted in the simulation.

What is counted, and by which conventions: see `spikedrop.energy.counts`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, replace

import numpy as np
import pandas as pd

from spikedrop.checks.accepted import Inputs
from spikedrop.conversion import Conversion
from spikedrop.energy.counts import KINDS, Counts, Operations
from spikedrop.energy.work import (
    Work,
    add_work,
    artificial_work,
    fan_out,
    spiking_work,
    weights_met,
)
from spikedrop.engines.backends import Masks, Presentation, backend_for
from spikedrop.masks import Scope, mask_shape
from spikedrop.network.graph import Network
from spikedrop.network.inputs import check_inputs
from spikedrop.network.topology import differ_between_draws, firing_windows
from spikedrop.sampling.checks import check_job
from spikedrop.sampling.sampler import Sampler, first, one_by_one
from spikedrop.sampling.snn import check_presentation, snn_sampler, timing_of


def count_operations(
    network: Network,
    conversion: Conversion,
    x: Inputs,
    *,
    draws: int,
    seed: int,
    steps: int,
    scope: Scope = "draw",
    memory_gb: float = 1.0,
) -> Operations:
    """Count what the spiking network does, in the presentations that `sample_snn` would make.

    Parameters
    ----------
    network, conversion, x, seed, steps, scope, memory_gb : see `spikedrop.sample_snn`
    draws : int
        Draws that are looked at; the result holds means, for any number of draws.

    Returns
    -------
    Operations
        Work that all draws share and work of each, means over `x` and the draws; and by layer.

    Raises
    ------
    InputError
        As `spikedrop.sample_snn`.

    Examples
    --------
    One input, two neurons of which each draw drops one or none or both, one output. At 100 Hz for
    0.1 seconds a neuron that is driven by one unit of activation fires ten spikes.

    >>> from spikedrop.network.graph import Layer
    >>> one, zero = np.ones((1, 2), "float32"), np.zeros(2, "float32")
    >>> readout = Layer("y", one.T, zero[:1])
    >>> network = Network.chain((Layer("h", one, zero, 0.5),), readout)
    >>> setting = {"draws": 400, "seed": 0, "steps": 100}
    >>> found = count_operations(network, Conversion((100.0,)), [[1.0]], **setting)
    >>> found.once.spikes, found.once.macs, found.once.updates, found.draw.mask_bits
    (20.0, 2.0, 200.0, 2.0)
    >>> bool(9 < found.draw.synaptic < 11)  # half of the neurons are silent
    True
    """
    seed, _ = check_job(network, draws=draws, seed=seed, scope=scope, memory_gb=memory_gb)
    steps, _ = timing_of(conversion, steps, 0)
    x = check_inputs(network, x)
    backend = backend_for(conversion)
    check_presentation(network, conversion, steps, 0, backend=backend)
    repeats = {layer.name: 1 for layer in network.hidden}
    if conversion.windowed:
        repeats = {name: last - w for name, (w, last) in firing_windows(network).items()}
    busy = {name: n + conversion.windowed for name, n in repeats.items()}  # listening too
    met = weights_met(network)
    asked = Presentation(network, conversion, steps, 0, len(x), keep_counts=True)

    def measure(drawn: bool) -> Work:
        """Mean work of a presentation, with masks or without."""
        numbers = range(draws if drawn else 1)
        work: Work = {}
        with snn_sampler(asked, seed, scope, backend, memory_gb) as sampler:
            for piece in sampler.pieces(x, numbers, masked=drawn):
                for d in range(len(piece.draws)):
                    fired = {
                        layer.name: repeats[layer.name] * count[d].astype(float)
                        for layer, count in zip(network.hidden, piece.ran.counts, strict=True)
                    }
                    held = {name: mask[d] for name, mask in piece.masks.items()}
                    add_work(work, spiking_work(network, piece.x, fired, held, met, steps))
        mean = {name: (1 / (len(numbers) * len(x))) * counts for name, counts in work.items()}
        for name, windows in busy.items():
            updates = float(network.units(name) * steps * windows)
            mean[name] = replace(mean[name], updates=updates)
        if conversion.readout != "mean":
            for name in network.outputs:
                weighted = float(network.units(name) * steps)
                mean[name] += Counts(macs=weighted, macs_nonzero=weighted)
        if conversion.dynamics.shifts:
            mean = {name: replace(one, shifts=one.synaptic) for name, one in mean.items()}
        return mean

    found = _operations(network, measure, scope, len(x), conversion.kind)
    layers = found.layers
    layers["fan_out"] = [
        fan_out(network, name, met) if name in repeats else 0.0 for name in layers.index
    ]
    chances = layers["neurons"] * steps * pd.Series(repeats).reindex(layers.index)
    layers["rate"] = (layers["spikes"] / chances).fillna(0.0)
    return found


def count_ann_operations(
    network: Network, x: Inputs, *, draws: int, seed: int, scope: Scope = "draw"
) -> Operations:
    """Count what the artificial network does in the draws of `sample_ann`.

    `Counts.macs` is the number of all weights that are used; `Counts.macs_nonzero`, measured on
    `x`, leaves out those whose input is zero: rectified, dropped, or zero in the data. Biases and
    what only hands values on are not counted.

    Parameters
    ----------
    network, x, draws, seed, scope : see `spikedrop.sample_ann`

    Returns
    -------
    Operations
        Work that all draws share and work of each, means over `x` and the draws; and by layer.

    Raises
    ------
    InputError
        As `spikedrop.sample_ann`.

    Examples
    --------
    >>> from spikedrop.network.graph import Layer
    >>> square, zero = np.array([[1.0, -1.0], [1.0, -1.0]], "float32"), np.zeros(2, "float32")
    >>> readout = Layer("y", square[:, :1], zero[:1])
    >>> network = Network.chain((Layer("a", square, zero), Layer("b", square, zero, 0.5)), readout)
    >>> found = count_ann_operations(network, [[1.0, 1.0]], draws=10, seed=0)
    >>> found.once.macs, found.draw.macs, found.of(10).macs, found.of(10, shared=False).macs
    (8.0, 2.0, 28.0, 100.0)
    >>> found.once.macs_nonzero  # one of two units of layer a is zero
    6.0
    """
    seed, _ = check_job(network, draws=draws, seed=seed, scope=scope)
    x = check_inputs(network, x)
    met = weights_met(network)

    def run(x: np.ndarray, masks: Masks, _: range) -> Work:
        return artificial_work(network, x, first(masks), met)

    sampler = Sampler(network, seed, scope, one_by_one, run)

    def measure(drawn: bool) -> Work:
        numbers = range(draws if drawn else 1)
        work: Work = {}
        for piece in sampler.pieces(x, numbers, masked=drawn):
            add_work(work, piece.ran)
        return {name: (1 / (len(numbers) * len(x))) * counts for name, counts in work.items()}

    return _operations(network, measure, scope, len(x), "ANN")


def _operations(
    network: Network, measure: Callable[[bool], Work], scope: Scope, rows: int, kind: str
) -> Operations:
    """Put the layers' work together: shared, of each draw, and of a draw alone."""
    drawn = differ_between_draws(network.layers, network.dropout_rates)
    bits = {
        layer.name: Counts(
            mask_bits=float(np.prod(mask_shape(network, layer.name)))
            * (bool(layer.dropout) / (rows if scope == "draw" else 1))
        )
        for layer in network.layers
    }
    alone = measure(bool(network.dropout_rates))
    plain = measure(False) if network.dropout_rates else alone
    once = sum((plain[name] for name in plain if name not in drawn), Counts())
    draw = sum((alone[name] for name in alone if name in drawn), Counts())
    draw = sum(bits.values(), draw)
    table = pd.DataFrame(
        [astuple(alone[layer.name] + bits[layer.name]) for layer in network.layers],
        columns=list(KINDS),
        index=pd.Index([layer.name for layer in network.layers], name="layer"),
    )
    table["neurons"] = [network.units(layer.name) * layer.spiking for layer in network.layers]
    table["fan_out"] = table["rate"] = 0.0
    table["shared"] = [layer.name not in drawn for layer in network.layers]
    return Operations(once, draw, table, kind)
