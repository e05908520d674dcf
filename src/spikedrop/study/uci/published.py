"""Published test scores of permanent dropout on the UCI sets, as they are compared with."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["published_name"]


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

    >>> published_name("wine-quality-red"), published_name("bostonHousing"), published_name("mine")
    ('wine', 'boston', None)
    """
    return next((name for name in PUBLISHED if folder.lower().startswith(name)), None)
