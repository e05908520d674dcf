"""Figures of the budget: what an error costs, and how it splits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from spikedrop.plots import COLOURS, axes

if TYPE_CHECKING:
    from spikedrop.energy.planning import Plan

__all__ = ["budget_curve", "equal_cost"]

PARTS = {"error": ("-", "best setting"), "conversion": ("--", "its conversion part"),
         "sampling": (":", "its sampling part")}  # fmt: skip
DEFAULT = "200 steps, 500 Hz"


def budget_curve(plan: Plan, ax: Axes | None = None) -> Axes:
    """Least error against the budget, its two parts, the default setting, and the plan.

    `plan` is what `spikedrop.energy.planning.plan_budget` returns.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from types import SimpleNamespace
    >>> curve = pd.DataFrame({"budget": [1e3, 1e4], "error": [0.5, 0.2], "conversion": [0.3, 0.1]})
    >>> curve = curve.assign(sampling=[0.4, 0.17], **{"default error": [np.nan, 0.4]})
    >>> facts = {"draws": 20, "steps": 50, "rate_hz": 500.0, "budget": 1e4, "error": 0.2}
    >>> plan = SimpleNamespace(curve=curve, unit="operations", quantity="mean", **facts)
    >>> budget_curve(plan, Figure().subplots()).get_xlabel()
    'budget of one prediction (operations)'
    """
    ax, curve = axes(ax), plan.curve
    for column, (dash, label) in PARTS.items():
        width = 2 if column == "error" else 1.2
        ax.plot(curve["budget"], curve[column], dash, color=COLOURS["snn"], lw=width, label=label)
    usual = curve.dropna(subset="default error")
    if len(usual):
        ax.plot(
            usual["budget"], usual["default error"], "-", color=COLOURS["floor"], lw=2,
            label=DEFAULT,
        )  # fmt: skip
        here = (usual["budget"] / plan.budget - 1).abs()
        if here.min() < 1e-6:
            row = usual.loc[here.idxmin()]
            ax.plot(row["budget"], row["default error"], "s", color=COLOURS["floor"], ms=7)
    label = f"plan: {plan.draws} draws of {plan.steps} steps, {plan.rate_hz:.0f} Hz"
    ax.plot(plan.budget, plan.error, "o", color=COLOURS["snn"], ms=8, label=label)
    ax.set(
        xscale="log",
        yscale="log",
        xlabel=f"budget of one prediction ({plan.unit})",
        ylabel=f"error of the {plan.quantity}\n(predictive sd)",
    )
    ax.set_ylim(bottom=curve["conversion"].min() / 12)  # room for the legend
    ax.legend(fontsize="small", loc="lower left")
    return ax


def equal_cost(cells: pd.DataFrame, ax: Axes | None = None, *, title: str = "") -> Axes:
    """Error and its parts against time steps, at one firing rate and one cost.

    `cells` is what `spikedrop.energy.planning.Tradeoff.spend` returns for one rate.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> cells = pd.DataFrame({"steps": [8, 16], "conversion": [0.4, 0.1], "sampling": [0.1, 0.2]})
    >>> ax = equal_cost(cells.assign(error=[0.41, 0.22]), Figure().subplots())
    >>> ax.lines[-1].get_xdata().tolist()  # a dot at the setting with the least error
    [16.0]
    """
    ax, cells = axes(ax), cells.sort_values("steps")
    for column, colour in (("error", "snn"), ("conversion", "wrong"), ("sampling", "ann")):
        dash = "-" if column == "error" else "--"
        ax.plot(cells["steps"], cells[column], dash, color=COLOURS[colour], label=column)
    best = cells.loc[cells["error"].idxmin()]
    ax.plot(best["steps"], best["error"], "o", color=COLOURS["snn"], ms=8)
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="time steps of a presentation",
        ylabel="error (predictive sd)",
        title=title,
    )
    ticks = 2 ** np.arange(1, 12)
    ticks = ticks[(ticks >= cells["steps"].min()) & (ticks <= cells["steps"].max())]
    ax.set_xticks(ticks, ticks)
    ax.set_xticks([], minor=True)
    ax.legend(fontsize="small")
    return ax
