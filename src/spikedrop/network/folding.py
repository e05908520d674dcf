"""Masks as weights: one draw of the network as a network of its own, without dropout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from spikedrop.errors import InputError
from spikedrop.network.graph import Network
from spikedrop.network.kinds import by_channel, kind_of, one_per_channel
from spikedrop.network.layers import Layer


def fold_masks(network: Network, masks: Mapping[str, np.ndarray]) -> Network:
    r"""Return the network of one draw: its masks in the weights, and no dropout left.

    .. math:: W'_{ij} = m_i W_{ij}

    for the weights that leave unit i, whose multiplier :math:`m_i` is 0 or 1/(1-p). A dropped
    neuron also loses the weights that reach it and its bias, so that it is silent, as in
    `spikedrop.engines.reference.simulate`. Single neurons of a feature map, which share their
    weights, and those of a layer without weights still fire, and nothing reads their spikes.
    Hardware that cannot gate runs such members of a fixed set of masks one after the other.

    Where a mask meets no weights before values are added or rectified, a layer ``... (mask)``
    of op ``scale`` is put in between.

    Parameters
    ----------
    network : Network
    masks : mapping
        As `spikedrop.masks.network_masks` gives them, one for all observations.

    Returns
    -------
    Network
        `spikedrop.sampling.ann.predict` of it is the draw, up to rounding.

    Raises
    ------
    InputError
        If masks differ between observations, or silence single units of a feature map that a
        convolution or pooling reads.

    Examples
    --------
    >>> one = np.ones((2, 1), "float32")
    >>> hidden = Layer("h", np.eye(2, dtype="float32"), np.zeros(2, "float32"), 0.5)
    >>> network = Network.chain((hidden,), Layer("y", one, np.zeros(1, "float32")))
    >>> member = fold_masks(network, {"h": np.array([[2.0, 0.0]], "float32")})
    >>> member["y"].weights.ravel().tolist(), member["h"].weights.tolist()
    ([2.0, 0.0], [[1.0, 0.0], [0.0, 0.0]])
    """
    layers, factors = [], {}
    for layer in network.layers:
        mask = masks.get(layer.name)
        if mask is not None and len(mask) != 1:
            raise InputError(
                f"layer {layer.name!r} has {len(mask)} masks, one for each observation: weights "
                "hold one, drawn with scope='draw'."
            )
        if mask is not None and layer.family == "weights":
            layer = replace(layer, weights=layer.weights * mask[0])
        elif mask is not None:
            factors[layer.name] = mask[0]
            layer = _silenced(layer, mask[0])
        layers.append(replace(layer, dropout=0.0, family="unit"))
    plain = Network(tuple(layers), network.outputs)
    return fold(plain, factors, "mask")


def _silenced(layer: Layer, mask: np.ndarray) -> Layer:
    """Return the layer without what reaches its dropped neurons."""
    if not layer.spiking or layer.weights is None or (mask.ndim > 1 and not by_channel(mask)):
        return layer
    kept = (mask.reshape(-1) != 0).astype(layer.weights.dtype)
    return replace(layer, weights=layer.weights * kept, bias=layer.bias * kept)


def fold(network: Network, factors: Mapping[str, np.ndarray], kind: str) -> Network:
    """Multiply what layers hand on by constants, in the weights of the layers that read it.

    Parameters
    ----------
    network : Network
        Without dropout.
    factors : mapping
        Name of a layer to an array that broadcasts to its values.
    kind : str
        Layers that have to be put in between are named ``source (kind)``.

    Raises
    ------
    InputError
        If the factor differs along axes that weights share.
    """
    layers: list[Layer] = []
    names: dict[str, str] = {}  # of the layers put in between, by what they read
    pending: dict[str, np.ndarray] = {}  # factors not yet in weights

    def between(source: str) -> str:
        """Put a layer behind `source` that multiplies, and return its name."""
        if source not in names:
            factor = one_per_channel(pending[source], source)
            names[source] = f"{source} ({kind})"
            bias = np.zeros_like(factor)
            layers.append(Layer(names[source], factor, bias, op="scale", sources=(source,)))
        return names[source]

    for layer in network.layers:
        found: list[Any] = [pending.get(source) for source in layer.sources]
        after = None
        if any(factor is not None for factor in found):
            kind, shapes = kind_of(layer), [network.shapes[s] for s in layer.sources]
            if not (layer.spiking or layer.name in network.outputs):
                after = kind.carried(found, shapes)
            weights = None if after is not None else kind.absorbed(layer, found[0])
            if weights is not None:
                layer = replace(layer, weights=weights)
            elif after is None:
                sources = [between(s) if s in pending else s for s in layer.sources]
                layer = replace(layer, sources=tuple(sources))
        layers.append(layer)
        own: Any = factors.get(layer.name)
        if own is not None:
            own = _simplest(own, network.shapes[layer.name])
        if after is not None or own is not None:
            pending[layer.name] = own if after is None else after * (1 if own is None else own)
    return Network(tuple(layers), network.outputs)


def _simplest(factor: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return one factor a channel, axes of length 1 before it, if that says it all."""
    whole = np.broadcast_to(factor, shape).reshape(-1, shape[-1])
    if (whole == whole[:1]).all():
        return whole[0].reshape((1,) * (len(shape) - 1) + shape[-1:])
    return np.asarray(factor)
