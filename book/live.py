"""What the interactive page needs: a small trained network, its masks, and a still figure.

The page computes in the reader's browser (`_static/live_model.js`); this file hands it weights,
not results. It trains on the simulated screen, whatever data the chapters had.
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
import xarray as xr
from matplotlib.figure import Figure

from spikedrop.checks.samples import as_samples
from spikedrop.conversion import WINDOWED, Neuron, calibrate
from spikedrop.masks import stacked_masks
from spikedrop.network import Network
from spikedrop.network.forward import forward
from spikedrop.plots import COLOURS, style
from spikedrop.sampling.ann import sample_ann
from spikedrop.sampling.snn import sample_snn
from spikedrop.study.example import Example, running_example

HIDDEN = (32, 32)
DRAWS = 100
SEED = 0
TRAINED_RATE = 0.1
DOSES = 41
#: Where the sliders of the page can stand.
RATES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
START = {"rate": 0.1, "steps": 100, "hz": 200}


def live_values() -> dict[str, object]:
    """Return what the page says in words."""
    return {"live_units": HIDDEN[0], "live_rate": TRAINED_RATE, "live_draws": DRAWS}


def live_example(work: Path) -> Example:
    """Train the small network on the simulated screen, or load it from `work`."""
    return running_example(work=work, seed=SEED, hidden=HIDDEN, dropout=TRAINED_RATE, epochs=40)


def live_data(example: Example) -> dict[str, object]:
    """Return what the browser computes from, as plain lists and numbers.

    ``currents`` are the first layer's values before rectification, axes (dose, unit), because
    only the dose changes; ``layers`` the maps behind it. ``dropped_from`` tells for every layer,
    draw and unit the position in ``rates`` from which on it is silent: a unit that is dropped at
    one rate is dropped at every higher one, and so these are the masks of the package. ``tops``
    are the activations that calibrated scales refer to.
    """
    network = example.network
    row = telling_row(example)
    doses, x = example.dose_curve(row, DOSES)
    first, *behind = [layer for layer in network.layers if layer.weights is not None]
    wide = np.asarray(x, np.float32).astype(float)
    return {
        "doses": doses.tolist(),
        "drugs": [str(name) for name in _drugs(example, row)],
        "currents": (wide @ first.weights + first.bias).tolist(),
        "layers": [
            {"weights": layer.weights.tolist(), "bias": layer.bias.tolist()} for layer in behind
        ],
        "rates": list(RATES),
        "dropped_from": dropped_from(network),
        "tops": {
            "fires": tops(network, example, "charge_keeping"),
            "windows": tops(network, example, "integrate_first"),
        },
        "windowed": list(WINDOWED),
        "start": START,
    }


def _drugs(example: Example, row: int) -> list[str]:
    names = example.screen.drugs["name"]
    pair = example.screen.pairs.iloc[row]
    return [names[pair["drug_a"]], names[pair["drug_b"]]]


def telling_row(example: Example) -> int:
    """Return the test record whose growth changes most along the dose of its first drug."""
    rows = example.parts.test[:200]
    span = [np.ptp(forward(example.network, example.dose_curve(row, 9)[1])[0]) for row in rows]
    return int(rows[int(np.argmax(span))])


def tops(network: Network, example: Example, neuron: Neuron) -> list[float]:
    """Activation of every layer at the percentile that `calibrate` takes for a neuron."""
    conversion = calibrate(network, example.x[example.parts.train], rate_hz=1.0, neuron=neuron)
    return [1 / float(scale) for scale in conversion.scales_hz]


def dropped_from(network: Network) -> list[list[list[int]]]:
    """Return the first position in `RATES` at which a unit is silent: axes (layer, draw, unit)."""
    kept = []
    for rate in RATES:
        masks = stacked_masks(network.with_dropout(max(rate, 2**-32)), SEED, range(DRAWS))
        kept.append([masks[layer.name][:, 0] != 0 for layer in network.hidden])
    return [np.sum(layer, axis=0).tolist() for layer in zip(*kept, strict=True)]


def write_live(work: Path, static: Path) -> None:
    """Write into `static` the page's data and `live_still.png`, for readers without scripts.

    The data are a script and not JSON: a page opened from a folder may not load the latter.
    """
    example = live_example(work)
    data = json.dumps(live_data(example), separators=(",", ":"))
    (static / "live_data.js").write_text(f"const LIVE = {data};\n", encoding="utf-8")
    network = example.network
    doses, x = example.dose_curve(telling_row(example), DOSES)
    conversion = calibrate(network, example.x[example.parts.train], rate_hz=START["hz"])
    how = {"draws": DRAWS, "seed": SEED, "progress": False}
    ann = sample_ann(network, x, **how)
    snn = sample_snn(network, conversion, x, steps=START["steps"], **how)
    still_figure(doses, ann, snn, DOSES // 2).savefig(static / "live_still.png")


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
