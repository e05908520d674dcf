"""Ask whether a Keras model computes what was read of it.

First by identity: a layer is read only if it is of Keras's own class, an activation only if it is
Keras's own function, and neither may have been altered. Then by value: every layer, and the model
as a whole, is called once on random inputs and compared with what was read.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NoReturn

import numpy as np
from scipy.special import expit, softmax

from spikedrop.convertible import ACTIVATIONS, LAYERS, why_not, why_not_activation
from spikedrop.errors import InputError
from spikedrop.layers import Layer, linear
from spikedrop.network import Network
from spikedrop.quiet import import_keras, import_tensorflow

keras = import_keras()
tf_nn = import_tensorflow().nn

#: What a model of one's own may bring along: training and storing, not prediction.
TRAINING = frozenset(
    """__init__ __module__ __qualname__ __doc__ __dict__ __weakref__ __annotations__ __repr__
    train_step test_step compile fit evaluate compute_loss compute_metrics metrics loss get_config
    from_config get_compile_config compile_from_config save summary build quantize train_on_batch
    test_on_batch make_train_function make_test_function""".split()  # noqa: SIM905
)
ALWAYS_SET = frozenset(("build", "quantize"))  # Keras wraps these two in every layer
SAME = {
    "relu": (keras.activations.relu, keras.ops.relu, tf_nn.relu),
    "linear": (keras.activations.linear,),
    "softmax": (keras.activations.softmax, keras.ops.softmax, tf_nn.softmax),
    "sigmoid": (keras.activations.sigmoid, keras.ops.sigmoid, tf_nn.sigmoid),
}
HEADS = {"softmax": lambda z: softmax(z, axis=-1), "sigmoid": expit}

ROWS = 12
WORK = 100_000_000  # multiplications and values for one comparison, about
SCALES = (1e1, 1e3, 1e-1, 1e5, 1e-3, 1e8)  # of a layer's inputs; the first if rows are few
MODEL_SCALES = (1.0, 1e3, 1e-2, 1e6)
SINGLE = 2.0**-23
ROUNDING = {"float16": 2.0**-10, "bfloat16": 2.0**-7}  # others: as float32
LARGEST, SMALLEST = {"float16": 1e4}, {"float16": 6e-5}


def refuse(layer: keras.layers.Layer, why: str) -> NoReturn:
    """Raise `InputError` with the layer's name and class."""
    raise InputError(f"layer {layer.name!r} ({type(layer).__name__}) {why}")


def own_layer(layer: keras.layers.Layer, known: Collection[type]) -> None:
    """Refuse a layer unless its class is one of `known`, Keras's own, and nothing is altered."""
    kind = type(layer)
    if kind not in known and kind is not keras.layers.InputLayer:
        refuse(layer, _why_not_class(kind))
    shadowed = _shadowed(layer, ALWAYS_SET)
    if shadowed:
        refuse(
            layer,
            f"has a {shadowed[0]!r} of its own, put on the layer in place of its class's: what it "
            f"computes cannot be read. Use keras.layers.{kind.__name__} as it is.",
        )


def own_model(model: keras.Model) -> None:
    """Refuse a model unless it predicts as Keras's Sequential or functional models do."""
    keras_kind = keras.Sequential if isinstance(model, keras.Sequential) else functional()
    if not isinstance(model, keras_kind) or getattr(model, "inputs", None) is None:
        raise InputError(
            f"model {model.name!r} ({type(model).__name__}) is a subclass of keras.Model, whose "
            "layers have no order to read: build it with keras.Sequential or the functional API."
        )
    own = [kind for kind in type(model).__mro__ if kind not in keras_kind.__mro__]
    altered = sorted({name for kind in own for name in vars(kind) if hasattr(keras_kind, name)})
    altered = [name for name in altered if name not in TRAINING] + _shadowed(model, TRAINING)
    if altered:
        raise InputError(
            f"model {model.name!r} ({type(model).__name__}) has a {altered[0]!r} of its own: what "
            "it computes cannot be read from its layers. Put the computation into layers, with "
            "keras.Sequential or the functional API; only training (train_step, compute_loss, "
            "...) may be your own."
        )


@cache
def functional() -> type:
    """Return the class of Keras's functional models."""
    tensor = keras.Input((1,), name="functional")
    return type(keras.Model(tensor, tensor, name="functional"))


def ends(model: keras.Model) -> tuple[object, object]:
    """Return a model's own input and output tensors, in the structure that it takes and gives."""
    if isinstance(model, keras.Sequential):
        return model.inputs[0], model.outputs[0]
    return model.input, model.output


def _shadowed(thing: object, allowed: Collection[str]) -> list[str]:
    """Methods that the object itself replaces."""
    kind = type(thing)
    return sorted(
        name for name in vars(thing) if name not in allowed and callable(getattr(kind, name, None))
    )


def _why_not_class(kind: type) -> str:
    """Say what to do in place of a layer that cannot be converted."""
    public = any(kind is known for known in vars(keras.layers).values())
    if public and (fault := why_not(kind.__name__)):
        return fault
    name = f"{kind.__module__}.{kind.__qualname__}"
    if issubclass(kind, keras.layers.Dropout):
        return (
            f"is a class of your own, {name}: use keras.layers.Dropout itself, because dropout is "
            "always on here, at every draw."
        )
    for base in kind.__mro__[1:]:
        if base.__name__ in LAYERS and base is getattr(keras.layers, base.__name__):
            return (
                f"is a class of your own, {name}, derived from keras.layers.{base.__name__}, which "
                f"may compute something else: use keras.layers.{base.__name__} itself, and copy "
                "the weights with set_weights."
            )
    return (
        f"is not one of Keras's own layers but {name}, whose computation cannot be read: build the "
        "model from layers of keras.layers and copy the weights with set_weights."
    )


def activation_name(layer: keras.layers.Layer) -> str:
    """Name of a layer's activation, which must be Keras's own function."""
    function = layer.activation
    for name in ACTIVATIONS:
        if any(function is known for known in SAME[name]):
            return name
    name = getattr(function, "__name__", type(function).__name__)
    if function is getattr(keras.activations, name, None):
        refuse(layer, f"has activation {name!r}, which {why_not_activation(name)}")
    if isinstance(function, keras.layers.Layer):
        refuse(
            layer,
            f"has a layer as its activation, {name}: put that layer behind it, or name the "
            "activation, such as activation='relu'.",
        )
    refuse(
        layer,
        f"has a function of your own as its activation, {name!r} of {_module(function)!r}, which "
        "is not Keras's: what it computes cannot be read. Pass the name of one of Keras's, such as "
        "activation='relu', and train again if it computes something else.",
    )


def _module(function: object) -> str:
    return getattr(function, "__module__", None) or type(function).__module__


# ------------------------------------------------------------------------------- by value


@dataclass(frozen=True)
class Call:
    """One call of a Keras layer or nested model: what it read and what it was read as."""

    layer: keras.layers.Layer
    nodes: tuple[Layer, ...]
    sources: tuple[str, ...]
    results: tuple[str, ...]


def same_values(
    model: keras.Model,
    network: Network,
    nodes: Sequence[Layer],
    outputs: Sequence[str],
    calls: Sequence[Call],
    shapes: dict[str, tuple[int, ...]],
) -> None:
    """Refuse a model that computes something else than was read.

    Every layer is called on random inputs of sizes from 0.001 to 10^8 of either sign, and must
    agree with its nodes to the rounding of its own number format; then the whole model, without
    dropout, must agree with the finished network to the rounding that the network itself shows.
    Nothing in the model is changed.

    Parameters
    ----------
    model : keras.Model
    network : Network
        What was made of it, with everything merged.
    nodes : sequence of Layer
        What was read, before anything was merged; float64.
    outputs : sequence of str
        The nodes that are read out.
    calls : sequence of Call
    shapes : dict
        Shape of one observation at every node.

    Raises
    ------
    InputError
        With the name of the first layer, nested model or model that deviates.
    """
    seen = set()
    for call in calls:
        key = (id(call.layer), *(shapes[source] for source in call.sources))
        if key not in seen and not isinstance(call.layer, keras.Model):
            seen.add(key)
            _same_layer(call, [shapes[source] for source in call.sources])
    _same_model(model, network, nodes, outputs, calls, shapes)


def _same_layer(call: Call, shapes: Sequence[tuple[int, ...]]) -> None:
    """Compare one layer with its nodes on random inputs."""
    layer, kind = call.layer, call.layer.compute_dtype
    rounding, largest = ROUNDING.get(kind, SINGLE), LARGEST.get(kind, 1e30)
    x, _ = _random(shapes, _work(call.nodes[0], shapes), SCALES, largest)
    values, terms = x, [np.abs(one) for one in x]
    for node in call.nodes:
        values, terms = [linear(node, values)], [_terms(node, terms)]
    size, weights = terms[0], call.nodes[0].weights
    if isinstance(layer, keras.layers.BatchNormalization):  # mean and offset may cancel
        size = size + np.abs(np.asarray(layer.moving_mean, np.float64) * weights)
    added = 1 if weights is None else int(np.prod(weights.shape[:-1]))
    allowed = 16 * rounding * (1 + np.sqrt(added) / 8) * size + SMALLEST.get(kind, 1e-35)
    expected, allowed = _after(call.nodes[-1].activation, values[0], allowed, rounding)
    several = isinstance(layer, (keras.layers.Add, keras.layers.Concatenate))
    got = _called(layer, x if several else x[0])[0]
    if (example := _difference(got, expected, allowed, size < largest)) is not None:
        refuse(
            layer,
            f"computes something else than Keras's {type(layer).__name__} with these weights "
            f"({example}): it was altered. Put an unaltered layer in its place, and copy the "
            "weights with set_weights.",
        )


def _difference(
    got: np.ndarray, expected: np.ndarray, allowed: np.ndarray, usable: np.ndarray
) -> str | None:
    """Return the first value that is off, in words."""
    if got.shape != expected.shape:
        return f"shape {got.shape[1:]} in place of {expected.shape[1:]}"
    wrong = ~(np.abs(got - expected) <= allowed) & usable
    if not wrong.any():
        return None
    first = np.unravel_index(np.argmax(wrong), wrong.shape)
    return f"{got[first]:.6g} in place of {expected[first]:.6g} for random inputs"


def _work(node: Layer, shapes: Sequence[tuple[int, ...]]) -> int:
    """Multiplications for one row, about, and values."""
    values = sum(int(np.prod(shape)) for shape in shapes)
    if node.op not in ("dense", "conv"):
        return 50 * values  # each is kept several times in memory
    return 50 * values + node.weights.size * int(np.prod(shapes[0][:-1]))


def _random(
    shapes: Sequence[tuple[int, ...]],
    work: int,
    scales: Sequence[float],
    largest: float,
    rows: int | None = None,
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return random inputs, some rows at each scale, and the scale of each row."""
    rng = np.random.default_rng(0)
    rows = rows or int(np.clip(WORK // max(work, 1), 1, ROWS))
    scale = np.resize([s for s in scales if s < largest], rows)
    made = [rng.normal(size=(rows, *shape)) for shape in shapes]
    made = [one * scale.reshape(-1, *[1] * (one.ndim - 1)) for one in made]
    return [one.astype(np.float32).astype(np.float64) for one in made], scale


def _terms(node: Layer, terms: Sequence[np.ndarray]) -> np.ndarray:
    """Bound the sum of the absolute values of what a node adds up (Cauchy and Schwarz)."""
    if node.op == "dense":
        lengths = np.linalg.norm(node.weights, axis=0)
        return np.linalg.norm(terms[0], axis=-1, keepdims=True) * lengths + np.abs(node.bias)
    if node.op == "conv":
        axes = tuple(range(node.weights.ndim - 1))
        ones = replace(node, weights=np.ones((*node.weights.shape[:-1], 1)), bias=np.zeros(1))
        lengths = np.sqrt(linear(ones, [terms[0] ** 2]).clip(0))
        return lengths * np.sqrt((node.weights**2).sum(axes)) + np.abs(node.bias)
    if node.op == "scale":
        return terms[0] * np.abs(node.weights) + np.abs(node.bias)
    return linear(node, terms)


def _after(
    activation: str, z: np.ndarray, allowed: np.ndarray, rounding: float
) -> tuple[np.ndarray, np.ndarray]:
    """Apply an activation to values and to how far they may be off."""
    if activation in HEADS:
        p = HEADS[activation](z)
        far = allowed.max(axis=-1, keepdims=True) if activation == "softmax" else allowed
        return p, np.minimum(1, p * np.expm1(np.minimum(2 * far, 50))) + 16 * rounding
    return np.maximum(z, 0) if activation == "relu" else z, allowed


def _called(layer: keras.layers.Layer, x: object) -> list[np.ndarray]:
    """Call a layer or model without dropout, and leave no trace in it.

    On the CPU, because an accelerator may round the factors of a product to ten bits.
    """
    with keras.device("cpu:0"), keras.StatelessScope(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's advice on the model, which its user had already
        x = keras.tree.map_structure(
            lambda one: keras.ops.convert_to_tensor(one.astype(np.float32)), x
        )
        made = keras.tree.flatten(layer(x, training=False))
        return [np.asarray(keras.ops.convert_to_numpy(one), np.float64) for one in made]


def _same_model(
    model: keras.Model,
    network: Network,
    nodes: Sequence[Layer],
    outputs: Sequence[str],
    calls: Sequence[Call],
    shapes: dict[str, tuple[int, ...]],
) -> None:
    """Compare a whole model with what was made of it; name the part that deviates."""
    kinds = [call.layer.compute_dtype for call in calls if not isinstance(call.layer, keras.Model)]
    rounding = max(ROUNDING.get(kind, SINGLE) for kind in kinds)
    largest = min(LARGEST.get(kind, 1e30) for kind in kinds)
    known = {node.name: node for node in nodes}
    inputs = [node for node in nodes if node.op == "input"]
    work = sum(
        _work(node, [shapes[name] for name in node.sources or [node.name]]) for node in nodes
    )
    x, scale = _random(
        [node.shape for node in inputs], work, MODEL_SCALES, largest, model.inputs[0].shape[0]
    )
    given = {node.name: one for node, one in zip(inputs, x, strict=True)}
    exact = _run(nodes, given, np.float64)
    rounded = _run(nodes, given, np.float32)
    usable = np.max([_largest(value) for value in exact.values()], axis=0) < largest

    def differs(part: keras.Model, sources: Sequence[str], results: Sequence[str], read: Sequence):
        got = _called(
            part, keras.tree.pack_sequence_as(ends(part)[0], [exact[name] for name in sources])
        )
        for made, name, z in zip(got, results, read, strict=True):
            allowed = _rounded_by(exact[name], rounded[name], scale, rounding)
            expected, allowed = _after(known[name].activation, z, allowed, rounding)
            rows = usable.reshape(-1, *[1] * (z.ndim - 1))
            if (example := _difference(made, expected, allowed, rows)) is not None:
                return example
        return None

    made = _run(network.layers, given, np.float32)
    if differs(model, list(given), outputs, [made[name] for name in network.outputs]) is None:
        return
    parts = [(c.layer, c.sources, c.results) for c in calls if isinstance(c.layer, keras.Model)]
    for part, sources, results in [*parts, (model, list(given), outputs)]:
        example = differs(part, sources, results, [exact[name] for name in results])
        if example is not None:
            raise InputError(
                f"model {part.name!r} ({type(part).__name__}) computes something else than its "
                f"layers one after the other ({example}), though every layer agrees by itself: "
                "the model was altered. Build it anew with keras.Sequential or the functional API, "
                "and copy the weights with set_weights."
            )
    raise InputError(
        f"model {model.name!r} could not be read exactly: merging its layers changes what it "
        "computes by more than rounding. Scale the data and the weights so that batch "
        "normalisation has statistics near 0 and 1."
    )


def _run(
    layers: Sequence[Layer], given: dict[str, np.ndarray], dtype: type
) -> dict[str, np.ndarray]:
    """Values at every layer without dropout; softmax and sigmoid, at the end, are left out."""
    values: dict[str, np.ndarray] = {}
    for layer in layers:
        if layer.op == "input":
            h = given[layer.name].astype(dtype)
        else:
            if layer.weights is not None:
                weights, bias = layer.weights.astype(dtype), layer.bias.astype(dtype)
                layer = replace(layer, weights=weights, bias=bias)
            h = linear(layer, [values[source] for source in layer.sources])
        values[layer.name] = np.maximum(h, 0) if layer.spiking else h
    return values


def _largest(value: np.ndarray) -> np.ndarray:
    """Return the largest absolute value of each row."""
    return np.abs(value).reshape(len(value), -1).max(axis=1)


def _rounded_by(
    exact: np.ndarray, rounded: np.ndarray, scale: np.ndarray, rounding: float
) -> np.ndarray:
    """How far float arithmetic may be off: what single precision is, and a safe factor."""
    allowed = np.empty_like(exact)
    for s in np.unique(scale):
        rows = scale == s
        noise = np.abs(rounded[rows] - exact[rows]).max(axis=0)
        size = np.abs(exact[rows]).max(axis=0)
        allowed[rows] = rounding * (64 * noise / SINGLE + 128 * size + 16 * size.max())
    return allowed
