"""Networks that are no chain: branches, shared towers, convolution, several inputs and outputs."""

import numpy as np
import pytest

from spikedrop.comparison import paired_error
from spikedrop.conversion import calibrate
from spikedrop.engines import compiled as engine
from spikedrop.errors import InputError
from spikedrop.masks import network_masks, stacked_masks
from spikedrop.network import Layer
from spikedrop.network.forward import forward
from spikedrop.network.layers import linear
from spikedrop.neurons import NEURONS
from spikedrop.sampling.ann import predict, sample_ann
from spikedrop.sampling.neuron_scales import allocate
from spikedrop.sampling.snn import sample_snn
from tests.fuzzing import share_held
from tests.networks import (
    GRAPHS,
    SIMULATORS,
    dropped_weights,
    gaussian,
    images,
    inputs,
    open_simulator,
    stored,
    towers,
)

DRAWS, ROWS = 3, 20


def scopes(make):
    return ("draw",) if make is dropped_weights else ("draw", "row")


CASES = [(make, scope) for make in GRAPHS for scope in scopes(make)]


@pytest.mark.parametrize(("make", "scope"), CASES)
def test_engine_and_forward_give_the_same_ann(make, scope):
    network = make()
    x = inputs(network, 150)
    samples = sample_ann(network, x, draws=DRAWS, seed=3, scope=scope)
    for draw in range(DRAWS):
        masks = network_masks(network, 3, draw, range(150) if scope == "row" else None)
        expected, _ = forward(network, x, masks)
        assert samples.values[draw] == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert samples.shape == (DRAWS, 150, network.n_outputs)
    assert samples.values.std(axis=0).min() > 0


@pytest.mark.parametrize("neuron", [*NEURONS, "synapse"])
@pytest.mark.parametrize("make", GRAPHS)
def test_same_spike_counts_and_readouts_as_the_reference(make, neuron):
    network = make()
    kind = {"neuron": neuron} if neuron in NEURONS else {"synapse_s": 0.004}
    x = inputs(network, ROWS)
    conversion = calibrate(network, inputs(network, 300, seed=2), **kind)
    if neuron == "charge_keeping":  # with a scale a neuron as well
        conversion = allocate(network, conversion, inputs(network, 300, seed=2), seed=0, draws=2)
    steps = 8 if neuron == "radix" else 40
    settle = 0 if conversion.windowed else 8
    rows = None if make is dropped_weights else range(ROWS)
    readout, spikes, counts = engine.run_snn(
        engine.load(network, conversion),
        x,
        stacked_masks(network, 4, range(DRAWS), rows),
        DRAWS,
        steps=steps,
        settle=settle,
    )
    held = []
    for draw in range(DRAWS):
        masks = network_masks(network, 4, draw, rows)
        ours = readout[draw], [c[draw] for c in counts]
        held += [share_held(network, conversion, x, masks, *ours, steps=steps, settle=settle)]
    assert min(held) > 0.7
    total = sum(c.sum(axis=(0, *range(2, c.ndim))) for c in counts)
    assert total.min() > 0
    assert (spikes == total).all()


@pytest.mark.parametrize("backend", SIMULATORS)
@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (towers, {"synapse_s": 0.004}),
        (images, {}),
        (gaussian, {"neuron": "rectified"}),
        (stored, {}),
    ],
)
def test_same_spike_counts_on_nengo_and_nengo_dl(make, settings, backend):
    """A synapse behind a linear layer the readout reads too; gates; channels; a short block."""
    network = make()
    x, train = inputs(network, 8), inputs(network, 300, seed=2)
    conversion = allocate(network, calibrate(network, train, **settings), train, seed=0, draws=2)
    with open_simulator(
        network, conversion, rows=10, steps=30, settle=6, backend=backend
    ) as simulator:
        for draw, rows in ((0, None), (1, range(8))):
            masks = network_masks(network, 4, draw, rows)
            readout, counts = simulator(x, masks)
            timing = {"steps": 30, "settle": 6}
            assert share_held(network, conversion, x, masks, readout, counts, **timing) > 0.7


@pytest.mark.parametrize("backend", SIMULATORS)
def test_dropped_weights_are_refused_on_nengo(backend):
    network = dropped_weights()
    conversion = calibrate(network, inputs(network, 100))
    with pytest.raises(InputError, match=r"'h1' drops single weights.*'engine'"):
        sample_snn(network, conversion, inputs(network, 2), draws=1, seed=0, backend=backend)


@pytest.mark.parametrize("make", GRAPHS)
def test_spikes_tend_to_the_ann(make):
    network = make()
    x = inputs(network, 30)
    conversion = calibrate(network, inputs(network, 300, seed=2), neuron="radix")
    ann = sample_ann(network, x, draws=10, seed=0)[..., 0]
    errors = [
        paired_error(
            ann, sample_snn(network, conversion, x, draws=10, seed=0, steps=t)[..., 0]
        ).mean
        for t in (4, 14)
    ]
    assert errors[1] < 0.01
    assert errors[1] < errors[0] / 4


@pytest.mark.parametrize(("make", "scope"), CASES)
@pytest.mark.parametrize("neuron", [None, "charge_keeping", "radix"])
@pytest.mark.filterwarnings("ignore::spikedrop.errors.SaturationWarning")  # on other rows
def test_bits_do_not_depend_on_how_the_work_is_cut(make, scope, neuron):
    network = make()
    x = inputs(network, 150)

    def sample(x, **change):
        common = {"seed": 1, "scope": scope, **change}
        if neuron is None:
            return sample_ann(network, x, **common).values
        conversion = calibrate(network, inputs(network, 200, seed=2), neuron=neuron)
        return sample_snn(network, conversion, x, steps=8, **common).values

    everything = sample(x, draws=12)
    assert (sample(x, draws=1, first_draw=7) == everything[7:8]).all()
    assert (sample(x[:3], draws=5, first_draw=2) == everything[2:7, :3]).all()


def test_inputs_by_name_in_order_and_joined_are_the_same():
    network = towers()
    rng = np.random.default_rng(0)
    cell, drugs = rng.normal(size=(7, 5)), rng.normal(size=(7, 2, 4))
    joined = np.concatenate([cell, drugs.reshape(7, 8)], axis=1)
    ways = [{"drugs": drugs, "cell": cell}, (cell, drugs), [cell, drugs.reshape(7, 8)], joined]
    results = [predict(network, x) for x in ways]
    assert all((result == results[0]).all() for result in results)
    assert np.allclose(results[0][:, 2:].sum(axis=1), 1)  # the second head is a softmax
    assert (results[0][:, 2:] > 0).all()


@pytest.mark.parametrize(
    ("x", "says"),
    [
        ({"cell": np.ones((3, 5))}, r"names the inputs \['cell'\].*'drugs'"),
        ([np.ones((3, 5))], "1 arrays.*2 inputs"),
        ([np.ones((3, 5)), np.ones((2, 2, 4))], r"\[3, 2\] rows"),
        ([np.ones((3, 4)), np.ones((3, 2, 4))], r"x\['cell'\] has shape \(3, 4\)"),
        ([np.ones((3, 5)), np.full((3, 8), np.nan)], r"x\['drugs'\] has 24 NaN"),
        (np.ones((3, 12)), r"x\['drugs'\] has shape \(3, 7\)"),
    ],
)
def test_inputs_that_do_not_fit_are_named(x, says):
    with pytest.raises(InputError, match=says):
        predict(towers(), x)


def test_dropped_weights_have_no_scope_row():
    network = dropped_weights()
    with pytest.raises(InputError, match=r"'h1' drops single weights.*scope='draw'"):
        sample_ann(network, inputs(network, 2), draws=1, seed=0, scope="row")


def test_convolution_and_pooling_by_hand():
    image = np.arange(9.0).reshape(1, 3, 3, 1)
    kernel = np.array([[1.0, 0.0], [0.0, -1.0]])[:, :, None, None]
    conv = Layer("c", kernel, np.array([0.5]), op="conv")
    assert linear(conv, [image])[0, :, :, 0].tolist() == [[-3.5, -3.5], [-3.5, -3.5]]
    assert linear(conv, [image], 2.0)[0, 0, 0, 0] == -3.0  # the bias counts twice
    pool = Layer("p", op="average_pool", window=(2, 2), strides=(2, 2), padding="same")
    assert linear(pool, [image])[0, :, :, 0].tolist() == [[2.0, 3.5], [6.5, 8.0]]


def test_a_shared_tower_has_masks_of_its_own_each_time():
    masks = network_masks(towers(), 0, 0)
    assert masks["a1"].shape == masks["b1"].shape
    assert (masks["a1"] != masks["b1"]).any()


def test_no_mask_where_nothing_is_dropped_gives_every_draw_alike():
    network = towers().with_dropout(0.0)
    x = inputs(network, 10)
    conversion = calibrate(network, inputs(network, 100, seed=2))
    snn = sample_snn(network, conversion, x, draws=3, seed=0, steps=30).values
    assert (snn == snn[0]).all()
    assert (sample_ann(network, x, draws=2, seed=0).values == predict(network, x)).all()
