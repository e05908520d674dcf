"""Node by node, what each layer of a converted network becomes in NIR."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from spikedrop.conversion import Conversion
from spikedrop.errors import InputError
from spikedrop.network.folding import fold
from spikedrop.network.graph import Network
from spikedrop.network.kinds import kind_of
from spikedrop.network.layers import Layer
from spikedrop.neurons import Neuron

if TYPE_CHECKING:
    import nir

FORMAT = "spikedrop 1"
#: What NIR's `IF` does not say, as every exported graph says it in its metadata.
DYNAMICS = {
    "reset": "subtract v_threshold for each spike, never to v_reset",
    "spikes_per_step": "floor(v / v_threshold), more than one if the charge is there",
    "negative_charge": "kept without limit",
    "time": "one step adds the current once: v += I",
    "readout": "mean over steps of what the output node receives",
}
PAYLOAD = "spike value"  # names the layers put in where it meets no weights


def import_nir() -> Any:
    """Import the package `nir`, or say how to get it."""
    try:
        import nir
    except ModuleNotFoundError as error:
        raise ImportError(
            'NIR files need the package nir: install it with `pip install "spikedrop[nir]"`.'
        ) from error
    return nir


def check_conversion(network: Network, conversion: Conversion) -> None:
    """Refuse dynamics that NIR's integrate-and-fire neuron cannot have."""
    if conversion.neuron != "charge_keeping":
        why = conversion.dynamics.nir or Neuron.nir
        raise InputError(
            f"neuron={conversion.neuron!r} {why}: calibrate with neuron='charge_keeping'."
        )
    if conversion.readout != "mean":
        raise InputError(
            f"readout={conversion.readout!r}: a NIR graph has spikes and weights and no average "
            "over steps: calibrate with readout='mean', and weight the steps where the file is run."
        )
    if conversion.synapse_s is not None:
        raise InputError(
            f"synapse_s={conversion.synapse_s} s: the low-pass synapse here passes its state "
            "before the step, which no NIR node does: calibrate with synapse_s=None, which "
            "charge-keeping neurons do not need."
        )
    if len(conversion.scales_hz) != len(network.hidden):
        raise InputError(
            f"the conversion has {len(conversion.scales_hz)} firing-rate scales and the network "
            f"{len(network.hidden)} hidden layers: calibrate it on this network."
        )


def spike_network(network: Network, conversion: Conversion) -> Network:
    """Fold into the weights what a spike stands for, ``1 / (g dt)``; they become float64."""
    worth = {
        layer.name: 1 / (np.asarray(scale, np.float64) * conversion.dt)
        for layer, scale in zip(network.hidden, conversion.scales_hz, strict=True)
    }
    bare = Network(
        tuple(_bare(layer) for layer in network.layers), network.outputs, network.stored_masks
    )
    return fold(bare, worth, PAYLOAD)


def _bare(layer: Layer) -> Layer:
    """Return the layer in float32 and without dropout."""
    if layer.weights is None:
        return Layer(**{**vars(layer), "dropout": 0.0, "family": "unit"})
    arrays = {name: getattr(layer, name).astype(np.float32) for name in ("weights", "bias")}
    return Layer(**{**vars(layer), **arrays, "dropout": 0.0, "family": "unit"})


def channels_first(a: np.ndarray, order: np.ndarray | None = None) -> np.ndarray:
    """Put one observation's values as NIR has them: channels first, flattened ones in `order`."""
    if a.ndim > 1:
        return np.ascontiguousarray(np.moveaxis(a, -1, 0))
    return a if order is None else a[order]


def flat_order(shape: tuple[int, ...]) -> np.ndarray | None:
    """Position here of each value that NIR flattens, channels first; None if they are the same.

    >>> flat_order((2, 2)).tolist(), flat_order((2, 1))
    ([0, 2, 1, 3], None)
    """
    order = channels_first(np.arange(int(np.prod(shape))).reshape(shape)).ravel()
    return None if (np.diff(order) == 1).all() else order


def order_of(
    layer: Layer, shapes: Mapping[str, tuple[int, ...]], orders: Mapping[str, np.ndarray | None]
) -> np.ndarray | None:
    """Order of a layer's values in NIR, if they are one axis that was flattened.

    Of the shapes of all layers' values, and the orders of those that it reads.
    """
    kind = kind_of(layer)
    below: list[Any] = [orders[source] for source in layer.sources]
    if layer.op == "flatten":
        shape = shapes[layer.sources[0]]
        return flat_order(shape) if len(shape) > 1 else below[0]
    if layer.is_input or kind.has_synapses or kind.rearranges:
        return None
    if not all(np.array_equal(order, below[0]) for order in below):
        raise InputError(
            f"layer {layer.name!r} adds flattened feature maps, which NIR orders channels "
            "first, to other values: put a Dense layer behind the Flatten."
        )
    return below[0]


class Writer:
    """Adds node after node, each layer after those it reads."""

    def __init__(self, network: Network, conversion: Conversion) -> None:
        """Fold what a spike stands for into the weights."""
        self.nir = import_nir()
        self.network, self.conversion = network, conversion
        self.spikes = spike_network(network, conversion)
        self.names: dict[str, str] = {}  # of nodes, by layer
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        self.ends: dict[str, tuple[str, ...]] = {}  # nodes whose sum is a layer's value
        self.orders: dict[str, np.ndarray | None] = {}

    def graph(self) -> nir.NIRGraph:
        """Return the whole graph with its metadata."""
        scales = iter(self.conversion.scales_hz)
        for number, layer in enumerate(self.spikes.layers):
            name = self.names[layer.name] = self._name(number, layer.name)
            sources = layer.sources
            self.orders[layer.name] = order_of(layer, self.spikes.shapes, self.orders)
            below = [self.ends[s] for s in sources]
            self.ends[layer.name] = tuple(self._add(name, layer, below))
            if layer.spiking:
                node = self._neurons(layer, next(scales))
                self.ends[layer.name] = (self._node(f"{name}_if", node, self.ends[layer.name]),)
        for number, output in enumerate(self.spikes.outputs):
            values = channels_first(np.zeros(self.spikes.shapes[output]))
            node = self.nir.Output({"output": np.array(values.shape)})
            self._node(self._output(number), node, self.ends[output])
        return self.nir.NIRGraph(self.nodes, self.edges, metadata=self._metadata())

    def _name(self, number: int, name: str) -> str:
        """A name that is a Python identifier; files sort nodes by name, so it begins in order."""
        digits = max(2, len(str(len(self.spikes.layers) + len(self.spikes.outputs))))
        return f"n{number:0{digits}d}_" + re.sub(r"\W", "_", name)

    def _output(self, number: int) -> str:
        return self._name(len(self.spikes.layers) + number, self.spikes.outputs[number]) + "_out"

    def _node(self, name: str, node: Any, sources: tuple[str, ...]) -> str:
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        return name

    def _add(self, name: str, layer: Layer, below: list[tuple[str, ...]]) -> Iterator[str]:
        """Add a layer's linear map; yield the nodes whose sum is its value."""
        ir, sources = self.nir, layer.sources
        if layer.is_input:
            shape = channels_first(np.zeros(layer.shape)).shape
            yield self._node(name, ir.Input({"input": np.array(shape)}), ())
        elif layer.op == "add":
            yield from self._once(name, layer, [end for ends in below for end in ends])
        elif layer.op == "concatenate":
            widths = [self.spikes.shapes[source][-1] for source in sources]
            parts = np.split(
                np.eye(sum(widths)), np.cumsum(widths)[:-1]
            )  # (channel below, channel)
            for i, (source, part) in enumerate(zip(sources, parts, strict=True)):
                shape = self.spikes.shapes[source]
                node = self._dense(layer.name, part, None, self.orders[source], shape)
                yield self._node(f"{name}_{i}", node, below[i])
        else:
            yield self._node(name, self._one_node(layer), below[0])

    def _one_node(self, layer: Layer) -> object:
        """Return the node of a layer of a kind that NIR has, or refuse."""
        order, shape = self.orders[layer.sources[0]], self.spikes.shapes[layer.sources[0]]
        first = channels_first(np.zeros(shape)).shape
        makers = {
            "dense": lambda: self._dense(layer.name, layer.weights, layer.bias, order, shape),
            "conv": lambda: self._conv(layer.name, layer.weights, layer.bias, layer, shape),
            "average_pool": lambda: self._pool(layer, shape),
            "flatten": lambda: self.nir.Flatten({"input": np.array(first)}, 0, -1),
            "scale": lambda: self._scale(layer, order, shape),
        }
        if layer.op not in makers:
            raise InputError(
                f"layer {layer.name!r} ({layer.op}) is of a kind that NIR has no node for: put a "
                "dense layer in its place."
            )
        return makers[layer.op]()

    def _once(self, name: str, layer: Layer, ends: list[str]) -> Iterator[str]:
        """Yield nodes to add up; NIR has one edge between two, so a repeated one gets a copy."""
        shape = channels_first(np.zeros(self.spikes.shapes[layer.name])).shape
        for i, end in enumerate(ends):
            if end in ends[:i]:
                end = self._node(f"{name}_again{i}", self.nir.Scale(np.ones(shape)), (end,))
            yield end

    def _dense(
        self, name: str, weights: np.ndarray, bias: np.ndarray | None, order: np.ndarray | None,
        shape: tuple,
    ) -> Any:  # fmt: skip
        """Return an `Affine`, or a convolution of one position on feature maps."""
        bias = np.zeros(weights.shape[1]) if bias is None else bias.astype(np.float64)
        if len(shape) > 1:
            kernel = weights.reshape((1,) * (len(shape) - 1) + weights.shape)
            return self._conv(name, kernel, bias, Layer(name), shape)
        weights = weights if order is None else weights[order]
        return self.nir.Affine(np.ascontiguousarray(weights.T, np.float64), bias)

    def _conv(
        self, name: str, weights: np.ndarray, bias: np.ndarray, layer: Layer, shape: tuple,
    ) -> Any:  # fmt: skip
        rank = len(shape) - 1
        strides = layer.strides or (1,) * rank
        if rank not in (1, 2):
            raise InputError(
                f"layer {name!r} has values with {rank} axes before the channels, and NIR's "
                "convolutions, which stand for all maps of such values, have 1 or 2: flatten them."
            )
        if len(set(weights.shape[:rank])) > 1:
            raise InputError(
                f"layer {name!r} has a window of {weights.shape[:rank]}, and the package nir "
                "infers shapes from its first side only: use a square window."
            )
        kind = self.nir.Conv1d if rank == 1 else self.nir.Conv2d
        padding = _padding(name, layer, weights.shape[:rank], strides, shape[:-1])
        first = np.moveaxis(weights, (-1, -2), (0, 1))
        return kind(
            input_shape=int(shape[0]) if rank == 1 else tuple(int(n) for n in shape[:-1]),
            weight=np.ascontiguousarray(first, np.float64),
            stride=int(strides[0]) if rank == 1 else tuple(strides),
            padding=padding[0] if rank == 1 else padding,
            dilation=1 if rank == 1 else (1, 1),
            groups=1,
            bias=bias.astype(np.float64),
        )

    def _pool(self, layer: Layer, shape: tuple) -> Any:
        rank = len(shape) - 1
        strides = layer.strides or (1,) * rank
        padding = _padding(layer.name, layer, layer.window, strides, shape[:-1])
        if any(padding):
            raise InputError(
                f"layer {layer.name!r} averages over windows that reach over the edge, which NIR "
                "counts as zeros: use padding='valid'."
            )
        if rank == 2:
            window, padding = np.array(layer.window), np.zeros(2, int)
            return self.nir.AvgPool2d(window, np.array(strides), padding)
        channels = shape[-1]
        equal = np.broadcast_to(np.eye(channels), (*layer.window, channels, channels))
        equal = equal / np.prod(layer.window)
        return self._conv(layer.name, equal, np.zeros(channels), layer, shape)

    def _scale(self, layer: Layer, order: np.ndarray | None, shape: tuple) -> Any:
        factor = layer.weights.astype(np.float64)
        if not layer.bias.any():
            return self.nir.Scale(channels_first(np.broadcast_to(factor, shape), order))
        if len(shape) > 1:
            return self._dense(layer.name, np.diag(factor), layer.bias, None, shape)
        factor, bias = channels_first(factor, order), channels_first(layer.bias, order)
        return self.nir.Affine(np.diag(factor), bias.astype(np.float64))

    def _neurons(self, layer: Layer, scale: float | np.ndarray) -> Any:
        shape, order = self.spikes.shapes[layer.name], self.orders[layer.name]
        hertz = np.broadcast_to(np.asarray(scale, np.float64), shape)
        threshold = channels_first(1 / (hertz * self.conversion.dt), order)
        metadata = {}
        if np.ndim(scale):  # in its own precision, in which the simulators multiply by it
            metadata["scale_hz"] = channels_first(np.broadcast_to(scale, shape), order)
        return self.nir.IF(
            r=np.ones(threshold.shape), v_threshold=threshold, v_reset=np.zeros(threshold.shape),
            metadata=metadata,
        )  # fmt: skip

    def _metadata(self) -> dict[str, Any]:
        """Return what NIR cannot say: the dynamics, in words, and the network's structure."""
        own = {layer.name: layer for layer in self.network.layers}
        records = [
            {
                "name": layer.name,
                "node": self.names[layer.name],
                "op": layer.op,
                "sources": layer.sources,
                "activation": layer.activation,
                "values": self.spikes.shapes[layer.name],
                "window": layer.window,
                "strides": layer.strides,
                "padding": layer.padding,
                "added": layer.name not in own,
                "dropout": own[layer.name].dropout if layer.name in own else 0.0,
                "family": own[layer.name].family if layer.name in own else "unit",
            }
            for layer in self.spikes.layers
        ]
        structure = {
            "layers": records,
            "outputs": self.network.outputs,
            "stored_masks": self.network.stored_masks,
            "scales_hz": [None if np.ndim(s) else float(s) for s in self.conversion.scales_hz],
            "initial_charge": float(self.conversion.initial_charge),
            "dt": float(self.conversion.dt),
        }
        heads = [
            f"{self.network[name].activation} of {self._output(number)}"
            for number, name in enumerate(self.network.outputs)
            if self.network[name].activation != "linear"
        ]
        return {
            "format": FORMAT,
            **DYNAMICS,
            **({"head": ", ".join(heads)} if heads else {}),
            "initial_charge": f"{float(self.conversion.initial_charge)!r} of v_threshold",
            "seconds_per_step": float(self.conversion.dt),
            "structure": json.dumps(structure),
        }


def _padding(
    name: str, layer: Layer, window: tuple, strides: tuple, shape: tuple
) -> tuple[int, ...]:
    """Zeros that NIR adds on both sides of each axis, or refuse what is not the same on both."""
    if layer.padding == "valid":
        return (0,) * len(window)
    short = same_zeros(window, strides, shape)
    if any(n % 2 for n in short):
        raise InputError(
            f"layer {name!r} pads by {short} zeros, more on one side than on the other, "
            "which NIR cannot: use padding='valid', or a window of odd size without strides."
        )
    return tuple(n // 2 for n in short)


def same_zeros(window: tuple, strides: tuple, shape: tuple) -> tuple[int, ...]:
    """Zeros that Keras' padding ``same`` adds along each axis, on both sides together."""
    return tuple(
        max(-(-n // s) * s - s + k - n, 0) for n, k, s in zip(shape, window, strides, strict=True)
    )
