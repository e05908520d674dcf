"""Record a run of the UCI protocol for the book: ``python -m benchmarks.uci FOLDER JOB...``.

FOLDER holds the sets, one folder each; a JOB is ``set,layers,splits``, for instance
``concrete,2,20``. Splits that are finished in ``--work`` are not computed again. The result goes
into the package (``src/spikedrop/study/uci/recorded.json``), where a page of the book shows it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.recording import sources, write_recorded
from book.tree import ROOT
from spikedrop.study import uci

RECORDED = ROOT / "src" / "spikedrop" / "study" / "uci" / "recorded.json"


def rows_of(folder: Path, job: str, work: Path) -> list[dict[str, object]]:
    """Run one job and return its two rows; ``seconds`` say nothing of a busy machine, left out."""
    name, layers, splits = job.split(",")
    (key, path), *_ = uci.find_sets(folder, [name]).items()
    protocol = uci.Protocol(layers=int(layers))
    rows = uci.run_set(uci.read_set(key, path), protocol, work=work, splits=int(splits), jobs=1)
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def main() -> None:
    """Run all jobs and record them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("jobs", nargs="+", metavar="JOB", help="set,layers,splits")
    parser.add_argument("--work", type=Path, default=Path("_build/uci"))
    parser.add_argument("--commit", help="of the sources that computed the splits, if not these")
    parser.add_argument("--words", default="", help="about the machine")
    arguments = parser.parse_args()
    commit = arguments.commit or sources()
    rows = [row for job in arguments.jobs for row in rows_of(arguments.folder, job, arguments.work)]
    command = ["python", "-m", "benchmarks.uci", "FOLDER", *arguments.jobs]
    write_recorded(RECORDED, rows, command, words=arguments.words, commit=commit)
    print(uci.format_table(rows))
    print(f"recorded in {RECORDED.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
