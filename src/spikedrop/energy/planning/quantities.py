r"""What a prediction may be asked to state, and how far off so many draws leave it.

Everything here is in units of the ANN's predictive sd. A *case* is one output of one observation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from spikedrop.checks.arguments import one_of
from spikedrop.errors import InputError

Quantity = Literal["mean", "sd", "interval", "crps"]
FEWEST_DRAWS: dict[Quantity, int] = {"mean": 1, "sd": 2, "interval": 2, "crps": 2}
QUANTITIES: tuple[Quantity, ...] = tuple(FEWEST_DRAWS)
ENDS = (0.05, 0.95)  # of the central 90 % interval


def value(draws: np.ndarray, quantity: Quantity, y: np.ndarray | None = None) -> np.ndarray:
    r"""State a quantity from draws.

    ``mean``
        Mean of the draws.
    ``sd``
        Their standard deviation, with S - 1.
    ``interval``
        The 5 % and the 95 % quantile of the draws, interpolated: the ends of the central 90 %
        interval. They are the draws' own and not those of a Gaussian with their moments.
    ``crps``
        The fair CRPS of the draws at the observed `y`, without observation noise; see
        `spikedrop.scores.proper.crps`, which this repeats with sums over sorted draws:
        :math:`\frac1S \sum_s |x_s - y| - \frac{1}{S(S-1)} \sum_k (2k - S - 1)\,x_{(k)}`.

    Parameters
    ----------
    draws : numpy.ndarray
        Axes (draw, ..., case).
    y : numpy.ndarray, optional
        Axis (case,), in the unit of the draws.

    Returns
    -------
    numpy.ndarray
        Axes (part, ..., case): one part, or the two ends.

    Examples
    --------
    >>> draws = np.array([[-1.0], [1.0]])
    >>> value(draws, "mean").tolist(), value(draws, "sd").round(3).tolist()
    ([[0.0]], [[1.414]])
    >>> value(draws, "interval").round(3).tolist()
    [[-0.9], [0.9]]
    >>> value(draws, "crps", np.array([3.0])).tolist()  # 3 - 2 / 2
    [[2.0]]
    """
    if quantity == "mean":
        return draws.mean(axis=0)[None]
    if quantity == "sd":
        return draws.std(axis=0, ddof=1)[None]
    if quantity == "interval":
        return np.quantile(draws, ENDS, axis=0)
    n = len(draws)
    weights = (2 * np.arange(n) - n + 1) / (n * (n - 1))
    spread = np.tensordot(weights, np.sort(draws, axis=0), axes=1)
    return (np.abs(draws - y).mean(axis=0) - spread)[None]


def sampling_squares(
    pool: np.ndarray, quantity: Quantity, y: np.ndarray | None, sizes: Sequence[int] | np.ndarray
) -> np.ndarray:
    r"""Mean squared error of a quantity stated from S draws, for each S in `sizes`.

    The pool is cut into groups of S, and each group's value held against the whole pool's. That
    the group is part of the pool is taken off: for means the squared difference is
    :math:`(1 - S/P)` of the error, exactly, and for the others as nearly as they are means.

    Parameters
    ----------
    pool : numpy.ndarray
        Axes (draw, case), independent draws, in units of the predictive sd.
    sizes : sequence of int
        Each at most half of the pool.

    Returns
    -------
    numpy.ndarray
        Axis (size,): mean over groups, cases and parts.

    Examples
    --------
    >>> pool = np.random.default_rng(0).normal(size=(4096, 50))
    >>> (sampling_squares(pool, "mean", None, [1, 16]) * [1, 16]).round(1).tolist()
    [1.0, 1.0]
    """
    truth, found = value(pool, quantity, y), []
    for size in sizes:
        groups = len(pool) // size
        cut = pool[: groups * size].reshape(groups, size, -1).swapaxes(0, 1)
        squares = (value(cut, quantity, y) - truth[:, None]) ** 2
        found.append(squares.mean() / (1 - size / len(pool)))
    return np.array(found)


def bias_square(
    ann: np.ndarray, snn: np.ndarray, quantity: Quantity, y: np.ndarray | None
) -> tuple[float, float]:
    r"""Squared conversion error of a quantity, which more draws do not mend, and its error.

    With the value of a quantity in each half h of the draws,

    .. math:: b_h = Q(\mathrm{SNN}_h) - Q(\mathrm{ANN}_h), \qquad \hat B^2 = \overline{b_1 b_2},

    the mean over cases and parts. The same masks make most of the chance cancel in :math:`b_h`,
    and what is left is independent in the two halves, so it does not add to the product as it
    would to a square.

    Parameters
    ----------
    ann, snn : numpy.ndarray
        Axes (draw, case), paired, in units of the ANN's predictive sd.

    Returns
    -------
    tuple of float
        The estimate, which can be negative where it is small, and its standard error over cases.
    """
    half = len(ann) // 2
    first, second = (
        value(snn[part], quantity, y) - value(ann[part], quantity, y)
        for part in (slice(0, half), slice(half, 2 * half))
    )
    products = (first * second).mean(axis=0)
    return float(products.mean()), float(products.std(ddof=1) / np.sqrt(len(products)))


def check_quantity(quantity: str, y: object) -> None:
    """Refuse a name that is not one of `QUANTITIES`, and ``crps`` without observations."""
    one_of("quantity", quantity, QUANTITIES)
    if quantity == "crps" and y is None:
        raise InputError(
            "quantity='crps' scores against what was observed: give y, one value for each row of x."
        )
