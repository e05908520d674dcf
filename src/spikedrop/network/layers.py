"""One layer of a network, and the linear map it applies, in plain NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from spikedrop.network.kinds import kind_of

Family = Literal["unit", "channel", "gaussian", "weights"]
Activation = Literal["linear", "relu", "softmax", "sigmoid"]
Padding = Literal["valid", "same"]


@dataclass(frozen=True)
class Layer:
    r"""One layer: a linear map of the layers below, an activation, then dropout.

    .. math:: h = m \odot \phi(A(h_1, h_2, \ldots))

    with A the `op`, :math:`\phi` the `activation` and m the mask. Layers with ``relu`` become
    spiking neurons; all others are synapses, or the readout.

    Attributes
    ----------
    name : str
        The Keras layer's name, used in every error; unique in a network.
    weights : numpy.ndarray
        float32. ``dense``: axes (unit below, unit). ``conv``: (row, column, channel below,
        channel), or (position, channel below, channel) in one dimension. ``scale``: (channel,).
    bias : numpy.ndarray
        float32, axis (unit,) or (channel,); goes with `weights`.
    dropout : float
        Probability p, 0 <= p < 1, that a value is set to zero; kept values are multiplied by
        1/(1-p).
    op : str
        ``input``; ``dense``: h W + b; ``conv``: the same in a sliding window; ``average_pool``;
        ``flatten``; ``add``; ``concatenate`` (last axis); ``scale``: w h + b, channel by channel;
        or another that `spikedrop.network.register_kind` was given.
    sources : tuple of str
        Names of the layers it reads, in order.
    activation : {"linear", "relu", "softmax", "sigmoid"}
        The last two only where the network ends.
    family : {"unit", "channel", "gaussian", "weights"}
        What dropout silences: units one by one; whole channels (spatial dropout); nothing, but
        every unit is multiplied by noise of mean 1 and variance p/(1-p); or single weights of a
        dense layer (DropConnect). See `spikedrop.masks`.
    shape : tuple of int
        Of one observation; only for ``input``, elsewhere it follows.
    window, strides : tuple of int
        Of ``average_pool`` and ``conv`` (whose window is that of its weights).
    padding : {"valid", "same"}
        As in Keras: whether windows stop at the edge or are filled up with zeros, which an
        average does not count.
    """

    name: str
    # None where `op` takes no weights: `Network` checks it once, so that nothing else has to.
    weights: np.ndarray = None  # type: ignore[assignment]
    bias: np.ndarray = None  # type: ignore[assignment]
    dropout: float = 0.0
    op: str = "dense"
    sources: tuple[str, ...] = ()
    activation: Activation = "linear"
    family: Family = "unit"
    shape: tuple[int, ...] = ()
    window: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    padding: Padding = "valid"

    @property
    def is_input(self) -> bool:
        """Whether its values are handed in."""
        return self.op == "input"

    @property
    def spiking(self) -> bool:
        """Whether the layer becomes neurons."""
        return self.activation == "relu"


def linear(layer: Layer, below: Sequence[np.ndarray], amount: float = 1.0) -> np.ndarray:
    """Apply a layer's linear map.

    Parameters
    ----------
    layer : Layer
    below : sequence of numpy.ndarray
        Values of its sources, each with axes ``(observation, *shape)``.
    amount : float
        How many times the bias is added; a sum over several steps holds it several times.

    Returns
    -------
    numpy.ndarray
        Axes ``(observation, *shape)``.

    Examples
    --------
    >>> pool = Layer("pool", op="average_pool", window=(2,), strides=(2,), padding="same")
    >>> linear(pool, [np.array([[[1.0], [3.0], [5.0]]])])[0, :, 0].tolist()
    [2.0, 5.0]
    """
    return kind_of(layer).linear(layer, below, amount)


def masked(layer: Layer, h: np.ndarray, masks: dict[str, np.ndarray]) -> np.ndarray:
    """Multiply a layer's values by its mask, if it has one that multiplies values."""
    if layer.name not in masks or layer.family == "weights":
        return h
    return h * masks[layer.name]


def with_masked_weights(layer: Layer, masks: dict[str, np.ndarray]) -> Layer:
    """Return the layer, with single weights dropped if that is what its mask does."""
    if layer.name not in masks or layer.family != "weights":
        return layer
    return replace(layer, weights=layer.weights * masks[layer.name][0])
