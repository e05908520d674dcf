"""Figures of a drug-pair screen."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, TwoSlopeNorm

from spikedrop.checks.arguments import one_of
from spikedrop.data.describe import growth_from_readings, replicate_noise
from spikedrop.data.screen import Screen
from spikedrop.errors import InputError
from spikedrop.plots import axes

__all__ = [
    "distribution",
    "dose_grid",
    "expected_against_measured",
    "grid_holes",
    "growth_scale",
    "noise_by_growth",
]

GROWTH = "growth (fraction of untreated)"
Quantity = Literal["growth", "score", "dose", "replicate_sd"]


def growth_scale(ax: Axes | None = None, *, time_zero: float = 0.3) -> Axes:
    """Draw growth as a function of the reading of the treated well.

    Parameters
    ----------
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.
    time_zero : float, default 0.3
        Reading when the drug was added, as a fraction of the untreated reading.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> growth_scale(Figure().subplots()).get_xlabel()
    'reading of the treated well / reading of the untreated well'
    """
    ax = axes(ax)
    readings = np.linspace(0, 1.15, 300)
    ax.plot(readings, growth_from_readings(readings, 1.0, time_zero), lw=2.5)
    marks = [(0.0, -1.0, "all killed"), (time_zero, 0.0, "stasis"), (1.0, 1.0, "untreated growth")]
    for reading, growth, label in marks:
        ax.plot(reading, growth, "o", color="black")
        ax.annotate(label, (reading, growth), xytext=(10, -4), textcoords="offset points", va="top")
    ax.axhline(0, color="0.8", zorder=0)
    ax.axvline(time_zero, color="0.8", ls=":", zorder=0)
    ax.set(
        xlabel="reading of the treated well / reading of the untreated well",
        ylabel=GROWTH,
        xlim=(-0.03, 1.4),
        ylim=(-1.25, 1.35),
    )
    return ax


def dose_grid(
    pairs: pd.DataFrame, drug_a: int, drug_b: int, cell_line: str, ax: Axes | None = None
) -> Axes:
    """Draw the measured growth of one pair in one cell line over both doses; holes stay grey.

    Parameters
    ----------
    pairs : pandas.DataFrame
        Table as `Screen.pairs`.
    drug_a, drug_b : int
        NSC numbers of the pair, in any order.
    cell_line : str
        Name of the cell line.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    InputError
        If the pair was not measured in that cell line.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from spikedrop.data import simulate_screen
    >>> from spikedrop.data.describe import fullest_grid
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> a, b, line = fullest_grid(screen.pairs)
    >>> dose_grid(screen.pairs, a, b, line, Figure().subplots()).get_title() == line
    True
    """
    first, second = sorted((drug_a, drug_b))
    of_pair = pairs[(pairs["drug_a"] == first) & (pairs["drug_b"] == second)]
    here = of_pair[of_pair["cell_line"] == cell_line]
    if here.empty:
        raise InputError(f"drugs {first} and {second} were not measured in {cell_line!r}.")
    ax = axes(ax)
    grid = here.pivot_table(
        index="log10_dose_b_molar", columns="log10_dose_a_molar", values="growth_fraction"
    ).reindex(
        index=sorted(of_pair["log10_dose_b_molar"].unique(), reverse=True),
        columns=sorted(of_pair["log10_dose_a_molar"].unique()),
    )
    ax.set_facecolor("0.85")
    sns.heatmap(
        grid,
        ax=ax,
        norm=TwoSlopeNorm(0, -1, 1.2),
        cmap="vlag_r",
        annot=True,
        fmt=".2f",
        linewidths=1,
        cbar_kws={"label": GROWTH},
    )
    for axis, values in ((ax.xaxis, grid.columns), (ax.yaxis, grid.index)):
        axis.set_ticklabels([f"{value:.1f}" for value in values], rotation=0)
    ax.set(
        xlabel=f"log10 dose of drug {first} (molar)",
        ylabel=f"log10 dose of drug {second} (molar)",
        title=cell_line,
    )
    return ax


def grid_holes(screens: Mapping[str, Screen], ax: Axes | None = None) -> Axes:
    """Draw how many dose combinations of a pair were measured in one cell line.

    Parameters
    ----------
    screens : mapping
        Name to `spikedrop.data.Screen`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from spikedrop.data import simulate_screen
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> grid_holes({"simulated": screen}, Figure().subplots()).get_xlabel()
    'dose combinations measured'
    """
    ax = axes(ax)
    counts = [
        screen.pairs.groupby(["cell_line", "drug_a", "drug_b"], observed=True).size()
        for screen in screens.values()
    ]
    most = max(9, *(int(count.max()) for count in counts))
    width = 0.8 / len(screens)
    for place, (name, count) in enumerate(zip(screens, counts, strict=True)):
        share = count.value_counts(normalize=True).reindex(range(1, most + 1), fill_value=0)
        left = share.index + (place - (len(screens) - 1) / 2) * width
        bars = ax.bar(left, 100 * share, width=width, label=name)
        labels = [f"{100 * value:.{int(value < 0.01)}f}" * (value > 5e-4) for value in share]
        ax.bar_label(bars, labels, fontsize="x-small", padding=1)
    ax.set(
        xlabel="dose combinations measured",
        ylabel="share of pairs and cell lines (%)",
        xticks=range(1, most + 1),
    )
    ax.legend()
    return ax


def noise_by_growth(singles: pd.DataFrame, ax: Axes | None = None, *, bins: int = 12) -> Axes:
    """Draw the sd of repeated single-drug readings against their mean growth.

    An sd below 0.001 is drawn at 0.001.

    Parameters
    ----------
    singles : pandas.DataFrame
        Table as `Screen.singles`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.
    bins : int, default 12
        Bins of the two summary lines (`spikedrop.data.describe.replicate_noise`), of equal numbers
        of conditions.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    InputError
        If there are fewer repeated conditions than bins.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from spikedrop.data import simulate_screen
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> noise_by_growth(screen.singles, Figure().subplots(), bins=3).get_yscale()
    'log'
    """
    summary = replicate_noise(singles, bins=bins)
    ax = axes(ax)
    repeated = singles[singles["replicates"] > 1]
    colors = sns.color_palette("colorblind")
    ax.scatter(
        repeated["growth_fraction"],
        repeated["growth_sd_fraction"].clip(lower=1e-3),
        s=6,
        color="0.8",
        label="one condition",
        rasterized=True,
    )
    for name, color in (("typical", colors[0]), ("pooled", colors[1])):
        ax.plot(
            summary["growth_fraction"],
            summary[f"{name}_sd_fraction"],
            "o-",
            color=color,
            label=name,
        )
    ax.set(xlabel=f"mean {GROWTH}", ylabel="sd over repeats (growth fraction)", yscale="log")
    ax.set_ylim(bottom=1e-3)
    ax.legend(loc="lower left", frameon=True, framealpha=1)
    return ax


def expected_against_measured(pairs: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw measured growth against the growth expected of two independent drugs.

    Parameters
    ----------
    pairs : pandas.DataFrame
        Table as `Screen.pairs`; rows without expected growth are left out.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from spikedrop.data import simulate_screen
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> expected_against_measured(screen.pairs, Figure().subplots()).get_xlabel()
    'expected growth (fraction of untreated)'
    """
    ax = axes(ax)
    known = pairs.dropna(subset="expected_growth_fraction")
    drawn = ax.hexbin(
        known["expected_growth_fraction"],
        known["growth_fraction"],
        gridsize=60,
        cmap="mako_r",
        norm=LogNorm(),
        mincnt=1,
        linewidths=0.1,
    )
    ax.figure.colorbar(drawn, ax=ax, label="records")
    ax.axline((0, 0), slope=1, color="black", lw=1)
    ax.text(0.02, 0.93, "antagonism", transform=ax.transAxes)
    ax.text(0.98, 0.04, "synergy", transform=ax.transAxes, ha="right")
    ax.set(
        xlabel="expected growth (fraction of untreated)",
        ylabel=f"measured {GROWTH}",
        xticks=np.arange(-1, 1.5, 0.5),
    )
    return ax


def distribution(screens: Mapping[str, Screen], quantity: Quantity, ax: Axes | None = None) -> Axes:
    """Draw the distribution of a quantity, one outline per screen.

    Values beyond the axis are counted in its first or last bin.

    Parameters
    ----------
    screens : mapping
        Name to `spikedrop.data.Screen`.
    quantity : {"growth", "score", "dose", "replicate_sd"}
        Growth of pairs (fraction of untreated), their synergy score (growth fraction), doses of
        both drugs (log10 molar), or sd over repeats of single-drug conditions (growth fraction).
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    InputError
        If `quantity` is unknown.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from spikedrop.data import simulate_screen
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> distribution({"simulated": screen}, "growth", Figure().subplots()).get_ylabel()
    'share (%)'
    """
    choices = {
        "growth": (np.linspace(-1, 1.5, 51), f"pair {GROWTH}"),
        "score": (np.linspace(-0.6, 0.6, 61), "synergy score (growth fraction)"),
        "dose": (np.arange(-12.25, -2.5, 0.5), "log10 dose (molar)"),
        "replicate_sd": (np.linspace(0, 0.4, 41), "sd over repeats (growth fraction)"),
    }
    one_of("quantity", quantity, tuple(choices))
    ax = axes(ax)
    edges, label = choices[quantity]
    for place, (name, screen) in enumerate(screens.items()):
        values = np.clip(_values(screen, quantity), edges[0], edges[-1])
        share = 100 * np.histogram(values, edges)[0] / len(values)
        ax.stairs(share, edges, lw=2, ls=("-", "--", ":")[place % 3], label=name)
    ax.set(xlabel=label, ylabel="share (%)")
    ax.legend()
    return ax


def _values(screen: Screen, quantity: str) -> np.ndarray:
    pairs, singles = screen.pairs, screen.singles
    if quantity == "growth":
        return pairs["growth_fraction"].to_numpy()
    if quantity == "dose":
        return pairs[["log10_dose_a_molar", "log10_dose_b_molar"]].to_numpy().ravel()
    if quantity == "score":
        return (pairs["expected_growth_fraction"] - pairs["growth_fraction"]).dropna().to_numpy()
    return singles.loc[singles["replicates"] > 1, "growth_sd_fraction"].to_numpy()
