"""Figures of chapters 3 and 4: membranes, firing rates, error against steps, running readouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from spikedrop.plots import COLOURS, axes, style

__all__ = [
    "accuracy_panels",
    "converter_spread",
    "cost_bars",
    "error_against_steps",
    "membrane_traces",
    "rate_code",
    "running_readout",
]

LOOKS = {
    "charge_keeping": (COLOURS["snn"], "keeps charge"),
    "rectified": (COLOURS["wrong"], "rectified (Nengo's)"),
}


def _look(neuron: str) -> tuple[str, str]:
    """Colour and title of a neuron; one that has none of its own goes by its name."""
    return LOOKS.get(neuron, (COLOURS["other"], neuron))


def membrane_traces(
    current: np.ndarray, traces: Mapping[str, tuple[np.ndarray, np.ndarray]], dt: float
) -> Sequence[Axes]:
    """One input current and what each neuron makes of it.

    Parameters
    ----------
    current : numpy.ndarray
        Threshold units per second, axis (step,).
    traces : mapping
        Neuron name to (voltage after the spikes, in thresholds, and spikes), each axis (step,).
    dt : float
        Seconds per step.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        Axis (panel,): the current, then one panel per neuron.

    Examples
    --------
    >>> current = np.array([400.0, 400.0, 400.0])  # of a threshold, in steps of 1 ms
    >>> trace = (np.array([0.4, 0.8, 0.2]), np.array([0.0, 0.0, 1.0]))
    >>> panels = membrane_traces(current, {"charge_keeping": trace}, 0.001)
    >>> panels[1].get_title(loc="left")
    'keeps charge: spikes fired: 1'
    >>> plt.close(panels[0].figure)
    """
    style()
    figure, panels = plt.subplots(
        1 + len(traces), 1, sharex=True, figsize=(8, 2 + 1.6 * len(traces))
    )
    ms = np.arange(len(current)) * dt * 1e3
    panels[0].axhline(0, color=COLOURS["floor"], lw=0.8)
    panels[0].step(ms, current, where="post", color="black", lw=1)
    panels[0].axhline(current.mean(), color=COLOURS["truth"], lw=1.5, ls="--", label="mean current")
    panels[0].set(ylabel="current\n(thresholds/s)")
    panels[0].legend(loc="lower right", bbox_to_anchor=(1, 1))
    for ax, (neuron, (voltage, spikes)) in zip(panels[1:], traces.items(), strict=True):
        colour, title = _look(neuron)
        ax.axhline(1, color=COLOURS["floor"], lw=0.8, ls=":")
        ax.axhline(0, color=COLOURS["floor"], lw=0.8)
        ax.step(ms, voltage, where="post", color=colour, lw=1.3)
        fired = np.flatnonzero(spikes > 0)
        ax.vlines(ms[fired], 1.0, 1.35, color="black", lw=1.2)
        ax.set(ylabel="charge\n(thresholds)")
        ax.set_title(f"{title}: spikes fired: {int(spikes.sum())}", loc="left")
    panels[-1].set(xlabel="time (ms)")
    figure.align_ylabels()
    return panels


def rate_code(
    activations: Sequence[np.ndarray], decoded: Mapping[str, Sequence[np.ndarray]]
) -> np.ndarray:
    """Activation of the ANN against what the spikes stand for, one panel per layer and neuron.

    Parameters
    ----------
    activations : sequence of numpy.ndarray
        Activations of the ANN, one array per hidden layer, axis (unit,).
    decoded : mapping
        Neuron name to the activations that its spikes stand for, arrays as in `activations`.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        Axes (neuron, layer).

    Examples
    --------
    >>> activations = [np.array([0.0, 1.0]), np.array([0.5, 2.0])]
    >>> panels = rate_code(activations, {"charge_keeping": activations})
    >>> panels.shape  # (neuron, layer)
    (1, 2)
    >>> plt.close(panels[0, 0].figure)
    """
    style()
    n = len(activations)
    figure, panels = plt.subplots(
        len(decoded), n, figsize=(2.9 * n, 2.8 * len(decoded)), squeeze=False, sharex="col"
    )
    for row, (neuron, layers) in zip(panels, decoded.items(), strict=True):
        colour, title = _look(neuron)
        for i, (ax, a, d) in enumerate(zip(row, activations, layers, strict=True)):
            top = max(a.max(), d.max()) * 1.05
            ax.plot([0, top], [0, top], color=COLOURS["floor"], lw=1)
            ax.scatter(a, d, s=6, alpha=0.5, color=colour, lw=0)
            ax.set(xlim=(-0.03 * top, top), ylim=(-0.03 * top, top))
            ax.set_title(f"layer {i + 1}, {title}", fontsize="small")
    figure.supxlabel("activation of the ANN")
    figure.supylabel("activation the spikes stand for")
    return panels


def error_against_steps(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Mean paired error against time steps, one line per setting, with a 1/T guide.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``steps``, ``setting``, ``neuron`` and ``error`` (predictive sd), as from
        `spikedrop.study.fidelity.fidelity_table`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"steps": [10, 100], "error": [0.5, 0.05]})
    >>> table = table.assign(setting="keeps charge, none", neuron="charge_keeping")
    >>> ax = error_against_steps(table, Figure().subplots())
    >>> ax.lines[1].get_ydata().tolist()  # the guide: ten times the steps, a tenth of the error
    [0.5, 0.05]
    """
    ax = axes(ax)
    markers = cycle("osD^vP*X")
    for setting, rows in table.groupby("setting", sort=False):
        ax.plot(
            rows["steps"],
            rows["error"],
            marker=next(markers),
            ms=5,
            color=_look(rows["neuron"].iloc[0])[0],
            ls="-" if "none" in str(setting) else "--",
            label=setting,
        )
    steps = np.array(sorted(table["steps"].unique()), float)
    keeping = table["neuron"] == "charge_keeping"
    start = table.loc[keeping if keeping.any() else slice(None), "error"].max()
    ax.plot(steps, start * steps[0] / steps, color=COLOURS["floor"], lw=1, ls=":", label="1/T")
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="time steps T of a presentation",
        ylabel="mean |SNN - ANN|\n(predictive sd)",
    )
    _ticks_at(ax, steps)
    ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def _ticks_at(ax: Axes, values: np.ndarray) -> None:
    """Label a logarithmic axis with the values that were run."""
    ax.set_xticks(values, [f"{t:g}" for t in values])
    ax.set_xticks([], minor=True)


def running_readout(
    running: np.ndarray, target: float, dt: float, ax: Axes | None = None, *, label: str = ""
) -> Axes:
    """Running mean of the readout while an input is presented, against the ANN's output.

    Parameters
    ----------
    running : numpy.ndarray
        Running mean of the readout, axis (step,), growth fraction.
    target : float
        Output of the ANN with the same mask, growth fraction.
    dt : float
        Seconds per step.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.
    label : str, default ""
        Name of the running mean in the legend; "SNN, running mean" if empty.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = running_readout(np.array([0.0, 0.5, 0.4]), 0.45, 0.001, Figure().subplots())
    >>> ax.lines[1].get_xdata().tolist()  # ms
    [1.0, 2.0, 3.0]
    """
    ax = axes(ax)
    ms = (np.arange(len(running)) + 1) * dt * 1e3
    ax.axhline(target, color=COLOURS["ann"], lw=1.5, label="ANN, same mask")
    ax.plot(ms, running, color=COLOURS["snn"], lw=1.3, label=label or "SNN, running mean")
    ax.set(xlabel="time (ms)", ylabel="growth (fraction)")
    ax.legend()
    return ax


def converter_spread(
    table: pd.DataFrame, ax: Axes | None = None, *, spikes_seen: pd.Series | None = None
) -> Axes:
    r"""Spread that is left against steps, one line per column; 1 is faithful.

    The law :math:`1 / \sqrt{T}` is drawn beside them.

    Parameters
    ----------
    table : pandas.DataFrame
        Predictive sd of the SNN over that of the ANN, index the time steps T; at most two columns,
        as the first two of `spikedrop.study.redrawn.hold_table`. More are not drawn.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.
    spikes_seen : pandas.Series, optional
        The N of `spikedrop.study.redrawn.spikes_seen` at the same steps: the law :math:`1 /
        \sqrt{N}` is drawn too. By default it is not.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"redrawn": [1.0, 0.3]}, index=[1, 10])
    >>> ax = converter_spread(table, Figure().subplots())
    >>> ax.lines[1].get_ydata().round(3).tolist()  # one over the root of the steps
    [1.0, 0.316]
    """
    ax = axes(ax)
    steps = table.index.to_numpy(float)
    ax.axhline(1, color=COLOURS["ann"], lw=1.5, label="faithful")
    ax.plot(steps, 1 / np.sqrt(steps), color=COLOURS["floor"], ls=":", label=r"$1/\sqrt{T}$")
    if spikes_seen is not None:
        law = spikes_seen.to_numpy(float) ** -0.5
        ax.plot(steps, law, color=COLOURS["floor"], ls="--", label=r"$1/\sqrt{N}$")
    for column, marker in zip(table.columns, "os", strict=False):
        ax.plot(steps, table[column], marker=marker, label=column)
    ax.set(xscale="log", xlabel="time steps T", ylabel="sd / ANN predictive sd")
    ax.set_ylim(-0.05, max(1.12, 1.05 * float(table.to_numpy().max())))
    _ticks_at(ax, steps)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def accuracy_panels(table: pd.DataFrame) -> np.ndarray:
    """Paired error against steps, rate and spikes, one line per neuron.

    Rate codes have solid lines. Neurons that send a rounded activation have dashed lines in colours
    of their own.

    Parameters
    ----------
    table : pandas.DataFrame
        From `spikedrop.study.fidelity.accuracy_per_spike`.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        Axis (panel,): steps, rate, spikes.

    Examples
    --------
    >>> row = {"neuron": "keeps charge", "kind": "SNN", "error": 0.1, "spikes": 900.0}
    >>> row |= {"latency": 200, "rate (Hz)": 500.0}
    >>> table = pd.DataFrame([row | {"varied": varied} for varied in ("steps", "rate")])
    >>> panels = accuracy_panels(table)
    >>> [ax.get_xlabel() for ax in panels]
    ['steps until the readout is whole', 'firing rate (Hz)', 'spikes of a presentation']
    >>> plt.close(panels[0].figure)
    """
    style()
    figure, panels = plt.subplots(1, 3, figsize=(8.5, 3.4), sharey=True)
    kinds = table.drop_duplicates("neuron").set_index("neuron")["kind"].sort_index()
    rates = cycle(COLOURS[role] for role in ("snn", "other", "wrong", "truth", "floor"))
    looks = {
        neuron: (next(rates), marker, "-") if kind == "SNN" else (COLOURS[kind], marker, "--")
        for (neuron, kind), marker in zip(kinds.items(), cycle("osD^vPX"), strict=False)
    }
    shown = (
        (
            panels[0],
            table[table["varied"] == "steps"],
            "latency",
            "steps until the readout is whole",
        ),
        (panels[1], table[table["varied"] == "rate"], "rate (Hz)", "firing rate (Hz)"),
        (panels[2], table, "spikes", "spikes of a presentation"),
    )
    for ax, rows, column, label in shown:
        for neuron, points in rows.groupby("neuron", sort=False):
            colour, marker, line = looks[neuron]
            points = points.sort_values(column)
            ax.plot(
                points[column], points["error"], line, marker=marker, ms=5, color=colour,
                label=neuron,
            )  # fmt: skip
        ax.set(xscale="log", yscale="log", xlabel=label)
    _ticks_at(panels[1], np.sort(table["rate (Hz)"].dropna().unique()))
    panels[0].set_ylabel("mean difference from the ANN\n(predictive sd)")
    figure.legend(*panels[2].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return panels


def cost_bars(
    table: pd.DataFrame, ax: Axes | None = None, *, kinds: Mapping[str, str] | None = None
) -> Axes:
    """Microseconds of a draw for one observation, one bar per sampler.

    Parameters
    ----------
    table : pandas.DataFrame
        From `spikedrop.study.cost.cost_table`: index the sampler, column ``us per draw``.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.
    kinds : mapping, optional
        Name of a sampler to its `Conversion.kind`, which gives samplers that are not a rate code
        the colour of what they are; by default all but the ANN are taken for rate codes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"us per draw": [2.0, 30.0]}, index=["ANN", "SNN"])
    >>> ax = cost_bars(table, Figure().subplots())
    >>> [float(bar.get_width()) for bar in ax.patches]
    [2.0, 30.0]
    """
    ax = axes(ax)
    time = table["us per draw"].astype(float)
    roles = {name: kind.lower() for name, kind in (kinds or {}).items()} | {"ANN": "ann"}
    colours = [COLOURS[roles.get(name, "snn")] for name in table.index]
    bars = ax.barh(table.index, time, color=colours)
    ax.bar_label(bars, fmt="{:,.3g}", padding=3)
    ax.invert_yaxis()
    ax.set(xscale="log", xlabel="microseconds per draw and observation")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:,g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.margins(x=0.15)
    return ax
