"""Which rule finds the best drug pairs of the simulated screen, over several searches.

    python -m benchmarks.decisions [--repeats 8] [--work FOLDER]

Prints, for each policy and round, the mean regret over searches with its standard error, and the
difference from the greedy choice by the same network, search by search. Trained networks are kept
in the work folder, so an interrupted run resumes where it stopped.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from spikedrop.data import simulate_screen
from spikedrop.search import search_table


def summary(table: pd.DataFrame, value: str) -> pd.DataFrame:
    """Mean and standard error over repetitions by policy and round, and against greedy."""
    wide = table.pivot_table(index=["repeat", "round"], columns="policy", values=value)
    frames = {}
    for label, frame in ((value, wide), ("minus greedy", wide.sub(wide["ANN, greedy"], axis=0))):
        by_round = frame.groupby("round")
        frames[label] = by_round.mean().T
        frames[f"{label}, se"] = (by_round.std(ddof=1) / np.sqrt(by_round.count())).T
    return pd.concat(frames, axis=1)


def main() -> None:
    """Run the searches and print both regrets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--work", default="_build/work")
    parser.add_argument("--start", type=int, default=100)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=4)
    args = parser.parse_args()
    screen = simulate_screen(n_records=12_000, seed=0)
    table = search_table(
        screen,
        args.start,
        batch=args.batch,
        rounds=args.rounds,
        repeats=args.repeats,
        work=args.work,
        seed=0,
    )
    for value in ("regret", "best"):
        print(f"\n{value}, growth fraction, lower is better; {args.repeats} searches")
        print(summary(table, value).round(4).to_string())


if __name__ == "__main__":
    main()
