"""Peak memory of scores and comparisons: ``python -m benchmarks.memory [CASE ...]``.

Two stores of 1,000 draws x 100,000 rows are written (400 MB each as float32; ``--draws`` and
``--rows`` for others, ``--folder`` to keep them), without sampling: the values are of a random law,
in the layout of `spikedrop.store`. Every case then runs in a process of its own. Bars: 2 GB of
process memory, and three times the samples' block beside what the process holds once it has
imported everything. The cases named ``in memory`` load the samples first, as float32.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

BAR_GB = 2.0
CHUNK = (512, 4096, 1)  # as `sample_to_store` cuts by default
NOISE_SD = 0.3
SEED = 0


def write(path: Path, draws: int, rows: int, gap: float) -> None:
    """Write a store: y + N(0, 1), the same draws for all gaps, `gap` times another added."""
    from spikedrop.store.job import Grid
    from spikedrop.store.layout import created
    from spikedrop.store.layout import write as write_chunk

    attributes = {"kind": "ann", "seed": SEED, "scope": "row", "inputs_sha256": "made up"}
    grid = Grid((draws, rows, 1), tuple(map(min, CHUNK, (draws, rows, 1))))
    y = truth(rows)
    with created(path, attributes, grid) as layout:
        for some, here in grid.pieces():
            rng = np.random.default_rng([SEED, some.start, here.start])
            values, noise = rng.normal(size=(2, len(some), len(here), 1))
            values += y[here.start : here.stop, None] + gap * noise
            write_chunk(layout, values.astype(np.float32), some, here)


def truth(rows: int) -> np.ndarray:
    """What was observed, axis (row,)."""
    return np.random.default_rng(SEED).normal(size=rows)


def cases(folder: Path) -> dict[str, Callable[[], object]]:
    """Return what is measured, by name."""
    import spikedrop as sd
    from spikedrop import scores
    from spikedrop.cli import app
    from spikedrop.comparison import paired_error
    from spikedrop.scores.conformal import conformal_interval
    from spikedrop.store import open_samples, summarize

    stores = [folder / "a.zarr", folder / "b.zarr"]
    a, b = map(open_samples, stores)
    y = np.load(folder / "y.npy")

    def command(*words: object) -> Callable[[], object]:
        return lambda: app([*map(str, words), "--json"], standalone_mode=False)

    return {
        "crps": lambda: scores.crps(a, y),
        "log_likelihood": lambda: scores.log_likelihood(a, y, NOISE_SD),
        "calibration_error": lambda: scores.calibration_error(a, y, NOISE_SD),
        "conformal_interval": lambda: conformal_interval(a, y, b),
        "score_table": lambda: scores.score_table(a, b, y, NOISE_SD, seed=0, resamples=20),
        "summarize": lambda: summarize(stores[0], y=y),
        "score (command)": command("score", stores[0], folder / "y.npy"),
        "compare (command)": command("compare", *stores, "--truth", folder / "y.npy"),
        "paired_error": lambda: paired_error(a, b),
        "compare, paired": lambda: sd.compare(a, b, y=y),
        "compare, unpaired": lambda: sd.compare(a, b, y=y, paired=False),
        "crps, in memory": lambda: scores.crps(a.load(), y),
        "compare, paired, in memory": lambda: sd.compare(a.load(), b.load(), y=y),
    }


def measure(folder: Path, name: str) -> dict[str, float]:
    """Run one case here and return its seconds, peak and growth in 1e9 bytes."""
    from benchmarks.speed import peak_gb

    run = cases(folder)[name]
    import mapie.regression  # noqa: F401  (what any of them imports late)
    import scoringrules  # noqa: F401
    import sklearn.linear_model  # noqa: F401

    before, start = peak_gb(), time.perf_counter()
    run()
    return {
        "seconds": time.perf_counter() - start,
        "peak_gb": peak_gb(),
        "growth_gb": peak_gb() - before,
    }


def main() -> None:
    """Write the stores, measure the cases one after the other, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="*", help="all by default")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measure(asked.folder, asked.one)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        for name, gap in (("a", 0.0), ("b", 0.02)):
            if not (folder / f"{name}.zarr").exists():
                write(folder / f"{name}.zarr", asked.draws, asked.rows, gap)
        np.save(folder / "y.npy", truth(asked.rows))
        block = 4 * asked.draws * asked.rows / 1e9
        print(f"samples: {block:.3g} GB a store; bars: {BAR_GB} GB, growth {3 * block:.3g} GB")
        for name in asked.cases or cases(folder):
            words = [sys.executable, "-m", "benchmarks.memory", "--one", name]
            out = subprocess.run(
                [*words, "--folder", str(folder)], check=True, stdout=subprocess.PIPE, text=True
            )
            found = json.loads(out.stdout.splitlines()[-1])
            held = found["peak_gb"] <= BAR_GB and found["growth_gb"] <= 3 * block
            print(
                f"{name:28}{found['seconds']:8.1f} s  peak {found['peak_gb']:.2f} GB  growth "
                f"{found['growth_gb']:.2f} GB  {'holds' if held else 'MISSED'}",
                flush=True,
            )


if __name__ == "__main__":
    main()
