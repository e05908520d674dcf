"""Published test scores of permanent dropout on the UCI sets, as they are compared with."""

from __future__ import annotations

from typing import NamedTuple

SOURCES = {
    "2016": "Gal & Ghahramani 2016, arXiv:1506.02142: one hidden layer of 50 units (protein 100)",
    "2018": "Mukhoti, Stenetorp & Gal 2018, arXiv:1811.09385: the same, tuned on validation rows",
}


class Figures(NamedTuple):
    """RMSE in the unit of the target (lower is better), log likelihood in nats (higher)."""

    rmse: float
    log_likelihood: float


PUBLISHED: dict[str, dict[str, Figures]] = {
    "concrete": {"2016": Figures(5.23, -3.04), "2018": Figures(4.82, -2.93)},
    "energy": {"2016": Figures(1.66, -1.99), "2018": Figures(0.54, -1.21)},
    "kin8nm": {"2016": Figures(0.10, 0.95), "2018": Figures(0.08, 1.14)},
    "naval": {"2016": Figures(0.01, 3.80), "2018": Figures(0.00074, 4.45)},
    "power": {"2016": Figures(4.02, -2.80), "2018": Figures(4.01, -2.80)},
    "protein": {"2016": Figures(4.36, -2.89), "2018": Figures(4.27, -2.87)},
    "wine": {"2016": Figures(0.62, -0.93), "2018": Figures(0.62, -0.93)},
    "yacht": {"2016": Figures(1.11, -1.55), "2018": Figures(0.67, -1.25)},
    "boston": {"2016": Figures(2.97, -2.46), "2018": Figures(2.90, -2.40)},
}


def published_name(folder: str) -> str | None:
    """Return the published set that a folder's name begins with, or None.

    >>> published_name("wine-quality-red"), published_name("bostonHousing"), published_name("mine")
    ('wine', 'boston', None)
    """
    return next((name for name in PUBLISHED if folder.lower().startswith(name)), None)
