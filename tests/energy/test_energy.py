"""Operations of a draw: against counting by hand, by brute force, by Nengo and by keras-spiking."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from spikedrop.conversion import Conversion, calibrate
from spikedrop.energy import Counts, count_ann_operations, count_operations, energy
from spikedrop.energy.work import artificial_work, spiking_work, weights_met
from spikedrop.engines.reference import simulate
from spikedrop.errors import InputError
from spikedrop.masks import network_masks
from spikedrop.network import Network
from spikedrop.network.forward import forward
from spikedrop.network.layers import Layer, linear
from spikedrop.network.topology import differ_between_draws, firing_windows
from tests.networks import (
    GRAPHS,
    branches,
    chain,
    dropped_weights,
    gaussian,
    images,
    inputs,
    open_simulator,
    towers,
    weights,
)

ROWS, DRAWS = 4, 2
STEPS = {"charge_keeping": 30, "rectified": 30, "integrate_first": 20, "radix": 8}
MAKERS = [lambda: chain(0.3, 0.3), branches, *GRAPHS]
#: What the engine runs, too: to compile a network takes longer than to count.
COMPILED = [("charge_keeping", "chain"), ("charge_keeping", "branches"), ("radix", "chain"),
            ("integrate_first", "towers"), ("rectified", "images"),
            ("integrate_first", "dropped_weights"), ("charge_keeping", "gaussian")]  # fmt: skip
NAMES = ["chain", "branches", *(make.__name__ for make in GRAPHS)]


def row_of(masks, row):
    return {name: mask[min(row, len(mask) - 1)][None] for name, mask in masks.items()}


def met_by_impulses(network, name, masks):
    """Weights that one spike of each neuron meets: one impulse a neuron, all weights set to 1."""
    units = network.units(name)
    values, total = {}, np.zeros(units)
    values[name] = np.eye(units).reshape(units, *network.shapes[name])
    for layer in network.layers:
        if layer.op == "input" or layer.name == name or not set(layer.sources) & set(values):
            continue
        shapes = [(units, *network.shapes[source]) for source in layer.sources]
        below = [
            values.get(s, np.zeros(shape)) for s, shape in zip(layer.sources, shapes, strict=True)
        ]
        mask = masks.get(layer.name)
        if layer.op in ("dense", "conv"):
            ones = np.ones_like(layer.weights)
            if mask is not None and layer.family == "weights":
                ones = (mask[0] != 0).astype(float)
            ones = dataclasses.replace(layer, weights=ones, bias=np.zeros(len(layer.bias)))
            total += linear(ones, below).reshape(units, -1).sum(axis=1)
            continue
        if layer.op == "scale":
            passed = below[0]
        elif layer.op == "average_pool":
            passed = (linear(layer, below) > 0).astype(float)  # an impulse is in a window, or not
        else:
            passed = linear(layer, below)
        if layer.spiking or layer.name in network.outputs:
            total += passed.reshape(units, -1).sum(axis=1)
        if not layer.spiking:
            values[layer.name] = passed * (1 if mask is None else mask != 0)
    return total


def brute_force(network, conversion, x, masks, steps, repeats):
    """Spikes and synaptic operations of one draw, all rows, from the reference's record."""
    record = {}
    simulate(network, conversion, x, masks, steps=steps, record=record)
    fired = {h.name: record[h.name]["spikes"].sum(axis=0) for h in network.hidden}
    spikes = sum(repeats[name] * n.sum() for name, n in fired.items())
    synaptic = sum(
        (repeats[name] * n[row].ravel() * met_by_impulses(network, name, row_of(masks, row))).sum()
        for name, n in fired.items()
        for row in range(len(x))
    )
    return fired, spikes, synaptic


@pytest.mark.parametrize("neuron", STEPS)
@pytest.mark.parametrize("make", MAKERS, ids=NAMES)
def test_counts_are_those_of_brute_force(make, neuron, request):
    network, steps = make(), STEPS[neuron]
    x = inputs(network, ROWS)
    conversion = calibrate(network, inputs(network, 300, seed=2), rate_hz=300, neuron=neuron)
    windowed = neuron in ("integrate_first", "radix")
    windows = firing_windows(network)
    repeats = {name: last - w if windowed else 1 for name, (w, last) in windows.items()}
    spikes = synaptic = 0.0
    for draw in range(DRAWS):
        masks = network_masks(network, 5, draw)
        fired, some, met = brute_force(network, conversion, x, masks, steps, repeats)
        spikes, synaptic = spikes + some, synaptic + met
        fired = {name: repeats[name] * n for name, n in fired.items()}
        work = spiking_work(network, x, fired, masks, weights_met(network), steps)
        assert sum(counts.synaptic for counts in work.values()) == pytest.approx(met, rel=1e-9)
        assert sum(counts.spikes for counts in work.values()) == pytest.approx(some, rel=1e-9)
    assert spikes > 50
    if (neuron, request.node.callspec.id.split("-")[0]) not in COMPILED:
        return
    found = count_operations(network, conversion, x, draws=DRAWS, seed=5, steps=steps)
    # float32 against another order of sums: a spike in a thousand may fall on the other side
    assert found.alone.spikes * ROWS * DRAWS == pytest.approx(spikes, rel=3e-3)
    assert found.alone.synaptic * ROWS * DRAWS == pytest.approx(synaptic, rel=3e-3)
    busy = {h.name: repeats[h.name] + windowed for h in network.hidden}
    updates = sum(network.units(name) * steps * n for name, n in busy.items())
    assert found.alone.updates == updates


@pytest.mark.parametrize("make", [branches, towers, dropped_weights])
def test_sharing_leaves_the_work_of_one_draw_but_for_spikes_of_shared_neurons(make):
    network = make()
    x = inputs(network, ROWS)
    conversion = calibrate(network, inputs(network, 300, seed=2))
    found = count_operations(network, conversion, x, draws=DRAWS, seed=5, steps=20)
    ann = count_ann_operations(network, x, draws=DRAWS, seed=5)
    for work in (found, ann):
        one, alone = work.of(1), work.alone
        for kind in ("synaptic", "updates", "mask_bits", "macs"):
            assert getattr(one, kind) == pytest.approx(getattr(alone, kind), rel=1e-6)
        assert one.spikes >= alone.spikes * (1 - 1e-9)
        assert work.of(7).macs == pytest.approx(work.once.macs + 7 * work.draw.macs)
        assert work.of(7, shared=False).macs == pytest.approx(7 * alone.macs)
    assert ann.of(50).macs < ann.of(50, shared=False).macs or len(
        differ_between_draws(network.layers, network.dropout_rates)
    ) == len(network.layers)


def test_without_dropout_all_draws_are_one():
    network = chain(0.0, 0.0)
    x, conversion = inputs(network, ROWS), calibrate(network, inputs(network, 300, seed=2))
    found = count_operations(network, conversion, x, draws=3, seed=0, steps=20)
    assert found.draw == Counts() and found.once == found.alone
    assert found.layers["shared"].all()


def test_the_work_of_a_dropped_neuron_by_hand():
    """Two neurons at 10 spikes each, three targets: a dropped one sends nothing, and receives."""
    one = np.ones((1, 2), "float32")
    hidden = (
        Layer("a", one, np.zeros(2, "float32"), 0.5),
        Layer("b", np.ones((2, 3), "float32"), np.zeros(3, "float32"), 0.5),
    )
    readout = Layer("y", np.ones((3, 2), "float32"), np.zeros(2, "float32"))
    network = Network.chain(hidden, readout)
    fired = {"a": np.array([[10.0, 0.0]]), "b": np.array([[5.0, 5.0, 0.0]])}
    masks = {"a": np.array([[2.0, 0.0]]), "b": np.array([[2.0, 2.0, 0.0]])}
    work = spiking_work(network, np.ones((1, 1)), fired, masks, weights_met(network), 10)
    assert work["b"] == Counts(spikes=10.0, synaptic=30.0)  # a dropped target receives
    assert work["y"] == Counts(synaptic=20.0)
    assert work["a"] == Counts(spikes=10.0, macs=2.0, macs_nonzero=2.0)


def test_a_linear_layer_in_the_middle_passes_its_sums_on_at_every_step():
    layers = (
        Layer("x", op="input", shape=(2,)),
        Layer("h", *weights(2, 4), sources=("x",), activation="relu"),
        Layer("narrow", *weights(4, 3), sources=("h",)),
        Layer("g", *weights(3, 5), sources=("narrow",), activation="relu"),
        Layer("y", *weights(5, 1), sources=("g",)),
    )
    network = Network(layers, ("y",))
    fired = {"h": np.full((1, 4), 2.0), "g": np.full((1, 5), 1.0)}
    work = spiking_work(network, np.ones((1, 2)), fired, {}, weights_met(network), 10)
    assert work["narrow"].synaptic == 8 * 3 and work["narrow"].macs == 0
    assert work["g"].synaptic == 0 and work["g"].macs == 10 * 15
    assert work["y"].synaptic == 5


def test_mask_bits_are_shared_by_the_observations_of_a_function_draw():
    network = chain(0.3, 0.3)  # 40 units twice
    x, conversion = inputs(network, ROWS), calibrate(network, inputs(network, 300, seed=2))
    settings = {"draws": DRAWS, "seed": 0, "steps": 10}
    drawn = count_operations(network, conversion, x, **settings)
    rows = count_operations(network, conversion, x, **settings, scope="row")
    assert (drawn.draw.mask_bits, rows.draw.mask_bits) == (80 / ROWS, 80)
    assert drawn.once.mask_bits == 0
    assert count_operations(
        dropped_weights(), calibrate(dropped_weights(), inputs(network, 300)), x, **settings
    ).draw.mask_bits == pytest.approx((30 + 900 + 30 + 60) / ROWS)


@pytest.mark.parametrize("scope", ["draw", "row"])
def test_other_scopes_and_chunks_count_the_same_presentations(scope):
    network = chain(0.3, 0.3)
    x, conversion = inputs(network, 150), calibrate(network, inputs(network, 300, seed=2))
    settings = {"draws": 3, "seed": 0, "steps": 10, "scope": scope}
    whole = count_operations(network, conversion, x, **settings)
    cut = count_operations(network, conversion, x, **settings, memory_gb=0.001 * 3)
    assert whole.layers.equals(cut.layers) or np.allclose(
        whole.layers.astype(float), cut.layers.astype(float), rtol=1e-4
    )


@pytest.mark.parametrize("make", [lambda: chain(0.3, 0.3, units=12), images], ids=["chain", "conv"])
def test_nengo_probes_see_the_same_spikes(make):
    network = make()
    x, steps = inputs(network, 2), 25
    conversion = calibrate(network, inputs(network, 300, seed=2), rate_hz=300)
    spikes = {h.name: 0.0 for h in network.hidden}
    opened = open_simulator(network, conversion, rows=2, steps=steps, settle=0, backend="nengo")
    with opened as simulator:
        for draw in range(DRAWS):
            counts = simulator(x, network_masks(network, 3, draw))[1]
            for layer, count in zip(network.hidden, counts, strict=True):
                spikes[layer.name] += count.sum() / (DRAWS * len(x))
    found = count_operations(network, conversion, x, draws=DRAWS, seed=3, steps=steps)
    for name, n in spikes.items():
        assert found.layers.loc[name, "spikes"] == pytest.approx(n, rel=3e-3)


def test_nengo_probes_see_shallow_branches_fire_again():
    """Raw probes over all windows: a layer fires until the last of its readers has listened."""
    import nengo

    from spikedrop.engines.nengo_model import build_model

    network = towers().with_dropout(0.0)
    x = inputs(network, 1)
    conversion = calibrate(network, inputs(network, 300, seed=2), neuron="integrate_first")
    model = build_model(network, conversion, x[0], lambda *_: None, steps=15, settle=0)
    with nengo.Simulator(model.net, dt=conversion.dt, progress_bar=False) as sim:
        sim.run_steps(model.steps)
    found = count_operations(network, conversion, x, draws=1, seed=0, steps=15)
    repeated = {name: last - w for name, (w, last) in firing_windows(network).items()}
    assert max(repeated.values()) > 1
    for name, probe in model.spikes.items():
        seen = sim.data[probe].sum() * conversion.dt
        assert found.layers.loc[name, "spikes"] == pytest.approx(seen, abs=1e-6), name


RECORD = json.loads((Path(__file__).parents[1] / "recorded" / "keras_spiking.json").read_text())


def rebuilt(job):
    """Return the recorded network; weights in hertz, so that every scale is 1."""
    layers, last = [Layer("x", op="input", shape=tuple(job["shape"]))], "x"
    for layer in job["layers"]:
        if layer["op"] == "dense" and len(job["shape"]) > 1 and layers[-1].op == "conv":
            layers.append(Layer("flat", op="flatten", sources=(last,)))
            last = "flat"
        w, b = np.array(layer["weights"], "float32"), np.array(layer["bias"], "float32")
        kind = "relu" if layer["spiking"] else "linear"
        more = {"strides": tuple(layer["strides"])} if layer["op"] == "conv" else {}
        layers.append(Layer(layer["name"], w, b, 0.0, layer["op"], (last,), kind, **more))
        last = layer["name"]
    return Network(tuple(layers), (last,))


@pytest.mark.parametrize("name", RECORD["jobs"])
def test_keras_spiking_finds_the_same_operations_and_joules(name):
    """Recorded by ``python -m benchmarks.against_keras_spiking``."""
    job, theirs = RECORD["jobs"][name], RECORD["found"][name]
    network = rebuilt(job)
    ones = tuple(1.0 for _ in network.hidden)
    conversion, x = Conversion(ones, "rectified", dt=job["dt"]), np.array(job["x"])
    found = count_operations(network, conversion, x, draws=1, seed=0, steps=job["steps"])
    ann = count_ann_operations(network, x, draws=1, seed=0)
    assert found.alone.spikes == pytest.approx(sum(theirs["spikes"]), rel=1e-6)
    for i, layer in enumerate(job["layers"]):
        row, other = found.layers.loc[layer["name"]], theirs["layers"][f"synapses{i}"]
        assert ann.layers.loc[layer["name"], "macs"] == other["connections"]
        if i == 0:
            continue  # it takes the constant input for a firing rate
        events = other["rate_hz"] * other["connections"] * job["dt"] * job["steps"]
        assert row["synaptic"] == pytest.approx(events, rel=1e-5)
        assert row["synaptic"] * 27.1e-12 == pytest.approx(other["loihi"][0], rel=1e-5)
    neurons = [row for key, row in theirs["layers"].items() if key.startswith("neurons")]
    assert found.alone.updates == sum(row["neurons"] for row in neurons) * job["steps"]
    assert found.alone.updates * 81e-12 == pytest.approx(sum(row["loihi"][1] for row in neurons))
    for device, price in (("cpu", 8.6e-9), ("gpu", 0.3e-9), ("arm", 0.9e-9)):
        synapses = sum(row[device][0] for row in theirs["layers"].values())
        assert energy(ann, device).high == pytest.approx(synapses)
        assert ann.alone.macs * price == pytest.approx(synapses)


@pytest.mark.parametrize("make", [towers, images, gaussian, dropped_weights])
def test_products_without_a_zero_are_those_of_brute_force(make):
    """Every weight a variable of its own: a product counts if its input is not zero."""
    network = make()
    x = inputs(network, 3)
    x[:, ::2] = 0
    for draw in range(DRAWS):
        masks = network_masks(network, 5, draw)
        work = artificial_work(network, x, masks, weights_met(network))
        # the number of products = sum over outputs of |input| > 0 through weights of 1
        values = every_value(network, x, masks)
        for layer in network.layers:
            if layer.op not in ("dense", "conv"):
                assert work[layer.name] == Counts()
                continue
            ones = np.ones_like(layer.weights)
            if layer.name in masks and layer.family == "weights":
                ones = (masks[layer.name][0] != 0).astype("float32")
            counting = dataclasses.replace(layer, weights=ones, bias=0 * layer.bias)
            below = values[layer.sources[0]]
            products = linear(counting, [(below != 0).astype(float)]).sum()
            assert work[layer.name].macs_nonzero == pytest.approx(products)
            full = dataclasses.replace(counting, weights=np.ones_like(layer.weights))
            assert work[layer.name].macs == pytest.approx(
                linear(full, [np.ones(below.shape)]).sum()
            )


def every_value(network, x, masks):
    """Values of every layer behind its mask, from networks that end there."""
    hidden = dict(zip((h.name for h in network.hidden), forward(network, x, masks)[1], strict=True))
    values = network.split(x)
    for layer in network.layers:
        if layer.name in hidden:
            h = hidden[layer.name]
        elif layer.op == "input":
            h = values[layer.name]
        else:
            w = layer
            if layer.name in masks and layer.family == "weights":
                w = dataclasses.replace(layer, weights=layer.weights * masks[layer.name][0])
            h = linear(w, [values[source] for source in layer.sources])
        if layer.name in masks and layer.family != "weights":
            h = h * masks[layer.name]
        values[layer.name] = h
    return values


def test_bad_settings_are_refused_before_any_work():
    network = chain(0.3, 0.3)
    conversion = calibrate(network, inputs(network, 300))
    x = inputs(network, 2)
    with pytest.raises(InputError, match="draws=0"):
        count_operations(network, conversion, x, draws=0, seed=0, steps=10)
    with pytest.raises(InputError, match="steps=0"):
        count_operations(network, conversion, x, draws=1, seed=0, steps=0)
    with pytest.raises(InputError, match="draws=0"):
        count_ann_operations(network, x, draws=0, seed=0)
    with pytest.raises(InputError, match="calibrate it on this network"):
        count_operations(network, Conversion((1.0,)), x, draws=1, seed=0, steps=10)
