"""Energy of a whole predictive distribution: operations, published joules, the fair opponents."""

from spikedrop.energy.counts import Counts, Operations, sharing_table
from spikedrop.energy.joules import Joules, break_even, energy, energy_table
from spikedrop.energy.operations import count_ann_operations, count_operations
from spikedrop.energy.prices import constants, devices, limits, price_table, register_device
from spikedrop.energy.quantised import quantised, sample_quantised
from spikedrop.energy.ratio import Ratio, against, joule_ratio, same_silicon

__all__ = [
    "Counts",
    "Joules",
    "Operations",
    "Ratio",
    "against",
    "break_even",
    "constants",
    "count_ann_operations",
    "count_operations",
    "devices",
    "energy",
    "energy_table",
    "joule_ratio",
    "limits",
    "price_table",
    "quantised",
    "register_device",
    "same_silicon",
    "sample_quantised",
    "sharing_table",
]
