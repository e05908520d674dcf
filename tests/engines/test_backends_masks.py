"""Mask families on Nengo and NengoDL: the same spikes as the reference, one family at a time."""

import numpy as np
import pytest

from spikedrop.conversion import calibrate
from spikedrop.masks import network_masks
from spikedrop.network import Layer, Network
from spikedrop.sampling.snn import sample_snn
from tests.fuzzing import share_held
from tests.networks import SIMULATORS, inputs, open_simulator, weights

ROWS = 8
STEPS = {"charge_keeping": 30, "radix": 8}


def images(family="unit", stored_masks=None):
    """Masks of one family on the input, on neurons and on a layer without neurons."""
    layers = [
        Layer("image", op="input", shape=(6, 6, 2), dropout=0.3, family=family),
        Layer("c", *weights(3, 3, 2, 6), 0.3, "conv", ("image",), "relu", family),
        Layer(
            "p", op="average_pool", sources=("c",), window=(2, 2), strides=(2, 2), dropout=0.3,
            family=family,
        ),
        Layer("f", op="flatten", sources=("p",)),
        Layer("h", *weights(24, 16), sources=("f",), activation="relu"),
        Layer("y", *weights(16, 2), sources=("h",)),
    ]  # fmt: skip
    return Network(tuple(layers), ("y",), stored_masks)


@pytest.mark.parametrize("backend", SIMULATORS)
@pytest.mark.parametrize("neuron", STEPS)
@pytest.mark.parametrize("family", ["unit", "channel", "gaussian"])
def test_same_spikes_as_the_reference(family, neuron, backend):
    """All counts and readouts that no rounding can turn, which are nine in ten."""
    network = images(family)
    x, steps = inputs(network, ROWS), STEPS[neuron]
    conversion = calibrate(network, inputs(network, 300, seed=2), neuron=neuron)
    seen = {name: [] for name in network.dropout_rates}
    with open_simulator(
        network, conversion, rows=10, steps=steps, settle=0, backend=backend
    ) as simulator:
        for draw, which in ((0, None), (1, range(ROWS)), (2, None)):
            masks = network_masks(network, 4, draw, which)
            readout, counts = simulator(x, masks)
            held = share_held(network, conversion, x, masks, readout, counts, steps=steps)
            assert held > 0.9
            fired = counts[0] > 0
            assert not (fired & (masks["c"] == 0)).any()
            assert fired.mean() > 0.1
            for name, mask in masks.items():
                seen[name].append(mask)
    for drawn in seen.values():  # the masks are of the family, and differ
        assert (set(drawn[0].shape[1:-1]) == {1}) == (family == "channel")
        assert (len(np.unique(drawn[1])) > 2) == (family == "gaussian")
        assert (drawn[0] != drawn[1][:1]).any()


@pytest.mark.parametrize("backend", SIMULATORS)
def test_stored_masks_come_round_again(backend):
    """With K = 2, draws 0 and 2 are the same bits; and every draw is the reference's."""
    network = images(stored_masks=2)
    x = inputs(network, ROWS)
    conversion = calibrate(network, inputs(network, 300, seed=2))
    for scope in ("draw", "row"):
        settings = {"draws": 3, "seed": 1, "steps": 20, "scope": scope}
        got = sample_snn(network, conversion, x, backend=backend, **settings).values
        expected = sample_snn(network, conversion, x, backend="numpy", **settings).values
        assert (np.abs(got - expected) < 1e-4 * expected.std()).mean() > 0.95
        assert (got[0] == got[2]).all()
        assert (np.abs(got[0] - got[1]) > 1e-3).any(axis=1).mean() > 0.8
