"""`spikedrop compare` and `spikedrop score`: what is in the stores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikedrop.cli.app import MOST, Json, Seed, report
from spikedrop.errors import InputError

Truth = Annotated[
    Path | None, typer.Option(help="What was observed, one row per observation; for the CRPS.")
]
TruthColumn = Annotated[str | None, typer.Option(help="The column of the truth's table.")]


def compare(
    a: Annotated[Path, typer.Argument(help="The reference, a store of `spikedrop sample`.")],
    b: Annotated[Path, typer.Argument(help="The other store, of the same rows.")],
    truth: Truth = None,
    target: TruthColumn = None,
    noise_sd: Annotated[
        float, typer.Option(min=0, help="Sd of the observation noise, for the CRPS.")
    ] = 0.0,
    margin: Annotated[float, typer.Option(help="Largest difference allowed, in sd.")] = 0.05,
    unpaired: Annotated[
        bool, typer.Option("--unpaired", help="Ask about the distributions, not draw by draw.")
    ] = False,
    observations: Annotated[
        int, typer.Option(min=1, max=MOST, help="Compare at most so many rows, chosen at random.")
    ] = 500,
    require_equivalent: Annotated[
        bool, typer.Option("--require-equivalent", help="Exit with 1 unless equivalent.")
    ] = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Say whether two stores are equivalent, different, or what is still open.

    Stores of one seed have the same masks and are compared draw by draw.

    Example: spikedrop compare ann.zarr snn.zarr --margin 0.05
    """
    from spikedrop.store import open_samples

    first, second = open_samples(a), open_samples(b)
    if first.sizes["observation"] != second.sizes["observation"]:
        raise InputError(
            f"{a} has {first.sizes['observation']} observations and {b} "
            f"{second.sizes['observation']}; compare samples of the same rows."
        )
    if first.attrs["inputs_sha256"] != second.attrs["inputs_sha256"]:
        raise InputError(f"{a} and {b} hold samples of different inputs: sample the same rows.")
    import numpy as np

    from spikedrop.comparison import compare as judge
    from spikedrop.files import read_column

    y = None if truth is None else read_column(truth, target)
    total = first.sizes["observation"]
    if y is not None and len(y) != total:
        raise InputError(f"{truth}: has {len(y)} rows, and the stores have {total} observations.")
    chosen = np.sort(np.random.default_rng(seed).permutation(total)[:observations])
    first, second = (store.isel(observation=chosen).load() for store in (first, second))
    comparison = judge(
        first,
        second,
        paired=False if unpaired else None,
        y=None if y is None else y[chosen],
        noise_sd=noise_sd,
        margin=margin,
        seed=seed,
    )
    result = {
        "verdict": comparison.verdict,
        "reason": comparison.reason,
        "paired": comparison.paired,
        "margin_sd": comparison.margin,
        "draws": comparison.draws,
        "observations": len(chosen),
        "of_observations": total,
        "attainable_margin_sd": comparison.attainable_margin,
        "criteria": [vars(c) | {"answer": c.answer} for c in comparison.criteria],
        "p_same_law": comparison.difference.p_value if comparison.difference else None,
    }
    report(as_json, result, str(comparison))
    if require_equivalent and comparison.verdict != "equivalent":
        raise typer.Exit(1)


def score(
    store: Annotated[Path, typer.Argument(help="A store of `spikedrop sample`.")],
    truth: Annotated[Path, typer.Argument(help="What was observed: .parquet, .csv or .npy.")],
    target: TruthColumn = None,
    noise_sd: Annotated[
        float, typer.Option(min=0, help="Sd of the observation noise, in the truth's unit.")
    ] = 0.0,
    level: Annotated[float, typer.Option(help="Nominal coverage of the interval.")] = 0.9,
    as_json: Json = False,
) -> None:
    """Score a store against what was observed, block by block.

    Example: spikedrop score snn.zarr test.parquet --target growth_fraction --noise-sd 0.1
    """
    from spikedrop.files import read_column
    from spikedrop.store import open_samples, summarize

    samples = open_samples(store)
    y = read_column(truth, target)
    if len(y) != samples.sizes["observation"] or samples.sizes["output"] != 1:
        raise InputError(
            f"{truth}: has {len(y)} rows of one number, and {store} has "
            f"{samples.sizes['observation']} observations of {samples.sizes['output']} output(s)."
        )
    summary = summarize(store, y=y, noise_sd=noise_sd, level=level)
    names = [name for name in summary.data_vars if summary[name].dims == ("output",)]
    scores = {name: float(summary[name][0]) for name in names}
    scores["mean sd of draws"] = float(summary["sd"].mean())
    result = {"store": str(store), "noise_sd": noise_sd, "level": level, "scores": scores}
    width = max(map(len, scores))
    lines = [f"{name:{width}}  {value:.5g}" for name, value in scores.items()]
    report(as_json, result, "\n".join(lines))
