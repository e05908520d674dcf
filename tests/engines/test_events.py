"""The engine's loop over spikes: against hand-worked neurons and against the loop in TensorFlow."""

import dataclasses

import numba
import numpy as np
import pytest

from spikedrop.conversion import calibrate
from spikedrop.engines import compiled as engine
from spikedrop.engines import events
from spikedrop.masks import stacked_masks
from spikedrop.network import Network
from spikedrop.network.layers import Layer
from spikedrop.neurons import step_weights
from spikedrop.sampling.snn import sample_snn
from tests.networks import (
    branches,
    chain,
    dropped_weights,
    gaussian,
    images,
    inputs,
    towers,
    weights,
)

DRAWS, ROWS, STEPS, SETTLE = 6, 30, 40, 8


NETWORKS = {
    "masks everywhere": chain(0.2, 0.2, 0.2),
    "the last layer alone": chain(0.0, 0.0, 0.3),
    "the middle": chain(0.0, 0.3, 0.0),
    "no mask": chain(0.0, 0.0),
    "on the inputs too": dataclasses.replace(
        chain(0.2, 0.2),
        layers=(
            dataclasses.replace(chain(0.2, 0.2).layers[0], dropout=0.2),
            *chain(0.2, 0.2).layers[1:],
        ),
    ),
    "gaussian": chain(0.2, 0.2, 0.2, family="gaussian"),
    "more than a word of units": chain(0.5, 0.5, units=130),
    "branches": branches(),
}


@pytest.mark.parametrize("rate_hz", [200, 3000])
@pytest.mark.parametrize("scope", ["draw", "row"])
@pytest.mark.parametrize("name", NETWORKS)
def test_same_spikes_as_the_loop_in_tensorflow(name, scope, rate_hz):
    """At 3,000 Hz many neurons fire several times in a step."""
    network = NETWORKS[name]
    x = inputs(network, ROWS)
    conversion = calibrate(network, inputs(network, 300, seed=2), rate_hz=rate_hz)
    masks = stacked_masks(network, 4, range(DRAWS), range(ROWS) if scope == "row" else None)
    loaded = engine.load(network, conversion)
    assert loaded.wired is not None
    both = (loaded, dataclasses.replace(loaded, wired=None))
    ours, other = (engine.run_snn(one, x, masks, DRAWS, steps=STEPS, settle=SETTLE) for one in both)
    same = np.concatenate(
        [
            np.broadcast_to(a == b, (DRAWS, *b.shape[1:])).reshape(DRAWS, ROWS, -1)
            for a, b in zip(ours[2], other[2], strict=True)
        ],
        axis=2,
    )
    assert same.mean() >= 0.999
    whole = same.all(axis=2)
    assert whole.mean() > 0.8
    readouts = [np.broadcast_to(run[0], (DRAWS, ROWS, 2)) for run in (ours, other)]
    assert readouts[0][whole] == pytest.approx(readouts[1][whole], rel=1e-4, abs=3e-5)
    alike = whole.all(axis=0)
    assert (ours[1][alike] == other[1][alike]).all()
    assert ours[1].min() > 0


@pytest.mark.parametrize("make", [towers, images, gaussian, dropped_weights])
def test_other_connections_than_dense_weights_are_left_to_tensorflow(make):
    network = make()
    conversion = calibrate(network, inputs(network, 300, seed=2))
    assert engine.load(network, conversion).wired is None


@pytest.mark.parametrize("settings", [{"neuron": "rectified"}, {"synapse_s": 0.005}])
def test_other_dynamics_are_left_to_tensorflow(settings):
    network = chain(0.2, 0.2)
    conversion = calibrate(network, inputs(network, 300, seed=2), **settings)
    assert engine.load(network, conversion).wired is None


def spikes_of(parts, steps):
    """Read spikes back as {(presentation, step): {unit: value}}."""
    begin, which, value = parts
    return {
        divmod(k, steps): {
            int(which[e]): float(value[e]) for e in range(begin[k], begin[k + 1]) if value[e]
        }
        for k in range(len(begin) - 1)
    }


def one_layer(
    drive, *, worth=(2.0, 2.0), initial=0.5, settle=1, received=None, weights=None, readout="mean"
):
    """Run two neurons for three steps: spikes, and their numbers before `settle` and weighted."""
    received = received or events.nothing(3)
    weights = np.zeros((0, 2)) if weights is None else np.asarray(weights)
    *sent, counts = events.fire(
        *received,
        events.padded(weights),
        events.padded(np.asarray([[drive]], float)),
        1,
        events.padded(np.asarray([worth])),
        np.float32(initial),
        step_weights(readout, 3, settle).astype(np.float32),
        1,
        True,
    )
    total, weighted = counts[0, :, :2]
    return spikes_of(sent, 3), [(total - weighted).tolist(), weighted.tolist()]


def test_neurons_worked_by_hand():
    """Charge 0.5 + 0.75 a step: 1.25, 1.0, 0.75 before the resets; -0.75 never fires."""
    sent, counts = one_layer([0.75, -0.75])
    assert sent == {(0, 0): {0: 2.0}, (0, 1): {0: 2.0}, (0, 2): {}}
    assert counts == [[1, 0], [1, 0]]


def test_spikes_weighted_by_hand():
    """The same spikes, at the first two of three steps, with weights 0.9, 1.2 and 0.9."""
    _, (rest, weighted) = one_layer([0.75, -0.75], settle=0, readout="parabola")
    assert weighted == pytest.approx([2.1, 0])
    assert rest == pytest.approx([-0.1, 0])


def test_several_spikes_in_a_step_and_negative_charge():
    """2.5 a step: 3.0, 2.5, 3.0. A spike below worth -4 thresholds leaves a debt that is kept."""
    sent, counts = one_layer([2.5, 0.0])
    assert sent == {(0, 0): {0: 6.0}, (0, 1): {0: 4.0}, (0, 2): {0: 6.0}}
    assert counts == [[3, 0], [5, 0]]
    below = (np.array([0, 4, 4, 4]), np.zeros(4, np.int32), np.array([1, 0, 0, 0], np.float32))
    sent, counts = one_layer([2.5, 0.0], received=below, weights=[[-4.0, 1.0]])
    # -1.0; 1.5 fires one; 3.0 fires three. The other neuron: 1.5 fires one.
    assert sent == {(0, 0): {1: 2.0}, (0, 1): {0: 2.0}, (0, 2): {0: 6.0}}
    assert counts == [[0, 1], [4, 0]]


def test_a_neuron_that_is_worth_nothing_is_silent():
    sent, counts = one_layer([0.75, 0.75], worth=(0.0, 1.0))
    assert counts == [[0, 1], [0, 1]]
    assert all(0 not in units for units in sent.values())


def test_spikes_repeated_with_factors_and_put_side_by_side():
    one = (np.array([0, 4, 8]), np.array([0, 1, 2, 0, 1, 0, 0, 0], np.int32),
           np.array([1, 2, 3, 0, 5, 0, 0, 0], np.float32))  # fmt: skip
    factors = np.array([[1, 0, 10], [0, 1, 0]], np.float32)
    twice = events.repeated(*one, 2, 2, factors)
    assert spikes_of(twice, 2) == {
        (0, 0): {0: 1, 2: 30}, (0, 1): {}, (1, 0): {1: 2}, (1, 1): {1: 5}
    }  # fmt: skip
    beside = events.merged([one, one], [3, 3])
    assert spikes_of(beside, 2)[0, 0] == {0: 1, 1: 2, 2: 3, 3: 1, 4: 2, 5: 3}
    assert spikes_of(beside, 2)[0, 1] == {1: 5, 4: 5}


def axes(*, pooled=False, rank=1):
    """A dense layer on values of several axes behind a convolution: same kernel, every position."""
    places = (6,) * rank
    layers = [
        Layer("x", op="input", shape=(*places, 3)),
        Layer("c", *weights(*(2,) * rank, 3, 4), 0.3, "conv", ("x",), "relu"),
        Layer("p", op="average_pool", sources=("c",), window=(2,) * rank, strides=(1,) * rank),
        Layer("d", *weights(4, 5), sources=("p" if pooled else "c",), activation="relu"),
        Layer("e", *weights(5, 3), 0.3, sources=("d",), activation="relu"),
        Layer("f", op="flatten", sources=("e",)),
        Layer("y", *weights(3 * (4 if pooled else 5) ** rank, 2), sources=("f",)),
    ]
    if not pooled:
        del layers[2]
    return Network(tuple(layers), ("y",))


def beside_inputs():
    """Neurons that read neurons beside an input."""
    layers = (
        Layer("x", op="input", shape=(6,)),
        Layer("a", *weights(6, 20), 0.2, sources=("x",), activation="relu"),
        Layer("ax", op="concatenate", sources=("a", "x")),
        Layer("b", *weights(26, 9), sources=("ax",), activation="relu"),
        Layer("y", *weights(9, 2), sources=("b",)),
    )
    return Network(layers, ("y",))


def rectified_rows():
    """A layer of neurons that is a flatten, and one that is a concatenation."""
    layers = (
        Layer("x", op="input", shape=(4, 3)),
        Layer("a", *weights(3, 5), 0.2, sources=("x",), activation="relu"),
        Layer("f", op="flatten", sources=("a",), activation="relu"),
        Layer("ff", op="concatenate", sources=("f", "f"), activation="relu"),
        Layer("y", *weights(40, 2), sources=("ff",)),
    )
    return Network(layers, ("y",))


@pytest.mark.parametrize(
    "make",
    [axes, lambda: axes(pooled=True), lambda: axes(rank=2), beside_inputs, rectified_rows],
    ids=["one", "pooled", "two", "beside an input", "rectified rows"],
)
def test_several_axes_and_other_places_are_run_by_another_program(make):
    """Before, the loop read behind the weights: 1e36 and NaN, or a plausible wrong answer."""
    network = make()
    conversion = calibrate(network, inputs(network, 100, seed=2))
    assert engine.load(network, conversion).wired is None
    x, setting = inputs(network, 5), {"draws": 2, "seed": 0, "steps": 16, "progress": False}
    ours = sample_snn(network, conversion, x, **setting)
    reference = sample_snn(network, conversion, x, backend="numpy", **setting)
    assert ours.values == pytest.approx(reference.values, rel=1e-4, abs=1e-4)
    spikes = [run.attrs["spikes_per_presentation"] for run in (ours, reference)]
    assert spikes[0] == pytest.approx(spikes[1], rel=1e-3)


def test_without_numba_the_loop_in_tensorflow_takes_over(monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    network = chain(0.2, 0.2)
    loaded = engine.load(network, calibrate(network, inputs(network, 100, seed=2)))
    assert loaded.wired is None
    readout, spikes, _ = engine.run_snn(loaded, inputs(network, 3), {}, 1, steps=10, settle=2)
    assert np.isfinite(readout).all() and spikes.min() > 0
