"""`spikedrop sample`: the predictive distribution of a model, into a store."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from spikedrop.checks.arguments import real_number
from spikedrop.cli.app import MOST, Json, Target, report
from spikedrop.errors import InputError, InputWarning

if TYPE_CHECKING:
    import numpy as np

    from spikedrop.network.graph import Network

CALIBRATION_ROWS = 4096
TABLES = (".csv", ".parquet")
ModelFile = Annotated[Path, typer.Argument(help="A trained Keras model with dropout: .keras.")]
Inputs = Annotated[Path, typer.Argument(help="One row per observation: .parquet, .csv or .npy.")]
Percentile = Annotated[
    float | None,
    typer.Option(
        min=0, max=100, help="Of the activations, at which a neuron fires at --rate; by default 98."
    ),
]
Readout = Annotated[
    Literal["mean", "parabola"],
    typer.Option(help="Weights of the steps in the output: all the same, or falling to the ends."),
]


def sample(
    model: ModelFile,
    inputs: Inputs,
    output: Annotated[Path, typer.Option("--output", "-o", help="The store to fill: .zarr.")],
    draws: Annotated[
        int, typer.Option(min=1, max=MOST, help="Monte-Carlo draws, one set of masks each.")
    ],
    seed: Annotated[
        int, typer.Option(min=0, max=2**64 - 1, help="Of the masks: one seed, the same masks.")
    ] = 0,
    network: Annotated[
        Literal["ann", "snn"], typer.Option(help="The model as it is, or converted to spikes.")
    ] = "snn",
    steps: Annotated[
        int, typer.Option(min=1, max=MOST, help="Time steps of 1 ms per presentation.")
    ] = 200,
    backend: Annotated[
        Literal["engine", "numpy", "nengo", "nengo_dl"],
        typer.Option(help="What runs the spiking network; others than the engine are slow."),
    ] = "engine",
    rate: Annotated[float, typer.Option(help="Hz of a neuron near the top of its range.")] = 500.0,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            help="Rows that set the firing-rate scales, such as those trained on; by "
            "default the inputs' own. Of both the first 4,096 are used."
        ),
    ] = None,
    percentile: Percentile = None,
    readout: Readout = "mean",
    scope: Annotated[
        Literal["draw", "row"],
        typer.Option(help="One set of masks a draw for all rows, or one for each row."),
    ] = "draw",
    target: Target = None,
    chunk: Annotated[
        int | None,
        typer.Option(min=1, max=MOST, help="Rows in a chunk of the store; by default chosen."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=MOST, help="Processes on this machine.")] = 1,
    memory: Annotated[float, typer.Option(help="Gigabytes a process may take to work.")] = 1.0,
    as_json: Json = False,
) -> None:
    """Sample the predictive distribution of a model at every row, into a Zarr store.

    Running the same command again after an interruption resumes where it stopped, and the result
    has the same bytes. Another model, other inputs or settings are refused.

    Example: spikedrop sample model.keras inputs.parquet -o draws.zarr --draws 200 --seed 0
    """  # fmt: skip
    from spikedrop.files import check_output
    from spikedrop.network.keras_file import read_model

    check_output(output, (".zarr",))
    real_number("--rate", rate, above=0)
    real_number("--memory", memory, above=0)
    if network == "ann" and backend != "engine":
        raise InputError(f"--backend {backend} runs spiking networks: drop --network ann or it.")
    x = rows_of(inputs, target, model)
    rows = x if calibrate is None else rows_of(calibrate, target, model)
    conversion, net = None, read_model(model)
    from spikedrop.conversion import calibrate as scales_of
    from spikedrop.store import local_client, open_samples, sample_to_store

    fits(net, model, x, inputs)
    if network == "snn":
        fits(net, model, rows, calibrate or inputs)
        conversion = scales_of(
            net, rows[:CALIBRATION_ROWS], rate_hz=rate, percentile=percentile, readout=readout
        )
    with local_client(workers) if workers > 1 else contextlib.nullcontext() as client:
        sample_to_store(
            output,
            net,
            x,
            draws=draws,
            seed=seed,
            conversion=conversion,
            steps=steps,
            scope=scope,
            backend=backend,
            chunk=chunk,
            client=client,
            memory_gb=memory,
        )
    samples = open_samples(output)
    result = {"store": str(output), "sizes": dict(samples.sizes), "attributes": samples.attrs}
    sizes = " x ".join(f"{n:,} {name}s" for name, n in samples.sizes.items())
    report(as_json, result, f"{output}: {sizes} of the {network.upper()}, seed {seed}")


def rows_of(path: Path, target: str | None, model: Path) -> np.ndarray:
    """Read inputs in the order of the model; what is left out or moved, a warning says.

    The columns of a table are found by their names where the model has names, and are taken in
    their order where it has none. An array has no names, and no target to leave out.
    """
    from spikedrop.checks.columns import check_spread, few, order_of
    from spikedrop.files import open_columns, read_rows
    from spikedrop.network.named import read_columns

    if path.suffix.lower() not in TABLES:
        return read_rows(path)
    known = read_columns(model)
    inputs = () if known is None else known.inputs
    table = open_columns(path, () if target is None else (target,), inputs)
    names = [name for name in table.names if name != target]
    if known is None:
        say(f"{model} does not name its inputs: the columns of {path} are taken in their order")
    else:
        if known.target in names and known.target not in inputs:
            names.remove(known.target)
            say(f"{path}: column {few([known.target])} is the target of {model}; it is left out")
        order = order_of(names, inputs, str(path), str(model))
        if order != sorted(order):
            say(f"{path}: columns are put into the order of {model}, by their names")
        names = [names[i] for i in order]
    if not names:
        raise InputError(f"{path}: has no column but {target!r}, so that there are no inputs.")
    x = table.read(names)
    check_spread(x, names, str(path), steps=1)
    return x


def say(text: str) -> None:
    """Warn of what was decided for the user."""
    warnings.warn(text, InputWarning, stacklevel=2)


def fits(network: Network, model: Path, x: np.ndarray, inputs: Path) -> None:
    """Refuse rows of another width, with the names of both files."""
    shapes = [(network.n_inputs,), *(layer.shape for layer in network.inputs[:1])]
    if x.shape[1:] not in shapes:
        raise InputError(
            f"{inputs}: rows have shape {x.shape[1:]}, and {model} takes {network.n_inputs} "
            "inputs; leave a column out with --target NAME, or give what the model learnt from."
        )
