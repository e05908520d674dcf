"""Uncertainty on spiking networks: permanent dropout, converted and sampled.

    model (Keras) -> Network -> sample_ann -> samples of the classical network
                             -> calibrate -> sample_snn -> samples of the spiking network
                                             compare, scores -> how close, how good

Every part is imported when it is first asked for; Keras, TensorFlow and Nengo by what needs them.
"""

import sys
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

from spikedrop.caches import prepare

if TYPE_CHECKING:
    from spikedrop.ann import predict, sample_ann
    from spikedrop.budget import plan_budget
    from spikedrop.compare import (
        Comparison,
        compare,
        distance_table,
        distances,
        noise_floor,
        paired_error,
    )
    from spikedrop.data import fit_design, load_almanac, open_screen, simulate_screen, split
    from spikedrop.errors import InputError, StoreError
    from spikedrop.estimators import SpikingDropoutClassifier, SpikingDropoutRegressor
    from spikedrop.masks import layer_mask, network_masks
    from spikedrop.network import Layer, Network
    from spikedrop.scores import coverage, fit_noise_sd, log_likelihood, r2, rmse
    from spikedrop.spiking.conversion import Conversion, calibrate
    from spikedrop.spiking.sampler import sample_snn
    from spikedrop.store import open_samples, sample_to_store
    from spikedrop.training import train

__version__ = version("spikedrop")
prepare()  # before anything imports numba, matplotlib or Keras

_HOMES = {
    "ann": ("predict", "sample_ann"),
    "budget": ("plan_budget",),
    "compare": (
        "Comparison",
        "compare",
        "distance_table",
        "distances",
        "noise_floor",
        "paired_error",
    ),
    "data": ("fit_design", "load_almanac", "open_screen", "simulate_screen", "split"),
    "errors": ("InputError", "StoreError"),
    "estimators": ("SpikingDropoutClassifier", "SpikingDropoutRegressor"),
    "masks": ("layer_mask", "network_masks"),
    "network": ("Layer", "Network"),
    "scores": ("coverage", "fit_noise_sd", "log_likelihood", "r2", "rmse"),
    "spiking.conversion": ("Conversion", "calibrate"),
    "spiking.sampler": ("sample_snn",),
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


class _Package(ModuleType):
    """Hands out a name from the part it lives in, which is imported then."""

    def __getattr__(self, name: str) -> object:
        if name in _HOME:
            value = getattr(import_module(f"{self.__name__}.{_HOME[name]}"), name)
        elif not name.startswith("_") and find_spec(f"{self.__name__}.{name}"):
            value = import_module(f"{self.__name__}.{name}")
        else:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        setattr(self, name, value)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        # Importing the part `spikedrop.compare` must not hide the function of that name.
        if name in _HOME and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)

    def __reduce__(self) -> tuple[object, ...]:
        # cloudpickle, and so joblib and Dask, sends a module by its name only if its type is plain.
        return import_module, (self.__name__,)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_HOME})


sys.modules[__name__].__class__ = _Package
