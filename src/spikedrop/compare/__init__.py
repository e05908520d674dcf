"""How far apart two predictive samples are, and whether that is near enough to call them one.

`compare` gives the verdict. Behind it: `paired` for samples with the same masks, `difference` for
tests that find one, `equivalence` for tests that exclude one, `distances` for what is in between.
"""

from spikedrop.compare.comparison import Comparison
from spikedrop.compare.difference import classifier_test, global_test, pointwise_p_values
from spikedrop.compare.distances import (
    DISTANCES,
    beyond_floor,
    distance_table,
    distances,
    exchanged_floor,
    noise_floor,
)
from spikedrop.compare.draws import predictive_sd
from spikedrop.compare.equivalence import crps_equivalence, tost
from spikedrop.compare.kernel_equivalence import kernel_equivalence
from spikedrop.compare.paired import PairedError, certificate, mean_error_bounds, paired_error
from spikedrop.compare.power import VERDICTS, power_table, verdict_rates
from spikedrop.compare.verdict import compare, fewest_draws

__all__ = [
    "DISTANCES",
    "VERDICTS",
    "Comparison",
    "PairedError",
    "beyond_floor",
    "certificate",
    "classifier_test",
    "compare",
    "crps_equivalence",
    "distance_table",
    "distances",
    "exchanged_floor",
    "fewest_draws",
    "global_test",
    "kernel_equivalence",
    "mean_error_bounds",
    "noise_floor",
    "paired_error",
    "pointwise_p_values",
    "power_table",
    "predictive_sd",
    "tost",
    "verdict_rates",
]
