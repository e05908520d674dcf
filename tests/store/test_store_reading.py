"""Reading a store: damaged and foreign ones, summaries, ArviZ."""

import json

import numpy as np
import pytest

from spikedrop import scores
from spikedrop.errors import InputError
from spikedrop.store import open_samples, sample_to_store, summarize, to_inference_data
from tests.store_jobs import (
    CONVERSION,
    JOB,
    NETWORK,
    ROWS,
    STEPS,
    X,
    chunk_files,
    make_network,
)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    path = tmp_path_factory.mktemp("begun") / "a"
    sample_to_store(path, NETWORK, X, conversion=CONVERSION, steps=STEPS, chunk=100, **JOB)
    return path


def test_damage_is_found_when_it_is_read(tmp_path):
    sample_to_store(tmp_path / "a", NETWORK, X, **JOB)
    file = chunk_files(tmp_path / "a")[0]
    content = bytearray(file.read_bytes())
    content[99] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match="checksum"):
        summarize(tmp_path / "a")


def edited(change):
    def edit(path):
        told = json.loads((path / "zarr.json").read_text())
        change(told)
        (path / "zarr.json").write_text(json.dumps(told))

    return edit


def edited_samples(change):
    return lambda path: edited(change)(path / "samples")


def claims_too_much(told):
    told["shape"] = [2**40, 2**40, 2]
    told["chunk_grid"]["configuration"]["chunk_shape"] = [2**40, 2**40, 2]


BROKEN = {
    "newer": (edited(lambda told: told["attributes"].update(format=2)), "newer than format 1"),
    "no format": (edited(lambda told: told["attributes"].pop("format")), "not a store of samples"),
    "no attributes": (edited(lambda told: told.pop("attributes")), "not a store of samples"),
    "not JSON": (lambda path: (path / "zarr.json").write_text("{"), "not JSON"),
    "bytes": (lambda path: (path / "zarr.json").write_bytes(b"\xff\xfe\x00"), "not JSON"),
    "deep": (lambda path: (path / "zarr.json").write_text("[" * 200_000), "not JSON"),
    "a list": (lambda path: (path / "zarr.json").write_text("[]"), "does not describe"),
    "huge": (lambda path: (path / "zarr.json").write_bytes(b" " * 5_000_000), "too large"),
    "no samples": (
        lambda path: (path / "samples/zarr.json").unlink(),
        "samples/zarr.json: is missing",
    ),
    "other type": (edited_samples(lambda told: told.update(data_type="int8")), "damaged"),
    "a codec": (edited_samples(lambda told: told["codecs"].pop()), "damaged"),
    "a chunk of 0": (
        edited_samples(lambda t: t["chunk_grid"]["configuration"].update(chunk_shape=[0, 1, 2])),
        "damaged",
    ),
    "shape of words": (edited_samples(lambda told: told.update(shape="abc")), "damaged"),
    "claims too much": (edited_samples(claims_too_much), "samples/zarr.json: is damaged"),
    "no coordinate": (lambda path: (path / "draw" / "c.0").unlink(), "draw/c.0"),
    "short coordinate": (lambda path: (path / "draw" / "c.0").write_bytes(b"1"), "draw/c.0"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_damaged_or_foreign_store_is_refused_with_a_reason(tmp_path, fault):
    sample_to_store(tmp_path / "a", NETWORK, X[:3], **JOB)
    damage, words = BROKEN[fault]
    damage(tmp_path / "a")
    with pytest.raises(InputError) as error:
        open_samples(tmp_path / "a")
    assert words in str(error.value)


def test_claims_of_size_take_no_memory(tmp_path):
    sample_to_store(tmp_path / "a", NETWORK, X[:3], **JOB)
    edited_samples(claims_too_much)(tmp_path / "a")
    with pytest.raises(InputError, match=r"samples/zarr\.json: is damaged"):
        open_samples(tmp_path / "a", partial=True)
    edited(lambda told: told["attributes"].pop("sha256"))(tmp_path / "a")  # an older store
    with pytest.raises(InputError, match=r"draw/zarr\.json: is damaged"):
        open_samples(tmp_path / "a", partial=True)


def test_folders_and_files_of_others_are_left_alone(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").write_text("all of it")
    (tmp_path / "file").write_text("mine")
    for name in ("folder", "file"):
        with pytest.raises(InputError):
            sample_to_store(tmp_path / name, NETWORK, X, **JOB)
    assert {file.name for file in tmp_path.rglob("*")} == {"folder", "thesis.txt", "file"}
    with pytest.raises(InputError, match="there is no store"):
        open_samples(tmp_path / "nothing")


@pytest.mark.parametrize("outputs", [1, 2])
def test_summaries_are_those_of_all_draws_at_once(tmp_path, monkeypatch, outputs):
    monkeypatch.setattr("spikedrop.store.summaries.BLOCK_VALUES", 1000)  # several blocks
    network = make_network(outputs)
    sample_to_store(tmp_path / "a", network, X, chunk=77, **JOB)
    samples = open_samples(tmp_path / "a").values.astype(float)
    y = np.random.default_rng(2).normal(size=(ROWS, outputs))
    probabilities = [0.1, 0.5, 0.8]
    summary = summarize(
        tmp_path / "a",
        y=y[:, 0] if outputs == 1 else y,
        probabilities=probabilities,
        noise_sd=0.3,
        level=0.8,
    )
    assert summary["mean"].values == pytest.approx(samples.mean(0))
    assert summary["sd"].values == pytest.approx(samples.std(0, ddof=1))
    assert summary["quantile"].values == pytest.approx(
        np.quantile(samples, probabilities, axis=0), abs=1e-6
    )
    for output in range(outputs):
        one, seen = samples[..., output], y[:, output]
        told = {name: float(summary[name][output]) for name in ("rmse", "crps", "coverage")}
        assert told["rmse"] == pytest.approx(scores.rmse(one, seen))
        assert told["crps"] == pytest.approx(scores.crps(one, seen, 0.3))
        assert told["coverage"] == pytest.approx(scores.coverage(one, seen, 0.3, 0.8))
        assert float(summary["log_likelihood"][output]) == pytest.approx(
            scores.log_likelihood(one, seen, 0.3)
        )


def test_summary_of_one_draw_and_without_observations(tmp_path):
    sample_to_store(tmp_path / "a", NETWORK, X, draws=1, seed=0, progress=False)
    summary = summarize(tmp_path / "a")
    assert np.isnan(summary["sd"]).all()
    assert set(summary) == {"mean", "sd", "quantile"}


def test_summaries_refuse_what_cannot_be_scored(begun):
    for change, words in (
        ({"y": np.zeros(ROWS)}, "y has shape"),
        ({"y": np.full((ROWS, 2), np.nan)}, "observation 0"),
        ({"y": np.array([["a", "b"]] * ROWS)}, "real numbers"),
        ({"probabilities": [1.5]}, "from 0 to 1"),
        ({"noise_sd": -1.0}, "not negative"),
        ({"level": 1.0}, "coverage"),
    ):
        with pytest.raises(InputError, match=words):
            summarize(begun, **change)


def test_arviz_takes_them(begun):
    data = to_inference_data(open_samples(begun))
    variable = data.posterior_predictive["snn"]
    assert variable.dims == ("chain", "draw", "observation", "output")
    assert (variable.values[0] == open_samples(begun).values).all()
    assert data.posterior_predictive.attrs["seed"] == 7
    with pytest.raises(InputError, match="axes"):
        to_inference_data(open_samples(begun)[0])


def test_files_that_are_no_chunks_are_not_counted(tmp_path):
    """A process that fills the store has half-written files in it, of any size."""
    sample_to_store(tmp_path / "a", NETWORK, X, chunk=100, **JOB)
    chunk = chunk_files(tmp_path / "a")[0]
    for name in ("c.0.1.0f3e.partial", "c.0.3.0", "c.1.0.0", "c.0.0.1", "c.0.-1.0"):
        chunk.with_name(name).write_bytes(chunk.read_bytes())
    chunk.unlink()
    with pytest.raises(InputError, match="2 of 3 chunks"):
        open_samples(tmp_path / "a")
