"""Firing-rate scales neuron by neuron."""

import numpy as np
import pytest

from spikedrop.comparison import paired_error
from spikedrop.conversion import Conversion, calibrate
from spikedrop.engines.compiled import load, run_slopes
from spikedrop.errors import InputError
from spikedrop.masks import network_masks
from spikedrop.network import Layer, Network
from spikedrop.network.forward import forward
from spikedrop.sampling.ann import sample_ann
from spikedrop.sampling.neuron_scales import HEADROOM, allocate
from spikedrop.sampling.snn import sample_snn


def network(seed=0, spread=1.5):
    """Two hidden layers whose readout weights differ by orders of magnitude."""
    rng = np.random.default_rng(seed)
    sizes = (6, 60, 60)
    hidden = tuple(
        Layer(
            f"h{i}",
            rng.normal(0, np.sqrt(2 / n), (n, 60)).astype("float32"),
            rng.normal(0, 0.1, 60).astype("float32"),
            0.1,
        )
        for i, n in enumerate(sizes[:2])
    )
    out = rng.normal(size=(60, 1)) * np.exp(spread * rng.normal(size=(60, 1)))
    return Network.chain(hidden, Layer("y", out.astype("float32"), np.zeros(1, "float32")))


def inputs(n, seed=1):
    return np.random.default_rng(seed).normal(size=(n, 6)).astype("float32")


def test_slopes_are_the_derivatives():
    """Against finite differences of the network above the layer, in float64."""
    net, x = network(), inputs(4)
    masks = network_masks(net, 0, 0)
    activations, slopes = run_slopes(load(net), x, masks)
    expected = forward(net, x, masks)[1]
    top, readout = net.layers[2:]
    for found, activation in zip(activations, expected, strict=True):
        assert found == pytest.approx(activation, rel=1e-5, abs=1e-5)
    start, step = activations[0].astype(float), 1e-6
    for unit in range(60):
        nudged = start.copy()
        nudged[:, unit] += step
        outputs = []
        for a in (start, nudged):
            h = np.maximum(a * masks["h0"] @ top.weights.astype(float) + top.bias, 0)
            outputs.append((h * masks["h1"]) @ readout.weights.astype(float))
        slope = (outputs[1] - outputs[0]) / step
        assert slopes[0][:, unit] == pytest.approx(slope, rel=1e-3, abs=1e-5)
    last = np.broadcast_to(masks["h1"][:, :, None] * readout.weights, (4, 60, 1))
    assert slopes[1] == pytest.approx(last, rel=1e-6)


@pytest.mark.parametrize("neuron", ["charge_keeping", "integrate_first"])
def test_same_spikes_and_less_error(neuron):
    net, x = network(), inputs(60)
    uniform = calibrate(net, inputs(400, seed=2), neuron=neuron, rate_hz=100)
    chosen = allocate(net, uniform, inputs(400, seed=2), seed=0)
    ann = sample_ann(net, x, draws=20, seed=3)
    one, other = (
        sample_snn(net, conversion, x, draws=20, seed=3, steps=200)
        for conversion in (uniform, chosen)
    )
    key = "spikes_per_presentation"
    assert other.attrs[key] == pytest.approx(one.attrs[key], rel=0.1)
    assert paired_error(ann, other).mean < 0.9 * paired_error(ann, one).mean
    assert [np.shape(scale) for scale in chosen.scales_hz] == [(60,), (60,)]


def test_no_neuron_needs_more_than_one_spike_a_step():
    net, x = network(spread=3), inputs(400)
    conversion = allocate(net, calibrate(net, x, neuron="integrate_first"), x, seed=0)
    _, activations = forward(net, x)
    for scale, a in zip(conversion.scales_hz, activations, strict=True):
        assert (scale * a.max(axis=0) * conversion.dt).max() < 1
    assert HEADROOM > 1 / 0.9  # kept units are larger by 1/(1-p) one layer up


def test_scales_that_fit_no_layer_are_refused():
    net, x = network(), inputs(3)
    with pytest.raises(InputError, match=r"'h1' has values of shape \(60,\).*\(2,\)"):
        sample_snn(net, Conversion((100.0, np.ones(2))), x, draws=1, seed=0)
    with pytest.raises(InputError, match="positive and finite"):
        Conversion((100.0, np.array([1.0, 0.0])))


def test_radix_has_nothing_to_allocate():
    net, x = network(), inputs(50)
    with pytest.raises(InputError, match="radix"):
        allocate(net, calibrate(net, x, neuron="radix"), x, seed=0)
