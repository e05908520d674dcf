"""`spikedrop simulate` and `spikedrop train`: a table, and a network that has learnt from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikedrop.checks.arguments import real_number
from spikedrop.cli.app import MOST, Json, Seed, report
from spikedrop.errors import InputError

if TYPE_CHECKING:
    import numpy as np

GROWTH = "growth_fraction"
TABLES = (".csv", ".parquet")
FEWEST_ROWS = 10


def simulate(
    output: Annotated[Path, typer.Argument(help="Table to write: .parquet or .csv.")],
    held_out: Annotated[
        Path | None, typer.Option(help="Write a fifth of the records here, to be tested on.")
    ] = None,
    records: Annotated[int, typer.Option(min=1, max=MOST, help="Drug-pair records.")] = 12_000,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Write a simulated drug-pair screen as a table: inputs of a network, and growth_fraction.

    Inputs are scaled descriptors and doses of both drugs and components of the cell line, with
    every statistic taken from the records of OUTPUT.

    Example: spikedrop simulate screen.parquet --held-out test.parquet --seed 0
    """
    from spikedrop.files.writing import check_output, written

    files = [check_output(file, TABLES) for file in (output, held_out) if file is not None]
    if len({file.absolute() for file in files}) < len(files):
        raise InputError(f"{held_out}: both tables have one name; name two.")
    import numpy as np
    import pandas as pd

    from spikedrop.data import fit_design, simulate_screen, split

    screen = simulate_screen(n_records=records, seed=seed)
    rows = np.arange(len(screen.pairs))
    parts = [rows]
    if held_out is not None:
        cut = split(screen.pairs, "rows", seed=seed, validation=0.0)
        parts = [cut.train, cut.test]
    design = fit_design(screen, parts[0])
    for file, part in zip(files, parts, strict=True):
        pairs = screen.pairs.iloc[part]
        table = pd.DataFrame(design.matrix(pairs), columns=design.names)
        table[GROWTH] = pairs[GROWTH].to_numpy()
        with written(file) as place:
            if file.suffix.lower() == ".csv":
                table.to_csv(place, index=False)
            else:
                table.to_parquet(place, index=False)
    result = {
        "files": {str(file): len(part) for file, part in zip(files, parts, strict=True)},
        "inputs": len(design.names),
        "target": GROWTH,
        "seed": seed,
    }
    lines = [f"{file}: {n:,} records" for file, n in result["files"].items()]
    lines.append(f"{result['inputs']} inputs each, and the target {GROWTH}")
    report(as_json, result, "\n".join(lines))


def train(
    table: Annotated[Path, typer.Argument(help="Numeric columns: .parquet, or .csv with names.")],
    target: Annotated[str, typer.Option(help="The column to predict; all others are inputs.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The model to write: .keras.")],
    hidden: Annotated[str, typer.Option(help="Units of the hidden layers.")] = "256,256,256",
    dropout: Annotated[float, typer.Option(help="Dropout rate behind each hidden layer.")] = 0.1,
    epochs: Annotated[int, typer.Option(min=1, max=MOST, help="At most; stops early.")] = 60,
    validation: Annotated[float, typer.Option(help="Share of rows held out to stop by.")] = 0.1,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Train a network with dropout on a table, and write it as a Keras model.

    Inputs and target are standardised to learn, and the scaling is folded into the weights: the
    model takes the columns as they are, and answers in the unit of the target.

    Example: spikedrop train screen.parquet --target growth_fraction -o model.keras
    """
    from spikedrop.checks.columns import check_spread
    from spikedrop.files import check_output, read_table, written
    from spikedrop.network.named import Columns, save_named

    check_output(output, (".keras",))
    layers = _units(hidden)
    real_number("--dropout", dropout, above=0, below=1)
    real_number("--validation", validation, above=0, below=1)
    x, y, names = read_table(table, target)
    if len(x) < FEWEST_ROWS:
        raise InputError(f"{table}: has {len(x)} rows; at least {FEWEST_ROWS} are needed.")
    check_spread(x, names, str(table))
    check_spread(y, [target], str(table))
    import numpy as np

    from spikedrop.training.keras import fold_scaling
    from spikedrop.training.keras import train as fit

    x, y = x.astype(np.float32), y.astype(np.float32)  # as the model will take and give them
    order = np.random.default_rng(seed).permutation(len(x))
    held = order[: min(max(1, round(validation * len(x))), len(x) - 1)]
    rows = order[len(held) :]
    x_mean, x_sd = _moments(x[rows])
    y_mean, y_sd = (float(value[0]) for value in _moments(y[rows, None]))
    if y[rows].min() == y[rows].max():
        raise InputError(f"{table}: column {target!r} has one value in all rows to learn from.")
    scaled, goal = ((x - x_mean) / x_sd).astype(np.float32), (y - y_mean) / y_sd
    model = fit(
        scaled[rows],
        goal[rows],
        (scaled[held], goal[held]),
        seed=seed,
        hidden=layers,
        dropout=dropout,
        epochs=epochs,
        progress=True,
    )
    fold_scaling(model, x_mean, x_sd, y_mean, y_sd)
    error = model.predict(x[held], batch_size=4096, verbose=0)[:, 0] - y[held]
    with written(output) as place:
        save_named(model, place, Columns(tuple(names), target))
    result = {
        "model": str(output),
        "inputs": names,
        "target": target,
        "rows": len(rows),
        "validation_rows": len(held),
        "validation_rmse": float(np.sqrt(np.mean(error**2))),
        "target_sd": y_sd,
        "seed": seed,
    }
    text = (
        f"{output}: {len(names)} inputs, learnt from {len(rows):,} rows\n"
        f"RMSE on {len(held):,} validation rows, by which it was stopped: "
        f"{result['validation_rmse']:.4g} (sd of the target {y_sd:.4g})"
    )
    report(as_json, result, text)


def _units(text: str) -> tuple[int, ...]:
    """Read the units of the hidden layers.

    >>> _units("64, 32")
    (64, 32)
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and 0 < int(word) <= 100_000 for word in words):
        raise InputError(f"--hidden {text!r}: give whole numbers with commas, such as 256,256.")
    return tuple(map(int, words))


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sd of each column in float64; sd 1 where a column does not vary."""
    mean, sd = values.mean(axis=0, dtype=float), values.std(axis=0, dtype=float)
    sd[values.min(axis=0) == values.max(axis=0)] = 1.0
    return mean, sd
