"""Nengo and NengoDL: the same spikes as the reference, the neuron type, the import door."""

import contextlib
import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

from spikedrop.conversion import calibrate
from spikedrop.engines.nengo_dl_import import import_nengo_dl
from spikedrop.engines.nengo_neuron_types import (
    ChargeKeepingRectifiedLinear,
    register_with_nengo_dl,
)
from spikedrop.errors import InputError
from spikedrop.masks import BLOCK_ROWS, network_masks
from spikedrop.network import Layer, Network
from spikedrop.network.keras_import import native_stderr_silenced
from spikedrop.sampling.snn import sample_snn
from spikedrop.study.converter import converter_sd_ratio
from tests.networks import SIMULATORS, open_simulator

nengo = sys.modules["nengo"]  # imported above, where its import warning is seen to
ROWS, STEPS, SETTLE = 40, 60, 12


def random_network(sizes=(6, 24, 20, 2), rate=0.2, input_rate=0.1):
    rng = np.random.default_rng(0)
    layers = [
        Layer(
            f"layer_{i}",
            rng.normal(0, np.sqrt(2 / sizes[i]), (sizes[i], sizes[i + 1])).astype("float32"),
            rng.normal(0, 0.1, sizes[i + 1]).astype("float32"),
            rate if i < len(sizes) - 2 else 0.0,
        )
        for i in range(len(sizes) - 1)
    ]
    return Network.chain(tuple(layers[:-1]), layers[-1], input_rate)


def inputs(n):
    return np.random.default_rng(1).normal(size=(n, 6)).astype("float32")


def presentations(network):
    """Two draws, both scopes, a block that is not full, and the first one again."""
    x = inputs(ROWS)
    first = (x, network_masks(network, 0, 0))
    rows = (x, network_masks(network, 0, 1, range(ROWS)))
    part = (x[:13], network_masks(network, 0, 2, range(13)))
    return [first, rows, part, (x[:9], network_masks(network, 0, 3)), first]


@pytest.fixture(
    scope="module",
    params=[(n, s) for n in ("charge_keeping", "rectified") for s in (None, 0.005)],
    ids=lambda p: f"{p[0]}-{p[1]}",
)
def runs(request):
    """Readouts and spike counts of the same presentations, by backend."""
    neuron, synapse_s = request.param
    network = random_network()
    conversion = calibrate(network, inputs(200), neuron=neuron, synapse_s=synapse_s)
    results = {}
    for backend in ("numpy", "nengo", "nengo_dl"):
        with open_simulator(
            network, conversion, rows=ROWS, steps=STEPS, settle=SETTLE, backend=backend
        ) as simulator:
            results[backend] = [simulator(*shown) for shown in presentations(network)]
    return network, results


@pytest.mark.parametrize("backend", SIMULATORS)
def test_same_spikes_and_readouts_as_the_reference(runs, backend):
    """Counts of 99.9 % of neurons and presentations, and readouts where all counts agree.

    The rest is left to float32: a voltage that lands on the threshold may round either way.
    """
    _, results = runs
    same, spikes, rows = [], 0, 0
    for (readout, counts), (expected, wanted) in zip(
        results[backend], results["numpy"], strict=True
    ):
        agree = [a == b for a, b in zip(counts, wanted, strict=True)]
        same += [a.ravel() for a in agree]
        spikes += sum(b.sum() for b in wanted)
        all_agree = np.all([a.all(axis=1) for a in agree], axis=0)
        rows += all_agree.sum()
        assert readout.shape == expected.shape
        assert np.abs(readout - expected)[all_agree].max() < 1e-4 * expected.std()
    assert np.concatenate(same).mean() >= 0.999
    assert rows > 0.95 * (3 * ROWS + 22)
    assert spikes > 20_000


@pytest.mark.parametrize("backend", ["numpy", *SIMULATORS])
def test_masks_change_in_one_simulator_and_state_does_not_leak(runs, backend):
    """Dropped neurons are silent in every draw; the first draw again gives the same bits."""
    network, results = runs
    for (_, masks), (_, counts) in zip(presentations(network), results[backend], strict=True):
        for layer, count in zip(network.hidden, counts, strict=True):
            dropped = np.broadcast_to(masks[layer.name] == 0, count.shape)
            assert (count[dropped] == 0).all()
            assert (count[~dropped] > 0).mean() > 0.3
    first, rows, *_, again = results[backend]
    assert (first[0] == again[0]).all()
    assert all((a == b).all() for a, b in zip(first[1], again[1], strict=True))
    assert (np.abs(first[0] - rows[0]) > 1e-3).mean() > 0.9


@pytest.mark.parametrize("backend", SIMULATORS)
@pytest.mark.parametrize("scope", ["draw", "row"])
def test_samples_are_those_of_the_reference(backend, scope):
    """Through `sample_snn`; on NengoDL over a full block and a last one of 9 observations."""
    network = random_network(sizes=(6, 8, 1))
    x = inputs(BLOCK_ROWS + 9 if backend == "nengo_dl" else 12)
    conversion = calibrate(network, x)
    settings = {"draws": 2, "seed": 3, "steps": 20, "scope": scope}
    expected = sample_snn(network, conversion, x, backend="numpy", **settings)
    got = sample_snn(network, conversion, x, backend=backend, **settings)
    assert got.dims == expected.dims
    assert got.dtype == np.float32
    close = np.abs(got.values - expected.values) < 1e-4 * float(expected.std())
    assert close.mean() >= 0.999
    assert got.attrs["spikes_per_presentation"] == pytest.approx(
        expected.attrs["spikes_per_presentation"], rel=1e-3
    )
    assert (got.attrs["backend"], expected.attrs["backend"]) == (backend, "numpy")
    assert (got.values[0] != got.values[1]).any()


@pytest.mark.parametrize("backend", SIMULATORS)
def test_nothing_is_kept_in_the_cache_of_nengo(backend, tmp_path, monkeypatch):
    """It has one lock for all processes of a user, and the models of draws solve no decoders."""
    kept = tmp_path / "decoders"
    monkeypatch.setitem(nengo.rc["decoder_cache"], "path", str(kept))
    monkeypatch.setitem(nengo.rc["decoder_cache"], "enabled", "True")
    network = random_network(sizes=(6, 8, 1))
    conversion = calibrate(network, inputs(4))
    sample_snn(network, conversion, inputs(4), backend=backend, draws=2, seed=3, steps=5)
    assert not kept.exists()


@pytest.mark.parametrize("backend", SIMULATORS)
def test_a_charge_below_zero_is_refused_where_it_would_send_negative_spikes(backend):
    """Nengo's own neuron sends as many spikes as the floor of its charge says."""
    with nengo.Network(seed=0) as net:
        neuron = nengo.SpikingRectifiedLinear(initial_state={"voltage": nengo.dists.Choice([-1.5])})
        ensemble = nengo.Ensemble(1, 1, neuron_type=neuron, gain=[1.0], bias=[0.0])
        probe = nengo.Probe(ensemble.neurons)
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(1)
    assert sim.data[probe].sum() < 0
    network, x = random_network(), inputs(3)
    conversion = calibrate(network, x, neuron="rectified", initial_charge=-1.5)
    setting = {"draws": 2, "seed": 0, "steps": 20}
    with pytest.raises(InputError, match=r"initial_charge=-1.5: .*negative spikes"):
        sample_snn(network, conversion, x, backend=backend, **setting)
    same = [
        sample_snn(network, conversion, x, backend=name, **setting) for name in ("engine", "numpy")
    ]
    np.testing.assert_allclose(*same, rtol=1e-4, atol=1e-5)


def population(neuron_type, value=(0.5, -0.3)):
    """Return a Nengo model as users write it: random tuning, a constant input, decoded output."""
    with nengo.Network(seed=3) as net:
        drive = nengo.Node(value)
        ensemble = nengo.Ensemble(60, 2, neuron_type=neuron_type)
        nengo.Connection(drive, ensemble, synapse=None)
        out = nengo.Node(size_in=2)
        nengo.Connection(ensemble, out, synapse=0.05)
        probes = [
            nengo.Probe(ensemble.neurons),
            nengo.Probe(out),
            nengo.Probe(ensemble.neurons, "voltage"),
        ]
    return net, drive, ensemble, probes


@pytest.mark.parametrize("amplitude", [1.0, 0.25])
def test_rates_are_the_measured_rates_in_plain_nengo(amplitude):
    """Of 60 neurons with random tuning, within one spike over the second presented."""
    kind = ChargeKeepingRectifiedLinear(amplitude=amplitude)
    net, _, ensemble, (spikes, decoded, voltage) = population(kind)
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run(1.0)
    built = sim.data[ensemble]
    along = np.array([[0.5, -0.3]]) @ built.encoders.T / ensemble.radius
    rates = kind.rates(along, built.gain, built.bias)[0]
    measured = sim.data[spikes].sum(axis=0) * sim.dt
    assert np.abs(measured - rates).max() <= amplitude * (1 + 1e-9)
    assert (rates > 10 * amplitude).sum() > 20
    assert (rates == 0).sum() > 5
    assert np.abs(sim.data[decoded][-500:].mean(axis=0) - [0.5, -0.3]).max() < 0.05
    assert sim.data[voltage].max() < 1
    assert sim.data[voltage].min() < -10  # charge is kept where the current is negative


def test_negative_charge_is_what_sets_it_apart_from_nengos_neuron():
    """-300 Hz for 10 ms, then 300 for 20: net charge 3, against 6 if the first is forgotten."""
    counts = {}
    for kind in (ChargeKeepingRectifiedLinear, nengo.SpikingRectifiedLinear):
        state = {"voltage": nengo.dists.Choice([0.25])}
        with nengo.Network() as net:
            drive = nengo.Node(lambda t: -1.0 if t < 0.0105 else 1.0)
            neuron = nengo.Ensemble(
                1,
                1,
                neuron_type=kind(initial_state=state),
                gain=[300.0],
                bias=[0.0],
                encoders=[[1]],
            )
            nengo.Connection(drive, neuron, synapse=None)
            probe = nengo.Probe(neuron.neurons)
        with nengo.Simulator(net, progress_bar=False) as sim:
            sim.run_steps(30)
        counts[kind.__name__] = sim.data[probe].sum() * sim.dt
    assert counts == pytest.approx({"ChargeKeepingRectifiedLinear": 3, "SpikingRectifiedLinear": 6})


@pytest.mark.filterwarnings("ignore:No GPU support detected")
def test_nengo_dl_runs_it_in_tensorflow_and_trains_through_it():
    """The same spikes as the Python step, no fallback (which would warn), falling loss."""
    register_with_nengo_dl()
    register_with_nengo_dl()  # safe twice
    nengo_dl = import_nengo_dl()
    import tensorflow as tf

    net, drive, _, (spikes, decoded, voltage) = population(ChargeKeepingRectifiedLinear(0.5))
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(50)
    expected = {probe: np.array(sim.data[probe]) for probe in (spikes, decoded, voltage)}
    with net:
        nengo_dl.configure_settings(stateful=False)
    with nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
        shown = np.tile(np.float32([0.5, -0.3]), (4, 50, 1))
        got = sim.predict({drive: shown}, verbose=0)
        for row in got[spikes]:
            assert (np.abs(row - expected[spikes]) < 1e-3).mean() >= 0.999
        assert np.abs(got[voltage][0] - expected[voltage]).max() < 1.01  # but for a spike's step
        assert np.median(np.abs(got[voltage][0] - expected[voltage])) < 1e-4
        assert expected[spikes].max() > 0

        sim.compile(optimizer=tf.optimizers.Adam(3e-5), loss={decoded: tf.losses.mse})
        history = sim.fit(
            {drive: shown}, {decoded: np.full((4, 50, 2), 0.2)}, epochs=8, verbose=0
        ).history["loss"]
    assert np.isfinite(history).all()
    assert history[-1] < 0.8 * history[0]


@pytest.mark.filterwarnings("ignore:No GPU support detected")
def test_a_neuron_type_nengo_dl_does_not_know_would_warn():
    """So the silence of the test before means something."""

    class Unregistered(ChargeKeepingRectifiedLinear):
        """The same neuron, unknown to NengoDL."""

    nengo_dl = import_nengo_dl()
    net, *_ = population(Unregistered())
    with (
        pytest.warns(UserWarning, match="does not have a native TensorFlow implementation"),
        nengo_dl.Simulator(net, progress_bar=False),
    ):
        pass


@pytest.mark.filterwarnings("ignore:No GPU support detected")
@pytest.mark.parametrize("said", ["Setting the shape on a NumPy array has been", "Something else"])
def test_only_the_shape_that_nengo_assigns_goes_without_a_warning(said, monkeypatch):
    """NumPy 2.5 warns of it where NengoDL discretises a low-pass; here every NumPy does."""
    nengo_dl = import_nengo_dl()
    called, cont2discrete = [], nengo_dl.process_builders.cont2discrete

    def warning(*args, **kwargs):
        called.append(args)
        warnings.warn(f"{said} deprecated in NumPy 2.5.", DeprecationWarning, stacklevel=1)
        return cont2discrete(*args, **kwargs)

    monkeypatch.setattr(nengo_dl.process_builders, "cont2discrete", warning)
    with nengo.Network() as net:
        nengo.Connection(nengo.Node([1.0]), nengo.Node(size_in=1), synapse=0.05)
    allowed = (
        contextlib.nullcontext()
        if said.startswith("Setting")
        else pytest.raises(DeprecationWarning, match="Something else")
    )
    with allowed, nengo_dl.Simulator(net, progress_bar=False):
        pass
    assert called


def test_the_converter_loses_permanent_dropout():
    """Called with training=True it is gone; a subclass is redrawn at every step: 1/sqrt(T).

    The median over 40 observations of an sd from 40 draws; 25 % is four times its error.
    """
    network = random_network(sizes=(6, 30, 1), rate=0.3, input_rate=0.0)
    table = converter_sd_ratio(network, inputs(40), steps=(1, 16), draws=40, seed=0)
    assert (table["Dropout(training=True)"] < 1e-3).all()
    assert table["Dropout subclass"].to_numpy() == pytest.approx([1, 1 / 4], rel=0.25)


def test_keras_stays_keras_3_behind_the_door():
    log_level = os.environ.get("TF_CPP_MIN_LOG_LEVEL")
    nengo_dl = import_nengo_dl()
    assert import_nengo_dl() is nengo_dl is sys.modules["nengo_dl"]
    assert nengo_dl.__version__ == "3.6.0"
    import keras
    import tensorflow as tf

    assert keras.__version__.startswith("3.")
    assert keras.layers.Dense.__module__.startswith("keras.src.")
    assert not hasattr(keras.layers, "BatchNormalizationV1")
    assert not hasattr(keras, "engine")
    assert sys.modules["keras.layers"] is keras.layers
    assert not [name for name in sys.modules if name.startswith("keras.engine")]
    assert tf.keras.Model.__module__.startswith("tf_keras.")
    assert os.environ.get("TF_CPP_MIN_LOG_LEVEL") == log_level
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    assert model(np.ones((1, 2), "float32")).shape == (1, 3)


def run_python(code):
    """Run code in a fresh interpreter, without what the test session set, and return both ends."""
    session = ("TF_CPP_MIN_LOG_LEVEL", "TF_USE_LEGACY_KERAS", "KERAS_BACKEND")
    environment = {k: v for k, v in os.environ.items() if k not in session}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_the_package_needs_no_framework_and_says_what_is_missing():
    """`import spikedrop` loads none; a hidden one is named, with the way to install it."""
    found, _ = run_python(
        """
import json, sys
import spikedrop
said = {"loaded": [m for m in ("tensorflow", "keras", "nengo", "nengo_dl") if m in sys.modules]}

def attempt(name, hidden, work):
    sys.modules[hidden] = None  # Python's own way to say: there is no such module
    try:
        work()
    except ImportError as error:
        said[name] = str(error)
    del sys.modules[hidden]

def backends():
    import spikedrop.engines.nengo_neuron_types

def door():
    from spikedrop.engines.nengo_dl_import import import_nengo_dl
    import_nengo_dl()

attempt("nengo", "nengo", backends)
attempt("tf_keras", "tf_keras", door)
attempt("nengo_dl", "nengo_dl", door)
said["tensorflow after"] = "tensorflow" in sys.modules
print(json.dumps(said))
"""
    )
    assert found["loaded"] == []
    assert 'pip install "spikedrop[nengo]"' in found["nengo"]
    assert 'backend="numpy"' in found["nengo"]
    for name in ("tf_keras", "nengo_dl"):
        assert f"{name} cannot be found" in found[name]
        assert 'pip install "spikedrop[nengo]"' in found[name]
    assert not found["tensorflow after"]


def test_tensorflow_starts_in_silence_and_a_resolved_tf_keras_is_an_error():
    """Nothing reaches descriptor 2; and where tf.keras is Keras 3 already, the door says so."""
    found, stderr = run_python(
        """
import json, os, sys
from spikedrop.network.keras_import import import_tensorflow
tf = import_tensorflow()
said = {"version": tf.__version__, "level": os.environ["TF_CPP_MIN_LOG_LEVEL"]}
said["keras"] = tf.keras.Model.__module__
from spikedrop.engines.nengo_dl_import import import_nengo_dl
try:
    import_nengo_dl()
except ImportError as error:
    said["error"] = str(error)
import keras
said["layers"] = keras.layers.Dense.__module__
said["nengo_dl"] = "nengo_dl" in sys.modules
print(json.dumps(said))
"""
    )
    assert stderr == ""
    assert found["version"].startswith("2.")
    assert found["level"] == "3"
    assert found["keras"].startswith("keras.src.")
    assert "already resolved tf.keras to Keras 3" in found["error"]
    assert "TF_USE_LEGACY_KERAS=1" in found["error"]
    assert found["layers"].startswith("keras.src.")
    assert not found["nengo_dl"]


def test_only_what_is_written_inside_is_silenced(capfd):
    with pytest.raises(KeyError, match="passes"):
        os.write(2, b"before ")
        print("buffered ", end="", file=sys.stderr)
        with native_stderr_silenced():
            os.write(2, b"noise ")
            raise KeyError("passes")
    os.write(2, b"after")
    assert capfd.readouterr().err == "before buffered after"
