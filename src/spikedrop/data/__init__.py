"""Drug-pair screens: real records, a simulated screen, features, splits and design matrices."""

from spikedrop.data.baseline import (
    Baseline,
    all_baselines,
    boosting_baseline,
    naive_mean,
    recorded_null,
    single_drug_null,
    training_null,
)
from spikedrop.data.candidates import simulate_candidates
from spikedrop.data.describe import (
    compare_screens,
    describe_screen,
    fullest_grid,
    growth_from_readings,
    noise_ceiling,
    replicate_noise,
)
from spikedrop.data.design import Design, fit_design
from spikedrop.data.features import attach_features, load_features, open_screen, rdkit_features
from spikedrop.data.fetch import DownloadError, fetch_almanac
from spikedrop.data.nci_almanac import load_almanac
from spikedrop.data.screen import LoadReport, Screen
from spikedrop.data.simulate import expected_growth, noise_sd, simulate_screen
from spikedrop.data.single_growth import (
    SingleGrowths,
    fit_single_growths,
    training_singles,
)
from spikedrop.data.splits import Split, split

__all__ = [
    "Baseline",
    "Design",
    "DownloadError",
    "LoadReport",
    "Screen",
    "SingleGrowths",
    "Split",
    "all_baselines",
    "attach_features",
    "boosting_baseline",
    "compare_screens",
    "describe_screen",
    "expected_growth",
    "fetch_almanac",
    "fit_design",
    "fit_single_growths",
    "fullest_grid",
    "growth_from_readings",
    "load_almanac",
    "load_features",
    "naive_mean",
    "noise_ceiling",
    "noise_sd",
    "open_screen",
    "rdkit_features",
    "recorded_null",
    "replicate_noise",
    "simulate_candidates",
    "simulate_screen",
    "single_drug_null",
    "split",
    "training_null",
    "training_singles",
]
