"""Figures of chapter 2: masks, draws as functions, the linear-Gaussian check, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from spikedrop.checks.accepted import SamplesLike
from spikedrop.checks.samples import as_samples
from spikedrop.errors import InputError
from spikedrop.plots import COLOURS, axes

__all__ = [
    "calibration",
    "draws_as_functions",
    "linear_gaussian_sd",
    "mask_image",
]


def mask_image(masks: np.ndarray, ax: Axes | None = None, *, title: str = "") -> Axes:
    """Show masks as a picture: one row per draw, one column per unit, dark where silent.

    Parameters
    ----------
    masks : numpy.ndarray
        Axes (draw, unit), 0 where a unit is silent, else positive.
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
    >>> ax = mask_image(np.array([[0.0, 2.0], [2.0, 2.0]]), Figure().subplots())
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('unit of the layer', 'draw')
    """
    ax = axes(ax)
    ax.imshow(
        masks > 0,
        cmap=ListedColormap(["#333333", "#e8eef4"]),
        vmin=0,
        vmax=1,
        aspect="auto",
        interpolation="nearest",
    )
    ax.set(xlabel="unit of the layer", ylabel="draw", title=title)
    ax.legend(
        handles=[
            Patch(color="#333333", label="silent (mask 0)"),
            Patch(facecolor="#e8eef4", edgecolor="#999999", label="kept (mask 1/(1-p))"),
        ],
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
    )
    return ax


def draws_as_functions(
    grid: np.ndarray,
    samples: SamplesLike,
    ax: Axes | None = None,
    *,
    label: str = "draw of the ANN",
    colour: str = COLOURS["ann"],
    show: int = 40,
    ylim: tuple[float, float] | None = None,
) -> Axes:
    """Draw functions over a grid of doses, their mean and 90 % band.

    Parameters
    ----------
    grid : numpy.ndarray
        Doses (log10 molar), axis (grid point,).
    samples : xarray.DataArray or array
        Growth fraction, axes (draw, grid point[, 1]), of mask scope ``draw``.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.
    label : str, default "draw of the ANN"
        Name of a draw in the legend.
    colour : str
        Colour of draws and band; by default that of the ANN.
    show : int, default 40
        Draws that are drawn one by one, the first ones; mean and band are of all.
    ylim : tuple of float, optional
        Lower and upper end of the y axis; by default matplotlib's.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    InputError
        If the grid has another number of points than the samples.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> samples = np.random.default_rng(0).normal(size=(50, 4))
    >>> ax = draws_as_functions(np.linspace(-8, -5, 4), samples, Figure().subplots(), show=3)
    >>> ax.get_xlabel()
    'dose of drug A (log10 molar)'
    """
    ax = axes(ax)
    values = as_samples(samples).all()
    if values.shape[1:] != np.shape(grid):
        raise InputError(f"grid has shape {np.shape(grid)}; samples have {values.shape[1]} points.")
    low, high = np.quantile(values, [0.05, 0.95], axis=0)
    ax.fill_between(grid, low, high, color=colour, alpha=0.18, lw=0, label="90 % of draws")
    ax.plot(grid, values[:show].T, color=colour, lw=0.6, alpha=0.35)
    ax.plot([], [], color=colour, lw=0.8, label=label)
    ax.plot(grid, values.mean(axis=0), color="black", lw=1.8, label="mean")
    ax.set(xlabel="dose of drug A (log10 molar)", ylabel="growth (fraction)", ylim=ylim)
    ax.legend()
    return ax


def linear_gaussian_sd(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Predictive sd against the number of training rows: exact posterior and dropout at rates p.

    Parameters
    ----------
    table : pandas.DataFrame
        From `spikedrop.study.linear_gaussian.sd_against_rows`: index the number of rows, a column
        ``exact posterior`` and one per dropout rate.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> columns = {"exact posterior": [0.5, 0.05], "p = 0.1": [0.4, 0.3]}
    >>> table = pd.DataFrame(columns, index=[10, 1000])
    >>> ax = linear_gaussian_sd(table, Figure().subplots())
    >>> [line.get_label() for line in ax.lines]
    ['exact posterior', 'p = 0.1']
    """
    ax = axes(ax)
    for i, column in enumerate(table.columns):
        exact = column == "exact posterior"
        ax.plot(
            table.index,
            table[column],
            marker="o",
            ms=4,
            color="black" if exact else None,
            lw=2 if exact else 1.4,
            ls="-" if exact else ("--", "-.", ":")[i % 3],
            label=column,
        )
    ax.set(xscale="log", yscale="log", xlabel="training rows", ylabel="sd of the mean (unit of y)")
    ax.legend()
    return ax


def calibration(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], ax: Axes | None = None
) -> Axes:
    """Observed against nominal coverage; the diagonal is perfect, below it is overconfident.

    Parameters
    ----------
    curves : mapping
        Name to nominal and observed coverage, from `spikedrop.scores.calibration_curve`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = calibration({"ANN": ([0.5, 0.9], [0.4, 0.8])}, Figure().subplots())
    >>> [line.get_label() for line in ax.lines]
    ['perfect', 'ANN']
    """
    ax = axes(ax)
    ax.plot([0, 1], [0, 1], color=COLOURS["floor"], lw=1, ls="--", label="perfect")
    for name, (nominal, observed) in curves.items():
        ax.plot(nominal, observed, marker="o", ms=4, label=name)
    ax.set(
        xlabel="nominal coverage of the interval",
        ylabel="share of test records inside",
        xlim=(0, 1),
        ylim=(0, 1),
        aspect="equal",
    )
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax
