"""Samplers that are wrong on purpose: a comparison that cannot tell them apart proves nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikedrop.network import Layer, Network


def without_mask_scale(network: Network) -> Network:
    """Return a network whose kept units are passed on as they are, not times 1/(1-p).

    The missing factor is taken out of the next layer's weights.

    >>> one = np.ones((1, 1), "float32")
    >>> network = Network((Layer("h", one, one[0], 0.5),), Layer("y", one, one[0]))
    >>> without_mask_scale(network).readout.weights.tolist()
    [[0.5]]
    """
    layers: list[Layer] = []
    for rate, layer in zip(network.dropout_rates, (*network.hidden, network.readout), strict=True):
        layers.append(replace(layer, weights=layer.weights * np.float32(1 - rate)))
    return replace(network, hidden=tuple(layers[:-1]), readout=layers[-1])
