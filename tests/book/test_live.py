"""The interactive page's dynamics, run in a browser, against the readable reference in Python."""

import json
from dataclasses import replace

import numpy as np
import pytest

from book.live import DRAWS, RATES, SEED, live_data, live_example, telling_row
from book.tree import ROOT
from spikedrop.conversion import calibrate
from spikedrop.engines.reference import simulate
from spikedrop.masks import network_masks
from spikedrop.network.forward import forward
from spikedrop.neurons import neuron_of

STATIC = ROOT / "book" / "_static"


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    return live_example(tmp_path_factory.mktemp("live"))


@pytest.fixture(scope="module")
def page(example, browser):
    """An empty page that has the data and the model."""
    page = browser.new_page()
    page.add_script_tag(content=f"const LIVE = {json.dumps(live_data(example))};")
    page.add_script_tag(path=STATIC / "live_model.js")
    yield page
    page.close()


def doubled(network):
    """The same weights in double precision, in which the browser counts."""
    layers = [
        layer
        if layer.weights is None
        else replace(layer, weights=layer.weights.astype(float), bias=layer.bias.astype(float))
        for layer in network.layers
    ]
    return replace(network, layers=tuple(layers))


@pytest.mark.parametrize("rate", RATES)
def test_masks_are_those_of_the_package(page, example, rate):
    network = example.network.with_dropout(max(rate, 2**-32))
    shown = page.evaluate(
        "rate => LIVE.dropped_from[0].map((_, d) => live.masks(d, rate).map(m => [...m]))", rate
    )
    for draw in (0, 1, DRAWS - 1):
        masks = network_masks(network, SEED, draw)
        for layer, found in zip(network.hidden, shown[draw], strict=True):
            np.testing.assert_array_equal(found, masks[layer.name][0])


@pytest.mark.parametrize("neuron", ["charge_keeping", "rectified", "integrate_first", "radix"])
def test_browser_and_reference_fire_the_same_spikes(page, example, neuron):
    _, x = example.dose_curve(telling_row(example), 41)
    x = np.asarray(x, np.float32).astype(float)
    windowed = neuron_of(neuron).windowed
    for rate, hz, steps, dose, draw in [
        (0.1, 200, 60, 3, 0),
        (0.3, 800, 12, 30, 7),
        (0.5, 50, 20, 20, 99),
    ]:
        network = doubled(example.network.with_dropout(rate))
        conversion = calibrate(
            example.network,
            example.x[example.parts.train],
            rate_hz=500 if windowed else hz,
            neuron=neuron,
        )
        settle = 0 if windowed else steps // 5
        if neuron == "radix":
            steps = min(steps, 20)
        masks = network_masks(network, SEED, draw)
        readout, counts = simulate(
            network, conversion, x[[dose]], masks, steps=steps, settle=settle
        )
        found = page.evaluate(
            """([dose, how, draw, rate]) => {
                const run = live.present(
                    how, live.first(dose, how), live.held("presentation", draw, rate));
                const ann = live.ann(dose, live.masks(draw, rate));
                return [run.mean, run.counts.map(n => [...n]), ann];
            }""",
            [dose, {"neuron": neuron, "hz": hz, "steps": steps, "settle": settle}, draw, rate],
        )
        for ours, theirs in zip(counts, found[1], strict=True):
            np.testing.assert_array_equal(ours[0], theirs)
        assert found[0] == pytest.approx(readout[0, 0], abs=1e-6)
        assert found[2] == pytest.approx(forward(network, x[[dose]], masks)[0][0, 0], abs=1e-6)


def test_masks_redrawn_at_every_step_shrink_the_spread(page):
    # The mean over T steps of independent masks: the standard deviation falls as 1/sqrt(T).
    sd = page.evaluate(
        """() => ["presentation", "step"].map(hold => {
            const how = {neuron: "charge_keeping", hz: 500, steps: 100, settle: 20};
            const first = live.first(20, how);
            const all = LIVE.dropped_from[0].map((_, d) =>
                live.present(how, first, live.held(hold, d, 0.2)).mean);
            const mean = all.reduce((a, b) => a + b) / all.length;
            return Math.sqrt(all.reduce((a, b) => a + (b - mean) ** 2, 0) / all.length);
        })"""
    )
    assert sd[1] < sd[0] / 4
