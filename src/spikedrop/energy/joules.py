"""Joules of a predictive distribution, as intervals over all published prices of an operation."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Literal, NamedTuple

import pandas as pd

from spikedrop.arguments import one_of, whole_number
from spikedrop.energy.constants import devices, limits, price
from spikedrop.energy.counts import Counts, Operations
from spikedrop.errors import InputError

Memory = Literal["none", "chip", "dram"]
MEMORIES: dict[Memory, str] = {"none": "", "chip": "memory_bit", "dram": "dram_bit"}
#: Bits of a weight, and of a membrane, on devices whose prices are of bare arithmetic.
BITS = {"45nm fp32": (32, 32), "45nm int8": (8, 24), "45nm int4": (4, 24)}
FAIR = ("45nm int8", "45nm int4")
WORDS = ("spikes win", "not decided", "spikes lose")


class Joules(NamedTuple):
    """An interval of joules: by the smallest and by the largest published prices."""

    low: float
    high: float


def energy(
    work: Operations | Counts,
    device: str,
    draws: int = 1,
    *,
    shared: bool = True,
    skip_zeros: bool = False,
    memory: Memory = "none",
) -> Joules:
    r"""Joules of one prediction from `draws` draws on a device.

    .. math:: E = \sum_k N_k\, e_k

    over kinds of operations k, their numbers :math:`N_k` and published prices :math:`e_k`; the
    interval runs from all the smallest to all the largest prices. Prices of chips are of whole
    operations; those of bare arithmetic (``45nm ...``) can be completed by reading memory. Neither
    random bits nor idle time, input and output have a price here.

    Parameters
    ----------
    work : Operations or Counts
        Counts are those of one draw.
    device : str
        One of `spikedrop.energy.constants.devices`. A spiking network needs a device with a price
        for ``synaptic``, an artificial one for ``mac``. The multiply-accumulates of a constant
        input are priced as synaptic operations where there is no ``mac``.
    draws : int
    shared : bool
        Whether draws share what lies before the first mask.
    skip_zeros : bool
        Whether the device skips multiply-accumulates whose input is zero.
    memory : {"none", "chip", "dram"}
        Add the reading of weights, and of membranes, from a memory on the chip (8 kB to 1 MB) or
        from another chip; for devices of bare arithmetic alone, the prices of others hold theirs.
        An artificial network reads a weight at least once a prediction, if all draws run side by
        side, and at most once a multiply-accumulate. A spike reads its weights for itself: once a
        synaptic operation, and a membrane is read and written once an update.

    Returns
    -------
    Joules
        ``low`` and ``high``; smaller is better.

    Raises
    ------
    InputError
        If the device is unknown, or has no price for what is done, or `draws` is below 1.

    Examples
    --------
    >>> energy(Counts(macs=1000.0), "gpu", draws=10)
    Joules(low=3e-06, high=3e-06)
    >>> low, high = energy(Counts(synaptic=1e6, updates=1e4), "loihi")
    >>> f"{low:.3g} to {high:.3g} J"
    '2.41e-05 to 2.79e-05 J'
    """
    draws = whole_number("draws", draws, least=1)
    one_of("memory", memory, tuple(MEMORIES))
    if not isinstance(device, str):
        one_of("device", device, devices())
    one = work if isinstance(work, Counts) else work.of(1, shared=shared)
    total = draws * work if isinstance(work, Counts) else work.of(draws, shared=shared)
    prices = {kind: price(device, kind) for kind in ("mac", "synaptic", "update", "spike")}
    if total.synaptic and prices["synaptic"] is None:
        raise InputError(
            f"device {device!r} has no published price of a synaptic operation: for spikes use "
            f"{devices('synaptic')}, or count the artificial network."
        )
    if not total.synaptic and total.macs and prices["mac"] is None:
        raise InputError(
            f"device {device!r} runs spikes and the work has none: use {devices('mac')}, or "
            "count the spiking network."
        )
    macs = total.macs_nonzero if skip_zeros else total.macs
    numbers = {
        "mac": macs,
        "synaptic": total.synaptic,
        "update": total.updates,
        "spike": total.spikes,
    }
    low = high = 0.0
    for kind, number in numbers.items():
        each = prices[kind] or (prices["synaptic"] if kind == "mac" else None) or (0.0, 0.0)
        low, high = low + number * each[0], high + number * each[1]
    if memory != "none" and device in BITS:
        weight, state = BITS[device]
        bit = price(device, MEMORIES[memory])
        spiking = weight * total.synaptic + 2 * state * total.updates
        low += bit[0] * (weight * min(one.macs, macs) + spiking)
        high += bit[1] * (weight * macs + spiking)
    return Joules(low, high)


def energy_table(
    works: Mapping[str, Operations], draws: int, *, memory: Memory = "chip"
) -> pd.DataFrame:
    """Joules of one prediction, for every network on every device that has prices for it.

    Parameters
    ----------
    works : mapping
        Name to `Operations`, of spiking and artificial networks.
    draws : int
    memory : see `energy`

    Returns
    -------
    pandas.DataFrame
        Columns ``network``, ``kind`` (ANN or SNN), ``device``, ``shared``, ``zeros skipped``,
        ``low`` and ``high`` (joules): with and without sharing, and for artificial networks with
        and without the skipping of zeros.
    """
    rows = []
    for name, work in works.items():
        spiking = work.alone.synaptic > 0
        skips = (False,) if spiking else (False, True)
        for device in devices("synaptic" if spiking else "mac"):
            for shared, skip in product((True, False), skips):
                joules = energy(work, device, draws, shared=shared, skip_zeros=skip, memory=memory)
                kind = "SNN" if spiking else "ANN"
                rows.append((name, kind, device, shared, skip, *joules))
    columns = ["network", "kind", "device", "shared", "zeros skipped", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def against(table: pd.DataFrame) -> pd.DataFrame:
    """Say for every spiking row of `energy_table` whether it takes less than an integer ANN.

    The opponents are the artificial network with 8-bit and with 4-bit integers at 45 nm, doing the
    same draws with the same sharing and skipping no zeros. Where two intervals overlap, nothing is
    decided.

    Returns
    -------
    pandas.DataFrame
        Columns ``network``, ``device``, ``shared``, and for each opponent ``... ratio`` (low and
        high, of the spiking joules to the opponent's; below 1 spikes win) and ``...``: one of
        ``spikes win``, ``not decided``, ``spikes lose``.

    Raises
    ------
    InputError
        If the table has no artificial network.
    """
    opponents = table[(table["kind"] == "ANN") & ~table["zeros skipped"]]
    opponents = opponents[opponents["device"].isin(FAIR)].set_index(["device", "shared"])
    if opponents.empty:
        raise InputError("the table has no artificial network: give `energy_table` one, too.")
    rows = []
    for row in table[table["kind"] == "SNN"].itertuples():
        found = {"network": row.network, "device": row.device, "shared": row.shared}
        for device in FAIR:
            other = opponents.loc[(device, row.shared)]
            ratio = (row.low / other["high"], row.high / other["low"])
            word = WORDS[0] if ratio[1] < 1 else WORDS[2] if ratio[0] > 1 else WORDS[1]
            found[f"{device} ratio"], found[device] = ratio, word
        rows.append(found)
    return pd.DataFrame(rows)


def break_even(spiking: Operations, artificial: Operations, *, bits: int = 8) -> pd.DataFrame:
    r"""Hold the measured spikes against published limits, and against prices of arithmetic alone.

    On arithmetic alone, spikes can win only if the synaptic operations that stand for one
    multiply-accumulate are fewer than

    .. math:: k\,(1 - \gamma), \qquad k = e_\mathrm{mac} / e_\mathrm{synaptic}

    with :math:`\gamma` the share of multiply-accumulates whose input is zero (Yan, Bai & Wong 2024,
    arXiv:2409.08290), at the largest published k, which favours spikes.

    Parameters
    ----------
    spiking, artificial : Operations
        Of the same network, from `count_operations` and `count_ann_operations`.
    bits : {8, 32}
        Of the artificial network.

    Returns
    -------
    pandas.DataFrame
        Columns ``quantity``, ``measured``, ``limit``, ``times the limit``, ``source``.
    """
    device = {8: "45nm int8", 32: "45nm fp32"}.get(bits)
    if device is None:
        raise InputError(f"bits={bits}; prices of both operations are known for 8 and 32.")
    layers, other = spiking.layers, artificial.layers
    rate = (layers["rate"] * layers["neurons"]).sum() / layers["neurons"].sum()
    hears = (layers["synaptic"] > 0) & (other["macs"] > 0)
    per_synapse = layers["synaptic"][hears].sum() / other["macs"][hears].sum()
    busy = other["macs_nonzero"][hears].sum() / other["macs"][hears].sum()
    k = price(device, "mac")[1] / price(device, "synaptic")[0]
    measured = {"rate": rate, "spikes_per_synapse": per_synapse}
    rows = [
        (row.unit, measured[row.limit], row.value, f"{row.source} ({row.year})")
        for row in limits().itertuples()
    ]
    own = f"arithmetic alone, {device}, largest price ratio, zeros skipped"
    rows.append(("synaptic operations per weight and presentation", per_synapse, k * busy, own))
    table = pd.DataFrame(rows, columns=["quantity", "measured", "limit", "source"])
    table.insert(3, "times the limit", table["measured"] / table["limit"])
    return table
