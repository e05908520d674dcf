"""Figures of chapter 8: parts of the variance, regret, agreement, refusal, unfamiliar rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from spikedrop.plots import COLOURS, axes
from spikedrop.scores import predictive_moments

PART_COLOURS = {
    "mask": COLOURS["ann"],
    "spikes": COLOURS["wrong"],
    "covariance": COLOURS["other"],
    "charge": COLOURS["snn"],
}
POLICY_LINES = {"greedy": ":", "optimistic": "--", "thompson": "-"}


def variance_bars(table: pd.DataFrame, ax: Axes | None = None, *, title: str = "") -> Axes:
    """Stacked shares of the variance, a bar a number of steps; negative parts go below zero.

    `table` is from `variance_table`.
    """
    ax = axes(ax)
    above, below = np.zeros(len(table)), np.zeros(len(table))
    labels = [str(steps) for steps in table.index]
    for part, colour in PART_COLOURS.items():
        share = table[part].to_numpy()
        ax.bar(labels, share, bottom=np.where(share >= 0, above, below), color=colour, label=part)
        above, below = above + np.maximum(share, 0), below + np.minimum(share, 0)
    ax.axhline(0, color="black", lw=0.8)
    ax.set(xlabel="time steps of a presentation", ylabel="share of the variance", title=title)
    return ax


def variance_fall(tables: Mapping[str, pd.DataFrame], ax: Axes | None = None) -> Axes:
    """Spread over initial charges and mean error against steps, with the slope -1 beside them.

    `tables` maps the name of a neuron to what `variance_table` gave for it.
    """
    ax = axes(ax)
    colours = (COLOURS["snn"], COLOURS["wrong"], COLOURS["other"])
    for (name, table), colour in zip(tables.items(), colours, strict=False):
        ax.plot(table.index, table["charge sd"], "o-", color=colour, label=f"{name}: charge")
        ax.plot(table.index, table["bias"], "s:", color=colour, mfc="white", label=f"{name}: bias")
    first = next(iter(tables.values()))
    line = first["charge sd"].iloc[0] * first.index[0] / first.index.to_numpy(float)
    ax.plot(first.index, line, color=COLOURS["floor"], lw=1, label="as 1/T")
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="time steps of a presentation",
        ylabel="root mean square (predictive sd)",
    )
    ax.set_xticks(first.index, [str(steps) for steps in first.index])
    ax.minorticks_off()
    ax.legend(fontsize="x-small", loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return ax


def _policy_style(name: str) -> dict[str, object]:
    if name == "random":
        return {"color": COLOURS["floor"], "ls": "-"}
    network, policy = name.split(", ")
    style = {"color": COLOURS[network.lower()], "ls": POLICY_LINES[policy], "lw": 1.6}
    return style if network == "SNN" else {**style, "lw": 5, "alpha": 0.4}  # seen below the SNN


def choice_map(
    samples: np.ndarray, choices: Mapping[str, np.ndarray], ax: Axes | None = None
) -> Axes:
    """Predictive mean and sd of every candidate, and which each policy chooses.

    `samples` has axes (draw, candidate), growth fractions; `choices` maps the name of a policy to
    positions, axis (batch,).
    """
    ax = axes(ax)
    mean, sd = predictive_moments(samples)
    ax.scatter(mean, sd, s=10, color=COLOURS["floor"], lw=0, label="candidate")
    marks = zip(("o", "s", "x"), ("ann", "wrong", "truth"), (110, 55, 40), strict=True)
    for (name, chosen), (mark, colour, size) in zip(choices.items(), marks, strict=False):
        face = {"facecolors": "none"} if mark != "x" else {}
        edge = {"edgecolors": COLOURS[colour]} if mark != "x" else {"color": COLOURS[colour]}
        ax.scatter(
            mean[chosen], sd[chosen], s=size, marker=mark, lw=1.5, label=name, **face, **edge
        )
    ax.set(
        xlabel="predictive mean of the pair (growth fraction)",
        ylabel="predictive sd of the pair (growth fraction)",
    )
    ax.legend(fontsize="small")
    return ax


def regret_lines(table: pd.DataFrame, ax: Axes | None = None, *, title: str = "") -> Axes:
    """Regret against the number of candidates chosen, a line a column of `table`.

    Columns are named as those of `regret_table`, the index is the number chosen.
    """
    ax = axes(ax)
    for name in table:
        ax.plot(table.index, table[name], label=name, **_policy_style(name))
    ax.set(
        xlabel="pairs chosen",
        ylabel="regret (growth fraction)",
        title=title,
        ylim=(0, None),
    )
    ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def agreement_bars(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Agreement of two batches, a group of bars a policy; `table` is from `agreement_table`."""
    ax = axes(ax)
    known = {"ANN, other masks": COLOURS["ann"], "chance": COLOURS["floor"]}
    spare = iter((COLOURS["snn"], COLOURS["truth"], COLOURS["wrong"], COLOURS["other"]))
    width = 0.8 / len(table)
    place = np.arange(table.shape[1])
    for i, (name, row) in enumerate(table.iterrows()):
        colour = known.get(name) or next(spare)
        at = place + (i - (len(table) - 1) / 2) * width
        ax.bar(at, row.to_numpy(float), width, color=colour, label=name)
    ax.set_xticks(place, list(table.columns))
    ax.set(ylim=(0, 1.02), ylabel="share of the batch chosen by both")
    ax.figure.legend(fontsize="small", loc="outside upper center", ncols=2)
    return ax


def spread_of_unfamiliar(
    familiar: xr.DataArray, unfamiliar: xr.DataArray, ax: Axes | None = None, *, title: str = ""
) -> Axes:
    """Distribution of the predictive sd over familiar and over unfamiliar rows.

    Both with axes (draw, observation, 1), growth fractions.
    """
    ax = axes(ax)
    parts = {"familiar": (familiar, COLOURS["truth"]), "unfamiliar": (unfamiliar, COLOURS["wrong"])}
    for name, (samples, colour) in parts.items():
        sd = np.sort(predictive_moments(samples)[1])
        ax.step(sd, np.arange(1, len(sd) + 1) / len(sd), where="post", color=colour, label=name)
    ax.set(
        xlabel="predictive sd (growth fraction)",
        ylabel="share of rows below",
        title=title,
        ylim=(0, 1),
    )
    ax.legend(fontsize="small", loc="lower right")
    return ax
