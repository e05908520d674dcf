"""Print measured scores beside the published ones."""

from __future__ import annotations

from collections.abc import Sequence

from spikedrop.uci.published import PUBLISHED, SOURCES, published_name

COLUMNS = ("set", "network", "RMSE", "log likelihood", "splits", "seconds")
LABELS = {"2016": "published 2016", "2018": "published 2018"}


def format_table(rows: Sequence[dict[str, object]]) -> str:
    """Lay out the rows of `run_set` with what is published for their sets, and the sources.

    Parameters
    ----------
    rows : sequence of dict
        As `run_set` returns them, both networks of a set after one another.

    Returns
    -------
    str
        Scores with their standard errors over splits. ``SNN - ANN`` is the difference of the two
        means, and in brackets the same in standard errors of the ANN's.
    """
    cells = [COLUMNS]
    for name in dict.fromkeys(row["set"] for row in rows):
        ann, snn = (row for row in rows if row["set"] == name)
        for row in (ann, snn):
            cells.append(
                (
                    name if row is ann else "",
                    row["network"].upper(),
                    _with_error(row["rmse"], row["rmse_se"]),
                    _with_error(row["log_likelihood"], row["log_likelihood_se"]),
                    str(row["splits"]),
                    f"{row['seconds']:.0f}",
                )
            )
        both = [_difference(ann, snn, key) for key in ("rmse", "log_likelihood")]
        cells.append(("", "SNN - ANN", *both, "", ""))
        for year, (rmse, log_likelihood) in PUBLISHED.get(published_name(name), {}).items():
            cells.append(("", LABELS[year], f"{rmse}", f"{log_likelihood:.2f}", "", ""))
    widths = [max(len(line[i]) for line in cells) for i in range(len(COLUMNS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    notes = [f"{LABELS[year]}: {source}." for year, source in SOURCES.items()]
    return "\n".join([*lines, "", *notes])


def _with_error(value: float, error: float) -> str:
    return f"{value:.3f} ± {error:.3f}" if abs(value) >= 0.1 else f"{value:.5f} ± {error:.5f}"


def _difference(ann: dict[str, object], snn: dict[str, object], key: str) -> str:
    difference, error = snn[key] - ann[key], ann[f"{key}_se"]
    return f"{difference:+.5f}" + (f" ({difference / error:+.2f} se)" if error else "")
