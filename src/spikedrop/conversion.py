"""How a ReLU network becomes a spiking one: firing-rate scales, neuron, synapse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from spikedrop.checks.accepted import Inputs
from spikedrop.checks.arguments import one_of, real_number
from spikedrop.errors import InputError
from spikedrop.network.forward import forward
from spikedrop.network.graph import Network
from spikedrop.network.inputs import check_inputs, check_network
from spikedrop.neurons import READOUTS, Readout

Neuron = Literal["charge_keeping", "rectified", "integrate_first", "radix"]
NEURONS: tuple[Neuron, ...] = ("charge_keeping", "rectified", "integrate_first", "radix")
MAX_RADIX_STEPS = 20  # digits that float32 counts exactly
WINDOWED = ("integrate_first", "radix")  # neurons that integrate first and fire afterwards
Kind = Literal["SNN", "quantised", "bit-serial"]
#: What a network of these neurons is. Only the first two send a rate code; the others equal an
#: artificial network with rounded activations (`spikedrop.study.rounded`), and tables and figures
#: do not count them among the spiking networks.
KINDS: dict[Neuron, Kind] = {
    "charge_keeping": "SNN",
    "rectified": "SNN",
    "integrate_first": "quantised",
    "radix": "bit-serial",
}


@dataclass(frozen=True)
class Conversion:
    r"""Everything the spiking network has beyond the weights.

    Unit i of hidden layer l becomes an integrate-and-fire neuron driven by the current
    :math:`J_i = g_l a_i`, where :math:`a_i` is the unit's value before rectification and
    :math:`g_l` the firing-rate scale; n spikes in a step of `dt` seconds stand for the
    activation :math:`n / (g_l\,\mathrm{dt})`.

    Attributes
    ----------
    scales_hz : tuple of float or numpy.ndarray
        Firing-rate scale of every hidden layer: hertz per unit of activation. An array, axes of
        the layer's values, gives every neuron its own (see `spikedrop.sampling.allocation`).
    neuron : {"charge_keeping", "rectified", "integrate_first", "radix"}
        ``charge_keeping``: :math:`v \leftarrow v + J\,dt`, then
        :math:`n = \max(0, \lfloor v \rfloor)`, :math:`v \leftarrow v - n`; negative charge stays.
        ``rectified``: Nengo's `SpikingRectifiedLinear`, which adds :math:`\max(J, 0)\,dt`.
        ``integrate_first``: a layer integrates for the whole window in which the layer below
        fires, and fires in the window after it, at most one spike per step. It equals, to rounding
        of floating point, an artificial network whose activations are rounded to T levels: time
        only counts the level out (`spikedrop.study.rounded`, which has the equation). Tables
        and figures call it *quantised*. Hardware: one gate per layer (fire or integrate), and one
        window of latency a layer; where branches of different depth meet, the shallower repeats
        its window.
        ``radix``: the same windows, but the threshold halves at every step, and a spike at step
        k of T counts :math:`2^{T-1-k}`. It equals an artificial network whose activations are
        rounded to T bits and multiplied one bit plane at a time, most significant first: *bit-
        serial* arithmetic. The literature on spikes calls it radix encoding (Wang et al. 2021,
        arXiv:2105.06943). Hardware: besides the gate, synapses that scale with the step (a shift
        by one bit), or graded spikes, which carry a number.
    initial_charge : float
        Voltage at the start of a presentation, in units of the threshold, below 1. One half
        turns rounding down into rounding to the nearest spike.
    synapse_s : float or None
        Time constant in seconds of a low-pass filter between layers (`nengo.Lowpass`); not for
        the two neurons that integrate first.
    dt : float
        Seconds a time step.
    readout : {"mean", "parabola"}
        How steps are weighted in the average of the readout; the weights are those of
        `spikedrop.neurons.step_weights`. ``mean``: all alike. ``parabola``: most in the
        middle and least at both ends, for neurons that fire while they integrate. Spikes do not
        depend on it.
    """

    scales_hz: tuple[float | np.ndarray, ...]
    neuron: Neuron = "charge_keeping"
    initial_charge: float = 0.5
    synapse_s: float | None = None
    dt: float = 0.001
    readout: Readout = "mean"

    def __post_init__(self) -> None:
        """Refuse what no neuron can do."""
        usable = isinstance(self.scales_hz, tuple | list) and all(map(_positive, self.scales_hz))
        if not usable:
            raise InputError(
                f"scales_hz={self.scales_hz}: every scale must be positive and finite."
            )
        one_of("neuron", self.neuron, NEURONS)
        one_of("readout", self.readout, READOUTS)
        real_number("initial_charge", self.initial_charge, below=1)
        real_number("dt", self.dt, above=0)
        if self.synapse_s is not None:
            real_number("synapse_s", self.synapse_s, above=0)
        if self.windowed and self.synapse_s is not None:
            raise InputError(
                f"neuron={self.neuron!r} waits for a whole window and needs no synapse: "
                f"leave out synapse_s={self.synapse_s}."
            )
        if self.windowed and self.readout != "mean":
            raise InputError(
                f"neuron={self.neuron!r} sends a whole number in its window, in which every spike "
                f"counts: use readout='mean', not {self.readout!r}."
            )

    @property
    def windowed(self) -> bool:
        """Whether layers integrate for a whole window before they fire."""
        return self.neuron in WINDOWED

    @property
    def kind(self) -> Kind:
        """What a network of these neurons is: a rate code (``SNN``), quantised or bit-serial.

        >>> [Conversion((500.0,), neuron).kind for neuron in NEURONS]
        ['SNN', 'SNN', 'quantised', 'bit-serial']
        """
        return KINDS[self.neuron]

    def settle(self, steps: int) -> int:
        """Steps that the average of the readout leaves out by default.

        A fifth; a tenth where the first steps weigh little; none where layers wait for whole
        windows.

        >>> [Conversion((500.0,), readout=readout).settle(200) for readout in READOUTS]
        [40, 20]
        """
        return 0 if self.windowed else steps // (5 if self.readout == "mean" else 10)

    def levels(self, steps: int) -> int:
        """Quanta of charge that stand for full scale, the activation ``1 / (g dt)``.

        `steps` for neurons that count spikes, ``2**steps`` for ``radix``.

        >>> Conversion((500.0,), "radix").levels(8), Conversion((500.0,)).levels(200)
        (256, 200)
        """
        return 2**steps if self.neuron == "radix" else steps


def _positive(scale: object) -> bool:
    """Return whether a scale is a positive, finite number, or an array of those."""
    scale = np.asarray(scale)
    return scale.dtype.kind in "fiu" and bool(np.all((scale > 0) & np.isfinite(scale)))


def calibrate(
    network: Network,
    x_train: Inputs,
    *,
    rate_hz: float = 500.0,
    percentile: float | None = None,
    neuron: Neuron = "charge_keeping",
    initial_charge: float = 0.5,
    synapse_s: float | None = None,
    dt: float = 0.001,
    readout: Readout = "mean",
) -> Conversion:
    r"""Choose every layer's firing-rate scale from its activations on training data.

    .. math:: g_l = \mathrm{rate} / q(a_l)

    with q the `percentile` of layer l's activations over training rows and units, dropout off:
    with the 98th, one neuron in fifty fires faster than `rate_hz`.

    Parameters
    ----------
    network : Network
    x_train : array
        As for `sample_ann`; a few thousand rows are enough.
    rate_hz : float
        Hertz at the percentile.
    percentile : float, optional
        Between 0 and 100. By default 98, and 99.9 for neurons that integrate first: they send at
        most one spike per step, and what is beyond ``1 / dt`` is lost.
    neuron, initial_charge, synapse_s, dt, readout : see `Conversion`

    Raises
    ------
    InputError
        If a layer is silent on every training row, or a number is out of range.

    Examples
    --------
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> calibrate(network, [[0.0], [3.0]], rate_hz=100).scales_hz  # 100 over 1 + 0.98 x 3
    (25.380710291295458,)
    """
    check_network(network)
    real_number("rate_hz", rate_hz, above=0)
    one_of("neuron", neuron, NEURONS)
    if percentile is None:
        percentile = 99.9 if neuron in WINDOWED else 98.0
    real_number("percentile", percentile, above=0, most=100)
    Conversion((), neuron, initial_charge, synapse_s, dt, readout)  # refused before any work
    x = check_inputs(network, x_train)
    scales = []
    for layer, activation in zip(network.hidden, forward(network, x)[1], strict=True):
        top = float(np.percentile(activation, percentile))
        if top <= 0:
            raise InputError(
                f"layer {layer.name!r} is silent on (almost) every training row, so it has no "
                "firing-rate scale: raise `percentile`, or train again."
            )
        scales.append(float(rate_hz / top))
    return Conversion(tuple(scales), neuron, initial_charge, synapse_s, dt, readout)
