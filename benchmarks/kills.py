"""Kill a process that fills a store, at random moments, and let the next one go on.

``python -m benchmarks.kills FOLDER KILLS SEED KIND ROWS`` prints what was found as JSON. The processes
are forks of one that has imported everything and started nothing, so that a kill costs no start.
"""  # noqa: E501

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.work import Job, random_job
from spikedrop.store import sample_to_store
from spikedrop.store.layout import read_layout

CHUNK, DRAWS, STEPS = 64, 200, 20


def start(path: Path, job: Job, kind: str) -> int:
    """Fill a store in a process of its own; return its number."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            sample_to_store(
                path,
                job.network,
                job.x,
                draws=DRAWS,
                seed=3,
                conversion=job.conversion if kind == "snn" else None,
                steps=STEPS,
                chunk=CHUNK,
                progress=False,
            )
            code = 0
        finally:
            os._exit(code)
    return child


def finished(path: Path) -> dict[str, tuple[int, int]]:
    """When each finished chunk was written, and into which file."""
    if not path.exists():
        return {}
    layout = read_layout(path)
    told = {name: (layout.folder / name).stat() for name in layout.present()}
    return {name: (status.st_mtime_ns, status.st_ino) for name, status in told.items()}


def contents(path: Path) -> dict[str, bytes]:
    """Every file of a store, but for the lock and its owner."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name not in (".lock", ".owner")
    }


def kill_and_resume(folder: Path, kills: int, seed: int, kind: str, rows: int) -> dict[str, object]:
    """Fill one store without a stop and one with `kills` of them, and compare the two.

    One half of the kills comes at a moment that is uniform from the start of a process to its first
    chunk (the making of the store, the compiling), the other behind a random number of further
    chunks and a random part of one more.
    """
    job = random_job(64, rows, DRAWS, steps=STEPS)
    whole, broken = folder / "whole.zarr", folder / "broken.zarr"
    began = time.perf_counter()
    child = start(whole, job, kind)
    while not finished(whole):
        time.sleep(0.005)
    first = time.perf_counter() - began
    _, status = os.waitpid(child, 0)
    rest = time.perf_counter() - began - first
    rng = np.random.default_rng(seed)
    done: dict[str, tuple[int, int]] = {}
    progress, lost, twice, alive = [], 0, 0, 0
    total = len(finished(whole))
    for at_work in rng.permutation(kills) % 2:
        child = start(broken, job, kind)
        if at_work:
            until = len(done) + rng.integers(1, max(2, 2 * total // kills))
            until = min(until, max(len(done), total - 3))
            while len(finished(broken)) < until and os.waitpid(child, os.WNOHANG) == (0, 0):
                time.sleep(0.001)
        time.sleep(rng.uniform(0, rest / total if at_work else first))
        try:
            alive += os.waitpid(child, os.WNOHANG) == (0, 0)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        except (ProcessLookupError, ChildProcessError):
            pass  # it was done
        now = finished(broken)
        lost += len(done.keys() - now.keys())
        twice += sum(now[name] != when for name, when in done.items() if name in now)
        done = now
        progress.append(len(done))
    _, last = os.waitpid(start(broken, job, kind), 0)
    now = finished(broken)
    twice += sum(now[name] != when for name, when in done.items())
    return {
        "exits": [status, last],
        "chunks": total,
        "killed while at work": alive,
        "finished at each kill": progress,
        "lost": lost,
        "twice": twice,
        "same bytes": contents(whole) == contents(broken),
        "left over": sorted(file.name for file in folder.iterdir()),
    }


def main() -> None:
    """Do what the command line asks, and print it."""
    folder, kills, seed, kind, rows = sys.argv[1:]
    import tensorflow  # noqa: F401  # imported once, for all forks

    found = kill_and_resume(Path(folder), int(kills), int(seed), kind, int(rows))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
