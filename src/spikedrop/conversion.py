"""How a ReLU network becomes a spiking one: firing-rate scales, neuron, synapse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikedrop.checks.accepted import Inputs
from spikedrop.checks.arguments import one_of, real_number
from spikedrop.errors import InputError
from spikedrop.network.forward import forward
from spikedrop.network.graph import Network
from spikedrop.network.inputs import check_inputs, check_network
from spikedrop.neurons import READOUTS, Kind, Neuron, Readout, neuron_of


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
        the layer's values, gives every neuron its own (see `spikedrop.sampling.neuron_scales`).
    neuron : str
        A name in `spikedrop.neurons.NEURONS`, whose classes give the equations. Of this package:
        ``charge_keeping``, ``rectified`` (Nengo's), ``integrate_first`` and ``radix``; tables and
        figures call networks of the last two *quantised* and *bit-serial*.
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
    neuron: str = "charge_keeping"
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
        neuron_of(self.neuron)
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
    def dynamics(self) -> Neuron:
        """The neuron itself."""
        return neuron_of(self.neuron)

    @property
    def windowed(self) -> bool:
        """Whether layers integrate for a whole window before they fire."""
        return self.dynamics.windowed

    @property
    def kind(self) -> Kind:
        """Kind of network that these neurons make, see `spikedrop.neurons.Neuron.kind`."""
        return self.dynamics.kind

    def settle(self, steps: int) -> int:
        """Steps that the average of the readout leaves out by default.

        >>> [Conversion((500.0,), readout=readout).settle(200) for readout in READOUTS]
        [40, 20]
        """
        return self.dynamics.settle(steps, self.readout)

    def levels(self, steps: int) -> int:
        """Quanta of charge that stand for full scale, the activation ``1 / (g dt)``.

        >>> Conversion((500.0,), "radix").levels(8), Conversion((500.0,)).levels(200)
        (256, 200)
        """
        return self.dynamics.levels(steps)


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
    neuron: str = "charge_keeping",
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
    rate_hz : float, default 500.0
        Hertz at the percentile.
    percentile : float, optional
        Between 0 and 100; by default the neuron's own: 98, and 99.9 for neurons that integrate
        first, which send at most one spike per step and lose what is beyond ``1 / dt``.
    neuron, initial_charge, synapse_s, dt, readout : see `Conversion`

    Returns
    -------
    Conversion
        One firing-rate scale per hidden layer, in hertz per unit of activation.

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
    known = neuron_of(neuron)
    if percentile is None:
        percentile = known.percentile
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
