"""`spikedrop energy`: operations and joules of a predictive distribution."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikedrop.checks.arguments import real_number
from spikedrop.cli.app import MOST, Json, Seed, Target, report
from spikedrop.cli.sampling import (
    CALIBRATION_ROWS,
    Inputs,
    ModelFile,
    Percentile,
    Readout,
    fits,
    rows_of,
)


def energy(
    model: ModelFile,
    inputs: Inputs,
    draws: Annotated[int, typer.Option(min=1, max=MOST, help="Draws of one prediction.")] = 100,
    steps: Annotated[
        int, typer.Option(min=1, max=MOST, help="Time steps of 1 ms per presentation.")
    ] = 200,
    rate: Annotated[float, typer.Option(help="Hz of a neuron near the top of its range.")] = 500.0,
    calibrate: Annotated[
        Path | None, typer.Option(help="Rows that set the firing-rate scales; by default INPUTS.")
    ] = None,
    percentile: Percentile = None,
    readout: Readout = "mean",
    target: Target = None,
    measured: Annotated[int, typer.Option(min=1, max=MOST, help="Draws that are counted.")] = 4,
    observations: Annotated[
        int, typer.Option(min=1, max=MOST, help="Rows that are counted, at most.")
    ] = 200,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Tabulate the joules of one prediction, of the model as it is and on spikes, by device.

    Operations are counted in a simulation of the first rows; joules are intervals over published
    prices of an operation.

    Example: spikedrop energy model.keras rows.parquet --draws 100 --steps 50
    """
    from spikedrop.network.keras_file import read_model

    real_number("--rate", rate, above=0)
    x = rows_of(inputs, target, model)
    scaling = x if calibrate is None else rows_of(calibrate, target, model)
    network = read_model(model)
    fits(network, model, x, inputs)
    fits(network, model, scaling, calibrate or inputs)
    from spikedrop.conversion import calibrate as scales_of
    from spikedrop.energy import count_ann_operations, count_operations, energy_table

    conversion = scales_of(
        network, scaling[:CALIBRATION_ROWS], rate_hz=rate, percentile=percentile, readout=readout
    )
    shown, counted = x[:observations], {"draws": min(measured, draws), "seed": seed}
    works = {
        "ANN": count_ann_operations(network, shown, **counted),
        "SNN": count_operations(network, conversion, shown, steps=steps, **counted),
    }
    table = energy_table(works, draws)
    result = {
        "draws": draws,
        "steps": steps,
        "observations": len(shown),
        "spikes_per_presentation": works["SNN"].alone.spikes,
        "joules": table.to_dict("records"),
    }
    shortest = table.to_string(index=False, float_format="{:.3g}".format)
    text = (
        f"joules of one prediction of {draws} draws; SNN: {steps} steps, "
        f"{works['SNN'].alone.spikes:,.0f} spikes per presentation\n{shortest}"
    )
    report(as_json, result, text)
