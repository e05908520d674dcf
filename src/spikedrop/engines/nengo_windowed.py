"""Nengo neuron types that integrate a whole window before they fire, and their NengoDL side.

Time is cut into windows of equal length. A neuron gathers charge in one of them and fires in the
next; where layers of different depth meet, it fires the same again until the last of its readers
has listened.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spikedrop.engines.nengo_dl_import import import_nengo_dl
from spikedrop.engines.nengo_import import nengo


class IntegrateFirstRectifiedLinear(nengo.RectifiedLinear):
    r"""Integrate-and-fire neuron that waits for a window of T steps, then fires in the next.

    .. math::

        q &\leftarrow q + J\,\mathrm{dt} \quad \text{in window } w \\
        n &= [v \ge 1], \quad v \leftarrow v - n \quad
        \text{in windows } w + 1, \ldots, \text{last, each from } v = q

    At most one spike per step; the output is ``amplitude * n / dt``. All input counts before the
    first spike, so the order in which it comes does not matter.

    Parameters
    ----------
    steps : int
        Length T of a window.
    window : int
        The window w in which it integrates; the first is 0.
    last : int, optional
        The last window in which it fires; ``window + 1`` by default.
    amplitude : float
        Scaling factor on the output.
    initial_state : dict, optional
        ``{"charge": ...}`` is q at the start, one half by default, which rounds to the nearest
        spike.

    Examples
    --------
    2.6 quanta of charge arrive in the first four steps; with the half, three spikes leave.

    >>> with nengo.Network() as net:
    ...     drive = nengo.Node([0.65])
    ...     ens = nengo.Ensemble(
    ...         1, 1, neuron_type=IntegrateFirstRectifiedLinear(steps=4),
    ...         gain=[1000.0], bias=[0.0], encoders=[[1]])
    ...     link = nengo.Connection(drive, ens, synapse=None)
    ...     probe = nengo.Probe(ens.neurons)
    >>> with nengo.Simulator(net, progress_bar=False) as sim:
    ...     sim.run_steps(8)
    >>> (sim.data[probe].ravel() * sim.dt).tolist()
    [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0]
    """

    state = {  # noqa: RUF012 - Nengo's own way to declare state
        "voltage": nengo.dists.Choice([0.0]),  # the membrane: charge that has not been fired yet
        "charge": nengo.dists.Choice([0.5]),  # what the window brought
        "clock": nengo.dists.Choice([0.0]),  # steps since the start
    }
    spiking = True
    binary = False  # whether the threshold halves at every step

    steps = nengo.params.IntParam("steps", low=1)
    window = nengo.params.IntParam("window", low=0)
    last = nengo.params.IntParam("last", low=1)

    def __init__(
        self,
        steps: int,
        window: int = 0,
        last: int | None = None,
        amplitude: float = 1,
        initial_state: dict | None = None,
    ) -> None:
        """Set the windows; see the class."""
        super().__init__(amplitude, initial_state)
        self.steps, self.window = steps, window
        self.last = window + 1 if last is None else last

    @property
    def levels(self) -> int:
        """Quanta of charge that a current of ``1 / dt`` brings in a window."""
        return 2**self.steps if self.binary else self.steps

    def rates(self, x: np.ndarray, gain: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """Return the mean output of a firing window: the rectified current, up to ``1 / dt``."""
        return self.amplitude * np.maximum(self.current(x, gain, bias), 0.0)

    def step(
        self,
        dt: float,
        J: np.ndarray,
        output: np.ndarray,
        voltage: np.ndarray,
        charge: np.ndarray,
        clock: np.ndarray,
    ) -> None:
        """Advance by one step of `dt` seconds, in place."""
        window, t = divmod(clock[0], self.steps)  # one clock for all
        if window == self.window:
            charge += self.levels / self.steps * J * dt
        if window <= self.window or t == 0:
            voltage[...] = charge
        threshold = 2.0 ** (self.steps - 1 - t) if self.binary else 1.0
        spikes = (self.window < window <= self.last) * (voltage >= threshold)
        output[...] = (self.amplitude / dt) * (threshold * self.steps / self.levels) * spikes
        voltage -= threshold * spikes
        clock += 1


class RadixRectifiedLinear(IntegrateFirstRectifiedLinear):
    r"""The same windows; a spike at step k of T is a binary digit of the charge.

    .. math::

        q &\leftarrow q + \frac{2^T}{T} J\,\mathrm{dt} \quad \text{in window } w \\
        n &= [v \ge \theta_k], \quad v \leftarrow v - n\,\theta_k, \quad \theta_k = 2^{T - 1 - k}

    and the output is ``amplitude * n * T * 2**-(k+1) / dt``: spikes carry a number, and their mean
    over a window is the current, to one part in :math:`2^T`.

    Parameters
    ----------
    steps, window, last, amplitude, initial_state : see `IntegrateFirstRectifiedLinear`

    Examples
    --------
    Charge 0.5 + 0.7 x 16 = 11.7 leaves as 11, which is 1011 in binary digits.

    >>> with nengo.Network() as net:
    ...     drive = nengo.Node([0.7])
    ...     ens = nengo.Ensemble(
    ...         1, 1, neuron_type=RadixRectifiedLinear(steps=4),
    ...         gain=[1000.0], bias=[0.0], encoders=[[1]])
    ...     link = nengo.Connection(drive, ens, synapse=None)
    ...     probe = nengo.Probe(ens.neurons)
    >>> with nengo.Simulator(net, progress_bar=False) as sim:
    ...     sim.run_steps(8)
    >>> (sim.data[probe].ravel()[4:] * sim.dt).tolist()
    [2.0, 0.0, 0.5, 0.25]
    """

    binary = True


def register_windowed_with_nengo_dl() -> None:
    """Teach NengoDL to run both neurons in TensorFlow; safe to call twice."""
    import_nengo_dl()
    import tensorflow as tf
    from nengo_dl.neuron_builders import SimNeuronsBuilder, SpikingRectifiedLinearBuilder

    class WindowedBuilder(SpikingRectifiedLinearBuilder):
        """The TensorFlow step; in training NengoDL uses the rectified line, as for its own."""

        def build_pre(self, signals: Any, config: Any) -> None:
            super().build_pre(signals, config)
            neurons, sizes = [op.neurons for op in self.ops], [op.J.shape[0] for op in self.ops]
            self.steps, self.levels, self.window, self.last = (
                signals.op_constant(neurons, sizes, name, signals.dtype)
                for name in ("steps", "levels", "window", "last")
            )
            self.binary = neurons[0].binary  # NengoDL merges neurons of one type only

        def step(
            self,
            J: tf.Tensor,
            dt: tf.Tensor,
            voltage: tf.Tensor,
            charge: tf.Tensor,
            clock: tf.Tensor,
        ) -> tuple[tf.Tensor, ...]:
            window = tf.floor(clock / self.steps)
            t = clock - window * self.steps
            brought = J * dt * (self.levels / self.steps)
            charge += tf.where(window == self.window, brought, tf.zeros_like(J))
            voltage = tf.where((window <= self.window) | (t == 0), charge, voltage)
            threshold = tf.ones_like(J)
            if self.binary:  # a shift, because float32 powers are not exact on every device
                place = tf.cast(self.steps - 1 - t, tf.int32)
                threshold = tf.cast(tf.bitwise.left_shift(tf.ones_like(place), place), J.dtype)
            fires = (window > self.window) & (window <= self.last) & (voltage >= threshold)
            counted = tf.where(fires, threshold, tf.zeros_like(J))
            output = counted * (self.steps / self.levels) * self.alpha
            return output, voltage - counted, charge, clock + 1

    for kind in (IntegrateFirstRectifiedLinear, RadixRectifiedLinear):
        SimNeuronsBuilder.TF_NEURON_IMPL.setdefault(kind, WindowedBuilder)
