"""Ask whether a Keras model computes what was read of it.

Layers, activations and models are read only if they are Keras's own
(`spikedrop.network.keras_layers`, `spikedrop.network.keras_model`). Here every layer, and the model
as a whole, is called once on random inputs and compared with what was read.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, softmax

from spikedrop.errors import InputError
from spikedrop.network.graph import Network
from spikedrop.network.keras_import import import_keras
from spikedrop.network.keras_layers import DROPOUT, refuse
from spikedrop.network.kinds import kind_of
from spikedrop.network.layers import Layer, linear

if TYPE_CHECKING:
    import keras
else:
    keras = import_keras()

HEADS = {"softmax": lambda z: softmax(z, axis=-1), "sigmoid": expit}

ROWS = 12
WORK = 100_000_000  # multiplications and values for one comparison, about
SCALES = (1e1, 1e3, 1e-1, 1e5, 1e-3, 1e8)  # of a layer's inputs; the first if rows are few
MODEL_SCALES = (1.0, 1e3, 1e-2, 1e6)
SINGLE = 2.0**-23
ROUNDING = {"float16": 2.0**-10, "bfloat16": 2.0**-7}  # others: as float32
LARGEST, SMALLEST = {"float16": 1e4}, {"float16": 6e-5}


def ends(model: keras.Model) -> tuple[object, object]:
    """Return a model's own input and output tensors, in the structure that it takes and gives."""
    if isinstance(model, keras.Sequential):
        return model.inputs[0], model.outputs[0]
    return model.input, model.output


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
    added = np.prod(call.nodes[0].window if weights is None else weights.shape[:-1])
    allowed = 16 * rounding * (1 + np.sqrt(added) / 8) * size + SMALLEST.get(kind, 1e-35)
    expected, allowed = _after(call.nodes[-1].activation, values[0], allowed, rounding)
    family = DROPOUT.get(type(layer))
    several = isinstance(layer, (keras.layers.Add, keras.layers.Concatenate))
    got = _called(layer, x if several else x[0])[0]
    if (example := _difference(got, expected, allowed, size < largest)) is not None:
        refuse(
            layer,
            f"computes something else than Keras's {type(layer).__name__} with these weights "
            f"({example}): it was altered. Put an unaltered layer in its place, and copy the "
            "weights with set_weights.",
        )
    if family in ("unit", "channel"):
        _check_drops(layer, x[0], rounding)


def _check_drops(layer: keras.layers.Layer, x: np.ndarray, rounding: float) -> None:
    """Refuse dropout that, when it is on, gives anything but 0 and x / (1 - rate)."""
    got, kept = _called(layer, x, training=True)[0], x / (1 - layer.rate)
    allowed = 16 * rounding * np.abs(kept) + SMALLEST.get(layer.compute_dtype, 1e-35)
    if ((got != 0) & ~(np.abs(got - kept) <= allowed)).any():
        refuse(
            layer,
            f"does not drop as Keras's {type(layer).__name__} does: it was altered. Put an "
            "unaltered layer in its place.",
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
    # Each value is kept several times in memory.
    return 50 * values + kind_of(node).multiplications(node, shapes)


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
        lengths = np.sqrt(np.einsum("ij,ij->j", node.weights, node.weights))
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


def _called(layer: keras.layers.Layer, x: object, training: bool = False) -> list[np.ndarray]:
    """Call a layer or model, and leave no trace in it.

    On the CPU, because an accelerator may round the factors of a product to ten bits.
    """
    with keras.device("cpu:0"), keras.StatelessScope(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's advice on the model, which its user had already
        x = keras.tree.map_structure(
            lambda one: keras.ops.convert_to_tensor(one.astype(np.float32)), x
        )
        made = keras.tree.flatten(layer(x, training=training))
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
    inputs = [node for node in nodes if node.is_input]
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

    def differs(
        part: keras.Model, sources: Sequence[str], results: Sequence[str], read: Any
    ) -> Any:
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
    h: np.ndarray
    for layer in layers:
        if layer.is_input:
            h = given[layer.name].astype(dtype)
        else:
            if layer.weights is not None:
                layer = replace(
                    layer,
                    weights=layer.weights.astype(dtype, copy=False),
                    bias=layer.bias.astype(dtype, copy=False),
                )
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
