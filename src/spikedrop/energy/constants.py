"""Published joules of one operation, each with its source.

``constants.csv`` has one row per figure: ``device``, ``operation``, ``joules``, ``source``,
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

from functools import cache
from importlib.resources import files

import pandas as pd

from spikedrop.errors import InputError


@cache
def _read(name: str) -> pd.DataFrame:
    with (files("spikedrop.energy") / name).open(encoding="utf-8") as file:
        return pd.read_csv(file)


def constants() -> pd.DataFrame:
    """Return all figures with their sources; see the head of this file.

    >>> table = constants()
    >>> loihi = table[(table["device"] == "loihi") & (table["operation"] == "synaptic")]
    >>> loihi["joules"].tolist()
    [2.36e-11, 2.71e-11]
    """
    return _read("constants.csv").copy()


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
    short = authors[0] + several.map({True: " et al. ", False: " "}) + table["year"].astype(str)
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
    """Return published limits on spikes: ``limit``, ``value``, ``unit``, ``source``, ...

    Examples
    --------
    >>> sorted(limits().columns)
    ['doi_or_url', 'limit', 'note', 'source', 'unit', 'value', 'year']
    """
    return _read("limits.csv").copy()


def devices(operation: str | None = None) -> list[str]:
    """Names of the devices that have a price for an operation; by default for any of the two.

    >>> devices("synaptic")[:3]
    ['loihi', 'spinnaker', 'spinnaker2']
    """
    table = constants()
    wanted = ("mac", "synaptic") if operation is None else (operation,)
    return list(dict.fromkeys(table["device"][table["operation"].isin(wanted)]))


@cache
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
    if device not in devices():
        raise InputError(f"device {device!r} has no published price here; use {devices()}.")
    table = constants()
    found = table["joules"][(table["device"] == device) & (table["operation"] == operation)]
    return (float(found.min()), float(found.max())) if len(found) else None
