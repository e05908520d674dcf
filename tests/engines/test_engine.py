"""The compiled engine against the reference, and the neurons that integrate first."""

import itertools

import numpy as np
import pytest

from spikedrop.conversion import Conversion, calibrate
from spikedrop.engines import compiled as engine
from spikedrop.engines.reference import simulate
from spikedrop.errors import InputError
from spikedrop.masks import network_masks, stacked_masks
from spikedrop.network import Layer, Network
from spikedrop.network.forward import forward
from spikedrop.neurons import NEURONS
from spikedrop.sampling.ann import predict, sample_ann
from spikedrop.sampling.snn import sample_snn
from tests.fuzzing import share_held

DRAWS, ROWS = 3, 25


def random_network(hidden=(40, 40, 40), rate=0.2, input_rate=0.0):
    rng = np.random.default_rng(0)
    sizes = (6, *hidden, 2)
    layers = [
        Layer(
            f"layer_{i}",
            rng.normal(0, np.sqrt(2 / n), (n, m)).astype("float32"),
            rng.normal(0, 0.1, m).astype("float32"),
            rate if i < len(hidden) else 0.0,
        )
        for i, (n, m) in enumerate(itertools.pairwise(sizes))
    ]
    return Network.chain(tuple(layers[:-1]), layers[-1], input_rate)


def inputs(n, seed=1):
    return np.random.default_rng(seed).normal(size=(n, 6)).astype("float32")


def steps_of(conversion):
    return 8 if conversion.neuron == "radix" else 60


CASES = [
    (neuron, synapse_s, scope, input_rate)
    for neuron in NEURONS
    for synapse_s in (None, 0.005)
    for scope, input_rate in (("draw", 0.0), ("row", 0.2))
    if synapse_s is None or neuron in ("charge_keeping", "rectified")
]


@pytest.mark.parametrize(("neuron", "synapse_s", "scope", "input_rate"), CASES)
def test_same_spike_counts_and_readouts_as_the_reference(neuron, synapse_s, scope, input_rate):
    network, x = random_network(input_rate=input_rate), inputs(ROWS)
    conversion = calibrate(network, inputs(200), neuron=neuron, synapse_s=synapse_s)
    steps = steps_of(conversion)
    settle = 0 if conversion.windowed else steps // 5
    rows = range(ROWS) if scope == "row" else None
    readout, spikes, counts = engine.run_snn(
        engine.load(network, conversion),
        x,
        stacked_masks(network, 4, range(DRAWS), rows),
        DRAWS,
        steps=steps,
        settle=settle,
    )
    held = []
    for draw in range(DRAWS):
        masks = network_masks(network, 4, draw, rows)
        ours = readout[draw], [c[draw] for c in counts]
        held += [share_held(network, conversion, x, masks, *ours, steps=steps, settle=settle)]
    assert min(held) > 0.8
    assert (spikes == sum(c.sum(axis=(0, 2)) for c in counts)).all()


def test_the_comparison_can_fail():
    """One quantum less of initial charge changes more than one count in a thousand."""
    network, x = random_network(), inputs(ROWS)
    masks = network_masks(network, 0, 0)
    one, other = (
        simulate(
            network,
            calibrate(network, inputs(200), initial_charge=charge),
            x,
            masks,
            steps=60,
        )[1]
        for charge in (0.5, 0.4)
    )
    assert np.mean([(a == b).mean() for a, b in zip(one, other, strict=True)]) < 0.999


@pytest.mark.parametrize("hidden", [(40,), (40, 40, 40)])
def test_engine_and_forward_give_the_same_ann(hidden):
    network, x = random_network(hidden, input_rate=0.1), inputs(200)
    samples = sample_ann(network, x, draws=5, seed=3, scope="row")
    for draw in range(5):
        expected, _ = forward(network, x, network_masks(network, 3, draw, range(200)))
        assert samples.values[draw] == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("neuron", [None, *NEURONS])
@pytest.mark.parametrize("scope", ["draw", "row"])
def test_bits_do_not_depend_on_how_the_work_is_cut(neuron, scope):
    """Alone or among many, many rows or few, much memory or little: the same bits."""
    network, x = random_network((64, 64)), inputs(300)

    def sample(x, **change):
        common = {"seed": 1, "scope": scope, **change}
        if neuron is None:
            return sample_ann(network, x, **common).values
        conversion = calibrate(network, inputs(200), neuron=neuron)
        return sample_snn(network, conversion, x, steps=steps_of(conversion), **common).values

    everything = sample(x, draws=40)
    assert (sample(x, draws=1, first_draw=7) == everything[7:8]).all()
    assert (sample(x[:3], draws=5, first_draw=2) == everything[2:7, :3]).all()
    per_pair = 4 * 8 * (6 + 128 + 2)
    little = sample(x, draws=40, memory_gb=200 * per_pair / 1e9)
    assert (little == everything).all()


@pytest.mark.parametrize("timed", [True, False])
def test_chunks_cover_the_job_once_and_respect_the_memory(timed):
    network = random_network((64, 64))
    per_pair = 4 * 8 * (6 + 128 + 2)
    for memory_gb in (1.0, 300 * per_pair / 1e9):
        seen = np.zeros((70, 333), int)
        for draws, rows in engine.chunks(network, 333, range(70), memory_gb, timed=timed):
            seen[draws.start : draws.stop, rows.start : rows.stop] += 1
            assert len(draws) * len(rows) * per_pair <= max(memory_gb * 1e9, 1)
        assert (seen == 1).all()


@pytest.mark.parametrize("memory_gb", [0, -1, 1e-6, float("nan")])
def test_too_little_memory_is_refused_before_work(memory_gb, monkeypatch):
    network, x = random_network(), inputs(4)
    monkeypatch.setattr(engine, "_run", lambda *_, **__: pytest.fail("work began"))
    with pytest.raises(InputError, match="memory_gb="):
        sample_ann(network, x, draws=2, seed=0, memory_gb=memory_gb)
    conversion = Conversion((100.0,) * 3)
    with pytest.raises(InputError, match="memory_gb="):
        sample_snn(network, conversion, x, draws=2, seed=0, memory_gb=memory_gb)


def one_unit(neuron):
    """One neuron whose activation is its input, full scale 1."""
    one = np.ones((1, 1), "float32")
    network = Network.chain((Layer("h", one, 0 * one[0], 0.5),), Layer("y", one, 0 * one[0]))
    return network, Conversion((1000.0,), neuron)


def test_radix_sends_binary_digits():
    """Worked by hand, 4 steps: 0.6 is 9.6 sixteenths, rounded 10 = 1010; 2 saturates at 1111."""
    network, conversion = one_unit("radix")
    x = np.array([[0.6], [2.0], [-1.0], [0.03], [0.0]], "float32")
    record = {}
    readout, (count,) = simulate(network, conversion, x, {}, steps=4, record=record)
    assert record["h"]["spikes"][:, 0, 0].tolist() == [1, 0, 1, 0]
    assert count.ravel().tolist() == [2, 4, 0, 0, 0]
    assert readout.ravel().tolist() == [10 / 16, 15 / 16, 0, 0, 0]


def test_integrate_first_rounds_to_the_nearest_spike_and_saturates():
    network, conversion = one_unit("integrate_first")
    x = np.array([[0.62], [0.58], [2.0], [-1.0]], "float32")
    readout, (count,) = simulate(network, conversion, x, {}, steps=10)
    assert count.ravel().tolist() == [6, 6, 10, 0]
    assert readout.ravel() == pytest.approx([0.6, 0.6, 1.0, 0.0])


@pytest.mark.parametrize(("neuron", "steps"), [("integrate_first", 200), ("radix", 9)])
def test_error_is_rounding_alone(neuron, steps):
    """One hidden layer, below saturation: half a quantum a neuron bounds the error."""
    network, x = random_network((40,)), inputs(50)
    conversion = calibrate(network, x, neuron=neuron, rate_hz=300, percentile=100)
    quantum = 1 / (conversion.scales_hz[0] * conversion.dt * conversion.levels(steps))
    bound = quantum / 2 * np.abs(network.layers[-1].weights / 0.8).sum(axis=0) + 1e-5
    ann = sample_ann(network, x, draws=20, seed=0).values
    snn = sample_snn(network, conversion, x, draws=20, seed=0, steps=steps).values
    assert (np.abs(ann - snn) <= bound).all()
    assert np.abs(ann - snn).max() > bound.min() / 100  # it rounds at all


def test_without_dropout_the_engine_is_the_plain_network():
    network = random_network(rate=0.0)
    x = inputs(130)
    assert (sample_ann(network, x, draws=2, seed=0).values == predict(network, x)).all()


@pytest.mark.parametrize(
    ("neuron", "change", "says"),
    [
        ("radix", {"steps": 21}, "at most 20 for neuron=.radix"),
        ("radix", {"steps": 8, "settle": 2}, "settle=2.*nothing to settle"),
        ("integrate_first", {"hold": "step"}, "hold='step'"),
    ],
)
def test_windowed_neurons_refuse_what_they_cannot_do(neuron, change, says):
    network = random_network()
    conversion = Conversion((100.0,) * 3, neuron)
    with pytest.raises(InputError, match=says):
        sample_snn(network, conversion, inputs(2), draws=1, seed=0, **change)


def test_windowed_neurons_take_no_synapse():
    with pytest.raises(InputError, match="needs no synapse"):
        Conversion((100.0,), "radix", synapse_s=0.005)
