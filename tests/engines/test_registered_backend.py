"""A registered backend is taken wherever ``backend=`` is, and refuses what it cannot run."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

import spikedrop as sd
from spikedrop.conversion import calibrate
from spikedrop.engines.backends import (
    BACKENDS,
    Backend,
    backend_of,
    one_draw_at_a_time,
    register_backend,
)
from spikedrop.engines.capabilities import PROGRAMS
from spikedrop.engines.reference import simulate
from spikedrop.errors import InputError
from tests.networks import dropped_weights, random_network, towers
from tests.networks import inputs as of_network

PLAIN = replace(PROGRAMS["numpy"], name="backend='mine'", kinds=("charge_keeping",), synapse=False)


@pytest.fixture
def mine():
    """A backend of the test's own: the reference, with the observations last to first."""
    opened = []

    @contextmanager
    def opener(asked, shares):
        opened.append(asked)

        def simulator(x, masks):
            assert all(mask.ndim == x.ndim for mask in masks.values())
            back = {n: m[::-1] if len(m) > 1 else m for n, m in masks.items()}
            timing = {"steps": asked.steps, "settle": asked.settle, "shares": shares}
            readout, counts = simulate(asked.network, asked.conversion, x[::-1], back, **timing)
            return readout[::-1], [count[::-1] for count in counts]

        yield simulator

    register_backend(Backend("mine", one_draw_at_a_time(opener), PLAIN, PLAIN, packages=("numpy",)))
    yield opened
    del BACKENDS["mine"]


@pytest.mark.parametrize("scope", ["draw", "row"])
def test_it_samples_as_the_reference_does(mine, scope):
    network, x = random_network(), of_network(random_network(), 7)
    conversion = calibrate(network, x)
    job = {"draws": 3, "seed": 1, "steps": 20, "scope": scope}
    ours = sd.sample_snn(network, conversion, x, backend="mine", **job)
    theirs = sd.sample_snn(network, conversion, x, backend="numpy", **job)
    assert np.allclose(ours, theirs, atol=1e-6)
    assert ours.attrs["backend"] == "mine"
    assert ours.attrs["spikes_per_presentation"] == theirs.attrs["spikes_per_presentation"]
    assert len(mine) == 1 and mine[0].rows == 7


def test_a_store_is_filled_by_it_and_says_so(mine, tmp_path):
    network, x = random_network(), of_network(random_network(), 5)
    conversion = calibrate(network, x)
    job = {"draws": 4, "seed": 1, "steps": 20, "backend": "mine"}
    sd.sample_to_store(tmp_path / "s.zarr", network, x, conversion=conversion, **job)
    stored = sd.open_samples(tmp_path / "s.zarr")
    assert stored.attrs["backend"] == "mine" and "numpy" in stored.attrs["versions"]
    assert np.array_equal(stored, sd.sample_snn(network, conversion, x, **job))


@pytest.mark.parametrize(
    ("make", "neuron", "says"),
    [
        (towers, "radix", "neuron='radix'.*backend='mine' runs 'charge_keeping'"),
        (dropped_weights, "rectified", "neuron='rectified'.*backend='mine' runs 'charge_keeping'"),
    ],
)
def test_what_it_cannot_run_is_refused_by_its_name(mine, make, neuron, says):
    network = make()
    x = of_network(network, 6)
    conversion = calibrate(network, x, neuron=neuron)
    with pytest.raises(InputError, match=says):
        sd.sample_snn(network, conversion, x, draws=1, seed=0, steps=8, backend="mine")
    assert not mine


def test_an_unknown_backend_is_refused_with_the_names_there_are():
    names = ", ".join(map(repr, BACKENDS))
    with pytest.raises(InputError, match=f"backend='mine'; use {names}"):
        backend_of("mine")
    assert list(BACKENDS) == ["engine", "numpy", "nengo", "nengo_dl"]
    with pytest.raises(InputError, match="backend"):
        register_backend("mine")
