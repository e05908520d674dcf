"""The integer chip: against its plain reference, the float network, and NengoLoihi's emulator."""

import dataclasses

import numpy as np
import pytest

from spikedrop.chip import host_biases, quantise, sample_chip
from spikedrop.chip.reference import simulate
from spikedrop.masks import network_masks
from spikedrop.network import Layer, Network
from spikedrop.spiking.conversion import calibrate
from tests.test_events import branches, chain
from tests.test_graph import images, inputs, weights

ROWS, DRAWS, STEPS, SETTLE = 11, 4, 30, 6


def input_dropout():
    return Network.chain((Layer("h0", *weights(6, 30), 0.2),), Layer("y", *weights(30, 2)), 0.2)


def images_by_channel():
    """Convolution, overlapping windows, channels dropped; no dropout behind a pool."""
    network = images("channel")
    layers = [dataclasses.replace(n, dropout=0.0) if n.name == "p2" else n for n in network.layers]
    return dataclasses.replace(network, layers=tuple(layers))


NETWORKS = {
    "masks everywhere": chain(0.2, 0.2, 0.2),
    "the last layer alone": chain(0.0, 0.0, 0.3),
    "the middle": chain(0.0, 0.3, 0.0),
    "no mask": chain(0.0, 0.0),
    "more than a word of units": chain(0.5, 0.5, units=130),
    "branches": branches(),
    "inputs dropped": input_dropout(),
    "images": images_by_channel(),
    "stored masks": chain(0.2, 0.2).with_dropout(stored_masks=2),
}
HARDWARE = {
    "soft": {},
    "floor": {"floor": 0},
    "empties, late, fading": {"reset": "zero", "floor": -50, "delay": 1, "keep": 900},
    "wide": {"membrane_bits": 40},
}


def converted(network, **more):
    return calibrate(network, inputs(network, 300, seed=2), rate_hz=300, **more)


@pytest.mark.parametrize("hardware", HARDWARE)
@pytest.mark.parametrize("name", NETWORKS)
def test_fast_sampler_is_the_reference_bit_for_bit(name, hardware):
    network = NETWORKS[name]
    chip = quantise(network, converted(network), steps=2 * STEPS)
    chip = dataclasses.replace(chip, **HARDWARE[hardware])
    x = inputs(network, ROWS)
    for scope in ("draw", "row"):
        samples = sample_chip(
            chip, x, draws=DRAWS, seed=3, scope=scope, steps=STEPS, settle=SETTLE, first_draw=1
        )
        spikes = 0
        for draw in range(DRAWS):
            masks = network_masks(network, 3, draw + 1, range(ROWS) if scope == "row" else None)
            biases, gates = host_biases(chip, x, masks), neuron_gates(network, masks)
            charge, fired = simulate(chip, biases, gates, steps=STEPS, settle=SETTLE)
            values = {
                out.name: (charge[out.name] * (out.worth / (STEPS - SETTLE)) + biases[out.name])
                for out in chip.readouts
            }
            assert np.array_equal(samples.values[draw], network.join(values).astype("float32"))
            spikes += sum((f & gates.get(n, True)).sum() for n, f in fired.items())
        assert samples.attrs["spikes_per_presentation"] == pytest.approx(spikes / DRAWS / ROWS)
        assert spikes > 100


def neuron_gates(network, masks):
    """Masks of neurons as gates, axes (observation or 1, neuron)."""
    return {
        layer.name: np.broadcast_to(
            masks[layer.name] != 0, (len(masks[layer.name]), *network.shapes[layer.name])
        ).reshape(len(masks[layer.name]), -1)
        for layer in network.hidden
        if layer.name in masks
    }
