"""The converted network as a Nengo model, run by Nengo or by NengoDL.

One model serves both. A mask freezes a neuron by a strong inhibitory current for the whole
presentation, so that the weights stay what they are and one build serves every draw; the
factor 1/(1-p) of the neurons that stay is constant and folded into their amplitude.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import nengo
import numpy as np
from nengo.dists import Choice

from spikedrop.backends.neurons import ChargeKeepingRectifiedLinear, register_with_nengo_dl
from spikedrop.network import Network
from spikedrop.spiking.conversion import Conversion
from spikedrop.spiking.reference import Masks
from spikedrop.spiking.sampler import Simulator

INHIBITION = -1e9  # threshold units a second: no input lifts a neuron out of it


@dataclass(frozen=True)
class NengoModel:
    """A `nengo.Network` and the objects a simulation reads."""

    net: nengo.Network
    inputs: nengo.Node
    spikes: list[nengo.Probe]
    readout: nengo.Probe
    amplitudes: list[float]


def build_model(
    network: Network,
    conversion: Conversion,
    inputs: Callable[[float], np.ndarray] | np.ndarray,
    gate: Callable[[int, int], object],
) -> NengoModel:
    """Express the converted network in Nengo.

    Parameters
    ----------
    network, conversion : what to build
    inputs : array or function of time
        Output of the input node: the inputs after their own mask, axis (input,).
    gate : function
        ``gate(layer, units)`` returns the Nengo object that delivers the inhibitory current of
        hidden layer `layer` (0 first), axis (unit,).

    Returns
    -------
    NengoModel
        With probes on every hidden layer's spikes and on the readout.
    """
    kind = {
        "charge_keeping": ChargeKeepingRectifiedLinear,
        "rectified": nengo.SpikingRectifiedLinear,
    }[conversion.neuron]
    state = {"voltage": Choice([conversion.initial_charge])}
    spikes, amplitudes = [], []
    with nengo.Network(seed=0) as net:
        before = node = nengo.Node(inputs, size_out=network.n_inputs)
        for i, (layer, scale) in enumerate(zip(network.hidden, conversion.scales_hz, strict=True)):
            amplitude = 1 / (scale * (1 - layer.dropout))
            neurons = nengo.Ensemble(
                layer.units,
                1,
                neuron_type=kind(amplitude=amplitude, initial_state=state),
                gain=np.ones(layer.units),
                bias=scale * layer.bias.astype(float),
                label=layer.name,
            ).neurons
            nengo.Connection(
                before,
                neurons,
                transform=scale * layer.weights.T.astype(float),
                synapse=None if i == 0 else conversion.synapse_s,
            )
            nengo.Connection(gate(i, layer.units), neurons, synapse=None)
            spikes.append(nengo.Probe(neurons))
            amplitudes.append(amplitude)
            before = neurons
        out = nengo.Node(size_in=network.n_outputs)
        nengo.Connection(before, out, transform=network.readout.weights.T, synapse=None)
        readout = nengo.Probe(out)
    return NengoModel(net, node, spikes, readout, amplitudes)


def _results(
    model: NengoModel, network: Network, data: dict, dt: float, settle: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Average the readout and count spikes; `data` holds axes (observation, step, unit)."""
    readout = data[model.readout][:, settle:].mean(axis=1) + network.readout.bias
    counts = [
        np.rint(data[probe].sum(axis=1) * (dt / amplitude))
        for probe, amplitude in zip(model.spikes, model.amplitudes, strict=True)
    ]
    return readout, counts


@contextmanager
def nengo_simulator(
    network: Network, conversion: Conversion, *, steps: int, settle: int
) -> Iterator[Simulator]:
    """Run on Nengo's own simulator, float64, one presentation after the other."""
    current: dict[object, np.ndarray] = {"x": np.zeros(network.n_inputs)}

    def gate(layer: int, units: int) -> nengo.Node:
        current[layer] = np.zeros(units)
        return nengo.Node(lambda t: current[layer], size_out=units)

    model = build_model(network, conversion, lambda t: current["x"], gate)

    def run(x: np.ndarray, masks: Masks) -> tuple[np.ndarray, list[np.ndarray]]:
        history: dict[nengo.Probe, list] = {p: [] for p in (*model.spikes, model.readout)}
        masked = x * masks[0]
        for row in range(len(x)):
            current["x"] = masked[row]
            for i, mask in enumerate(masks[1:]):
                kept = mask[row if len(mask) > 1 else 0] > 0
                current[i] = np.where(kept, 0.0, INHIBITION)
            sim.reset()
            sim.run_steps(steps)
            for probe, values in history.items():
                values.append(np.array(sim.data[probe]))
        data = {probe: np.stack(values) for probe, values in history.items()}
        return _results(model, network, data, conversion.dt, settle)

    with nengo.Simulator(model.net, dt=conversion.dt, progress_bar=False) as sim:
        yield run


@contextmanager
def nengo_dl_simulator(
    network: Network, conversion: Conversion, *, rows: int, steps: int, settle: int
) -> Iterator[Simulator]:
    """Run on NengoDL, float32, `rows` presentations at a time; smaller blocks are padded."""
    register_with_nengo_dl()
    import nengo_dl
    import tf_keras

    class Gate(tf_keras.layers.Layer):
        """Hold the inhibitory current of one layer for every row: the mask as state."""

        def __init__(self, units: int, **kwargs: object) -> None:
            super().__init__(**kwargs)
            self.units = units

        def build(self, input_shape: object) -> None:
            self.current = self.add_weight(
                name="current", shape=(rows, self.units), initializer="zeros", trainable=False
            )

        def call(self, inputs: object) -> object:
            return self.current

    gates: list[Gate] = []

    def gate(layer: int, units: int) -> nengo_dl.TensorNode:
        gates.append(Gate(units, name=f"mask_{layer}"))
        return nengo_dl.TensorNode(
            gates[-1], shape_in=(1,), shape_out=(units,), pass_time=False, label=f"mask_{layer}"
        )

    model = build_model(network, conversion, np.zeros(network.n_inputs), gate)
    with model.net:
        nengo_dl.configure_settings(stateful=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No GPU support detected")
        sim = nengo_dl.Simulator(
            model.net, dt=conversion.dt, minibatch_size=rows, progress_bar=False, seed=0
        )

    def run(x: np.ndarray, masks: Masks) -> tuple[np.ndarray, list[np.ndarray]]:
        def padded(values: np.ndarray) -> np.ndarray:
            full = np.broadcast_to(values, (len(x), values.shape[1]))
            return np.concatenate([full, np.repeat(full[-1:], rows - len(x), axis=0)])

        for layer, mask in zip(gates, masks[1:], strict=True):
            layer.set_weights([np.where(padded(mask) > 0, 0.0, INHIBITION)])
        shown = np.repeat(padded(x * masks[0])[:, None, :], steps, axis=1)
        data = sim.predict({model.inputs: shown.astype(np.float32)}, verbose=0)
        data = {probe: values[: len(x)] for probe, values in data.items()}
        return _results(model, network, data, conversion.dt, settle)

    with sim:
        yield run
