"""Figures of chapter 13: digits and their draws, two kinds of doubt, detection, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from spikedrop.checks.accepted import SamplesLike, ValuesLike
from spikedrop.checks.samples import as_samples, matched
from spikedrop.plots import COLOURS, axes, style
from spikedrop.scores.classification import accuracy_of_kept, reliability
from spikedrop.scores.information import of_probabilities

__all__ = ["accuracy_kept", "detection", "digits_and_draws", "reliability_curves", "two_doubts"]

LINES = {"ANN": ("ann", "-", "o"), "SNN": ("snn", "--", "X"), "no draws": ("floor", ":", "D")}
MEASURES = {
    "entropy": COLOURS["truth"],
    "mutual information": COLOURS["other"],
    "1 - largest probability": COLOURS["floor"],
}


def _look(name: str) -> tuple[str, str, str]:
    """Colour, line and marker of a network."""
    colour, line, marker = LINES.get(name, ("other", "-.", "s"))
    return COLOURS[colour], line, marker


def digits_and_draws(
    images: np.ndarray, samples: Mapping[str, SamplesLike], titles: Sequence[str]
) -> np.ndarray:
    """Each image, and below it the probabilities of all draws, one small mark per draw and class.

    Parameters
    ----------
    images : numpy.ndarray
        Axes (observation, height, width[, 1]), from 0 (white) to 1 (black).
    samples : mapping
        ``ANN`` and ``SNN`` to axes (draw, observation, class): of the same observations.
    titles : sequence of str
        One per image.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        Axes (2, observation): pictures above, probabilities below.

    Examples
    --------
    >>> images = np.zeros((2, 8, 8))
    >>> samples = np.full((5, 2, 10), 0.1)
    >>> panels = digits_and_draws(images, {"ANN": samples, "SNN": samples}, ["a", "b"])
    >>> panels.shape
    (2, 2)
    >>> plt.close(panels[0, 0].figure)
    """
    style()
    figure, panels = plt.subplots(
        2,
        len(titles),
        figsize=(1.75 * len(titles) + 0.6, 4.2),
        height_ratios=(1, 1.5),
        squeeze=False,
    )
    for i, title in enumerate(titles):
        above, below = panels[:, i]
        above.imshow(np.squeeze(images[i]), cmap="gray_r", vmin=0, vmax=1)
        above.set(xticks=[], yticks=[])
        above.spines[:].set_visible(True)
        above.set_title(title, fontsize="small")
        for shift, (name, values) in zip((-0.2, 0.2), samples.items(), strict=False):
            p = as_samples(values, name, outputs="classes").take(np.array([i])).all()[:, 0]
            colour, _, _ = _look(name)
            where = np.arange(p.shape[1]) + shift
            below.bar(where, p.mean(axis=0), width=0.38, color=colour, alpha=0.35, label=name)
            below.plot(np.tile(where, len(p)), p.ravel(), "_", color=colour, ms=4, alpha=0.5)
        below.set(ylim=(0, 1.02), xticks=range(p.shape[1]), yticks=[0, 0.5, 1])
        below.tick_params(axis="x", labelsize="x-small")
        if i:
            below.set_yticklabels([])
    panels[1, 0].set_ylabel("probability")
    handles, labels = panels[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    figure.supxlabel("digit")
    return panels


def two_doubts(frames: Mapping[str, pd.DataFrame], ax: Axes | None = None, *, of: str) -> Axes:
    """Entropy against mutual information, one mark per observation, one colour per kind of images.

    On the line all doubt is between the draws.

    Parameters
    ----------
    frames : mapping
        Kind of images to the table of `spikedrop.scores.uncertainties`, up to four.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.
    of : str
        Name of the network whose columns are shown.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from spikedrop.scores import uncertainties
    >>> torn = np.array([[[0.9, 0.1]], [[0.1, 0.9]]])
    >>> ax = two_doubts({"digits": uncertainties({"ANN": torn})}, Figure().subplots(), of="ANN")
    >>> ax.lines[0].get_xdata().round(3).tolist()  # log 2
    [0.693]
    """
    ax = axes(ax)
    looks = zip(["ann", "wrong", "truth", "other"], "oXsD", strict=True)
    for (kind, frame), (colour, marker) in zip(frames.items(), looks, strict=False):
        ax.plot(
            frame[f"entropy, {of}"],
            frame[f"mutual information, {of}"],
            marker,
            ls="",
            ms=4.5,
            mew=0,
            alpha=0.5,
            color=COLOURS[colour],
            label=kind,
        )
    right, top = (
        1.05 * max(frame[f"{measure}, {of}"].max() for frame in frames.values())
        for measure in ("entropy", "mutual information")
    )
    ax.plot([0, right], [0, right], color=COLOURS["floor"], lw=1)
    ax.set(
        xlim=(0, right),
        ylim=(0, top),
        xlabel="predictive entropy (nat)",
        ylabel="mutual information (nat)",
    )
    ax.legend(fontsize="small", markerscale=1.5)
    return ax


def detection(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Area under the ROC curve for every kind of strange images, one mark per measure and network.

    Left of the line at one half the network is surer of the strange images than of the familiar
    ones.

    Parameters
    ----------
    table : pandas.DataFrame
        From `spikedrop.scores.detection_table`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"entropy, ANN": [0.9], "entropy, SNN": [0.8]}, index=["letters"])
    >>> ax = detection(table, Figure().subplots())
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['entropy, ANN', 'entropy, SNN']
    """
    if ax is None:
        style()
        ax = plt.subplots(figsize=(7.6, 0.55 * len(table) + 1.6))[1]
    rows = np.arange(len(table))
    spread = np.linspace(-0.28, 0.28, len(table.columns))
    for shift, column in zip(spread, table, strict=True):
        measure, name = column.split(", ")
        _, _, marker = _look(name)
        ax.plot(table[column], rows + shift, marker, color=MEASURES[measure], ms=7, label=column)
    ax.axvline(0.5, color="black", lw=1, ls=":")
    for row in rows[1:]:
        ax.axhline(row - 0.5, color=COLOURS["floor"], lw=0.4)
    ax.set_yticks(rows, list(table.index))
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set(xlim=(0, 1.02), xlabel="AUROC, strange against familiar images")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    return ax


def reliability_curves(
    samples: Mapping[str, SamplesLike],
    labels: ValuesLike,
    ax: Axes | None = None,
    *,
    bins: int = 10,
) -> Axes:
    """Share that is right against stated confidence; the diagonal is calibrated.

    The area of a mark grows with the observations in its bin.

    Parameters
    ----------
    samples : mapping
        Name to probabilities, axes (draw, observation, class).
    labels : array
        True classes, axis (observation,).
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.
    bins : int, default 10
        Bins of confidence, see `spikedrop.scores.classification.reliability`.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> samples = np.array([[[0.8, 0.2], [0.3, 0.7]], [[0.6, 0.4], [0.1, 0.9]]])
    >>> ax = reliability_curves({"ANN": samples}, [0, 1], Figure().subplots(), bins=2)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('stated confidence: largest mean probability', 'share of images read right')
    """
    ax = axes(ax)
    ax.plot([0, 1], [0, 1], color=COLOURS["floor"], lw=1, label="calibrated")
    for name, values in samples.items():
        table = reliability(values, labels, bins=bins)
        colour, line, marker = _look(name)
        ax.plot(table["confidence"], table["accuracy"], ls=line, color=colour, lw=1.5)
        size = 20 + 200 * table["count"] / table["count"].sum()
        ax.scatter(
            table["confidence"],
            table["accuracy"],
            s=size,
            marker=marker,
            color=colour,
            alpha=0.6,
            lw=0,
            label=name,
        )
    ax.set(
        xlim=(0, 1.02),
        ylim=(0, 1.05),
        xlabel="stated confidence: largest mean probability",
        ylabel="share of images read right",
    )
    ax.legend(loc="upper left")
    return ax


def accuracy_kept(
    samples: Mapping[str, SamplesLike], labels: ValuesLike, ax: Axes | None = None
) -> Axes:
    """Accuracy on what is kept against the share refused, the most uncertain refused first.

    Uncertainty is the predictive entropy. The dotted oracle refuses the errors of the first sample
    first. Shares up to 40 % are shown.

    Parameters
    ----------
    samples, labels : see `reliability_curves`
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> samples = np.array([[[0.8, 0.2], [0.3, 0.7]], [[0.6, 0.4], [0.1, 0.9]]])
    >>> ax = accuracy_kept({"ANN": samples}, [0, 1], Figure().subplots())
    >>> [[float(y) for y in line.get_ydata()] for line in ax.lines]  # both are right
    [[100.0, 100.0], [100.0, 100.0], [100.0, 100.0]]
    """
    ax = axes(ax)
    for name, values in samples.items():
        kept, right = accuracy_of_kept(values, labels)
        colour, line, _ = _look(name)
        ax.plot(100 * (1 - kept), 100 * right, ls=line, color=colour, lw=1.8, label=name)
    name, first = next(iter(samples.items()))
    first = as_samples(first, name, outputs="classes")
    mean = of_probabilities(lambda values: values.mean(axis=0), first)
    wrong = mean.argmax(axis=-1) != matched(labels, first, "labels")
    kept, best = accuracy_of_kept(first, labels, wrong.astype(float))
    ax.plot(100 * (1 - kept), 100 * best, color="black", lw=1, ls=":", label="oracle")
    all_kept = 100 * (1 - wrong.mean())
    ax.axhline(all_kept, color=COLOURS["floor"], lw=1, ls="--", label="at random")
    ax.set(
        xlim=(0, 40),
        ylim=(all_kept - 0.5 * (100.5 - all_kept), 100 + 0.1 * (100.5 - all_kept)),
        xlabel="images refused, the least certain first (%)",
        ylabel="read right of the rest (%)",
    )
    ax.legend(loc="lower right", ncols=3, fontsize="small")
    return ax
