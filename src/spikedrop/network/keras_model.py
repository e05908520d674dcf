"""Read a trained Keras model as a `Network`: every call of every layer becomes a node.

What cannot be converted faithfully to spiking neurons is refused here, with the layer's name and
what to do instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from spikedrop.errors import InputError
from spikedrop.network.convertible import instead_of_operation
from spikedrop.network.graph import Network
from spikedrop.network.keras_guard import Call, ends, same_values
from spikedrop.network.keras_import import import_keras
from spikedrop.network.keras_layers import READERS, check_layer, refuse, shadowed
from spikedrop.network.kinds import kind_of
from spikedrop.network.layers import Layer
from spikedrop.network.topology import readers

if TYPE_CHECKING:
    import keras
else:
    keras = import_keras()

#: What a model of one's own may bring along: training and storing, not prediction.
TRAINING = frozenset(
    """__init__ __module__ __qualname__ __doc__ __dict__ __weakref__ __annotations__ __repr__
    __static_attributes__ __firstlineno__ __annotate__ __annotate_func__ __type_params__
    train_step test_step compile fit evaluate compute_loss compute_metrics metrics loss get_config
    from_config get_compile_config compile_from_config save summary build quantize train_on_batch
    test_on_batch make_train_function make_test_function""".split()  # noqa: SIM905
)


def read(model: keras.Model) -> Network:
    """Read a built Keras 3 model, Sequential or functional.

    Dense, Conv1D and Conv2D, average pooling, Flatten, Add, Concatenate, BatchNormalization, ReLU,
    every kind of Dropout, and nested models; layers and models may be shared; several inputs and
    outputs; softmax or sigmoid at the end. Batch normalisation is folded into the weights beside
    it, with its moving statistics, as Keras uses them at inference. A layer that is called twice
    becomes two nodes with the same weights, and dropout masks of their own, as in Keras.

    Nothing goes by its name: layers and activations must be Keras's own classes and functions, and
    neither they nor a model may have a `call` of their own (a `train_step` may be). What was read
    is then compared once with what the model computes without dropout, layer by layer and as a
    whole, on random inputs (`spikedrop.network.keras_guard`).

    Parameters
    ----------
    model : keras.Model
        Built; with at least one dropout layer.

    Returns
    -------
    Network

    Raises
    ------
    InputError
        If a layer or activation cannot be converted faithfully or computes something else than
        Keras's, if the model has no dropout or is a subclass of `keras.Model`, or if a rate or
        weight is unusable. The message names the layer and says what to do.

    Examples
    --------
    >>> kl = keras.layers
    >>> drug = keras.Sequential([kl.Dense(8, activation="relu"), kl.Dropout(0.1)], name="drug")
    >>> a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    >>> both = kl.Concatenate(name="both")([drug(a), drug(b)])
    >>> network = read(keras.Model([a, b], kl.Dense(1, name="growth")(both)))
    >>> network.n_inputs, network.n_neurons, network.shapes["both"]
    (6, 16, (16,))
    """
    if not isinstance(model, keras.Model):
        kind = f"{type(model).__module__}.{type(model).__name__}"
        remedy = "pass a keras.Model."
        if kind.startswith("tf_keras."):
            remedy = (
                "save it with model.save('name.h5') and pass "
                "keras.saving.load_model('name.h5', compile=False)."
            )
        raise InputError(f"{kind} is not a Keras 3 model: {remedy}")
    rates = [check_layer(layer) for layer in _all_layers(model)]
    if not any(rates):
        raise InputError(
            f"model {model.name!r} has no Dropout layer, so every draw would be the same: add "
            "keras.layers.Dropout after the hidden layers and train again."
        )
    reader = _Reader()
    inputs = [reader.input(tensor) for tensor in model.inputs]
    read_out = reader.model(model, inputs)
    layers, outputs = _merged(reader.layers, read_out)
    layers, outputs = _normalisation_folded_forward(layers, outputs), tuple(outputs)
    single: dict[int, np.ndarray] = {}  # by identity, so that shared weights stay shared

    def float32(array: Any) -> Any:
        return array if array is None else single.setdefault(id(array), array.astype(np.float32))

    network = Network(
        tuple(replace(one, weights=float32(one.weights), bias=float32(one.bias)) for one in layers),
        outputs,
    )
    same_values(model, network, reader.layers, read_out, reader.calls, reader.shapes)
    return network


def _all_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Every layer once, nested models opened; refuse a model whose layers have no order."""
    if not model.built or not model.layers:
        raise InputError(
            f"model {model.name!r} is not built: give it an Input layer or call it once on data."
        )
    _own_model(model)
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _all_layers(layer)
        else:
            yield layer


def _own_model(model: Any) -> None:
    """Refuse a model unless it predicts as Keras's Sequential or functional models do."""
    keras_kind: Any = keras.Sequential if isinstance(model, keras.Sequential) else _functional()
    if not isinstance(model, keras_kind) or getattr(model, "inputs", None) is None:
        raise InputError(
            f"model {model.name!r} ({type(model).__name__}) is a subclass of keras.Model, whose "
            "layers have no order to read: build it with keras.Sequential or the functional API."
        )
    own = [kind for kind in type(model).__mro__ if kind not in keras_kind.__mro__]
    altered = sorted({name for kind in own for name in vars(kind) if hasattr(keras_kind, name)})
    altered = [name for name in altered if name not in TRAINING] + shadowed(model, TRAINING)
    if altered:
        raise InputError(
            f"model {model.name!r} ({type(model).__name__}) has a {altered[0]!r} of its own: what "
            "it computes cannot be read from its layers. Put the computation into layers, with "
            "keras.Sequential or the functional API; only training (train_step, compute_loss, "
            "...) may be your own."
        )


@cache
def _functional() -> type:
    """Return the class of Keras's functional models."""
    tensor = keras.Input((1,), name="functional")
    return type(keras.Model(tensor, tensor, name="functional"))


@dataclass
class _Reader:
    """Collects a node for every call, in float64, in an order in which they can be computed."""

    layers: list[Layer] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    arrays: dict[int, tuple] = field(default_factory=dict)  # of each Keras layer, read once
    names: Counter = field(default_factory=Counter)
    calls: list[Call] = field(default_factory=list)

    def add(self, node: Layer) -> str:
        """Add a node under a name of its own, and return the name."""
        self.names[node.name] += 1
        times = self.names[node.name]
        node = node if times == 1 else replace(node, name=f"{node.name} ({times})")
        self.layers.append(node)
        below = [self.shapes[source] for source in node.sources]
        self.shapes[node.name] = kind_of(node).shape(node, below)
        return node.name

    def input(self, tensor: keras.KerasTensor) -> str:
        """Add an input; one that the user did not name is called ``input``."""
        name = "input" if tensor.name.startswith("keras_tensor") else tensor.name
        shape = tuple(tensor.shape[1:])
        if None in shape:
            raise InputError(
                f"input {name!r} has shape {shape}: give every axis a length, because each unit "
                "becomes a neuron or a synapse."
            )
        if not keras.backend.is_float_dtype(tensor.dtype):
            raise InputError(
                f"input {name!r} takes {tensor.dtype}, and Keras would cut fractions off: build "
                "the model with keras.Input(..., dtype='float32') and copy the weights with "
                "set_weights."
            )
        return self.add(Layer(name, op="input", shape=shape))

    def model(self, model: keras.Model, sources: list[str]) -> list[str]:
        """Add all calls of a model's layers; return the names of its outputs."""
        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                sources = self.call(layer, sources)
            return sources
        # Cloning is the public way to see which call reads which: every call of a layer passes
        # through `call_function`, on new tensors, and the model itself stays as it is. A plain
        # model around the same graph is cloned, which brings no code of a subclass and no losses.
        graph = keras.Model(*ends(model), name=model.name)
        tensors = keras.tree.map_structure(
            lambda t: keras.Input(batch_shape=t.shape, dtype=t.dtype, name=t.name), model.input
        )
        seen = dict(zip(map(id, keras.tree.flatten(tensors)), sources, strict=True))
        alive = []  # an id is a name as long as its tensor lives

        def call(operation: keras.Operation, *args: object, **kwargs: Any) -> object:
            given = [t for t in keras.tree.flatten((args, kwargs)) if hasattr(t, "shape")]
            read = [seen[id(t)] for t in given if id(t) in seen]
            if not isinstance(operation, _Place):
                raise InputError(_outside_of_layers(model, operation, read))
            _check_given(operation.layer, len(given), len(read))
            made = operation(*args, **kwargs)
            alive.append(made)
            names = self.call(operation.layer, read)
            seen.update(zip(map(id, keras.tree.flatten(made)), names, strict=True))
            return made

        clone = keras.models.clone_model(
            graph, input_tensors=tensors, clone_function=_place, call_function=call
        )
        return [seen[id(tensor)] for tensor in clone.outputs]

    def call(self, layer: keras.layers.Layer, sources: list[str]) -> list[str]:
        """Add one call of a layer or a nested model."""
        if isinstance(layer, keras.Model):
            nodes, results = (), self.model(layer, sources)
        else:
            shape = self.shapes[sources[0]]
            nodes = tuple(READERS[type(layer)](layer, shape, self.weights))
            results = sources
            for node in nodes:
                results = [self.add(replace(node, sources=tuple(results)))]
        self.calls.append(Call(layer, nodes, tuple(sources), tuple(results)))
        return results

    def weights(self, layer: keras.layers.Layer, read: Callable[[], tuple]) -> tuple:
        """Return a layer's arrays, the same objects at every call."""
        return self.arrays.setdefault(id(layer), read())


class _Place(keras.Operation):
    """Stands for a layer where it is called on other tensors: only shapes are worked out."""

    def __init__(self, layer: keras.layers.Layer) -> None:
        super().__init__(name=layer.name)
        self.layer = layer

    def compute_output_spec(self, *args: object, **kwargs: Any) -> object:
        return self.layer.compute_output_spec(*args, **kwargs)


def _place(operation: keras.Operation) -> keras.Operation:
    return _Place(operation) if isinstance(operation, keras.layers.Layer) else operation


def _check_given(layer: keras.layers.Layer, given: int, read: int) -> None:
    """Refuse a call with arrays that are no layer's values, or with a mask beside its input."""
    if read < given:
        refuse(
            layer,
            "is called with an array beside the values of other layers: put it into the bias of "
            "the layer before, or give it to the model as an input.",
        )
    merges = isinstance(layer, (keras.Model, keras.layers.Add, keras.layers.Concatenate))
    if read > 1 and not merges:
        refuse(
            layer,
            f"is called with {read} tensors, such as a mask: call it with its input only, and "
            "give the model data of one length.",
        )


def _outside_of_layers(model: keras.Model, operation: keras.Operation, read: list[str]) -> str:
    """Say which operation on tensors is not a layer's, where it is, and what to do."""
    kind = type(operation).__name__
    return (
        f"model {model.name!r} computes with {kind!r} outside of any layer: arithmetic on tensors "
        f"cannot be converted (operation {operation.name!r}, which reads "
        f"{' and '.join(map(repr, read))}); {instead_of_operation(kind)}."
    )


def _merged(layers: list[Layer], outputs: list[str]) -> tuple[list[Layer], list[str]]:
    """Merge activations, dropout and normalisation into the node that they alone read."""
    read = readers(layers, outputs)
    kept: dict[str, Layer] = {}
    became: dict[str, str] = {}
    folded: dict[tuple[int, int], tuple] = {}
    for layer in layers:
        layer = replace(layer, sources=tuple(became[source] for source in layer.sources))
        below = kept[layer.sources[0]] if len(layer.sources) == 1 else None
        new = None
        if below is not None:
            alone = read[below.name] == 1
            new = _into(below, layer, folded) if alone else None
            if layer.op == "add" and layer.activation == "linear" and not layer.dropout:
                new = below  # nothing is done at all
        if below is None or new is None:
            kept[layer.name] = layer
            became[layer.name] = layer.name
        else:
            kept[below.name] = new
            became[layer.name] = below.name
            read[below.name] += read[layer.name] - 1
    return list(kept.values()), [became[name] for name in outputs]


def _into(below: Layer, layer: Layer, folded: dict[tuple[int, int], tuple]) -> Layer | None:
    """Return the node below with what `layer` does merged into it, or None if it cannot be."""
    plain = below.activation == "linear" and not below.dropout
    if layer.op == "scale" and plain and kind_of(below).has_weights:
        key = (id(below.weights), id(layer.weights))
        if key not in folded:
            factor, offset = layer.weights, layer.bias
            weights, bias = below.weights * factor, below.bias * factor + offset
            folded[key] = (weights, bias, below.weights)  # the last keeps the identity taken
        weights, bias, _ = folded[key]
        return replace(below, weights=weights, bias=bias, activation=layer.activation)
    if layer.op != "add":
        return None
    if layer.activation != "linear":
        return replace(below, activation=layer.activation) if plain and below.sources else None
    if layer.dropout and not below.dropout and below.activation in ("linear", "relu"):
        return replace(below, dropout=layer.dropout, family=layer.family)
    return None


def _normalisation_folded_forward(layers: list[Layer], outputs: list[str]) -> list[Layer]:
    """Fold a normalisation after neurons into the dense layer that alone reads it."""
    known = {layer.name: layer for layer in layers}
    read = readers(layers, outputs)
    for layer in layers:
        scale = known[layer.sources[0]] if layer.op == "dense" else None
        if scale is None or scale.op != "scale" or scale.dropout or read[scale.name] > 1:
            continue
        if scale.activation != "linear":
            continue
        known[layer.name] = replace(
            layer,
            weights=scale.weights[:, None] * layer.weights,
            bias=layer.bias + scale.bias @ layer.weights,
            sources=scale.sources,
        )
        del known[scale.name]
    return list(known.values())
