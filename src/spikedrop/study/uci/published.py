"""Published test scores of permanent dropout on the UCI sets, and measured ones beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

SCORES = ("rmse", "log_likelihood")
COLUMNS = ("set", "network", "layers", "RMSE", "log likelihood", "splits", "seconds")
__all__ = ["format_table", "published_name", "table_cells"]

SCORES = ("rmse", "log_likelihood")
COLUMNS = ("set", "network", "layers", "RMSE", "log likelihood", "splits", "seconds")
Cells = list[tuple[str, ...]]


class Source(NamedTuple):
    """Where a column of figures comes from: label of its rows, hidden layers, reference."""

    label: str
    layers: int
    reference: str


SOURCES = {
    "2016": Source(
        "published 2016",
        1,
        "Gal & Ghahramani 2016, arXiv:1506.02142: one hidden layer of 50 units (protein 100)",
    ),
    "2016, two layers": Source(
        "authors' two layers",
        2,
        "github.com/yaringal/DropoutUncertaintyExps at commit a6259f1: two hidden layers, by the "
        "program whose choice of hyperparameters, as its authors wrote later, had used rows of "
        "other splits' test sets",
    ),
    "2018": Source(
        "published 2018",
        1,
        "Mukhoti, Stenetorp & Gal 2018, arXiv:1811.09385: one hidden layer, tuned on validation "
        "rows",
    ),
}


class Figures(NamedTuple):
    """RMSE in the unit of the target (lower is better), log likelihood in nats (higher)."""

    rmse: float
    log_likelihood: float


#: Test scores by set and by key of `SOURCES`.
PUBLISHED: dict[str, dict[str, Figures]] = {
    "concrete": {
        "2016": Figures(5.23, -3.04),
        "2016, two layers": Figures(4.50, -2.82),
        "2018": Figures(4.82, -2.93),
    },
    "energy": {
        "2016": Figures(1.66, -1.99),
        "2016, two layers": Figures(0.47, -1.48),
        "2018": Figures(0.54, -1.21),
    },
    "kin8nm": {
        "2016": Figures(0.10, 0.95),
        "2016, two layers": Figures(0.08, 1.10),
        "2018": Figures(0.08, 1.14),
    },
    "naval": {
        "2016": Figures(0.01, 3.80),
        "2016, two layers": Figures(0.00, 4.32),
        "2018": Figures(0.00074, 4.45),
    },
    "power": {
        "2016": Figures(4.02, -2.80),
        "2016, two layers": Figures(3.63, -2.67),
        "2018": Figures(4.01, -2.80),
    },
    "protein": {
        "2016": Figures(4.36, -2.89),
        "2016, two layers": Figures(3.62, -2.70),
        "2018": Figures(4.27, -2.87),
    },
    "wine": {
        "2016": Figures(0.62, -0.93),
        "2016, two layers": Figures(0.60, -0.90),
        "2018": Figures(0.62, -0.93),
    },
    "yacht": {
        "2016": Figures(1.11, -1.55),
        "2016, two layers": Figures(0.66, -1.37),
        "2018": Figures(0.67, -1.25),
    },
    "boston": {
        "2016": Figures(2.97, -2.46),
        "2016, two layers": Figures(2.80, -2.34),
        "2018": Figures(2.90, -2.40),
    },
}


def published_name(folder: str) -> str | None:
    """Return the published set that a folder's name begins with, or None.

    Parameters
    ----------
    folder : str
        Name of a folder, in upper or lower case.

    Returns
    -------
    str or None
        A key of `PUBLISHED`.

    Examples
    --------
    >>> published_name("wine-quality-red"), published_name("bostonHousing"), published_name("mine")
    ('wine', 'boston', None)
    """
    return next((name for name in PUBLISHED if folder.lower().startswith(name)), None)


def table_cells(rows: Sequence[dict[str, Any]]) -> Cells:
    """Return the cells of `format_table`, row by row, the names of the columns first.

    Runs of one set with different numbers of layers follow one another.

    Parameters
    ----------
    rows : sequence of dict
        As for `format_table`.

    Returns
    -------
    list of tuple of str
        One tuple per line, one cell per column.

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
