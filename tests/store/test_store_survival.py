"""The store survives: damage, other processes, full disks, kills."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import spikedrop as sd
from spikedrop.errors import InputError, StoreError
from spikedrop.store import open_samples, sample_to_store
from spikedrop.store.job import make_job
from spikedrop.store.layout import locked, read_layout
from spikedrop.store.run import fill, unfinished
from tests.store_jobs import (
    DRAWS,
    JOB,
    NETWORK,
    X,
    chunk_files,
    files,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("damage", ["removed", "emptied", "cut", "one bit", "longer"])
def test_goes_on_and_mends_what_is_damaged(tmp_path, damage):
    path = tmp_path / "a"
    sample_to_store(path, NETWORK, X, chunk=50, **JOB)
    whole = files(path)
    kept = {file: file.stat().st_mtime_ns for file in chunk_files(path)}
    victim = chunk_files(path)[2]
    content = bytearray(victim.read_bytes())
    content[40] ^= 4
    del kept[victim]
    {
        "removed": victim.unlink,
        "emptied": lambda: victim.write_bytes(b""),
        "cut": lambda: victim.write_bytes(content[:-1]),
        "one bit": lambda: victim.write_bytes(content),
        "longer": lambda: victim.write_bytes(content + b"0"),
    }[damage]()
    left = victim.with_suffix(".0123.partial")
    left.write_bytes(b"half")
    if damage != "one bit":  # only reading finds that
        with pytest.raises(InputError, match="5 of 6 chunks"):
            open_samples(path)
        missing = open_samples(path, partial=True)
        if damage == "removed":
            assert np.isnan(missing.values).any(axis=(0, 2)).sum() == 50
    sample_to_store(path, NETWORK, X, chunk=7, **JOB)  # the store keeps its own chunks
    assert files(path) == whole
    assert {file: file.stat().st_mtime_ns for file in kept} == kept


HOLD = """
import sys
from filelock import FileLock
lock = FileLock(sys.argv[1], timeout=0)
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_told_and_a_killed_one_lets_go(tmp_path):
    path = tmp_path / "a"
    sample_to_store(path, NETWORK, X, chunk=50, **JOB)
    whole = files(path)
    chunk_files(path)[0].unlink()
    lock = str(path / "samples" / ".lock")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match=rf"process {os.getpid()} on .* is filling it"):
            sample_to_store(path, NETWORK, X, **JOB)  # the last that wrote its name was this one
        assert len(open_samples(path, partial=True)) == DRAWS  # reading goes on
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
    sample_to_store(path, NETWORK, X, **JOB)
    assert files(path) == whole


def test_the_process_that_fills_holds_the_store(tmp_path):
    path = tmp_path / "a"
    sample_to_store(path, NETWORK, X, **JOB)
    with locked(read_layout(path)), pytest.raises(InputError, match="is filling it"):
        sample_to_store(path, NETWORK, X, **JOB)


def test_what_died_while_it_was_made_is_removed(tmp_path):
    dead = tmp_path / ".a.0123.new" / "samples"
    dead.mkdir(parents=True)
    (dead / ".lock").touch()
    foreign = tmp_path / ".b.0123.new"
    foreign.mkdir()
    sample_to_store(tmp_path / "a", NETWORK, X, **JOB)
    assert sorted(file.name for file in tmp_path.iterdir()) == [".b.0123.new", "a"]


def test_a_file_that_cannot_grow_is_one_clear_error_and_mends(tmp_path):
    path = tmp_path / "a"
    sample_to_store(path, NETWORK, X, chunk=128, **JOB)
    whole = files(path)
    for file in chunk_files(path):
        file.unlink()
    layout = read_layout(path)
    job = make_job(
        NETWORK, None, draws=DRAWS, seed=7, steps=0, settle=None, scope="draw", memory_gb=1
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    run = fill(layout, job, X, unfinished(layout))
    next(run)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    try:
        with pytest.raises(StoreError, match=r"cannot be written.*run the same again"):
            next(run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [file.name for file in chunk_files(path)] == ["c.0.0.0"]  # nothing half-written
    there = open_samples(path, partial=True).values
    expected = sd.sample_ann(NETWORK, X, **JOB).values
    assert (there[:, :128] == expected[:, :128]).all()
    assert np.isnan(there[:, 128:]).all()
    sample_to_store(path, NETWORK, X, **JOB)
    assert files(path) == whole


@pytest.fixture
def small_disk(tmp_path):
    """Make a file system of 160 kB, and a function that sets its size, where that is allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(place)]
    try:
        made = subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        made = False
    if not made:
        pytest.skip("file systems cannot be mounted here")

    def resize(size):
        options = ["mount", "-o", f"remount,size={size}", str(place)]
        subprocess.run(options, check=True, capture_output=True)

    yield place, resize
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_one_clear_error_and_the_job_goes_on_when_there_is_room(small_disk):
    disk, resize = small_disk
    x = np.tile(X, (20, 1))
    with pytest.raises(StoreError, match="No space left on device"):
        sample_to_store(disk / "a", NETWORK, x, chunk=600, **JOB)
    assert not list(disk.rglob("*.partial"))
    done = len(chunk_files(disk / "a"))
    assert 0 < done < 10
    there = open_samples(disk / "a", partial=True).values
    expected = sd.sample_ann(NETWORK, x, **JOB).values
    written = ~np.isnan(there)
    assert written.sum() == done * 600 * DRAWS * 2
    assert (there[written] == expected[written]).all()
    resize("2m")
    sample_to_store(disk / "a", NETWORK, x, **JOB)
    assert (open_samples(disk / "a").values == expected).all()


def test_a_full_disk_leaves_nothing_that_looks_like_a_store(small_disk):
    disk, _ = small_disk
    with pytest.raises(StoreError):
        sample_to_store(disk / "a", NETWORK, np.tile(X, (100, 1)), **JOB)  # coordinates do not fit
    assert list(disk.iterdir()) == []


def test_killed_and_resumed_it_has_the_same_bytes(tmp_path):
    command = [sys.executable, "-m", "benchmarks.kills", str(tmp_path), "4", "1", "snn", "4000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["exits"] == [0, 0]
    assert found["killed while at work"] >= 2
    assert any(0 < n < found["chunks"] for n in found["finished at each kill"])
    assert (found["lost"], found["twice"], found["same bytes"]) == (0, 0, True)
    assert found["left over"] == ["broken.zarr", "whole.zarr"]
