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

__all__ = ["certificate_points", "power_curves", "side_by_side", "verdict"]

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

    Parameters
    ----------
    comparison : Comparison
        From `spikedrop.comparison.compare`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from spikedrop.comparison import compare
    >>> a = np.random.default_rng(0).normal(size=(200, 5))
    >>> found = compare(a, a + 2, paired=True)
    >>> verdict(found, Figure().subplots()).get_title()
    'different'
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

    No point can lie above the diagonal.

    Parameters
    ----------
    table : pandas.DataFrame
        From `spikedrop.comparison.certificate`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.
    margin : float, optional
        In predictive sd, drawn as a vertical line; by default there is none.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from spikedrop.comparison import certificate
    >>> a = np.random.default_rng(0).normal(size=(100, 5))
    >>> ax = certificate_points(certificate(a, a + 0.1), Figure().subplots())
    >>> ax.collections[0].get_offsets().shape  # a point for every observation
    (5, 2)
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
    """Several comparisons: the margin each could affirm, coloured and named by its verdict.

    Parameters
    ----------
    comparisons : mapping
        Name to `spikedrop.comparison.Comparison`; the margin of the first is drawn as a line.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from spikedrop.comparison import compare
    >>> a = np.random.default_rng(0).normal(size=(200, 5))
    >>> ax = side_by_side({"far": compare(a, a + 2, paired=True)}, Figure().subplots())
    >>> [text.get_text() for text in ax.texts]
    [' > different']
    """
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

    There is one pair of lines for each number of draws.

    Parameters
    ----------
    table : pandas.DataFrame
        From `spikedrop.comparison.power_table`, of one kind of change.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"change": "shift", "size": [0.0, 1.0], "draws": 60})
    >>> table = table.assign(equivalent=[1.0, 0.0], different=[0.0, 1.0])
    >>> ax = power_curves(table, Figure().subplots())
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['equivalent, 60 draws', 'different, 60 draws']
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
