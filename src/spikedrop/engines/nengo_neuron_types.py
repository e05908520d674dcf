"""A Nengo neuron type that keeps negative charge, with its NengoDL implementation.

Both are written so that any Nengo model can use them.
"""

from __future__ import annotations

import numpy as np

from spikedrop.engines.nengo_dl_import import import_nengo_dl
from spikedrop.engines.nengo_import import nengo


class ChargeKeepingRectifiedLinear(nengo.RectifiedLinear):
    r"""Integrate-and-fire neuron with soft reset that keeps negative charge.

    .. math::

        v \leftarrow v + J\,\mathrm{dt}, \qquad
        n = \max(0, \lfloor v \rfloor), \qquad
        v \leftarrow v - n

    The output is ``amplitude * n / dt``. `nengo.SpikingRectifiedLinear` adds
    :math:`\max(J, 0)\,\mathrm{dt}` instead, which rectifies the *instantaneous* current: a noisy
    current of mean zero then fires, and the bias does not shrink with time. Here charge is
    conserved, so that the spike count follows the mean current to within a spike once the
    current has settled.

    Parameters
    ----------
    amplitude : float
        Scaling factor on the output.
    initial_state : dict, optional
        ``{"voltage": distribution or array}``; Nengo's default is uniform between 0 and 1.

    Examples
    --------
    >>> with nengo.Network() as net:
    ...     drive = nengo.Node([-0.5])
    ...     ens = nengo.Ensemble(
    ...         1, 1, neuron_type=ChargeKeepingRectifiedLinear(
    ...             initial_state={"voltage": nengo.dists.Choice([0.5])}),
    ...         gain=[1000.0], bias=[0.0], encoders=[[1]])
    ...     link = nengo.Connection(drive, ens, synapse=None)
    ...     voltage = nengo.Probe(ens.neurons, "voltage")
    >>> with nengo.Simulator(net, progress_bar=False) as sim:
    ...     sim.run_steps(3)
    >>> sim.data[voltage].ravel().tolist()
    [0.0, -0.5, -1.0]
    """

    # Nengo's own way to declare state
    state = {"voltage": nengo.dists.Uniform(low=0, high=1)}  # noqa: RUF012
    spiking = True

    def rates(self, x: np.ndarray, gain: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """Return the firing rate for a constant input: the rectified current."""
        current = self.current(x, gain, bias)
        return self.amplitude * np.maximum(current, 0.0)

    def step(self, dt: float, J: np.ndarray, output: np.ndarray, voltage: np.ndarray) -> None:
        """Advance by one step of `dt` seconds, in place."""
        voltage += J * dt
        spikes = np.maximum(np.floor(voltage), 0)
        output[...] = (self.amplitude / dt) * spikes
        voltage -= spikes


def register_with_nengo_dl() -> None:
    """Teach NengoDL to run `ChargeKeepingRectifiedLinear` in TensorFlow; safe to call twice.

    Without it NengoDL falls back to the Python step above, item by item, and warns.
    """
    import_nengo_dl()
    import tensorflow as tf
    from nengo_dl.neuron_builders import SimNeuronsBuilder, SpikingRectifiedLinearBuilder

    class ChargeKeepingBuilder(SpikingRectifiedLinearBuilder):
        """The TensorFlow step; in training NengoDL uses the rectified line, as for its own."""

        def step(
            self, J: tf.Tensor, dt: tf.Tensor, voltage: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            voltage += J * dt
            spikes = tf.maximum(tf.floor(voltage), tf.zeros_like(voltage))
            return spikes * self.alpha, voltage - spikes

    SimNeuronsBuilder.TF_NEURON_IMPL.setdefault(ChargeKeepingRectifiedLinear, ChargeKeepingBuilder)
