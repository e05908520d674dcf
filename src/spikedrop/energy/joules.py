"""Joules of a predictive distribution, as intervals over all published prices of an operation."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any, NamedTuple

import pandas as pd

from spikedrop.energy.bills import Memory, bills, price_range, runs
from spikedrop.energy.counts import Counts, Operations
from spikedrop.energy.prices import devices, limits, price
from spikedrop.errors import InputError


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
    operations; those of bare arithmetic (``45nm ...``) can be completed by reading memory. Nobody
    whose figures are in the table gives a price for a mask bit, or for the shift of a weight that a
    bit-serial network needs: both are ranges that begin at nothing
    (`spikedrop.energy.bills.price_range`). Idle time, input and output have no price here.

    The interval of one network is not that of a comparison: two networks on one device share their
    prices, see `spikedrop.energy.joule_ratio`.

    Parameters
    ----------
    work : Operations or Counts
        Counts are those of one draw.
    device : str
        One of `spikedrop.energy.prices.devices`. A spiking network needs a device with a price
        for ``synaptic``, an artificial one for ``mac``, a quantised or bit-serial one of neurons
        that integrate first a device whose neurons are not fixed
        (`spikedrop.energy.prices.Device`). The multiply-accumulates of a constant
        input are priced as synaptic operations where there is no ``mac``.
    draws : int
    shared : bool
        Whether draws share what lies before the first mask.
    skip_zeros : bool
        Whether the device skips multiply-accumulates whose input is zero.
    memory : {"none", "chip", "dram"}
        Add the reading of weights, and of membranes, from a memory on the chip (8 kB to 1 MB) or
        from another chip; only for devices with prices of bare arithmetic, as those of others
        include it.
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
        If the device is unknown, cannot run the network, or has no price for what is done, or
        `draws` is below 1.

    Examples
    --------
    >>> energy(Counts(macs=1000.0), "gpu", draws=10)
    Joules(low=3e-06, high=3e-06)
    >>> low, high = energy(Counts(synaptic=1e6, updates=1e4), "loihi")
    >>> f"{low:.3g} to {high:.3g} J"
    '2.41e-05 to 2.79e-05 J'
    """
    setting: dict[str, Any] = {"shared": shared, "skip_zeros": skip_zeros, "memory": memory}
    fewest, most = bills(work, device, draws, **setting)
    low = sum(number * price_range(name)[0] for name, number in fewest.items())
    high = sum(number * price_range(name)[1] for name, number in most.items())
    return Joules(float(low), float(high))


def energy_table(
    works: Mapping[str, Operations], draws: int, *, memory: Memory = "chip"
) -> pd.DataFrame:
    """Joules of one prediction, for every network on every device that has prices and runs it.

    Parameters
    ----------
    works : mapping
        Name to `Operations`, of spiking and artificial networks.
    draws : int
    memory : see `energy`

    Returns
    -------
    pandas.DataFrame
        Columns ``network``, ``kind`` (ANN, SNN, quantised or bit-serial), ``device``, ``shared``,
        ``zeros skipped``, ``low`` and ``high`` (joules): with and without sharing, and for
        artificial networks with and without the skipping of zeros.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.conversion import Conversion
    >>> from spikedrop.energy.operations import count_operations
    >>> snn = count_operations(network, Conversion((100.0,)), [[1.0]], draws=10, seed=0, steps=100)
    >>> table = energy_table({"SNN": snn}, draws=10)
    >>> bool((table["low"] <= table["high"]).all()), set(table["kind"])
    (True, {'SNN'})
    """
    rows = []
    for name, work in works.items():
        spiking = work.kind != "ANN"
        skips = (False,) if spiking else (False, True)
        for device in devices("synaptic" if spiking else "mac"):
            if not runs(work, device):
                continue
            for shared, skip in product((True, False), skips):
                joules = energy(work, device, draws, shared=shared, skip_zeros=skip, memory=memory)
                rows.append((name, work.kind, device, shared, skip, *joules))
    columns = ["network", "kind", "device", "shared", "zeros skipped", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


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

    Raises
    ------
    InputError
        If `bits` is neither 8 nor 32.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.conversion import Conversion
    >>> from spikedrop.energy.operations import count_ann_operations, count_operations
    >>> snn = count_operations(network, Conversion((100.0,)), [[1.0]], draws=10, seed=0, steps=100)
    >>> ann = count_ann_operations(network, [[1.0]], draws=10, seed=0)
    >>> list(break_even(snn, ann).columns)
    ['quantity', 'measured', 'limit', 'times the limit', 'source']
    """
    device = {8: "45nm int8", 32: "45nm fp32"}.get(bits)
    if device is None:
        raise InputError(f"bits={bits}; prices of both operations are known for 8 and 32.")
    layers, other = spiking.layers, artificial.layers
    rate = (layers["rate"] * layers["neurons"]).sum() / layers["neurons"].sum()
    receives = (layers["synaptic"] > 0) & (other["macs"] > 0)
    per_synapse = layers["synaptic"][receives].sum() / other["macs"][receives].sum()
    busy = other["macs_nonzero"][receives].sum() / other["macs"][receives].sum()
    mac, synaptic = price(device, "mac"), price(device, "synaptic")
    assert mac and synaptic  # as every process has
    k = mac[1] / synaptic[0]
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
