"""Uncertainty on spiking networks: permanent dropout, converted and sampled.

    model (Keras) -> Network -> sample_ann -> samples of the classical network
                             -> calibrate -> sample_snn -> samples of the spiking network
                                             compare, scores -> how close, how good

Keras, TensorFlow and Nengo are imported only by what needs them.
"""

from importlib.metadata import version

from spikedrop.ann import predict, sample_ann
from spikedrop.compare import (
    Comparison,
    compare,
    distance_table,
    distances,
    noise_floor,
    paired_error,
)
from spikedrop.data import fit_design, load_almanac, open_screen, simulate_screen, split
from spikedrop.errors import InputError
from spikedrop.estimators import SpikingDropoutClassifier, SpikingDropoutRegressor
from spikedrop.masks import layer_mask, network_masks
from spikedrop.network import Layer, Network
from spikedrop.scores import coverage, fit_noise_sd, log_likelihood, r2, rmse
from spikedrop.spiking.conversion import Conversion, calibrate
from spikedrop.spiking.sampler import sample_snn
from spikedrop.training import train

__version__ = version("spikedrop")

__all__ = [
    "Comparison",
    "Conversion",
    "InputError",
    "Layer",
    "Network",
    "SpikingDropoutClassifier",
    "SpikingDropoutRegressor",
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
    "open_screen",
    "paired_error",
    "predict",
    "r2",
    "rmse",
    "sample_ann",
    "sample_snn",
    "simulate_screen",
    "split",
    "train",
]
