"""What each Keras layer becomes, and what is refused.

A layer is read only if it is of Keras's own class, an activation only if it is Keras's own
function, and neither may have been altered: nothing goes by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from spikedrop.errors import InputError
from spikedrop.network.convertible import ACTIVATIONS, LAYERS, why_not, why_not_activation
from spikedrop.network.keras_import import import_keras, import_tensorflow
from spikedrop.network.layers import Family, Layer

if TYPE_CHECKING:
    import keras
    import keras.layers as kl
else:
    keras = import_keras()
    kl = keras.layers
tf_nn = import_tensorflow().nn
Arrays = tuple[np.ndarray, np.ndarray]
ReadOnce = Callable[[keras.layers.Layer, Callable[[], Arrays]], Arrays]


ALWAYS_SET = frozenset(("build", "quantize"))  # Keras wraps these two in every layer
#: Functions that are one and the same.
SAME = {
    "relu": (keras.activations.relu, keras.ops.relu, tf_nn.relu),
    "linear": (keras.activations.linear,),
    "softmax": (keras.activations.softmax, keras.ops.softmax, tf_nn.softmax),
    "sigmoid": (keras.activations.sigmoid, keras.ops.sigmoid, tf_nn.sigmoid),
}


def refuse(layer: keras.layers.Layer, why: str) -> NoReturn:
    """Raise `InputError` with the layer's name and class."""
    raise InputError(f"layer {layer.name!r} ({type(layer).__name__}) {why}")


def check_layer(layer: keras.layers.Layer) -> float:
    """Refuse what cannot be converted; return the dropout rate."""
    _own_layer(layer)
    if hasattr(layer, "activation"):
        activation_name(layer)
    if getattr(layer, "quantization_mode", None) is not None:
        refuse(
            layer,
            f"is quantized ({layer.quantization_mode}): its weights are codes, not numbers. "
            "Convert the model before quantizing it.",
        )
    if getattr(layer, "data_format", "channels_last") == "channels_first":
        refuse(layer, "has data_format='channels_first': use 'channels_last'.")
    if type(layer) not in DROPOUT:
        return 0.0
    if getattr(layer, "noise_shape", None) is not None and DROPOUT[type(layer)] != "channel":
        refuse(
            layer,
            f"has noise_shape={layer.noise_shape}: only one mask value per unit can be converted; "
            "remove noise_shape, or use SpatialDropout for whole channels.",
        )
    if not 0 <= layer.rate < 1:
        refuse(
            layer,
            f"has rate {layer.rate}: a rate must be at least 0 and below 1 (a rate of 1 silences "
            "every unit). Set a smaller rate and train again.",
        )
    return float(layer.rate)


def _own_layer(layer: keras.layers.Layer) -> None:
    """Refuse a layer unless it is of Keras's own class, is read here, and is not altered."""
    kind = type(layer)
    if kind not in READERS and kind is not keras.layers.InputLayer:
        refuse(layer, _why_not_class(kind))
    altered = shadowed(layer, ALWAYS_SET)
    if altered:
        refuse(
            layer,
            f"has a {altered[0]!r} of its own, put on the layer in place of its class's: what it "
            f"computes cannot be read. Use keras.layers.{kind.__name__} as it is.",
        )


def shadowed(thing: object, allowed: Collection[str]) -> list[str]:
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


def activation_name(layer: keras.layers.Layer) -> Any:
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


def _dense(layer: kl.Dense, shape: tuple, read_once: ReadOnce) -> list[Layer]:
    del shape
    arrays = read_once(layer, lambda: _kernel_and_bias(layer))
    return [Layer(layer.name, *arrays, activation=activation_name(layer))]


def _conv(layer: kl.Conv2D, shape: tuple, read_once: ReadOnce) -> list[Layer]:
    del shape
    if set(layer.dilation_rate) != {1} or layer.groups != 1 or layer.padding == "causal":
        refuse(layer, "has dilation, groups or causal padding: use a plain convolution.")
    return [
        Layer(
            layer.name,
            *read_once(layer, lambda: _kernel_and_bias(layer)),
            op="conv",
            activation=activation_name(layer),
            strides=tuple(layer.strides),
            padding=layer.padding,
        )
    ]


def _kernel_and_bias(layer: kl.Dense) -> tuple[np.ndarray, np.ndarray]:
    weights = np.asarray(layer.kernel, np.float64)
    bias = np.zeros(weights.shape[-1]) if layer.bias is None else np.asarray(layer.bias)
    return weights, bias.astype(np.float64)


def _pool(layer: kl.AveragePooling2D, shape: tuple, read_once: ReadOnce) -> list[Layer]:
    del shape, read_once
    return [
        Layer(
            layer.name,
            op="average_pool",
            window=tuple(layer.pool_size),
            strides=tuple(layer.strides),
            padding=layer.padding,
        )
    ]


def _global_pool(
    layer: kl.GlobalAveragePooling2D, shape: tuple, read_once: ReadOnce
) -> list[Layer]:
    del read_once
    pool = Layer(layer.name, op="average_pool", window=shape[:-1], strides=shape[:-1])
    return [pool] if layer.keepdims else [pool, Layer(f"{layer.name}/flat", op="flatten")]


def _flatten(layer: kl.Flatten | kl.Reshape, shape: tuple, read_once: ReadOnce) -> list[Layer]:
    del read_once
    target = getattr(layer, "target_shape", (-1,))
    if tuple(target) not in ((-1,), (int(np.prod(shape)),)):
        refuse(layer, f"makes values of shape {tuple(target)}: only flattening can be converted.")
    return [Layer(layer.name, op="flatten" if len(shape) > 1 else "add")]


def _concatenate(layer: kl.Concatenate, shape: tuple, read_once: ReadOnce) -> list[Layer]:
    del read_once
    if layer.axis not in (-1, len(shape)):
        refuse(layer, f"joins along axis {layer.axis}: join along the last, axis=-1.")
    return [Layer(layer.name, op="concatenate")]


def _batch_normalization(
    layer: kl.BatchNormalization, shape: tuple, read_once: ReadOnce
) -> list[Layer]:
    """Read the factor and offset that it applies at inference: ``y = factor * x + offset``."""
    if layer.axis not in (-1, len(shape)):
        refuse(layer, f"normalises axis {layer.axis}: normalise the last, axis=-1.")

    def read() -> tuple[np.ndarray, np.ndarray]:
        mean = np.asarray(layer.moving_mean, np.float64)
        factor = 1 / np.sqrt(np.asarray(layer.moving_variance, np.float64) + layer.epsilon)
        if layer.gamma is not None:
            factor = factor * np.asarray(layer.gamma, np.float64)
        offset = -mean * factor
        if layer.beta is not None:
            offset = offset + np.asarray(layer.beta, np.float64)
        return factor, offset

    return [Layer(layer.name, *read_once(layer, read), op="scale")]


def _relu(layer: kl.ReLU, shape: tuple, read_once: ReadOnce) -> list[Layer]:
    del shape, read_once
    if layer.max_value is not None or layer.negative_slope != 0 or layer.threshold != 0:
        refuse(
            layer,
            "is not a plain rectifier: use activation 'relu' without max_value, negative_slope or "
            "threshold.",
        )
    return [Layer(layer.name, op="add", activation="relu")]


def _softmax(layer: kl.Softmax, shape: tuple, read_once: ReadOnce) -> list[Layer]:
    del read_once
    if layer.axis not in (-1, len(shape)):
        refuse(layer, f"normalises axis {layer.axis}: use the last, axis=-1.")
    return [Layer(layer.name, op="add", activation="softmax")]


def _dropout(layer: kl.Dropout, shape: tuple, read_once: ReadOnce) -> list[Layer]:
    del shape, read_once
    family = DROPOUT[type(layer)]
    return [Layer(layer.name, op="add", dropout=float(layer.rate), family=family)]


#: What each dropout layer silences.
DROPOUT: dict[type, Family] = {
    kl.Dropout: "unit",
    kl.SpatialDropout1D: "channel",
    kl.SpatialDropout2D: "channel",
    kl.GaussianDropout: "gaussian",
}
#: What each Keras layer becomes: nodes one behind the other, the first of which reads the sources.
READERS: dict[type, Callable[..., list[Layer]]] = {
    kl.Dense: _dense,
    kl.Conv1D: _conv,
    kl.Conv2D: _conv,
    kl.AveragePooling1D: _pool,
    kl.AveragePooling2D: _pool,
    kl.GlobalAveragePooling1D: _global_pool,
    kl.GlobalAveragePooling2D: _global_pool,
    kl.Flatten: _flatten,
    kl.Reshape: _flatten,
    kl.Add: lambda layer, *_: [Layer(layer.name, op="add")],
    kl.Concatenate: _concatenate,
    kl.BatchNormalization: _batch_normalization,
    kl.ReLU: _relu,
    kl.Activation: lambda layer, *_: [
        Layer(layer.name, op="add", activation=activation_name(layer))
    ],
    kl.Softmax: _softmax,
    **dict.fromkeys(DROPOUT, _dropout),
}
