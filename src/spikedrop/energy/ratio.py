"""Joules of one network over those of another, for the same draw of every price."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from spikedrop.energy.bills import Bill, Memory, bills, price_range, runs
from spikedrop.energy.counts import Operations
from spikedrop.energy.joules import energy
from spikedrop.energy.prices import device_of, devices
from spikedrop.errors import InputError

FAIR = ("45nm int8", "45nm int4")
WORDS = ("spikes win", "not decided", "spikes lose")
#: The same for networks that send rounded activations: they are not what spikes can do.
OTHER_WORDS = ("takes less", "not decided", "takes more")


class Ratio(NamedTuple):
    """An interval of a ratio of joules; below 1 the first network takes less."""

    low: float
    high: float


def joule_ratio(
    first: Operations,
    device: str,
    second: Operations,
    second_device: str | None = None,
    draws: int = 1,
    *,
    shared: bool = True,
    memory: Memory = "chip",
) -> Ratio:
    r"""Joules of the first network over those of the second, over all prices at once.

    .. math::

        R = \left[ \min_e \frac{\sum_k N_k e_k}{\sum_k M_k e_k},\
                   \max_e \frac{\sum_k N_k e_k}{\sum_k M_k e_k} \right],
        \qquad e_k \in [e_k^{\min}, e_k^{\max}]

    Both sums take the same :math:`e_k`. On one device they share every price, and on two devices
    of one process that of memory; the price of a mask bit is shared always. The ratio is monotone
    in each price, so its extremes lie at corners of the box, which are all tried. It lies within
    the ratio of the two intervals of `energy`, and equals it where nothing is shared.

    Parameters
    ----------
    first, second : Operations
    device, second_device : str
        Where each runs; by default the second runs on the device of the first.
    draws, shared, memory : see `energy`

    Returns
    -------
    Ratio
        ``low`` and ``high``.

    Raises
    ------
    InputError
        As `energy`, or if the second network does nothing that has a price.

    Examples
    --------
    A network takes as much as itself, whatever the prices, though its joules are an interval:

    >>> from spikedrop.energy.counts import Counts
    >>> work = Operations(Counts(), Counts(synaptic=1e6, updates=1e4), pd.DataFrame())
    >>> [f"{joules:.3g}" for joules in energy(work, "truenorth")]
    ['2.5e-06', '2.6e-05']
    >>> joule_ratio(work, "truenorth", work)
    Ratio(low=1.0, high=1.0)
    """
    setting: dict[str, Any] = {"draws": draws, "shared": shared, "memory": memory}
    above = bills(first, device, **setting)
    below = bills(second, second_device or device, **setting)
    found = [_corners(a, b) for a, b in product(above, below)]
    return Ratio(min(low for low, _ in found), max(high for _, high in found))


def _corners(above: Bill, below: Bill) -> tuple[float, float]:
    """Extremes of a ratio of two bills over all corners of the box of prices."""
    names = list(above | below)
    ranges = [price_range(name) for name in names]
    prices = np.array(list(product(*({low, high} for low, high in ranges))))
    top, bottom = (prices @ [bill.get(name, 0.0) for name in names] for bill in (above, below))
    if not bottom.max() > 0:
        raise InputError("the second network does nothing that has a price: no ratio is defined.")
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = top / bottom
    ratios = ratios[~np.isnan(ratios)]
    return float(ratios.min()), float(ratios.max())


def against(
    works: Mapping[str, Operations], draws: int, *, memory: Memory = "chip"
) -> pd.DataFrame:
    """Say for every network that spikes whether it takes less than an integer network.

    The opponents are the artificial network with 8-bit and with 4-bit integers at 45 nm, doing the
    same draws with the same sharing and skipping no zeros. The interval of the *ratio* decides:
    both sides pay the same for what they share (`joule_ratio`).

    Parameters
    ----------
    works : mapping
        Name to `Operations`; the first of kind ``ANN`` is the opponent.
    draws : int
    memory : see `energy`

    Returns
    -------
    pandas.DataFrame
        One row per network, device and sharing. Columns ``network``, ``kind``, ``device``,
        ``shared``, ``same silicon`` (whether the device is of the opponents' process), and for
        each opponent ``... ratio`` (low and high; below 1 the network takes less); ``...``, for
        rate codes one of ``spikes win``, ``not decided``, ``spikes lose``, for quantised and
        bit-serial networks ``takes less``, ``not decided``, ``takes more``; and ``... apart``, the
        same from two intervals of joules that share no price.

    Raises
    ------
    InputError
        If no network is artificial, or `draws` is below 1.

    Examples
    --------
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.conversion import Conversion
    >>> from spikedrop.energy.operations import count_ann_operations, count_operations
    >>> snn = count_operations(network, Conversion((100.0,)), [[1.0]], draws=10, seed=0, steps=100)
    >>> ann = count_ann_operations(network, [[1.0]], draws=10, seed=0)
    >>> found = against({"ANN": ann, "SNN": snn}, draws=10)
    >>> sorted(set(found["network"])), found["same silicon"].any()
    (['SNN'], np.True_)
    """
    opponent = next((work for work in works.values() if work.kind == "ANN"), None)
    if opponent is None:
        raise InputError("there is no artificial network: give `against` one, too.")
    rows = []
    spiking = {name: work for name, work in works.items() if work.kind != "ANN"}
    for (name, work), device in product(spiking.items(), devices("synaptic")):
        if not runs(work, device):
            continue
        words = WORDS if work.kind == "SNN" else OTHER_WORDS
        for shared in (True, False):
            row: dict[str, Any] = {
                "network": name,
                "kind": work.kind,
                "device": device,
                "shared": shared,
            }
            row["same silicon"] = device_of(device).process == device_of(FAIR[0]).process
            setting: dict[str, Any] = {"shared": shared, "memory": memory}
            for fair in FAIR:
                ratio = joule_ratio(work, device, opponent, fair, draws, **setting)
                mine = energy(work, device, draws, **setting)
                other = energy(opponent, fair, draws, **setting)
                apart = Ratio(mine.low / other.high, mine.high / other.low)
                row[f"{fair} ratio"] = ratio
                row[fair], row[f"{fair} apart"] = _word(ratio, words), _word(apart, words)
            rows.append(row)
    return pd.DataFrame(rows)


def same_silicon(found: pd.DataFrame) -> pd.DataFrame:
    """Lay out what `against` says of devices that share their process with the integer networks.

    Parameters
    ----------
    found : pandas.DataFrame
        From `against`, or some of its rows.

    Returns
    -------
    pandas.DataFrame
        One row per network, device and opponent: ``network``, ``kind``, ``device``, ``opponent``,
        ``from`` and ``to`` (joules over the opponent's), ``shared prices`` and ``two intervals``
        (what the ratio decides, and what two intervals of joules would).

    Examples
    --------
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.conversion import Conversion
    >>> from spikedrop.energy.operations import count_ann_operations, count_operations
    >>> snn = count_operations(network, Conversion((100.0,)), [[1.0]], draws=10, seed=0, steps=100)
    >>> ann = count_ann_operations(network, [[1.0]], draws=10, seed=0)
    >>> found = same_silicon(against({"ANN": ann, "SNN": snn}, draws=10))
    >>> bool((found["from"] <= found["to"]).all())
    True
    """
    rows = [
        (*row[:3], fair, *row[3], *row[4:])
        for fair in FAIR
        for row in found.loc[
            found["same silicon"],
            ["network", "kind", "device", f"{fair} ratio", fair, f"{fair} apart"],
        ].itertuples(index=False, name=None)
    ]
    columns = ["network", "kind", "device", "opponent", "from", "to"]
    return pd.DataFrame(rows, columns=[*columns, "shared prices", "two intervals"])


def _word(ratio: Ratio, words: tuple[str, str, str]) -> str:
    return words[0] if ratio.high < 1 else words[2] if ratio.low > 1 else words[1]
