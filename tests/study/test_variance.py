"""The parts of a spiking prediction's variance, against closed forms."""

from dataclasses import astuple
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from spikedrop.conversion import Conversion
from spikedrop.engines.reference import neurons, simulate
from spikedrop.errors import InputError
from spikedrop.network import Layer, Network
from spikedrop.sampling.ann import sample_ann
from spikedrop.study.variance import (
    log_slope,
    nested_samples,
    random_charge,
    variance_components,
    variance_table,
)

ONE = np.ones((1, 1), "float32")


def one_neuron(bias=0.0, dropout=0.0):
    return Network.chain(
        (Layer("h", ONE, np.array([bias], "float32"), dropout),), Layer("y", ONE, 0 * ONE[0])
    )


def deep(seed=0, width=24, rate=0.2):
    rng = np.random.default_rng(seed)
    sizes = (4, width, width, width)
    layers = tuple(
        Layer(
            f"h{i}",
            (rng.normal(size=(a, b)) * np.sqrt(2 / a)).astype("float32"),
            (0.1 * rng.normal(size=b)).astype("float32"),
            rate,
        )
        for i, (a, b) in enumerate(pairwise(sizes))
    )
    readout = (rng.normal(size=(width, 1)) / np.sqrt(width)).astype("float32")
    network = Network.chain(layers, Layer("y", readout, np.zeros(1, "float32")))
    x = rng.normal(size=(6, 4)).astype("float32")
    return network, Conversion((150.0,) * 3), x


def test_rounding_of_one_neuron_has_variance_frac_times_one_minus_frac():
    # floor(v + c), v uniform: up with probability frac(c). 20 steps of 0.13 spikes: c = 2.6.
    steps, per_step = 20, 0.13
    conversion = Conversion((1000 * per_step,))
    snn, ann = nested_samples(
        one_neuron(), conversion, [[1.0]], masks=2, charges=4000, seed=1, steps=steps, settle=0
    )
    parts = variance_components(snn, ann)
    unit = 1 / (steps * per_step)  # activation that one spike stands for
    expected = 0.6 * 0.4 * unit**2
    # Relative sd of a variance over n Bernoulli readings: sqrt((kurtosis - 1) / n) = 0.5 %, with
    # kurtosis 1 / (p q) - 3; ten times that fails once in far more than a million.
    assert parts.charge.item() == pytest.approx(expected, rel=0.05)
    assert parts.mask.item() == 0
    assert parts.bias.item() == pytest.approx(0, abs=5 * unit * np.sqrt(0.24 / 8000))


def test_settling_steps_leave_the_same_formula():
    # What counts is the charge that arrives after settling: 15 steps of 0.13 are 1.95.
    snn, ann = nested_samples(
        one_neuron(),
        Conversion((130.0,)),
        [[1.0]],
        masks=2,
        charges=4000,
        seed=1,
        steps=20,
        settle=5,
    )
    # sd of the estimate: 4.6 % of it (see above), so 0.25 is more than five of them.
    expected = 0.95 * 0.05 / (15 * 0.13) ** 2
    assert variance_components(snn, ann).charge.item() == pytest.approx(expected, rel=0.25)


def test_one_neuron_with_dropout_has_both_parts_in_closed_form():
    p, steps, per_step, masks = 0.5, 10, 0.25, 4000
    network = one_neuron(dropout=p)
    snn, ann = nested_samples(
        network, Conversion((250.0,)), [[1.0]], masks=masks, charges=2, seed=0, steps=steps
    )
    parts = variance_components(snn, ann)
    kept = 1 / (1 - p)
    # The output is 2 or 0: variance p / (1 - p); 8 steps count, so the charge is 2.0 and exact.
    assert parts.mask.item() == pytest.approx(p * kept, rel=0.01)
    assert parts.charge.item() == pytest.approx(0, abs=1e-9)
    snn, ann = nested_samples(
        network, Conversion((250.0,)), [[0.9]], masks=masks, charges=2, seed=0, steps=steps
    )
    parts = variance_components(snn, ann)
    # 8 steps of 0.225 are 1.8 spikes, each worth 0.5 times the mask, and silent half the time.
    expected = (1 - p) * 0.8 * 0.2 * (kept / (8 * per_step)) ** 2
    # Over 2,000 live masks the estimate's relative sd is about 4 %.
    assert parts.charge.item() == pytest.approx(expected, rel=0.2)
    assert parts.mask.item() == pytest.approx(0.81 * p * kept, rel=0.01)


def test_components_are_unbiased_and_may_be_negative():
    # Gaussian effects with known variances; the observations are 20,000 repetitions.
    rng, n, masks, charges = np.random.default_rng(0), 20_000, 5, 3
    a = 2.0 * rng.normal(size=(masks, n))
    r = 0.1 * rng.normal(size=a.shape) + 0.05 * a
    y = (a + r)[:, None] + 0.5 * rng.normal(size=(masks, charges, n))
    parts = variance_components(y, a)
    truth = {"mask": 4.0, "spikes": 0.01 + 0.01, "covariance": 2 * 0.05 * 4.0, "charge": 0.25}
    for name, value in truth.items():
        estimate = getattr(parts, name)
        error = estimate.std() / np.sqrt(n)
        assert abs(estimate.mean() - value) < 5 * error, name  # fails once in two million
    assert (parts.spikes < 0).mean() > 0.1  # not cut off
    assert np.allclose(parts.total, parts.mask + parts.spikes + parts.covariance + parts.charge)


def test_total_is_the_textbook_sum_of_the_two_components():
    rng = np.random.default_rng(1)
    y, a = rng.normal(size=(6, 4, 3)), rng.normal(size=(6, 3))
    within = y.var(axis=1, ddof=1).mean(axis=0)
    between = (4 * y.mean(axis=1).var(axis=0, ddof=1) - within) / 4
    parts = variance_components(y, a)
    assert np.allclose(parts.between, between)
    assert np.allclose(parts.total, between + within)
    assert np.allclose(parts.shares().sum(axis=1), 1)
    assert np.allclose(parts.repeatability, between / (between + within))


def test_same_seed_same_bits_and_the_masks_are_those_of_the_ann():
    network, conversion, x = deep()
    sizes = {"masks": 3, "charges": 2, "steps": 40}
    snn, ann = nested_samples(network, conversion, x, seed=4, **sizes)
    again, _ = nested_samples(network, conversion, x, seed=4, **sizes)
    assert np.array_equal(snn, again)
    assert not np.array_equal(snn, nested_samples(network, conversion, x, seed=5, **sizes)[0])
    assert np.allclose(ann, sample_ann(network, x, draws=3, seed=4), atol=1e-5)
    assert not np.array_equal(snn[:, 0], snn[:, 1])


def test_an_array_of_the_conversions_charge_changes_nothing():
    network, conversion, x = deep()
    start = {
        layer.name: np.full((1, *network.shapes[layer.name]), 0.5, "float32")
        for layer in network.hidden
    }
    plain = simulate(network, conversion, x, {}, steps=30)[0]
    assert np.array_equal(
        plain, simulate(network, conversion, x, {}, steps=30, initial_charge=start)[0]
    )


def test_neurons_start_from_their_own_charge():
    # Hand-worked: 0.3 a step; from 0.8 a spike at once, from 0.1 at the third step.
    spikes, voltage = neurons(
        Conversion((1.0,), dt=1.0), np.full((3, 1, 2), 0.3), np.array([[0.8, 0.1]])
    )
    assert spikes[:, 0].tolist() == [[1, 0], [0, 0], [0, 1]]
    assert np.allclose(voltage[-1, 0], [0.7, 0.0])


def test_random_charge_is_uniform_and_each_set_is_its_own():
    network = deep(width=400)[0]
    first, second = random_charge(network, 0, 0), random_charge(network, 0, 1)
    values = np.concatenate([part.ravel() for part in first.values()])
    assert values.min() >= 0
    assert values.max() < 1
    # Mean of 1,200 uniforms: sd 0.0083; five of them.
    assert abs(values.mean() - 0.5) < 0.042
    assert abs(np.corrcoef(first["h1"].ravel(), second["h1"].ravel())[0, 1]) < 0.25
    assert np.array_equal(random_charge(network, 0, 1)["h2"], second["h2"])
    with pytest.raises(InputError, match="give a whole number, at least 0"):
        random_charge(network, -1, 0)


def test_charge_sd_falls_as_one_over_steps_where_charge_is_kept():
    network, conversion, x = deep()
    table = variance_table(
        network, conversion, x, steps=[50, 200, 800], masks=12, charges=6, seed=0
    )
    assert log_slope(table["charge sd"]) == pytest.approx(-1, abs=0.15)
    parts = table[["mask", "spikes", "covariance", "charge"]]
    assert np.allclose(parts.sum(axis=1), 1)
    assert table["mask"].iloc[-1] == pytest.approx(1, abs=0.01)  # in the limit only masks are left
    assert table["repeatability"].is_monotonic_increasing


def test_unusable_designs_are_refused():
    y, a = np.zeros((2, 2, 1)), np.zeros((2, 1))
    with pytest.raises(InputError, match=r"expected \(mask, charge"):
        variance_components(y, np.zeros((3, 1)))
    with pytest.raises(InputError, match="two of each"):
        variance_components(y[:, :1], a)
    with pytest.raises(InputError, match="NaN"):
        variance_components(y * np.nan, a)
    with pytest.raises(InputError, match="no variance"):
        variance_components(y, a).shares()
    network, conversion, x = deep()
    with pytest.raises(InputError, match="charges=0; give a whole number"):
        nested_samples(network, conversion, x, masks=2, charges=0, seed=0)
    with pytest.raises(InputError, match="positive values"):
        log_slope(pd.Series([1.0, 0.0], index=[1, 2]))


def test_variance_components_take_names_and_refuse_others():
    nested = np.random.default_rng(0).normal(size=(5, 5, 5))
    names = ("mask", "charge", "observation")
    snn, ann = xr.DataArray(nested, dims=names), xr.DataArray(nested[0], dims=names[::2])
    expected = variance_components(nested, nested[0])
    for turned in (snn.transpose("charge", "observation", "mask"), snn.transpose()):
        found = variance_components(turned, ann.T)
        assert [part.tolist() for part in astuple(found)] == [
            part.tolist() for part in astuple(expected)
        ]
    with pytest.raises(InputError, match="axes"):
        variance_components(snn.rename(mask="draw"), ann)
    with pytest.raises(InputError, match="real numbers"):
        variance_components(nested.astype(str), nested[0])
