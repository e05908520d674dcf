"""The converted network as a Nengo model, run by Nengo or by NengoDL.

One model serves both. A mask freezes a neuron by a strong inhibitory current for the whole
presentation, so that the weights stay what they are and one build serves every draw; the
factor 1/(1-p) of the neurons that stay is constant and folded into their amplitude. Masks of
layers without neurons, and Gaussian noise, are gates that multiply.

Neurons that integrate first live in windows of `steps` steps (`spikedrop.engines.nengo_windowed`):
as many as the network is deep, and one more. The input stays on, and the readout is that of the
last window, in which all layers that it reads fire. A layer's spikes are counted once, though where
branches of different depth meet it fires the same in several windows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikedrop.checks.arguments import one_of
from spikedrop.conversion import Conversion
from spikedrop.engines.capabilities import Simulator
from spikedrop.engines.nengo_import import nengo
from spikedrop.engines.nengo_neuron_types import (
    ChargeKeepingRectifiedLinear,
    register_with_nengo_dl,
)
from spikedrop.engines.nengo_windowed import (
    IntegrateFirstRectifiedLinear,
    RadixRectifiedLinear,
    register_windowed_with_nengo_dl,
)
from spikedrop.engines.reference import averaged
from spikedrop.engines.saturation import Shares, share
from spikedrop.network.graph import Network
from spikedrop.network.kinds import kind_of
from spikedrop.network.layers import Layer
from spikedrop.network.topology import firing_windows

INHIBITION = -1e9  # threshold units per second: no input lifts a neuron out of it


@dataclass(frozen=True)
class NengoModel:
    """A `nengo.Network` and the objects a simulation reads, by layer."""

    net: nengo.Network
    inputs: nengo.Node
    spikes: dict[str, nengo.Probe]
    readouts: dict[str, nengo.Probe]
    steps: int  # to simulate
    read: slice  # the steps that the readout is averaged over
    counted: dict[str, slice]  # the steps in which a layer's spikes are counted
    charges: dict[str, nengo.Probe]  # what a window brought, where neurons integrate first


def gated(layer: Layer) -> bool:
    """Whether the layer's mask is a gate that multiplies, not an inhibitory current."""
    silences = layer.spiking and layer.family in ("unit", "channel")
    return layer.dropout > 0 and not layer.is_input and not silences


def build_model(
    network: Network,
    conversion: Conversion,
    inputs: Callable[[float], np.ndarray] | np.ndarray,
    gate: Callable[[str, int, bool], Any],
    *,
    steps: int,
    settle: int,
) -> NengoModel:
    """Express the converted network in Nengo.

    Parameters
    ----------
    network, conversion : what to build
    inputs : array or function of time
        Output of the input node: the inputs after their own masks, axis (feature,).
    gate : function
        ``gate(name, units, multiplies)`` returns a Nengo object that delivers the inhibitory
        current of a hidden layer, or one that multiplies what it receives, axis (unit,).
    steps, settle : int
        Steps of a presentation (or window), and those left out of the average.

    Returns
    -------
    NengoModel
        With probes on every hidden layer's spikes and on every output.
    """
    windows = firing_windows(network)
    scales = dict(zip((h.name for h in network.hidden), conversion.scales_hz, strict=True))
    spikes: dict[str, nengo.Probe] = {}
    charges: dict[str, nengo.Probe] = {}
    made: dict[tuple[str, bool], Any] = {}  # what a layer sends, behind a synapse or not

    def matrices_of(layer: Layer) -> tuple[list[np.ndarray], np.ndarray]:
        shapes = [network.shapes[source] for source in layer.sources]
        matrices, bias = kind_of(layer).matrices(layer, shapes)
        return matrices, bias.ravel()

    def passed(name: str, units: int, source: object, synapse: float | None) -> object:
        relay = nengo.Node(size_in=units)
        nengo.Connection(source, relay, synapse=synapse)
        if not gated(network[name]):
            return relay
        multiplier = gate(name, units, True)
        nengo.Connection(relay, multiplier, synapse=None)
        return multiplier

    def connect(layer: Layer, target: Any, scale: np.ndarray, behind: bool) -> np.ndarray:
        """Connect what a layer reads to `target`; return its bias."""
        matrices, bias = matrices_of(layer)
        for source, matrix in zip(layer.sources, matrices, strict=True):
            scaled = np.broadcast_to(scale, bias.shape)[:, None] * matrix.T
            nengo.Connection(made[source, behind], target, transform=scaled, synapse=None)
        return bias

    with nengo.Network(seed=0) as net:
        node = nengo.Node(inputs, size_out=network.n_inputs)
        one = nengo.Node([1.0])
        start = 0
        for layer in network.layers:
            units = network.units(layer.name)
            if layer.is_input:
                relay = nengo.Node(size_in=units)
                nengo.Connection(node[start : start + units], relay, synapse=None)
                made[layer.name, True] = made[layer.name, False] = relay
                start += units
            elif layer.spiking:
                scale = np.ravel(scales[layer.name]).astype(float)
                kept = 1.0 if gated(layer) else 1 - layer.dropout
                ensemble = nengo.Ensemble(
                    units,
                    1,
                    neuron_type=_neurons(conversion, steps, *windows[layer.name]),
                    gain=np.ones(units),
                    bias=scale * matrices_of(layer)[1],
                    label=layer.name,
                )
                connect(layer, ensemble.neurons, scale, behind=True)
                if layer.dropout and not gated(layer):
                    held = gate(layer.name, units, False)
                    nengo.Connection(held, ensemble.neurons, synapse=None)
                spikes[layer.name] = nengo.Probe(ensemble.neurons)
                if conversion.windowed:
                    charges[layer.name] = nengo.Probe(ensemble.neurons, "charge")
                decoded = nengo.Node(size_in=units)
                worth = np.broadcast_to(1 / (scale * kept), units)
                nengo.Connection(ensemble.neurons, decoded, transform=worth, synapse=None)
                for behind in (False, True):
                    synapse = conversion.synapse_s if behind else None
                    made[layer.name, behind] = passed(layer.name, units, decoded, synapse)
            else:
                for behind in (False, True):
                    relay = nengo.Node(size_in=units)
                    bias = connect(layer, relay, np.ones(1), behind)
                    if bias.any():
                        nengo.Connection(one, relay, transform=bias[:, None], synapse=None)
                    made[layer.name, behind] = passed(layer.name, units, relay, None)
        readouts = {name: nengo.Probe(made[name, False]) for name in network.outputs}
    if not conversion.windowed:
        everything = dict.fromkeys(spikes, slice(None))
        return NengoModel(net, node, spikes, readouts, steps, slice(settle, None), everything, {})
    end = steps * (1 + max(last for _, last in windows.values()))
    fired = {name: slice(steps * (w + 1), steps * (w + 2)) for name, (w, _) in windows.items()}
    return NengoModel(net, node, spikes, readouts, end, slice(end - steps, end), fired, charges)


#: Nengo's class of every neuron that it runs; those of windows take their timing as well.
NEURON_TYPES = {
    "charge_keeping": ChargeKeepingRectifiedLinear,
    "rectified": nengo.SpikingRectifiedLinear,
    "integrate_first": IntegrateFirstRectifiedLinear,
    "radix": RadixRectifiedLinear,
}


def _neurons(
    conversion: Conversion, steps: int, window: int, last: int
) -> nengo.neurons.NeuronType:
    """Return the neurons of one layer, with their charge at the start."""
    charge = nengo.dists.Choice([conversion.initial_charge])
    kind = NEURON_TYPES[one_of("neuron", conversion.neuron, tuple(NEURON_TYPES))]
    if conversion.windowed:
        return kind(steps, window, last, initial_state={"charge": charge})
    return kind(initial_state={"voltage": charge})


def _results(
    model: NengoModel,
    network: Network,
    data: dict,
    conversion: Conversion,
    shares: Shares | None,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Average the readout and count spikes; `data` holds axes (observation, step, unit).

    `shares` receives the share of neurons beyond full scale; see `engines.backends`.
    """

    def shaped(values: np.ndarray, name: str) -> np.ndarray:
        return values.reshape(-1, *network.shapes[name])

    means = {
        name: shaped(averaged(conversion, data[probe][:, model.read].swapaxes(0, 1), 0), name)
        for name, probe in model.readouts.items()
    }
    counts = []
    for name, probe in model.spikes.items():
        fired = data[probe][:, model.counted[name]]
        values = conversion.dynamics.spike_values(fired.shape[1])
        unit = conversion.dt / values  # one spike, at every step
        counts.append(shaped(np.rint(np.einsum("ots,t->os", fired, unit)), name))
    if shares is not None and model.charges:
        window = fired.shape[1]  # all are as long
        full = conversion.levels(window)
        shares |= {
            name: share(np.floor(data[probe][:, -1]) > full)
            for name, probe in model.charges.items()
        }
    return network.join(means), counts


def _held(network: Network, masks: dict[str, np.ndarray], rows: int) -> dict[str, np.ndarray]:
    """What each gate delivers for these masks, axes (observation, unit)."""
    held = {}
    for name, mask in masks.items():
        layer = network[name]
        if not layer.is_input:
            mask = np.broadcast_to(mask, (rows, *network.shapes[name])).reshape(rows, -1)
            held[name] = mask if gated(layer) else np.where(mask > 0, 0.0, INHIBITION)
    return held


def _masked_inputs(network: Network, x: np.ndarray, masks: dict[str, np.ndarray]) -> np.ndarray:
    parts = network.split(x)
    masked = [h * masks[name] if name in masks else h for name, h in parts.items()]
    return np.concatenate([h.reshape(len(x), -1) for h in masked], axis=1)


@contextmanager
def nengo_simulator(
    network: Network,
    conversion: Conversion,
    *,
    steps: int,
    settle: int,
    shares: Shares | None = None,
) -> Iterator[Simulator]:
    """Run on Nengo's own simulator, float64, one presentation after the other."""
    current: dict[str | None, np.ndarray] = {None: np.zeros(network.n_inputs)}

    def gate(name: str, units: int, multiplies: bool) -> nengo.Node:
        current[name] = np.zeros(units)
        if multiplies:
            return nengo.Node(lambda t, h: h * current[name], size_in=units, size_out=units)
        return nengo.Node(lambda t: current[name], size_out=units)

    model = build_model(
        network, conversion, lambda t: current[None], gate, steps=steps, settle=settle
    )
    probes = (*model.spikes.values(), *model.readouts.values(), *model.charges.values())

    def run(x: np.ndarray, masks: dict[str, np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
        history: dict[nengo.Probe, list] = {probe: [] for probe in probes}
        shown, held = _masked_inputs(network, x, masks), _held(network, masks, len(x))
        for row in range(len(x)):
            current[None] = shown[row]
            current.update({name: values[row] for name, values in held.items()})
            sim.reset()
            sim.run_steps(model.steps)
            for probe, values in history.items():
                values.append(np.array(sim.data[probe]))
        data = {probe: np.stack(values) for probe, values in history.items()}
        return _results(model, network, data, conversion, shares)

    # A model of its own keeps no cache of decoders: it has none, and processes would wait.
    built = nengo.builder.Model(dt=conversion.dt)
    with nengo.Simulator(model.net, conversion.dt, model=built, progress_bar=False) as sim:
        yield run


@contextmanager
def nengo_dl_simulator(
    network: Network,
    conversion: Conversion,
    *,
    rows: int,
    steps: int,
    settle: int,
    shares: Shares | None = None,
) -> Iterator[Simulator]:
    """Run on NengoDL, float32, `rows` presentations at a time; smaller blocks are padded."""
    register_with_nengo_dl()
    register_windowed_with_nengo_dl()
    import nengo_dl
    import tensorflow as tf
    import tf_keras

    class Gate(tf_keras.layers.Layer):
        """Hold a mask for every row as state: a current to deliver, or a factor."""

        def __init__(self, units: int, multiplies: bool, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units, self.multiplies = units, multiplies

        def build(self, input_shape: Any) -> None:
            self.held = self.add_weight(
                name="held", shape=(rows, self.units), initializer="zeros", trainable=False
            )

        def call(self, inputs: Any) -> Any:
            # A tensor: NengoDL keeps what a node returns, and cannot read a variable again.
            held = tf.convert_to_tensor(self.held)
            return inputs * held if self.multiplies else held

    gates: list[tuple[str, Gate]] = []

    def gate(name: str, units: int, multiplies: bool) -> nengo_dl.TensorNode:
        label = f"mask_{len(gates)}"
        gates.append((name, Gate(units, multiplies, name=label)))
        return nengo_dl.TensorNode(
            gates[-1][1],
            shape_in=(units if multiplies else 1,),
            shape_out=(units,),
            pass_time=False,
            label=label,
        )

    model = build_model(
        network, conversion, np.zeros(network.n_inputs), gate, steps=steps, settle=settle
    )
    with model.net:
        nengo_dl.configure_settings(stateful=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No GPU support detected")
        sim = nengo_dl.Simulator(
            model.net, dt=conversion.dt, minibatch_size=rows, progress_bar=False, seed=0
        )

    def run(x: np.ndarray, masks: dict[str, np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
        def padded(values: np.ndarray) -> np.ndarray:
            return np.pad(values, ((0, rows - len(values)), (0, 0)), mode="edge")

        held = _held(network, masks, len(x))
        for name, layer in gates:
            layer.set_weights([padded(held[name])])
        shown = padded(_masked_inputs(network, x, masks))[:, None, :]
        shown = np.repeat(shown, model.steps, axis=1)
        data = sim.predict({model.inputs: shown.astype(np.float32)}, verbose=0)
        data = {probe: values[: len(x)] for probe, values in data.items()}
        return _results(model, network, data, conversion, shares)

    with sim:
        yield run
