"""Every figure the chapters show; each function takes `ax` and returns it."""

from collections.abc import Iterable
from itertools import cycle

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes

__all__ = ["COLOURS", "axes", "style"]

_PALETTE = sns.color_palette("colorblind").as_hex()

COLOURS = {
    "ann": _PALETTE[0],
    "snn": _PALETTE[1],
    "truth": _PALETTE[2],
    "wrong": _PALETTE[3],
    "other": _PALETTE[4],
    "floor": _PALETTE[7],
    "quantised": _PALETTE[9],
    "bit-serial": _PALETTE[5],
}
"""One colour per role, the same in every figure; all from seaborn's `colorblind` palette."""


def style() -> None:
    """Set how all figures look: colour-blind safe palette, opaque white background.

    It changes matplotlib's defaults for the whole session; call it in the first cell.
    Calling it again changes nothing.

    Examples
    --------
    >>> import matplotlib as mpl
    >>> with mpl.rc_context():
    ...     style()
    ...     mpl.rcParams["figure.facecolor"]
    'white'
    """
    sns.set_theme(
        context="notebook",
        style="ticks",
        palette="colorblind",
        rc={
            "figure.facecolor": "white",
            "axes.facecolor": "white",
            "savefig.facecolor": "white",
            "savefig.transparent": False,
            "figure.figsize": (6.4, 4.0),
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
            "axes.titlesize": "medium",
        },
    )


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """One colour per name: the book's for ANN and SNN, others in turn."""
    spare = cycle(("wrong", "other", "truth"))
    return {n: COLOURS[n.lower() if n in ("ANN", "SNN") else next(spare)] for n in names}


def axes(ax: Axes | None = None) -> Axes:
    """Return `ax`, or the axes of a new figure in the style of the book.

    Parameters
    ----------
    ax : matplotlib.axes.Axes, optional
        Axes to return; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes to draw on.

    Examples
    --------
    >>> ax = axes()
    >>> axes(ax) is ax
    True
    >>> plt.close(ax.figure)
    """
    if ax is not None:
        return ax
    style()
    return plt.subplots()[1]
