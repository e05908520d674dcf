"""What a prediction has to pay for: how many operations at which price.

A bill maps prices to numbers, and joules are linear in the prices. Two bills that name the same
price pay the same for it, so two networks on one device can be compared for the same draw of every
price (`spikedrop.energy.ratio`).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from spikedrop.checks.arguments import one_of, whole_number
from spikedrop.energy.counts import Counts, Operations
from spikedrop.energy.prices import DEVICES, device_of, devices, price
from spikedrop.errors import InputError

Memory = Literal["none", "chip", "dram"]
MEMORIES: dict[Memory, str] = {"none": "", "chip": "memory_bit", "dram": "dram_bit"}


class Price(NamedTuple):
    """One price: of a device, of a process, or (mask bits) of any."""

    where: str
    operation: str


MASK_BIT = Price("any", "mask_bit")
Bill = dict[Price, float]


def price_range(name: Price) -> tuple[float, float]:
    """Smallest and largest joules of one operation.

    Two prices are published by nobody whose figures are in the table, and are ranges:

    - a mask bit, from nothing (a random bit made beside the neuron) to reading a stored bit from a
      1 MB memory at 45 nm, on every device;
    - the shift of a weight, from nothing (a wire, or doubling the membrane once a step) to another
      synaptic operation.

    >>> price_range(Price("loihi", "synaptic")), price_range(MASK_BIT)
    ((2.36e-11, 2.71e-11), (0.0, 1.563e-12))
    >>> price_range(Price("45nm int8", "shift"))
    (0.0, 1e-13)
    """
    if name.operation == "mask_bit":
        return 0.0, (price("45nm int8", "memory_bit") or (0.0, 0.0))[1]
    if name.operation == "shift":
        return 0.0, (price(name.where, "synaptic") or (0.0, 0.0))[1]
    of_process = (d.name for d in DEVICES.values() if d.process == name.where)
    return price(next(of_process, name.where), name.operation) or (0.0, 0.0)


def bills(
    work: Operations | Counts,
    device: str,
    draws: int = 1,
    *,
    shared: bool = True,
    skip_zeros: bool = False,
    memory: Memory = "none",
) -> tuple[Bill, Bill]:
    """Return two bills of one prediction, with the fewest and with the most reads of weights.

    Parameters
    ----------
    work, device, draws, shared, skip_zeros, memory : see `spikedrop.energy.energy`

    Raises
    ------
    InputError
        If the device is unknown, cannot run the network, or has no price for what is done, or
        `draws` is below 1.

    Examples
    --------
    >>> fewest, most = bills(Counts(macs=10.0), "45nm int8", draws=3, memory="chip")
    >>> fewest[Price("45nm", "memory_bit")], most[Price("45nm", "memory_bit")]
    (80.0, 240.0)
    """
    draws = whole_number("draws", draws, least=1)
    one_of("memory", memory, tuple(MEMORIES))
    bits, process = device_of(device).bits, device_of(device).process or device
    one = work if isinstance(work, Counts) else work.of(1, shared=shared)
    total = draws * work if isinstance(work, Counts) else work.of(draws, shared=shared)
    known = {kind: price(device, kind) for kind in ("mac", "synaptic", "update", "spike")}
    _check(work, device, total, known)
    macs = total.macs_nonzero if skip_zeros else total.macs
    bill: Bill = {MASK_BIT: total.mask_bits}
    for kind, number in (
        ("mac" if known["mac"] else "synaptic", macs),
        ("synaptic", total.synaptic),
        ("update", total.updates),
        ("spike", total.spikes),
        ("shift", total.shifts),
    ):
        name = Price(device, kind)
        bill[name] = bill.get(name, 0.0) + number
    most = dict(bill)
    if memory != "none" and bits:
        weight, state = bits
        name = Price(process, MEMORIES[memory])
        spiking = weight * total.synaptic + 2 * state * total.updates
        bill[name] = weight * min(one.macs, macs) + spiking
        most[name] = weight * macs + spiking
    fewest, dearest = ({name: n for name, n in part.items() if n} for part in (bill, most))
    return fewest, dearest


def runs(work: Operations | Counts, device: str) -> bool:
    """Tell whether a device can run the network: a gate for each layer, and the shift of weights.

    >>> runs(Counts(synaptic=1.0, shifts=1.0), "loihi"), runs(Counts(synaptic=1.0), "loihi")
    (False, True)
    """
    counts = work if isinstance(work, Counts) else work.of(1)
    waits = isinstance(work, Operations) and work.kind not in ("ANN", "SNN")
    return device_of(device).gated or not (waits or counts.shifts)


def _check(work: Operations | Counts, device: str, total: Counts, known: dict) -> None:
    if not runs(work, device):
        raise InputError(
            f"device {device!r} has neurons of a fixed kind, without the gate for each layer and "
            "the shift of weights that a quantised or bit-serial network needs: for neurons that "
            f"integrate first use {[d.name for d in DEVICES.values() if d.gated]}."
        )
    if total.synaptic and known["synaptic"] is None:
        raise InputError(
            f"device {device!r} has no published price of a synaptic operation: for spikes use "
            f"{devices('synaptic')}, or count the artificial network."
        )
    if not total.synaptic and total.macs and known["mac"] is None:
        raise InputError(
            f"device {device!r} runs spikes and the work has none: use {devices('mac')}, or "
            "count the spiking network."
        )
