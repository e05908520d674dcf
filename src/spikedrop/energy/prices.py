"""Published joules of one operation, each with its source.

``prices.csv`` has one row per figure: ``device``, ``operation``, ``joules``, ``source``,
``year``, ``doi_or_url``, ``conflicting`` (whether published figures of one thing contradict each
other) and ``note``, which says where the figure was read if not in the source itself.
Operations are

- ``mac``: one multiply-accumulate;
- ``synaptic``: one weight added to one membrane;
- ``update``: one neuron, one time step;
- ``spike``: one event on its way to other neurons;
- ``memory_bit``, ``dram_bit``: one bit read from a memory on the chip, from another chip;
- ``inference``: a whole inference, measured, beyond idle power (Blouw et al. 2018).

``limits.csv`` holds what others found to be the most spikes with which a spiking network can win.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd

from spikedrop.checks.arguments import of_type, one_of, real_number, whole_number, yes_or_no
from spikedrop.errors import InputError


@cache
def _read(name: str) -> pd.DataFrame:
    with (files("spikedrop.energy") / name).open(encoding="utf-8") as file:
        return pd.read_csv(file)


@dataclass(frozen=True)
class Device:
    """A device with its prices.

    Attributes
    ----------
    name : str
    prices : mapping
        Operation to the smallest and the largest published joules of one.
    gated : bool
        Whether a layer can wait for a window and a weight can be shifted: its neurons are programs
        (SpiNNaker), or circuits that are still to be drawn (bare arithmetic). The neurons of the
        other chips with a price are fixed, and none is documented to have the gate and the shift.
    bits : tuple of int, or None
        Of a weight and of a membrane, on a device whose prices are of bare arithmetic.
    process : str
        Name of the process; devices of one process share the price of memory. Empty for a device
        that shares with none.
    source, year, doi_or_url : str, int, str
        Where the prices of a registered device come from; those of others stand in `constants`.
    """

    name: str
    prices: Mapping[str, tuple[float, float]]
    gated: bool = False
    bits: tuple[int, int] | None = None
    process: str = ""
    source: str = ""
    year: int = 0
    doi_or_url: str = ""


def _shipped() -> dict[str, Device]:
    """Read the devices of ``prices.csv`` that have a price of one of the two operations."""
    traits: dict[str, dict] = {
        "spinnaker": {"gated": True},
        "spinnaker2": {"gated": True},
        "45nm fp32": {"gated": True, "bits": (32, 32), "process": "45nm"},
        "45nm int8": {"gated": True, "bits": (8, 24), "process": "45nm"},
        "45nm int4": {"bits": (4, 24), "process": "45nm"},
    }
    known = {}
    for name, rows in _read("prices.csv").groupby("device", sort=False):
        ends = rows.groupby("operation", sort=False)["joules"].agg(["min", "max"])
        prices = {row.Index: (float(row.min), float(row.max)) for row in ends.itertuples()}
        if "mac" in prices or "synaptic" in prices:
            known[name] = Device(name, prices, **traits.get(name, {}))
    return known


#: Every device by its name, those of this package first.
#:
#: :meta hide-value:
DEVICES: dict[str, Device] = _shipped()
SHIPPED = frozenset(DEVICES)
OPERATIONS = ("mac", "synaptic", "update", "spike", "memory_bit", "dram_bit")


def register_device(
    name: str,
    prices: Mapping[str, float | tuple[float, float]],
    *,
    source: str,
    year: int,
    doi_or_url: str = "",
    gated: bool = False,
    bits: tuple[int, int] | None = None,
) -> None:
    """Make a device and its prices known by its name, in this process.

    From then on `energy`, `joule_ratio`, `plan_budget` and all tables price work on it. A name of
    yours may be registered again, as in a notebook whose cell runs twice.

    Parameters
    ----------
    name : str
    prices : mapping
        Operation to joules of one: a number, or the smallest and the largest. Operations are
        ``mac``, ``synaptic``, ``update``, ``spike``, ``memory_bit`` and ``dram_bit``, as at the
        head of this file; one of the first two at least. ``update`` and ``spike`` cost nothing
        where they are left out, because the device includes them in another price.
    source : str
        Who published the prices; or who measured them, and how.
    year : int
    doi_or_url : str
    gated : bool
        Whether a layer can wait for a window and a weight can be shifted, as quantised and
        bit-serial networks need.
    bits : tuple of int, optional
        Of a weight and of a membrane, if the prices are of bare arithmetic; then both prices of
        memory are needed. Without, the prices include the reading of memory.

    Raises
    ------
    InputError
        If the name is empty or that of a device of this package, a price is negative or not finite
        or its operation unknown, or a price or the source is missing.

    Examples
    --------
    >>> prices = {"synaptic": (1e-12, 2e-12), "update": 5e-12}
    >>> register_device("mine", prices, source="A. Nonymous, own measurement", year=2026)
    >>> price("mine", "synaptic"), price("mine", "update"), price("mine", "mac")
    ((1e-12, 2e-12), (5e-12, 5e-12), None)
    >>> price_table().loc[("mine", "update"), "sources"]
    'A. Nonymous, own measurement 2026'
    >>> del DEVICES["mine"]  # known no more
    """
    taken = {*SHIPPED, "any", *(device.process for device in DEVICES.values())}  # names of prices
    if not isinstance(name, str) or name in taken:
        raise InputError(
            f"name={name!r}: give the device a name of its own, other than {sorted(taken - {''})}."
        )
    if not isinstance(source, str) or not source:
        raise InputError(f"source={source!r}: say who published or measured the prices.")
    year = whole_number("year", year, least=1)
    kind: Any = Mapping
    of_type("prices", prices, kind, "names of operations and joules")
    ends = {}
    for operation, joules in prices.items():
        one_of("operation", operation, OPERATIONS)
        low, high = (
            joules if isinstance(joules, tuple | list) and len(joules) == 2 else [joules] * 2
        )
        low = real_number(f"prices[{operation!r}]", low, least=0)
        ends[operation] = low, real_number(f"prices[{operation!r}]", high, least=low)
    if not {"mac", "synaptic"} & set(ends):
        raise InputError(f"device {name!r} has a price of neither 'mac' nor 'synaptic': give one.")
    if bits is not None:
        pair = tuple(bits) if isinstance(bits, tuple | list) else ()
        if len(pair) != 2 or not {"memory_bit", "dram_bit"} <= set(ends):
            raise InputError(
                f"bits={bits}: give those of a weight and of a membrane, and the prices of "
                "'memory_bit' and 'dram_bit' that they are read at."
            )
        bits = (
            whole_number("bits[0]", pair[0], least=1),
            whole_number("bits[1]", pair[1], least=1),
        )
    gated = yes_or_no("gated", gated)
    DEVICES[name] = Device(name, ends, gated, bits, "", source, year, str(doi_or_url))


def device_of(name: str) -> Device:
    """Return a device, of this package or registered.

    Raises
    ------
    InputError
        If no device has the name.

    Examples
    --------
    >>> device_of("loihi").gated, device_of("45nm int8").bits
    (False, (8, 24))
    """
    if not isinstance(name, str) or name not in DEVICES:
        raise InputError(
            f"device {name!r} has no published price here; use {devices()}, or register it with "
            "`spikedrop.energy.register_device`."
        )
    return DEVICES[name]


def constants() -> pd.DataFrame:
    """Return all figures with their sources, of registered devices too; see the head of the module.

    Returns
    -------
    pandas.DataFrame
        One row per price: ``device``, ``operation``, ``joules``, ``source``, ``year``,
        ``doi_or_url`` and more.

    Examples
    --------
    >>> table = constants()
    >>> loihi = table[(table["device"] == "loihi") & (table["operation"] == "synaptic")]
    >>> loihi["joules"].tolist()
    [2.36e-11, 2.71e-11]
    """
    table = _read("prices.csv")
    own = [
        (d.name, operation, joules, d.source, d.year, d.doi_or_url, "no", "registered")
        for d in DEVICES.values()
        for operation, ends in d.prices.items()
        for joules in sorted(set(ends))
        if d.name not in SHIPPED
    ]
    more = [pd.DataFrame(own, columns=table.columns)] if own else []
    return pd.concat([table, *more], ignore_index=True)


#: Rows of ``constants`` that are not the price of an operation of a device.
NOT_PRICES = ("inference", "event_bit_hop", "dense_bit_hop")


def price_table() -> pd.DataFrame:
    """Return the interval of published prices, one row per device and operation.

    Returns
    -------
    pandas.DataFrame
        Index ``device`` and ``operation``; columns ``from (pJ)`` and ``to (pJ)``, the smallest and
        the largest published figure in picojoules, ``sources`` (authors and year) and
        ``contradict``, whether they contradict each other.

    Examples
    --------
    >>> print(price_table().loc[("spinnaker", "synaptic")].to_string())
    from (pJ)                                             45.0
    to (pJ)                                            13300.0
    sources        Höppner et al. 2019; Stromatias et al. 2013
    contradict                                             yes
    """
    table = constants()
    table = table[~table["operation"].isin(NOT_PRICES)]
    authors = table["source"].str.extract(r"^([\w-]+)(,| et al\.)")
    several = authors[1].eq(" et al.") | table["source"].str.split(", ").str[1].str.contains("&")
    names = authors[0] + several.map({True: " et al.", False: ""})
    short = names.fillna(table["source"]) + " " + table["year"].astype(str)
    table = table.assign(picojoules=1e12 * table["joules"], short=short)
    groups = table.groupby(["device", "operation"], sort=False)
    return pd.DataFrame(
        {
            "from (pJ)": groups["picojoules"].min(),
            "to (pJ)": groups["picojoules"].max(),
            "sources": groups["short"].agg(lambda names: "; ".join(dict.fromkeys(names))),
            "contradict": groups["conflicting"].max(),
        }
    )


def limits() -> pd.DataFrame:
    """Return published limits on spikes.

    Returns
    -------
    pandas.DataFrame
        One row per limit: ``limit``, ``value``, ``unit``, ``source``, ``year``, ``doi_or_url`` and
        ``note``.

    Examples
    --------
    >>> sorted(limits().columns)
    ['doi_or_url', 'limit', 'note', 'source', 'unit', 'value', 'year']
    """
    return _read("limits.csv").copy()


def devices(operation: str | None = None) -> list[str]:
    """Return the names of the devices that have a price for an operation.

    Parameters
    ----------
    operation : str, optional
        Such as ``mac`` or ``synaptic``; by default either of these two.

    Returns
    -------
    list of str
        Names, in the order of registration.

    Examples
    --------
    >>> devices("synaptic")[:3]
    ['loihi', 'spinnaker', 'spinnaker2']
    """
    wanted = {"mac", "synaptic"} if operation is None else {operation}
    return [name for name, device in DEVICES.items() if wanted & set(device.prices)]


def price(device: str, operation: str) -> tuple[float, float] | None:
    """Smallest and largest published joules of one operation; None if none is published.

    Raises
    ------
    InputError
        If no operation of the device has a price.

    Examples
    --------
    >>> price("spinnaker", "synaptic")  # published figures contradict each other
    (4.5e-11, 1.33e-08)
    """
    return device_of(device).prices.get(operation)
