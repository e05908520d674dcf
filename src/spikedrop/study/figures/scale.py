"""Figures of the chapter on large jobs: chunks that are done, and hours against predictions."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from spikedrop.plots import COLOURS, axes
from spikedrop.store.layout import read_layout

__all__ = ["chunk_grid", "hours_of_jobs"]

SPANS = {"a minute": 1 / 60, "an hour": 1.0, "a day": 24.0, "a year": 8766.0}  # hours


def chunk_grid(path: str | Path, ax: Axes | None = None) -> Axes:
    """Chunks of a store in the plane of observations and draws: finished, or to be done.

    Parameters
    ----------
    path : path
        Store of `spikedrop.store.sample_to_store`, which may be unfinished.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> import tempfile
    >>> from matplotlib.figure import Figure
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.store import sample_to_store
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sample_to_store(folder + "/draws.zarr", network, [[1.0]], draws=100, seed=0)
    ...     ax = chunk_grid(folder + "/draws.zarr", Figure().subplots())
    >>> ax.get_ylim()
    (np.float64(100.0), np.float64(0.0))
    """
    ax = axes(ax)
    layout = read_layout(path)
    missing = set(layout.missing())
    draws, observations = layout.grid.shape[:2]
    for piece in layout.grid.pieces():
        some, rows = piece
        ax.add_patch(
            Rectangle(
                (rows.start, some.start),
                len(rows),
                len(some),
                facecolor="white" if piece in missing else COLOURS["snn"],
                edgecolor="black",
                hatch="//" if piece in missing else None,
            )
        )
    ax.set(xlim=(0, observations), ylim=(draws, 0), xlabel="observation", ylabel="draw")
    ax.legend(
        handles=[
            Patch(facecolor=COLOURS["snn"], edgecolor="black", label="finished"),
            Patch(facecolor="white", edgecolor="black", hatch="//", label="to be done"),
        ],
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=2,
        fontsize="small",
    )
    return ax


def hours_of_jobs(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Hours against predictions on logarithmic axes, one line per number of workers.

    Parameters
    ----------
    table : pandas.DataFrame
        From `spikedrop.study.cost.scale_table`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from spikedrop.study.cost import scale_table
    >>> ax = hours_of_jobs(scale_table(1e6 / 36, workers=[1, 10]), Figure().subplots())
    >>> len(ax.lines), ax.get_xscale()
    (6, 'log')
    """
    ax = axes(ax)
    colours = [COLOURS[name] for name in ("ann", "snn", "truth", "wrong", "other")]
    for i, (workers, hours) in enumerate(table["hours"].groupby(level="workers")):
        ax.plot(
            hours.index.get_level_values("predictions"),
            hours,
            marker="os^Dv"[i % 5],
            color=colours[i % 5],
            label=f"{workers:,} worker{'s' if workers > 1 else ''}",
        )
    ax.set(xscale="log", yscale="log", xlabel="predictions (draws x observations)", ylabel="hours")
    low, high = ax.get_ylim()
    across = ax.get_yaxis_transform()
    for name, span in SPANS.items():
        if low < span < high:
            ax.axhline(span, color=COLOURS["floor"], lw=0.8, ls=":")
            ax.text(1.01, span, name, va="center", fontsize="small", transform=across)
    ax.legend(fontsize="small", loc="lower right")
    return ax
