"""Neurons are classes: steps worked out by hand, and a neuron of a user's own in every part."""

from dataclasses import dataclass, fields, replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from spikedrop.chip.quantise import quantise
from spikedrop.conversion import Conversion, calibrate
from spikedrop.energy import count_operations, energy, energy_table
from spikedrop.energy.planning import measured_errors, plan_budget
from spikedrop.engines.capabilities import PROGRAMS
from spikedrop.engines.compiled import load
from spikedrop.engines.reference import decode, neurons, simulate
from spikedrop.errors import InputError, StoreError
from spikedrop.masks import network_masks
from spikedrop.neurons import (
    NEURONS,
    SHIPPED,
    ChargeKeeping,
    IntegrateFirst,
    Neuron,
    Radix,
    neuron_of,
    register_neuron,
)
from spikedrop.nir import to_nir
from spikedrop.plots import spikes as figures
from spikedrop.sampling.ann import sample_ann
from spikedrop.sampling.neuron_scales import allocate
from spikedrop.sampling.snn import sample_snn
from spikedrop.store import open_samples, sample_to_store
from spikedrop.study.rounded import round_activation
from tests.networks import chain, inputs

# Charge, what arrives, step and steps of the window: spikes and charge left, worked out by hand.
STEPS = {
    "charge_keeping": [
        (0.5, -0.9, 0, 2, 0, -0.4),
        (-0.4, 2.5, 1, 2, 2, 0.1),
        (0.5, 0.5, 0, 1, 1, 0.0),
    ],
    "rectified": [(0.5, -0.9, 0, 2, 0, 0.5), (0.5, 2.5, 1, 2, 3, 0.0)],
    "integrate_first": [
        (3.2, 0.0, 0, 2, 1, 2.2),
        (2.2, 0.0, 1, 2, 1, 1.2),
        (0.9, 0.0, 0, 2, 0, 0.9),
        (-3.0, 0.0, 0, 2, 0, -3.0),
    ],
    "radix": [  # 6.5 is 110 in binary, and a half
        (6.5, 0.0, 0, 3, 1, 2.5),
        (2.5, 0.0, 1, 3, 1, 0.5),
        (0.5, 0.0, 2, 3, 0, 0.5),
        (-1.0, 0.0, 2, 3, 0, -1.0),
    ],
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_the_one_worked_out_by_hand(name):
    for charge, arriving, t, steps, spikes, left in STEPS[name]:
        fired, rest = neuron_of(name).step(np.array([charge]), np.array([arriving]), t, steps)
        assert fired.tolist() == [spikes] and rest == pytest.approx([left])


def test_every_neuron_of_the_package_has_hand_worked_steps_and_states_what_it_is():
    assert set(STEPS) == set(NEURONS) == SHIPPED
    for name, neuron in NEURONS.items():
        assert neuron.name == name and neuron.hardware != Neuron.hardware
        assert "math::" in type(neuron).__doc__
    assert [n for n, neuron in NEURONS.items() if not neuron.nir] == ["charge_keeping"]
    kinds = {name: neuron.kind for name, neuron in NEURONS.items()}
    assert list(kinds.values()) == ["SNN", "SNN", "quantised", "bit-serial"]


@pytest.mark.parametrize("neuron", [IntegrateFirst(), Radix()])
@pytest.mark.parametrize("charge", [-2.0, 0.4, 1.0, 3.7, 5.0, 7.9, 8.0, 40.0])
def test_a_window_sends_the_charge_rounded_down_up_to_the_largest_number(neuron, charge):
    steps, v, sent = 3, np.array([charge]), 0.0
    for t in range(steps):
        spikes, v = neuron.step(v, 0.0, t, steps)
        sent += float(spikes[0] * neuron.spike_values(steps)[t])
    full = neuron.levels(steps)
    assert sent * full / steps == min(max(np.floor(charge), 0), neuron.largest(steps))
    assert full - neuron.largest(steps) == neuron.shifts  # T bits count to 2**T - 1


@dataclass(frozen=True)
class Leaky(ChargeKeeping):
    """A neuron that keeps a share of its charge from step to step."""

    name: str = "leaky"
    hardware: str = "a leak"
    kept: float = 0.9

    def step(self, charge, arriving, t, steps):
        """Leak, then add and fire."""
        return super().step(self.kept * charge, arriving, t, steps)


@dataclass(frozen=True)
class Digits(Radix):
    """The radix neuron by another name."""

    name: str = "digits"


@dataclass(frozen=True)
class Weighted(ChargeKeeping):
    """Fires while it integrates, and its spikes count differently."""

    name: str = "weighted"
    shifts: bool = True


@pytest.fixture
def register():
    """Register neurons, which are unknown again after the test."""
    before = dict(NEURONS)
    yield register_neuron
    NEURONS.clear()
    NEURONS.update(before)


@pytest.fixture
def leaky(register):
    """A network, inputs, and its conversion with a neuron that the test brings."""
    register(Leaky())
    network = chain(0.2, 0.2, units=12)
    x = inputs(network, 6)
    return network, x, calibrate(network, x, neuron="leaky")


ASK = {"draws": 3, "seed": 5, "steps": 20, "backend": "numpy", "progress": False}


def test_it_is_sampled_by_its_own_equation(leaky):
    """Step by step in plain Python, from the weights alone."""
    network, x, conversion = leaky
    samples = sample_snn(network, conversion, x, settle=0, **ASK)
    gains = [scale * conversion.dt for scale in conversion.scales_hz]
    for draw in range(3):
        masks = network_masks(network, 5, draw)
        charge = [np.full((len(x), 12), 0.5) for _ in gains]
        total = 0.0
        for _ in range(20):
            h = x.astype(float)
            for layer, v, g in zip(network.hidden, charge, gains, strict=True):
                v *= 0.9
                v += g * (h @ layer.weights + layer.bias)
                n = np.maximum(np.floor(v), 0)
                v -= n
                h = n / g * masks[layer.name]
            readout = network.layers[-1]
            total = total + h @ readout.weights + readout.bias
        # a charge within rounding of the threshold may fire a step later
        near = np.isclose(samples[draw], total / 20, rtol=1e-4, atol=1e-4)
        assert near.mean() >= 0.9


def test_without_a_leak_it_is_the_charge_keeping_neuron(register):
    register(Leaky(kept=1.0))
    network = chain(0.2, 0.2, units=12)
    x = inputs(network, 6)
    own, plain = (
        sample_snn(network, calibrate(network, x, neuron=neuron), x, **ASK)
        for neuron in ("leaky", "charge_keeping")
    )
    np.testing.assert_array_equal(own.values, plain.values)
    assert own.attrs["neuron"] == "leaky"


def test_a_window_of_ones_own_is_run_and_its_losses_are_counted(register):
    register(Digits())
    network = chain(0.2, 0.2, units=12)
    x = inputs(network, 6)
    own, known = (
        calibrate(network, x, neuron=neuron, percentile=60) for neuron in ("digits", "radix")
    )
    assert (own.windowed, own.kind, own.settle(8)) == (True, "bit-serial", 0)
    short = ASK | {"steps": 6}
    with pytest.warns(UserWarning, match="driven beyond full scale"):
        ours = sample_snn(network, own, x, **short)
    with pytest.warns(UserWarning, match="driven beyond full scale"):
        theirs = sample_snn(network, known, x, **short)
    np.testing.assert_array_equal(ours.values, theirs.values)
    assert ours.attrs["saturated"] == theirs.attrs["saturated"]
    with pytest.raises(InputError, match=r"steps=21: at most 20 for neuron='digits'"):
        sample_snn(network, own, x, **ASK | {"steps": 21})
    with pytest.raises(InputError, match="'digits' waits for a whole window"):
        calibrate(network, x, neuron="digits", synapse_s=0.005)


def test_it_is_stored_and_a_changed_one_does_not_resume(leaky, register, tmp_path):
    network, x, conversion = leaky
    job = {"conversion": conversion, **ASK}
    sample_to_store(tmp_path / "s", network, x, **job)
    stored = open_samples(tmp_path / "s")
    assert stored.attrs["neuron"] == "leaky"
    np.testing.assert_array_equal(stored.values, sample_snn(network, conversion, x, **ASK).values)
    sample_to_store(tmp_path / "s", network, x, **job)  # nothing to do
    register(Leaky(kept=0.5))
    with pytest.raises((InputError, StoreError), match="conversion"):
        sample_to_store(tmp_path / "s", network, x, **job)


def test_its_operations_are_counted_and_priced(leaky, register):
    network, x, conversion = leaky
    setting = {"draws": 3, "seed": 5, "steps": 20}
    work = count_operations(network, conversion, x, **setting)
    fired = sample_snn(network, conversion, x, **ASK).attrs["spikes_per_presentation"]
    assert work.alone.spikes == pytest.approx(fired)
    assert work.kind == "SNN" and work.alone.shifts == 0
    assert energy(work, "loihi").low > 0
    for own in (Digits(), Weighted()):
        register(own)
        shifted = count_operations(network, replace(conversion, neuron=own.name), x, **setting)
        assert shifted.alone.shifts == shifted.alone.synaptic > 0
        with pytest.raises(InputError, match="'loihi' has neurons of a fixed kind"):
            energy(shifted, "loihi")
        assert "loihi" not in set(energy_table({"own": shifted}, 3)["device"])


def test_a_budget_is_planned_with_it(leaky):
    network, x, _ = leaky
    small = {"steps": (8, 32), "rates_hz": (250,), "pilot_draws": 16, "progress": False}
    many = {"neuron": "leaky", "ann_draws": 256}
    plan = plan_budget(network, x, x, budget=1e5, unit="operations", seed=0, **small, **many)
    assert plan.draws >= 1 and plan.conversion_error > 0
    row = pd.DataFrame([plan.row() | {"draws": 16}])
    found = measured_errors(network, x, x, row, seed=1, draws=32, **many)
    assert found["measured"].notna().all()


def test_its_scales_are_allocated_unless_its_spikes_differ(leaky, register):
    network, x, conversion = leaky
    assert np.ndim(allocate(network, conversion, x, seed=0).scales_hz[0]) == 1
    register(Weighted())
    own = replace(conversion, neuron="weighted")
    with pytest.raises(InputError, match="neuron='weighted' sends digits"):
        allocate(network, own, x, seed=0)
    with pytest.raises(InputError, match="neuron='weighted' sends spikes of different values"):
        decode(own, [np.ones((1, 12))] * 2, 20)


def test_it_is_drawn_under_its_name(leaky):
    network, x, conversion = leaky
    current = np.array([200.0, -100.0, 1500.0, 0.0])
    fired, charge = neurons(conversion, current)
    panels = figures.membrane_traces(current, {"leaky": (charge, fired)}, conversion.dt)
    assert panels[1].get_title(loc="left").startswith("leaky: spikes fired: 1")
    counts = simulate(network, conversion, x, {}, steps=20)[1]
    decoded = {"leaky": [layer[0] for layer in decode(conversion, counts, 20)]}
    panels = figures.rate_code(decoded["leaky"], decoded)
    assert panels[0, 0].get_title() == "layer 1, leaky"
    table = pd.DataFrame(
        {"steps": [8, 16], "setting": "mine", "neuron": "leaky", "error": [2, 1.0]}
    )
    guide = figures.error_against_steps(table).lines[-1]
    assert guide.get_ydata().tolist() == [2.0, 1.0]  # 1/T from its own first error
    many = pd.DataFrame(
        [
            (f"neuron {i}", kind, "steps", t, 500.0, 10.0 * t, 1 / t)
            for i, kind in enumerate(["SNN"] * 7 + ["quantised", "bit-serial"])
            for t in (8, 16)
        ],
        columns=["neuron", "kind", "varied", "latency", "rate (Hz)", "spikes", "error"],
    )
    assert len(figures.accuracy_panels(many)[2].lines) == 9
    plt.close("all")


def test_programs_written_for_certain_neurons_refuse_it_by_name(leaky):
    network, x, conversion = leaky
    for backend in ("engine", "nengo", "nengo_dl"):
        message = rf"neuron='leaky'.*backend='{backend}' runs 'charge_keeping'.*backend='numpy'"
        with pytest.raises(InputError, match=message):
            sample_snn(network, conversion, x, **ASK | {"backend": backend})
    with pytest.raises(InputError, match=r"neuron='leaky'.*backend='engine' runs"):
        load(network, conversion)
    with pytest.raises(InputError, match=r"neuron='leaky'.*the chip model runs.*needs a leak"):
        quantise(network, conversion, bits=8)
    with pytest.raises(InputError, match="neuron='leaky' is not a neuron that the NIR export"):
        to_nir(network, conversion)
    with pytest.raises(InputError, match="neuron='leaky' is not known to round"):
        round_activation(np.ones(1), 1000.0, conversion, 8)
    nengo_model = pytest.importorskip("spikedrop.engines.nengo_model")
    with pytest.raises(InputError, match="neuron='leaky'; use 'charge_keeping'"):
        nengo_model.build_model(network, conversion, x[0], lambda *_: None, steps=8, settle=0)


def test_only_the_reference_runs_what_it_has_never_heard_of():
    assert [name for name, program in PROGRAMS.items() if program.kinds is None] == ["numpy"]
    for program in PROGRAMS.values():
        assert set(program.kinds or ()) <= SHIPPED


def test_it_is_unknown_where_it_was_not_registered():
    assert set(NEURONS) == SHIPPED
    with pytest.raises(InputError, match="neuron='leaky'; use 'charge_keeping', 'rectified'"):
        Conversion((500.0,), "leaky")
    network = chain(0.2, units=4)
    with pytest.raises(InputError, match="neuron='leaky'; use 'charge_keeping'"):
        calibrate(network, inputs(network, 3), neuron="leaky")


def test_what_cannot_be_a_neuron_is_refused(register):
    for wrong in (Leaky, "leaky", None):
        with pytest.raises(InputError, match=r"neuron is of type .*; expected Neuron"):
            register(wrong)
    for name in ("radix", "", 3):
        with pytest.raises(InputError, match="a name of its own"):
            register(Leaky(name=name))
    with pytest.raises(TypeError, match="abstract"):
        Neuron("mine")
    register(Leaky(kept=0.5))
    register(Leaky())  # again, as in a notebook
    assert neuron_of("leaky").kept == 0.9
    assert {field.name for field in fields(Neuron)} < {field.name for field in fields(Leaky)}


def test_its_samples_come_near_those_of_the_artificial_network_without_a_leak(register):
    register(Leaky(kept=1.0))
    network = chain(0.2, 0.2, units=12)
    x = inputs(network, 6)
    conversion = calibrate(network, x, neuron="leaky")
    ann = sample_ann(network, x, draws=3, seed=5, progress=False)
    errors = [
        float(abs(sample_snn(network, conversion, x, **ASK | {"steps": t}) - ann).mean())
        for t in (50, 800)
    ]
    assert errors[1] < errors[0] / 4
