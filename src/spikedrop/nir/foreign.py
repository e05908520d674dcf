"""NIR graphs that others made, read only by their nodes."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from spikedrop.conversion import Conversion
from spikedrop.errors import InputError
from spikedrop.network.graph import Network
from spikedrop.network.kinds import kind_of
from spikedrop.network.layers import Layer, Padding
from spikedrop.nir.reading import arrays, channels_last, unfold
from spikedrop.nir.writing import order_of, same_zeros

if TYPE_CHECKING:
    import nir

DT = 0.001  # seconds a step, where a file does not say


def read_foreign(graph: nir.NIRGraph) -> tuple[Network, Conversion]:
    """Read a graph without our metadata, from its nodes only."""
    warnings.warn(
        "this NIR graph does not say how its neurons reset: NIR's definition sets them to "
        "v_reset, and they are read as neurons that subtract the threshold and keep negative "
        "charge, starting empty.",
        UserWarning,
        stacklevel=3,
    )
    reader = _Foreign(graph)
    for name in list(_in_order(graph)):
        reader.add(name)
    layers = [reader.layers[name] for name in reader.layers]
    scales = tuple(reader.scales[layer.name] for layer in layers if layer.spiking)
    conversion = Conversion(scales, initial_charge=0.0, dt=DT)
    return unfold(Network(tuple(layers), tuple(reader.outputs)), conversion), conversion


def _in_order(graph: nir.NIRGraph) -> Iterator[str]:
    """Names of the nodes, each after those it reads; refuse a loop."""
    unknown = {name for edge in graph.edges for name in edge} - set(graph.nodes)
    if unknown:
        raise InputError(f"an edge names {sorted(unknown)[0]!r}, which is not a node of the graph.")
    waits = Counter(b for _, b in graph.edges)
    after: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for a, b in graph.edges:
        after[a].append(b)
    free = sorted(name for name in graph.nodes if not waits[name])
    while free:
        name = heappop(free)
        yield name
        for other in after[name]:
            waits[other] -= 1
            if not waits[other]:
                heappush(free, other)
    loop = sorted(name for name in waits if waits[name])
    if loop:
        raise InputError(
            f"the graph has a loop through {', '.join(map(repr, loop[:4]))}: only feed-forward "
            "graphs can be read."
        )


class _Foreign:
    """Collects layers from a graph's nodes."""

    def __init__(self, graph: nir.NIRGraph) -> None:
        """Start empty."""
        self.graph = graph
        self.layers: dict[str, Layer] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.orders: dict[str, np.ndarray | None] = {}
        self.scales: dict[str, float | np.ndarray] = {}
        self.became: dict[str, str] = {}  # the layer that holds a node's value
        self.outputs: list[str] = []

    def add(self, name: str) -> None:
        """Turn one node into a layer."""
        node = self.graph.nodes[name]
        kind = type(node).__name__
        sources = tuple(self.became[a] for a, b in self.graph.edges if b == name)
        if kind == "Input":
            shape = tuple(int(n) for n in node.input_type["input"])
            self._put(name, Layer(name, op="input", shape=(*shape[1:], shape[0])))
            return
        if not sources:
            raise InputError(f"node {name!r} ({kind}) reads nothing: start at an Input node.")
        if len(sources) > 1 and kind not in ("IF", "Output"):
            self._put(f"{name} (sum)", Layer(f"{name} (sum)", op="add", sources=sources))
            sources = (f"{name} (sum)",)
        order, shape = self.orders[sources[0]], self.shapes[sources[0]]
        if kind == "IF":
            self._neurons(name, node, sources)
        elif kind == "Output":
            if order is not None:
                raise InputError(f"output {name!r} is a flattened feature map: add an Affine.")
            below = self.layers[sources[0]]
            if len(sources) > 1 or below.spiking or below.is_input:
                self._put(name, Layer(name, op="add", sources=sources))
            self.outputs.append(self.became.get(name, below.name))
        else:
            self._put(name, self._linear(name, node, kind, order, shape, sources))

    def _put(self, name: str, layer: Layer) -> None:
        self.layers[layer.name], self.became[name] = layer, layer.name
        below = [self.shapes[source] for source in layer.sources]
        self.shapes[layer.name] = kind_of(layer).shape(layer, below)
        self.orders[layer.name] = order_of(layer, self.shapes, self.orders)

    def _linear(
        self, name: str, node: Any, kind: str, order: np.ndarray | None, shape: tuple,
        sources: tuple[str, ...],
    ) -> Layer:  # fmt: skip
        if kind in ("Affine", "Linear") and node.weight.ndim == 2 and len(shape) == 1:
            if node.weight.shape[1] != shape[0]:
                raise InputError(
                    f"node {name!r} takes {node.weight.shape[1]} values and gets {shape[0]}."
                )
            return Layer(name, *arrays(node, "dense", order), sources=sources)
        if kind in ("Conv1d", "Conv2d") and node.weight.ndim == len(shape) + 1:
            rank = node.weight.ndim - 2
            if node.groups != 1 or np.any(np.asarray(node.dilation) != 1):
                raise InputError(f"node {name!r} has groups or dilation: use a plain convolution.")
            layer = Layer(
                name, *arrays(node, "conv", None), op="conv", sources=sources,
                strides=tuple(int(n) for n in np.broadcast_to(node.stride, rank)),
            )  # fmt: skip
            return replace(layer, padding=_said_padding(layer, node.padding, shape[:-1]))
        if kind == "AvgPool2d" and len(shape) == 3:
            if np.any(np.asarray(node.padding) != 0):
                raise InputError(f"node {name!r} averages zeros over the edge: use no padding.")
            window, strides = (
                tuple(int(n) for n in np.broadcast_to(a, 2))
                for a in (node.kernel_size, node.stride)
            )
            return Layer(name, op="average_pool", window=window, strides=strides, sources=sources)
        if kind == "Flatten" and node.start_dim == 0 and node.end_dim in (-1, len(shape) - 1):
            return Layer(name, op="flatten", sources=sources)
        if kind == "Scale":
            values = channels_last(np.asarray(node.scale, np.float64), order)
            flat = values.reshape(-1, values.shape[-1])
            if values.shape == shape and (flat == flat[0]).all():
                return Layer(name, flat[0], np.zeros(len(flat[0])), op="scale", sources=sources)
        raise InputError(
            f"node {name!r} ({kind}) cannot be read here, with values of shape {shape}: a graph "
            "may hold Input, Affine, Linear, Conv1d, Conv2d, AvgPool2d, Flatten (of all axes), "
            "Scale (one factor a channel), IF and Output."
        )

    def _neurons(self, name: str, node: Any, sources: tuple[str, ...]) -> None:
        below = self.layers[sources[0]]
        if np.any(np.asarray(node.v_reset) != 0):
            raise InputError(f"node {name!r} resets to {np.unique(node.v_reset)[0]:g}, not to 0.")
        readers = sum(a == below.name for a, _ in self.graph.edges)
        alone = len(sources) == 1 and readers == 1 and kind_of(below).has_synapses
        if alone and not below.spiking:
            self._put(name, replace(below, activation="relu"))
        else:
            self._put(name, Layer(name, op="add", sources=sources, activation="relu"))
        layer = self.became[name]
        per_step = np.asarray(node.r, np.float64) / np.asarray(node.v_threshold, np.float64)
        shape = self.shapes[layer]
        per_step = channels_last(per_step, self.orders[layer] if per_step.ndim == 1 else None)
        if per_step.shape != shape and per_step.size > 1:
            raise InputError(
                f"node {name!r} has {per_step.shape} thresholds and gets values of shape {shape}."
            )
        scale = per_step / DT
        self.scales[layer] = float(scale.flat[0]) if (scale == scale.flat[0]).all() else scale


def _said_padding(layer: Layer, padding: Any, shape: tuple[int, ...]) -> Padding:
    """Return the padding as Keras calls it, or refuse one that it does not have."""
    if isinstance(padding, str | bytes):
        text = padding if isinstance(padding, str) else padding.decode()
        if text == "valid" or (text == "same" and set(layer.strides) == {1}):
            return cast(Padding, text)
    else:
        zeros = tuple(int(n) for n in np.broadcast_to(padding, len(shape)))
        if not any(zeros):
            return "valid"
        window = layer.weights.shape[: len(shape)]
        short = same_zeros(window, layer.strides, shape)
        if tuple(2 * n for n in zeros) == short:
            return "same"
    raise InputError(
        f"node {layer.name!r} has padding {padding!r}: only 'valid' and 'same' can be read."
    )
