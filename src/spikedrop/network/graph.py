"""The network that every sampler reads: a graph of layers with NumPy weights and dropout.

`Network.from_keras` reads a trained model (`spikedrop.network.keras_model`); `Network.chain` puts
layers one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, softmax

from spikedrop.errors import InputError
from spikedrop.network.kinds import check_affine, kind_of
from spikedrop.network.layers import Family, Layer
from spikedrop.network.topology import readers

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Network:
    r"""A feed-forward network with permanent dropout: a graph of layers without loops.

    Attributes
    ----------
    layers : tuple of Layer
        Every layer after the layers it reads; inputs first. A sub-network used twice stands here
        twice, with the same weight arrays and masks of its own each time.
    outputs : tuple of str
        Names of the layers that are read out; they have no neurons and no dropout.
    stored_masks : int
        Number K of masks that the hardware stores: draw s uses mask s modulo K. Without, every
        draw has masks of its own.
    columns : tuple of str
        Names of the inputs, where the model has them (``feature_names_in_`` of a Keras model): a
        DataFrame is put into this order. They change no value.

    Raises
    ------
    InputError
        If a name, a source, a shape, a rate or a weight cannot be used, or nothing spikes.

    Examples
    --------
    >>> network = Network.chain(
    ...     hidden=(Layer("h", np.eye(2, dtype="float32"), np.zeros(2, "float32"), 0.5),),
    ...     readout=Layer("y", np.ones((2, 1), "float32"), np.zeros(1, "float32")),
    ... )
    >>> network.n_inputs, network.n_outputs, network.dropout_rates
    (2, 1, {'h': 0.5})
    """

    layers: tuple[Layer, ...]
    outputs: tuple[str, ...]
    stored_masks: int | None = None
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check names, shapes, rates and values once, so that no sampler has to."""
        known: set[str] = set()
        for layer in self.layers:
            _check_layer(layer, known)
            known.add(layer.name)
        if not self.hidden:
            raise InputError(self._nothing_spikes())
        if not self.outputs or not known.issuperset(self.outputs):
            raise InputError(
                f"outputs={self.outputs}: name layers of the network, {sorted(known)}."
            )
        read = readers(self.layers)
        for layer in self.layers:
            self._check_place(layer, read_on=layer.name in read)
        if self.stored_masks is not None and self.stored_masks < 1:
            raise InputError(f"stored_masks={self.stored_masks}: store at least one mask, or None.")
        _ = self.shapes  # infers, and refuses what does not fit
        if self.columns and len(self.columns) != self.n_inputs:
            raise InputError(
                f"columns names {len(self.columns)} inputs, and the network has {self.n_inputs}: "
                "give a name each, or none."
            )

    def _nothing_spikes(self) -> str:
        """Say why no layer becomes neurons, and what to do."""
        inside = [
            layer
            for layer in self.layers
            if layer.name not in self.outputs and kind_of(layer).has_synapses
        ]
        for layer in inside:
            if layer.activation != "linear":
                return (
                    f"hidden layer {layer.name!r} has activation {layer.activation!r}, which is "
                    "only possible where the network ends: a firing rate is max(0, x). Give it "
                    "activation='relu' and train again."
                )
        if inside:
            return (
                f"no layer has activation 'relu', so the network is linear: layer "
                f"{inside[0].name!r} has no activation. Give it activation='relu' and train again."
            )
        return (
            "the network has no hidden layer: add at least one Dense layer with "
            "activation='relu', because only hidden layers become spiking neurons."
        )

    def _check_place(self, layer: Layer, *, read_on: bool) -> None:
        """Refuse what a layer may not do where it stands."""
        ends = layer.name in self.outputs
        if ends and layer.spiking:
            raise InputError(
                f"layer {layer.name!r} is the readout and rectifies: end with a layer without "
                "'relu', whose average over time can be read."
            )
        if ends and layer.dropout and layer.family != "weights":
            raise InputError(
                f"layer {layer.name!r} is the readout and has dropout {layer.dropout}: remove it, "
                "dropout belongs before the last layer."
            )
        if layer.activation in ("softmax", "sigmoid") and (read_on or not ends):
            raise InputError(
                f"layer {layer.name!r} has activation {layer.activation!r}: only where the network "
                "ends; spikes carry sums, not ratios. Give it activation='relu' and train again."
            )
        if not (ends or read_on):
            raise InputError(f"layer {layer.name!r} is read by no other layer: remove it.")

    @classmethod
    def chain(
        cls, hidden: tuple[Layer, ...], readout: Layer, input_dropout: float = 0.0
    ) -> Network:
        """Build a chain of dense layers: every hidden one rectifies, the readout is linear.

        The input layer is named ``input``.
        """
        first = (*hidden, readout)[0]
        if first.weights is None or first.weights.ndim != 2:
            raise InputError(f"layer {first.name!r} needs weights with axes (input, unit).")
        inputs = Layer("input", op="input", shape=first.weights.shape[:1], dropout=input_dropout)
        layers = [inputs]
        for layer in hidden:
            layers.append(replace(layer, sources=(layers[-1].name,), activation="relu"))
        layers.append(replace(readout, sources=(layers[-1].name,)))
        return cls(tuple(layers), (readout.name,))

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one observation at every layer."""
        found: dict[str, tuple[int, ...]] = {}
        for layer in self.layers:
            below, kind = [found[source] for source in layer.sources], kind_of(layer)
            kind.check(layer, below)
            found[layer.name] = kind.shape(layer, below)
            check_affine(layer, below)
        for layer in self.layers:
            if layer.dropout and layer.family == "channel" and len(found[layer.name]) < 2:
                raise InputError(
                    f"layer {layer.name!r} has no channels to drop (its shape is "
                    f"{found[layer.name]}): use family='unit'."
                )
        return found

    def units(self, name: str) -> int:
        """Return how many values a layer has."""
        return int(np.prod(self.shapes[name]))

    def __getitem__(self, name: str) -> Layer:
        """Return the layer of that name."""
        return next(layer for layer in self.layers if layer.name == name)

    @property
    def inputs(self) -> tuple[Layer, ...]:
        """The input layers."""
        return tuple(layer for layer in self.layers if layer.is_input)

    @property
    def hidden(self) -> tuple[Layer, ...]:
        """The layers that become spiking neurons."""
        return tuple(layer for layer in self.layers if layer.spiking)

    @property
    def n_inputs(self) -> int:
        """Number of input features, of all inputs together."""
        return sum(self.units(layer.name) for layer in self.inputs)

    @property
    def n_outputs(self) -> int:
        """Number of outputs, of all readouts together."""
        return sum(self.units(name) for name in self.outputs)

    @property
    def n_neurons(self) -> int:
        """Return how many spiking neurons the conversion makes."""
        return sum(self.units(layer.name) for layer in self.hidden)

    @property
    def dropout_rates(self) -> dict[str, float]:
        """Dropout rate of every layer that has one."""
        return {layer.name: layer.dropout for layer in self.layers if layer.dropout}

    def split(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Cut (observation, feature) into the inputs, each ``(observation, *shape)``."""
        ends = np.cumsum([self.units(layer.name) for layer in self.inputs])
        parts = np.split(x, ends[:-1], axis=1)
        return {
            layer.name: part.reshape(len(x), *layer.shape)
            for layer, part in zip(self.inputs, parts, strict=True)
        }

    def join(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """Apply the heads (softmax, sigmoid) and put all outputs side by side.

        `values` holds an array for every output layer, axes ``(..., *shape)``; the result has axes
        (..., output).
        """
        heads = {"softmax": partial(softmax, axis=-1), "sigmoid": expit}
        joined = []
        for name in self.outputs:
            y = heads.get(self[name].activation, np.asarray)(values[name])
            joined.append(y.reshape(*y.shape[: y.ndim - len(self.shapes[name])], -1))
        return np.concatenate(joined, axis=-1)

    def with_dropout(
        self,
        rate: float | None = None,
        *,
        family: Family | None = None,
        stored_masks: int | None = None,
    ) -> Network:
        """Return the same weights with another dropout, wherever there is dropout now.

        Parameters
        ----------
        rate : float, optional
            By default each layer keeps its own.
        family : {"unit", "channel", "gaussian", "weights"}, optional
            What is dropped, see `Layer`.
        stored_masks : int, optional
            As in `Network`.

        Examples
        --------
        >>> one = np.ones((1, 1), "float32")
        >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, one[0]))
        >>> network.with_dropout(0.1).dropout_rates
        {'h': 0.1}
        """
        layers = tuple(
            replace(
                layer,
                dropout=layer.dropout if rate is None else rate,
                family=family or layer.family,
            )
            if layer.dropout
            else layer
            for layer in self.layers
        )
        return replace(self, layers=layers, stored_masks=stored_masks or self.stored_masks)

    @classmethod
    def from_keras(cls, model: keras.Model) -> Network:
        """Read a built Keras 3 model. See `spikedrop.network.keras_model.read`."""
        from spikedrop.network.keras_model import (
            read,  # it builds networks, so it imports this file
        )

        network, names = read(model), getattr(model, "feature_names_in_", None)
        return network if names is None else replace(network, columns=tuple(map(str, names)))


def _check_layer(layer: Layer, known: set[str]) -> None:
    """Check what a layer says of itself."""
    if layer.name in known:
        raise InputError(f"two layers are named {layer.name!r}: give each a name of its own.")
    missing = [source for source in layer.sources if source not in known]
    if missing:
        raise InputError(
            f"layer {layer.name!r} reads {missing[0]!r}, which is not among the layers before it: "
            "name a layer and put it first."
        )
    kind = kind_of(layer)
    if layer.is_input and layer.activation != "linear":
        raise InputError(
            f"layer {layer.name!r} is an input and has activation {layer.activation!r}: put a "
            "layer behind it that rectifies."
        )
    least, most = kind.reads
    if not least <= len(layer.sources) <= most:
        raise InputError(f"layer {layer.name!r} ({layer.op}) reads {len(layer.sources)} layers.")
    if not 0 <= layer.dropout < 1:
        raise InputError(
            f"layer {layer.name!r} has dropout rate {layer.dropout}: a rate must be at least 0 and "
            "below 1 (a rate of 1 silences every unit). Set a smaller rate and train again."
        )
    if layer.dropout and layer.family == "weights" and layer.op != "dense":
        raise InputError(
            f"layer {layer.name!r} ({layer.op}) has family='weights': only weights of dense layers "
            "can be dropped one by one."
        )
    if not kind.has_weights:
        return
    if layer.weights is None or layer.bias is None or layer.bias.shape != layer.weights.shape[-1:]:
        shapes = [None if a is None else a.shape for a in (layer.weights, layer.bias)]
        raise InputError(
            f"layer {layer.name!r}: weights have shape {shapes[0]} and bias {shapes[1]}; expected "
            "(inputs, units) and (units,)."
        )
    if not (np.isfinite(layer.weights).all() and np.isfinite(layer.bias).all()):
        raise InputError(
            f"layer {layer.name!r} has NaN or infinite weights: the training diverged; "
            "train again, with a lower learning rate."
        )
