"""How far apart two predictive samples are, and whether that is near enough."""

from spikedrop.compare.distances import (
    DISTANCES,
    beyond_floor,
    distance_table,
    distances,
    noise_floor,
)
from spikedrop.compare.draws import predictive_sd
from spikedrop.compare.paired import PairedError, certificate, mean_error_bounds, paired_error
