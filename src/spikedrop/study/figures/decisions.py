"""Figures of chapter 8: parts of the variance, choices, agreement, searches, unfamiliar rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spikedrop.plots import COLOURS, axes, style
from spikedrop.scores import predictive_moments
from spikedrop.study.repetitions import below

__all__ = [
    "agreement_dots",
    "choice_map",
    "difference_dots",
    "search_lines",
    "spread_of_unfamiliar",
    "variance_bars",
    "variance_fall",
]

PART_COLOURS = {
    "mask": COLOURS["ann"],
    "spikes": COLOURS["wrong"],
    "covariance": COLOURS["other"],
    "charge": COLOURS["snn"],
}


def variance_bars(table: pd.DataFrame, ax: Axes | None = None, *, title: str = "") -> Axes:
    """Stacked shares of the variance, one bar per number of steps; negative parts go below zero.

    Parameters
    ----------
    table : pandas.DataFrame
        From `spikedrop.study.variance.variance_table`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.
    title : str, default ""
        Title of the axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({part: [0.25] for part in PART_COLOURS}, index=[50])
    >>> ax = variance_bars(table, Figure().subplots())
    >>> len(ax.patches) == len(PART_COLOURS), float(ax.patches[0].get_height())
    (True, 0.25)
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
    """Spread over initial charges and mean error against steps, beside a line of slope -1.

    The line starts at the first spread of the first neuron.

    Parameters
    ----------
    tables : mapping
        Name of a neuron to the table of `spikedrop.study.variance.variance_table` for it, up to
        three.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"charge sd": [0.2, 0.1], "bias": [0.1, 0.05]}, index=[50, 100])
    >>> ax = variance_fall({"keeps charge": table}, Figure().subplots())
    >>> ax.lines[-1].get_ydata().tolist()  # as 1/T: twice the steps, half the spread
    [0.2, 0.1]
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


def choice_map(
    samples: np.ndarray, choices: Mapping[str, np.ndarray], ax: Axes | None = None
) -> Axes:
    """Predictive mean and sd of every candidate, and which of them each policy chooses.

    Parameters
    ----------
    samples : array
        Synergy scores (growth fraction), axes (draw, candidate[, 1]).
    choices : mapping
        Name of a policy to positions of candidates, axis (batch,); up to four.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> samples = np.array([[0.0, 1.0, 2.0], [0.2, 1.4, 2.0]])
    >>> ax = choice_map(samples, {"greedy": np.array([2])}, Figure().subplots())
    >>> ax.collections[1].get_offsets().round(6).tolist()  # mean 2 and sd 0 of candidate 2
    [[2.0, 0.0]]
    """
    ax = axes(ax)
    mean, sd = predictive_moments(samples)
    ax.scatter(mean, sd, s=10, color=COLOURS["floor"], lw=0, label="candidate")
    marks = zip("osxD", ("ann", "wrong", "truth", "snn"), (110, 55, 40, 190), strict=True)
    for (name, chosen), (mark, colour, size) in zip(choices.items(), marks, strict=False):
        face: dict[str, Any] = {"facecolors": "none"} if mark != "x" else {}
        edge: dict[str, Any] = (
            {"edgecolors": COLOURS[colour]} if mark != "x" else {"color": COLOURS[colour]}
        )
        ax.scatter(
            mean[chosen], sd[chosen], s=size, marker=mark, lw=1.5, label=name, **face, **edge
        )
    ax.set(
        xlabel="predictive mean of the pair (synergy score, growth fraction)",
        ylabel="predictive sd of the pair (growth fraction)",
    )
    ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def agreement_dots(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Agreement of samplers with the reference, mean and 2 standard errors, one panel per policy.

    What is more than 2 standard errors below the reference is filled.

    Parameters
    ----------
    tables : mapping
        Name of a policy to the table of `spikedrop.study.repetitions.against` for it, with the same
        rows in each, in the order in which they are drawn, top down.

    Returns
    -------
    matplotlib.figure.Figure
        A new figure.

    Examples
    --------
    >>> from spikedrop.study.repetitions import against
    >>> values = pd.DataFrame({"SNN": [0.9, 0.8, 1.0], "chance": [0.1, 0.2, 0.1]})
    >>> figure = agreement_dots({"greedy": against(values, "SNN")})
    >>> figure.axes[0].get_title()
    'greedy'
    >>> plt.close(figure)
    """
    style()
    figure, panels = plt.subplots(1, len(tables), figsize=(2.9 * len(tables), 3.6), sharey=True)
    for ax, (policy, table) in zip(np.atleast_1d(panels), tables.items(), strict=True):
        lower = below(table)
        for place, (name, row) in enumerate(table.iterrows()):
            known = {"SNN": "snn", "ANN, other masks": "ann", "chance": "floor"}
            colour = COLOURS[known.get(name, "wrong")]
            face = colour if name in lower else "white"
            error = {"xerr": 2 * row["se"], "ecolor": colour, "color": colour}
            ax.errorbar(row["mean"], place, fmt="o", mfc=face, **error)
        ax.set(title=policy, xlim=(0, 1.05), xlabel="share of the batch", yticks=range(len(table)))
        ax.set_yticklabels(table.index)
    ax.invert_yaxis()  # shared
    return figure


def search_lines(
    table: pd.DataFrame, value: str, names: Sequence[str], ax: Axes | None = None
) -> Axes:
    """Mean of a value over searches, with 1 standard error, against the pairs tested.

    Parameters
    ----------
    table : pandas.DataFrame
        From `spikedrop.study.search.search_table`.
    value : {"regret", "found"}
        Column to show.
    names : sequence of str
        Policies to draw, up to seven.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> rows = [(10, 0, 0.4), (10, 1, 0.2), (20, 0, 0.1), (20, 1, 0.1)]
    >>> table = pd.DataFrame(rows, columns=["tested", "repeat", "regret"]).assign(policy="greedy")
    >>> ax = search_lines(table, "regret", ["greedy"], Figure().subplots())
    >>> [round(float(y), 3) for y in ax.lines[0].get_ydata()]  # means over the two searches
    [0.3, 0.1]
    """
    ax = axes(ax)
    palette = ("floor", "truth", "other", "ann", "snn", "wrong", "bit-serial")
    wide = {"index": "tested", "columns": "policy", "values": value}
    mean, error = (table.pivot_table(**wide, aggfunc=what) for what in ("mean", "sem"))
    for shift, (name, colour) in enumerate(zip(names, palette, strict=False)):
        at = mean.index + 0.6 * (shift - (len(names) - 1) / 2)  # bars side by side
        line = {"color": COLOURS[colour], "marker": "o", "ms": 4, "capsize": 2, "label": name}
        ax.errorbar(at, mean[name], error[name], **line)
    ax.set(xlabel="pairs tested", ylabel=f"{value} (growth fraction)", ylim=(0, None))
    ax.set_xticks(mean.index)
    ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def difference_dots(table: pd.DataFrame, ax: Axes | None = None, *, label: str = "") -> Axes:
    """Paired differences from the reference with 2 standard errors, one row per policy.

    Beside each row: in how many repetitions the policy was lower, and in how many higher.

    Parameters
    ----------
    table : pandas.DataFrame
        From `spikedrop.study.repetitions.against`; the reference itself, of difference 0, is left
        out.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.
    label : str, default ""
        Label of the x axis.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from spikedrop.study.repetitions import against
    >>> values = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [2.0, 2.5, 4.5]})
    >>> ax = difference_dots(against(values, "a"), Figure().subplots())
    >>> ax.texts[0].get_text()
    '0 lower, 3 higher'
    """
    ax = axes(ax)
    table = table[(table["difference"] != 0) | (table["difference se"] != 0)]
    table = table.sort_values("difference")
    places = np.arange(len(table))
    ax.errorbar(
        table["difference"],
        places,
        xerr=2 * table["difference se"],
        fmt="o",
        color=COLOURS["ann"],
        capsize=3,
    )
    ax.axvline(0, color="black", lw=0.8)
    ax.set_yticks(places, table.index)
    ax.set(xlabel=label)
    for place, row in zip(places, table.itertuples(), strict=True):
        text = f"{row.lower} lower, {row.higher} higher"
        ax.annotate(text, (1.02, place), xycoords=ax.get_yaxis_transform(), va="center")
    ax.invert_yaxis()
    return ax


def spread_of_unfamiliar(
    familiar: xr.DataArray, unfamiliar: xr.DataArray, ax: Axes | None = None, *, title: str = ""
) -> Axes:
    """Distribution of the predictive sd over familiar and over unfamiliar rows.

    Both with axes (draw, observation, 1), growth fractions.

    Parameters
    ----------
    familiar, unfamiliar : xarray.DataArray or array
        Growth fraction, axes (draw, observation[, 1]).
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.
    title : str, default ""
        Title of the axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> familiar = np.array([[0.0, 0.0], [1.0, 2.0]])
    >>> ax = spread_of_unfamiliar(familiar, 2 * familiar, Figure().subplots())
    >>> [line.get_xdata().round(3).tolist() for line in ax.lines]
    [[0.707, 1.414], [1.414, 2.828]]
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
