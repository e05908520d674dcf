"""What a prediction costs at each setting of a pilot, in the unit of the budget."""

from __future__ import annotations

from typing import Literal

import numpy as np

from spikedrop.checks.arguments import one_of, real_number
from spikedrop.energy import Counts, Operations, devices, energy
from spikedrop.energy.planning.pilot import Pilot
from spikedrop.errors import InputError
from spikedrop.neurons import neuron_of

Unit = Literal["joules", "seconds", "operations"]
UNITS: tuple[Unit, ...] = ("joules", "seconds", "operations")
DEVICE = "loihi"


def check_unit(unit: str, device: str, seconds_per_step: float | None) -> None:
    """Refuse an unknown unit or device, and a step time that is none."""
    one_of("unit", unit, UNITS)
    one_of("device", device, devices())
    if unit == "joules":
        energy(Counts(synaptic=1.0), device)  # raises where spikes have no price
    if seconds_per_step is None:
        return
    if unit != "seconds":
        raise InputError(f"seconds_per_step goes with unit='seconds', not {unit!r}: leave it out.")
    real_number("seconds_per_step", seconds_per_step, above=0)


def cost_of(
    operations: Operations,
    unit: Unit,
    device: str,
    *,
    steps: int,
    windowed: bool,
    seconds: float | None,
    seconds_per_step: float | None,
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Cost of what all draws share, and of each draw, each as lower and upper end.

    ``joules``
        Of the device's published constants, the cheapest and the dearest.
    ``operations``
        Synaptic operations, neuron updates, mask bits and multiply-accumulates, all counted as
        one each; the ends are equal.
    ``seconds``
        `seconds` per draw as measured; or with `seconds_per_step` the `steps` of a presentation,
        draw after draw. Layers that integrate first work on different draws at one time, and the
        first draw waits for as many windows as the network is deep.
    """
    if unit == "joules":
        one, two = (np.array(energy(operations, device, draws)) for draws in (1, 2))
        return tuple(2 * one - two), tuple(two - one)  # linear in the draws
    if unit == "operations":
        once, draw = (
            float(counts.synaptic + counts.updates + counts.mask_bits + counts.macs)
            for counts in (operations.once, operations.draw)
        )
    elif seconds_per_step is None:
        assert seconds is not None  # one of the two is given
        once, draw = 0.0, float(seconds)
    else:
        draw = steps * seconds_per_step
        once = float((operations.layers["neurons"] > 0).sum() * draw) if windowed else 0.0
    return (once, once), (draw, draw)


def cost_tables(
    pilot: Pilot, unit: Unit, device: str = DEVICE, seconds_per_step: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return `cost_of` for every setting of a pilot, shared and of each draw.

    Axes (end, steps, rate): lower and upper end first.
    """
    cells = [
        cost_of(
            pilot.operations[t, rate],
            unit,
            device,
            steps=t,
            windowed=neuron_of(pilot.neuron).windowed,
            seconds=pilot.seconds[t, rate],
            seconds_per_step=seconds_per_step,
        )
        for t, rate in pilot.settings
    ]
    shape = (len(pilot.steps), len(pilot.rates_hz), 2, 2)  # then shared or not, and end
    once, draw = np.array(cells).reshape(shape).transpose(2, 3, 0, 1)
    return once, draw
