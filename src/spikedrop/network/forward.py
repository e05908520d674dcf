"""The plain forward pass of a network, in NumPy: the definition of what it computes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spikedrop.network.graph import Network
from spikedrop.network.layers import Layer, linear, masked, with_masked_weights


def rectified(_: Layer, h: np.ndarray) -> np.ndarray:
    """Activation of a hidden layer: max(h, 0)."""
    return np.maximum(h, 0)


def forward(
    network: Network,
    x: np.ndarray,
    masks: dict[str, np.ndarray] | None = None,
    activate: Callable[[Layer, np.ndarray], np.ndarray] = rectified,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Run the network once, in plain NumPy.

    Parameters
    ----------
    network : Network
    x : numpy.ndarray
        Axes (observation, feature), as `check_inputs` returns them.
    masks : dict of numpy.ndarray, optional
        As `network_masks` returns them; without, the plain network without dropout.
    activate : callable
        Activation of each hidden layer, of the layer and its input.

    Returns
    -------
    outputs : numpy.ndarray
        Axes (observation, output).
    activations : list of numpy.ndarray
        Of every hidden layer before its mask, axes ``(observation, *shape)``.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> outputs, activations = forward(network, np.ones((1, 1)), {"h": 2 * one})
    >>> outputs.tolist(), activations[0].tolist()  # the mask doubles what h sends
    ([[4.0]], [[2.0]])
    """
    masks, values, activations = masks or {}, network.split(x), []
    for layer in network.layers:
        if layer.is_input:
            h = values[layer.name]
        else:
            below = [values[source] for source in layer.sources]
            h = linear(with_masked_weights(layer, masks), below)
        if layer.spiking:
            h = activate(layer, h)
            activations.append(h)
        values[layer.name] = masked(layer, h, masks)
    return network.join(values), activations
