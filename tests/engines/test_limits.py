"""What no sampler may return in silence: NaN and infinity, and activations that are cut off."""

import warnings

import numpy as np
import pytest

from spikedrop.chip import quantise, sample_chip
from spikedrop.conversion import Conversion, calibrate
from spikedrop.engines.backends import BACKENDS
from spikedrop.engines.capabilities import PROGRAMS, refusal
from spikedrop.errors import InputError, NotFiniteError, SaturationWarning
from spikedrop.network import Layer, Network
from spikedrop.network.forward import forward
from spikedrop.sampling.ann import sample_ann
from spikedrop.sampling.sampler import check_finite
from spikedrop.sampling.snn import sample_snn
from spikedrop.store import sample_to_store
from tests.networks import six_inputs as inputs
from tests.networks import small_chain

SMALL = {"draws": 3, "seed": 0, "progress": False}
HUGE = np.float32(1e38)


def overflowing():
    """Inputs of 1e38 add up beyond float32 in every neuron; a later layer has no other neurons."""
    eye, zero = np.full((6, 4), 30.0, "float32"), np.zeros(4, "float32")
    hidden = (Layer("a", eye, zero, 0.5), Layer("b", np.eye(4, dtype="float32"), zero))
    return Network.chain(hidden, Layer("y", np.ones((4, 1), "float32"), zero[:1]))


@pytest.mark.parametrize("backend", [None, *BACKENDS])
@pytest.mark.parametrize("neuron", ["charge_keeping", "rectified"])
def test_nan_or_infinity_is_an_error(backend, neuron):
    """Before, charge beyond float32 fired once, then never, and the readout was the bias."""
    network, x = overflowing(), np.full((3, 6), HUGE)
    x[0] = 1.0
    with np.errstate(all="ignore"), pytest.raises((NotFiniteError, InputError)) as caught:
        if backend is None:
            sample_ann(network, x, **SMALL)
        else:
            conversion = Conversion((100.0, 100.0), neuron)
            sample_snn(network, conversion, x, steps=10, backend=backend, **SMALL)
    assert "observation 1" in str(caught.value)
    assert backend is None or backend in str(caught.value)


@pytest.mark.parametrize("spiking", [False, True])
def test_nan_is_never_stored(spiking, tmp_path):
    network, x = overflowing(), np.full((3, 6), HUGE)
    conversion = Conversion((100.0, 100.0)) if spiking else None
    path = tmp_path / "a.zarr"
    with pytest.raises(NotFiniteError, match=r"observation 0"):
        sample_to_store(path, network, x, draws=3, seed=0, conversion=conversion, steps=10)
    assert not list(path.rglob("c.*.*.0"))


def test_the_chip_refuses_what_it_cannot_be_set_to():
    network = overflowing()
    chip = quantise(network, calibrate(network, np.ones((1, 6))), steps=10)
    with pytest.raises(InputError, match=r"'a' needs a bias current"):
        sample_chip(chip, np.full((3, 6), HUGE), steps=10, **SMALL)


def test_the_first_value_that_is_not_finite_is_named():
    values = np.zeros((2, 3, 2), np.float32)
    assert check_finite(values, range(4, 6), range(10, 13), "engine") is values
    values[1, 2, 0] = np.inf
    with pytest.raises(NotFiniteError, match=r"1 of 12.*draw 5, observation 12, output 0"):
        check_finite(values, range(4, 6), range(10, 13), "engine")


def saturated(network, conversion, x, **more):
    """Sample; return the shares by layer, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        samples = sample_snn(network, conversion, x, **SMALL, **more)
    told = [str(w.message) for w in caught if w.category is SaturationWarning]
    return samples.attrs["saturated"], told


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("neuron", "steps"), [("integrate_first", 16), ("radix", 6)])
def test_calibrated_on_rows_a_hundred_times_smaller(neuron, steps, backend):
    network, x = small_chain(), inputs(20)
    small = calibrate(network, x / 100, neuron=neuron)
    shares, told = saturated(network, small, x, steps=steps, backend=backend)
    assert max(shares) > 0.2
    assert len(told) == 1
    assert "'h0'" in told[0] and f"{shares[0]:.2%}" in told[0] and "calibrate" in told[0]
    fitting = calibrate(network, inputs(200), neuron=neuron, rate_hz=300)
    assert saturated(network, fitting, x, steps=steps, backend=backend) == ((0, 0, 0), [])


def test_the_shares_are_those_of_neurons_beyond_full_scale():
    """Counted by hand: activations above 1 / (scale dt), by a whole quantum at least."""
    eye, zero = np.eye(4, dtype="float32"), np.zeros(4, "float32")
    network = Network.chain((Layer("h", eye, zero),), Layer("y", eye[:, :1], zero[:1]))
    conversion = Conversion((1000.0,), "integrate_first")
    x = np.array([[0.5, 1.0, 1.04, 1.06], [2.0, 3.0, -4.0, 0.0]], "float32")  # a quantum: 0.1
    shares, told = saturated(network, conversion, x, steps=10)
    assert shares == (3 / 8,)  # 1.06 rounds to 11 of 10 quanta
    assert "50% in observation 1" in told[0]


def test_a_rate_beyond_one_spike_a_step_is_warned_of():
    network, x = small_chain(), inputs(50)
    fast = calibrate(network, inputs(200), neuron="integrate_first", rate_hz=2000)
    assert saturated(network, fast, x, steps=50)[1]
    keeping = calibrate(network, inputs(200), rate_hz=2000)  # these fire several times a step
    assert saturated(network, keeping, x, steps=50) == ((0, 0, 0), [])


def test_one_row_out_of_range_among_many_is_warned_of():
    network, x = small_chain(), inputs(200)
    conversion = calibrate(network, inputs(200), neuron="radix")
    assert saturated(network, conversion, x, steps=8)[1] == []
    x[77] *= 5
    shares, told = saturated(network, conversion, x, steps=8)
    assert max(shares) < 0.01
    assert "observation 77" in told[0]


def test_a_store_warns_once(tmp_path):
    network, x = small_chain(), inputs(30)
    conversion = calibrate(network, x / 100, neuron="radix")
    setting = {"conversion": conversion, "steps": 6, "draws": 2, "seed": 0, "chunk": 10}
    with pytest.warns(SaturationWarning, match=r"'h0'.*observation \d+") as caught:
        sample_to_store(tmp_path / "a.zarr", network, x, **setting)
    assert sum(w.category is SaturationWarning for w in caught) == 1


def test_a_chip_whose_neurons_fire_at_every_step_is_warned_of():
    network, x = small_chain(), inputs(20)
    chip = quantise(network, calibrate(network, x, rate_hz=2000), steps=30)
    with pytest.warns(SaturationWarning, match=r"'h\d'.*fire at every step"):
        samples = sample_chip(chip, x, steps=30, **SMALL)
    assert samples.attrs["saturated"] > 0.01


def test_a_kind_that_no_program_names_is_run_by_none():
    network = small_chain()
    layer = network.layers[2]
    object.__setattr__(layer, "op", "attention")
    for name, program in PROGRAMS.items():
        neuron = "radix" if name == "windows" else "charge_keeping"
        why = refusal(program, network, Conversion((100.0,) * 3, neuron))
        assert why and "attention" in why and repr(layer.name) in why


POOL = {"op": "average_pool", "window": (2, 2), "sources": ("c",)}
MISSHAPEN = {
    "strides": (Layer("p", **POOL, strides=(2,)), r"'p'.*windows of \(2, 2\) and strides"),
    "no step": (Layer("p", **POOL, strides=(0, 1)), r"'p'.*each at least 1"),
    "kind": (Layer("p", op="max_pool", sources=("c",)), r"'p' has op='max_pool'; use"),
    "point": (
        Layer("p", np.eye(3, dtype="float32"), np.zeros(3), op="conv", sources=("c",)),
        "'p'",
    ),
    "input": (Layer("p", op="input", shape=(2,), activation="relu"), r"'p' is an input and has"),
}


@pytest.mark.parametrize("name", MISSHAPEN)
def test_a_layer_that_programs_would_read_differently_is_no_network(name):
    """Strides for one of two axes were taken for one by NumPy and for both by TensorFlow."""
    layer, message = MISSHAPEN[name]
    kernel, bias = np.ones((1, 1, 1, 3), "float32"), np.zeros(3, "float32")
    image = Layer("x", op="input", shape=(4, 4, 1))
    conv = Layer("c", kernel, bias, op="conv", sources=("x",), activation="relu")
    with pytest.raises(InputError, match=message):
        Network((image, conv, layer), ("p",))


def test_a_pool_without_strides_moves_by_one_everywhere():
    kernel, bias = np.ones((1, 1, 1, 3), "float32"), np.zeros(3, "float32")
    layers = (
        Layer("x", op="input", shape=(4, 4, 1)),
        Layer("c", kernel, bias, op="conv", sources=("x",), activation="relu"),
        Layer("p", **POOL),
    )
    network = Network(layers, ("p",))
    x = np.random.default_rng(0).normal(size=(3, 16)).astype("float32")
    assert sample_ann(network, x, **SMALL).values[0] == pytest.approx(forward(network, x)[0])
