"""Masks that are redrawn at every step: how far the spread falls, and where the mean goes."""

from itertools import pairwise

import numpy as np
import pytest

from spikedrop.conversion import Conversion, calibrate
from spikedrop.errors import InputError
from spikedrop.network import Network
from spikedrop.network.layers import Layer
from spikedrop.study.fidelity import rounding_gap
from spikedrop.study.redrawn import hold_table, mean_shifts, spikes_seen
from tests.networks import six_inputs as inputs
from tests.networks import small_chain


def wide(units, dropout=0.2, activation=1.0):
    """One layer whose units are all `activation`, averaged by the readout."""
    hidden = Layer("h", np.zeros((6, units), "float32"), np.full(units, activation, "float32"),
                   dropout)  # fmt: skip
    return Network.chain(
        (hidden,), Layer("y", np.full((units, 1), 1 / units, "float32"), np.zeros(1, "float32"))
    )


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_redrawn_masks_shrink_the_spread_by_the_spikes_and_not_by_the_steps(share):
    """Every neuron fires in `share` of the steps, so the sd is that of `share * T` masks."""
    network, steps = wide(400), 64
    conversion = Conversion((share * 1000.0,), initial_charge=0.5)
    x = inputs(3)
    assert spikes_seen(network, conversion, x, steps=steps) == share * steps
    table = hold_table(network, conversion, x, steps=[steps], draws=200, seed=0)
    assert table["spikes seen"].tolist() == [share * steps]
    redrawn = table["redrawn at every step"].item()
    assert redrawn == pytest.approx((share * steps) ** -0.5, rel=0.15)
    assert table["frozen for the presentation"].item() == pytest.approx(1, abs=0.01)


def test_spikes_seen_weighs_neurons_by_their_spikes():
    network = wide(2)
    network = Network.chain(
        (Layer("h", np.zeros((6, 2), "float32"), np.array([0.5, 0.1], "float32"), 0.2),),
        network.layers[-1],
    )
    conversion = Conversion((1000.0,), initial_charge=0.5)
    # 10 and 2 spikes: (100 + 4) / 12.
    assert spikes_seen(network, conversion, inputs(1), steps=20) == pytest.approx(104 / 12)


def test_spikes_seen_needs_spikes_behind_dropout():
    with pytest.raises(InputError, match="no neuron"):
        spikes_seen(wide(4, dropout=0.0), Conversion((500.0,)), inputs(2), steps=10)
    with pytest.raises(InputError, match="no neuron"):
        spikes_seen(wide(4, activation=-1.0), Conversion((500.0,)), inputs(2), steps=10)


def test_redrawn_masks_go_to_the_network_without_dropout():
    """Two layers: the mean of a rectified sum over masks is not the rectified mean."""
    rng = np.random.default_rng(0)
    sizes = (6, 40, 40)
    hidden = tuple(
        Layer(f"h{i}", rng.normal(0, np.sqrt(2 / a), (a, b)).astype("float32"),
              np.zeros(b, "float32"), 0.5)
        for i, (a, b) in enumerate(pairwise(sizes))
    )  # fmt: skip
    readout = Layer("y", np.full((40, 1), 0.1, "float32"), np.zeros(1, "float32"))
    network = Network.chain(hidden, readout)
    x = inputs(20)
    conversion = calibrate(network, inputs(200), rate_hz=500)
    shifts = mean_shifts(network, conversion, x, steps=400, draws=60, seed=0)
    assert len(shifts) == 20
    # Positive readout weights: what is missing without dropout is all of one sign.
    assert (shifts["without dropout"] < 0).all()
    assert shifts["without dropout"].mean() < -0.1
    assert abs(shifts["frozen"].mean()) < 0.02
    assert np.abs(shifts["redrawn"] - shifts["without dropout"]).mean() < 0.1
    assert shifts["redrawn"].mean() == pytest.approx(shifts["without dropout"].mean(), abs=0.08)


@pytest.mark.parametrize(("neuron", "steps"), [("integrate_first", 20), ("radix", 6)])
def test_neurons_that_integrate_first_have_no_gap_to_their_rounded_network(neuron, steps):
    network, settings = small_chain(), {"draws": 3, "seed": 0, "steps": steps}
    conversion = calibrate(network, inputs(200), neuron=neuron)
    assert rounding_gap(network, conversion, inputs(10), **settings) < 1e-6
    with pytest.raises(InputError, match="is not known to round its activation"):
        rounding_gap(network, calibrate(network, inputs(200)), inputs(10), **settings)
    with pytest.raises(InputError, match="draws=1"):
        rounding_gap(network, conversion, inputs(10), draws=1, seed=0, steps=steps)
