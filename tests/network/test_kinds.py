"""Kinds of layer: those there agree with what follows from their map; a new one runs everywhere."""

from dataclasses import dataclass

import numpy as np
import pytest

from spikedrop.chip import quantise, sample_chip
from spikedrop.conversion import calibrate
from spikedrop.energy import count_ann_operations, count_operations, energy
from spikedrop.energy.planning import plan_budget
from spikedrop.engines import compiled
from spikedrop.engines.capabilities import EVERY
from spikedrop.engines.xla import MAPS
from spikedrop.errors import InputError
from spikedrop.masks import network_masks
from spikedrop.network import Kind, Layer, Network, register_kind
from spikedrop.network.folding import fold_masks
from spikedrop.network.forward import forward
from spikedrop.network.kinds import KINDS, kind_of
from spikedrop.neurons import NEURONS
from spikedrop.nir import to_nir
from spikedrop.plots.energy import operations_by_layer
from spikedrop.sampling.ann import predict, sample_ann
from spikedrop.sampling.snn import sample_snn
from spikedrop.store import open_samples, sample_to_store
from tests.networks import GRAPHS, inputs, weights


@dataclass(frozen=True)
class Difference(Kind):
    """Each value less the one before it: the only thing that this kind says of itself."""

    name: str = "difference"

    def linear(self, layer, below, amount=1.0):
        return np.diff(below[0], axis=-1)


@pytest.fixture
def difference():
    register_kind(Difference())
    yield
    del KINDS["difference"]


def network_of(op):
    """Differences before, of and behind neurons, with masks; or dense layers that do the same."""

    def differences(name, n, source, **more):
        if op == "difference":
            return Layer(name, op="difference", sources=(source,), **more)
        matrix = np.eye(n, n - 1, -1) - np.eye(n, n - 1)
        bias = np.zeros(n - 1, "float32")
        return Layer(name, matrix.astype("float32"), bias, sources=(source,), **more)

    layers = (
        Layer("x", op="input", shape=(6,)),
        differences("d1", 6, "x", dropout=0.2),
        Layer("h1", *weights(5, 12), 0.2, sources=("d1",), activation="relu"),
        differences("d2", 12, "h1", activation="relu", dropout=0.3),
        differences("d3", 11, "d2"),
        Layer("h2", *weights(10, 12), 0.2, sources=("d3",), activation="relu"),
        Layer("h3", *weights(12, 8), sources=("h2",)),
        differences("y", 8, "h3"),
    )
    return Network(layers, ("y",))


@pytest.fixture
def pair(difference):
    return network_of("difference"), network_of("dense")


def alike(a, b):
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("make", GRAPHS)
def test_what_a_kind_says_follows_from_its_map(make):
    """Shape, bias, weights met and arrivals: by unit vectors, which ask the map alone."""
    network = make()
    rng = np.random.default_rng(0)
    for layer in network.layers:
        kind, shapes = kind_of(layer), [network.shapes[source] for source in layer.sources]
        if layer.is_input:
            continue
        below = [rng.normal(size=(3, *shape)) for shape in shapes]
        matrices, bias = kind.matrices(layer, shapes)
        by_matrix = sum(h.reshape(3, -1) @ m for h, m in zip(below, matrices, strict=True))
        whole = kind.linear(layer, below)
        assert kind.shape(layer, shapes) == whole.shape[1:] == network.shapes[layer.name]
        np.testing.assert_allclose(by_matrix.reshape(whole.shape) + bias, whole, atol=1e-12)
        events = [rng.integers(0, 4, (3, *shape)).astype(float) for shape in shapes]
        reached = Kind.arrivals(kind, layer, events)
        if kind.has_synapses:
            assert (
                kind.weights_met(layer, *shapes) == Kind.weights_met(kind, layer, *shapes)
            ).all()
            assert kind.multiplications(layer, shapes) == np.count_nonzero(matrices[0])
        else:
            assert (kind.arrivals(layer, events) == reached).all()
            assert kind.multiplications(layer, shapes) == 0


def test_the_engine_has_code_for_every_kind_there_is():
    assert set(MAPS) | {"input"} == set(EVERY) == set(KINDS)


def test_a_kind_runs_in_the_plain_pass_and_on_every_backend(pair):
    new, dense = pair
    x = inputs(new, 9)
    alike(forward(new, x)[0], forward(dense, x)[0])
    alike(predict(new, x), predict(dense, x))
    how = {"draws": 3, "seed": 4, "scope": "row", "progress": False}
    alike(sample_ann(new, x, **how), sample_ann(dense, x, **how))
    masks = network_masks(new, 0, 2)
    alike(predict(fold_masks(new, masks), x), forward(new, x, masks)[0])
    for neuron in NEURONS:
        conversion = calibrate(new, inputs(new, 50, seed=2), neuron=neuron)
        for backend in ("engine", "numpy", "nengo"):
            ask = {**how, "steps": 8, "backend": backend}
            samples = [sample_snn(network, conversion, x, **ask) for network in pair]
            alike(*samples)
            spikes = [s.attrs["spikes_per_presentation"] for s in samples]
            assert spikes[0] == pytest.approx(spikes[1], rel=1e-3)


def test_a_kind_is_stored_counted_priced_planned_and_rounded_for_a_chip(pair, tmp_path):
    new, _ = pair
    train = inputs(new, 50, seed=2)
    x = train[:9]
    conversion = calibrate(new, train, rate_hz=200.0)
    how = {"draws": 3, "seed": 4}
    sample_to_store(tmp_path / "s.zarr", new, x, conversion=conversion, steps=8, **how)
    alike(open_samples(tmp_path / "s.zarr"), sample_snn(new, conversion, x, steps=8, **how))
    operations = [count_operations(network, conversion, x, steps=20, **how) for network in pair]
    assert operations[0].of(1).spikes == pytest.approx(operations[1].of(1).spikes)
    assert operations[0].of(1).synaptic < operations[1].of(1).synaptic  # only what is reached
    macs = count_ann_operations(new, x, **how).of(1).macs
    assert macs == pytest.approx(5 * 12 + 10 * 12 + 12 * 8)  # a difference has no weights
    assert energy(operations[0], "loihi", draws=3).low > 0
    assert len(operations_by_layer({"new": operations[0]}).patches)
    plan = plan_budget(
        new, train, x, budget=1e-3, seed=0, steps=(5, 10), rates_hz=(200.0,), pilot_draws=16,
        ann_draws=32, progress=False,
    )  # fmt: skip
    assert plan.draws >= 1
    chips = [quantise(network, conversion, steps=20) for network in pair]
    for one, other in zip(chips[0].layers, chips[1].layers, strict=True):
        assert (one.weights == other.weights).all()
    alike(*(sample_chip(chip, x, steps=20, **how) for chip in chips))


def test_nir_refuses_a_new_kind_by_name(pair):
    pytest.importorskip("nir")
    with pytest.raises(InputError, match=r"'d1' \(difference\) is of a kind that NIR has no node"):
        to_nir(pair[0], calibrate(pair[0], inputs(pair[0], 50)))


def test_a_map_too_large_to_be_a_matrix_is_refused_by_name(pair, monkeypatch):
    monkeypatch.setattr(compiled, "MATRIX", 10)
    with pytest.raises(InputError, match=r"'d1' \(difference\) would be a matrix of 6 x 5"):
        sample_ann(pair[0], inputs(pair[0], 2), draws=2, seed=0)


def test_a_kind_with_synapses_counts_the_weights_that_its_matrix_has(difference):
    kind = Difference("with_synapses", has_synapses=True)
    layer = Layer("d", op="with_synapses", sources=("x",))
    assert kind.weights_met(layer, (4,)).tolist() == [1, 2, 2, 1]
    assert kind.multiplications(layer, [(4,)]) == 6
    events = [np.array([[1.0, 0.0, 2.0, 0.0]])]
    assert kind.arrivals(layer, events).tolist() == [[1.0, 2.0, 2.0]]


def test_unknown_doubled_and_impossible_kinds_are_refused(difference):
    eye, zero = np.eye(3, dtype="float32"), np.zeros(3, "float32")
    layers = (
        Layer("x", op="input", shape=(3,)),
        Layer("h", eye, zero, sources=("x",), activation="relu"),
        Layer("y", op="derivative", sources=("h",)),
    )
    with pytest.raises(InputError, match=r"layer 'y' has op='derivative'; use input, dense"):
        Network(layers, ("y",))

    class Largest(Difference):
        def linear(self, layer, below, amount=1.0):
            return below[0].max(axis=-1, keepdims=True)

    KINDS["derivative"] = Largest("derivative")
    with pytest.raises(
        InputError, match=r"'y' \(derivative\) is of a kind whose map is not affine"
    ):
        Network(layers, ("y",))
    del KINDS["derivative"]
    register_kind(Difference())  # a name of one's own, again
    with pytest.raises(InputError, match="name='dense': give the layer kind a name of its own"):
        register_kind(Difference("dense"))
    with pytest.raises(InputError, match="has synapses and reads"):
        register_kind(Difference("several", reads=(1, 2), has_synapses=True))
    with pytest.raises(InputError, match=r"'d1' \(difference\) has family='weights'"):
        network_of("difference").with_dropout(family="weights")
