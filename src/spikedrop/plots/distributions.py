"""Figures of chapters 4 and 5: draws against draws, densities, distances and the noise floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib.axes import Axes

from spikedrop.checks.samples import as_samples, both
from spikedrop.plots import COLOURS, axes, colours_of, style

__all__ = [
    "against_floor",
    "densities",
    "draw_by_draw",
]


def draw_by_draw(
    ann: xr.DataArray, snn: xr.DataArray, ax: Axes | None = None, *, title: str = ""
) -> Axes:
    """Every draw of the SNN against the ANN's draw with the same mask; the diagonal is identity.

    Parameters
    ----------
    ann, snn : xarray.DataArray or array
        Growth fraction, axes (draw, observation[, output]), the same shape and masks.
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
    >>> ann = np.random.default_rng(0).normal(size=(50, 2))
    >>> ax = draw_by_draw(ann, ann + 0.1, Figure().subplots())
    >>> ax.collections[0].get_offsets().shape  # a point for every draw and observation
    (100, 2)
    """
    ax = axes(ax)
    a, b = (samples.all().ravel() for samples in both(ann, snn, ("ann", "snn"), least=1))
    low, high = np.quantile(np.concatenate([a, b]), [0.001, 0.999])
    pad = 0.05 * (high - low)
    lims = (low - pad, high + pad)
    ax.plot(lims, lims, color=COLOURS["floor"], lw=1)
    ax.scatter(a, b, s=5, alpha=0.35, color=COLOURS["snn"], lw=0, rasterized=True)
    ax.set(
        xlim=lims,
        ylim=lims,
        aspect="equal",
        xlabel="ANN draw (growth fraction)",
        ylabel="SNN draw (growth fraction)",
        title=title,
    )
    return ax


def densities(
    samples: Mapping[str, xr.DataArray],
    observations: Sequence[int],
    *,
    truth: np.ndarray | None = None,
    columns: int = 3,
    quantity: str = "growth (fraction)",
) -> np.ndarray:
    """Predictive densities of several samples on one axis, one panel per observation.

    Parameters
    ----------
    samples : mapping
        Name (``ANN``, ``SNN``, ...) to samples, axes (draw, observation[, 1]).
    observations : sequence of int
        Positions of the observations to show.
    truth : numpy.ndarray, optional
        What was measured, axis (observation,), at all observations of the samples; a dotted line
        marks it. By default there is no line.
    columns : int, default 3
        Panels per row.
    quantity : str, default "growth (fraction)"
        What is predicted, with its unit: the label of the x axis.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        Axes (row, column); panels without an observation are hidden.

    Examples
    --------
    >>> ann = np.random.default_rng(0).normal(size=(50, 2))
    >>> panels = densities({"ANN": ann, "SNN": ann + 0.1}, [0, 1], columns=2)
    >>> [ax.get_title(loc="left") for ax in panels.flat]
    ['record 0', 'record 1']
    >>> plt.close(panels[0, 0].figure)
    """
    style()
    rows = -(-len(observations) // columns)
    figure, panels = plt.subplots(
        rows, columns, figsize=(2.9 * columns, 2.1 * rows + 0.5), squeeze=False
    )
    colours = colours_of(samples)
    taken = {name: as_samples(values, name) for name, values in samples.items()}
    for ax, i in zip(panels.flat, observations, strict=False):
        for name, values in taken.items():
            sns.kdeplot(
                x=values.take(np.array([i])).all()[:, 0],
                ax=ax,
                color=colours[name],
                lw=1.8,
                ls="-" if name == "ANN" else "--",
                fill=name == "ANN",
                alpha=0.3 if name == "ANN" else 1,
                label=name,
                warn_singular=False,
            )
        if truth is not None:
            ax.axvline(truth[i], color="black", lw=1, ls=":", label="measured")
        ax.set(xlabel="", ylabel="", yticks=[])
        ax.spines["left"].set_visible(False)
        ax.set_title(f"record {i}", loc="left", fontsize="small")
    for ax in panels.flat[len(observations) :]:
        ax.set_axis_off()
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    figure.supxlabel(quantity)
    figure.supylabel("predictive density")
    return panels


def against_floor(
    candidates: Mapping[str, pd.DataFrame],
    floor: pd.DataFrame,
    distance: str = "wasserstein",
    ax: Axes | None = None,
) -> Axes:
    """Distances of several samples to the ANN beside the noise floor, one box per sample.

    The dotted line is the floor's 95 % quantile: what chance alone exceeds once in twenty.

    Parameters
    ----------
    candidates : mapping
        Name to the table of `spikedrop.comparison.distances` for a sample and the ANN.
    floor : pandas.DataFrame
        From `spikedrop.comparison.noise_floor`.
    distance : {"wasserstein", "energy", "ks", "anderson_darling", "mmd"}, default "wasserstein"
        Column of the tables to show.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from spikedrop.comparison import distances, noise_floor
    >>> ann, again, snn = np.random.default_rng(0).normal(size=(3, 100, 5))
    >>> floor = noise_floor(ann, [again])
    >>> ax = against_floor({"SNN": distances(ann, snn + 1)}, floor, ax=Figure().subplots())
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['ANN again (noise floor)', 'SNN']
    """
    ax = axes(ax)
    frames = {"ANN again (noise floor)": floor, **candidates}
    data = [frame[distance].to_numpy() for frame in frames.values()]
    boxes = ax.boxplot(
        data, orientation="horizontal", patch_artist=True, widths=0.6, showfliers=False
    )
    for i, (box, median) in enumerate(zip(boxes["boxes"], boxes["medians"], strict=True)):
        colour = COLOURS["floor"] if i == 0 else COLOURS["snn"] if i == 1 else COLOURS["wrong"]
        box.set(facecolor=colour, alpha=0.6)
        median.set(color="black")
    ax.axvline(floor[distance].quantile(0.95), color=COLOURS["floor"], ls=":")
    ax.set_yticks(range(1, len(frames) + 1), list(frames))
    ax.invert_yaxis()
    units = {"wasserstein": " (predictive sd)", "energy": " (root predictive sd)"}
    names = {
        "ks": "Kolmogorov-Smirnov",
        "anderson_darling": "Anderson-Darling",
        "wasserstein": "Wasserstein-1",
        "energy": "energy",
        "mmd": "MMD",
    }
    scale = "linear" if distance == "anderson_darling" else "log"  # it may be negative
    ax.set(xscale=scale, xlabel=f"{names[distance]} distance to the ANN{units.get(distance, '')}")
    return ax
