"""Who predicts the screen: null model, naive mean, boosted trees, and the book's network.

    SPIKEDROP_DATA=path/to/folder python -m benchmarks.screen [--quick]

Growth (R2, RMSE, and R2 of the network on the rows where each model exists) and synergy (rank
correlation, AUC at 0.2, RMSE beside the sd of the score) on random rows and on unseen pairs. The
network of the running example is trained twice for each, to predict growth and to predict the
score, unless `_build/bench` has it; `--quick` trains a smaller one. Predictions are means over
draws of permanent dropout. Without `SPIKEDROP_DATA` the screen is simulated. The tables are
printed and put into `_build/screen.json`.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pandas as pd

from benchmarks.work import FOLDER, SEED
from spikedrop.data import all_baselines, boosting_baseline
from spikedrop.files.records import write_json
from spikedrop.study.example import Example, running_example
from spikedrop.study.screen_tables import growth_table, network_baseline, synergy_of

SPLITS = ("rows", "pairs")
DRAWS = 100
NETWORK = "network"


def tables(growth: Example, score: Example) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score all models of growth, and all of synergy, on the test rows of one split."""
    screen, parts = growth.screen, growth.parts
    by, ask = parts.by, {"draws": DRAWS, "seed": SEED}
    models = all_baselines(screen, parts)
    models[NETWORK] = network_baseline(growth, parts.test, **ask)
    learnt = {f"{NETWORK}, score": network_baseline(score, parts.test, **ask)}
    learnt["boosted trees, score"] = boosting_baseline(screen, parts, target="score")
    return (
        growth_table({by: models}, beside=NETWORK),
        synergy_of({by: models}, screen, {by: parts}, of_score={by: learnt}),
    )


def plain(table: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """Return a table as JSON can hold it: what is not there is null."""
    return table.astype(object).where(table.notna(), None).to_dict("index")


def main() -> None:
    """Train what is missing, score, print, and write the figures down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 x 256 units and 20 epochs")
    size = {"hidden": (256,) * 3, "epochs": 20} if parser.parse_args().quick else {}
    settings = {"data": os.environ.get("SPIKEDROP_DATA", ""), "seed": SEED, **size}
    written: dict[str, object] = {"settings": {**settings, "data": bool(settings["data"])}}
    for by in SPLITS:
        growth, score = (
            running_example(work=Path(FOLDER) / "bench", by=by, target=target, **settings)
            for target in ("growth", "score")
        )
        of_growth, of_synergy = tables(growth, score)
        title = f"{growth.screen.source}, {len(growth.parts.test):,} test records"
        print(f"\n{title}, held out: {by}\n{of_growth.round(4)}\n\nsynergy\n{of_synergy.round(4)}")
        written[by] = {
            "source": title,
            "growth": plain(of_growth.loc[by]),
            "synergy": plain(of_synergy.loc[by]),
        }
    Path(FOLDER).mkdir(exist_ok=True)
    write_json(Path(FOLDER) / "screen.json", written)


if __name__ == "__main__":
    pd.set_option("display.width", 160)
    main()
