"""Samples of the predictive distribution: the artificial network's and the spiking network's."""

from spikedrop.sampling.ann import predict, sample_ann
from spikedrop.sampling.snn import sample_snn

__all__ = ["predict", "sample_ann", "sample_snn"]
