"""Random networks on every program against the reference: ``python -m benchmarks.fuzz``.

``--graphs 2000 --seed 0`` draws the cases 0 to 1999 (`tests.random_graphs`) and holds every program
that accepts one against the reference (`tests.fuzzing`, which says how a rounding flip is told from
a fault). Prints progress and faults, ends with a summary and exit code 1 if there was a fault, and
writes ``_build/fuzz.json`` after every fifty graphs. Everything runs every case, but for two that
take seconds to build: NengoDL gets every tenth, and every other tenth is sampled by `sample_snn` as
well as by its parts. Most of the time goes into compiling; with
``XLA_FLAGS=--xla_backend_optimization_level=0`` it takes two thirds (the flags are recorded).
"""

from __future__ import annotations

import argparse
import datetime
import json
import logging
import os
import subprocess
import sys
import time
import traceback
import warnings
from pathlib import Path

from benchmarks.work import FOLDER
from spikedrop.errors import SaturationWarning
from tests.fuzzing import Tally, check_all
from tests.random_graphs import draw_case

NENGO_DL_EVERY = 10


def commit() -> str:
    """Return the commit that is measured, marked where files differ from it."""
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40"], capture_output=True, text=True
    )
    return told.stdout.strip() or "unknown"


def write(path: Path, tally: Tally, seeds: range, began: float, of: str) -> None:
    """Write what is known so far."""
    entry = {
        "commit": of,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seeds": [seeds.start, seeds.stop - 1],
        "graphs": len(seeds),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "seconds": round(time.monotonic() - began),
        "cases": tally.cases,
        "judged": tally.judged,
        "excused": tally.excused,
        "faults": tally.faults,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entry, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Draw, run, compare; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--graphs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0, help="of the first graph")
    parser.add_argument("--output", type=Path, default=Path(FOLDER) / "fuzz.json")
    asked = parser.parse_args()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    tally, began, of, told = Tally(), time.monotonic(), commit(), 0
    for i in range(asked.graphs):
        seed = asked.seed + i
        try:
            programs = {"nengo"} | ({"nengo_dl"} if i % NENGO_DL_EVERY == 0 else set())
            whole = i % NENGO_DL_EVERY == 5
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SaturationWarning)  # cases are not calibrated
                check_all(draw_case(seed), tally, simulators=programs, whole=whole)
        except Exception as error:  # a program that breaks is what is looked for; the next goes on
            where = traceback.extract_tb(error.__traceback__)[-1]
            tally.faults.append(
                f"seed {seed}: {type(error).__name__}: {error} ({where.name}, {where.lineno})"
            )
        for fault in tally.faults[told:]:
            print(fault, flush=True)
        told = len(tally.faults)
        if (i + 1) % 50 == 0 or i + 1 == asked.graphs:
            seconds = time.monotonic() - began
            print(f"{i + 1} graphs, {seconds:.0f} s, {told} faults", flush=True)
            write(asked.output, tally, range(asked.seed, seed + 1), began, of)
    print(f"cases by program: {tally.cases}")
    print(f"neuron counts judged: {tally.judged}")
    print(f"excused, near a threshold or behind a neuron that is: {tally.excused}")
    print(f"{told} faults; written to {asked.output}")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
