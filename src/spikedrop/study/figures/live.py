"""The still figure of the interactive page."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
import xarray as xr
from matplotlib.figure import Figure

from spikedrop.checks.samples import as_samples
from spikedrop.plots import COLOURS, style

__all__: list[str] = []


def still_figure(doses: np.ndarray, ann: xr.DataArray, snn: xr.DataArray, at: int) -> Figure:
    """Predictive bands along a dose, and the two densities at dose number `at`.

    `doses` are log10 molar, axis (dose,); the samples have axes (draw, dose, 1), growth fractions.
    """
    style()
    figure, (curve, density) = plt.subplots(1, 2, figsize=(9, 3.6))
    for samples, role in ((ann, "ann"), (snn, "snn")):
        values, colour = as_samples(samples, role).all(), COLOURS[role]
        low, high = np.quantile(values, [0.05, 0.95], axis=0)
        curve.fill_between(doses, low, high, color=colour, alpha=0.25, lw=0)
        curve.plot(doses, values.mean(axis=0), color=colour, label=role.upper())
        sns.kdeplot(x=values[:, at], color=colour, fill=role == "ann", ax=density)
    curve.axvline(doses[at], color=COLOURS["floor"], lw=1, ls=":")
    curve.set(xlabel="log10 dose (molar)", ylabel="growth (fraction)")
    density.set(xlabel="growth (fraction)", ylabel="density")
    curve.legend()
    return figure
