"""The dynamics of the spiking network in plain NumPy, written to be read.

The engine and every backend are held against this file by tests.
"""

from __future__ import annotations

import numpy as np

from spikedrop.conversion import Conversion
from spikedrop.engines.saturation import share
from spikedrop.errors import InputError
from spikedrop.network.graph import Network
from spikedrop.network.layers import Layer, linear, masked, with_masked_weights
from spikedrop.neurons import SHIPPED, step_weights


def simulate(
    network: Network,
    conversion: Conversion,
    x: np.ndarray,
    masks: dict[str, np.ndarray],
    *,
    steps: int,
    settle: int = 0,
    initial_charge: dict[str, np.ndarray] | None = None,
    record: dict | None = None,
    shares: dict[str, np.ndarray] | None = None,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Present inputs for `steps` time steps and average the readout.

    Layer after layer, each for all steps at once; what a layer sends has its activation as mean.

    Parameters
    ----------
    network, conversion : the trained network and how it is converted
    x : numpy.ndarray
        Axes (observation, feature), constant while presented.
    masks : dict of numpy.ndarray
        As `network_masks` gives them; with an axis of steps in front, they change at every step.
    steps, settle : int
        Steps presented; the first `settle` of them do not count in the average.
    initial_charge : dict of numpy.ndarray, optional
        Of every hidden layer, by its name, in place of the conversion's one number: axes
        ``(observation or 1, *shape)``, in units of the threshold; see
        `spikedrop.study.variance.random_charge`.
    record : dict, optional
        Receives ``current``, ``voltage`` (after the spikes) and ``spikes`` of every hidden layer,
        by its name, each ``(step, observation, *shape)``; and as ``readout`` (step, observation,
        output).
    shares : dict of numpy.ndarray, optional
        Receives, for neurons that integrate first, the share of every layer's neurons that are
        driven beyond full scale, axis (observation,).

    Returns
    -------
    readout : numpy.ndarray
        Readout averaged over the steps after `settle`, axes (observation, output).
    counts : list of numpy.ndarray
        Spikes of every hidden neuron over all steps, axes ``(observation, *shape)``.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.conversion import calibrate
    >>> conversion = calibrate(network, [[1.0]], rate_hz=500)
    >>> readout, counts = simulate(network, conversion, np.ones((1, 1)), {"h": 2 * one}, steps=100)
    >>> readout.round(3).tolist(), counts[0].tolist()  # 500 Hz for 0.1 s; 2, doubled by the mask
    ([[4.0]], [[50.0]])
    """
    scales = dict(zip((layer.name for layer in network.hidden), conversion.scales_hz, strict=True))
    inputs = {name: np.stack([h] * steps) for name, h in network.split(x).items()}
    sent: dict[str, np.ndarray] = {}  # by each layer, axes (step, observation, *shape)
    passed = sent if conversion.synapse_s is None else {}  # the same, behind the synapses
    counts, neuron = [], conversion.dynamics
    for layer in network.layers:
        if not layer.spiking:
            for values in (sent,) if passed is sent else (sent, passed):
                h = inputs[layer.name] if layer.is_input else weigh(layer, values, masks)
                values[layer.name] = masked(layer, h, masks)
            continue
        scale = scales[layer.name]
        current = scale * weigh(layer, passed, masks)
        start = None if initial_charge is None else initial_charge[layer.name]
        spikes, voltage = neurons(conversion, current, start)
        if shares is not None and conversion.windowed:
            lost = neuron.largest(steps) - conversion.levels(steps)  # quanta of full scale not sent
            shares[layer.name] = share(voltage[-1] + lost >= 1)
        if layer.name in masks and layer.family != "weights":  # a dropped neuron is silent
            spikes = spikes * (masks[layer.name] != 0)
        value = neuron.spike_values(steps).reshape(-1, *[1] * (spikes.ndim - 1))
        sent[layer.name] = masked(layer, spikes * value / (scale * conversion.dt), masks)
        if passed is not sent:
            passed[layer.name] = low_pass(sent[layer.name], conversion)
        counts.append(spikes.sum(axis=0))
        if record is not None:
            record[layer.name] = {"current": current, "voltage": voltage, "spikes": spikes}
    if record is not None:
        record["readout"] = network.join(sent)
    means = {name: averaged(conversion, sent[name], settle) for name in network.outputs}
    return network.join(means), counts


def averaged(conversion: Conversion, sent: np.ndarray, settle: int) -> np.ndarray:
    """Average over steps, the first axis, with the weights of `step_weights`."""
    if conversion.readout == "mean":
        return sent[settle:].mean(axis=0)
    weights = step_weights(conversion.readout, len(sent), settle).astype(sent.dtype)
    return np.tensordot(weights, sent, 1) / sent.dtype.type(len(sent) - settle)


def weigh(layer: Layer, values: dict[str, np.ndarray], masks: dict[str, np.ndarray]) -> np.ndarray:
    """Apply a layer's linear map to what its sources send, all steps at once."""
    below = [values[source] for source in layer.sources]
    flat = [h.reshape(-1, *h.shape[2:]) for h in below]
    out = linear(with_masked_weights(layer, masks), flat)
    return out.reshape(*below[0].shape[:2], *out.shape[1:])


def neurons(
    conversion: Conversion, current: np.ndarray, start: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Drive neurons with a current, axes (step, ...), as their class in `spikedrop.neurons` says.

    All start from `start`, which broadcasts to one step of the current, or else from the
    conversion's initial charge. Returns the spikes and the charge after them, same axes.

    Hand-worked: charge 0.5 and -0.9 of current over one second leave -0.4 and no spike; 2.5 more
    leave 0.1 and two spikes.

    >>> keeping = Conversion((1.0,), "charge_keeping", initial_charge=0.5, dt=1.0)
    >>> spikes, voltage = neurons(keeping, np.array([-0.9, 2.5]))
    >>> spikes.tolist(), voltage.round(6).tolist()
    ([0.0, 2.0], [-0.4, 0.1])
    """
    steps, dt, neuron = len(current), conversion.dt, conversion.dynamics
    start = conversion.initial_charge if start is None else start
    v = np.broadcast_to(np.asarray(start, current.dtype), current.shape[1:])
    if neuron.windowed:  # all charge is there before the first spike
        v = v + neuron.levels(steps) * dt * current.mean(axis=0)
    spikes, voltage = np.zeros_like(current), np.zeros_like(current)
    for t in range(steps):
        arriving = np.zeros_like(v) if neuron.windowed else current[t] * dt
        fired, v = neuron.step(v, arriving, t, steps)
        if conversion.neuron not in SHIPPED:
            _check_step(conversion.neuron, fired, v, arriving.shape)
        spikes[t] = fired
        voltage[t] = v
    return spikes, voltage


def _check_step(name: str, spikes: np.ndarray, charge: np.ndarray, shape: tuple[int, ...]) -> None:
    """Refuse what a registered neuron returns if it cannot be spikes and charge."""
    for what, values in (("spikes", spikes), ("charge", charge)):
        if np.shape(values) != shape or not np.isfinite(values).all():
            raise InputError(
                f"neuron {name!r}: `step` returned {what} of shape {np.shape(values)}; expected "
                f"finite values of shape {shape}."
            )
    if np.min(spikes, initial=0) < 0:
        raise InputError(f"neuron {name!r}: `step` returned a negative number of spikes.")


def low_pass(sent: np.ndarray, conversion: Conversion) -> np.ndarray:
    """Filter along time as `nengo.Lowpass` does: what passes is the state before the step."""
    assert conversion.synapse_s is not None
    decay = np.exp(-conversion.dt / conversion.synapse_s).astype(sent.dtype)
    passed, state = np.zeros_like(sent), np.zeros_like(sent[0])
    for t, now in enumerate(sent):
        passed[t] = state
        state = decay * state + (1 - decay) * now
    return passed


def decode(conversion: Conversion, counts: list[np.ndarray], steps: int) -> list[np.ndarray]:
    """Return the activations that spike counts stand for: ``count / (scale * steps * dt)``.

    Raises
    ------
    InputError
        If the neuron's spikes do not all count the same.
    """
    if conversion.dynamics.shifts:
        raise InputError(
            f"neuron={conversion.neuron!r} sends spikes of different values, so their number does "
            "not give the activation: use a neuron that sends equal spikes."
        )
    return [
        count / (scale * steps * conversion.dt)
        for count, scale in zip(counts, conversion.scales_hz, strict=True)
    ]
