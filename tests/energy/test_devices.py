"""A device of a user's own: priced, planned with and drawn like those of the package."""

import matplotlib.pyplot as plt
import pytest

from spikedrop.conversion import calibrate
from spikedrop.energy import (
    Counts,
    against,
    constants,
    count_ann_operations,
    count_operations,
    devices,
    energy,
    energy_table,
    joule_ratio,
    price_table,
    register_device,
    same_silicon,
)
from spikedrop.energy.bills import runs
from spikedrop.energy.planning import plan_budget
from spikedrop.energy.prices import DEVICES, price
from spikedrop.errors import InputError
from spikedrop.plots import energy as figures
from tests.networks import chain, inputs

PRICES = {"synaptic": (2e-12, 3e-12), "update": 5e-12, "mac": 4e-12}
MEMORY = {"memory_bit": 1e-13, "dram_bit": 1e-11}
SOURCE = {"source": "A laboratory of ours", "year": 2026}


@pytest.fixture
def register():
    """Register devices, which are unknown again after the test."""
    before = dict(DEVICES)
    yield register_device
    DEVICES.clear()
    DEVICES.update(before)


@pytest.fixture(scope="module")
def works():
    network = chain(0.2, 0.2, units=10)
    x = inputs(network, 4)
    setting = {"draws": 3, "seed": 0}
    found = {"ANN": count_ann_operations(network, x, **setting)}
    for neuron in ("charge_keeping", "radix"):
        conversion = calibrate(network, x, neuron=neuron)
        found[neuron] = count_operations(network, conversion, x, steps=8, **setting)
    return found


def test_joules_are_numbers_times_prices(register):
    register("mine", PRICES, **SOURCE)
    work = Counts(synaptic=100.0, updates=10.0, macs=1.0, spikes=7.0)  # a spike is in the others
    assert energy(work, "mine") == pytest.approx((254e-12, 354e-12))
    assert energy(work, "mine", memory="chip") == energy(work, "mine")
    register("mine", PRICES | {"spike": 1e-12}, **SOURCE)  # again, as in a notebook
    assert energy(work, "mine") == pytest.approx((261e-12, 361e-12))
    assert devices()[-1] == "mine" and "mine" in devices("mac")


def test_bare_arithmetic_reads_its_own_memory(register):
    register("mine", PRICES | MEMORY, bits=(4, 16), **SOURCE)
    work = Counts(synaptic=100.0, updates=10.0)
    read = (4 * 100 + 2 * 16 * 10) * 1e-13
    assert energy(work, "mine", memory="chip").low == pytest.approx(250e-12 + read)
    assert energy(work, "mine", memory="dram").low == pytest.approx(250e-12 + 100 * read)


def test_neurons_that_wait_need_a_device_that_says_so(register, works):
    register("fixed", PRICES, **SOURCE)
    register("free", PRICES, gated=True, **SOURCE)
    assert not runs(works["radix"], "fixed") and runs(works["charge_keeping"], "fixed")
    with pytest.raises(InputError, match=r"'fixed' has neurons of a fixed kind.*'free'"):
        energy(works["radix"], "fixed")
    assert energy(works["radix"], "free").low > 0


def test_it_is_in_every_table_and_figure(register, works):
    register("mine", PRICES, gated=True, **SOURCE)
    low, high, sources, contradict = price_table().loc[("mine", "synaptic")]
    assert (low, high) == pytest.approx((2.0, 3.0))
    assert (sources, contradict) == ("A laboratory of ours 2026", "no")
    assert len(constants()[constants()["device"] == "mine"]) == 4
    table = energy_table(works, 10)
    assert set(table.loc[table["device"] == "mine", "network"]) == set(works)
    found = against(works, 10)
    mine = found[found["device"] == "mine"]
    assert len(mine) == 4 and not mine["same silicon"].any()
    assert "mine" not in set(same_silicon(found)["device"])
    assert joule_ratio(works["ANN"], "mine", works["ANN"]) == (1.0, 1.0)
    ax = figures.joule_intervals(table[table["device"] == "mine"])
    assert any(label.get_text().endswith(", mine") for label in ax.get_yticklabels())
    plt.close("all")


def test_a_budget_is_planned_with_it(register):
    register("mine", {"synaptic": 1e-12}, **SOURCE)
    network = chain(0.2, 0.2, units=10)
    x = inputs(network, 12)
    small = {"seed": 0, "steps": (8, 32), "rates_hz": (250,), "ann_draws": 256, "progress": False}
    plan = plan_budget(network, x, x, budget=1e-6, device="mine", **small)
    assert plan.device == "mine" and 0 < plan.cost[1] <= 1e-6
    with pytest.raises(InputError, match=r"device='unheard'; use .*'mine'"):
        plan_budget(network, x, x, budget=1e-6, device="unheard", **small)


def test_it_is_unknown_where_it_was_not_registered():
    assert "mine" not in DEVICES
    for ask in (energy, runs):
        with pytest.raises(InputError, match=r"'mine' has no .* \['cpu'.*register_device"):
            ask(Counts(synaptic=1.0), "mine")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "loihi"}, "a name of its own"),
        ({"name": "45nm"}, "a name of its own"),
        ({"name": ""}, "a name of its own"),
        ({"name": 3}, "a name of its own"),
        ({"prices": {"update": 1e-12}}, "neither 'mac' nor 'synaptic'"),
        ({"prices": {"synapses": 1e-12}}, "operation='synapses'; use 'mac'"),
        ({"prices": {"mac": -1.0}}, r"prices\['mac'\]=-1.0"),
        ({"prices": {"mac": (2.0, 1.0)}}, r"prices\['mac'\]=1.0; .*at least 2"),
        ({"prices": {"mac": float("nan")}}, r"prices\['mac'\]=nan"),
        ({"prices": 1e-12}, "prices is of type float"),
        ({"source": ""}, "who published or measured"),
        ({"year": "2026"}, "year='2026'"),
        ({"bits": (8, 24)}, "prices of 'memory_bit'"),
        ({"bits": 8, "prices": PRICES | MEMORY}, "of a weight and of a membrane"),
        ({"gated": "yes"}, "gated='yes'"),
    ],
)
def test_what_cannot_be_a_device_is_refused(register, change, message):
    before = dict(DEVICES)
    given = {"name": "mine", "prices": PRICES, **SOURCE} | change
    with pytest.raises(InputError, match=message):
        register(given.pop("name"), given.pop("prices"), **given)
    assert before == DEVICES
    assert price("loihi", "synaptic") == (2.36e-11, 2.71e-11)
