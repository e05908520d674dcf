"""Print measured scores beside the published ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spikedrop.study.uci.published import PUBLISHED, SOURCES, published_name

__all__ = ["format_table", "table_cells"]

SCORES = ("rmse", "log_likelihood")
COLUMNS = ("set", "network", "layers", "RMSE", "log likelihood", "splits", "seconds")
Cells = list[tuple[str, ...]]


def table_cells(rows: Sequence[dict[str, Any]]) -> Cells:
    """Return the cells of `format_table`, row by row, the names of the columns first.

    Runs of one set with different numbers of layers stand below one another.

    Examples
    --------
    >>> splits = [
    ...     {net: {"rmse": r, "log_likelihood": -r, "seconds": 1.0} for net in ("ann", "snn")}
    ...     for r in (1.0, 3.0)
    ... ]
    >>> from spikedrop.study.uci.run import summaries
    >>> for line in table_cells(summaries("mine", 2, splits)):
    ...     line[1], line[3]
    ('network', 'RMSE')
    ('ANN', '2.000 ± 1.000')
    ('SNN', '2.000 ± 1.000')
    ('SNN - ANN', '+0.00000')
    """
    cells: Cells = [COLUMNS]
    runs = dict.fromkeys((row["set"], row["layers"]) for row in rows)
    for name in dict.fromkeys(name for name, _ in runs):
        depths = [layers for of, layers in runs if of == name]
        for layers in depths:
            ann, snn = (row for row in rows if (row["set"], row["layers"]) == (name, layers))
            for row in (ann, snn):
                scores = (_with_error(row[key], row[f"{key}_se"]) for key in SCORES)
                cells.append(
                    (
                        name if row is ann and layers == depths[0] else "",
                        row["network"].upper(),
                        str(layers),
                        *scores,
                        str(row["splits"]),
                        f"{row['seconds']:.0f}" if "seconds" in row else "",
                    )
                )
            apart = (_difference(snn, key) for key in SCORES)
            cells.append(("", "SNN - ANN", str(layers), *apart, str(snn["splits"]), ""))
        for key, (rmse, log_likelihood) in PUBLISHED.get(published_name(name) or "", {}).items():
            source = SOURCES[key]
            scores = (f"{rmse}", f"{log_likelihood:.2f}")
            cells.append(("", source.label, str(source.layers), *scores, "", ""))
    return cells


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """Lay out the rows of `run_set` with what is published for their sets, and the sources.

    Parameters
    ----------
    rows : sequence of dict
        As `run_set` returns them, both networks of a run after one another.

    Returns
    -------
    str
        Scores with their standard errors over splits, and the hidden layers of each network.
        ``SNN - ANN`` is the mean difference over splits, and in brackets the same in standard
        errors of that *paired* difference.

    Examples
    --------
    >>> splits = [
    ...     {net: {"rmse": r, "log_likelihood": -r, "seconds": 1.0} for net in ("ann", "snn")}
    ...     for r in (1.0, 3.0)
    ... ]
    >>> from spikedrop.study.uci.run import summaries
    >>> print(format_table(summaries("mine", 2, splits)).split("\\n")[2])
    mine  ANN        2       2.000 ± 1.000  -2.000 ± 1.000  2       2
    """
    cells = table_cells(rows)
    widths = [max(len(line[i]) for line in cells) for i in range(len(COLUMNS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    notes = [f"{source.label}: {source.reference}." for source in SOURCES.values()]
    return "\n".join([*lines, "", *notes])


def _with_error(value: float, error: float) -> str:
    return f"{value:.3f} ± {error:.3f}" if abs(value) >= 0.1 else f"{value:.5f} ± {error:.5f}"


def _difference(snn: dict[str, Any], key: str) -> str:
    difference, error = snn[f"{key}_difference"], snn[f"{key}_difference_se"]
    return f"{difference:+.5f}" + (f" ({difference / error:+.2f} se)" if error else "")
