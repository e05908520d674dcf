"""The integer chip: against its plain reference, the float network, and NengoLoihi's emulator."""

import dataclasses

import numba
import numpy as np
import pytest

from benchmarks.loihi import replays
from spikedrop.chip import (
    ChipLayer,
    ChipNetwork,
    hard_reset,
    host_biases,
    quantise,
    sample_chip,
    sample_integers,
)
from spikedrop.chip.quantise import host_currents, rounded, weight_range
from spikedrop.chip.reference import simulate
from spikedrop.comparison import compare
from spikedrop.conversion import Conversion, calibrate
from spikedrop.errors import InputError
from spikedrop.masks import network_masks
from spikedrop.network import Layer, Network
from spikedrop.network.topology import neuron_maps
from spikedrop.sampling.ann import sample_ann
from spikedrop.study.bits import bits_samples, bits_table, neuron_table
from spikedrop.study.figures.chip import bits_densities, error_against_bits
from tests.networks import branches, chain, dropped_weights, gaussian, images, inputs, weights

WIDE = {"bits": 24, "bias_bits": 36, "membrane_bits": 48}
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


def test_without_numba_the_reference_takes_over(monkeypatch):
    network = NETWORKS["branches"]
    chip = quantise(network, converted(network), steps=STEPS)
    setting = {"draws": 3, "seed": 3, "steps": STEPS, "settle": SETTLE, "scope": "row"}
    fast = sample_chip(chip, inputs(network, ROWS), **setting)
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    slow = sample_chip(chip, inputs(network, ROWS), **setting)
    assert slow.equals(fast)
    assert slow.attrs == fast.attrs


def test_a_bias_beyond_64_bits_is_refused():
    """Before, it turned into -2**63, which no check of a bias saw, and a charge was blamed."""
    network = NETWORKS["no mask"]
    chip = quantise(network, converted(network), steps=STEPS)
    with pytest.raises(InputError, match=r"'h0' needs a bias current of \d+"):
        sample_chip(chip, np.full((1, 6), 1e30, "float32"), draws=1, seed=0, steps=STEPS)


def neuron_gates(network, masks):
    """Masks of neurons as gates, axes (observation or 1, neuron)."""
    return {
        layer.name: np.broadcast_to(
            masks[layer.name] != 0, (len(masks[layer.name]), *network.shapes[layer.name])
        ).reshape(len(masks[layer.name]), -1)
        for layer in network.hidden
        if layer.name in masks
    }


def lone_neuron(bias, threshold, start=0, **hardware):
    """Spikes, step by step, of one neuron with a constant bias."""
    network = chain(0.0)
    layer = ChipLayer("h0", (), np.zeros((0, 1), np.int8), 0, threshold, np.array([bias]), start)
    chip = ChipNetwork((layer,), (), network, {}, **hardware)
    _, spikes = simulate(chip, {"h0": layer.bias[None]}, {}, steps=8)
    return spikes["h0"][:, 0, 0].astype(int).tolist()


@pytest.mark.parametrize(
    ("bias", "start", "hardware", "expected"),
    [
        (3, 2, {}, [1, 1, 0, 1, 1, 1, 0, 1]),  # charge 5 4 3 6 5 4 3 6: what is over stays
        (3, 2, {"reset": "zero"}, [1, 0, 1, 0, 1, 0, 1, 0]),  # 5 3 6 3 6 3 6 3: it is lost
        (9, 0, {}, [1] * 8),  # more than a threshold a step: one spike per step, no more
        (-3, 11, {}, [1, 0, 0, 0, 0, 0, 0, 0]),  # 8, of which 4 go; 1, and down
    ],
)
def test_a_neuron_worked_out_by_hand(bias, start, hardware, expected):
    assert lone_neuron(bias, 4, start, **hardware) == expected


def test_every_spike_of_the_loihi_emulator():
    """27 presentations of three layers: the emulator's integers, and its spikes to the last one.

    Other rules than the emulator's do not reproduce them.
    """
    kinds, wrong = set(), {"subtract": 0, "on time": 0, "nothing kept": 0}
    for chip, ours, theirs in replays():
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
        assert all(layer.any() for layer in theirs)
        assert sum(int(layer.sum()) for layer in theirs) > 100
        kinds.add((chip.keep, chip.floor))
    assert len(kinds) == 3
    others = ({"reset": "subtract"}, {"delay": 0}, {"keep": 0})
    for name, rule in zip(wrong, others, strict=True):
        pairs = (zip(a, b, strict=True) for _, a, b in replays(**rule))
        wrong[name] = sum(not np.array_equal(a, b) for pair in pairs for a, b in pair)
    assert min(wrong.values()) > 0, wrong


def test_a_gate_is_a_row_of_zeros():
    """What a dropped neuron would have sent is what a network without its weights sends."""
    network = chain(0.5, 0.5)
    chip = quantise(network, converted(network), steps=STEPS)
    x = inputs(network, ROWS)
    masks = network_masks(network, 0, 0)
    gates = neuron_gates(network, masks)
    charge, spikes = simulate(chip, host_biases(chip, x), gates, steps=STEPS)
    cut = [
        dataclasses.replace(part, weights=part.weights * gates[part.sources[0]][0][:, None])
        if part.sources
        else part
        for part in (*chip.layers, *chip.readouts)
    ]
    cut = dataclasses.replace(chip, layers=tuple(cut[:2]), readouts=tuple(cut[2:]))
    charge_cut, spikes_cut = simulate(cut, host_biases(chip, x), {}, steps=STEPS)
    assert np.array_equal(charge["y"], charge_cut["y"])
    assert all(np.array_equal(spikes[name], spikes_cut[name]) for name in spikes)


@pytest.mark.parametrize("name", NETWORKS)
def test_many_bits_without_spikes_are_the_ann(name):
    """Maps between neurons, masks' factors, biases and readouts: to float32's last digits."""
    network = NETWORKS[name]
    x = inputs(network, ROWS)
    chip = quantise(network, converted(network), **WIDE)
    ours = sample_integers(chip, x, draws=DRAWS, seed=1, scope="row")
    expected = sample_ann(network, x, draws=DRAWS, seed=1, scope="row")
    assert ours.values == pytest.approx(expected.values, rel=1e-4, abs=1e-4)


def float_spikes(network, conversion, x, masks, steps):
    """Charge-keeping neurons in floating point, at most one spike per step; a chain of layers."""
    currents, maps = host_currents(network, x), neuron_maps(network)
    gains = [scale * conversion.dt for scale in conversion.scales_hz]
    sent, below, spikes = None, None, []
    for layer, gain in zip(network.hidden, gains, strict=True):
        v = np.full((len(x), network.units(layer.name)), conversion.initial_charge)
        fired = np.zeros((steps, *v.shape))
        for t in range(steps):
            drive = currents[layer.name]
            if sent is not None:
                drive = drive + sent[t] @ maps[layer.name][below]
            v = v + gain * drive
            fired[t] = v >= 1
            v = v - fired[t]
        spikes.append(fired)
        sent, below = fired * masks[layer.name] / gain, layer.name
    return spikes


def test_it_tends_to_the_float_network_as_bits_grow():
    network = chain(0.2, 0.2, 0.2)
    x, conversion = inputs(network, 40), converted(network)
    masks = network_masks(network, 0, 0)
    expected = float_spikes(network, conversion, x, masks, 60)
    differ = {}
    for bits in (4, 8, 16, 24):
        wide = {**WIDE, "bits": bits}
        chip = quantise(network, conversion, steps=60, **wide)
        gates = neuron_gates(network, masks)
        _, spikes = simulate(chip, host_biases(chip, x), gates, steps=60)
        differ[bits] = np.mean(
            [np.mean(a != b) for a, b in zip(spikes.values(), expected, strict=True)]
        )
    assert differ[4] > 2 * differ[8] > 4 * differ[16] >= 4 * differ[24]
    assert differ[24] < 1e-4


def test_it_tends_to_the_quantised_ann_as_steps_grow():
    """As 1/T: eight times the steps, and the error falls by five at least."""
    network = chain(0.2, 0.2)
    conversion = calibrate(network, inputs(network, 300, seed=2), rate_hz=200)
    chip = quantise(network, conversion, bits=5, steps=1600)
    x = inputs(network, 20) / 2  # nothing beyond one spike per step
    limit = sample_integers(chip, x, draws=20, seed=0)
    error = [
        np.abs(sample_chip(chip, x, draws=20, seed=0, steps=t) - limit).mean() for t in (200, 1600)
    ]
    assert error[0] > 5 * error[1] > 0


def test_draws_do_not_depend_on_chunks():
    network = input_dropout()
    chip = quantise(network, converted(network), steps=STEPS)
    x = inputs(network, 150)
    whole = sample_chip(chip, x, draws=6, seed=0, steps=STEPS)
    small = sample_chip(chip, x, draws=6, seed=0, steps=STEPS, memory_gb=5e-4)
    late = sample_chip(chip, x, draws=2, seed=0, steps=STEPS, first_draw=4)
    assert np.array_equal(whole, small)
    alone = sample_chip(chip, x, draws=1, seed=0, steps=STEPS, first_draw=3)
    assert np.array_equal(whole[4:], late)
    assert np.array_equal(whole[3:4], alone)
    assert not np.array_equal(whole, sample_chip(chip, x, draws=6, seed=1, steps=STEPS))
    assert whole.dims == ("draw", "observation", "output")


@pytest.mark.parametrize(
    ("reset", "floor", "keep"),
    [("subtract", None, 0), ("subtract", -5, 0), ("zero", None, 0), ("zero", 0, 2048)],
)
def test_the_worst_case_is_reached_and_not_passed(reset, floor, keep):
    """A neuron that all inhibit at every step sinks as low as foreseen; one that all excite rises.

    With a fading current the foreseen is what the current tends to.
    """
    network, steps = chain(0.0, 0.0), 12
    always = ChipLayer("h0", (), np.zeros((0, 3), np.int8), 0, 1, np.ones(3, int))
    driven = np.array([[-5, 7], [-6, 9], [1, 8]], np.int8)
    layer = ChipLayer("h1", ("h0",), driven, 2, 10, np.array([-3, 4]))
    chip = ChipNetwork((always, layer), (), network, {}, reset=reset, floor=floor, keep=keep)
    low, high = chip.charge_range(layer, steps, layer.bias, layer.bias)
    v, u, seen = np.zeros(2), np.zeros(2), [0.0, 0.0]
    for _ in range(steps):
        u = np.trunc(u * keep / 4096) + 4 * np.array([-11, 24])
        v = v + u + layer.bias
        seen = [min(seen[0], v[0]), max(seen[1], v[1])]
        v = v if floor is None else np.maximum(v, floor)
        v = np.where(v >= 10, 0 if reset == "zero" else v - 10, v)
    slack = 1.0 if not keep else 1.1
    assert low <= seen[0] and seen[1] <= high
    if keep == 0:
        assert abs(seen[1] - high) <= 10 and abs(seen[0] - low) <= 10
    assert low >= slack * seen[0] - 10 or floor is None


def test_weights_that_overflow_are_refused_by_name():
    network = chain(0.2, 0.2)
    conversion = converted(network)
    chip = quantise(network, conversion, steps=STEPS)
    x = inputs(network, ROWS)
    with pytest.raises(InputError, match=r"'h\d'.*could reach -?\d+.*24 bits.*quantise"):
        sample_chip(chip, x, draws=2, seed=0, steps=100_000)
    with pytest.raises(InputError, match=r"'h1'.*no exponent.*16 bits.*fewer"):
        quantise(network, conversion, membrane_bits=16, steps=200)
    with pytest.raises(InputError, match=r"'h0' needs a bias current of \d+.*reach 524160"):
        sample_chip(chip, 1e4 * x, draws=2, seed=0, steps=STEPS)
    large = dataclasses.replace(chip.layers[1], weights=chip.layers[1].weights.astype(int) * 2)
    with pytest.raises(InputError, match=r"'h1' has a weight of magnitude 2\d\d.*-127 to 127"):
        dataclasses.replace(chip, layers=(chip.layers[0], large))
    deep = dataclasses.replace(chip.layers[1], threshold=2**23)
    with pytest.raises(InputError, match=r"'h1' has threshold 8388608.*24 bits"):
        dataclasses.replace(chip, layers=(chip.layers[0], deep))
    loud = dataclasses.replace(chip.layers[1], bias=np.full(40, 2**20))
    with pytest.raises(InputError, match=r"'h1' needs a bias current of 1048576"):
        dataclasses.replace(chip, layers=(chip.layers[0], loud))


REFUSED = {
    "gaussian": (gaussian, {}, r"'\w+' has dropout of the family 'gaussian'.*with_dropout"),
    "single weights": (dropped_weights, {}, r"'h1' has dropout of the family 'weights'"),
    "dropout behind a pool": (images, {}, r"'p2' has dropout and no neurons.*'c2'"),
    "windows": (lambda: chain(0.2), {"neuron": "radix"}, r"neuron='radix'.*charge_keeping"),
    "synapse": (lambda: chain(0.2), {"synapse_s": 0.01}, r"synapse_s=0.01.*without synapse"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_gate_or_no_such_neuron_is_refused(name):
    make, more, message = REFUSED[name]
    network = make()
    conversion = Conversion((500.0,) * len(network.hidden), **more)
    with pytest.raises(InputError, match=message):
        quantise(network, conversion)


def test_other_bad_input():
    network = chain(0.2, 0.2)
    with pytest.raises(InputError, match=r"1 firing-rate scales and the network 2"):
        quantise(network, Conversion((500.0,)))
    with pytest.raises(InputError, match=r"bits=1"):
        quantise(network, converted(network), bits=1)
    chip = quantise(network, converted(network))
    with pytest.raises(InputError, match=r"settle=30"):
        sample_chip(chip, inputs(network, 2), draws=2, seed=0, steps=30, settle=30)
    with pytest.raises(InputError, match=r"memory_gb=0"):
        sample_chip(chip, inputs(network, 2), draws=2, seed=0, memory_gb=0)
    with pytest.raises(InputError, match=r"reset='maybe'"):
        dataclasses.replace(chip, reset="maybe")


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_weights_may_be_clipped_where_that_is_nearer(bits):
    """Never farther than the range that holds all; with few bits, nearer."""
    w = np.random.default_rng(0).normal(size=5000)
    top = 2 ** (bits - 1) - 1

    def loss(end):
        return ((rounded(w * top / end, bits) * end / top - w) ** 2).sum()

    best, whole = loss(weight_range(w, bits)), loss(np.abs(w).max())
    assert best <= whole
    assert bits == 8 or best < 0.7 * whole


def test_tables_and_figures_of_bits():
    """Fewer bits are worse; the chip's error is at least that of its weights, nearly."""
    network = chain(0.2, 0.2)
    conversion = converted(network)
    samples = bits_samples(network, conversion, inputs(network, 15), draws=60, seed=0, bits=(8, 3))
    table = bits_table(samples)
    assert table["sampler"].tolist() == ["SNN", *["quantised ANN", "chip"] * 2]
    error = table.set_index(["sampler", "bits"])["error"]
    assert error["chip", 3] > 3 * error["chip", 8]
    assert error["quantised ANN", 3] > 3 * error["quantised ANN", 8]
    ann, chip = samples["ANN", None], samples["chip", 3]
    assert table["error"].iloc[-1] == pytest.approx(compare(ann, chip, paired=True).error.mean)
    assert table["verdict"].iloc[-1] == "different"
    ax = error_against_bits(table)
    assert ax.get_ylabel().endswith("(predictive sd)")
    first = {key: values[..., :1] for key, values in samples.items()}
    assert len(bits_densities(first, [0, 1], columns=2).flat) == 2


def test_what_another_reset_costs():
    """A floor, and charge that is thrown away, move the distribution; keeping both does not."""
    network = chain(0.2, 0.2, 0.2)
    chip = quantise(network, converted(network))
    x = inputs(network, 15)
    table = neuron_table(chip, x, draws=30, seed=0)
    error = table["error"]
    assert error["keeps charge, subtracts"] < 0.1
    assert error.drop("keeps charge, subtracts").min() > 2 * error["keeps charge, subtracts"]
    ann = sample_ann(network, x, draws=30, seed=0)
    loihi = sample_chip(hard_reset(chip), x, draws=30, seed=0)
    assert error["stops at 0, empties"] == pytest.approx(
        compare(ann, loihi, paired=True).error.mean
    )
