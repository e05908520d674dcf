"""The dynamics of the spiking network in plain NumPy, written to be read.

The engine and every backend are held against this file by tests.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spikedrop.network import Network
from spikedrop.spiking.conversion import Conversion, Neuron

Masks = list[np.ndarray]


def simulate(
    network: Network,
    conversion: Conversion,
    x: np.ndarray,
    masks: Masks | Callable[[int], Masks],
    *,
    steps: int,
    settle: int = 0,
    record: list[dict] | None = None,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Present inputs for `steps` time steps and average the readout.

    Parameters
    ----------
    network, conversion : the trained network and how it is converted
    x : numpy.ndarray
        Axes (observation, input), constant while presented.
    masks : list of numpy.ndarray, or function of the step
        As `network_masks` gives them. A function redraws them at every step: the wrong control.
    steps, settle : int
        Steps presented; the first `settle` of them do not count in the average.
    record : list, optional
        Receives one entry a step: ``current``, ``voltage`` (after the spikes) and ``spikes`` of
        every hidden layer, each (observation, unit), and ``readout`` (observation, output).
        From neurons that integrate first: one entry a layer, with ``voltage`` and ``spikes``,
        each (step, observation, unit), of the window in which it fires.

    Returns
    -------
    readout : numpy.ndarray
        Mean readout after `settle`, axes (observation, output).
    counts : list of numpy.ndarray
        Spikes of every hidden neuron over all steps, axes (observation, unit).
    """
    if conversion.windowed:
        return _simulate_windows(network, conversion, x, masks, steps, record)
    dt, scales, hidden = conversion.dt, conversion.scales_hz, network.hidden
    decay = 0.0 if conversion.synapse_s is None else float(np.exp(-dt / conversion.synapse_s))
    shapes = [(len(x), layer.units) for layer in hidden]
    voltages = [np.full(shape, conversion.initial_charge, x.dtype) for shape in shapes]
    counts = [np.zeros(shape, x.dtype) for shape in shapes]
    filtered = [np.zeros(shape, x.dtype) for shape in shapes]  # the synapses' state
    decoded_sum = np.zeros(shapes[-1], x.dtype)  # the readout is linear: average, then read out

    for step in range(steps):
        m = masks(step) if callable(masks) else masks
        if step == 0 or callable(masks):  # the first layer's current is constant
            first = scales[0] * ((x * m[0]) @ hidden[0].weights + hidden[0].bias)
        currents, fired = [first], []
        for i, v in enumerate(voltages):
            spikes = fire(v, currents[i], dt, conversion.neuron)
            spikes = spikes * (m[i + 1] != 0)  # a dropped neuron is silent
            fired.append(spikes)
            counts[i] += spikes
            decoded = spikes * m[i + 1] * (1 / (scales[i] * dt))
            if i + 1 == len(hidden):
                break
            through = decoded
            if conversion.synapse_s is not None:  # what passes is the state before this step
                through = filtered[i]
                filtered[i] = decay * through + (1 - decay) * decoded
            above = hidden[i + 1]
            currents.append(scales[i + 1] * (through @ above.weights + above.bias))
        if step >= settle:
            decoded_sum += decoded
        if record is not None:
            readout = decoded @ network.readout.weights + network.readout.bias
            voltage = [v.copy() for v in voltages]
            record.append(
                {"current": currents, "voltage": voltage, "spikes": fired, "readout": readout}
            )
    mean = decoded_sum / (steps - settle)
    return mean @ network.readout.weights + network.readout.bias, counts


def fire(voltage: np.ndarray, current: np.ndarray, dt: float, neuron: Neuron) -> np.ndarray:
    """Advance neurons by one step, in place, and return their spikes.

    Hand-worked: charge 0.5 and -0.9 of current over one second leave -0.4 and no spike; 2.5 more
    leave 0.1 and two spikes.

    >>> v = np.array([0.5])
    >>> [fire(v, np.array([j]), 1.0, "charge_keeping").tolist() for j in (-0.9, 2.5)]
    [[0.0], [2.0]]
    >>> round(float(v[0]), 6)
    0.1
    """
    voltage += (current if neuron == "charge_keeping" else np.maximum(current, 0)) * dt
    spikes = np.maximum(np.floor(voltage), 0)
    voltage -= spikes
    return spikes


def _simulate_windows(
    network: Network,
    conversion: Conversion,
    x: np.ndarray,
    masks: Masks,
    steps: int,
    record: list[dict] | None,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Integrate for a window of `steps` steps, then fire for one, layer after layer."""
    quanta = conversion.levels(steps) * conversion.dt  # times a scale: quanta of an activation
    arriving = [x * masks[0] / steps] * steps  # what comes in at each step of a window
    counts = []
    for layer, scale, m in zip(network.hidden, conversion.scales_hz, masks[1:], strict=True):
        v = np.full((len(x), layer.units), conversion.initial_charge, x.dtype)
        for h in arriving:
            v += scale * quanta * (h @ layer.weights + layer.bias / steps)
        count, arriving, trace = np.zeros_like(v), [], {"voltage": [], "spikes": []}
        for step in range(steps):
            threshold = fire_threshold(conversion.neuron, step, steps)
            spikes = (v >= threshold).astype(x.dtype)
            v -= threshold * spikes
            spikes = spikes * (m != 0)
            count += spikes
            arriving.append(spikes * m * (threshold / (scale * quanta)))
            trace["voltage"].append(v.copy())
            trace["spikes"].append(spikes)
        counts.append(count)
        if record is not None:
            record.append({name: np.stack(values) for name, values in trace.items()})
    return sum(arriving) @ network.readout.weights + network.readout.bias, counts


def fire_threshold(neuron: Neuron, step: int, steps: int) -> int:
    """Return the threshold of a windowed neuron at a step of its firing window, in quanta.

    >>> [fire_threshold("radix", step, 4) for step in range(4)]
    [8, 4, 2, 1]
    """
    return 2 ** (steps - 1 - step) if neuron == "radix" else 1


def decode(conversion: Conversion, counts: list[np.ndarray], steps: int) -> list[np.ndarray]:
    """Return the activations that spike counts stand for: ``count / (scale * steps * dt)``."""
    return [
        count / (scale * steps * conversion.dt)
        for count, scale in zip(counts, conversion.scales_hz, strict=True)
    ]
