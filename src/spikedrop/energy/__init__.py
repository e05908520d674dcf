"""Energy of a whole predictive distribution: operations, published joules, the fair opponents."""

from spikedrop.energy.operations import (
    Counts,
    Operations,
    count_ann_operations,
    count_operations,
)

__all__ = ["Counts", "Operations", "count_ann_operations", "count_operations"]
