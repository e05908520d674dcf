"""Figures of the energy chapter: joules, operations, and what an error costs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from spikedrop.plots import COLOURS, axes, style

if TYPE_CHECKING:
    from spikedrop.energy import Operations
    from spikedrop.energy.planning import Plan

PARTS = {"error": ("-", "best setting"), "conversion": ("--", "its conversion part"),
         "sampling": (":", "its sampling part")}  # fmt: skip
DEFAULT = "200 steps, 500 Hz"

__all__ = ["joule_intervals", "operations_by_layer"]


def joule_intervals(
    table: pd.DataFrame, ax: Axes | None = None, *, xlabel: str = "joules of one prediction"
) -> Axes:
    """Intervals of joules on a logarithmic axis, one line per row.

    Each kind of network has a colour: artificial, spiking (rate codes), quantised, bit-serial. An
    interval whose ends are equal is a dot.

    Parameters
    ----------
    table : pandas.DataFrame
        From `spikedrop.energy.energy_table`: columns ``network``, ``kind``, ``device``, ``low`` and
        ``high`` (joules).
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.
    xlabel : str, default "joules of one prediction"
        Label of the x axis.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> row = {"network": "net", "kind": "SNN", "device": "loihi", "low": 1e-6, "high": 3e-6}
    >>> ax = joule_intervals(pd.DataFrame([row]), Figure().subplots())
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['net, loihi']
    """
    if ax is None:
        style()
        ax = plt.subplots(figsize=(7.5, 1.2 + 0.3 * len(table)))[1]
    labels = []
    for i, row in enumerate(table.itertuples()):
        colour = COLOURS[row.kind.lower()]
        ax.plot([row.low, row.high], [i, i], color=colour, lw=5, solid_capstyle="butt", alpha=0.6)
        ax.plot([row.low, row.high], [i, i], "|", color=colour, ms=9, mew=2)
        if row.low == row.high:
            ax.plot(row.low, i, "o", color=colour, ms=6)
        labels.append(f"{row.network}, {row.device}")
    ax.set_yticks(range(len(labels)), labels)
    ax.tick_params(axis="y", labelsize="small")
    ax.set(xscale="log", xlabel=xlabel, ylim=(len(labels) - 0.4, -0.6))
    ax.grid(axis="x", color=COLOURS["floor"], alpha=0.3)
    for kind in dict.fromkeys(table["kind"]):
        ax.plot([], [], color=COLOURS[kind.lower()], lw=5, alpha=0.6, label=kind)
    ax.figure.legend(fontsize="small", loc="outside upper center", ncols=4)
    return ax


def operations_by_layer(works: Mapping[str, Operations], ax: Axes | None = None) -> Axes:
    """Operations of one draw that shares nothing, one group of bars per layer; logarithmic axis.

    Synaptic operations, in an artificial network multiply-accumulates, at the layer that does them.
    A layer of a spiking network that receives the constant input has multiply-accumulates as well.
    Layers without operations are left out.

    Parameters
    ----------
    works : mapping
        Name to `spikedrop.energy.Operations`, of networks with the same layers.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from spikedrop.energy import Counts, Operations
    >>> layers = pd.DataFrame({"synaptic": [0.0, 50.0], "macs": [20.0, 0.0]}, index=["h", "y"])
    >>> work = Operations(Counts(), Counts(), layers)
    >>> ax = operations_by_layer({"net": work}, Figure().subplots())
    >>> [float(bar.get_height()) for bar in ax.patches]
    [20.0, 50.0]
    """
    ax = axes(ax)
    rates = cycle(COLOURS[role] for role in ("snn", "other", "truth", "wrong", "floor"))
    used = sum(w.layers["synaptic"] + w.layers["macs"] for w in works.values()) > 0
    layers = list(used.index[used])
    width = 0.8 / len(works)
    for i, (name, work) in enumerate(works.items()):
        number = work.layers["synaptic"] + work.layers["macs"]
        colour = next(rates) if work.kind == "SNN" else COLOURS[work.kind.lower()]
        at = np.arange(len(layers)) + (i - (len(works) - 1) / 2) * width
        ax.bar(at, number[used], width, color=colour, label=name)
    ax.set_xticks(range(len(layers)), layers)
    ax.set(yscale="log", xlabel="layer that does the work", ylabel="operations of one draw")
    ax.figure.legend(fontsize="small", loc="outside upper center", ncols=3)
    return ax


def budget_curve(plan: Plan, ax: Axes | None = None) -> Axes:
    """Least error against the budget, its two parts, the default setting, and the plan.

    `plan` is what `spikedrop.energy.planning.plan_budget` returns.
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
