"""Ratios of joules for the same draw of every price, against closed forms and random prices."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from spikedrop.conversion import calibrate
from spikedrop.energy import (
    Counts,
    Operations,
    against,
    count_ann_operations,
    count_operations,
    energy,
    energy_table,
    joule_ratio,
    same_silicon,
)
from spikedrop.energy.bills import MASK_BIT, Price, bills, price_range
from spikedrop.energy.prices import DEVICES, devices, price
from spikedrop.energy.ratio import FAIR
from spikedrop.errors import InputError
from spikedrop.plots import COLOURS
from spikedrop.plots import energy as figures
from tests.networks import chain, inputs

GATED = ("spinnaker", "spinnaker2", "45nm fp32", "45nm int8")
NONE = pd.DataFrame(columns=["spikes", "synaptic", "updates", "mask_bits", "macs"])


def work(kind="SNN", **counts):
    return Operations(Counts(), Counts(**counts), NONE, kind)


def test_a_shared_price_drops_out_of_the_ratio():
    """(100 m + 1000 s) / (1000 m) is a tenth, and s / m: the 100 share their price."""
    spiking = work(macs=100.0, synaptic=1000.0)
    artificial = work("ANN", macs=1000.0)
    low, high = joule_ratio(spiking, "45nm int8", artificial, memory="none")
    (m, top_m), (s, top_s) = (price("45nm int8", kind) for kind in ("mac", "synaptic"))
    assert low == pytest.approx(0.1 + s / top_m)
    assert high == pytest.approx(0.1 + top_s / m)
    mine, other = (energy(one, "45nm int8") for one in (spiking, artificial))
    assert mine.low / other.high == pytest.approx((100 * m + 1000 * s) / (1000 * top_m))
    assert mine.low / other.high < low and high < mine.high / other.low


def test_memory_decides_by_the_number_of_reads_alone():
    """Reading dominates: 2,000 synaptic operations against 1,000 products, and 8 bits each.

    Both read from one memory, whose published price spans a factor of ten. Side by side the
    intervals overlap; the ratio is between that of the arithmetic and that of the reads.
    """
    spiking, artificial = work(synaptic=2000.0), work("ANN", macs=1000.0)
    mine, other = (energy(one, "45nm int8", memory="chip") for one in (spiking, artificial))
    assert mine.low < other.high and other.low < mine.high
    low, high = joule_ratio(spiking, "45nm int8", artificial)
    bit, far = price("45nm int8", "memory_bit")
    (m, top_m), (s, top_s) = (price("45nm int8", kind) for kind in ("mac", "synaptic"))
    corners = [
        (2000 * (add + 8 * read)) / (1000 * (mac + 8 * read))
        for add, mac, read in product((s, top_s), (m, top_m), (bit, far))
    ]
    assert (low, high) == pytest.approx((min(corners), max(corners)))
    assert low > 1  # decided, and the intervals apart decide nothing
    assert joule_ratio(spiking, "45nm int8", artificial, "45nm int4").low > 1  # the same memory


@pytest.mark.parametrize("device", devices("synaptic"))
def test_a_network_takes_as_much_as_itself(device):
    one = work(spikes=50.0, synaptic=2000.0, updates=300.0, mask_bits=40.0)
    assert joule_ratio(one, device, one, draws=7) == pytest.approx((1, 1))
    twice = work(spikes=100.0, synaptic=4000.0, updates=600.0, mask_bits=80.0)
    assert joule_ratio(twice, device, one) == pytest.approx((2, 2))


def test_mask_bits_cost_both_sides_the_same():
    """Nothing but masks: 30 bits against 10, at a price that begins at nothing."""
    assert price_range(MASK_BIT)[0] == 0
    first, second = work(synaptic=1e-9, mask_bits=30.0), work("ANN", macs=1e-9, mask_bits=10.0)
    joules = [energy(one, device).high for one, device in ((first, "loihi"), (second, "gpu"))]
    assert joules == pytest.approx([30 * price_range(MASK_BIT)[1], 10 * price_range(MASK_BIT)[1]])
    high = joule_ratio(first, "loihi", work("ANN", macs=1e6, mask_bits=30.0), "gpu").high
    assert high == pytest.approx(30 * 1.563e-12 / (1e6 * 0.3e-9 + 30 * 1.563e-12), rel=1e-3)


def test_where_nothing_is_shared_it_is_the_ratio_of_the_intervals():
    first, second = work(spikes=5.0, synaptic=1000.0, updates=100.0), work("ANN", macs=1e4)
    ratio = joule_ratio(first, "truenorth", second, "45nm int8", draws=3)
    mine, other = energy(first, "truenorth", 3), energy(second, "45nm int8", 3, memory="chip")
    assert ratio == pytest.approx((mine.low / other.high, mine.high / other.low))


@pytest.mark.parametrize(("device", "other"), [("45nm int8", "45nm int8"), ("loihi", "45nm int4"),
                                               ("45nm fp32", "45nm int8")])  # fmt: skip
def test_random_prices_stay_inside_and_come_near_the_ends(device, other):
    first = work(spikes=40.0, synaptic=3000.0, updates=500.0, mask_bits=30.0, macs=200.0)
    second = work("ANN", macs=1500.0, mask_bits=30.0)
    ratio = joule_ratio(first, device, second, other, draws=5)
    rng = np.random.default_rng(0)
    seen = []
    setting = {"draws": 5, "memory": "chip"}
    pairs = list(product(bills(first, device, **setting), bills(second, other, **setting)))
    for _ in range(4000):
        above, below = pairs[rng.integers(len(pairs))]
        drawn = {name: rng.choice(price_range(name)) if rng.random() < 0.7
                 else rng.uniform(*price_range(name)) for name in above | below}  # fmt: skip
        top, bottom = (sum(n * drawn[k] for k, n in bill.items()) for bill in (above, below))
        seen.append(top / bottom)
    assert ratio.low * (1 - 1e-9) <= min(seen) and max(seen) <= ratio.high * (1 + 1e-9)
    assert min(seen) < 1.05 * ratio.low and max(seen) > 0.95 * ratio.high


@pytest.fixture(scope="module")
def works():
    network = chain(0.0, 0.2, 0.2)
    x, train = inputs(network, 10), inputs(network, 300, seed=2)
    made = {"ANN": count_ann_operations(network, x, draws=4, seed=0)}
    for neuron, steps in (("charge_keeping", 60), ("integrate_first", 40), ("radix", 6)):
        conversion = calibrate(network, train, neuron=neuron)
        made[neuron] = count_operations(network, conversion, x, draws=4, seed=0, steps=steps)
    return made


def test_kinds_and_shifts_are_counted(works):
    assert [one.kind for one in works.values()] == ["ANN", "SNN", "quantised", "bit-serial"]
    for name, one in works.items():
        assert one.alone.shifts == (one.alone.synaptic if name == "radix" else 0)


def test_rounded_networks_are_priced_where_they_run_and_with_the_shift(works):
    table = energy_table(works, 10)
    for kind in ("quantised", "bit-serial"):
        assert set(table["device"][table["kind"] == kind]) == set(GATED)
    assert set(table["device"][table["kind"] == "SNN"]) == set(devices("synaptic"))
    with pytest.raises(InputError, match=r"'loihi' has neurons of a fixed kind.*'spinnaker'"):
        energy(works["radix"], "loihi", 10)
    with pytest.raises(InputError, match="'truenorth' has neurons of a fixed kind"):
        energy(Counts(synaptic=1.0, shifts=1.0), "truenorth")
    low, high = energy(Counts(synaptic=100.0, shifts=100.0), "45nm int8")
    assert (low, high) == pytest.approx((100 * 0.03e-12, 200 * 0.1e-12))
    assert set(price_range(Price(device, "shift"))[0] for device in GATED) == {0.0}


def test_the_devices_whose_layers_can_wait():
    assert {name for name, device in DEVICES.items() if device.gated} == set(GATED)


def test_the_ratio_decides_who_wins_and_only_rate_codes_are_called_spikes(works):
    found = against(works, 10)
    for row in found.to_dict("records"):
        work = works[row["network"]]
        for fair in FAIR:
            ratio = joule_ratio(work, row["device"], works["ANN"], fair, 10, shared=row["shared"])
            assert row[f"{fair} ratio"] == ratio
            less, more = (
                ("spikes win", "spikes lose") if row["kind"] == "SNN" else
                ("takes less", "takes more")
            )  # fmt: skip
            word = less if ratio.high < 1 else more if ratio.low > 1 else "not decided"
            assert row[fair] == word
            if row[f"{fair} apart"] != "not decided":  # sharing decides more, and never otherwise
                assert row[fair] == row[f"{fair} apart"]
    assert set(found["device"][found["same silicon"]]) == {"45nm fp32", "45nm int8"}
    table = same_silicon(found[found["shared"]])
    assert len(table) == 2 * 2 * 3 and set(table["opponent"]) == set(FAIR)
    for row in table.to_dict("records"):
        ratio = joule_ratio(works[row["network"]], row["device"], works["ANN"], row["opponent"], 10)
        assert (row["from"], row["to"]) == ratio
    with pytest.raises(InputError, match="no artificial network"):
        against({"SNN": works["charge_keeping"]}, 10)
    with pytest.raises(InputError, match="draws=0"):
        against(works, 0)


def test_figures_give_every_kind_its_colour(works):
    table = energy_table(works, 10)
    table = table[(table["device"] == "45nm int8") & table["shared"] & ~table["zeros skipped"]]
    ax = figures.joule_intervals(table)
    seen = {line.get_color() for line in ax.lines}
    assert seen == {COLOURS[kind] for kind in ("ann", "snn", "quantised", "bit-serial")}
    bars = figures.operations_by_layer(works).containers
    assert len({bar.patches[0].get_facecolor() for bar in bars}) == 4
