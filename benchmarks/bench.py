"""Measure every figure of the benchmark: ``python -m benchmarks.bench``.

Prints a table and writes ``_build/bench.json``. ``--quick`` tries everything at small sizes,
``--only GROUP`` measures some of the figures. ``--record WORDS`` also puts the result into the
package, where chapter 6 reads it; the words say which machine it was, and whether it was busy. In
the environment: PEERS=no leaves the peers out, SPIKEDROP_DATA names the folder of the real screen.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.against_peers import against_peers
from benchmarks.fidelity import errors
from benchmarks.speed import against_floor, one_hidden
from benchmarks.work import FOLDER, Job, cores, figure, random_job
from book.facts import git_commit, machine
from book.tree import ROOT

Entry = dict[str, object]
BARS = {  # width: (rows, draws, floor, NengoDL, peers)
    512: (64, 32, ">= 0.9", ">= 10", ">= 1.5"),
    1000: (64, 32, ">= 0.9", None, None),
    64: (64, 100, ">= 0.7", ">= 25", ">= 10"),
}
#: The figures that chapter 6 shows.
RECORDED = ROOT / "src" / "spikedrop" / "study" / "benchmark.json"
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": lambda value, bar: value <= bar,
    ">=": lambda value, bar: value >= bar,
}


def in_process(module: str, *arguments: str) -> object:
    """Run a module of the benchmark in a process of its own; return the JSON it prints last."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1][:300])
    return json.loads(done.stdout.splitlines()[-1])


def against_nengo(job: Job, ours: float, repeats: int, bar: str) -> list[Entry]:
    """Return the figures of NengoDL, the fastest way, and of Nengo against the engine.

    The same work: as many rows share a mask as the job has inputs. What NengoDL gains if more rows
    share one is told beside it.
    """
    width = job.network.hidden[0].weights.shape[1]
    unit = "µs per presentation / engine's"
    try:
        ways = in_process("nengo_peer", "--width", str(width), "--repeats", str(repeats))
    except (RuntimeError, subprocess.SubprocessError) as error:
        return [figure(f"nengo_dl_{width}", None, unit, bar, why=str(error))]
    engine_us = 1e6 * ours / job.presentations
    nengo = ways.pop("nengo")
    same_work = [way for way in ways if f"{len(job.x)} rows" in way]
    fastest = min(same_work, key=ways.__getitem__)
    most = round(min(ways.values()) / engine_us, 2)
    return [
        figure(
            f"nengo_dl_{width}",
            ways[fastest] / engine_us,
            unit,
            bar,
            fastest=fastest,
            with_256_rows_a_mask=most,
            us=ways,
        ),
        figure(f"nengo_{width}", nengo / engine_us, unit, None, us=nengo),
    ]


def speeds(width: int, quick: bool) -> Iterator[Entry]:
    """Yield the figures of one width: floor, NengoDL, peers."""
    rows, draws, floor_bar, nengo_bar, peers_bar = BARS[width]
    repeats = 2 if quick else 5
    job = random_job(width, 4 if quick else rows, 2 if quick else draws)
    entry, ours = against_floor(job, repeats if width > 64 else 3 * repeats, floor_bar)
    yield entry
    if nengo_bar:
        yield from against_nengo(job, ours, repeats, nengo_bar)
        yield against_peers(job, ours, repeats, peers_bar)


def memory(quick: bool) -> Entry:
    """Return the figure of peak memory, measured in a fresh process."""
    try:
        return in_process("speed", "--budget", "2" if quick else "40")
    except (RuntimeError, subprocess.SubprocessError) as error:
        return figure("peak_memory_gb", None, "GB", "<= 2", why=str(error))


def combo(quick: bool) -> Entry:
    """Return the figure of the Combo network, measured in a fresh process for its memory."""
    unit = "floor time / engine time"
    if quick:
        return figure("combo_floor", None, unit, None, why="left out of the quick run")
    try:
        return in_process("combo")
    except (RuntimeError, subprocess.SubprocessError) as error:
        return figure("combo_floor", None, unit, None, why=str(error))


def groups(quick: bool) -> dict[str, Callable[[], Iterator[Entry]]]:
    """Return what is measured, by the figures' first words."""
    small = {"rows": 50, "draws": 4} if quick else {}
    return {
        "512": lambda: speeds(512, quick),
        "1000": lambda: speeds(1000, quick),
        "64": lambda: speeds(64, quick),
        "one_hidden": lambda: iter([one_hidden(3 if quick else 5, **small)]),
        "peak_memory": lambda: iter([memory(quick)]),
        "error": lambda: iter(errors()),
        "combo": lambda: iter([combo(quick)]),
    }


def verdict(entry: Entry) -> str:
    """Say whether a figure meets its bar.

    >>> verdict({"value": 1.2, "bar": "<= 1.5"}), verdict({"value": 0.2, "bar": ">= 0.9"})
    ('yes', 'NO')
    """
    if entry["value"] is None or not entry["bar"]:
        return "-"
    operator, bar = str(entry["bar"]).split()
    return "yes" if OPERATORS[operator](float(entry["value"]), float(bar)) else "NO"


def line(entry: Entry) -> str:
    """Return one row of the table."""
    value = "-" if entry["value"] is None else f"{entry['value']:.4g}"
    told = ", ".join(
        f"{key}={item}"
        for key, item in entry.items()
        if key not in ("name", "value", "unit", "bar") and not isinstance(item, dict)
    )
    return (
        f"{entry['name']:<26} {value:>9}  {entry['bar'] or '':<8} {verdict(entry):<4} "
        f"{entry['unit']}; {told}"
    )


def details(entry: Entry) -> str:
    """Return a figure's sub-figures, one a line."""
    inner = [item for item in entry.values() if isinstance(item, dict)]
    return "".join(f"\n    {key}: {value}" for item in inner for key, value in item.items())


def result(entries: list[Entry], words: str) -> dict[str, object]:
    """Return the figures with what a reader needs to judge them."""
    commit, changed = git_commit(ROOT)
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit + (", with uncommitted changes" if changed else ""),
        "machine": machine() + (f"; {words}" if words else ""),
        "figures": entries,
    }


def record(file: Path, entries: list[Entry]) -> None:
    """Put a result into the package; refuse one in which a figure has no value."""
    if missing := [str(entry["name"]) for entry in entries if entry["value"] is None]:
        sys.exit(f"not recorded, without a value: {', '.join(missing)}. See {file}.")
    shutil.copy(file, RECORDED)
    print(f"recorded in {RECORDED.relative_to(ROOT)}")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the benchmarks")
    parser.add_argument("--only", nargs="*", help="groups: " + " ".join(groups(True)))
    parser.add_argument("--record", metavar="WORDS", help="keep the result; the machine in words")
    arguments = parser.parse_args()
    if arguments.record is not None and (arguments.quick or arguments.only):
        parser.error("--record keeps whole results: drop --quick and --only")
    start = time.perf_counter()
    entries: list[Entry] = []
    found = result(entries, arguments.record or "")  # the commit is that of the start
    print(f"{cores()} cores")
    for group, measure in groups(arguments.quick).items():
        if arguments.only and group not in arguments.only:
            continue
        for entry in measure():
            entries.append(entry)
            print(line(entry) + details(entry), flush=True)
    file = Path(FOLDER) / "bench.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\n{len(entries)} figures in {file}, {time.perf_counter() - start:.0f} s\n")
    print("\n".join(line(entry).split(";")[0] for entry in entries))
    if arguments.record is not None:
        record(file, entries)


if __name__ == "__main__":
    main()
