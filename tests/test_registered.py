"""What users register is held to what it promises: shapes, rows, names, and its place in stores."""

from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pytest

import spikedrop as sd
from spikedrop.energy import count_ann_operations, count_operations
from spikedrop.engines.backends import BACKENDS, Backend, Ran, register_backend
from spikedrop.engines.capabilities import PROGRAMS
from spikedrop.errors import InputError, StoreError
from spikedrop.network.kinds import KINDS, Kind, register_kind
from spikedrop.network.layers import Layer
from spikedrop.neurons import NEURONS, ChargeKeeping, register_neuron
from spikedrop.store.code import of_code
from tests.networks import random_network, six_inputs

ASK = {"draws": 2, "seed": 0}
X = six_inputs(3)
NETWORK = random_network()


@pytest.fixture(autouse=True)
def forget():
    """Leave the registries as they were."""
    before = [(registry, dict(registry)) for registry in (NEURONS, KINDS, BACKENDS)]
    yield
    for registry, was in before:
        registry.clear()
        registry.update(was)


def answering(answer):
    """Register a backend that answers this to everything."""

    @contextmanager
    def opened(asked):
        yield lambda x, masks, draws: answer(x, draws)

    program = PROGRAMS["numpy"]
    register_backend(Backend("mine", opened, program, program))


def conversion(**more):
    return sd.calibrate(NETWORK, six_inputs(50), **more)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda x, d: Ran(np.full((1, 1, 1), 3.0)), r"shape \(1, 1, 1\).*shape \(1, 3, 1\)"),
        (lambda x, d: Ran(np.full((1, 1, 3), 3.0)), r"shape \(1, 1, 3\)"),
        (lambda x, d: Ran(np.zeros(3)), r"shape \(3,\)"),
        (lambda x, d: Ran(np.zeros((1, 3, 1), complex)), "complex128"),
        (lambda x, d: np.zeros((1, 3, 1)), "answered ndarray; expected a `Ran`"),
        (lambda x, d: Ran(np.zeros((1, 3, 1)), np.nan), "answered nan spikes"),
        (lambda x, d: Ran(np.zeros((1, 3, 1)), -4), "answered -4 spikes"),
        (lambda x, d: Ran(np.zeros((1, 3, 1)), shares={"no": np.zeros(3)}), "shares of 'no'"),
        (lambda x, d: Ran(np.zeros((1, 3, 1)), shares={"layer_0": 1.0}), "shares of 'layer_0'"),
    ],
)
def test_an_answer_that_numpy_would_stretch_is_refused(answer, says):
    answering(answer)
    with pytest.raises(InputError, match=f"mine: .*{says}"):
        sd.sample_snn(NETWORK, conversion(), X, backend="mine", **ASK)


def test_a_store_is_not_resumed_by_another_program_of_the_same_name(tmp_path):
    def constant(value):
        answering(lambda x, d: Ran(np.full((len(d), len(x), 1), value)))
        how = {"conversion": conversion(), "backend": "mine", "steps": 10, **ASK}
        sd.sample_to_store(tmp_path / "s.zarr", NETWORK, X, **how)

    constant(1.0)
    constant(1.0)  # the same: resumed
    with pytest.raises((InputError, StoreError), match="versions"):
        constant(2.0)


@dataclass(frozen=True)
class Leaky(ChargeKeeping):
    name: str = "leaky"
    table: tuple = (0.9,)

    def step(self, charge, arriving, t, steps):
        return super().step(self.table[0] * charge, arriving, t, steps)


class Changed(Leaky):
    def step(self, charge, arriving, t, steps):
        return super().step(0.5 * charge, arriving, t, steps)


@pytest.mark.parametrize("other", [Changed(), Leaky(table=(0.8,))], ids=["code", "field"])
def test_a_store_is_not_resumed_with_another_neuron_of_the_same_name(tmp_path, other):
    def fill(neuron):
        register_neuron(neuron)
        how = {"conversion": conversion(neuron="leaky"), "backend": "numpy", "steps": 10, **ASK}
        sd.sample_to_store(tmp_path / "s.zarr", NETWORK, X, **how)

    fill(Leaky())
    fill(Leaky())
    with pytest.raises((InputError, StoreError), match="conversion"):
        fill(other)


@dataclass(frozen=True)
class Times(Kind):
    name: str = "times"
    factor: float = 2.0

    def linear(self, layer, below, amount=1.0):
        return self.factor * below[0]


class Centred(Kind):
    def linear(self, layer, below, amount=1.0):
        return below[0] - below[0].mean(axis=0, keepdims=True)


def with_kind(kind):
    """A chain with a layer of a kind between its inputs and its neurons."""
    register_kind(kind)
    first, *others = NETWORK.layers
    own = Layer("own", op=kind.name, sources=(first.name,))
    behind = [replace(o, sources=("own",)) if o.sources == (first.name,) else o for o in others]
    return replace(NETWORK, layers=(first, own, *behind))


def test_a_store_is_not_resumed_with_another_kind_of_the_same_name(tmp_path):
    how = {"draws": 2, "seed": 0}
    sd.sample_to_store(tmp_path / "s.zarr", with_kind(Times()), X, **how)
    sd.sample_to_store(tmp_path / "s.zarr", with_kind(Times()), X, **how)
    with pytest.raises((InputError, StoreError), match="model"):
        sd.sample_to_store(tmp_path / "s.zarr", with_kind(Times(factor=9.0)), X, **how)


def test_a_kind_that_mixes_observations_is_refused():
    with pytest.raises(InputError, match="mixes observations"):
        with_kind(Centred("centred"))


@dataclass(frozen=True)
class Odd(ChargeKeeping):
    name: str = "odd"
    what: str = ""

    def step(self, charge, arriving, t, steps):
        if self.what == "stretched":
            return np.ones(1), np.zeros(1)
        if self.what == "negative":
            return -np.ones_like(charge), charge
        return np.full_like(charge, np.nan), charge


@pytest.mark.parametrize(
    ("what", "says"),
    [("stretched", "spikes of shape"), ("negative", "negative number"), ("nan", "finite values")],
)
def test_a_step_that_cannot_be_spikes_is_refused(what, says):
    register_neuron(Odd(what=what))
    with pytest.raises(InputError, match=says):
        sd.sample_snn(NETWORK, conversion(neuron="odd"), X, backend="numpy", **ASK)


PLAIN = Backend("mine", lambda asked: None, PROGRAMS["numpy"], PROGRAMS["numpy"])


@pytest.mark.parametrize(
    ("register", "thing", "says"),
    [
        (register_backend, replace(PLAIN, name="engine"), "name of its own"),
        (register_backend, replace(PLAIN, name=""), "name of its own"),
        (register_backend, replace(PLAIN, name=None), "name of its own"),
        (register_backend, replace(PLAIN, open=None), "open=None"),
        (register_backend, replace(PLAIN, timed=None), "timed is of type"),
        (register_kind, "x", "kind is of type str"),
        (register_kind, Kind, "kind is of type"),
        (register_kind, Times(name="dense"), "name of its own"),
        (register_kind, Times(name=""), "name of its own"),
        (register_kind, Times(reads=(3, 1)), r"reads=\(3, 1\)"),
        (register_kind, Times(reads=(0, 0)), r"reads=\(0, 0\)"),
        (register_neuron, Leaky(name="radix"), "name of its own"),
        (register_neuron, Leaky(windowed="no"), "windowed"),
        (register_neuron, Leaky(percentile=float("nan")), "percentile"),
        (register_neuron, Leaky(most_steps=-1), "most_steps"),
        (register_neuron, Leaky(pilot_steps=()), "pilot_steps"),
    ],
)
def test_what_cannot_be_used_is_not_registered(register, thing, says):
    with pytest.raises(InputError, match=says):
        register(thing)


def test_a_name_of_ones_own_may_be_registered_again():
    for thing, register in ((PLAIN, register_backend), (Times(), register_kind)):
        register(thing)
        register(thing)


def test_a_library_that_is_not_there_is_named_before_a_store_is_made(tmp_path):
    register_backend(replace(PLAIN, library="no_such_library"))
    with pytest.raises(InputError, match="needs 'no_such_library'"):
        sd.sample_snn(NETWORK, conversion(), X, backend="mine", **ASK)
    how = {"conversion": conversion(), "backend": "mine", **ASK}
    with pytest.raises(InputError, match="needs 'no_such_library'"):
        sd.sample_to_store(tmp_path / "s.zarr", NETWORK, X, **how)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"seed": 1.5}, {"seed": "a"}, {"draws": 0}])
def test_counts_check_their_settings_as_samplers_do(change):
    good = {"draws": 2, "seed": 0, **change}
    with pytest.raises(InputError, match=next(iter(change))):
        count_operations(NETWORK, conversion(), X, steps=10, **good)
    with pytest.raises(InputError, match=next(iter(change))):
        count_ann_operations(NETWORK, X, **good)
    with pytest.raises(InputError, match="steps"):
        count_operations(NETWORK, conversion(), X, steps=2.5, **ASK)


def test_code_is_told_apart_by_what_it_holds():
    def times(k):
        return lambda x, y=2: k * x + y

    assert of_code(times(2)) == of_code(times(2)) != of_code(times(3))
    assert of_code(times({"a": np.ones(3)})) != of_code(times({"a": np.zeros(3)}))
    assert of_code(Leaky) != of_code(Changed)
    assert of_code(lambda x: x in {"a", "b"}) != of_code(lambda x: x in {"a", "c"})
