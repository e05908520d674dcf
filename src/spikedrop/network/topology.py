"""Questions about the graph of layers, each answered here once.

All take layers in the order of a `Network`: every layer after those that it reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from spikedrop.network.kinds import kind_of
from spikedrop.network.layers import Layer

if TYPE_CHECKING:
    from spikedrop.network.graph import Network

# Two branches, one of them with a further layer of neurons, meet in a sum: for the examples.
EXAMPLE = (
    Layer("x", op="input", shape=(2,), dropout=0.5),
    Layer("a", sources=("x",), activation="relu"),
    Layer("b", sources=("a",), activation="relu", dropout=0.5),
    Layer("sum", op="add", sources=("a", "b")),
    Layer("y", sources=("sum",)),
)


def readers(layers: Sequence[Layer], outputs: Iterable[str] = ()) -> Counter[str]:
    """Count how often each layer is read, by other layers and as an output.

    >>> sorted(readers(EXAMPLE, ["y"]).items())
    [('a', 2), ('b', 1), ('sum', 1), ('x', 1), ('y', 1)]
    """
    return Counter([source for layer in layers for source in layer.sources] + list(outputs))


def upstream(
    layers: Sequence[Layer], names: Iterable[str], without: Collection[str] = ()
) -> set[str]:
    """Return those layers and all that they read, not looking below the layers `without`.

    >>> sorted(upstream(EXAMPLE, ["sum"], without=["a", "b"]))
    ['a', 'b', 'sum']
    """
    found = set(names)
    for layer in reversed(layers):
        if layer.name in found and layer.name not in without:
            found.update(layer.sources)
    return found


def neurons_read(layers: Sequence[Layer]) -> dict[str, set[str]]:
    """Return the layers of neurons that every layer reads, through layers without neurons.

    A layer that reads none has a current that does not change while an input is presented.

    >>> {name: sorted(read) for name, read in neurons_read(EXAMPLE).items()}
    {'x': [], 'a': [], 'b': ['a'], 'sum': ['a', 'b'], 'y': ['a', 'b']}
    """
    found: dict[str, set[str]] = {}
    spiking = {layer.name for layer in layers if layer.spiking}
    for layer in layers:
        found[layer.name] = set()
        for source in layer.sources:
            found[layer.name] |= {source} if source in spiking else found[source]
    return found


def driven_by_neurons(layers: Sequence[Layer]) -> set[str]:
    """Return the layers of neurons that receive from neurons: their current changes in time.

    >>> driven_by_neurons(EXAMPLE)
    {'b'}
    """
    received = neurons_read(layers)
    return {layer.name for layer in layers if layer.spiking and received[layer.name]}


def reached_by_input(layers: Sequence[Layer]) -> set[str]:
    """Return the layers that receive the input other than through neurons.

    >>> sorted(reached_by_input(EXAMPLE))
    ['a', 'x']
    """
    found: set[str] = set()  # spiking layers do not hand the input on
    handed_on: set[str] = set()
    for layer in layers:
        if layer.is_input or handed_on.intersection(layer.sources):
            found.add(layer.name)
            if not layer.spiking:
                handed_on.add(layer.name)
    return found


def neurons_in_a_row(network: Network) -> dict[str, tuple[str, ...]]:
    """Return the layers of neurons whose values a layer is, side by side and in order.

    Layers that are anything else are left out.

    Examples
    --------
    >>> from spikedrop.network.graph import Network
    >>> one, zero = np.ones((1, 1), "float32"), np.zeros(1, "float32")
    >>> network = Network(
    ...     (
    ...         Layer("x", op="input", shape=(1,)),
    ...         Layer("a", one, zero, sources=("x",), activation="relu"),
    ...         Layer("b", one, zero, sources=("a",), activation="relu"),
    ...         Layer("both", op="concatenate", sources=("b", "a")),
    ...     ),
    ...     ("both",),
    ... )
    >>> neurons_in_a_row(network)
    {'a': ('a',), 'b': ('b',), 'both': ('b', 'a')}
    """
    found: dict[str, tuple[str, ...]] = {}
    for layer in network.layers:
        sources = layer.sources
        interleaved = len(sources) > 1 and len(network.shapes[layer.name]) > 1  # on the last axis
        if layer.spiking:
            found[layer.name] = (layer.name,)
        elif kind_of(layer).rearranges and not interleaved and found.keys() >= set(sources):
            found[layer.name] = sum((found[source] for source in sources), ())
    return found


def places(layers: Sequence[Layer]) -> dict[str, str]:
    """Tell where every layer stands among the neurons.

    ``before``: it receives from no neurons; the first neurons do not either. ``neurons``: neurons
    that receive from neurons. ``between``: without neurons, and neurons read it. ``behind``: only
    outputs do.

    >>> places(EXAMPLE)
    {'y': 'behind', 'sum': 'behind', 'b': 'neurons', 'a': 'before', 'x': 'before'}
    """
    received, found = neurons_read(layers), {}
    leads: set[str] = set()  # layers of neurons, and those without that neurons read
    for layer in reversed(layers):
        if layer.spiking or layer.name in leads:
            leads |= {layer.name, *layer.sources}
        if not received[layer.name]:
            found[layer.name] = "before"
        elif layer.spiking:
            found[layer.name] = "neurons"
        else:
            found[layer.name] = "between" if layer.name in leads else "behind"
    return found


def differ_between_draws(layers: Sequence[Layer], masked: Collection[str]) -> set[str]:
    """Return the layers that compute something else in every draw.

    `masked` are those with a mask. A layer's own mask comes after what it computes, unless single
    weights are dropped.

    >>> sorted(differ_between_draws(EXAMPLE, ["b"]))
    ['sum', 'y']
    """
    computed: set[str] = set()
    for layer in layers:
        weights = layer.name in masked and layer.family == "weights"
        if weights or any(source in computed or source in masked for source in layer.sources):
            computed.add(layer.name)
    return computed


def firing_windows(network: Network) -> dict[str, tuple[int, int]]:
    """Return for every hidden layer the window in which it integrates and the last it fires in.

    A layer integrates in the window in which the deepest of its sources fires for the first time,
    and fires from the next one on, until the last layer that reads it has integrated.

    Examples
    --------
    >>> from spikedrop.network.graph import Network
    >>> one, zero = np.ones((1, 1), "float32"), np.zeros(1, "float32")
    >>> hidden = (Layer("a", one, zero), Layer("b", one, zero))
    >>> firing_windows(Network.chain(hidden, Layer("y", one, zero)))
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


def neuron_maps(network: Network) -> dict[str, dict[str, np.ndarray]]:
    """Return the linear maps from neurons to what receives them.

    For every layer the layers of neurons that it reads, each with a matrix of axes (neuron below,
    value): what one unit of activation there adds to the layer's values before it rectifies. Found
    by pushing the identity through the layers between.

    Examples
    --------
    >>> from spikedrop.network.graph import Network
    >>> two, zero = 2 * np.eye(1, dtype="float32"), np.zeros(1, "float32")
    >>> neuron_maps(Network.chain((Layer("a", two, zero),), Layer("y", two, zero)))["y"]
    {'a': array([[2.]])}
    """
    received: dict[str, dict[str, np.ndarray]] = {}
    for layer in network.layers:
        received[layer.name] = {}
        for place, source in enumerate(layer.sources):
            if network[source].spiking:
                eye = np.eye(network.units(source))
                below = {source: eye.reshape(-1, *network.shapes[source])}
            else:
                below = {
                    name: matrix.reshape(-1, *network.shapes[source])
                    for name, matrix in received[source].items()
                }
            for name, matrix in below.items():
                silent = [np.zeros((len(matrix), *network.shapes[s])) for s in layer.sources]
                silent[place] = matrix
                out = kind_of(layer).linear(layer, silent, 0).reshape(len(matrix), -1)
                received[layer.name][name] = received[layer.name].get(name, 0) + out
    return received
