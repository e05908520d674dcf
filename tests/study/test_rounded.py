"""Neurons that integrate first equal an artificial network whose activations are rounded.

The rounded network is written here from matrices alone, and shares no code with the package.
"""

from itertools import pairwise

import numpy as np
import pytest

from spikedrop.conversion import Conversion, calibrate
from spikedrop.engines.reference import simulate
from spikedrop.errors import InputError
from spikedrop.masks import network_masks
from spikedrop.network import Layer, Network
from spikedrop.sampling.snn import sample_snn
from spikedrop.study.rounded import forward_rounded, round_activation

#: Neuron, steps of a window, the number of full scale, the largest number that can be sent.
CASES = [("integrate_first", 37, 37, 37), ("radix", 7, 128, 127), ("radix", 3, 8, 7)]
SIZES = (6, 24, 20, 16, 2)


def weights(dtype):
    rng = np.random.default_rng(0)
    return [
        (rng.normal(0, np.sqrt(2 / n), (n, m)).astype(dtype), rng.normal(0, 0.1, m).astype(dtype))
        for n, m in pairwise(SIZES)
    ]


def network_of(dtype):
    *hidden, (w, b) = weights(dtype)
    layers = tuple(Layer(f"h{i}", *pair, 0.25) for i, pair in enumerate(hidden))
    return Network.chain(layers, Layer("y", w, b))


def rounded_network(x, masks, full_scale, levels, most):
    """Matrix products, rectify, round half up to `levels` per full scale, mask. No time."""
    *hidden, (w, b) = weights(x.dtype)
    h, whole = x, []
    for (weight, bias), mask, top in zip(hidden, masks, full_scale, strict=True):
        n = np.floor((h @ weight + bias) * (levels / top) + 0.5)
        whole.append(np.minimum(np.where(n > 0, n, 0), most))
        h = mask * whole[-1] * (top / levels)
    return h @ w + b, whole


@pytest.mark.parametrize(("neuron", "steps", "levels", "most"), CASES)
def test_the_readout_is_that_of_a_network_with_rounded_activations(neuron, steps, levels, most):
    network, x = network_of("float64"), np.random.default_rng(1).normal(size=(40, 6))
    conversion = calibrate(network, x[:20], neuron=neuron, percentile=99)  # some are cut off
    full_scale = [1 / (scale * conversion.dt) for scale in conversion.scales_hz]
    cut = False
    for draw in range(5):
        masks = network_masks(network, 3, draw)
        readout, _ = simulate(network, conversion, x, masks, steps=steps)
        expected, whole = rounded_network(x, list(masks.values()), full_scale, levels, most)
        assert readout == pytest.approx(expected, abs=1e-6)
        assert forward_rounded(network, conversion, x, masks, steps=steps) == pytest.approx(
            expected, abs=1e-6
        )
        cut |= any((n == most).any() for n in whole)
    assert cut and np.ptp(expected) > 1  # what is clipped agrees as well, and values differ


def test_radix_spikes_are_the_bits_of_the_rounded_number_and_their_products_are_added():
    """Bit-serial arithmetic: one product for each plane of bits, the most significant first."""
    network, x = network_of("float64"), np.random.default_rng(1).normal(size=(10, 6))
    conversion, record = calibrate(network, x, neuron="radix"), {}
    masks, steps = network_masks(network, 3, 0), 6
    simulate(network, conversion, x, masks, steps=steps, record=record)
    full_scale = [1 / (scale * conversion.dt) for scale in conversion.scales_hz]
    _, whole = rounded_network(x, list(masks.values()), full_scale, 64, 63)
    weight, bias = weights("float64")[1]
    for i, (mask, n) in enumerate(zip(masks.values(), whole, strict=True)):
        bits = [(n.astype(int) >> (steps - 1 - k)) & 1 for k in range(steps)]
        assert (record[f"h{i}"]["spikes"] == np.array(bits) * (mask != 0)).all()
    total = 0.0
    planes = record["h0"]["spikes"] * next(iter(masks.values()))
    for plane in planes:  # double what is there, add the next plane
        total = 2 * total + plane @ weight
    current = total * full_scale[0] / 64 + bias
    seen = record["h1"]["current"].mean(axis=0) / conversion.scales_hz[1]
    assert seen == pytest.approx(current, abs=1e-9)
    assert conversion.dynamics.spike_values(steps).tolist() == [6 * 2.0**-k for k in range(1, 7)]


@pytest.mark.parametrize(("neuron", "steps", "levels", "most"), CASES)
def test_the_engine_too(neuron, steps, levels, most):
    """In float32 a value within rounding of half a level may go either way; here none does."""
    network = network_of("float32")
    x = np.random.default_rng(1).normal(size=(40, 6)).astype("float32")
    conversion = calibrate(network, x, neuron=neuron, rate_hz=250)  # nothing is cut off
    snn = sample_snn(network, conversion, x, draws=3, seed=3, steps=steps)
    full_scale = [1 / (scale * conversion.dt) for scale in conversion.scales_hz]
    for draw in range(3):
        masks = [m.astype("float64") for m in network_masks(network, 3, draw).values()]
        expected, _ = rounded_network(x.astype("float64"), masks, full_scale, levels, most)
        assert snn[draw].values == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_a_neuron_that_fires_while_it_integrates_is_not_a_rounding():
    network, x = network_of("float64"), np.random.default_rng(1).normal(size=(10, 6))
    rounding = calibrate(network, x, neuron="integrate_first")
    rate = Conversion(rounding.scales_hz, "charge_keeping")
    masks = network_masks(network, 3, 0)
    expected = forward_rounded(network, rounding, x, masks, steps=40)
    readout, _ = simulate(network, rate, x, masks, steps=40)
    assert np.abs(readout - expected).max() > 1e-3
    with pytest.raises(InputError, match="'charge_keeping' is not known to round"):
        round_activation(x, 1.0, rate, 40)
