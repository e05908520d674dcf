"""Which rule finds the most synergistic drug pairs of a simulated screen, over many searches.

    python -m benchmarks.decisions [--repeats 16] [--record] [--default-synergy]

Prints, for both regrets after the last round, the mean of each policy over searches with its
standard error, and the difference from the greedy choice by the classical network, search by
search. Each search has a screen of its own. With ``--record`` the result goes into the package
(``src/spikedrop/study/recorded_search.json``), where chapter 8 shows it. With ``--default-synergy``
the interaction is that of `simulate_screen`, of which little can be learnt from other pairs.
"""

from __future__ import annotations

import argparse
import sys

import pandas as pd

from benchmarks.recording import sources, write_recorded
from book.tree import ROOT
from spikedrop.data import simulate_candidates
from spikedrop.study.search import LEARNABLE, after_the_last_round, search_table

RECORDED = ROOT / "src" / "spikedrop" / "study" / "recorded_search.json"


def search_rows(table: pd.DataFrame) -> list[dict[str, object]]:
    """Return a table of `search_table` as one row per policy and round, repetitions in lists.

    `recorded_search` reads these rows; values are rounded to six decimals.
    """
    rows = []
    for (policy, number), part in table.groupby(["policy", "round"], sort=False):
        part = part.sort_values("repeat")
        row = {"policy": policy, "round": int(number), "tested": int(part["tested"].iloc[0])}
        lists = {value: part[value].round(6).tolist() for value in ("regret", "found")}
        rows.append({**row, **lists})
    return rows


def main() -> None:
    """Run the searches, print both regrets, and record them if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=16)
    parser.add_argument("--start", type=int, default=100)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--default-synergy", action="store_true")
    parser.add_argument("--words", default="", help="about the machine")
    arguments = parser.parse_args()
    commit = sources()
    synergy = {} if arguments.default_synergy else LEARNABLE
    # Seeds from 200: the chapter searches the screens from 0, and the rules were tried on others.
    seeds = range(200, 200 + arguments.repeats)
    screens = (simulate_candidates(**synergy, seed=seed) for seed in seeds)
    sizes = {"batch": arguments.batch, "rounds": arguments.rounds}
    table = search_table(screens, arguments.start, **sizes, seed=200)
    for value, compared in after_the_last_round(table).items():
        print(f"\n{value}, growth fraction, lower is better; {arguments.repeats} searches")
        print(compared.round(4).to_string())
    if arguments.record:
        command = ["python", "-m", "benchmarks.decisions", *sys.argv[1:]]
        rows = search_rows(table)
        write_recorded(RECORDED, rows, command, words=arguments.words, commit=commit)
        print(f"recorded in {RECORDED.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
