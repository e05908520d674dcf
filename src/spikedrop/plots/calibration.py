"""Figures of chapter 7: PIT, refusal, spread against error, coverage of intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from scipy import stats

from spikedrop.plots import COLOURS, axes, colours_of
from spikedrop.scores.refusal import risk_of

__all__ = [
    "coverage_against_chance",
    "coverage_of_divisions",
    "pit_histogram",
    "risk_coverage",
    "spread_and_error",
]


def pit_histogram(
    values: Mapping[str, np.ndarray], ax: Axes | None = None, *, bins: int = 10
) -> Axes:
    """Share of observations in each bin of the PIT; flat is calibrated.

    The grey band holds 95 % of the shares of each bin if the PIT is uniform, for the first name's
    number of observations.

    Parameters
    ----------
    values : mapping
        Name to PIT values (`spikedrop.scores.pit`), axis (observation,), from 0 to 1.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.
    bins : int, default 10
        Bins of equal width.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = pit_histogram({"ANN": np.linspace(0.01, 0.99, 50)}, Figure().subplots())
    >>> ax.patches[-1].get_data().values.tolist()  # flat: a tenth of the observations in each
    [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
    """
    ax = axes(ax)
    n = len(next(iter(values.values())))
    low, high = stats.binom.ppf([0.025, 0.975], n, 1 / bins) / n
    ax.axhspan(low, high, color=COLOURS["floor"], alpha=0.25, lw=0, label="95 % of chance")
    colours = colours_of(values)
    for name, found in values.items():
        share, edges = np.histogram(found, bins=bins, range=(0, 1))
        ax.stairs(
            share / len(found),
            edges,
            color=colours[name],
            lw=1.8,
            ls="--" if name == "SNN" else "-",
            label=name,
        )
    ax.set(
        xlim=(0, 1),
        ylim=(0, None),
        xlabel="probability integral transform of what was measured",
        ylabel="share of test records",
    )
    ax.legend()
    return ax


def risk_coverage(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
    error: np.ndarray,
    ax: Axes | None = None,
) -> Axes:
    """Mean error of what is kept against the share kept, between chance and an oracle.

    The first 50th of every curve is not drawn: a mean of a few errors jumps. The oracle, drawn
    whole, refuses the largest errors first.

    Parameters
    ----------
    curves : mapping
        Name to the pair that `spikedrop.scores.risk_coverage` returns: share kept and mean error,
        each with axis (observation,).
    error : numpy.ndarray
        Absolute error of the predictive mean, axis (observation,), growth fraction.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from spikedrop import scores
    >>> samples, y = np.random.default_rng(0).normal(size=(2, 50, 100))
    >>> curve = scores.risk_coverage(samples, y[0])
    >>> error = np.abs(y[0] - samples.mean(axis=0))
    >>> risk_coverage({"ANN": curve}, error, Figure().subplots()).get_xlabel()
    'records kept, the most certain first (%)'
    """
    ax = axes(ax)
    colours = colours_of(curves)
    ax.axhline(error.mean(), color=COLOURS["floor"], ls="--", lw=1, label="refuse at random")
    for name, (kept, risk) in curves.items():
        shown = kept >= 0.02
        ax.plot(
            100 * kept[shown],
            risk[shown],
            color=colours[name],
            lw=1.8,
            ls="--" if name == "SNN" else "-",
            label=name,
        )
    kept = np.arange(1, len(error) + 1) / len(error)
    ax.plot(100 * kept, risk_of(error, error), color="black", lw=1, ls=":", label="oracle")
    ax.set(
        xlim=(0, 100),
        ylim=(0, None),
        xlabel="records kept, the most certain first (%)",
        ylabel="mean |error| (growth fraction)",
    )
    ax.legend()
    return ax


def spread_and_error(
    predicted: Mapping[str, np.ndarray], error: Mapping[str, np.ndarray], ax: Axes | None = None
) -> Axes:
    """Root mean squared error in ten groups of rising predictive sd; the diagonal is calibrated.

    Where the predictive sd is the same at every observation, all points have one place on the x
    axis.

    Parameters
    ----------
    predicted : mapping
        Name to predictive sd with noise, axis (observation,), growth fraction.
    error : mapping
        The same names to the absolute error of the predictive mean, axis (observation,), growth
        fraction.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> sd = np.linspace(1, 2, 100)
    >>> ax = spread_and_error({"ANN": sd}, {"ANN": sd}, Figure().subplots())  # the error is the sd
    >>> [bool(np.allclose(line.get_xdata(), line.get_ydata(), rtol=0.01)) for line in ax.lines]
    [True, True]
    """
    ax = axes(ax)
    colours, top = colours_of(predicted), 0.0
    for name, sd in predicted.items():
        groups = np.array_split(np.argsort(sd, kind="stable"), 10)
        x = [np.sqrt(np.mean(sd[group] ** 2)) for group in groups if len(group)]
        y = [np.sqrt(np.mean(error[name][group] ** 2)) for group in groups if len(group)]
        ax.plot(x, y, marker="o", ms=5, lw=1, color=colours[name], label=name)
        top = max(top, *x, *y)
    ax.plot([0, top], [0, top], color=COLOURS["floor"], ls="--", lw=1, label="calibrated")
    ax.set(
        xlim=(0, 1.05 * top),
        ylim=(0, 1.05 * top),
        aspect="equal",
        xlabel="predictive sd with noise (growth fraction)",
        ylabel="root mean squared error (growth fraction)",
    )
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def coverage_against_chance(
    found: Mapping[str, float],
    limits: tuple[float, float],
    level: float = 0.9,
    ax: Axes | None = None,
) -> Axes:
    """Coverage of several kinds of intervals, one point each, with the band that chance explains.

    Points inside the band are dots, points outside it crosses.

    Parameters
    ----------
    found : mapping
        Name to the share of observations inside their interval.
    limits : tuple of float
        Lower and upper end of the band, from `spikedrop.scores.conformal.coverage_limits`.
    level : float, default 0.9
        Coverage that was promised.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> found = {"raw": 0.8, "conformal": 0.9}
    >>> ax = coverage_against_chance(found, (0.87, 0.93), ax=Figure().subplots())
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['raw', 'conformal']
    """
    ax = axes(ax)
    ax.axvspan(
        100 * limits[0],
        100 * limits[1],
        color=COLOURS["floor"],
        alpha=0.25,
        lw=0,
        label="chance",
    )
    ax.axvline(100 * level, color=COLOURS["floor"], ls="--", lw=1, label="promised")
    for row, share in enumerate(found.values()):
        inside = limits[0] <= share <= limits[1]
        colour = COLOURS["truth"] if inside else COLOURS["wrong"]
        ax.plot(100 * share, row, marker="o" if inside else "X", ms=9, ls="", color=colour)
    ax.set_yticks(range(len(found)), list(found))
    ax.set_ylim(len(found) - 0.5, -0.5)
    ax.set(xlabel="test records inside their interval (%)")
    ax.legend(loc="lower left")
    return ax


def coverage_of_divisions(
    shares: np.ndarray,
    others: Mapping[str, float],
    level: float = 0.9,
    ax: Axes | None = None,
) -> Axes:
    """Histogram of the coverage over random divisions, with the level that was promised.

    Parameters
    ----------
    shares : numpy.ndarray
        Coverage of each division, axis (division,), from
        `spikedrop.scores.conformal.divided_coverage`.
    others : mapping
        Name to a coverage that is drawn beside them as a vertical line.
    level : float, default 0.9
        Coverage that was promised.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> shares = np.array([0.88, 0.9, 0.91])
    >>> coverage_of_divisions(shares, {"raw": 0.8}, ax=Figure().subplots()).get_ylabel()
    'divisions'
    """
    ax = axes(ax)
    ax.hist(100 * shares, bins=15, color=COLOURS["truth"], alpha=0.6, label="divisions")
    ax.axvline(100 * shares.mean(), color=COLOURS["truth"], lw=1.8, label="their mean")
    ax.axvline(100 * level, color=COLOURS["floor"], ls="--", lw=1.5, label="promised")
    colours = colours_of(others)
    for name, share in others.items():
        ax.axvline(100 * share, color=colours[name], ls=":", lw=2, label=name)
    ax.set(xlabel="records inside their interval, mean over tested pairs (%)", ylabel="divisions")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax
