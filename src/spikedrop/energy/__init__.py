"""Energy of a whole predictive distribution: operations, published joules, the fair opponents."""

from spikedrop.energy.constants import constants, devices, limits, price_table
from spikedrop.energy.counts import Counts, Operations, sharing_table
from spikedrop.energy.joules import Joules, against, break_even, energy, energy_table
from spikedrop.energy.operations import count_ann_operations, count_operations
from spikedrop.energy.quantised import quantised, sample_quantised

__all__ = [
    "Counts",
    "Joules",
    "Operations",
    "against",
    "break_even",
    "constants",
    "count_ann_operations",
    "count_operations",
    "devices",
    "energy",
    "energy_table",
    "limits",
    "price_table",
    "quantised",
    "sample_quantised",
    "sharing_table",
]
