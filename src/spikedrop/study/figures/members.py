"""Figure of a fixed set of masks: its error against its size."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from spikedrop.plots import COLOURS, axes

__all__ = ["error_against_members"]


def error_against_members(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Error of the mean and of the sd against the number of stored masks.

    `table` is that of `spikedrop.study.members.members_table`; thin lines are what normal
    predictions would give.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> columns = ("mean error", "mean error expected", "sd error", "sd error expected")
    >>> table = pd.DataFrame({name: [0.5, 0.25] for name in columns}).assign(members=[4, 16])
    >>> ax = error_against_members(table, Figure().subplots())
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['mean, in predictive sd', 'sd, share of itself']
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
