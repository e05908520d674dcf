"""The chip's integers in plain NumPy, written to be read; the fast sampler is held against it."""

from __future__ import annotations

import numpy as np

from spikedrop.chip.network import ChipNetwork


def simulate(
    chip: ChipNetwork,
    biases: dict[str, np.ndarray],
    gates: dict[str, np.ndarray],
    *,
    steps: int,
    settle: int = 0,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Present inputs for `steps` steps; see `ChipNetwork` for the neuron.

    Layer after layer, each for all steps at once.

    Parameters
    ----------
    chip : ChipNetwork
    biases : dict of numpy.ndarray
        Of every layer of neurons, integers with axes (observation or 1, neuron), as
        `spikedrop.chip.host_biases` gives them.
    gates : dict of numpy.ndarray
        Which neurons are not dropped, axes (observation or 1, neuron); without one, all of a layer.
    steps, settle : int
        Steps presented; the first `settle` of them are not read out.

    Returns
    -------
    charge : dict of numpy.ndarray
        What each readout has summed, integers with axes (observation, output).
    spikes : dict of numpy.ndarray
        Of every layer of neurons, those of dropped neurons included: bool, axes (step,
        observation, neuron).
    """
    spikes: dict[str, np.ndarray] = {}

    def received(sources: tuple[str, ...], rows: int) -> np.ndarray:
        sent = [spikes[s] & (gates[s] != 0 if s in gates else True) for s in sources]
        return np.concatenate([np.zeros((steps, rows, 0), bool), *sent], axis=-1)

    rows = max(len(bias) for bias in (*biases.values(), *gates.values()))
    for layer in chip.layers:
        weights = layer.weights.astype(np.int64) << layer.exponent
        sent = received(layer.sources, rows)
        sent = np.concatenate([np.zeros_like(sent), sent])[steps - chip.delay :][:steps]
        fired = spikes[layer.name] = np.zeros((steps, rows, layer.units), bool)
        u = np.zeros((rows, layer.units), np.int64)
        v = np.full_like(u, layer.start)
        for t in range(steps):
            u = np.sign(u) * (np.abs(u) * chip.keep >> 12) + sent[t] @ weights
            v = v + u + biases[layer.name]
            v = v if chip.floor is None else np.maximum(v, chip.floor)
            fired[t] = v >= layer.threshold
            v = np.where(fired[t], 0 if chip.reset == "zero" else v - layer.threshold, v)
    charge = {
        out.name: received(out.sources, rows)[settle:].sum(axis=0) @ out.weights.astype(np.int64)
        for out in chip.readouts
    }
    return charge, spikes
