"""Figures of the energy chapter: intervals of joules, and operations layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from spikedrop.plots import COLOURS, axes, style

if TYPE_CHECKING:
    from spikedrop.energy import Operations

__all__ = ["joule_intervals", "operations_by_layer"]


def joule_intervals(
    table: pd.DataFrame, ax: Axes | None = None, *, xlabel: str = "joules of one prediction"
) -> Axes:
    """Intervals of joules on a logarithmic axis, one line per row, from `energy_table`.

    Each kind of network has a colour: artificial, spiking (rate codes), quantised, bit-serial. An
    interval of one number is a dot.

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
    """Operations of one draw that shares nothing, a group of bars a layer, on a logarithmic axis.

    Synaptic operations, of an artificial network multiply-accumulates, where they are done; a layer
    of a spiking network that receives the constant input has multiply-accumulates as well.

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
    rates = iter(COLOURS[role] for role in ("snn", "other", "truth", "wrong", "floor"))
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
