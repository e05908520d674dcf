"""Figures of what a split holds out, and how well that is predicted."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.patches import Patch

from spikedrop.data.baseline import Baseline
from spikedrop.data.splits import Split
from spikedrop.plots import COLOURS, axes
from spikedrop.plots.screen import GROWTH

__all__ = ["explained", "predicted_against_measured", "split_legend", "split_map"]

_PARTS = {"training": "#d5d5d5", "validation": COLOURS["snn"], "test": COLOURS["ann"]}


def split_map(
    pairs: pd.DataFrame, parts: Split, ax: Axes | None = None, *, drugs: int = 12
) -> Axes:
    """Draw which records are trained on and which are tested, for the drugs measured most.

    A square is a drug pair in a cell line, coloured by the part its first record is in; white where
    nothing was measured. Pairs are in the order of their first drug, with a line between two
    first drugs. Only the cell lines that measured any of them are shown.

    Parameters
    ----------
    pairs : pandas.DataFrame
        The table that was split, as `Screen.pairs`.
    parts : Split
        From `spikedrop.data.split`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.
    drugs : int, default 12
        Number of drugs to show, with all pairs among them.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from spikedrop.data import simulate_screen, split
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> parts = split(screen.pairs, "pairs", seed=0)
    >>> split_map(screen.pairs, parts, Figure().subplots()).get_title()
    'by pairs'
    """
    ax = axes(ax)
    part = np.zeros(len(pairs))
    for number, rows in enumerate((parts.train, parts.validation, parts.test)):
        part[rows] = number
    counts = pd.concat([pairs["drug_a"], pairs["drug_b"]]).value_counts(sort=False).sort_index()
    shown = counts.sort_values(ascending=False, kind="stable").index[:drugs]
    inside = (pairs["drug_a"].isin(shown) & pairs["drug_b"].isin(shown)).to_numpy()
    grid = pairs[inside].assign(part=part[inside])
    grid = grid.pivot_table(
        index="cell_line",
        columns=["drug_a", "drug_b"],
        values="part",
        aggfunc="first",
        observed=True,
    )
    ax.imshow(grid, cmap=ListedColormap(list(_PARTS.values())), vmin=0, vmax=2, aspect="auto")
    first = grid.columns.get_level_values("drug_a").to_numpy()
    for place in np.flatnonzero(np.diff(first)):
        ax.axvline(place + 0.5, color="black", lw=0.5)
    ax.set(
        xlabel="drug pair, ordered by first drug",
        ylabel="cell line",
        xticks=[],
        yticks=[],
        title=f"by {parts.by.replace('_', ' ')}",
    )
    return ax


def split_legend(ax: Axes) -> Axes:
    """Draw the colours of `split_map` to the right of an axes.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = split_legend(Figure().subplots())
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['training', 'validation', 'test']
    """
    handles = [Patch(color=color, label=name) for name, color in _PARTS.items()]
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1))
    return ax


def predicted_against_measured(
    result: Baseline, ax: Axes | None = None, *, title: str = ""
) -> Axes:
    """Draw predicted against measured growth of the test records.

    Parameters
    ----------
    result : Baseline
        Predictions of test records, as from `spikedrop.data.naive_mean`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.
    title : str, default ""
        What was predicted; R² is written after it.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> result = Baseline(measured=np.array([0.0, 1.0]), predicted=np.array([0.5, 0.5]))
    >>> predicted_against_measured(result, Figure().subplots(), title="mean").get_title()
    'mean  R² = 0.00'
    """
    ax = axes(ax)
    ax.hexbin(
        result.measured,
        result.predicted,
        gridsize=50,
        cmap="mako_r",
        norm=LogNorm(),
        mincnt=1,
        linewidths=0.1,
        extent=(-1.1, 1.5, -1.1, 1.5),
    )
    ax.axline((0, 0), slope=1, color="black", lw=1)
    ax.set(
        xlabel=f"measured {GROWTH}",
        ylabel="predicted growth (fraction)",
        title=f"{title}  R² = {result.r2:.2f}".strip(),
        xlim=(-1.1, 1.5),
        ylim=(-1.1, 1.5),
    )
    return ax


def explained(r2: Mapping[str, float], ceiling: float, ax: Axes | None = None) -> Axes:
    """Draw the explained share of variance, one bar per split, under the ceiling that noise sets.

    Parameters
    ----------
    r2 : mapping
        Name of a split to R², higher is better.
    ceiling : float
        Largest R² that noise leaves, as from `spikedrop.data.describe.noise_ceiling`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = explained({"rows": 0.7, "drugs": 0.4}, 0.9, Figure().subplots())
    >>> [round(float(bar.get_width()), 3) for bar in ax.patches]
    [0.7, 0.4]
    """
    ax = axes(ax)
    bars = ax.barh(
        [name.replace("_", " ") for name in r2],
        list(r2.values()),
        color=sns.color_palette("colorblind")[0],
    )
    ax.bar_label(bars, fmt=" %.2f")
    ax.axvline(ceiling, color="black", ls="--", label=f"ceiling of typical noise, {ceiling:.2f}")
    ax.invert_yaxis()
    ax.set(xlabel="R² on test records (1 is perfect)", xlim=(min(0.0, *r2.values()), 1.05))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2))
    return ax
