"""Spiking neurons, one class each, and how the readout weights steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from spikedrop.checks.arguments import of_type, one_of, real_number, whole_number, yes_or_no
from spikedrop.checks.registry import register
from spikedrop.errors import InputError

Readout = Literal["mean", "parabola"]
READOUTS: tuple[Readout, ...] = ("mean", "parabola")
Kind = Literal["SNN", "quantised", "bit-serial"]


@dataclass(frozen=True)
class Neuron(ABC):
    r"""What a unit of a hidden layer becomes: one subclass per neuron, registered by its name.

    A subclass states its equation, gives the fields below their values, and writes `step`. A field
    of its own (a leak, a threshold) is one line more. `register_neuron` makes it known; from then
    on ``backend="numpy"`` runs it, and its samples are stored, its operations counted and budgets
    planned with it. Programs that are written for certain neurons (the engine, Nengo, the chip,
    NIR) refuse it by name.

    Attributes
    ----------
    name : str
        What `Conversion.neuron`, stores and messages call it.
    windowed : bool
        Whether a layer integrates for a whole window, in which the layers below it fire, and fires
        in the window after it. All its charge is then there before its first spike.
    shifts : bool
        Whether spikes of different steps count differently (`spike_values`), so that hardware
        shifts the weight that a spike meets; each synaptic operation is charged a shift.
    percentile : float
        Of a layer's activations, at which `calibrate` sets the firing rate by default; 0 to 100.
    most_steps : int or None
        Steps of a presentation beyond which it does not work; None where it works with any number.
    pilot_steps : tuple of int
        Steps at which `spikedrop.energy.planning.run_pilot` measures by default, increasing.
    hardware : str
        What it needs of hardware, to follow "needs".
    nir : str
        Why NIR cannot express it, to follow its name; empty where it can.
    """

    name: str
    windowed: bool = False
    shifts: bool = False
    percentile: float = 98.0
    most_steps: int | None = None
    pilot_steps: tuple[int, ...] = (8, 16, 32, 64, 128, 256)
    hardware: str = "a circuit of its own"
    nir: str = "is not a neuron that the NIR export was written for"

    @abstractmethod
    def step(
        self, charge: np.ndarray, arriving: np.ndarray, t: int, steps: int
    ) -> tuple[np.ndarray, np.ndarray]:
        r"""Take in the charge of one time step and fire.

        Parameters
        ----------
        charge : numpy.ndarray
            Charge v before the step in units of the threshold, axes ``(observation, *shape)``.
        arriving : numpy.ndarray
            Charge :math:`J\,\mathrm{dt}` that arrives in the step, same axes and unit; 0 for a
            windowed neuron, whose `charge` holds it already.
        t, steps : int
            Number of the step, from 0, and steps of a presentation (of a window).

        Returns
        -------
        spikes, charge : numpy.ndarray
            Spikes fired, and the charge that is left, same axes.
        """

    @property
    def kind(self) -> Kind:
        """Kind of network that these neurons make, a rate code (``SNN``), quantised or bit-serial.

        What a windowed neuron sends depends only on its charge and is a rounded activation: such
        networks equal an artificial one (`spikedrop.study.rounded`), and tables and figures do not
        count them among the spiking networks.
        """
        if not self.windowed:
            return "SNN"
        return "bit-serial" if self.shifts else "quantised"

    def levels(self, steps: int) -> int:
        r"""Quanta of charge that stand for full scale, the activation :math:`1 / (g\,dt)`."""
        return steps

    def largest(self, steps: int) -> int:
        """Largest number of quanta that a windowed neuron sends in its window."""
        return self.levels(steps)

    def spike_values(self, steps: int) -> np.ndarray:
        """What a spike counts at each step, float32, axis (step,); the mean over steps is read."""
        return np.ones(steps, np.float32)

    def settle(self, steps: int, readout: Readout) -> int:
        """Steps that the average of the readout leaves out by default.

        A fifth; a tenth where the first steps weigh little; none where layers wait for whole
        windows.
        """
        return 0 if self.windowed else steps // (5 if readout == "mean" else 10)

    def check_steps(self, steps: int) -> None:
        """Refuse a presentation that is too long for the neuron."""
        if self.most_steps is not None and steps > self.most_steps:
            raise InputError(
                f"steps={steps}: at most {self.most_steps} for neuron={self.name!r}; "
                f"{self.pilot_steps[0]} to {self.pilot_steps[-1]} are usual."
            )


@dataclass(frozen=True)
class ChargeKeeping(Neuron):
    r"""Integrate-and-fire neuron that keeps negative charge and resets by subtraction.

    .. math::

        v \leftarrow v + J\,\mathrm{dt}, \qquad n = \max(0, \lfloor v \rfloor), \qquad
        v \leftarrow v - n

    with v the charge in units of the threshold, J the current in thresholds per second (hertz), dt
    the time step in seconds, and n the spikes of the step. What the charge loses in spikes is what
    arrived, so the error of the mean falls as 1/T with the T steps.

    Hand-worked: charge 0.5 and -0.9 leave -0.4 and no spike; 2.5 more leave 0.1 and two spikes.

    >>> neuron = ChargeKeeping()
    >>> spikes, charge = neuron.step(np.array([0.5, -0.4]), np.array([-0.9, 2.5]), 0, 2)
    >>> spikes.tolist(), charge.round(6).tolist()
    ([0.0, 2.0], [-0.4, 0.1])
    """

    name: str = "charge_keeping"
    hardware: str = "a membrane with a sign and a reset by subtraction"
    nir: str = ""

    def step(
        self, charge: np.ndarray, arriving: np.ndarray, t: int, steps: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Add what arrives; fire once for every whole threshold."""
        charge = charge + arriving
        spikes = np.maximum(np.floor(charge), 0)
        return spikes, charge - spikes


@dataclass(frozen=True)
class Rectified(ChargeKeeping):
    r"""Nengo's `SpikingRectifiedLinear`, which takes in no negative current.

    .. math::

        v \leftarrow v + \max(J, 0)\,\mathrm{dt}, \qquad n = \max(0, \lfloor v \rfloor), \qquad
        v \leftarrow v - n

    with the symbols and units of `ChargeKeeping`. Noise of the current is rectified into a bias
    that does not shrink with time; a low-pass filter in front makes it smaller.

    >>> spikes, charge = Rectified().step(np.array([0.5, 0.5]), np.array([-0.9, 2.5]), 0, 2)
    >>> spikes.tolist(), charge.tolist()
    ([0.0, 3.0], [0.5, 0.0])
    """

    name: str = "rectified"
    hardware: str = "a reset by subtraction, and a rectifier in front of the membrane"
    nir: str = "adds only positive current, and NIR has no node between that does"

    def step(
        self, charge: np.ndarray, arriving: np.ndarray, t: int, steps: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Add what arrives if it is positive; fire once for every whole threshold."""
        return super().step(charge, np.maximum(arriving, 0), t, steps)


@dataclass(frozen=True)
class IntegrateFirst(Neuron):
    r"""Neuron that integrates a whole window, then fires at most once per step.

    .. math::

        v_0 = c + \sum_{t=1}^{T} J_t\,\mathrm{dt}, \\
        n_t = [v_{t-1} \ge 1], \qquad v_t = v_{t-1} - n_t, \qquad t = 1 \dots T

    with v the charge in units of the threshold, c the initial charge, :math:`J_t` the current in
    thresholds per second at step t of the window before, dt the time step in seconds,
    :math:`n_t` the spikes and T the steps of a window. It equals, to rounding of floating point, an
    artificial network whose activations are rounded to T levels: time only counts the level out
    (`spikedrop.study.rounded`). Where branches of different depth meet, the shallower repeats its
    window.

    >>> spikes, charge = IntegrateFirst().step(np.array([2.5, 0.9]), 0.0, 0, 4)
    >>> spikes.tolist(), charge.tolist()
    ([1.0, 0.0], [1.5, 0.9])
    """

    name: str = "integrate_first"
    windowed: bool = True
    percentile: float = 99.9  # what is beyond one spike per step is lost
    hardware: str = "a gate for each layer (fire or integrate) and a window of latency per layer"
    nir: str = "waits for a window, and NIR's neurons have no gate"

    def threshold(self, t: int, steps: int) -> float:
        """Charge that a spike at step t takes, in units of the threshold."""
        return 1.0

    def step(
        self, charge: np.ndarray, arriving: np.ndarray, t: int, steps: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fire once if the charge has reached the threshold of the step."""
        threshold = self.threshold(t, steps)
        spikes = (charge >= threshold).astype(charge.dtype)
        return spikes, charge - threshold * spikes


@dataclass(frozen=True)
class Radix(IntegrateFirst):
    r"""Neuron that integrates a whole window, then sends its charge digit by digit.

    .. math::

        v_0 = c + \frac{2^T}{T} \sum_{t=1}^{T} J_t\,\mathrm{dt}, \\
        n_t = [v_{t-1} \ge 2^{T-t}], \quad v_t = v_{t-1} - 2^{T-t}\, n_t, \quad t = 1 \dots T

    with the symbols of `IntegrateFirst`; v is in quanta, of which full scale has :math:`2^T`. It
    equals an artificial network whose activations are rounded to T bits and multiplied one bit
    plane at a time, most significant first: *bit-serial* arithmetic. The literature on spikes calls
    it radix encoding (Wang et al. 2021, arXiv:2105.06943).

    Five is 101 in binary; the first of three digits takes 4.

    >>> spikes, charge = Radix().step(np.array([5.0, 3.0]), 0.0, 0, 3)
    >>> spikes.tolist(), charge.tolist()
    ([1.0, 0.0], [1.0, 3.0])
    >>> Radix().levels(3), Radix().largest(3), Radix().spike_values(4).tolist()
    (8, 7, [2.0, 1.0, 0.5, 0.25])
    """

    name: str = "radix"
    shifts: bool = True
    most_steps: int | None = 20  # digits that float32 counts exactly
    pilot_steps: tuple[int, ...] = (2, 4, 6, 8, 10)
    hardware: str = (
        "a gate for each layer, a window of latency per layer, and synapses that shift by one bit "
        "per step, or graded spikes"
    )
    nir: str = "halves its threshold at every step, and NIR's thresholds are constant"

    def threshold(self, t: int, steps: int) -> float:
        """The binary place of the digit that is sent at step t."""
        return 2.0 ** (steps - 1 - t)

    def levels(self, steps: int) -> int:
        """Numbers of `steps` bits."""
        return 2**steps

    def largest(self, steps: int) -> int:
        """Largest number of `steps` bits."""
        return 2**steps - 1

    def spike_values(self, steps: int) -> np.ndarray:
        """Binary place of each step, with which the mean over steps is the number over `levels`."""
        return np.float32(steps) * np.float32(2) ** -np.arange(1, steps + 1, dtype=np.float32)


#: Every neuron by its name.
#:
#: :meta hide-value:
NEURONS: dict[str, Neuron] = {
    neuron.name: neuron for neuron in (ChargeKeeping(), Rectified(), IntegrateFirst(), Radix())
}
SHIPPED = frozenset(NEURONS)  # their names mean the same in every process


def register_neuron(neuron: Neuron) -> None:
    """Make a neuron known by its name, in this process; workers of a cluster need their own call.

    A name of yours may be registered again, as in a notebook whose cell runs twice.

    Raises
    ------
    InputError
        If it is not an instance of a subclass of `Neuron`, a field of it is out of range, or its
        name is empty or that of a neuron of this package.

    Examples
    --------
    A neuron that loses a tenth of its charge at every step:

    >>> @dataclass(frozen=True)
    ... class Leaky(ChargeKeeping):
    ...     name: str = "leaky"
    ...     nir: str = "leaks, and the NIR export writes neurons that do not"
    ...     kept: float = 0.9
    ...
    ...     def step(self, charge, arriving, t, steps):
    ...         return super().step(self.kept * charge, arriving, t, steps)
    >>> register_neuron(Leaky())
    >>> neuron_of("leaky").step(np.array([1.0]), np.array([0.2]), 0, 1)
    (array([1.]), array([0.1]))
    >>> del NEURONS["leaky"]  # known no more
    """
    abstract: Any = Neuron
    of_type("neuron", neuron, abstract, "a subclass of `spikedrop.neurons.Neuron`")
    yes_or_no("windowed", neuron.windowed)
    yes_or_no("shifts", neuron.shifts)
    real_number("percentile", neuron.percentile, above=0, most=100)
    if neuron.most_steps is not None:
        whole_number("most_steps", neuron.most_steps, least=1)
    steps = [whole_number("pilot_steps", n, least=1) for n in neuron.pilot_steps]
    if not steps or steps != sorted(set(steps)):
        raise InputError(f"pilot_steps={neuron.pilot_steps}: give increasing whole numbers.")
    register(NEURONS, SHIPPED, neuron.name, neuron, "neuron")


def neuron_of(name: str) -> Neuron:
    """Return a registered neuron.

    Raises
    ------
    InputError
        If no neuron has the name.

    Examples
    --------
    >>> [neuron_of(name).kind for name in ("charge_keeping", "integrate_first", "radix")]
    ['SNN', 'quantised', 'bit-serial']
    >>> neuron_of("lif")
    Traceback (most recent call last):
    spikedrop.errors.InputError: neuron='lif'; use 'charge_keeping', 'rectified', ...
    """
    return NEURONS[one_of("neuron", name, tuple(NEURONS))]


def step_weights(readout: Readout, steps: int, settle: int = 0) -> np.ndarray:
    r"""Weights of the time steps in the average of the readout; their mean after `settle` is 1.

    A neuron that keeps its charge sends :math:`n_t = J_t + v_{t-1} - v_t` spikes at step t, with
    J the current in thresholds per step and v the charge that is left. A sum with weights w is
    therefore

    .. math:: \sum_t w_t n_t = \sum_t w_t J_t + \sum_t (w_{t+1} - w_t)\, v_t ,

    and the current of a deeper layer is made of spikes that are weighted alike: the second sum is
    the error of every layer that fires. With equal weights it is the charge at both ends, an error
    that falls as :math:`1 / n` with the n steps. Weights without jumps spread it over all steps,
    where it averages out: as :math:`n^{-3/2}` if charges at different steps are independent. That
    error is least where :math:`\sum_t (w_{t+1} - w_t)^2` is, at given mean and with zeros before
    and behind: on the parabola

    .. math:: w_k = \frac{6\, k\, (n + 1 - k)}{(n + 1)(n + 2)}, \qquad k = 1 \dots n

    (own derivation, by a Lagrange multiplier). An integrate-and-fire neuron is a sigma-delta
    modulator, read by a low-pass filter (Yoon 2017, doi:10.1109/TNNLS.2016.2526029). For such a
    modulator with a constant input, a triangular filter of length n reaches a mean squared error
    of the order :math:`n^{-3}`, the best possible order (Gunturk, Lagarias and Vaishampayan 2001,
    IEEE Transactions on Information Theory 47(5), 1735).

    Parameters
    ----------
    readout : {"mean", "parabola"}
    steps, settle : int
        Steps of a presentation, and those at its beginning that do not count.

    Returns
    -------
    numpy.ndarray
        float64, axis (step,); 0 in the first `settle` steps.

    Examples
    --------
    >>> step_weights("mean", 4, settle=1).tolist()
    [0.0, 1.0, 1.0, 1.0]
    >>> step_weights("parabola", 4, settle=1).round(3).tolist()
    [0.0, 0.9, 1.2, 0.9]
    """
    n = steps - settle
    k = np.arange(1 - settle, n + 1.0)
    weights = np.ones(steps) if readout == "mean" else 6 * k * (n + 1 - k) / ((n + 1) * (n + 2))
    return np.where(k > 0, weights, 0.0)
