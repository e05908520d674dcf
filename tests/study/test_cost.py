"""Tables of what a draw costs and of what it buys."""

import json
import re

import numpy as np
import pytest

from benchmarks.fidelity import WAYS, by_kind
from spikedrop.conversion import calibrate
from spikedrop.errors import InputError
from spikedrop.network import Network
from spikedrop.network.layers import Layer
from spikedrop.neurons import neuron_of
from spikedrop.plots import COLOURS
from spikedrop.plots import spikes as figures
from spikedrop.study.cost import (
    SIMULATORS,
    cost_table,
    product_seconds,
    read_benchmark,
    scale_table,
)
from spikedrop.study.fidelity import accuracy_per_spike
from tests.networks import six_inputs as inputs
from tests.networks import small_chain


@pytest.fixture(scope="module")
def network():
    return small_chain()


def test_every_sampler_is_timed_and_only_step_by_step_ones_against_products(network):
    samplers = {
        "keeps": (calibrate(network, inputs(100)), 20),
        "radix": (calibrate(network, inputs(100), neuron="radix"), 8),
    }
    table = cost_table(network, samplers, inputs(10), draws=4, seed=0, repeats=1)
    assert list(table.index) == ["ANN", "keeps", "radix"]
    assert table.loc["ANN", "against the ANN"] == 1
    assert (table["us per draw"] > 0).all()
    ratio = table["us per draw"] / table.loc["ANN", "us per draw"]
    assert table["against the ANN"].to_numpy() == pytest.approx(ratio.to_numpy())
    assert table["products alone"].notna().tolist() == [False, True, False]


def test_products_need_hidden_layers_of_one_width(network):
    uneven = Network.chain(
        (Layer("a", np.ones((6, 5), "float32"), np.zeros(5, "float32")),
         Layer("b", np.ones((5, 4), "float32"), np.zeros(4, "float32"))),
        Layer("y", np.ones((4, 1), "float32"), np.zeros(1, "float32")),
    )  # fmt: skip
    with pytest.raises(ValueError, match="equal width"):
        product_seconds(uneven, 10, 5)


def test_the_benchmark_is_read_with_its_bars(tmp_path):
    entries = [
        {"name": "a", "value": 2.0, "unit": "x", "bar": ">= 1.5"},
        {"name": "b", "value": 2.0, "unit": "GB", "bar": "<= 1.5"},
        {"name": "c", "value": None, "unit": "x", "bar": ">= 1.5"},
        {"name": "d", "value": 1.0, "unit": "x", "bar": None},
    ]
    file = tmp_path / "bench.json"
    told = {"date": "2026-01-02", "commit": "abc", "machine": "two cores", "figures": entries}
    file.write_text(json.dumps(told))
    bench = read_benchmark(file)
    assert (bench.date, bench.commit, bench.machine) == ("2026-01-02", "abc", "two cores")
    assert bench.table()["met"].tolist() == ["yes", "no", "", ""]


def test_each_simulator_is_held_against_the_engine(tmp_path):
    """The fastest peer took 2 s, 4 times the engine's half a second; the other took 3 s."""
    seconds = {"norse": {"seconds": 2.0}, "sinabs": {"seconds": 3.0}, "snntorch": {"why": "gone"}}
    entries = [
        {"name": "peers_64", "value": 4.0, "unit": "x", "bar": None, "fastest": "norse",
         "peers": seconds},
        {"name": "nengo_64", "value": 50.0, "unit": "x", "bar": None},
        {"name": "nengo_512", "value": 20.0, "unit": "x", "bar": None},
        {"name": "nengo_dl_512", "value": None, "unit": "x", "bar": None},
        {"name": "floor_512", "value": 2.0, "unit": "x", "bar": None},
    ]  # fmt: skip
    file = tmp_path / "bench.json"
    file.write_text(json.dumps({"date": "", "commit": "", "machine": "", "figures": entries}))
    table = read_benchmark(file).simulators()
    assert list(table.columns) == ["3 x 64 neurons", "3 x 512 neurons"]
    assert table["3 x 64 neurons"].to_dict() == {"Norse": 4.0, "sinabs": 6.0, "Nengo": 50.0}
    assert table.loc["Nengo", "3 x 512 neurons"] == 20


@pytest.mark.parametrize("text", ["", "[]", '{"date": "2026-01-02"}'])
def test_what_is_not_a_benchmark_is_refused(tmp_path, text):
    file = tmp_path / "bench.json"
    with pytest.raises(InputError, match=r"bench\.json is not a benchmark"):
        read_benchmark(file)
    file.write_text(text)
    with pytest.raises(InputError, match=r"bench\.json is not a benchmark"):
        read_benchmark(file)


def test_the_recorded_benchmark_is_whole():
    """Chapter 6 shows it: every figure with a value, every simulator, and where it comes from."""
    bench = read_benchmark()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", bench.date)
    assert re.match(r"[0-9a-f]{40}", bench.commit)
    assert "cores" in bench.machine
    assert bench.table()["value"].notna().all()
    assert set(bench.simulators().index) == set(SIMULATORS.values())


def test_the_recorded_benchmark_tells_the_kinds_of_neuron_apart():
    """Rate codes have the bars of the spikes; what is derived follows from what was measured."""
    figures_of = {entry["name"]: entry for entry in read_benchmark().figures}
    for budget, bar in ((2700, "<= 0.05"), (13000, "<= 0.01")):
        measured = figures_of[f"error_{budget}_spikes"]
        rate_coded = figures_of[f"error_{budget}_rate_coded"]
        assert rate_coded["bar"] == bar
        neurons = measured["neurons"]
        best = min(
            error for way, error in neurons.items() if neuron_of(WAYS[way].neuron).kind == "SNN"
        )
        assert rate_coded["value"] == pytest.approx(best, rel=1e-3)
        for entry in by_kind(measured):
            assert figures_of[entry["name"]] == entry


def test_a_figure_and_its_answer_by_name():
    bench = read_benchmark()
    assert bench.figure("error_2700_spikes")["neuron"] == "radix"
    met = bench.table().set_index("figure")["met"]
    for name in ("error_2700_rate_coded", "floor_512"):
        assert bench.answer(name) == {"yes": "reached", "no": "missed"}[met[name]]
    with pytest.raises(InputError, match="'speed' is not in this benchmark"):
        bench.figure("speed")
    with pytest.raises(InputError, match="'nengo_512' has no bar"):
        bench.answer("nengo_512")


def test_more_steps_rate_and_digits_make_the_error_smaller(network):
    table = accuracy_per_spike(
        network, inputs(300), inputs(20), draws=6, seed=0, rates_hz=(50, 800), steps=100,
        windows=(10, 160), digits=(3, 9),
    )  # fmt: skip
    assert set(table["varied"]) == {"rate", "steps"}
    for (neuron, varied), rows in table.groupby(["neuron", "varied"], sort=False):
        column = "rate (Hz)" if varied == "rate" else "steps"
        rows = rows.sort_values(column)
        assert len(rows) == 2
        assert rows["error"].iloc[1] < rows["error"].iloc[0] / 2, (neuron, varied)
        assert rows["spikes"].iloc[1] > rows["spikes"].iloc[0]
    windowed = table["kind"].isin(["quantised", "bit-serial"])
    assert (table["latency"] == table["steps"] * np.where(windowed, 4, 1)).all()
    panels = figures.accuracy_panels(table)
    assert [len(ax.lines) for ax in panels] == [3, 5, 7]
    lines = {line.get_label(): line for line in panels[2].lines}
    for neuron, kind in (("quantised (integrates first)", "quantised"),
                         ("bit-serial (radix)", "bit-serial")):  # fmt: skip
        assert lines[neuron].get_color() == COLOURS[kind] and lines[neuron].get_linestyle() == "--"
    assert len({line.get_color() for line in lines.values()}) == 7
    assert COLOURS["snn"] == lines["keeps charge"].get_color()


def test_large_jobs_scale_with_predictions_and_workers():
    """One worker of 100 presentations per second does 360,000 an hour."""
    table = scale_table(100, predictions=[3.6e5, 3.6e8], workers=[1, 10], price_per_hour=2.0)
    assert table["hours"].tolist() == pytest.approx([1, 0.1, 1000, 100])
    assert table["cost"].tolist() == pytest.approx([2, 2, 2000, 2000])
    assert table["gigabytes"].tolist() == pytest.approx([1.44e-3, 1.44e-3, 1.44, 1.44])
    assert table["megabytes per second"].tolist() == pytest.approx([4e-4, 4e-3, 4e-4, 4e-3])


@pytest.mark.parametrize(
    "fault", [{"predictions": [0]}, {"workers": [0.5]}, {"workers": [-1]}, {"price_per_hour": -1}]
)
def test_large_jobs_need_positive_numbers(fault):
    with pytest.raises(InputError, match=f"{next(iter(fault))}=.*give a (finite|whole) number"):
        scale_table(100, **fault)
