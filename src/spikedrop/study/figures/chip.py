"""Figures of the chip: few bits, and a fixed set of masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from spikedrop.plots import COLOURS, axes
from spikedrop.plots.distributions import densities

__all__ = ["bits_densities", "error_against_bits"]

_LINES = {"quantised ANN": (COLOURS["ann"], "s", "--"), "chip": (COLOURS["snn"], "o", "-")}


def error_against_bits(
    table: pd.DataFrame, ax: Axes | None = None, *, margin: float = 0.05
) -> Axes:
    """Mean paired error against bits per weight, with spikes and without.

    The dashed horizontal line is the spiking network with weights in floating point, the dotted one
    the margin.

    Parameters
    ----------
    table : pandas.DataFrame
        From `spikedrop.study.bits.bits_table`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.
    margin : float, default 0.05
        Predictive sd; the default is that of `spikedrop.comparison.compare`.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> samplers = ["SNN", "quantised ANN", "chip"]
    >>> table = pd.DataFrame({"sampler": samplers, "bits": [np.nan, 8.0, 8.0]})
    >>> ax = error_against_bits(table.assign(error=[0.02, 0.01, 0.03]), Figure().subplots())
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['quantised ANN, no spikes', 'chip', 'SNN, floating point', 'margin']
    """
    ax = axes(ax)
    for name, (colour, marker, line) in _LINES.items():
        rows = table[table["sampler"] == name].sort_values("bits")
        label = f"{name}, no spikes" if name == "quantised ANN" else name
        ax.plot(rows["bits"], rows["error"], marker=marker, ls=line, color=colour, label=label)
    for error in table.loc[table["bits"].isna(), "error"]:
        ax.axhline(error, color=COLOURS["other"], ls="--", lw=1.2, label="SNN, floating point")
    ax.axhline(margin, color=COLOURS["floor"], ls=":", lw=1.2, label="margin")
    ax.set(
        yscale="log",
        xticks=sorted(table["bits"].dropna().unique()),
        xlabel="bits per weight",
        ylabel="mean |sample - ANN| (predictive sd)",
    )
    ax.legend(fontsize="small")
    return ax


def bits_densities(
    samples: Mapping[tuple[str, int | None], xr.DataArray],
    observations: Sequence[int],
    *,
    columns: int = 3,
) -> np.ndarray:
    """Predictive densities of the ANN and of the chip at no more than three numbers of bits.

    Parameters
    ----------
    samples : mapping
        From `spikedrop.study.bits.bits_samples`; the chip's first three are shown.
    observations : sequence of int
        Positions of the observations to show.
    columns : int, default 3
        Panels per row.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        One panel per observation, axes (row, column), as `spikedrop.plots.distributions.densities`
        draws them.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> ann, chip = np.random.default_rng(0).normal(size=(2, 50, 2))
    >>> panels = bits_densities({("ANN", None): ann, ("chip", 8): chip}, [0, 1], columns=2)
    >>> panels.shape
    (1, 2)
    >>> plt.close(panels[0, 0].figure)
    """
    shown = {"ANN": samples["ANN", None]}
    shown |= {f"chip, {b} bits": s for (name, b), s in samples.items() if name == "chip"}
    return densities(dict(list(shown.items())[:4]), observations, columns=columns)


def error_against_members(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Error of the mean and of the sd against the number of stored masks.

    `table` is that of `spikedrop.study.members.members_table`; thin lines are what normal
    predictions would give.
    """
    ax = axes(ax)
    for name, label, colour, marker in (
        ("mean error", "mean, in predictive sd", COLOURS["ann"], "o"),
        ("sd error", "sd, share of itself", COLOURS["snn"], "s"),
    ):
        ax.plot(table["members"], table[name], marker=marker, color=colour, label=label)
        ax.plot(table["members"], table[f"{name} expected"], color=colour, lw=0.8, ls=":")
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="stored masks",
        ylabel="error against masks without end",
    )
    ax.set_xticks(table["members"], [str(k) for k in table["members"]])
    low, high = ax.get_ylim()
    marks = [mark for mark in (0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0) if low <= mark <= high]
    ax.set_yticks(marks, [f"{mark:g}" for mark in marks])
    ax.minorticks_off()
    ax.legend(fontsize="small")
    return ax
