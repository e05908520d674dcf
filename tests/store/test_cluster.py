"""Dask: several worker processes, one of them killed, fill a store with the same bytes."""

import os
import shutil
import signal
import threading
import time

import numpy as np
import pytest
import zarr

from spikedrop.errors import InputError, StoreError
from spikedrop.store import local_client, sample_to_store
from spikedrop.store.layout import read_layout
from tests.store_jobs import CONVERSION, JOB, NETWORK, STEPS, chunk_files, files

WORKERS = 2
X = np.random.default_rng(3).normal(size=(4000, 5)).astype("float32")
SPIKING = {"conversion": CONVERSION, "steps": STEPS, "chunk": 100, **JOB}


@pytest.fixture(scope="module")
def client():
    with local_client(WORKERS) as client:
        yield client


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Sample in one process; return the store."""
    path = tmp_path_factory.mktemp("alone") / "a"
    sample_to_store(path, NETWORK, X, **SPIKING)
    return path


def test_a_worker_is_killed_and_the_bytes_are_the_same(tmp_path, client, alone):
    path = tmp_path / "a"
    before = client.run(os.getpid)
    victim = next(iter(before.values()))

    def kill():
        while not path.exists() or len(read_layout(path).present()) < 5:
            time.sleep(0.005)
        os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    sample_to_store(path, NETWORK, X, client=client, **SPIKING)
    killer.join()
    assert len(before) == WORKERS
    assert victim not in client.run(os.getpid).values()
    assert files(path) == files(alone)


@pytest.mark.parametrize("kind", ["dask", "zarr"])
def test_inputs_may_lie_on_the_cluster_or_on_disk(tmp_path, client, alone, kind):
    import dask.array

    if kind == "dask":
        x = dask.array.from_array(X, chunks=(333, 2))
    else:
        x = zarr.create_array(tmp_path / "x.zarr", data=X, chunks=(500, 5))
    sample_to_store(tmp_path / "a", NETWORK, x, client=client, **SPIKING)
    assert files(tmp_path / "a") == files(alone)


def test_nan_in_a_dask_array_is_found_before_any_work(tmp_path, client):
    import dask.array

    x = X.copy()
    x[3999, 2] = np.nan
    with pytest.raises(InputError, match="row 3999, column 2"):
        sample_to_store(
            tmp_path / "a", NETWORK, dask.array.from_array(x, chunks=700), client=client, **SPIKING
        )
    assert list(tmp_path.iterdir()) == []


def test_begun_in_one_process_it_goes_on_with_workers_and_back(tmp_path, client, alone):
    path = tmp_path / "a"
    shutil.copytree(alone, path)
    for file in chunk_files(path)[5:25]:
        file.unlink()
    kept = {file: file.stat().st_mtime_ns for file in chunk_files(path)}
    sample_to_store(path, NETWORK, X, client=client, **SPIKING)
    assert files(path) == files(alone)
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    chunk_files(path)[7].unlink()
    sample_to_store(path, NETWORK, X, **SPIKING)
    assert files(path) == files(alone)


def test_a_worker_that_cannot_write_is_one_clear_error(tmp_path, client, alone):
    """The file-size limit stands for a full disk, on the workers alone."""
    import resource

    def limit(size):
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size is None else size, hard))

    path = tmp_path / "a"
    client.run(limit, 1000)
    try:
        with pytest.raises(StoreError, match="cannot be written"):
            sample_to_store(path, NETWORK, X, client=client, **SPIKING)
    finally:
        client.run(limit, None)
    assert not list(path.rglob("*.partial"))
    sample_to_store(path, NETWORK, X, client=client, **SPIKING)
    assert files(path) == files(alone)


def test_no_model_stays_behind_on_the_workers(client):
    def names(dask_worker):
        return [name for name in dask_worker.plugins if name.startswith("spikedrop")]

    assert set(map(tuple, client.run(names).values())) == {()}


@pytest.mark.parametrize("workers", [0, -1, 1.5, True])
def test_workers_must_be_a_positive_number(workers):
    with pytest.raises(InputError, match="workers="), local_client(workers):
        pass
