"""The network as neuromorphic hardware runs it: integer weights, charge and thresholds, gates.

`quantise` makes the integers and refuses what does not fit; `sample_chip` samples them, paired with
`sample_ann` and `sample_snn`; `sample_integers` the same integers without spikes::

    chip = quantise(network, conversion, bits=8, steps=200)
    samples = sample_chip(chip, x, draws=100, seed=0)
"""

from spikedrop.chip.network import ChipLayer, ChipNetwork, ChipReadout, hard_reset
from spikedrop.chip.quantise import quantise
from spikedrop.chip.sampler import host_biases, sample_chip, sample_integers

__all__ = [
    "ChipLayer",
    "ChipNetwork",
    "ChipReadout",
    "hard_reset",
    "host_biases",
    "quantise",
    "sample_chip",
    "sample_integers",
]
