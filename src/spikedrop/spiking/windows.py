"""In which windows of time the layers of a network that integrates first listen and fire."""

from __future__ import annotations

from spikedrop.network import Network


def firing_windows(network: Network) -> dict[str, tuple[int, int]]:
    """Return for every hidden layer the window in which it integrates and the last it fires in.

    A layer integrates in the window in which the deepest of its sources fires for the first time,
    and fires from the next one on, until the last layer that reads it has integrated.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network import Layer
    >>> one, zero = np.ones((1, 1), "float32"), np.zeros(1, "float32")
    >>> layers = (Layer("a", one, zero), Layer("b", one, zero))
    >>> firing_windows(Network.chain(layers, Layer("y", one, zero)))
    {'a': (0, 1), 'b': (1, 2)}
    """
    whole: dict[str, int] = {}  # the window from which on a layer's values are there
    for layer in network.layers:
        whole[layer.name] = max((whole[s] for s in layer.sources), default=0) + layer.spiking
    read = dict.fromkeys(network.outputs, max(whole.values()))
    for layer in reversed(network.layers):
        when = whole[layer.name] - 1 if layer.spiking else read.get(layer.name, 0)
        for source in layer.sources:
            read[source] = max(read.get(source, 0), when)
    return {
        layer.name: (whole[layer.name] - 1, max(read.get(layer.name, 0), whole[layer.name]))
        for layer in network.hidden
    }
