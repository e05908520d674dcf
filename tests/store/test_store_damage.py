"""Every file of a store, damaged in every way: the true file is named, and the remedy works."""

import json
import os
import pickle
import re
import shutil

import numpy as np
import pytest

from spikedrop.errors import InputError, StoreError
from spikedrop.store import open_samples, sample_to_store, summarize
from tests.store_jobs import JOB, NETWORK, X, chunk_files, files

SMALL = X[:12]


def fill(path):
    sample_to_store(path, NETWORK, SMALL, chunk=5, **JOB)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "a"
    fill(path)
    return path


def flip(file, place):
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 1
    file.write_bytes(content)


def to_folder(file):
    file.unlink()
    file.mkdir()


DAMAGES = {
    "deleted": lambda file: file.unlink(),
    "cut": lambda file: os.truncate(file, file.stat().st_size * 2 // 3),
    "emptied": lambda file: os.truncate(file, 0),
    "longer": lambda file: file.write_bytes(file.read_bytes() + b" x"),
    "a folder": to_folder,
    **{f"flipped at {p}": lambda file, p=p: flip(file, p) for p in np.linspace(0, 0.999, 9)},
}
NAMES = [
    "zarr.json",
    *(f"{name}/{file}" for name in ("draw", "observation") for file in ("zarr.json", "c.0")),
    "samples/zarr.json",
    *(f"samples/c.0.{j}.0" for j in range(3)),
]


def test_the_names_are_those_of_a_store(sound):
    assert sorted(NAMES) == sorted(files(sound))


@pytest.mark.parametrize("name", NAMES)
def test_any_damage_is_named_and_its_remedy_mends(sound, tmp_path, name):
    expected = open_samples(sound).load()
    for damage in DAMAGES.values():
        path = tmp_path / "a"
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(sound, path)
        damage(path / name)
        try:
            found = open_samples(path).load()
        except InputError as error:
            message = str(error)
            assert str(path / name) in message
            assert not set(re.findall(r"[\w./-]+/(?:c[.\d]+0|zarr\.json)\b", message)) - {
                str(path / name)
            }
        else:  # as JSON has space that says nothing
            assert found.identical(expected)
            assert name.endswith("zarr.json")
            continue
        if "use another path" in message.lower():
            path = tmp_path / "another"
            shutil.rmtree(path, ignore_errors=True)
        elif "remove the folder" in message:
            with pytest.raises(InputError, match="damaged"):
                fill(path)  # which does not touch it
            shutil.rmtree(path)
        elif "Move" in message:
            with pytest.raises(InputError, match="is a folder"):
                fill(path)
            (path / name).rmdir()
        else:
            assert "Run the same sampling again" in message
        fill(path)
        assert files(path) == files(sound)


@pytest.mark.parametrize("name", ["draw", "samples"])
def test_a_folder_of_a_store_may_be_missing(sound, tmp_path, name):
    shutil.copytree(sound, tmp_path / "a")
    shutil.rmtree(tmp_path / "a" / name)
    with pytest.raises(InputError, match=rf"{name}/zarr\.json: is missing"):
        open_samples(tmp_path / "a")
    if name == "draw":
        fill(tmp_path / "a")
        assert files(tmp_path / "a") == files(sound)


def test_a_chunk_that_goes_while_it_is_read_is_not_read_as_nan(sound, tmp_path):
    shutil.copytree(sound, tmp_path / "a")
    samples, part = open_samples(tmp_path / "a"), open_samples(tmp_path / "a", partial=True)
    gone = chunk_files(tmp_path / "a")[1]
    gone.unlink()
    assert np.isfinite(samples[:, :5]).all()
    with pytest.raises(InputError, match=rf"{re.escape(str(gone))}: is missing"):
        samples.load()
    assert np.isnan(part).any(("draw", "output")).values.tolist() == 5 * [0] + 5 * [1] + 2 * [0]


@pytest.mark.parametrize("index", [0, -1, slice(None, None, -2), [3, 1, 1], slice(4, 7)])
def test_any_index_gives_the_same_values_lazily(sound, index):
    expected = open_samples(sound).load()
    for key in ((index,), (slice(None), index), (index, index), (slice(1), index, 1)):
        assert open_samples(sound)[key].identical(expected[key])
    found = open_samples(sound).isel(draw=index).chunk(observation=2)
    assert found.compute().identical(expected.isel(draw=index))


def test_a_store_without_a_seal_is_one_of_an_older_release(sound, tmp_path):
    shutil.copytree(sound, tmp_path / "a")
    group = json.loads((tmp_path / "a" / "zarr.json").read_text())
    group["attributes"].pop("sha256")
    (tmp_path / "a" / "zarr.json").write_text(json.dumps(group))
    whole = files(tmp_path / "a")
    assert open_samples(tmp_path / "a").identical(open_samples(sound))
    chunk_files(tmp_path / "a")[0].unlink()
    fill(tmp_path / "a")
    assert files(tmp_path / "a") == whole


def test_samples_of_a_store_travel_to_other_processes(sound):
    samples = open_samples(sound)
    assert len(pickle.dumps(samples)) < 20_000  # not their values
    assert pickle.loads(pickle.dumps(samples)).identical(samples)


def test_a_file_that_cannot_be_read_is_not_called_damaged(sound, tmp_path):
    """No handler blames the data for what the system refuses: the chunk stays as it is."""
    shutil.copytree(sound, tmp_path / "a")
    whole, victim = files(tmp_path / "a"), chunk_files(tmp_path / "a")[0]
    victim.unlink()
    victim.symlink_to(victim.name)  # ELOOP, for every user
    for read in (fill, summarize):
        with pytest.raises(StoreError, match=r"c\.0\.0\.0: cannot be read \(Too many levels"):
            read(tmp_path / "a")
    assert victim.is_symlink()
    victim.unlink()  # the remedy
    fill(tmp_path / "a")
    assert files(tmp_path / "a") == whole
