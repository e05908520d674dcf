"""Joules: every price has a source, intervals hold what they should, integers do the same draws."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spikedrop.comparison import paired_error
from spikedrop.conversion import calibrate
from spikedrop.energy import (
    Counts,
    Operations,
    break_even,
    constants,
    count_ann_operations,
    count_operations,
    devices,
    energy,
    energy_table,
    limits,
    quantised,
    sample_quantised,
    sharing_table,
)
from spikedrop.energy.prices import DEVICES, price, price_table
from spikedrop.energy.ratio import FAIR
from spikedrop.errors import InputError
from spikedrop.plots import energy as figures
from spikedrop.sampling.ann import sample_ann
from tests.networks import chain, images, inputs, towers

OPERATIONS = {
    "mac", "synaptic", "update", "spike", "memory_bit", "dram_bit", "inference", "event_bit_hop",
    "dense_bit_hop",
}  # fmt: skip
TABLE_1 = [  # the figures that the project's specification names
    ("cpu", "mac", 8.6e-9), ("gpu", "mac", 0.3e-9), ("arm", "mac", 0.9e-9),
    ("loihi", "synaptic", 23.6e-12), ("loihi", "spike", 3.5e-12), ("loihi", "update", 81e-12),
    ("spinnaker", "synaptic", 13.3e-9), ("spinnaker", "update", 26e-9),
    ("spinnaker2", "synaptic", 450e-12), ("spinnaker2", "update", 2.19e-9),
    ("spinnaker", "synaptic", 45e-12), ("spinnaker2", "synaptic", 10e-12),
    ("truenorth", "synaptic", 2.5e-12), ("odin", "synaptic", 12.7e-12),
    ("45nm fp32", "mac", 4.6e-12), ("45nm fp32", "synaptic", 0.9e-12),
    ("45nm int8", "mac", 0.23e-12), ("45nm int8", "synaptic", 0.03e-12),
    ("gpu", "inference", 0.0298), ("cpu", "inference", 0.0063), ("jetson", "inference", 0.0056),
    ("movidius", "inference", 0.0015), ("loihi", "inference", 0.00027),
]  # fmt: skip


def faults(table, value):
    """What is wrong with a table of published figures, row by row."""
    found = []
    for row in table.itertuples():
        where = f"row {row.Index}"
        if not isinstance(row.source, str) or len(row.source) < 20:
            found.append(f"{where}: no source")
        if not str(row.doi_or_url).startswith("https://"):
            found.append(f"{where}: no link")
        if not 1990 <= row.year <= 2030:
            found.append(f"{where}: no year")
        if not isinstance(row.note, str) or len(row.note) < 10:
            found.append(f"{where}: no note")
        if not value(row):
            found.append(f"{where}: absurd value")
    return found


def sensible(row):
    most = 1.0 if row.operation == "inference" else 1e-6
    return 1e-16 < row.joules < most and row.operation in OPERATIONS


def test_every_constant_has_a_source_a_year_a_link_and_a_sensible_value():
    assert faults(constants(), sensible) == []
    assert faults(limits(), lambda row: 0 < row.value < 10) == []
    assert set(constants()["conflicting"]) == {"yes", "no"}
    assert not constants().duplicated(["device", "operation", "joules"]).any()


@pytest.mark.parametrize(
    ("column", "value"),
    [("source", None), ("doi_or_url", None), ("year", np.nan), ("joules", -1e-12), ("note", None),
     ("joules", 3.0), ("operation", "magic")],
)  # fmt: skip
def test_the_check_sees_a_constant_without(column, value):
    table = constants()
    table[column] = table[column].astype(object)
    table.loc[4, column] = value
    assert len(faults(table, sensible)) == 1


@pytest.mark.parametrize(("device", "operation", "joules"), TABLE_1)
def test_the_table_holds_the_published_figure(device, operation, joules):
    table = constants()
    rows = table[(table["device"] == device) & (table["operation"] == operation)]
    assert any(value == pytest.approx(joules) for value in rows["joules"])


def test_the_table_of_prices_has_a_row_for_each_device_and_operation_in_picojoules():
    table = price_table()
    assert not table.index.duplicated().any()
    assert {device for device, _ in table.index} == set(devices())
    for (device, operation), row in table.iterrows():
        low, high = price(device, operation)
        assert (row["from (pJ)"], row["to (pJ)"]) == pytest.approx((1e12 * low, 1e12 * high))
        assert re.fullmatch(r"[\w-]+( et al\.)? \d{4}(; [\w-]+( et al\.)? \d{4})*", row["sources"])
    assert table.loc[("45nm fp32", "mac"), "to (pJ)"] == pytest.approx(4.6)
    assert table.loc[("truenorth", "synaptic"), "sources"] == (
        "Akopyan et al. 2015; Merolla et al. 2014"
    )


def test_contradictions_are_marked_and_span_the_interval():
    table = constants()
    for (device, operation), rows in table[table["conflicting"] == "yes"].groupby(
        ["device", "operation"]
    ):
        whole = table[(table["device"] == device) & (table["operation"] == operation)]
        assert len(whole) > 1, (device, operation)
        low, high = price(device, operation)
        assert low <= rows["joules"].min() and rows["joules"].max() <= high
    assert price("spinnaker", "synaptic")[1] / price("spinnaker", "synaptic")[0] > 100


def test_every_device_in_the_code_has_rows():
    bare = {name: device for name, device in DEVICES.items() if device.bits}
    assert set(FAIR) <= set(bare) and {device.process for device in bare.values()} == {"45nm"}
    for device in bare:
        assert price(device, "memory_bit") and price(device, "dram_bit")


def test_the_tables_are_in_a_wheel():
    root = Path(__file__).resolve().parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    assert "*.csv" in project["tool"]["setuptools"]["package-data"]["spikedrop.energy"]


def test_joules_worked_by_hand():
    work = Counts(spikes=10.0, synaptic=1000.0, updates=100.0)
    low, high = energy(work, "loihi", draws=2)
    assert low == pytest.approx(2 * (1000 * 23.6e-12 + 100 * 52e-12 + 10 * 1.7e-12))
    assert high == pytest.approx(2 * (1000 * 27.1e-12 + 100 * 81e-12 + 10 * 3.5e-12))
    low, high = energy(Counts(synaptic=1000.0, macs=50.0), "truenorth")
    assert (low, high) == pytest.approx((1050 * 2.5e-12, 1050 * 26e-12))


def test_memory_is_read_once_a_prediction_at_least_and_once_an_operation_at_most():
    layers = pd.DataFrame(columns=["spikes", "synaptic", "updates", "mask_bits", "macs"])
    ann = Operations(Counts(macs=100.0), Counts(macs=1000.0), layers)
    low, high = energy(ann, "45nm int8", 10, memory="chip")
    bit = 10e-12 / 64
    assert low == pytest.approx(10_100 * 0.23e-12 + 8 * 1100 * bit, rel=1e-3)
    assert high == pytest.approx(10_100 * 0.3e-12 + 8 * 10_100 * 10 * bit, rel=1e-3)
    far = energy(ann, "45nm int8", 10, memory="dram")
    assert far.low > low and far.high > high
    snn = Operations(Counts(), Counts(synaptic=1000.0, updates=10.0), layers)
    low, high = energy(snn, "45nm int8", 10, memory="chip")
    assert low == pytest.approx(
        10 * (1000 * 0.03e-12 + 10 * 0.03e-12 + (8000 + 480) * bit), rel=1e-3
    )
    assert energy(snn, "loihi", 10, memory="chip") == energy(snn, "loihi", 10)


@pytest.fixture(scope="module")
def works():
    network = chain(0.0, 0.2, 0.2)
    x, train = inputs(network, 10), inputs(network, 300, seed=2)
    made = {"ANN": count_ann_operations(network, x, draws=4, seed=0)}
    for rate in (50, 800):
        conversion = calibrate(network, train, rate_hz=rate)
        made[f"{rate} Hz"] = count_operations(network, conversion, x, draws=4, seed=0, steps=60)
    return made


@pytest.mark.parametrize("device", devices())
def test_intervals_are_ordered_and_grow_with_draws(works, device):
    network = works["800 Hz"] if device in devices("synaptic") else works["ANN"]
    few, many = energy(network, device, 2), energy(network, device, 20)
    assert 0 < few.low <= few.high
    assert few.low < many.low and few.high < many.high
    assert many.high <= 10 * few.high * (1 + 1e-9)
    alone = energy(network, device, 20, shared=False)
    if device in devices("mac") and network is works["ANN"]:
        assert many.high < alone.high
        skipped = energy(network, device, 20, skip_zeros=True)
        assert skipped.low < many.low


def test_unknown_devices_and_works_without_a_price_are_refused_in_words(works):
    with pytest.raises(InputError, match=r"'abacus' has no published price here; use \['cpu'"):
        energy(works["ANN"], "abacus", 10)
    with pytest.raises(InputError, match="'movidius' has no published price"):
        energy(works["ANN"], "movidius", 10)
    with pytest.raises(InputError, match="runs spikes"):
        energy(works["ANN"], "loihi", 10)
    with pytest.raises(InputError, match="no published price of a synaptic operation"):
        energy(works["50 Hz"], "gpu", 10)
    with pytest.raises(InputError, match="draws=0"):
        energy(works["ANN"], "gpu", 0)
    with pytest.raises(InputError, match="memory='disk'"):
        energy(works["ANN"], "gpu", 1, memory="disk")
    with pytest.raises(InputError, match="bits=5"):
        break_even(works["50 Hz"], works["ANN"], bits=5)


def test_the_table_has_every_network_on_every_device_it_runs_on(works):
    table = energy_table(works, 100)
    assert set(table["device"][table["kind"] == "ANN"]) == set(devices("mac"))
    assert set(table["device"][table["kind"] == "SNN"]) == set(devices("synaptic"))
    assert len(table) == 4 * len(devices("mac")) + 2 * 2 * len(devices("synaptic"))
    assert (table["low"] <= table["high"]).all()


def test_sharing_saves_what_lies_before_the_first_mask(works):
    """Of 40 x 40 weights twice, 40 x 6 and 40 x 2: the first mask is behind the second layer."""
    row = sharing_table(works, 10).loc["ANN"]
    once, each = 40 * 6 + 40 * 40, 40 * 40 + 40 * 2
    assert row.tolist() == [once, each, once + 10 * each, 10 * (once + each), row["saved"]]
    assert row["saved"] == pytest.approx(9 * once / (10 * (once + each)))


def test_break_even_counts_spikes_per_synapse(works):
    slow, fast = (break_even(works[name], works["ANN"]) for name in ("50 Hz", "800 Hz"))
    assert (fast["measured"] > slow["measured"]).all()
    rate = fast.loc[0, "measured"]
    layers = works["800 Hz"].layers
    spikes = layers["spikes"].sum() / (layers["neurons"].sum() * 60)
    assert rate == pytest.approx(spikes)
    ann = works["ANN"].layers["macs"]
    inner = layers["synaptic"].sum() / ann[layers["synaptic"] > 0].sum()
    assert fast.loc[2, "measured"] == pytest.approx(inner)
    bare = fast.iloc[-1]
    assert 0 < bare["limit"] <= 10 and bare["times the limit"] == bare["measured"] / bare["limit"]


@pytest.mark.parametrize("make", [towers, images])
def test_more_bits_are_nearer_with_the_same_masks(make):
    network = make()
    x, train = inputs(network, 20), inputs(network, 300, seed=2)
    ann = sample_ann(network, x, draws=6, seed=3)
    errors = {}
    for bits in (3, 5, 8, 16):
        samples = sample_quantised(network, train, x, bits=bits, draws=6, seed=3)
        errors[bits] = float(np.abs(samples - ann).mean())
    assert errors[3] > 2 * errors[5] > 4 * errors[8]
    assert errors[16] < 0.05 * errors[3]
    clean = sample_quantised(network.with_dropout(0.0), train, x, bits=8, draws=2, seed=3)
    assert (clean[0] == clean[1]).all()  # nothing but the masks differs between draws


def test_weights_take_few_values_and_rounding_again_changes_nothing():
    network = images()
    four = quantised(network, 4)
    for layer, was in zip(four.layers, network.layers, strict=True):
        if layer.weights is not None:
            assert len(np.unique(layer.weights)) <= 15
            step = np.abs(was.weights).max() / 7
            assert np.abs(layer.weights - was.weights).max() <= step * 0.5001
            assert layer.bias is was.bias
    again = quantised(four, 4)
    for layer, was in zip(again.layers, four.layers, strict=True):
        if layer.weights is not None:
            assert layer.weights == pytest.approx(was.weights, rel=1e-6)
    with pytest.raises(InputError, match="bits=1"):
        quantised(network, 1)


def test_paired_with_the_float_network():
    network = chain(0.2, 0.2)
    x, train = inputs(network, 20), inputs(network, 300, seed=2)
    ann = sample_ann(network, x, draws=20, seed=3)[..., 0]
    other = sample_quantised(network, train, x, bits=8, draws=20, seed=4)[..., 0]
    same = sample_quantised(network, train, x, bits=8, draws=20, seed=3)[..., 0]
    assert np.abs(same - ann).mean() < 0.2 * np.abs(other - ann).mean()
    assert paired_error(ann, same).mean < 0.3  # predictive sd, and it takes them as paired


def test_figures_draw_every_row_and_every_network(works):
    table = energy_table(works, 100).iloc[::9]
    ax = figures.joule_intervals(table)
    assert len(ax.get_yticks()) == len(table) and ax.get_xscale() == "log"
    assert figures.joule_intervals(table, ax) is ax
    ax = figures.operations_by_layer(works)
    assert len(ax.containers) == len(works)
    used = works["ANN"].layers["macs"] > 0
    assert [text.get_text() for text in ax.get_xticklabels()] == list(used.index[used])
