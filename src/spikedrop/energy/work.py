"""The work of one draw, layer by layer: what spikes and values meet on their way."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import numpy as np

from spikedrop.energy.counts import Counts
from spikedrop.network.graph import Network
from spikedrop.network.layers import Layer, Padding, linear, masked, with_masked_weights

Masks = dict[str, np.ndarray]
Work = dict[str, Counts]  # by the name of the layer


def weights_met(network: Network) -> dict[str, np.ndarray]:
    """Return how many of its weights each value that a layer reads meets, axes of that value.

    Of dense layers and convolutions, by their names; their sum is the layer's
    multiply-accumulates.

    >>> conv = Layer("c", np.ones((3, 1, 2), "float32"), np.zeros(2, "float32"), op="conv",
    ...     sources=("x",), activation="relu", padding="same")
    >>> layers = (Layer("x", op="input", shape=(4, 1)), conv, Layer("f", op="flatten",
    ...     sources=("c",)))
    >>> weights_met(Network(layers, ("f",)))["c"][:, 0].tolist()  # fewer windows at the edges
    [4.0, 6.0, 6.0, 4.0]
    """
    found = {}
    for layer in network.layers:
        if layer.op == "dense":
            found[layer.name] = np.full(
                network.shapes[layer.sources[0]], float(layer.weights.shape[1])
            )
        elif layer.op == "conv":
            shape, rank = network.shapes[layer.sources[0]], layer.weights.ndim - 2
            strides = layer.strides or (1,) * rank
            covers = [
                _windows_over(n, size, stride, layer.padding)
                for n, size, stride in zip(shape[:rank], layer.weights.shape, strides, strict=False)
            ]
            over = reduce(np.multiply.outer, covers)
            found[layer.name] = np.broadcast_to(
                over[..., None] * float(layer.weights.shape[-1]), shape
            )
    return found


def _windows_over(n: int, size: int, stride: int, padding: Padding) -> np.ndarray:
    """How many windows of one axis cover each of n places."""
    ones = np.ones((size, 1, 1))
    slide = Layer("", ones, np.zeros(1), op="conv", strides=(stride,), padding=padding)
    return linear(slide, [np.eye(n)[:, :, None]]).sum(axis=(1, 2))


def _met(layer: Layer, present: np.ndarray, masks: Masks, met: dict[str, np.ndarray]) -> float:
    """Weights met by values that are there so many times, axes ``(observation, *shape)``."""
    if layer.name in masks and layer.family == "weights":
        return float((present @ (masks[layer.name][0] != 0).sum(axis=1)).sum())
    return float((present * met[layer.name]).sum())


def _hand_on(layer: Layer, below: list[np.ndarray]) -> np.ndarray:
    """Arrivals at a layer without weights: how many events reach each of its values."""
    if layer.op == "scale":
        return below[0]
    if layer.op == "average_pool":  # a sum, not a mean, over each window
        channels = below[0].shape[-1]
        each = np.broadcast_to(np.eye(channels), (*layer.window, channels, channels))
        layer = replace(layer, op="conv", weights=each, bias=np.zeros(channels))
    return linear(layer, below)


def spiking_work(
    network: Network,
    x: np.ndarray,
    fired: dict[str, np.ndarray],
    masks: Masks,
    met: dict[str, np.ndarray],
    steps: int,
) -> Work:
    """Sum the work of one draw over observations, all but neuron updates.

    `fired` holds the spikes of every hidden layer, dropped neurons silent; `masks` as
    `network_masks` gives them.
    """
    constant = {name: (h, np.ones_like(h[:1])) for name, h in network.split(x).items()}
    events: dict[str, np.ndarray] = {}
    sums: dict[str, np.ndarray] = {}  # 1 where a value changes at every step and is no spike
    work: Work = {}
    for layer in network.layers:
        name, shape = layer.name, (len(x), *network.shapes[layer.name])
        if layer.op == "input":
            events[name], sums[name] = np.zeros(shape), np.zeros(shape)
            values, there = constant[name]
            constant[name] = masked(layer, values, masks), there
            work[name] = Counts()
            continue
        arriving = [events[source] for source in layer.sources]
        moving = [sums[source] for source in layer.sources]
        still = [constant[source][0] for source in layer.sources]
        tags = [constant[source][1] for source in layer.sources]
        now = Counts(spikes=float(fired[name].sum()) if layer.spiking else 0.0)
        events[name] = sums[name] = np.zeros(shape)
        flow = linear(with_masked_weights(layer, masks), still)
        if name in met:
            changes = any(part.any() for part in (*arriving, *moving))
            there = np.zeros((1, *shape[1:]))
            if not layer.spiking:
                there[:] = not changes
                sums[name] = np.full(shape, float(changes))
            wired = np.broadcast_to(tags[0], still[0].shape)
            now += Counts(
                synaptic=_met(layer, arriving[0], masks, met),
                macs=_met(layer, wired, {}, met) + steps * _met(layer, moving[0] > 0, {}, met),
                macs_nonzero=_met(layer, wired * (still[0] != 0), masks, met)
                + steps * _met(layer, moving[0], masks, met),
            )
        else:
            reach = _hand_on(layer, arriving)
            if layer.spiking or name in network.outputs:
                now += Counts(synaptic=float(reach.sum()))
            if not layer.spiking:
                alive = _alive(layer, masks)
                events[name] = reach * alive
                sums[name] = (_hand_on(layer, moving) > 0) * alive
            there = (_hand_on(layer, tags) > 0) * (0.0 if layer.spiking else 1.0)
        if layer.spiking:
            events[name] = fired[name]
        constant[name] = masked(layer, flow * there, masks), there
        work[name] = now
    return work


def _alive(layer: Layer, masks: Masks) -> np.ndarray | float:
    return (masks[layer.name] != 0) if layer.name in masks else 1.0


def artificial_work(
    network: Network, x: np.ndarray, masks: Masks, met: dict[str, np.ndarray]
) -> Work:
    """Sum the multiply-accumulates of one draw over observations."""
    values, work = network.split(x), {}
    for layer in network.layers:
        now = Counts()
        if layer.op == "input":
            h = values[layer.name]
        else:
            below = [values[source] for source in layer.sources]
            if layer.name in met:
                now = Counts(
                    macs=len(x) * float(met[layer.name].sum()),
                    macs_nonzero=_met(layer, below[0] != 0, masks, met),
                )
            h = linear(with_masked_weights(layer, masks), below)
        if layer.spiking:
            h = np.maximum(h, 0)
        values[layer.name], work[layer.name] = masked(layer, h, masks), now
    return work


def add_work(work: Work, more: Work) -> None:
    """Add to `work`, layer by layer."""
    for name, counts in more.items():
        work[name] = work.get(name, Counts()) + counts


def fan_out(network: Network, name: str, met: dict[str, np.ndarray]) -> float:
    """Weights that one spike of a layer meets, without masks, mean over its neurons."""
    fired = {
        layer.name: np.full((1, *network.shapes[layer.name]), float(layer.name == name))
        for layer in network.hidden
    }
    work = spiking_work(network, np.zeros((1, network.n_inputs)), fired, {}, met, 1)
    return sum(counts.synaptic for counts in work.values()) / network.units(name)


def differs(network: Network) -> dict[str, bool]:
    """Tell for every layer whether what it computes differs from draw to draw.

    A layer's own mask comes after what it computes, unless single weights are dropped.
    """
    computed: dict[str, bool] = {}
    for layer in network.layers:
        weights = layer.dropout > 0 and layer.family == "weights"
        computed[layer.name] = weights or any(
            computed[source] or network[source].dropout > 0 for source in layer.sources
        )
    return computed
