"""Time steps, firing rate and number of draws that make the most of a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from spikedrop.checks.accepted import Inputs
from spikedrop.checks.arguments import seed_of, whole_number, yes_or_no
from spikedrop.conversion import calibrate
from spikedrop.energy import count_operations
from spikedrop.energy.planning.costs import DEVICE, Unit, check_unit, cost_of
from spikedrop.energy.planning.pilot import (
    COUNTED_DRAWS,
    check_pilot,
    run_pilot,
    scope_of,
    settings_of,
)
from spikedrop.energy.planning.quantities import FEWEST_DRAWS, Quantity, check_quantity
from spikedrop.energy.planning.tradeoff import Tradeoff, check_budget, too_small, trade_off
from spikedrop.network.graph import Network
from spikedrop.network.inputs import check_network

DEFAULT = (200, 500.0)  # time steps and firing rate of `sample_snn` and `calibrate`
CURVE = np.geomspace(1 / 32, 32, 21)  # budgets of the curve, in budgets


@dataclass(frozen=True, eq=False)
class Plan:
    """How to spend a budget on one prediction.

    Attributes
    ----------
    steps : int
        Time steps of a presentation, `sample_snn`'s argument.
    rate_hz : float
        Firing rate, `calibrate`'s argument.
    draws : int
        Number of draws.
    error : float
        Expected root mean squared error of the quantity, in predictive sd of the ANN.
    conversion_error, sampling_error : float
        Its two parts; their squares add up to the square of the error.
    cost : tuple of float
        Lower and upper end over the published constants, in the unit of the budget; equal where
        the unit has none. The upper end keeps to the budget.
    budget, unit, device, quantity : as they were asked for
    curve : pandas.DataFrame
        One row per budget, from a thirty-second to 32 times the one asked for as far as one draw
        can be paid: ``budget``; the best ``error``, its parts ``conversion`` and ``sampling``, and
        its ``steps``, ``rate (Hz)`` and ``draws``; and ``default error``, that of 200 steps at
        500 Hz with as many draws as the budget pays (NaN where it pays too few, or the pilot did
        not look there).
    """

    steps: int
    rate_hz: float
    draws: int
    error: float
    conversion_error: float
    sampling_error: float
    cost: tuple[float, float]
    budget: float
    unit: Unit
    device: str
    quantity: Quantity
    curve: pd.DataFrame

    def row(self) -> dict[str, Any]:
        """Return setting, quantity and expected error, a row for `measured_errors`."""
        return {
            "quantity": self.quantity,
            "steps": self.steps,
            "rate (Hz)": self.rate_hz,
            "draws": self.draws,
            "expected": self.error,
        }

    def __str__(self) -> str:
        """One line to print."""
        low, high = self.cost
        cost = f"{high:.3g}" if low == high else f"{low:.2g} to {high:.2g}"
        return (
            f"{self.draws} draws of {self.steps} steps at {self.rate_hz:.0f} Hz: error of the "
            f"{self.quantity} {self.error:.3f} sd (conversion {self.conversion_error:.3f}, sampling"
            f" {self.sampling_error:.3f}), {cost} of {self.budget:.3g} {self.unit}"
        )


def plan_budget(
    network: Network,
    x_train: Inputs,
    x: Inputs,
    *,
    budget: float,
    unit: Unit = "joules",
    device: str = DEVICE,
    quantity: Quantity = "mean",
    y: np.ndarray | None = None,
    seconds_per_step: float | None = None,
    seed: int,
    neuron: str = "charge_keeping",
    steps: Sequence[int] | None = None,
    rates_hz: Sequence[float] | None = None,
    pilot_draws: int = 64,
    ann_draws: int = 4096,
    progress: bool | None = None,
) -> Plan:
    r"""Choose steps T, firing rate r and draws S that state a quantity best for a budget.

    A pilot measures both errors and the cost at a few settings; then, for each of many settings
    (T, r) between them, S is what the budget pays, and the setting with the least expected error
    is taken:

    .. math::

        \min_{T,\,r} \; B^2(T, r) + \rho(T, r)\,A(S), \qquad
        S = \lfloor (C - c_0(T, r)) / c(T, r) \rfloor

    See `spikedrop.energy.planning.tradeoff` for the terms. The error of quantity Q is

    .. math:: E = \sqrt{\operatorname{mean}_i\,
        \mathbb E\,(\hat Q_i - Q_i)^2 / \sigma_i^2}

    over cases i (outputs of observations), with :math:`Q_i` of infinitely many draws of the ANN,
    :math:`\hat Q_i` of S draws of the SNN, and :math:`\sigma_i` the ANN's predictive sd. For the
    interval, also over its two ends; for the CRPS, :math:`Q_i` is the score of case i, in the unit
    of the output. See `spikedrop.energy.planning.quantities.value` for the four.

    Parameters
    ----------
    network : Network
        With dropout.
    x_train : array
        Rows that set the firing-rate scales, as for `calibrate`.
    x : array
        Inputs like those to be predicted, as for `sample_ann`. The plan is good for them on
        average, and errors differ more from input to input than from mask to mask: give about a
        hundred.
    budget : float
        For one prediction, which is all draws of one input.
    unit : {"joules", "seconds", "operations"}
        Of the budget. Joules are planned with the dearest of the device's published constants, so
        that none of them breaks the budget; for operations and seconds see
        `spikedrop.energy.planning.costs.cost_of`.
    device : str
        For joules, see `spikedrop.energy.joules.energy`.
    quantity : {"mean", "sd", "interval", "crps"}
    y : numpy.ndarray, optional
        What was observed, axes (observation[, output]); for the CRPS.
    seconds_per_step : float, optional
        For seconds: the time a chip takes for a time step, draw after draw. Without, the time of a
        draw on this machine's engine is measured, and the plan depends on the machine.
    seed : int
        Of the pilot's masks; the same seed gives the same plan, but for measured seconds.
    neuron, steps, rates_hz : see `spikedrop.energy.planning.pilot.run_pilot`
        The settings that the pilot measures, and the plan stays between; a plan at their edge asks
        for others. By default up to 1000 Hz:
        at steps of 1 ms a faster neuron would fire more than once a step, which few chips can.
    pilot_draws, ann_draws : int
        Draws of the pilot, of the SNN at every setting and of the ANN.
    progress : see `sample_ann`

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        If a budget is not positive and finite, or too small for the fewest draws of the quantity;
        if a name is unknown, `y` is missing for the CRPS, or the pilot cannot be run.

    Examples
    --------
    >>> from spikedrop.network.graph import Layer
    >>> rng = np.random.default_rng(0)
    >>> def layer(name, n, k, p):
    ...     weights = rng.normal(0, (2 / n) ** 0.5, (n, k)).astype("float32")
    ...     return Layer(name, weights, np.zeros(k, "float32"), p)
    >>> network = Network.chain((layer("a", 3, 20, 0.2), layer("b", 20, 20, 0.2)), layer("y", 20,
    ...     1, 0))
    >>> x = rng.normal(size=(20, 3))
    >>> small = {"steps": (10, 40, 160), "rates_hz": (250, 1000), "ann_draws": 512}
    >>> plan = plan_budget(network, x, x, budget=1e5, unit="operations", seed=0, **small)
    >>> plan.conversion_error < plan.sampling_error < plan.error, plan.cost[1] <= 1e5
    (True, True)
    >>> plan_budget(network, x, x, budget=3, unit="operations", seed=0, **small)
    Traceback (most recent call last):
    spikedrop.errors.InputError: budget=3 operations is too small for one draw: ...
    """
    check_network(network)
    seed = seed_of(seed)
    pilot_draws = whole_number("pilot_draws", pilot_draws, least=16)
    ann_draws = whole_number("ann_draws", ann_draws, least=pilot_draws)
    if progress is not None:
        yes_or_no("progress", progress)
    check_budget(budget)
    check_quantity(quantity, y)
    check_unit(unit, device, seconds_per_step)
    check_pilot(network, x, y, pilot_draws, ann_draws)
    steps, rates_hz = settings_of(neuron, steps, rates_hz)
    if unit != "seconds" or seconds_per_step is not None:  # known before any pilot
        conversion = calibrate(network, x_train, rate_hz=rates_hz[0], neuron=neuron)
        cheapest = count_operations(
            network,
            conversion,
            x,
            draws=COUNTED_DRAWS,
            seed=seed,
            steps=steps[0],
            scope=scope_of(network),
        )
        (_, once), (_, draw) = cost_of(
            cheapest,
            unit,
            device,
            steps=steps[0],
            windowed=conversion.windowed,
            seconds=None,
            seconds_per_step=seconds_per_step,
        )
        fewest = FEWEST_DRAWS[quantity]
        if budget < once + fewest * draw:
            raise too_small(budget, unit, once + fewest * draw, fewest, quantity)
    pilot = run_pilot(
        network,
        x_train,
        x,
        y=y,
        seed=seed,
        neuron=neuron,
        steps=steps,
        rates_hz=rates_hz,
        draws=pilot_draws,
        ann_draws=ann_draws,
        progress=progress,
    )
    found = trade_off(
        pilot, quantity=quantity, unit=unit, device=device, seconds_per_step=seconds_per_step
    )
    return plan_from(found, budget)


def plan_from(found: Tradeoff, budget: float) -> Plan:
    """Plan a budget from what is known already.

    Parameters
    ----------
    found : Tradeoff
        From `spikedrop.energy.planning.trade_off`.
    budget : float
        For one prediction, in the unit of `found`.

    Returns
    -------
    Plan
        The setting with the least expected error that the budget pays.

    Raises
    ------
    InputError
        If the budget is not positive and finite, or too small for the fewest draws of the quantity.

    Examples
    --------
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.energy.planning.pilot import run_pilot
    >>> from spikedrop.energy.planning.tradeoff import trade_off
    >>> small = {"steps": (10, 40), "rates_hz": (250,), "draws": 16, "ann_draws": 64}
    >>> pilot = run_pilot(network, [[1.0]], [[1.0], [2.0]], seed=0, **small)
    >>> plan = plan_from(trade_off(pilot, unit="operations"), 1e4)
    >>> plan.rate_hz, plan.cost[1] <= 1e4
    (250.0, True)
    """
    best = found.best(budget)
    return Plan(
        steps=int(best["steps"]),
        rate_hz=float(best["rate (Hz)"]),
        draws=int(best["draws"]),
        error=float(best["error"]),
        conversion_error=float(best["conversion"]),
        sampling_error=float(best["sampling"]),
        cost=(float(best["cost, low"]), float(best["cost"])),
        budget=budget,
        unit=found.unit,
        device=found.device,
        quantity=found.quantity,
        curve=curve_of(found, budget * CURVE),
    )


def curve_of(found: Tradeoff, budgets: Sequence[float] | np.ndarray) -> pd.DataFrame:
    """Return the curve of `Plan`, for the budgets that pay at least the fewest draws."""
    columns = ["error", "conversion", "sampling", "steps", "rate (Hz)", "draws"]
    looked = all(
        known[0] <= value <= known[-1]
        for known, value in zip((found.steps, found.rates_hz), DEFAULT, strict=True)
    )
    rows = []
    for budget in budgets:
        if budget < found.smallest_budget:
            continue
        row = {"budget": budget} | found.best(budget)[columns].to_dict()
        usual = found.spend(budget, DEFAULT[:1], DEFAULT[1:]) if looked else pd.DataFrame()
        row["default error"] = float(usual["error"].iloc[0]) if len(usual) else np.nan
        rows.append(row)
    return pd.DataFrame(rows).astype({"steps": int, "draws": int})
