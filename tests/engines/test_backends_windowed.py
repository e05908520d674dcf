"""Neurons that integrate first, on Nengo and NengoDL: the same spikes as the reference."""

import sys

import numpy as np
import pytest

from spikedrop.conversion import Conversion, calibrate
from spikedrop.engines.nengo_dl_import import import_nengo_dl
from spikedrop.engines.nengo_windowed import (
    IntegrateFirstRectifiedLinear,
    RadixRectifiedLinear,
    register_windowed_with_nengo_dl,
)
from spikedrop.engines.reference import neurons, simulate
from spikedrop.masks import BLOCK_ROWS, network_masks
from spikedrop.network import Layer, Network
from spikedrop.network.topology import firing_windows
from spikedrop.sampling.snn import sample_snn
from tests.fuzzing import share_held
from tests.networks import SIMULATORS, inputs, open_simulator, towers, weights

nengo = sys.modules["nengo"]  # imported above, where its import warning is seen to
KINDS = {"integrate_first": IntegrateFirstRectifiedLinear, "radix": RadixRectifiedLinear}
STEPS = {"integrate_first": 24, "radix": 9}
ROWS = 20


def open_layers():
    """Three hidden layers, all of which the readout shows as they are."""
    layers = [
        Layer("x", op="input", shape=(6,), dropout=0.1),
        Layer("h1", *weights(6, 24), 0.3, sources=("x",), activation="relu"),
        Layer("h2", *weights(24, 20), 0.2, sources=("h1",), activation="relu"),
        Layer("h3", *weights(20, 16), sources=("h2",), activation="relu"),
        Layer("y", op="concatenate", sources=("h1", "h2", "h3")),
    ]
    return Network(tuple(layers), ("y",))


@pytest.mark.parametrize("backend", SIMULATORS)
@pytest.mark.parametrize("neuron", KINDS)
@pytest.mark.parametrize("make", [open_layers, towers])
def test_same_spikes_and_readouts_as_the_reference(make, neuron, backend):
    """All counts and readouts that no rounding can turn, which are nine in ten.

    Dropped units are silent, kept ones are not; the first draw again gives the same bits.
    """
    network = make()
    x, train = inputs(network, ROWS), inputs(network, 300, seed=2)
    conversion = calibrate(network, train, neuron=neuron)
    steps = STEPS[neuron]
    presented = [(0, None, ROWS), (1, range(ROWS), ROWS), (2, range(7), 7), (0, None, ROWS)]
    got, held = [], []
    with open_simulator(
        network, conversion, rows=ROWS, steps=steps, settle=0, backend=backend
    ) as simulator:
        for draw, which, n in presented:
            masks = network_masks(network, 3, draw, which)
            readout, counts = simulator(x[:n], masks)
            held += [share_held(network, conversion, x[:n], masks, readout, counts, steps=steps)]
            for layer, count in zip(network.hidden, counts, strict=True):
                if layer.name in masks:
                    dropped = np.broadcast_to(masks[layer.name] == 0, count.shape)
                    assert (count[dropped] == 0).all()
                    assert (count[~dropped] > 0).mean() > 0.3
            got.append((readout, counts))
    assert min(held) > 0.9
    (first, counts), (second, _), _, (again, counts_again) = got
    assert (first == again).all()
    assert all((a == b).all() for a, b in zip(counts, counts_again, strict=True))
    assert (np.abs(first - second) > 1e-3).mean() > 0.3


@pytest.mark.parametrize("backend", SIMULATORS)
def test_payload_counts_are_those_of_the_reference(backend):
    """What every neuron sent, in quanta, read off a readout that shows all hidden layers.

    Spike counts alone could agree while the binary places do not.
    """
    network, steps = open_layers(), STEPS["radix"]
    x = inputs(network, ROWS)
    conversion = calibrate(network, inputs(network, 300, seed=2), neuron="radix")
    masks = network_masks(network, 0, 0)
    record: dict = {}
    simulate(network, conversion, x, masks, steps=steps, record=record)
    with open_simulator(
        network, conversion, rows=ROWS, steps=steps, settle=0, backend=backend
    ) as simulator:
        readout, _ = simulator(x, masks)
    parts = np.split(readout, np.cumsum([24, 20]), axis=1)
    places = 2.0 ** np.arange(steps - 1, -1, -1)
    same = []
    for layer, scale, part in zip(network.hidden, conversion.scales_hz, parts, strict=True):
        wanted = np.einsum("t,tou->ou", places, record[layer.name]["spikes"])
        quanta = part * scale * conversion.dt * 2**steps * (1 - layer.dropout)
        same.append(np.abs(quanta - wanted) < 0.05)
        assert wanted.max() > 2 ** (steps - 2)
    assert np.concatenate(same, axis=1).mean() >= 0.999


@pytest.mark.parametrize("backend", SIMULATORS)
@pytest.mark.parametrize("scope", ["draw", "row"])
def test_samples_are_those_of_the_reference(backend, scope):
    """Through `sample_snn`; on NengoDL over a full block and a last one of 9 observations."""
    network = Network.chain(
        (Layer("h0", *weights(6, 8), 0.2), Layer("h1", *weights(8, 8), 0.2)),
        Layer("y", *weights(8, 1)),
    )
    x = inputs(network, BLOCK_ROWS + 9 if backend == "nengo_dl" else 12)
    for neuron, steps in (("integrate_first", 20), ("radix", 7)):
        conversion = calibrate(network, x, neuron=neuron)
        settings = {"draws": 2, "seed": 3, "steps": steps, "scope": scope}
        expected = sample_snn(network, conversion, x, backend="numpy", **settings)
        got = sample_snn(network, conversion, x, backend=backend, **settings)
        close = np.abs(got.values - expected.values) < 1e-4 * float(expected.std())
        assert close.mean() >= 0.999
        assert got.attrs["spikes_per_presentation"] == pytest.approx(
            expected.attrs["spikes_per_presentation"], rel=1e-3
        )
        assert (got.values[0] != got.values[1]).any()


def three_groups(kind):
    """Ensembles of one type side by side that differ in window, amplitude and length of window."""
    settings = [
        {"steps": 6, "window": 0, "last": 2},
        {"steps": 6, "window": 1, "amplitude": 0.5},
        {"steps": 4, "window": 0},
    ]
    with nengo.Network() as net:
        drive = nengo.Node([0.0] * 30)
        probes = []
        for group in settings:
            ensemble = nengo.Ensemble(
                30, 1, neuron_type=kind(**group), gain=np.ones(30), bias=np.zeros(30)
            )
            nengo.Connection(drive, ensemble.neurons, synapse=None)
            probes.append(nengo.Probe(ensemble.neurons))
    return net, drive, probes, settings


@pytest.mark.filterwarnings("ignore:No GPU support detected")
@pytest.mark.parametrize("neuron", KINDS)
def test_every_spike_under_a_changing_current(neuron):
    """Step by step, in Nengo and NengoDL; a fallback to Python would warn, which is an error."""
    register_windowed_with_nengo_dl()
    register_windowed_with_nengo_dl()  # safe twice
    nengo_dl = import_nengo_dl()
    drawn = np.random.default_rng(0).normal(150, 600, (18, 30))
    net, drive, probes, settings = three_groups(KINDS[neuron])
    drive.output = lambda t: drawn[round(t / 0.001) - 1]
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(18)
    fired = [np.array(sim.data[probe]) for probe in probes]
    drive.output = np.zeros(30)
    with net:
        nengo_dl.configure_settings(stateful=False)
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        data = sim.predict({drive: np.stack([drawn, drawn])}, verbose=0)
    conversion = Conversion((1.0,), neuron)
    for group, here, there in zip(settings, fired, (data[p][1] for p in probes), strict=True):
        steps, window = group["steps"], group["window"]
        spikes, _ = neurons(conversion, drawn[steps * window : steps * (window + 1)])
        values = conversion.dynamics.spike_values(steps)[:, None]
        sent = group.get("amplitude", 1.0) * 1000 * spikes * values
        expected = np.zeros_like(drawn)
        for w in range(window + 1, group.get("last", window + 1) + 1):
            expected[steps * w : steps * (w + 1)] = sent
        assert here == pytest.approx(expected, rel=1e-6)
        assert there == pytest.approx(expected, rel=1e-5)
        assert (spikes.sum(axis=0) > 0).mean() > 0.3
        assert (spikes.sum(axis=0) == 0).any()


@pytest.mark.parametrize("kind", KINDS.values())
def test_the_rate_is_the_mean_of_a_firing_window(kind):
    """Within a quantum, of thirty constant currents, up to one spike per step."""
    steps = 16
    currents = np.linspace(-200, 1100, 30)
    neuron = kind(steps, amplitude=0.5)
    with nengo.Network() as net:
        ensemble = nengo.Ensemble(30, 1, neuron_type=neuron, gain=np.ones(30), bias=currents)
        probe = nengo.Probe(ensemble.neurons)
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(2 * steps)
    measured = sim.data[probe][steps:].mean(axis=0)
    rates = neuron.rates(np.zeros(30), np.ones(30), currents)[0]
    quantum = 0.5 * 1000 / neuron.levels
    assert np.abs(measured - np.minimum(rates, 500)).max() <= quantum * (1 + 1e-9)
    assert (sim.data[probe][:steps] == 0).all()


@pytest.mark.filterwarnings("ignore:No GPU support detected")
@pytest.mark.parametrize("kind", KINDS.values())
def test_nengo_dl_trains_through_the_rectified_line(kind):
    register_windowed_with_nengo_dl()
    nengo_dl = import_nengo_dl()
    import tensorflow as tf

    with nengo.Network(seed=0) as net:
        drive = nengo.Node([0.0])
        ensemble = nengo.Ensemble(30, 1, neuron_type=kind(steps=4))
        out = nengo.Node(size_in=1)
        nengo.Connection(drive, ensemble, synapse=None)
        nengo.Connection(ensemble, out, synapse=None)
        probe = nengo.Probe(out)
    with nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
        sim.compile(optimizer=tf.optimizers.Adam(1e-4), loss={probe: tf.losses.mse})
        shown = np.linspace(-1, 1, 4, dtype="float32").reshape(4, 1, 1)
        loss = sim.fit({drive: shown}, {probe: shown**2}, epochs=10, verbose=0).history["loss"]
    assert np.isfinite(loss).all()
    assert loss[-1] < 0.8 * loss[0]


def test_windows_of_a_graph_by_hand():
    """`gene` (depth 1) fires for `sum` and `all`, which `res` and the last readout read."""
    assert firing_windows(towers()) == {
        "gene": (0, 3),
        "a1": (0, 1),
        "a2": (1, 3),
        "b1": (0, 1),
        "b2": (1, 3),
        "res": (2, 3),
    }
    chain = Network.chain(
        tuple(Layer(f"h{i}", *weights(3, 3)) for i in range(4)), Layer("y", *weights(3, 1))
    )
    assert list(firing_windows(chain).values()) == [(0, 1), (1, 2), (2, 3), (3, 4)]
