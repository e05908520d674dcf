"""How far apart two predictive samples are, and whether that is near enough to call them one.

`compare` gives the verdict, out of criteria, each a size with bounds (`criteria`, `gap`):
`moments`, `kernel_equivalence`, `errors_of_draws`, `crps_equivalence`. Beside it: `paired` for
samples with the same masks, `difference` for tests that find one, `distances` for what is between.
"""

from spikedrop.comparison.comparison import Comparison
from spikedrop.comparison.criteria import Claim, Criterion
from spikedrop.comparison.crps_equivalence import crps_equivalence
from spikedrop.comparison.difference import classifier_test, global_test, pointwise_p_values
from spikedrop.comparison.distances import (
    DISTANCES,
    beyond_floor,
    distance_table,
    distances,
    exchanged_floor,
    noise_floor,
)
from spikedrop.comparison.draws import fewest_draws, predictive_sd
from spikedrop.comparison.errors_of_draws import mean_error, rare_draws
from spikedrop.comparison.kernel_equivalence import kernel_equivalence
from spikedrop.comparison.moments import moment_equivalence
from spikedrop.comparison.paired import PairedError, certificate, paired_error
from spikedrop.comparison.power import VERDICTS, power_table, verdict_rates
from spikedrop.comparison.verdict import compare

__all__ = [
    "DISTANCES",
    "VERDICTS",
    "Claim",
    "Comparison",
    "Criterion",
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
    "mean_error",
    "moment_equivalence",
    "noise_floor",
    "paired_error",
    "pointwise_p_values",
    "power_table",
    "predictive_sd",
    "rare_draws",
    "verdict_rates",
]
