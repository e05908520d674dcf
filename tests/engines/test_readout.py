"""The readout that weights its steps: the weights, the engine, the error, and who refuses it."""

from dataclasses import replace

import numpy as np
import pytest

from spikedrop.chip import quantise
from spikedrop.comparison import paired_error
from spikedrop.conversion import Conversion, calibrate
from spikedrop.energy import count_operations
from spikedrop.engines.capabilities import PROGRAMS
from spikedrop.engines.reference import simulate
from spikedrop.errors import InputError
from spikedrop.masks import network_masks
from spikedrop.network import Layer, Network
from spikedrop.network.forward import forward
from spikedrop.neurons import NEURONS, step_weights
from spikedrop.sampling.ann import sample_ann
from spikedrop.sampling.snn import sample_snn
from spikedrop.store.fingerprint import of_conversion
from tests.networks import GRAPHS, SIMULATORS, dropped_weights, random_network
from tests.networks import inputs as graph_inputs
from tests.networks import six_inputs as inputs


@pytest.mark.parametrize(("steps", "settle"), [(1, 0), (2, 0), (7, 6), (50, 0), (200, 20)])
def test_the_parabola_has_mean_1_and_the_smallest_jumps(steps, settle):
    """Against the minimum of sum (w[t + 1] - w[t])**2 at a given sum, by a linear system."""
    weights = step_weights("parabola", steps, settle)
    shown, n = weights[settle:], steps - settle
    assert (weights[:settle] == 0).all()
    assert shown.mean() == pytest.approx(1, rel=1e-12)
    assert shown == pytest.approx(shown[::-1], rel=1e-12)
    jumps = np.diff(np.eye(n + 2)[:, 1:-1], axis=0)  # zeros before and behind
    system = np.block([[2 * jumps.T @ jumps, np.ones((n, 1))], [np.ones((1, n)), np.zeros((1, 1))]])
    assert shown == pytest.approx(np.linalg.solve(system, np.r_[np.zeros(n), n])[:n], rel=1e-8)


def test_the_error_is_the_charge_that_is_left_weighted_by_the_jumps():
    """The identity of `step_weights`, on the spikes of one layer."""
    network, x = (
        random_network(sizes=(6, 30, 1), rate=0.0, dtype="float64"),
        inputs(9).astype(float),
    )
    steps, record = 40, {}
    conversion = replace(calibrate(network, x, rate_hz=300), initial_charge=0.0)
    simulate(network, conversion, x, {}, steps=steps, record=record)
    parts = record["layer_0"]
    w = step_weights("parabola", steps)
    sent, current, v = (parts[name] for name in ("spikes", "current", "voltage"))
    right = np.tensordot(w, current * conversion.dt, 1) + np.tensordot(np.diff(w, append=0), v, 1)
    assert np.tensordot(w, sent, 1) == pytest.approx(right, abs=1e-9)


@pytest.mark.parametrize("neuron", ["charge_keeping", "rectified", "synapse"])
@pytest.mark.parametrize("make", GRAPHS)
def test_engine_and_reference_agree_on_any_graph(make, neuron):
    """Spikes do not depend on the readout; where they agree, the readouts do."""
    network = make()
    x = graph_inputs(network, 9)
    kind = {"synapse_s": 0.004} if neuron == "synapse" else {"neuron": neuron}
    conversion = calibrate(network, graph_inputs(network, 300, seed=2), readout="parabola", **kind)
    setting = {"draws": 2, "seed": 4, "steps": 40, "settle": 3}
    scope = "draw" if make is dropped_weights else "row"
    fast, plain = (
        sample_snn(network, conversion, x, scope=scope, backend=backend, **setting)
        for backend in ("engine", "numpy")
    )
    even = sample_snn(network, replace(conversion, readout="mean"), x, scope=scope, **setting)
    key = "spikes_per_presentation"
    assert fast.attrs[key] == even.attrs[key]
    assert fast.attrs[key] == pytest.approx(plain.attrs[key], rel=1e-3)
    same = np.isclose(fast, plain, rtol=1e-4, atol=1e-4 * float(plain.std()))
    assert same.all(axis=(0, 2)).mean() > 0.7
    assert np.abs(even - fast).max() > 1e-3 * plain.std()


@pytest.mark.parametrize("backend", SIMULATORS)
def test_nengo_weights_the_steps_too(backend):
    network, x = random_network(), inputs(3)
    conversion = calibrate(network, inputs(200), readout="parabola")
    setting = {"draws": 2, "seed": 4, "steps": 40}
    plain = sample_snn(network, conversion, x, backend="numpy", **setting)
    other = sample_snn(network, conversion, x, backend=backend, **setting)
    assert other.attrs["settle"] == 4
    assert np.abs(other - plain).max() < 1e-4 * plain.std()


def test_one_layer_of_neurons_has_a_closed_form():
    """Constant current: the engine sums it without a loop over the layers."""
    network, x = random_network(sizes=(6, 30, 2)), inputs(20)
    conversion = calibrate(network, inputs(200), readout="parabola", rate_hz=150)
    fast, plain = (
        sample_snn(network, conversion, x, draws=3, seed=0, steps=50, backend=backend)
        for backend in ("engine", "numpy")
    )
    assert np.abs(fast - plain).max() < 1e-4 * plain.std()


def test_less_error_for_the_same_spikes_and_a_steeper_fall():
    """Slopes of log error against log steps: -1, and -3/2 as for independent charges."""
    network, x = random_network(rate=0.2, dtype="float64"), inputs(60, dtype="float64")
    masks = network_masks(network, 0, 0, range(60))
    ann = forward(network, x, masks)[0]
    steps = np.array([200, 400, 800, 1600])
    errors = {}
    for readout in ("mean", "parabola"):
        conversion = calibrate(network, x, rate_hz=200, readout=readout)
        errors[readout] = [
            np.abs(
                simulate(network, conversion, x, masks, steps=t, settle=conversion.settle(t))[0]
                - ann
            ).mean()
            for t in map(int, steps)
        ]
    assert (np.array(errors["parabola"]) < 0.6 * np.array(errors["mean"])).all()
    slope = {name: np.polyfit(np.log(steps), np.log(e), 1)[0] for name, e in errors.items()}
    assert slope["mean"] > -1.2
    assert slope["parabola"] < -1.3


def test_paired_error_falls_at_equal_spikes():
    network, x = random_network(sizes=(6, 60, 60, 60, 1)), inputs(40)
    ann = sample_ann(network, x, draws=10, seed=3)
    error, spikes = {}, {}
    for readout in ("mean", "parabola"):
        conversion = calibrate(network, inputs(300, seed=2), rate_hz=300, readout=readout)
        snn = sample_snn(network, conversion, x, draws=10, seed=3, steps=200)
        error[readout] = paired_error(ann, snn).mean
        spikes[readout] = snn.attrs["spikes_per_presentation"]
    assert spikes["mean"] == spikes["parabola"]
    assert error["parabola"] < 0.7 * error["mean"]


def chain(rate=0.2):
    one = np.eye(3, dtype="float32")
    return Network.chain((Layer("h", one, one[0], rate),), Layer("y", one[:, :1], one[0, :1]))


def test_who_cannot_weight_steps_refuses_by_name():
    conversion = Conversion((500.0,), readout="parabola")
    with pytest.raises(InputError, match=r"readout='parabola': the chip model counts.*'mean'"):
        quantise(chain(), conversion)
    for neuron in ("integrate_first", "radix"):
        with pytest.raises(InputError, match=f"neuron='{neuron}' sends a whole.*'parabola'"):
            Conversion((500.0,), neuron, readout="parabola")
    with pytest.raises(InputError, match="readout='hann'; use 'mean', 'parabola'"):
        calibrate(chain(), np.ones((5, 3)), readout="hann")
    assert [name for name, program in PROGRAMS.items() if not program.weighted] == [
        "windows",
        "chip",
    ]


def test_nir_refuses_it_by_name():
    pytest.importorskip("nir")
    from spikedrop.nir import to_nir

    with pytest.raises(InputError, match="readout='parabola': a NIR graph"):
        to_nir(chain(), Conversion((500.0,), readout="parabola"))


def test_energy_counts_the_weights():
    """One multiply-accumulate for each of 2 outputs and 50 steps; nothing else changes."""
    network, x = random_network(sizes=(6, 30, 30, 2)), inputs(5)
    plain = calibrate(network, inputs(200))
    setting = {"draws": 2, "seed": 0, "steps": 50}
    even = count_operations(network, plain, x, **setting)
    weighted = count_operations(network, replace(plain, readout="parabola"), x, **setting)
    assert weighted.of(1).macs == even.of(1).macs + 100
    assert weighted.of(1).macs_nonzero == even.of(1).macs_nonzero + 100
    assert weighted.of(1).spikes == even.of(1).spikes


def test_what_is_left_out_by_default():
    of = {n: Conversion((500.0,), n).settle(50) for n in NEURONS}
    assert of == {"charge_keeping": 10, "rectified": 10, "integrate_first": 0, "radix": 0}
    assert Conversion((500.0,), readout="parabola").settle(50) == 5


def test_stores_from_before_there_was_a_choice_are_resumed():
    """The fingerprint of a conversion without weights is what it was; with them it is another."""
    plain = Conversion((100.0, 200.0))
    before = "0fec29e673241b57528e6ac091b9138af7da7c76cdc54375da24458fd96c7451"
    assert of_conversion(plain) == before
    assert of_conversion(replace(plain, readout="parabola")) != before
