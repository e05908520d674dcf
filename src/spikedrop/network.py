"""The network that every sampler reads: NumPy weights, ReLU layers, dropout rates.

`Network.from_keras` is the only door in. What cannot be converted faithfully to
spiking neurons is refused here, with the layer's name and what to do instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from spikedrop.errors import InputError

if TYPE_CHECKING:
    import keras

SUPPORTED = ("InputLayer", "Dense", "Dropout", "BatchNormalization", "ReLU", "Activation")


@dataclass(frozen=True)
class Layer:
    """One dense layer: ``activation(h @ weights + bias)``, then dropout.

    Attributes
    ----------
    name : str
        The Keras layer's name, used in every error.
    weights : numpy.ndarray
        float32, axes (input unit, unit).
    bias : numpy.ndarray
        float32, axis (unit,).
    dropout : float
        Probability p, 0 <= p < 1, that a unit's output is set to zero; kept units are
        multiplied by 1/(1-p).
    """

    name: str
    weights: np.ndarray
    bias: np.ndarray
    dropout: float = 0.0

    @property
    def units(self) -> int:
        """Number of units."""
        return self.weights.shape[1]


@dataclass(frozen=True)
class Network:
    r"""A feed-forward network with permanent dropout.

    .. math::

        h_0 = m_0 \odot x, \qquad
        h_l = m_l \odot \max(0, h_{l-1} W_l + b_l), \qquad
        y = h_L W_{L+1} + b_{L+1}

    with masks :math:`m_l \in \{0, 1/(1-p_l)\}`.

    Attributes
    ----------
    hidden : tuple of Layer
        The ReLU layers, first to last; each becomes one layer of spiking neurons.
    readout : Layer
        The linear layer at the end; it has no neurons and no dropout.
    input_dropout : float
        Dropout rate on the inputs themselves.

    Examples
    --------
    >>> network = Network(
    ...     hidden=(Layer("h", np.eye(2, dtype="float32"), np.zeros(2, "float32"), 0.5),),
    ...     readout=Layer("y", np.ones((2, 1), "float32"), np.zeros(1, "float32")),
    ... )
    >>> network.n_inputs, network.n_outputs, network.dropout_rates
    (2, 1, (0.0, 0.5))
    """

    hidden: tuple[Layer, ...]
    readout: Layer
    input_dropout: float = 0.0

    def __post_init__(self) -> None:
        """Check shapes, rates and values once, so that no sampler has to."""
        if not self.hidden:
            raise InputError(
                "the network has no hidden layer: add at least one Dense layer with "
                "activation='relu', because only hidden layers become spiking neurons."
            )
        _check_rate("the input", self.input_dropout)
        before = None
        for layer in (*self.hidden, self.readout):
            if layer.weights.ndim != 2 or layer.bias.shape != (layer.units,):
                raise InputError(
                    f"layer {layer.name!r}: weights have shape {layer.weights.shape} and bias "
                    f"{layer.bias.shape}; expected (inputs, units) and (units,)."
                )
            if before is not None and layer.weights.shape[0] != before.units:
                raise InputError(
                    f"layer {layer.name!r} takes {layer.weights.shape[0]} inputs, but layer "
                    f"{before.name!r} before it has {before.units} units."
                )
            if not (np.isfinite(layer.weights).all() and np.isfinite(layer.bias).all()):
                raise InputError(
                    f"layer {layer.name!r} has NaN or infinite weights: the training diverged; "
                    "train again, with a lower learning rate."
                )
            _check_rate(f"layer {layer.name!r}", layer.dropout)
            before = layer
        if self.readout.dropout:
            raise InputError(
                f"layer {self.readout.name!r} is the readout and has dropout "
                f"{self.readout.dropout}: remove it, dropout belongs before the last layer."
            )

    @property
    def n_inputs(self) -> int:
        """Number of input features."""
        return self.hidden[0].weights.shape[0]

    @property
    def n_outputs(self) -> int:
        """Number of outputs."""
        return self.readout.units

    @property
    def n_neurons(self) -> int:
        """Return how many spiking neurons the conversion makes: all hidden units."""
        return sum(layer.units for layer in self.hidden)

    @property
    def dropout_rates(self) -> tuple[float, ...]:
        """Dropout rate of the input, then of every hidden layer."""
        return (self.input_dropout, *(layer.dropout for layer in self.hidden))

    @property
    def mask_sizes(self) -> tuple[int, ...]:
        """Units of the input, then of every hidden layer."""
        return (self.n_inputs, *(layer.units for layer in self.hidden))

    def with_dropout(self, rate: float) -> Network:
        """Return the same weights with `rate` wherever there is dropout now.

        >>> one = np.ones((1, 1), "float32")
        >>> network = Network((Layer("h", one, one[0], 0.5),), Layer("y", one, one[0]))
        >>> network.with_dropout(0.1).dropout_rates
        (0.0, 0.1)
        """
        hidden = tuple(
            replace(layer, dropout=rate if layer.dropout else 0.0) for layer in self.hidden
        )
        return replace(self, hidden=hidden, input_dropout=rate if self.input_dropout else 0.0)

    @classmethod
    def from_keras(cls, model: keras.Model) -> Network:
        """Read a built Keras 3 model: a chain of Dense, ReLU, Dropout and BatchNormalization.

        Batch normalisation is folded into the Dense layer before or after it, with its
        moving statistics, as Keras uses them at inference.

        Parameters
        ----------
        model : keras.Model
            Sequential or functional, one input, one output, no branches; ends with a
            linear Dense layer.

        Raises
        ------
        InputError
            If a layer, an activation or a branch cannot be converted faithfully, if the model
            has no Dropout layer, if a rate is 1, or if a weight is NaN. The message names the
            layer and says what to do.

        Examples
        --------
        >>> from spikedrop.quiet import import_tensorflow
        >>> _ = import_tensorflow()
        >>> import keras
        >>> model = keras.Sequential([
        ...     keras.Input((3,)), keras.layers.Dense(8, activation="relu"),
        ...     keras.layers.Dropout(0.1), keras.layers.Dense(1)])
        >>> Network.from_keras(model).mask_sizes
        (3, 8)
        """
        return _read_keras(cls, model)


def _check_rate(where: str, rate: float) -> None:
    if not 0 <= rate < 1:
        raise InputError(
            f"{where} has dropout rate {rate}: a rate must be at least 0 and below 1 (a rate of 1 "
            "silences every unit). Set a smaller rate and train again."
        )


def _activation(layer: keras.layers.Layer) -> str:
    """Name of a layer's activation; ``relu`` only if it is one."""
    function = layer.activation
    name = getattr(function, "__name__", type(function).__name__)
    if name == "relu":  # a function of the user's may carry the name
        probe = np.array([-2.0, -0.5, 0.0, 0.5, 2.0, 50.0], dtype=np.float32)
        if not np.array_equal(np.asarray(function(probe)), np.maximum(probe, 0)):
            return "relu, but not the rectifier max(0, x)"
    return name


def _is_plain_relu(layer: keras.layers.ReLU) -> bool:
    return layer.max_value is None and layer.negative_slope == 0 and layer.threshold == 0


def _chain(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers of an unbranched model in order; refuse every other model."""
    import keras

    if not isinstance(model, keras.Model):
        raise InputError(
            f"{type(model).__module__}.{type(model).__name__} is not a Keras 3 model: pass a "
            "keras.Model."
        )
    if not model.built or not model.layers:
        raise InputError(
            f"model {model.name!r} is not built: give it an Input layer or call it once on data."
        )
    if getattr(model, "inputs", None) is None:
        raise InputError(
            f"model {model.name!r} ({type(model).__name__}) is a subclass of keras.Model, whose "
            "layers have no order to read: build it with keras.Sequential or the functional API."
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise InputError(
            f"model {model.name!r} must have one input and one output; it has "
            f"{len(model.inputs)} and {len(model.outputs)}. Concatenate the inputs beforehand."
        )
    layers = [layer for layer in model.layers if type(layer).__name__ != "InputLayer"]
    for layer in layers:
        if type(layer).__name__ not in SUPPORTED:
            raise InputError(
                f"layer {layer.name!r} ({type(layer).__name__}) cannot be converted to spiking "
                f"neurons: use only {', '.join(SUPPORTED)} (with relu)."
            )
    if len(model.inputs[0].shape) != 2:
        raise InputError(
            f"model {model.name!r} has inputs of shape {tuple(model.inputs[0].shape[1:])}; "
            "expected (features,): flatten them beforehand."
        )
    if isinstance(model, keras.Sequential):
        return layers  # a chain by construction
    reached = model.inputs[0]
    for layer in layers:
        try:
            follows = layer.input is reached
        except (AttributeError, ValueError):  # several inputs, or called more than once
            follows = False
        if not follows:
            raise InputError(
                f"layer {layer.name!r} ({type(layer).__name__}) does not simply follow the layer "
                "before it: branches, shared layers and several inputs cannot be converted. Use an "
                "unbranched model."
            )
        reached = layer.output
    if reached is not model.outputs[0]:
        raise InputError(
            f"layer {layers[-1].name!r} ({type(layers[-1]).__name__}) is the last layer of model "
            f"{model.name!r}, but its output is not the model's: arithmetic on tensors and layers "
            "called twice cannot be converted. End the model with a linear Dense layer, used once."
        )
    return layers


def _read_keras(cls: type[Network], model: keras.Model) -> Network:
    chain = _chain(model)
    dense_before: list[dict] = []  # what was read so far, one entry a Dense layer
    input_dropout = 0.0
    scale = shift = None  # a BatchNormalization after ReLU, waiting for the next Dense
    seen_dropout = False
    for layer in chain:
        kind = type(layer).__name__
        last = dense_before[-1] if dense_before else None
        if kind == "Dense":
            if last and not last["relu"]:
                raise InputError(
                    f"layer {last['name']!r} (Dense) is hidden and linear: spikes rectify. "
                    "Give it activation='relu', or merge it with the next Dense layer."
                )
            if layer.quantization_mode is not None:
                raise InputError(
                    f"layer {layer.name!r} (Dense) is quantized ({layer.quantization_mode}): its "
                    "weights are codes, not numbers. Convert the model before quantizing it."
                )
            activation = _activation(layer)
            if activation not in ("relu", "linear"):
                raise InputError(
                    f"layer {layer.name!r} (Dense) has activation {activation!r}: use 'relu' in "
                    "hidden layers (a firing rate is never negative) and no activation at the end."
                )
            weights = np.asarray(layer.kernel, dtype=np.float64)
            bias = np.zeros(weights.shape[1]) if layer.bias is None else np.asarray(layer.bias)
            bias = bias.astype(np.float64)
            if scale is not None:
                bias = bias + shift @ weights
                weights = scale[:, None] * weights
                scale = shift = None
            dense_before.append(
                {
                    "name": layer.name,
                    "weights": weights,
                    "bias": bias,
                    "relu": activation == "relu",
                    "dropout": 0.0,
                }
            )
        elif kind == "Dropout":
            seen_dropout = True
            if layer.noise_shape is not None:
                raise InputError(
                    f"layer {layer.name!r} (Dropout) has noise_shape={layer.noise_shape}: only one "
                    "mask value per unit can be converted; remove noise_shape."
                )
            _check_rate(f"layer {layer.name!r} (Dropout)", layer.rate)
            if last is None and input_dropout == 0 and scale is None:
                input_dropout = float(layer.rate)
            elif last and last["relu"] and last["dropout"] == 0 and scale is None:
                last["dropout"] = float(layer.rate)
            else:
                raise InputError(
                    f"layer {layer.name!r} (Dropout) must follow the input or a ReLU directly, "
                    "once: move it there (a mask silences neurons, which stand after the ReLU)."
                )
        elif kind in ("ReLU", "Activation"):
            plain = _is_plain_relu(layer) if kind == "ReLU" else _activation(layer) == "relu"
            if not plain:
                raise InputError(
                    f"layer {layer.name!r} ({kind}) is not a plain rectifier: use activation "
                    "'relu' without max_value, negative_slope or threshold."
                )
            if last is None or last["relu"] or last["dropout"]:
                raise InputError(
                    f"layer {layer.name!r} ({kind}) must follow a linear Dense layer directly."
                )
            last["relu"] = True
        else:  # BatchNormalization
            factor, offset = _batch_normalization(layer)
            if last is not None and not last["relu"]:
                last["weights"] = last["weights"] * factor
                last["bias"] = last["bias"] * factor + offset
            elif scale is None:
                scale, shift = factor, offset
            else:
                scale, shift = scale * factor, shift * factor + offset
    if not seen_dropout:
        raise InputError(
            f"model {model.name!r} has no Dropout layer, so every draw would be the same: add "
            "keras.layers.Dropout after the hidden layers and train again."
        )
    if not dense_before or dense_before[-1]["relu"] or dense_before[-1]["dropout"]:
        raise InputError(
            f"model {model.name!r} must end with a linear Dense layer, the readout: add "
            "keras.layers.Dense(outputs) at the end."
        )
    *hidden, readout = (
        Layer(d["name"], d["weights"].astype("float32"), d["bias"].astype("float32"), d["dropout"])
        for d in dense_before
    )
    return cls(tuple(hidden), readout, input_dropout)


def _batch_normalization(layer: keras.layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """Factor and offset of a BatchNormalization at inference: ``y = factor * x + offset``."""
    mean = np.asarray(layer.moving_mean, dtype=np.float64)
    factor = 1 / np.sqrt(np.asarray(layer.moving_variance, dtype=np.float64) + layer.epsilon)
    if layer.gamma is not None:
        factor = factor * np.asarray(layer.gamma, dtype=np.float64)
    offset = -mean * factor
    if layer.beta is not None:
        offset = offset + np.asarray(layer.beta, dtype=np.float64)
    return factor, offset
