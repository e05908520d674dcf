"""Permanent-dropout samples of a chip's network, and of the same integer weights without spikes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import xarray as xr

from spikedrop.checks.accepted import Inputs
from spikedrop.checks.arguments import of_type, whole_number
from spikedrop.chip.fast import Work, count_spikes
from spikedrop.chip.network import ChipNetwork
from spikedrop.chip.quantise import host_currents, rounded_bias
from spikedrop.engines.backends import Masks, Ran
from spikedrop.errors import InputError
from spikedrop.masks import BLOCK_ROWS, Scope, blocks
from spikedrop.network.inputs import check_inputs
from spikedrop.sampling.checks import check_job
from spikedrop.sampling.sampler import Sampler, collect, one_by_one


def sample_chip(
    chip: ChipNetwork,
    x: Inputs,
    *,
    draws: int,
    seed: int,
    steps: int = 200,
    settle: int | None = None,
    scope: Scope = "draw",
    first_draw: int = 0,
    memory_gb: float = 1.0,
    progress: bool | None = None,
) -> xr.DataArray:
    """Sample the predictive distribution of a network as the chip runs it.

    With the seed of `sample_ann` and `sample_snn` the masks are the same, and the samples paired.

    Parameters
    ----------
    chip : ChipNetwork
        From `quantise`.
    x, draws, seed, scope, first_draw, memory_gb, progress : see `sample_ann`
    steps, settle : see `sample_snn`

    Returns
    -------
    xarray.DataArray
        float32, axes (draw, observation, output); ``attrs["spikes_per_presentation"]`` is the mean
        number of spikes that are received, ``attrs["saturated"]`` the share of neurons that fire at
        every step, whose activation is cut. It should be 0: calibrate with a lower `rate_hz` (on
        the book's screen 300; at 500, 6 neurons in 10,000 double the error).

    Raises
    ------
    InputError
        If an argument is unusable, an input needs a bias current that the chip cannot be set to, or
        a charge could leave the membrane, with the layer's name; before any spike is computed.

    Warns
    -----
    SaturationWarning
        If neurons fire at every step, so that samples are visibly off.

    Examples
    --------
    >>> from spikedrop.network.graph import Layer, Network
    >>> from spikedrop.conversion import calibrate
    >>> from spikedrop.chip import quantise
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> chip = quantise(network, calibrate(network, [[1.0]], rate_hz=100), steps=100)
    >>> samples = sample_chip(chip, [[1.0]], draws=20, seed=0, steps=100)
    >>> sorted(set(samples.values.ravel().tolist()))
    [0.0, 4.0]
    """
    network = of_type("chip", chip, ChipNetwork, "`quantise`").network
    seed, numbers = check_job(
        network,
        draws=draws,
        seed=seed,
        scope=scope,
        first_draw=first_draw,
        memory_gb=memory_gb,
        progress=progress,
    )
    steps = whole_number("steps", steps, least=1)
    settle = steps // 5 if settle is None else whole_number("settle", settle)
    x = check_inputs(network, x)
    if settle >= steps:
        raise InputError(
            f"steps={steps} and settle={settle}: present at least one step after settling."
        )
    check_charge(chip, x, seed=seed, draws=numbers, scope=scope, steps=steps)

    def run(x: np.ndarray, masks: Masks, some: range) -> Ran:
        biases, gates = _stacked_biases(chip, x, masks), _gates(chip, masks)
        counts = count_spikes(Work(chip, biases, gates, steps, settle), len(some), len(x))
        spikes = sum(int(n.sum(dtype=np.int64)) for n in counts.values())
        late = {name: n[:, :, 1] for name, n in counts.items()}
        full = {name: (n == steps - settle).mean(axis=(0, 2)) for name, n in late.items()}
        return Ran(_read_out(chip, late, steps - settle, biases), spikes, shares=full)

    cut = partial(_chunks, chip, memory_gb=memory_gb)
    sampler = Sampler(network, seed, scope, cut, run, "chip")
    attrs: dict[str, object] = {
        "seed": seed,
        "scope": scope,
        "backend": "chip",
        "steps": steps,
        "settle": settle,
        "bits": chip.bits,
        "reset": chip.reset,
    }
    samples, filled = collect("chip", sampler, x, numbers, progress=progress, attrs=attrs)
    filled.saturation.warn(
        "they fire at every step: calibrate with a lower rate_hz, or on rows of this range"
    )
    neurons = [layer.units for layer in chip.layers]
    return samples.assign_attrs(
        spikes_per_presentation=filled.spikes / (len(numbers) * len(x)),
        saturated=float(np.average(filled.saturation.means(), weights=neurons)),
    )


def sample_integers(
    chip: ChipNetwork,
    x: Inputs,
    *,
    draws: int,
    seed: int,
    scope: Scope = "draw",
    progress: bool | None = None,
) -> xr.DataArray:
    r"""Sample the classical network with the chip's integer weights and biases, without spikes.

    Layer by layer :math:`r = \max(0, (\sum_i z_i r_i w_{ij} 2^e + b) / \theta)`, in spikes per
    step: what the chip tends to in a long presentation, if no neuron is driven beyond one spike
    per step and none forgets charge. What it differs by from `sample_ann` is only the rounding of
    the weights.

    Parameters
    ----------
    chip, x, draws, seed, scope, progress : see `sample_chip`

    Returns
    -------
    xarray.DataArray
        float32, axes (draw, observation, output).

    Raises
    ------
    InputError
        If an argument cannot be used, or `x` has the wrong shape or NaN.

    Examples
    --------
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.conversion import calibrate
    >>> from spikedrop.chip import quantise
    >>> chip = quantise(network, calibrate(network, [[1.0]], rate_hz=100), steps=100)
    >>> samples = sample_integers(chip, [[1.0]], draws=20, seed=0)
    >>> sorted(set(samples.values.ravel().round(3).tolist()))
    [0.0, 3.999000072479248]
    """
    network = of_type("chip", chip, ChipNetwork, "`quantise`").network
    seed, numbers = check_job(network, draws=draws, seed=seed, scope=scope, progress=progress)
    x = check_inputs(network, x)

    def run(x: np.ndarray, masks: Masks, some: range) -> Ran:
        biases = _stacked_biases(chip, x, masks)
        gates = _gates(chip, masks)
        rates: dict[str, np.ndarray] = {}
        for layer in chip.layers:
            rate = biases[layer.name].astype(np.float64)
            row = 0
            for source in layer.sources:
                weights = layer.weights[row : row + rates[source].shape[-1]]
                rate = rate + rates[source] @ (weights * 2.0**layer.exponent)
                row += len(weights)
            rate = np.maximum(rate / layer.threshold, 0)
            rates[layer.name] = rate * gates[layer.name] if layer.name in gates else rate
        shape = (len(some), len(x))
        rates = {name: np.broadcast_to(r, (*shape, r.shape[-1])) for name, r in rates.items()}
        return Ran(_read_out(chip, rates, 1, biases))

    sampler = Sampler(network, seed, scope, one_by_one, run, "quantised")
    attrs: dict[str, object] = {"seed": seed, "scope": scope, "bits": chip.bits}
    return collect("quantised", sampler, x, numbers, progress=progress, attrs=attrs)[0]


def host_biases(
    chip: ChipNetwork, x: np.ndarray, masks: dict[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Return what the host sets the neurons' biases to.

    Parameters
    ----------
    chip : ChipNetwork
    x : numpy.ndarray
        Axes (observation, feature), as `check_inputs` returns them.
    masks : dict of numpy.ndarray, optional
        As `network_masks` gives them; only those of inputs change anything.

    Returns
    -------
    dict of numpy.ndarray
        By the name of the layer, axes (observation or 1, neuron): integers, in the unit of the
        charge; of outputs in floating point and in the unit of the output.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.conversion import calibrate
    >>> from spikedrop.chip import quantise
    >>> from spikedrop.masks import network_masks
    >>> chip = quantise(network, calibrate(network, [[1.0]], rate_hz=100), steps=100)
    >>> biases = host_biases(chip, np.ones((1, 1)), network_masks(network, 0, 0))
    >>> {name: values.shape for name, values in biases.items()}
    {'h': (1, 1), 'y': (1, 1)}
    """
    currents = host_currents(chip.network, x, masks)
    biases = {}
    for layer in chip.layers:
        if layer.bias is None:
            current = currents[layer.name].reshape(len(x), -1)
            charge = current * chip.gains[layer.name] * layer.threshold
            biases[layer.name] = rounded_bias(charge, chip.bias_bits)
        else:
            biases[layer.name] = layer.bias[None]
    for out in chip.readouts:
        biases[out.name] = currents[out.name].reshape(len(currents[out.name]), -1)
    return biases


def _stacked_biases(
    chip: ChipNetwork, x: np.ndarray, masks: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return biases with a first axis of draws, of length 1 where no mask of the host's is drawn.

    One draw at a time: the last bits of a product depend on its shape, and a draw's must not.
    """
    hosts = {name: masks[name] for name in masks if not chip.network[name].spiking}
    if not hosts:
        return {name: bias[None] for name, bias in host_biases(chip, x).items()}
    draws = len(next(iter(hosts.values())))
    every = [host_biases(chip, x, {n: m[draw] for n, m in hosts.items()}) for draw in range(draws)]
    return {name: np.stack([biases[name] for biases in every]) for name in every[0]}


def _gates(chip: ChipNetwork, masks: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Which neurons are not dropped: bool, axes (draw, observation or 1, neuron)."""
    gates = {}
    for layer in chip.network.hidden:
        if layer.name in masks:
            mask = masks[layer.name] != 0
            whole = np.broadcast_to(mask, (*mask.shape[:2], *chip.network.shapes[layer.name]))
            gates[layer.name] = whole.reshape(*mask.shape[:2], -1)
    return gates


def _read_out(
    chip: ChipNetwork, spikes: dict[str, np.ndarray], steps: int, biases: dict[str, np.ndarray]
) -> np.ndarray:
    """Outputs of counts (or rates) over `steps`: axes (draw, observation, output)."""
    values = {}
    none = np.zeros((*next(iter(spikes.values())).shape[:2], 0))
    for out in chip.readouts:
        received = np.concatenate([none, *(spikes[s] for s in out.sources)], axis=-1)
        y = (received @ out.weights.astype(np.float64)) * (out.worth / steps) + biases[out.name]
        values[out.name] = y.reshape(*y.shape[:2], *chip.network.shapes[out.name])
    return chip.network.join(values)


def check_charge(
    chip: ChipNetwork, x: np.ndarray, *, seed: int, draws: range, scope: Scope, steps: int
) -> None:
    """Refuse inputs whose biases or charge the chip cannot hold; see `ChipNetwork`.

    Where the host drops inputs, all draws are looked at.
    """
    most: dict[str, np.ndarray] = {}
    least: dict[str, np.ndarray] = {}
    dropped = any(layer.dropout and not layer.spiking for layer in chip.network.layers)
    sampler = Sampler(
        chip.network, seed, scope, one_by_one, lambda x, masks, _: _stacked_biases(chip, x, masks)
    )
    for piece in sampler.pieces(x, draws if dropped else draws[:1], masked=dropped):
        for layer in chip.layers:
            bias = piece.ran[layer.name].reshape(-1, layer.units)
            low, high = bias.min(axis=0), bias.max(axis=0)
            least[layer.name] = np.minimum(least.get(layer.name, low), low)
            most[layer.name] = np.maximum(most.get(layer.name, high), high)
    for layer in chip.layers:
        chip.check_bias(layer.name, np.stack([least[layer.name], most[layer.name]]))
        chip.check_charge(layer, steps, least[layer.name], most[layer.name])


def _chunks(
    chip: ChipNetwork, n_observations: int, draws: range, memory_gb: float
) -> Iterator[tuple[range, range]]:
    """Cut a job into (draws, observations) whose counts, masks and copies fit in `memory_gb`."""
    per_pair = 8 * 8 * sum(layer.units for layer in chip.layers)
    rows_at_once = min(n_observations, BLOCK_ROWS)
    some = int(memory_gb * 1e9 // (per_pair * rows_at_once)) if memory_gb > 0 else 0
    if some < 1:
        raise InputError(
            f"memory_gb={memory_gb:g} is too small: {rows_at_once} presentations of this network "
            f"take {per_pair * rows_at_once / 1e9:.2g} GB."
        )
    for rows in blocks(n_observations):
        for start in range(draws.start, draws.stop, some):
            yield range(start, min(start + some, draws.stop)), rows
