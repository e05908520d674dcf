"""Figures of the verdict: one comparison, many side by side, and power curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from spikedrop.plots import COLOURS, axes

if TYPE_CHECKING:
    from spikedrop.comparison import Comparison

VERDICT_COLOURS = {
    "equivalent": COLOURS["truth"],
    "different": COLOURS["wrong"],
    "detected": COLOURS["other"],
    "not enough draws to tell": COLOURS["floor"],
}
FAR = 30.0  # margins; what lies beyond is drawn here


def verdict(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Every criterion from its lower to its upper bound, in units of its margin.

    A dot is the estimate. Left of 1 is within the margin, right of it beyond; a bar across 1 is
    open.
    """
    ax = axes(ax)
    colours = {"within": COLOURS["truth"], "beyond": COLOURS["wrong"], "open": COLOURS["floor"]}
    for i, c in enumerate(comparison.criteria):
        low, size, high = (min(v / c.margin, FAR) for v in (c.low, c.estimate, c.high))
        colour = colours[c.answer]
        ax.barh(i, high - low, left=low, height=0.5, color=colour, alpha=0.35)
        ax.plot(size, i, "o", color=colour, ms=5)
        if c.high > FAR * c.margin:
            ax.text(FAR, i, " >", va="center")
    ax.axvline(1, color="black", lw=1, ls=":")
    ax.set_yticks(range(len(comparison.criteria)), [c.name for c in comparison.criteria])
    ax.invert_yaxis()
    ax.set(
        xscale="symlog",
        xlim=(0, 1.2 * FAR),
        xticks=[0, 0.5, 1, 2, 5, 10, 30],
        xticklabels=["0", "½", "1", "2", "5", "10", "30"],
        xlabel="difference / margin",
        title=comparison.verdict,
    )
    return ax


def certificate_points(
    table: pd.DataFrame, ax: Axes | None = None, *, margin: float | None = None
) -> Axes:
    """Wasserstein distance of every observation against the bound that the pairing proves.

    `table` from `spikedrop.comparison.certificate`; no point can lie above the diagonal.
    """
    ax = axes(ax)
    top = 1.1 * max(table["bound"].max(), margin or 0)
    ax.plot([0, top], [0, top], color=COLOURS["floor"], lw=1)
    ax.scatter(table["bound"], table["wasserstein"], s=14, color=COLOURS["snn"], lw=0, alpha=0.8)
    if margin is not None:
        ax.axvline(margin, color="black", lw=1, ls=":")
    ax.set(
        xlim=(0, top),
        ylim=(0, top),
        xlabel="mean paired error of an observation (predictive sd)",
        ylabel="Wasserstein-1 distance (predictive sd)",
    )
    return ax


def side_by_side(comparisons: Mapping[str, Comparison], ax: Axes | None = None) -> Axes:
    """Several comparisons: the margin each could affirm, coloured and named by its verdict."""
    ax = axes(ax)
    far = 10.0
    for i, found in enumerate(comparisons.values()):
        end = min(found.attainable_margin, far)
        colour = VERDICT_COLOURS[found.verdict]
        ax.barh(i, end, color=colour, alpha=0.7)
        arrow = " >" if found.attainable_margin > far else ""
        ax.text(end, i, f"{arrow} {found.verdict}", va="center", fontsize="small")
    margin = next(iter(comparisons.values())).margin
    ax.axvline(margin, color="black", lw=1, ls=":")
    ax.set_yticks(range(len(comparisons)), list(comparisons))
    ax.invert_yaxis()
    ax.set(
        xscale="log",
        xlim=(margin / 10, 20 * far),
        xlabel="smallest margin that could be affirmed (predictive sd)",
    )
    return ax


def power_curves(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Rates of *equivalent* (lines) and *different* (dashes) against the size of a planted change.

    `table` from `spikedrop.comparison.power_table`, of one kind of change; a pair of lines for each
    number of draws.
    """
    ax = axes(ax)
    shades = np.linspace(1, 0.35, table["draws"].nunique())[::-1]
    for shade, (n, rows) in zip(shades, table.groupby("draws"), strict=True):
        for name, style in (("equivalent", "-o"), ("different", "--s")):
            ax.plot(
                rows["size"],
                rows[name],
                style,
                color=VERDICT_COLOURS[name],
                alpha=shade,
                ms=4,
                label=f"{name}, {n} draws",
            )
    what = {"shift": "shift (predictive sd)", "spread": "change of the sd (fraction)"}
    ax.axhline(0.05, color=COLOURS["floor"], lw=1, ls=":")
    ax.set(
        ylim=(-0.03, 1.03),
        xlabel=f"planted {what[table['change'].iloc[0]]}",
        ylabel="share of repetitions",
    )
    ax.legend(fontsize="x-small")
    return ax
