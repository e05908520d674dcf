"""How a ReLU network becomes a spiking one: firing-rate scales, neuron, synapse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from spikedrop.ann import forward
from spikedrop.errors import InputError
from spikedrop.network import Network
from spikedrop.samples import check_inputs

Neuron = Literal["charge_keeping", "rectified"]


@dataclass(frozen=True)
class Conversion:
    r"""Everything the spiking network has beyond the weights.

    Unit i of hidden layer l becomes an integrate-and-fire neuron driven by the current
    :math:`J_i = g_l a_i`, where :math:`a_i` is the unit's value before rectification and
    :math:`g_l` the firing-rate scale; n spikes in a step of `dt` seconds stand for the
    activation :math:`n / (g_l\,\mathrm{dt})`.

    Attributes
    ----------
    scales_hz : tuple of float
        Firing-rate scale of every hidden layer: hertz per unit of activation.
    neuron : {"charge_keeping", "rectified"}
        ``charge_keeping``: :math:`v \leftarrow v + J\,dt`, then
        :math:`n = \max(0, \lfloor v \rfloor)`, :math:`v \leftarrow v - n`; negative charge stays.
        ``rectified``: Nengo's `SpikingRectifiedLinear`, which adds :math:`\max(J, 0)\,dt`.
    initial_charge : float
        Voltage at the start of a presentation, in units of the threshold, below 1. One half
        turns rounding down into rounding to the nearest spike.
    synapse_s : float or None
        Time constant in seconds of a low-pass filter between layers (`nengo.Lowpass`).
    dt : float
        Seconds a time step.
    """

    scales_hz: tuple[float, ...]
    neuron: Neuron = "charge_keeping"
    initial_charge: float = 0.5
    synapse_s: float | None = None
    dt: float = 0.001

    def __post_init__(self) -> None:
        """Refuse what no neuron can do."""
        if any(not scale > 0 or not np.isfinite(scale) for scale in self.scales_hz):
            raise InputError(
                f"scales_hz={self.scales_hz}: every scale must be positive and finite."
            )
        if self.neuron not in ("charge_keeping", "rectified"):
            raise InputError(f"neuron={self.neuron!r}; use 'charge_keeping' or 'rectified'.")
        if not self.initial_charge < 1:
            raise InputError(f"initial_charge={self.initial_charge} must be below the threshold 1.")
        if not self.dt > 0 or (self.synapse_s is not None and not self.synapse_s > 0):
            raise InputError(f"dt={self.dt} s and synapse_s={self.synapse_s} s must be positive.")


def calibrate(
    network: Network,
    x_train: np.ndarray,
    *,
    rate_hz: float = 500.0,
    percentile: float = 98.0,
    neuron: Neuron = "charge_keeping",
    initial_charge: float = 0.5,
    synapse_s: float | None = None,
    dt: float = 0.001,
) -> Conversion:
    r"""Choose every layer's firing-rate scale from its activations on training data.

    .. math:: g_l = \mathrm{rate} / q(a_l)

    with q the `percentile` of layer l's activations over training rows and units, dropout off:
    one neuron in fifty then fires faster than `rate_hz`.

    Parameters
    ----------
    network : Network
    x_train : array
        Axes (row, input); a few thousand rows are enough.
    rate_hz : float
        Hertz at the percentile.
    percentile : float
        Between 0 and 100.
    neuron, initial_charge, synapse_s, dt : see `Conversion`

    Raises
    ------
    InputError
        If a layer is silent on every training row, or a number is out of range.
    """
    x = check_inputs(network, x_train, 1, "draw")
    if not rate_hz > 0 or not 0 < percentile <= 100:
        raise InputError(
            f"rate_hz={rate_hz} must be positive and percentile={percentile} in (0, 100]."
        )
    scales = []
    for layer, activation in zip(network.hidden, forward(network, x)[1], strict=True):
        top = float(np.percentile(activation, percentile))
        if top <= 0:
            raise InputError(
                f"layer {layer.name!r} is silent on (almost) every training row, so it has no "
                "firing-rate scale: raise `percentile`, or train again."
            )
        scales.append(float(rate_hz / top))
    return Conversion(tuple(scales), neuron, initial_charge, synapse_s, dt)
