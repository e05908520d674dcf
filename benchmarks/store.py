"""The store and its promises at full size: ``python -m benchmarks.store [large] [kills] [dask]``.

``large``: 10^6 observations x 100 draws of a 3 x 256 network, 20 steps (``--rows`` for fewer), its
peak memory and its rate beside the engine's own. ``kills``: 20 times ``kill -9``. ``dask``: four
worker processes, one of them killed. ``--folder`` keeps the large store, to go on with it after a
stop.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import spikedrop as sd
from benchmarks.kills import contents
from benchmarks.speed import peak_gb
from benchmarks.work import SEED, Job, random_job
from spikedrop.store import local_client
from spikedrop.store.layout import read_layout

FEATURES, DRAWS, STEPS = 100, 100, 20


def write_inputs(file: Path, rows: int) -> np.memmap:
    """Make inputs in a file, or open those that are there; never all in memory."""
    if not file.exists():
        x = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=(rows, FEATURES))
        for start in range(0, rows, 10_000):
            some = min(10_000, rows - start)
            x[start : start + some] = np.random.default_rng([SEED, start]).normal(
                size=(some, FEATURES)
            )
        x.flush()
        del x
    return np.load(file, mmap_mode="r")


def store(path: Path, job: Job, x: np.ndarray, **more: object) -> None:
    """Sample a job into a store."""
    sd.sample_to_store(
        path,
        job.network,
        x,
        draws=job.draws,
        seed=SEED,
        conversion=job.conversion,
        steps=job.steps,
        **more,
    )


def ratio(job: Job, x: np.ndarray, folder: Path, repeats: int = 5) -> tuple[float, float]:
    """Engine's time over the store's for the same rows, in turns: wall time, processor time."""
    pairs = []
    for i in range(repeats + 1):

        def engine() -> None:
            sd.sample_snn(
                job.network,
                job.conversion,
                x,
                draws=job.draws,
                seed=SEED,
                steps=job.steps,
                progress=False,
            )

        def stored(i: int = i) -> None:
            store(folder / f"rate{i}.zarr", job, x, progress=False)

        times = []
        for run in (engine, stored):
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            times += [time.perf_counter() - wall, time.process_time() - cpu]
        pairs.append((times[0] / times[2], times[1] / times[3]))
    wall, cpu = zip(*pairs[1:], strict=True)  # the first compiles
    return statistics.median(wall), statistics.median(cpu)


def large(rows: int, folder: Path) -> None:
    """Fill the large store; print rate and memory."""
    job = random_job(256, 1, DRAWS, steps=STEPS, inputs=FEATURES)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        small = np.random.default_rng(SEED).normal(size=(2 * 3200, FEATURES)).astype(np.float32)
        wall, cpu = ratio(job, small, Path(work))
    print(f"engine's time / store's, 6400 rows, in turns: {wall:.3f} (processor {cpu:.3f})")
    x = write_inputs(folder / f"x{rows}.npy", rows)
    path = folder / f"large{rows}.zarr"
    before = len(read_layout(path).present()) if path.exists() else 0
    began, cpu_began = time.perf_counter(), time.process_time()
    store(path, job, x, progress=True)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    layout = read_layout(path)
    done = len(layout.present()) - before
    n = done / layout.grid.count * rows * DRAWS
    print(
        f"{rows} observations x {DRAWS} draws: {layout.grid.count} chunks of {layout.grid.chunk}, "
        f"{done} of them in this run, {seconds:.0f} s, {1e6 * seconds / n:.1f} µs per presentation "
        f"(processor {1e6 * cpu_seconds / n:.1f})"
    )
    print(f"peak memory {peak_gb():.2f} GB; complete: {not layout.missing()}")
    rng = np.random.default_rng(SEED)
    samples = sd.open_samples(path)
    some = np.sort(rng.choice(rows, 64, replace=False))
    began = time.perf_counter()
    again = sd.sample_snn(
        job.network, job.conversion, x[some], draws=DRAWS, seed=SEED, steps=STEPS, progress=False
    )
    print(
        f"64 random rows as the engine gives them: {bool((samples[:, some] == again.values).all())}"
    )


def kills(count: int, folder: Path) -> None:
    """Kill and resume, in a process of its own that has started nothing yet."""
    for kind in ("ann", "snn"):
        with tempfile.TemporaryDirectory(dir=folder) as work:
            command = [sys.executable, "-m", "benchmarks.kills", work, str(count), "0", kind]
            done = subprocess.run(
                [*command, "16000"], stdout=subprocess.PIPE, text=True, check=True
            )
            print(f"{count} kills, {kind}: {done.stdout.strip()}")


def dask(folder: Path, workers: int = 4) -> None:
    """Sample with worker processes and kill one of them."""
    job = random_job(64, 4000, 20, steps=STEPS)
    with tempfile.TemporaryDirectory(dir=folder) as work, local_client(workers) as client:
        alone, spread = Path(work) / "alone.zarr", Path(work) / "spread.zarr"
        store(alone, job, job.x, chunk=50, progress=False)
        pids = client.run(os.getpid)
        dead: list[int] = []

        def kill() -> None:
            while not spread.exists() or len(read_layout(spread).present()) < 20:
                time.sleep(0.01)
            dead.append(next(iter(pids.values())))
            os.kill(dead[0], signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        store(spread, job, job.x, chunk=50, client=client, progress=False)
        thread.join()
        now = set(client.run(os.getpid).values())
        print(
            f"{workers} worker processes, {len(dead)} killed ({dead[0] not in now}): same bytes as "
            f"in one process: {contents(alone) == contents(spread)}"
        )


def main() -> None:
    """Run what is asked for, by default all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[[], "large", "kills", "dask"])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="where the large store lies, and stays")
    arguments = parser.parse_args()
    parts = arguments.parts or ["large", "kills", "dask"]
    with tempfile.TemporaryDirectory() as passing:
        folder = arguments.folder or Path(passing)
        folder.mkdir(parents=True, exist_ok=True)
        if "large" in parts:
            large(arguments.rows, folder)
        if "kills" in parts:
            kills(arguments.kills, folder)
        if "dask" in parts:
            dask(folder)


if __name__ == "__main__":
    main()
