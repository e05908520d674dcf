"""Samplers that are wrong on purpose: a comparison that cannot tell them apart proves nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikedrop.errors import InputError
from spikedrop.network import Network


def without_mask_scale(network: Network) -> Network:
    """Return a network whose kept units are passed on as they are, not times 1/(1-p).

    The missing factor is taken out of the next layer's weights.

    >>> from spikedrop.layers import Layer
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, one[0]))
    >>> without_mask_scale(network).layers[-1].weights.tolist()
    [[0.5]]
    """
    layers = []
    for layer in network.layers:
        lost = [network[source] for source in layer.sources if network[source].dropout]
        if lost and layer.op != "dense":
            raise InputError(
                f"layer {layer.name!r} ({layer.op}) reads {lost[0].name!r}, which has dropout: the "
                "factor is taken out of dense weights alone."
            )
        factor = np.float32(np.prod([1 - source.dropout for source in lost]))
        layers.append(replace(layer, weights=layer.weights * factor) if lost else layer)
    return replace(network, layers=tuple(layers))
