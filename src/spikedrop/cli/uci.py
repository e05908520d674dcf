"""`spikedrop uci`: the published regression sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from spikedrop.cli.app import Seed
from spikedrop.errors import InputError
from spikedrop.files.records import write_json

__all__: list[str] = []


def uci(
    path: Annotated[Path, typer.Argument(help="Folder of the sets, one folder each.")],
    sets: Annotated[
        str | None,
        typer.Option(help="Only these, by folder or published name, with commas: concrete,power."),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the scores here, too.")] = None,
    layers: Annotated[
        int,
        typer.Option(
            min=1,
            max=100,
            help="Hidden layers; published figures are for 1, and the authors' own for 2.",
        ),
    ] = 2,
    splits: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Only so many splits of each set; by default all."),
    ] = None,
    seed: Seed = 0,
    jobs: Annotated[int, typer.Option(max=4096, help="Splits at a time; -1: one a core.")] = -1,
    work: Annotated[
        Path, typer.Option(help="Where finished splits are kept, to go on from after a stop.")
    ] = Path("_build/uci"),
) -> None:
    """Score permanent dropout and its spiking twin on UCI regression, by the published protocol.

    Dropout rate, weight decay and noise precision are chosen on held-out training rows of each
    split; test rows are used only for the scores, which are printed beside the published ones,
    each with its number of hidden layers.

    Example: spikedrop uci data/uci --sets concrete,wine --json scores.json
    """
    from spikedrop.study import uci as part

    if json is not None and (json.is_dir() or not json.absolute().parent.is_dir()):
        raise InputError(f"{json}: cannot be written; name a file in a folder that exists.")
    if jobs == 0:
        raise InputError("--jobs 0: give a number of processes, or -1 for one per core.")
    protocol = part.Protocol(layers=layers, seed=seed)
    names = None if sets is None else [name.strip() for name in sets.split(",") if name.strip()]
    folders = part.find_sets(path, names)
    # All sets are read before the first is run, so that a damaged one shows at once.
    read = [part.read_set(name, folder) for name, folder in folders.items()]
    rows: list[dict[str, Any]] = []
    for data in read:
        rows += part.run_set(data, protocol, work=work, splits=splits, jobs=jobs)
        if json is not None:
            write_json(json, rows)
    typer.echo(part.format_table(rows))
