"""What each Keras layer becomes, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spikedrop.convertible import why_not
from spikedrop.errors import InputError
from spikedrop.layers import Layer
from spikedrop.quiet import import_tensorflow

import_tensorflow()  # before Keras, which would import it with all its start-up lines
import keras  # noqa: E402

kl = keras.layers
ReadOnce = Callable[[keras.layers.Layer, Callable[[], tuple]], tuple]


def refuse(layer: keras.layers.Layer, why: str) -> None:
    """Raise `InputError` with the layer's name and class."""
    raise InputError(f"layer {layer.name!r} ({type(layer).__name__}) {why}")


def check_layer(layer: keras.layers.Layer) -> float:
    """Refuse what cannot be converted; return the dropout rate."""
    kind = type(layer).__name__
    if (fault := why_not(kind)) is not None:
        refuse(layer, fault)
    if getattr(layer, "quantization_mode", None) is not None:
        refuse(
            layer,
            f"is quantized ({layer.quantization_mode}): its weights are codes, not numbers. "
            "Convert the model before quantizing it.",
        )
    if getattr(layer, "data_format", "channels_last") == "channels_first":
        refuse(layer, "has data_format='channels_first': use 'channels_last'.")
    if "Dropout" not in kind:
        return 0.0
    if getattr(layer, "noise_shape", None) is not None and not kind.startswith("Spatial"):
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


def _activation(layer: keras.layers.Layer) -> str:
    """Name of a layer's activation; ``relu`` only if it is one."""
    function = layer.activation
    name = getattr(function, "__name__", type(function).__name__)
    if name == "relu":  # a function of the user's may carry the name
        probe = np.array([-2.0, -0.5, 0.0, 0.5, 2.0, 50.0], dtype=np.float32)
        if not np.array_equal(np.asarray(function(probe)), np.maximum(probe, 0)):
            name = "relu, but not the rectifier max(0, x)"
    if name not in ("relu", "linear", "softmax", "sigmoid"):
        refuse(
            layer,
            f"has activation {name!r}: use 'relu' in hidden layers (a firing rate is never "
            "negative), and no activation, softmax or sigmoid at the end.",
        )
    return name


def _dense(layer: kl.Dense, shape: tuple, read_once: ReadOnce) -> list[Layer]:
    del shape
    arrays = read_once(layer, lambda: _kernel_and_bias(layer))
    return [Layer(layer.name, *arrays, activation=_activation(layer))]


def _conv(layer: kl.Conv2D, shape: tuple, read_once: ReadOnce) -> list[Layer]:
    del shape
    if set(layer.dilation_rate) != {1} or layer.groups != 1 or layer.padding == "causal":
        refuse(layer, "has dilation, groups or causal padding: use a plain convolution.")
    return [
        Layer(
            layer.name,
            *read_once(layer, lambda: _kernel_and_bias(layer)),
            op="conv",
            activation=_activation(layer),
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
    kind = type(layer).__name__
    family = {"S": "channel", "G": "gaussian", "D": "unit"}[kind[0]]
    return [Layer(layer.name, op="add", dropout=float(layer.rate), family=family)]


#: What each Keras layer becomes: nodes one behind the other, the first of which reads the sources.
READERS: dict[str, Callable[..., list[Layer]]] = {
    "Dense": _dense,
    "Conv1D": _conv,
    "Conv2D": _conv,
    "AveragePooling1D": _pool,
    "AveragePooling2D": _pool,
    "GlobalAveragePooling1D": _global_pool,
    "GlobalAveragePooling2D": _global_pool,
    "Flatten": _flatten,
    "Reshape": _flatten,
    "Add": lambda layer, *_: [Layer(layer.name, op="add")],
    "Concatenate": _concatenate,
    "BatchNormalization": _batch_normalization,
    "ReLU": _relu,
    "Activation": lambda layer, *_: [Layer(layer.name, op="add", activation=_activation(layer))],
    "Softmax": _softmax,
    "Dropout": _dropout,
    "SpatialDropout1D": _dropout,
    "SpatialDropout2D": _dropout,
    "GaussianDropout": _dropout,
}
