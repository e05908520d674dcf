"""What a chip holds: integer weights, thresholds and biases, and the checks that they fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from spikedrop.errors import InputError
from spikedrop.network.graph import Network

FULL = 4096  # a current that is kept whole from step to step; the chip counts in 4096ths
BIAS_SHIFTS = 7  # places a bias may be shifted to the left


@dataclass(frozen=True, eq=False)
class ChipLayer:
    r"""One layer of integer neurons.

    Attributes
    ----------
    name : str
    sources : tuple of str
        Layers of neurons that it reads, in the order of the weights' rows; none where the host
        sets every neuron's current.
    weights : numpy.ndarray
        Integers, axes (neuron below, neuron). A spike adds :math:`w_{ij} 2^e`.
    exponent : int
        e, one for the layer, at least 0.
    threshold : int
        Charge that a spike takes.
    bias : numpy.ndarray or None
        Integers added at every step, axis (neuron,); None where the current depends on the input,
        and the host sets it with every input (`spikedrop.chip.host_biases`).
    start : int
        Charge at the start of a presentation.
    """

    name: str
    sources: tuple[str, ...]
    weights: np.ndarray
    exponent: int
    threshold: int
    bias: np.ndarray | None = None
    start: int = 0

    @property
    def units(self) -> int:
        """How many neurons."""
        return self.weights.shape[1]

    def strengths(self) -> np.ndarray:
        """Thresholds that a spike is worth: axes (neuron below, neuron)."""
        return self.weights * (2.0**self.exponent / self.threshold)

    def reach(self) -> tuple[np.ndarray, np.ndarray]:
        """Most charge that spikes can take from and bring to each neuron in one step, both >= 0."""
        weights = self.weights.astype(np.int64) << self.exponent
        return -np.minimum(weights, 0).sum(axis=0), np.maximum(weights, 0).sum(axis=0)


@dataclass(frozen=True, eq=False)
class ChipReadout:
    """An output layer: accumulators without threshold, read and summed by the host at every step.

    Attributes
    ----------
    name : str
    sources, weights : as in `ChipLayer`
        The weights have axes (neuron below, output).
    worth : float
        Of one unit of charge a step, in the unit of the output.
    """

    name: str
    sources: tuple[str, ...]
    weights: np.ndarray
    worth: float


@dataclass(frozen=True, eq=False)
class ChipNetwork:
    r"""A network as neuromorphic hardware runs it, in integers.

    A neuron with bias b, threshold :math:`\theta` and the gates :math:`z_i \in \{0, 1\}` of the
    axons it reads:

    .. math::

        u_t &= \mathrm{sign}(u_{t-1}) \lfloor |u_{t-1}|\, k / 4096 \rfloor
               + \sum_i z_i s_{i, t-d}\, w_{ij} 2^{e} \\
        v_t &= \max(v_{t-1} + u_t + b, \mathrm{floor}) \\
        s_t &= [v_t \ge \theta], \qquad
        v_t \leftarrow v_t - \theta s_t \text{ (or 0 where } s_t = 1)

    A spike is one bit: at most one per neuron and step. Charge beyond that waits, and a neuron
    driven beyond one threshold per step fires at every step: activations above ``1 / (scale dt)``
    are lost. A mask is a gate: a dropped neuron still fires, and nothing receives it.

    The defaults (k = 0, d = 0, no floor, subtraction) are the charge-keeping neuron. Other fields
    describe other hardware: see `spikedrop.chip.hard_reset` for that of NengoLoihi.

    Attributes
    ----------
    layers : tuple of ChipLayer
    readouts : tuple of ChipReadout
    network : Network
        The network it was made of; the host takes from it the masks, and the currents of the layers
        that receive the input.
    gains : dict of numpy.ndarray
        Spikes a step for one unit of activation, by the name of the layer: axis (neuron,).
    bits, bias_bits, membrane_bits : int
        Of a weight, of a bias before its shift of up to 7 places, of a neuron's charge; with sign.
    reset : {"subtract", "zero"}
        What a spike leaves: the charge beyond the threshold, or nothing.
    floor : int or None
        Charge below which a neuron does not sink; None where only the membrane's bits end it.
    delay : int
        d, steps that a spike takes from layer to layer.
    keep : int
        k, what remains of a current at the next step, in 4096ths.

    Raises
    ------
    InputError
        If a weight, bias or threshold does not fit in its bits, with the layer's name.
    """

    layers: tuple[ChipLayer, ...]
    readouts: tuple[ChipReadout, ...]
    network: Network
    gains: dict[str, np.ndarray]
    bits: int = 8
    bias_bits: int = 13
    membrane_bits: int = 24
    reset: Literal["subtract", "zero"] = "subtract"
    floor: int | None = None
    delay: int = 0
    keep: int = 0

    def __post_init__(self) -> None:
        """Refuse integers that the hardware cannot hold."""
        for name, value, low, high in (
            ("bits", self.bits, 2, 32),
            ("bias_bits", self.bias_bits, 2, 48),
            ("membrane_bits", self.membrane_bits, 8, 60),
            ("delay", self.delay, 0, 1000),
            ("keep", self.keep, 0, FULL - 1),
        ):
            if not low <= value <= high:
                raise InputError(f"{name}={value}; use a whole number from {low} to {high}.")
        if self.reset not in ("subtract", "zero"):
            raise InputError(f"reset={self.reset!r}; use 'subtract' or 'zero'.")
        most = 2 ** (self.bits - 1)
        both: tuple[ChipLayer | ChipReadout, ...] = (*self.layers, *self.readouts)
        for layer in both:
            largest = np.abs(layer.weights.astype(np.int64)).max(initial=0)
            if largest >= most:
                raise InputError(
                    f"layer {layer.name!r} has a weight of magnitude {largest}, and {self.bits} "
                    f"bits hold -{most - 1} to {most - 1}: scale weights, bias and threshold down "
                    "together, or use more bits."
                )
        for layer in self.layers:
            if not 1 <= layer.threshold < 2 ** (self.membrane_bits - 1):
                raise InputError(
                    f"layer {layer.name!r} has threshold {layer.threshold}; a membrane of "
                    f"{self.membrane_bits} bits takes 1 to {2 ** (self.membrane_bits - 1) - 1}."
                )
            if layer.bias is not None:
                self.check_bias(layer.name, layer.bias)

    @property
    def largest_bias(self) -> int:
        """The largest bias that can be set."""
        return (2 ** (self.bias_bits - 1) - 1) << BIAS_SHIFTS

    def check_bias(self, name: str, bias: np.ndarray) -> None:
        """Refuse a bias beyond what the chip can be set to."""
        largest = int(np.abs(bias).max(initial=0))
        if largest > self.largest_bias:
            raise InputError(
                f"layer {name!r} needs a bias current of {largest}, and {self.bias_bits} bits with "
                f"a shift of {BIAS_SHIFTS} reach {self.largest_bias}: lower `rate_hz` of the "
                "conversion, or the inputs' scale, or use more `bias_bits`."
            )

    def check_charge(
        self, layer: ChipLayer, steps: int, least: np.ndarray, most: np.ndarray
    ) -> None:
        """Refuse a presentation in which a neuron's charge could leave the membrane's range.

        The worst case is assumed: at every step all that inhibits, or all that excites, fires.

        Parameters
        ----------
        layer : ChipLayer
        steps : int
        least, most : numpy.ndarray
            Least and largest bias of each neuron, axis (neuron,).
        """
        low, high = self.charge_range(layer, steps, least, most)
        end = 2 ** (self.membrane_bits - 1)
        if low < -end or high >= end:
            worst = low if -low > high else high
            raise InputError(
                f"layer {layer.name!r}: in {steps} steps a neuron's charge could reach {worst}, "
                f"and a membrane of {self.membrane_bits} bits holds {-end} to {end - 1}: quantise "
                f"for more steps (`steps={2 * steps}` takes a smaller exponent), present fewer, "
                "or use fewer `bits`."
            )

    def charge_range(
        self, layer: ChipLayer, steps: int, least: np.ndarray, most: np.ndarray
    ) -> tuple[int, int]:
        """Lowest and highest charge any neuron could have; see `check_charge`."""
        lasting = FULL / (FULL - self.keep)  # what a current that fades adds up to
        down, up = (np.ceil(lasting * reach) for reach in layer.reach())
        down, up = np.maximum(down - least, 0), np.maximum(up + most, 0)
        if self.floor is None:
            low = min(layer.start, 0) - steps * down.max()
        else:
            low = self.floor - down.max()
        high = max(layer.start, layer.threshold) + up.max()
        if self.reset == "subtract":
            high += (steps - 1) * max(up.max() - layer.threshold, 0)
        return int(low), int(high)


def hard_reset(chip: ChipNetwork) -> ChipNetwork:
    """Return the same integers with the neuron that NengoLoihi offers, started at 0.

    `LoihiSpikingRectifiedLinear` on a Loihi 1: a spike empties the neuron, so the charge beyond the
    threshold is lost; a neuron does not sink below 0; a spike arrives one step later; 1/4096 of a
    current is left at the next step, as NengoLoihi 1.1 programs it for a connection without
    synapse. Loihi fires above its threshold, not at it: there, program one less than `threshold`.

    Of the charge-keeping neuron that emulator can express the negative charge (its parameter `vmin`
    goes down to -2**23 + 1, though its neuron sets 0), not the subtraction: a spike always empties.

    Parameters
    ----------
    chip : ChipNetwork
        From `quantise`.

    Returns
    -------
    ChipNetwork
        The same weights and biases, with another neuron.

    Examples
    --------
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.conversion import calibrate
    >>> from spikedrop.chip import quantise
    >>> chip = quantise(network, calibrate(network, [[1.0]], rate_hz=100), steps=100)
    >>> chip.reset, hard_reset(chip).reset
    ('subtract', 'zero')
    """
    layers = tuple(replace(layer, start=0) for layer in chip.layers)
    return replace(chip, layers=layers, reset="zero", floor=0, delay=1, keep=1)
