"""Uncertainty on spiking networks: permanent dropout, converted and sampled.

    model (Keras) -> Network -> sample_ann -> samples of the classical network
                             -> calibrate -> sample_snn -> samples of the spiking network
                                             compare, scores -> how close, how good

Every part is imported when it is first asked for; Keras, TensorFlow and Nengo by what needs them.
"""

from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from spikedrop.engines.caches import prepare

if TYPE_CHECKING:
    from spikedrop.comparison import (
        Comparison,
        compare,
        distance_table,
        distances,
        noise_floor,
        paired_error,
    )
    from spikedrop.conversion import Conversion, calibrate
    from spikedrop.data import fit_design, load_almanac, open_screen, simulate_screen, split
    from spikedrop.energy.planning import plan_budget
    from spikedrop.errors import InputError, StoreError
    from spikedrop.estimators import SpikingDropoutClassifier, SpikingDropoutRegressor
    from spikedrop.masks import layer_mask, network_masks
    from spikedrop.network import Layer, Network
    from spikedrop.sampling import predict, sample_ann, sample_snn
    from spikedrop.scores import coverage, fit_noise_sd, log_likelihood, r2, rmse
    from spikedrop.store import open_samples, sample_to_store
    from spikedrop.training import train

__version__ = version("spikedrop")
prepare()  # before anything imports numba, matplotlib or Keras

_HOMES = {
    "comparison": (
        "Comparison",
        "compare",
        "distance_table",
        "distances",
        "noise_floor",
        "paired_error",
    ),
    "conversion": ("Conversion", "calibrate"),
    "data": ("fit_design", "load_almanac", "open_screen", "simulate_screen", "split"),
    "energy.planning": ("plan_budget",),
    "errors": ("InputError", "StoreError"),
    "estimators": ("SpikingDropoutClassifier", "SpikingDropoutRegressor"),
    "masks": ("layer_mask", "network_masks"),
    "network": ("Layer", "Network"),
    "sampling": ("predict", "sample_ann", "sample_snn"),
    "scores": ("coverage", "fit_noise_sd", "log_likelihood", "r2", "rmse"),
    "store": ("open_samples", "sample_to_store"),
    "training": ("train",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Comparison",
    "Conversion",
    "InputError",
    "Layer",
    "Network",
    "SpikingDropoutClassifier",
    "SpikingDropoutRegressor",
    "StoreError",
    "calibrate",
    "compare",
    "coverage",
    "distance_table",
    "distances",
    "fit_design",
    "fit_noise_sd",
    "layer_mask",
    "load_almanac",
    "log_likelihood",
    "network_masks",
    "noise_floor",
    "open_samples",
    "open_screen",
    "paired_error",
    "plan_budget",
    "predict",
    "r2",
    "rmse",
    "sample_ann",
    "sample_snn",
    "sample_to_store",
    "simulate_screen",
    "split",
    "train",
]


def __getattr__(name: str) -> object:
    if name in _HOME:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    elif not name.startswith("_") and find_spec(f"{__name__}.{name}"):
        value = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
