"""The network as neuromorphic hardware runs it: integer weights, charge and thresholds, gates.

chip = quantise(network, conversion, bits=8, steps=200)  # refuses what does not fit
samples = sample_chip(chip, x, draws=100, seed=0)  # paired with sample_ann and sample_snn
weights_only = sample_quantised(chip, x, draws=100, seed=0)  # the same integers, no spikes
loihi_neuron = sample_chip(hard_reset(chip), x, draws=100, seed=0)
"""

from spikedrop.chip.bits import bits_samples, bits_table, judged, neuron_table
from spikedrop.chip.network import ChipLayer, ChipNetwork, ChipReadout, hard_reset
from spikedrop.chip.quantise import quantise
from spikedrop.chip.sampler import host_biases, sample_chip, sample_quantised

__all__ = [
    "ChipLayer",
    "ChipNetwork",
    "ChipReadout",
    "bits_samples",
    "bits_table",
    "hard_reset",
    "host_biases",
    "judged",
    "neuron_table",
    "quantise",
    "sample_chip",
    "sample_quantised",
]
