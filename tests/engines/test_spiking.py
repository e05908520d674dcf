"""The spiking network: conversion, the reference dynamics, the sampler."""

import numpy as np
import pytest
from scipy import stats

from spikedrop.comparison import paired_error
from spikedrop.conversion import Conversion, calibrate
from spikedrop.engines.reference import decode, neurons, simulate
from spikedrop.errors import InputError
from spikedrop.masks import network_masks
from spikedrop.network import Layer, Network
from spikedrop.network.forward import forward
from spikedrop.sampling import snn as sampler
from spikedrop.sampling.ann import sample_ann
from spikedrop.sampling.snn import sample_snn
from tests.networks import random_network
from tests.networks import six_inputs as inputs

NEURONS = ["charge_keeping", "rectified"]


def identity(units=1, bias=0.0, layers=1):
    """Chain of identity layers in float64: activations are the inputs, current per step too."""
    eye = np.eye(units)
    hidden = tuple(Layer(f"h{i}", eye, np.full(units, bias)) for i in range(layers))
    return Network.chain(hidden, Layer("y", eye, np.zeros(units)))


def per_step(neuron="charge_keeping", layers=1, **change):
    """One threshold a step for one unit of activation: 1000 Hz at 1 ms."""
    return Conversion((1000.0,) * layers, neuron, **{"dt": 0.001, **change})


# Worked by hand: charge arriving in each step, then voltage and spikes of either neuron. The
# negative charge of steps 1 and 2 delays the charge-keeping neuron; the rectified one forgets it.
DRIVE = [-0.9, -0.9, 0.7, 0.7, 2.6, -0.5]
BY_HAND = {
    "charge_keeping": ([-0.4, -1.3, -0.6, 0.1, 0.7, 0.2], [0, 0, 0, 0, 2, 0]),
    "rectified": ([0.5, 0.5, 0.2, 0.9, 0.5, 0.5], [0, 0, 1, 0, 3, 0]),
}


@pytest.mark.parametrize("neuron", NEURONS)
def test_one_neuron_by_hand(neuron):
    voltages, spikes = BY_HAND[neuron]
    fired, v = neurons(per_step(neuron), np.array(DRIVE) * 1000)
    assert fired.tolist() == spikes
    assert v == pytest.approx(voltages, abs=1e-12)


@pytest.mark.parametrize("neuron", NEURONS)
def test_one_neuron_in_the_network_by_hand(neuron):
    """The input mask of every step is used here to make the current vary in time."""
    voltages, spikes = BY_HAND[neuron]
    record = {}
    readout, counts = simulate(
        identity(),
        per_step(neuron),
        np.array([[1.0]]),
        {"input": np.reshape(DRIVE, (6, 1, 1))},
        steps=6,
        settle=2,
        record=record,
    )
    assert record["h0"]["voltage"].ravel() == pytest.approx(voltages, abs=1e-12)
    assert record["h0"]["spikes"].ravel().tolist() == spikes
    assert record["h0"]["current"].ravel() == pytest.approx(np.multiply(DRIVE, 1000))
    assert record["readout"].ravel() == pytest.approx(spikes)
    assert counts[0].tolist() == [[sum(spikes)]]
    assert readout[0, 0] == pytest.approx(sum(spikes[2:]) / 4)


@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("charge", [0.0, 0.5, 0.75, -2.25])
def test_a_constant_current_gives_the_floor_of_its_charge(neuron, charge):
    """Exactly: every number is a small multiple of 1/1024, so nothing is rounded."""
    rng = np.random.default_rng(0)
    current = rng.integers(-300, 3000, size=(40, 25)).astype(float)
    conversion = Conversion((1.0,), neuron, initial_charge=charge, dt=1 / 1024)
    _, (counts,) = simulate(identity(25), conversion, current, {}, steps=77)
    expected = np.maximum(np.floor(charge + current * 77 / 1024), 0)
    assert (counts == expected).all()
    assert counts.max() > 100


@pytest.mark.parametrize("neuron", NEURONS)
def test_two_layers_by_hand(neuron):
    """Unit 1 passes 1 spike on in every second step, through the weight -0.6 and the bias 0.5."""
    network = Network.chain(
        (
            Layer("a", np.array([[0.5]]), np.array([0.0])),
            Layer("b", np.array([[-0.6]]), np.array([0.5])),
        ),
        Layer("y", np.array([[2.0]]), np.array([10.0])),
    )
    record = {}
    readout, counts = simulate(
        network, per_step(neuron, layers=2), np.array([[1.0]]), {}, steps=6, record=record
    )
    assert record["a"]["spikes"].ravel().tolist() == [1, 0, 1, 0, 1, 0]
    assert record["b"]["current"].ravel() / 1000 == pytest.approx([-0.1, 0.5] * 3)
    kept = [0.4, 0.9, 0.8, 0.3, 0.2, 0.7]  # 1.3 fires once in step 4
    rectified = [0.5, 0.0, 0.0, 0.5, 0.5, 0.0]  # 1.0 fires in steps 2 and 6
    voltages = record["b"]["voltage"].ravel()
    assert voltages == pytest.approx(kept if neuron == "charge_keeping" else rectified, abs=1e-9)
    fired = 1 if neuron == "charge_keeping" else 2
    assert counts[1].tolist() == [[fired]]
    assert readout[0, 0] == pytest.approx(10 + 2 * fired / 6)


def test_the_synapse_is_a_low_pass_that_lags_one_step():
    """A neuron that fires in every step: the current behind it is 1 - exp(-t dt / tau)."""
    conversion = per_step(layers=2, synapse_s=0.004)
    record = {}
    simulate(identity(layers=2), conversion, np.array([[1.0]]), {}, steps=30, record=record)
    current = record["h1"]["current"].ravel() / 1000
    assert current == pytest.approx(1 - np.exp(-np.arange(30) / 4))


@pytest.mark.parametrize("neuron", NEURONS)
def test_dropped_units_are_silent_and_kept_ones_are_scaled(neuron):
    network = random_network(rate=0.5)
    x = inputs(20)
    masks = network_masks(network, 0, 0, range(20))
    conversion = calibrate(network, x, neuron=neuron)
    _, counts = simulate(network, conversion, x, masks, steps=100)
    for count, mask in zip(counts, masks.values(), strict=True):
        assert (count[mask == 0] == 0).all()
        assert (count[mask > 0] > 0).mean() > 0.2
    # the first layer's kept units decode to their activation, to half a spike
    activations = forward(network, x, masks)[1]
    decoded = decode(conversion, counts, 100)[0]
    kept = masks["layer_0"] > 0
    one_spike = 1 / (conversion.scales_hz[0] * 100 * conversion.dt)
    assert np.abs(decoded - activations[0])[kept].max() <= 0.5 * one_spike * (1 + 1e-4)


@pytest.mark.parametrize("rate", [0.0, 0.2])
def test_tends_to_the_ann_as_steps_grow(rate):
    """With the same masks: charge-keeping as 1/T, rectified to a bias that stays.

    The slope of log error against log steps is -1 in the limit; the fit runs over five doublings.
    """
    network = random_network(rate=rate, dtype="float64")
    x = inputs(60, dtype="float64")
    masks = network_masks(network, 0, 0, range(60))
    ann = forward(network, x, masks)[0]
    steps = np.array([50, 100, 200, 400, 800, 1600])
    errors = {}
    for neuron in NEURONS:
        conversion = calibrate(network, x, rate_hz=200, neuron=neuron)
        errors[neuron] = [
            np.abs(simulate(network, conversion, x, masks, steps=int(t))[0] - ann).mean()
            for t in steps
        ]
    slope = {n: np.polyfit(np.log(steps), np.log(e), 1)[0] for n, e in errors.items()}
    assert -1.3 < slope["charge_keeping"] < -0.8
    assert slope["rectified"] > -0.2
    assert errors["rectified"][-1] > 30 * errors["charge_keeping"][-1]
    assert errors["charge_keeping"][-1] < 0.01 * ann.std()


def test_a_synapse_removes_part_of_the_rectification_bias():
    network, x = random_network(rate=0.0, dtype="float64"), inputs(40, dtype="float64")
    masks = network_masks(network, 0, 0)
    ann = forward(network, x)[0]
    error = {}
    for synapse in (None, 0.005, 0.05):
        conversion = calibrate(network, x, rate_hz=200, neuron="rectified", synapse_s=synapse)
        readout, _ = simulate(network, conversion, x, masks, steps=1000, settle=400)
        error[synapse] = np.abs(readout - ann).mean()
    assert error[0.05] < error[0.005] / 3 < error[None] / 9


def test_settling_leaves_the_filling_of_the_synapses_out():
    network, x = random_network(rate=0.0, dtype="float64"), inputs(40, dtype="float64")
    ann = forward(network, x)[0]
    conversion = calibrate(network, x, synapse_s=0.02)
    record = {}
    runs = [
        simulate(network, conversion, x, network_masks(network, 0, 0), steps=600, settle=s)[0]
        for s in (0, 200)
    ]
    simulate(network, conversion, x, network_masks(network, 0, 0), steps=600, record=record)
    assert np.allclose(runs[1], record["readout"][200:].mean(axis=0))
    early, late = (np.abs(run - ann).mean() for run in runs)
    assert late < early / 3


def firing_in_every_step(units=60, rate=0.3):
    """Every neuron fires once per step, so that one step is one mask and nothing else is random."""
    rng = np.random.default_rng(4)
    one = np.ones((1, units), "float32")
    readout = Layer("y", rng.normal(size=(units, 1)).astype("float32"), np.zeros(1, "float32"))
    network = Network.chain((Layer("h", one, one[0] * 0, rate),), readout)
    variance = rate / (1 - rate) * float((readout.weights**2).sum())
    return network, Conversion((1000.0,)), variance


@pytest.mark.parametrize("steps", [5, 20, 80])
def test_redrawn_masks_divide_the_variance_by_the_steps(steps):
    """var = p/(1-p) sum w^2 / T; chi-squared interval, false-alarm rate 1e-4, 400 draws."""
    network, conversion, variance = firing_in_every_step()
    x = np.ones((1, 1), "float32")
    low, high = stats.chi2.ppf([5e-5, 1 - 5e-5], 399) / 399
    settings = {"draws": 400, "seed": 0, "steps": steps, "settle": 0}
    redrawn = sample_snn(network, conversion, x, hold="step", **settings).values.var(ddof=1)
    frozen = sample_snn(network, conversion, x, **settings).values.var(ddof=1)
    assert low < redrawn * steps / variance < high
    assert low < frozen / variance < high


def test_redrawn_masks_shrink_the_sd_of_a_deep_network_as_one_over_root_t():
    """Ratio of the sd at 20 and 80 steps is 2, by an F interval, false-alarm rate 1e-4.

    400 draws at one input; 30 % is allowed on top for what the first steps and the rounding to
    spikes add at 20 steps.
    """
    network, x = random_network(rate=0.3), inputs(1)
    conversion = calibrate(network, inputs(50), rate_hz=500)
    sd = {
        steps: sample_snn(
            network, conversion, x, draws=400, seed=0, steps=steps, settle=0, hold="step"
        ).values.std(ddof=1)
        for steps in (20, 80)
    }
    low, high = np.sqrt(stats.f.ppf([5e-5, 1 - 5e-5], 399, 399))
    assert 2 * low / 1.3 < sd[20] / sd[80] < 2 * high * 1.3
    truth = sample_ann(network, x, draws=400, seed=0).values.std(ddof=1)
    assert sd[80] < truth / 3


def test_masks_of_one_layer_can_be_redrawn():
    """All named is ``step``; one named is neither that nor frozen; none named is frozen."""
    network, x = random_network(rate=0.3), inputs(3)
    conversion = calibrate(network, inputs(50))
    first, second = network.dropout_rates
    settings = {"draws": 3, "seed": 0, "steps": 20, "backend": "numpy"}

    def sample(hold):
        return sample_snn(network, conversion, x, hold=hold, **settings).values

    assert (sample({first: "step", second: "step"}) == sample("step")).all()
    assert (sample({first: "presentation"}) == sample("presentation")).all()
    masks = network_masks(network, 0, 0)
    masks[first] = np.stack([network_masks(network, 0, 0, step=t)[first] for t in range(20)])
    readout, _ = simulate(network, conversion, x, masks, steps=20, settle=4)
    assert (sample({first: "step"})[0] == readout).all()
    assert (sample({first: "step"}) != sample({second: "step"})).any()


@pytest.fixture(scope="module")
def setting():
    network = random_network(input_rate=0.1)
    x = inputs(150)
    return network, calibrate(network, x), x


@pytest.mark.parametrize("scope", ["draw", "row"])
def test_paired_with_the_ann(setting, scope):
    """The masks of one seed are the ANN's: the error is far below that of another seed's."""
    network, conversion, x = setting
    ann = sample_ann(network, x, draws=4, seed=3, scope=scope)
    snn = sample_snn(network, conversion, x, draws=4, seed=3, scope=scope, steps=400)
    assert snn.dims == ann.dims
    assert snn.shape == ann.shape
    assert snn.dtype == np.float32
    assert paired_error(ann, snn).mean < 0.05
    other = sample_snn(network, conversion, x, draws=4, seed=4, scope=scope, steps=50)
    assert paired_error(ann.values, other.values).mean > 0.5


@pytest.mark.parametrize("scope", ["draw", "row"])
@pytest.mark.parametrize("hold", ["presentation", "step"])
def test_draws_can_be_cut_and_seeds_repeat(setting, scope, hold):
    network, conversion, x = setting
    settings = {"seed": 4, "scope": scope, "hold": hold, "steps": 5}
    whole = sample_snn(network, conversion, x, draws=4, **settings)
    parts = [
        sample_snn(network, conversion, x, draws=2, first_draw=i, **settings).values for i in (0, 2)
    ]
    assert (whole.values == np.concatenate(parts)).all()
    assert len(np.unique(whole.values[:, 0, 0])) > 1
    other = sample_snn(network, conversion, x, draws=4, **{**settings, "seed": 5})
    assert (other.values != whole.values).any()


def test_without_dropout_every_draw_is_the_same():
    network = random_network(rate=0.0)
    x = inputs(20)
    samples = sample_snn(network, calibrate(network, x), x, draws=3, seed=0, steps=20).values
    assert (samples == samples[0]).all()


def test_a_draw_is_the_reference_with_its_masks_and_its_spikes_are_counted(setting):
    network, conversion, x = setting
    x = x[:50]
    samples = sample_snn(network, conversion, x, draws=2, seed=0, steps=20, backend="numpy")
    runs = [
        simulate(network, conversion, x, network_masks(network, 0, draw), steps=20, settle=4)
        for draw in (0, 1)
    ]
    assert (samples.values == np.stack([readout for readout, _ in runs])).all()
    spikes = sum(count.sum() for _, counts in runs for count in counts)
    assert samples.attrs["spikes_per_presentation"] == pytest.approx(float(spikes) / 100)
    wanted = {"steps": 20, "settle": 4, "neuron": "charge_keeping", "seed": 0, "backend": "numpy"}
    assert {key: samples.attrs[key] for key in wanted} == wanted


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"x": inputs(4)[:, :3]}, r"shape \(4, 3\)"),
        ({"x": np.full((2, 6), np.nan)}, "row 0, column 0"),
        ({"draws": 0}, "draws=0"),
        ({"scope": "all"}, "scope='all'"),
        ({"steps": 0}, "steps=0; give a whole number, at least 1"),
        ({"steps": 10, "settle": 10}, "steps=10 and settle=10"),
        ({"settle": -1}, "settle=-1"),
        ({"backend": "loihi"}, "backend='loihi'; use 'engine', 'numpy', 'nengo', 'nengo_dl'"),
        ({"hold": "row"}, "hold='row'; use 'presentation'"),
        ({"hold": {"h1": "row"}}, "hold='row'; use 'presentation'"),
        ({"hold": {"h9": "step"}}, r"hold names \['h9'\]; layers with dropout are"),
        ({"hold": "step", "backend": "nengo"}, "only backend='numpy'"),
        ({"conversion": Conversion((1.0,))}, "1 firing-rate scales and the network 2 hidden"),
    ],
)
def test_bad_input_fails_before_work(setting, change, says, monkeypatch):
    network, conversion, _ = setting
    monkeypatch.setattr(sampler, "snn_sampler", lambda *_, **__: pytest.fail("work began"))
    good = {"conversion": conversion, "x": inputs(4), "draws": 2, "seed": 0}
    with pytest.raises(InputError, match=says):
        sample_snn(network, **{**good, **change})


def test_scales_put_the_percentile_at_the_rate():
    network, x = random_network(), inputs(500)
    conversion = calibrate(network, x, rate_hz=250, percentile=95, dt=0.002, synapse_s=0.01)
    for scale, activation in zip(conversion.scales_hz, forward(network, x)[1], strict=True):
        assert (scale * activation <= 250 * (1 + 1e-5)).mean() == pytest.approx(0.95, abs=1e-3)
        assert isinstance(scale, float)
    assert (conversion.dt, conversion.synapse_s) == (0.002, 0.01)
    doubled = calibrate(network, x, rate_hz=500, percentile=95)
    assert np.allclose(doubled.scales_hz, np.multiply(conversion.scales_hz, 2))


def test_rates_follow_the_scale():
    """Counted spikes of the first layer are its activations times the scale, to half a spike."""
    network, x = random_network(rate=0.0), inputs(100)
    conversion = calibrate(network, x, rate_hz=300)
    _, counts = simulate(network, conversion, x, network_masks(network, 0, 0), steps=500)
    expected = forward(network, x)[1][0] * conversion.scales_hz[0] * 0.5
    assert np.abs(counts[0] - expected).max() < 0.51


def silent_network():
    layers = (Layer("loud", np.eye(6), np.ones(6)), Layer("mute", np.eye(6), np.full(6, -99.0)))
    return Network.chain(layers, Layer("y", np.ones((6, 1)), np.zeros(1)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"network": silent_network()}, "'mute' is silent.*raise `percentile`"),
        ({"rate_hz": 0}, "rate_hz=0"),
        ({"rate_hz": np.nan}, "rate_hz=nan"),
        ({"percentile": 0}, "percentile=0; .* above 0 and at most 100"),
        ({"percentile": 101}, "percentile=101"),
        ({"x_train": inputs(4)[:, :2]}, r"shape \(4, 2\)"),
        (
            {"neuron": "lif"},
            "neuron='lif'; use 'charge_keeping', 'rectified', 'integrate_first', 'radix'",
        ),
        ({"initial_charge": 1.0}, "initial_charge=1.0; .* below 1"),
        ({"synapse_s": 0.0}, "synapse_s=0.0; .* above 0"),
        ({"dt": -0.001}, "dt=-0.001"),
    ],
)
def test_calibration_refuses(change, says):
    good = {"network": random_network(), "x_train": inputs(50)}
    with pytest.raises(InputError, match=says):
        calibrate(**{**good, **change})


@pytest.mark.parametrize("scales", [(1.0, 0.0), (np.inf,), (np.nan,)])
def test_a_conversion_checks_its_scales(scales):
    with pytest.raises(InputError, match="every scale must be positive and finite"):
        Conversion(scales)
