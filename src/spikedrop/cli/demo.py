"""`spikedrop demo`: the main job on the simulated screen, and a page about it."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikedrop.cli.app import Json, Seed, report

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import xarray as xr

    from spikedrop.comparison import Comparison

__all__: list[str] = []

RECORDS, HIDDEN, EPOCHS = 6000, (128, 128), 25
TESTED, DRAWS, STEPS, RATE_HZ = 300, 200, 200, 500.0
OWN_DATA = """spikedrop train table.csv --target y -o model.keras
spikedrop sample model.keras rows.csv -o ann.zarr --draws 200 --network ann
spikedrop sample model.keras rows.csv -o snn.zarr --draws 200 --network snn
spikedrop compare ann.zarr snn.zarr"""
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; margin: 0 auto;
       max-width: 46rem; padding: 1.5rem; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { font-size: 1.2rem; margin-top: 2rem; }
figure { margin: 1.5rem 0; } img { max-width: 100%; height: auto; }
figcaption { color: #444; font-size: .9rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child { text-align: left; } pre { background: #f4f4f4; padding: .8rem; overflow-x: auto; }
"""


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The page to write: .html.")
    ] = Path("spikedrop_demo.html"),
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Do the main job on a small simulated drug screen, and write a page with figures about it.

    Simulates, trains, samples the network as it is and on spikes with the same masks, compares and
    scores. Takes about a minute.

    Example: spikedrop demo -o spikedrop_demo.html
    """
    from spikedrop.files.writing import check_output, written

    check_output(output, (".html",))
    began = time.monotonic()
    _say("simulating a screen and training a network (1 of 3)")
    import numpy as np

    from spikedrop.comparison import compare
    from spikedrop.conversion import calibrate
    from spikedrop.data import fit_design, simulate_screen, split
    from spikedrop.network.graph import Network
    from spikedrop.sampling.snn import sample_snn
    from spikedrop.scores import fit_noise_sd, score_table
    from spikedrop.training.keras import train

    screen = simulate_screen(n_records=RECORDS, seed=seed)
    parts = split(screen.pairs, "rows", seed=seed)
    design = fit_design(screen, parts.train)
    x, y = design.matrix(screen.pairs), screen.pairs["growth_fraction"].to_numpy(float)
    model = train(
        x[parts.train],
        y[parts.train],
        (x[parts.validation], y[parts.validation]),
        seed=seed,
        hidden=HIDDEN,
        epochs=EPOCHS,
        swap=design.swap,
        progress=True,
    )
    network = Network.from_keras(model)
    _say("sampling both networks with the same masks (2 of 3)")
    from spikedrop.sampling.ann import sample_ann

    tested = np.sort(np.random.default_rng(seed).permutation(parts.test)[:TESTED])
    ann = sample_ann(network, x[tested], draws=DRAWS, seed=seed)
    conversion = calibrate(network, x[parts.train], rate_hz=RATE_HZ)
    snn = sample_snn(network, conversion, x[tested], draws=DRAWS, seed=seed, steps=STEPS)
    _say("comparing, scoring and drawing (3 of 3)")
    verdict = compare(ann, snn)
    held = sample_ann(network, x[parts.validation], draws=DRAWS, seed=seed)
    noise = fit_noise_sd(held, y[parts.validation])
    scores = score_table(ann, snn, y[tested], noise, seed=seed, unit="growth fraction")
    with written(output) as place:
        place.write_text(
            _page(verdict, scores, ann, snn, y[tested], noise, network.n_neurons), encoding="utf-8"
        )
    assert verdict.error is not None  # the comparison is paired
    result = {
        "report": str(output),
        "verdict": verdict.verdict,
        "mean_paired_error_sd": verdict.error.mean,
        "spikes_per_presentation": snn.attrs["spikes_per_presentation"],
        "scores": {name: {"ann": row["ANN"], "snn": row["SNN"]} for name, row in scores.iterrows()},
        "seconds": round(time.monotonic() - began, 1),
        "seed": seed,
    }
    text = (
        f"{verdict.verdict}: {verdict.reason}\n"
        f"{output}: the page about it, after {result['seconds']} s"
    )
    report(as_json, result, text)


def _say(text: str) -> None:
    typer.echo(f"demo: {text}", err=True)


def _page(
    verdict: Comparison,
    scores: pd.DataFrame,
    ann: xr.DataArray,
    snn: xr.DataArray,
    y: np.ndarray,
    noise: float,
    n_neurons: int,
) -> str:
    """Write the page: what was asked, what was found, how sure, how to go on."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    from spikedrop.plots.calibration import pit_histogram
    from spikedrop.plots.distributions import densities, draw_by_draw
    from spikedrop.scores import pit

    assert verdict.error is not None
    error, spikes = verdict.error.mean, snn.attrs["spikes_per_presentation"]
    both = {"ANN": ann, "SNN": snn}
    figures = [
        Figure(
            densities(both, range(6), truth=y).flat[0].figure,
            "Predictive densities of six records that the network has not seen. Dotted: measured.",
            "Six panels; in each the filled predictive density of the artificial network, the "
            "dashed one of the spiking network over it, and a dotted line at the measured growth.",
        ),
        Figure(
            draw_by_draw(ann[:20], snn[:20]).figure,
            "Every point is one draw of one record, with the same neurons silent in both networks.",
            f"Scatter of spiking against artificial draws; the mean distance from the diagonal is "
            f"{error:.3g} predictive standard deviations.",
        ),
        Figure(
            pit_histogram({k: pit(v, y, noise, seed=0) for k, v in both.items()}).figure,
            "Where the measurements fall in the predictive distributions; flat within the grey "
            "band is calibrated.",
            "Histogram of the probability integral transform of both networks, with a grey band "
            "for what a calibrated prediction gives.",
        ),
    ]
    html = [figure.html() for figure in figures]
    plt.close("all")
    score_rows = scores.rename(columns={"low": "difference, low", "high": "difference, high"})
    return page(
        "Does the spiking network know what the artificial one knows?",
        [
            paragraph(
                f"A network of {n_neurons} hidden neurons was trained with dropout on a simulated "
                f"screen of cancer drug pairs. Its predictive distribution was sampled {DRAWS} "
                f"times for {len(y)} records it had not seen: as it is (ANN), and converted to "
                f"spiking neurons (SNN, {STEPS} steps of 1 ms), with the same neurons silent in "
                "each draw."
            ),
            "<h2>The answer</h2>",
            paragraph(f"{verdict.verdict.capitalize()}: {verdict.reason}"),
            paragraph(
                f"The margin is {verdict.margin:g} predictive standard deviations, the probability "
                f"of error {verdict.level:g}. A presentation of the SNN takes {spikes:,.0f} spikes."
            ),
            html[0],
            html[1],
            "<h2>How good are the predictions?</h2>",
            paragraph(
                "Scores against the measured growth of the records, with observation noise of "
                f"{noise:.3g} chosen on validation records, and a 95 % bootstrap interval of the "
                "difference. How good they are is the network's and the data's doing; that both "
                "columns agree is the conversion's."
            ),
            table(score_rows),
            html[2],
            "<h2>With your own data</h2>",
            f"<pre>{OWN_DATA}</pre>",
            paragraph("Each command says more with --help."),
        ],
    )


@dataclass(frozen=True)
class Figure:
    """A drawing with its caption and what is to be seen in it."""

    drawing: Any
    caption: str
    alt: str

    def html(self) -> str:
        """Return the figure with its image inline."""
        stream = io.BytesIO()
        self.drawing.savefig(stream, format="png", dpi=110, metadata={"Software": None})
        image = base64.b64encode(stream.getvalue()).decode("ascii")
        return (
            f'<figure><img src="data:image/png;base64,{image}" alt="{escape(self.alt)}">'
            f"<figcaption>{escape(self.caption)}</figcaption></figure>"
        )


def table(frame: pd.DataFrame) -> str:
    """Return a table with three digits, its index as the first column."""
    return f'<div class="wide">{frame.to_html(border=0, float_format="{:.3g}".format)}</div>'


def paragraph(text: str) -> str:
    """Return a paragraph of plain text.

    >>> paragraph("a < b")
    '<p>a &lt; b</p>'
    """
    return f"<p>{escape(text)}</p>"


def page(title: str, parts: Sequence[str]) -> str:
    """Return the whole page; `parts` are HTML."""
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
    )
