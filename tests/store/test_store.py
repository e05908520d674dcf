"""The store: the engine's values, every kind of input, and what is refused."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
import zarr

import spikedrop as sd
from spikedrop.conversion import calibrate
from spikedrop.errors import InputError
from spikedrop.network import Layer, Network
from spikedrop.store import open_samples, sample_to_store
from spikedrop.store.job import CHUNK_VALUES, make_grid, make_job
from spikedrop.store.layout import read_layout
from tests.networks import SIMULATORS
from tests.store_jobs import (
    CONVERSION,
    DRAWS,
    JOB,
    NETWORK,
    ROWS,
    STEPS,
    X,
    chunk_files,
    files,
)


@pytest.mark.parametrize("scope", ["draw", "row"])
@pytest.mark.parametrize("chunk", [None, 1000, 128, 77])
def test_holds_the_bits_of_both_samplers(tmp_path, scope, chunk):
    sample_to_store(tmp_path / "ann", NETWORK, X, scope=scope, chunk=chunk, memory_gb=0.1, **JOB)
    ann = open_samples(tmp_path / "ann")
    assert (ann.values == sd.sample_ann(NETWORK, X, scope=scope, **JOB).values).all()
    spiking = {"conversion": CONVERSION, "steps": STEPS, "scope": scope}
    sample_to_store(tmp_path / "snn", NETWORK, X, chunk=chunk, **spiking, **JOB)
    snn = open_samples(tmp_path / "snn")
    assert (snn.values == sd.sample_snn(NETWORK, x=X, **spiking, **JOB).values).all()
    assert not (ann.values == snn.values).all()


@pytest.mark.parametrize("scope", ["draw", "row"])
@pytest.mark.parametrize("backend", ["numpy", *SIMULATORS])
def test_other_backends_fill_it_with_their_own_bits(tmp_path, monkeypatch, backend, scope):
    """Whatever the chunks, also when a killed job's chunk is done again."""
    settings = {"conversion": CONVERSION, "steps": STEPS, "scope": scope, "backend": backend}
    job = JOB | {"draws": 3}
    x = X[:140] if backend == "nengo" else X
    expected = sd.sample_snn(NETWORK, x=x, **settings, **job)
    monkeypatch.setattr("spikedrop.store.job.SLOW_DRAWS", 2)
    path = tmp_path / "a"
    sample_to_store(path, NETWORK, x, chunk=77, **settings, **job)
    assert read_layout(path).grid.chunk[:2] == (2, 128)  # whole blocks
    assert (open_samples(path).values == expected.values).all()
    whole = files(path)
    chunk_files(path)[-1].unlink()
    sample_to_store(path, NETWORK, x, **settings, **job)
    assert files(path) == whole
    assert ("nengo" in open_samples(path).attrs["versions"]) == (backend != "numpy")
    with pytest.raises(InputError, match=f"backend is {backend} there and engine here"):
        sample_to_store(path, NETWORK, x, **settings | {"backend": "engine"}, **job)


def test_draws_are_cut_too_and_windowed_neurons_are_sampled(tmp_path, monkeypatch):
    monkeypatch.setattr("spikedrop.store.job.CHUNK_DRAWS", 4)
    conversion = calibrate(NETWORK, X, neuron="radix")
    settings = {"conversion": conversion, "steps": 8}
    sample_to_store(tmp_path / "a", NETWORK, X, chunk=128, **settings, **JOB)
    assert read_layout(tmp_path / "a").grid.chunk == (3, 128, 2)
    assert len(chunk_files(tmp_path / "a")) == 2 * 3
    expected = sd.sample_snn(NETWORK, x=X, **settings, **JOB)
    assert (open_samples(tmp_path / "a").values == expected.values).all()


def test_xarray_reads_it_by_itself_with_names_and_attributes(tmp_path):
    sample_to_store(
        tmp_path / "a", NETWORK, X, conversion=CONVERSION, steps=STEPS, chunk=100, **JOB
    )
    with xr.open_zarr(tmp_path / "a") as whole:
        assert whole["samples"].dims == ("draw", "observation", "output")
        assert whole["samples"].dtype == np.float32
        assert whole["draw"].values.tolist() == list(range(DRAWS))
        assert whole["observation"].values.tolist() == list(range(ROWS))
        attributes = whole.attrs
    assert attributes["seed"] == 7
    assert (attributes["steps"], attributes["settle"]) == (STEPS, STEPS // 5)
    assert "Philox" in attributes["masks"]
    assert f"numpy {np.__version__}" in attributes["versions"]
    assert len(attributes["model_sha256"]) == len(attributes["inputs_sha256"]) == 64
    samples = open_samples(tmp_path / "a")
    assert samples.name == attributes["kind"] == "snn"
    assert attributes == samples.attrs | {"sha256": attributes["sha256"]}  # of the others
    assert samples.attrs["format"] == 1


@pytest.mark.parametrize("kind", ["memmap", "zarr", "dask", "list", "float64", "integers"])
def test_inputs_of_every_kind_are_the_same_inputs(tmp_path, kind):
    x = np.round(3 * X) + 0.0  # not -0.0, which no integer is
    np.save(tmp_path / "x.npy", x)

    def as_dask():
        import dask.array

        return dask.array.from_array(x, chunks=(70, 3))

    given = {
        "memmap": lambda: np.load(tmp_path / "x.npy", mmap_mode="r"),
        "zarr": lambda: zarr.create_array(tmp_path / "x.zarr", data=x, chunks=(64, 2)),
        "dask": as_dask,
        "list": x.tolist,
        "float64": lambda: x.astype(float),
        "integers": lambda: x.astype(int),
    }[kind]()
    sample_to_store(tmp_path / "a", NETWORK, given, chunk=90, **JOB)
    sample_to_store(tmp_path / "a", NETWORK, x, **JOB)  # would refuse other inputs
    assert (open_samples(tmp_path / "a").values == sd.sample_ann(NETWORK, x, **JOB).values).all()


BAD = {
    "nan": ({"x": np.where(np.arange(ROWS)[:, None] == 250, np.nan, X)}, "row 250, column 0"),
    "shape": ({"x": X[:, :4]}, "expected (observations, 5)"),
    "empty": ({"x": X[:0]}, "at least one row"),
    "words": ({"x": np.array([["a"] * 5])}, "expected real numbers"),
    "draws": ({"draws": 0}, "draws=0"),
    "seed": ({"seed": -1}, "seed=-1"),
    "scope": ({"scope": "all"}, "scope='all'"),
    "chunk": ({"chunk": 0}, "chunk=0"),
    "memory": ({"memory_gb": 1e-6}, "too small"),
    "steps": ({"conversion": CONVERSION, "steps": 0}, "steps=0"),
    "backend": ({"conversion": CONVERSION, "backend": "brian"}, "backend='brian'"),
    "backend of no spikes": ({"backend": "nengo"}, "give a conversion"),
    "depth": ({"conversion": replace(CONVERSION, scales_hz=(1.0,))}, "calibrate it on this"),
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_input_is_refused_and_nothing_is_written(tmp_path, fault):
    change, words = BAD[fault]
    arguments = {"x": X, **JOB, **change}
    with pytest.raises(InputError) as error:
        sample_to_store(tmp_path / "a", NETWORK, **arguments)
    assert words in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_client_must_answer_at_once(tmp_path):
    class Asynchronous:
        asynchronous = True

    with pytest.raises(InputError, match="asynchronous=False"):
        sample_to_store(tmp_path / "a", NETWORK, X, client=Asynchronous(), **JOB)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_above_must_be_there(tmp_path):
    with pytest.raises(InputError, match="make it first"):
        sample_to_store(tmp_path / "no" / "a", NETWORK, X, **JOB)


def other_weight():
    weights = NETWORK.layers[1].weights.copy()
    weights[0, 0] = np.nextafter(weights[0, 0], np.float32(9))
    layers = list(NETWORK.layers)
    layers[1] = replace(layers[1], weights=weights)
    return replace(NETWORK, layers=tuple(layers))


DIFFERENT = {
    "model": ({"network": other_weight()}, "the model is another"),
    "rate": ({"network": NETWORK.with_dropout(0.3)}, "the model is another"),
    "x": ({"x": X[::-1]}, "x is another"),
    "observations": ({"x": X[:-1]}, "observations is 300 there and 299 here"),
    "draws": ({"draws": DRAWS + 1}, "draws is 6 there and 7 here"),
    "seed": ({"seed": 8}, "seed is 7 there and 8 here"),
    "scope": ({"scope": "row"}, "scope is draw there and row here"),
    "steps": ({"steps": 30}, "steps is 20 there and 30 here"),
    "settle": ({"settle": 0}, "settle is 4 there and 0 here"),
    "kind": ({"conversion": None}, "kind is snn there and ann here"),
    "conversion": (
        {"conversion": replace(CONVERSION, initial_charge=0.4)},
        "the conversion is another",
    ),
}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    path = tmp_path_factory.mktemp("begun") / "a"
    sample_to_store(path, NETWORK, X, conversion=CONVERSION, steps=STEPS, chunk=100, **JOB)
    return path


@pytest.mark.parametrize("what", DIFFERENT)
def test_other_samples_into_the_same_store_are_refused_by_name(begun, what):
    change, words = DIFFERENT[what]
    before = files(begun)
    arguments = {"network": NETWORK, "x": X, "conversion": CONVERSION, "steps": STEPS}
    with pytest.raises(InputError) as error:
        sample_to_store(begun, **{**arguments, **JOB, **change})
    assert words in str(error.value)
    assert files(begun) == before


def test_other_versions_are_refused(begun, monkeypatch):
    monkeypatch.setattr("spikedrop.store.fingerprint.versions", lambda backend: "numpy 9")
    with pytest.raises(InputError, match="and numpy 9 here"):
        sample_to_store(begun, NETWORK, X, conversion=CONVERSION, steps=STEPS, **JOB)


def test_names_of_layers_do_not_matter(tmp_path):
    sample_to_store(tmp_path / "a", NETWORK, X, **JOB)
    renamed = [replace(layer, name=f"other_{i}") for i, layer in enumerate(NETWORK.layers)]
    renamed = [replace(renamed[0])] + [
        replace(layer, sources=(renamed[i].name,)) for i, layer in enumerate(renamed[1:])
    ]
    sample_to_store(tmp_path / "a", Network(tuple(renamed), (renamed[-1].name,)), X, **JOB)


def test_default_chunks_take_seconds_and_megabytes():
    def grid_of(width, steps, draws, observations=10**6, outputs=1):
        rng = np.random.default_rng(0)
        sizes = (100, width, width, width, outputs)
        layers = [
            Layer(f"l{i}", rng.normal(size=(n, m)), np.zeros(m), 0.1 if i < 3 else 0.0)
            for i, (n, m) in enumerate(itertools.pairwise(sizes))
        ]
        network = Network.chain(tuple(layers[:-1]), layers[-1])
        conversion = sd.Conversion((100.0,) * 3) if steps else None
        more = {"seed": 0, "settle": None, "scope": "draw", "memory_gb": 1}
        job = make_job(network, conversion, draws=draws, steps=steps, **more)
        return make_grid(job, observations, None)

    grid = grid_of(256, 20, 100)
    assert grid.chunk[0] == 100
    assert grid.chunk[1] % 128 == 0
    assert 5 < grid.chunk[0] * grid.chunk[1] * 33e-6 < 20  # seconds, at 33 us per presentation
    assert grid_of(1000, 200, 1000).chunk[:2] == (500, 4)
    assert grid_of(4, 0, 100).chunk_bytes <= 4 * CHUNK_VALUES + 4
    assert grid_of(256, 20, 100, observations=5).chunk == (100, 5, 1)
