"""From trained network and conversion to the integers of a chip."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from spikedrop.checks.arguments import of_type, whole_number
from spikedrop.chip.network import BIAS_SHIFTS, ChipLayer, ChipNetwork, ChipReadout
from spikedrop.conversion import Conversion
from spikedrop.engines.capabilities import PROGRAMS, refusal
from spikedrop.errors import InputError
from spikedrop.network.graph import Network
from spikedrop.network.inputs import check_network
from spikedrop.network.layers import linear, masked
from spikedrop.network.topology import neuron_maps, neurons_read, reached_by_input

MAX_EXPONENT = 7  # the largest that NengoLoihi gives a weight of 8 bits
ROOM = 8  # thresholds a step that the current of a layer without neurons below may reach
MANY = 100_000  # weights that are enough to choose the range by
SYNAPSES = 2**28  # beyond it the maps between neurons are too large to be written out
CLIPS = np.linspace(0.2, 1.0, 81)  # shares of the largest weight that are tried as the range's end


def quantise(
    network: Network,
    conversion: Conversion,
    *,
    bits: int = 8,
    bias_bits: int = 13,
    membrane_bits: int = 24,
    steps: int = 200,
) -> ChipNetwork:
    r"""Round a network to what neuromorphic hardware holds.

    In thresholds, a spike of neuron i below is worth
    :math:`W_{ij} = g_j A_{ij} / ((1 - p_i)\, g_i)`, with g spikes per step for one unit of
    activation, A the linear map between the two layers of neurons (a dense layer, or convolution
    and pooling together) and :math:`1/(1-p_i)` what dropout multiplies a kept unit by. The chip
    holds

    .. math:: w_{ij} = \mathrm{clip}(\mathrm{round}(W_{ij}\, \theta\, 2^{-e}))

    with one threshold :math:`\theta` and exponent e a layer: the range that minimises the squared
    rounding error (the largest weights may be clipped), and the largest exponent with which no
    charge can leave the membrane in `steps` steps.

    What lies between the input and the first neurons stays with the host, in floating point: it
    sets an integer bias for every neuron and input, rounded to `bias_bits`. Input dropout is the
    host's too. The head (softmax) and the output's bias are the host's as well; the readout's
    weights are on the chip.

    Parameters
    ----------
    network : Network
        Dropout by units or channels, of inputs and neurons, drawn or from stored masks.
    conversion : Conversion
        From `calibrate`, with the charge-keeping neuron and no synapse.
    bits, bias_bits, membrane_bits : int
        Of a weight, of a bias before its shift, of the charge, with sign. The defaults are Loihi's
        (Davies et al. 2018, doi:10.1109/MM.2018.112130359), as NengoLoihi 1.1 programs it: 8-bit
        weights, a bias of 12 bits and sign shifted by up to 7, 23 bits and sign of charge.
    steps : int
        The longest presentation.

    Returns
    -------
    ChipNetwork
        For `spikedrop.chip.sample_chip`.

    Raises
    ------
    InputError
        If a layer's dropout is not a gate of an axon, the neuron is another one, or no exponent
        keeps the charge inside the membrane.

    Examples
    --------
    Weights of 0.75 and -0.25 thresholds are 3 and -1 in three bits; a kept unit counts twice.

    >>> from spikedrop.network.graph import Layer
    >>> one, zero = np.eye(2, dtype="float32"), np.zeros(2, "float32")
    >>> network = Network.chain(
    ...     (Layer("a", one, zero, 0.5), Layer("b", np.float32([[0.375, 0], [0, -0.125]]), zero)),
    ...     Layer("y", one, zero),
    ... )
    >>> layer = quantise(network, Conversion((500.0, 500.0)), bits=3).layers[1]
    >>> layer.strengths().round(3).tolist()
    [[0.75, 0.0], [0.0, -0.25]]
    """
    check_network(network)
    of_type("conversion", conversion, Conversion, "`calibrate`")
    steps = whole_number("steps", steps, least=1)
    bits = whole_number("bits", bits, least=2)
    bias_bits = whole_number("bias_bits", bias_bits, least=2)
    membrane_bits = whole_number("membrane_bits", membrane_bits, least=2)
    _check(network, conversion, steps)
    maps = neuron_maps(network)
    gains = {
        layer.name: np.broadcast_to(
            np.asarray(scale * conversion.dt, np.float64), network.shapes[layer.name]
        ).ravel()
        for layer, scale in zip(network.hidden, conversion.scales_hz, strict=True)
    }
    width: dict[str, Any] = {"bits": bits, "bias_bits": bias_bits, "membrane_bits": membrane_bits}
    bare = ChipNetwork((), (), network, gains, **width)  # checks the widths
    from_input, still = reached_by_input(network.layers), host_currents(network, None)
    chip_layers, readouts = [], []
    for layer in network.layers:
        if not (layer.spiking or layer.name in network.outputs):
            continue
        sources = tuple(maps[layer.name])
        worth = [
            matrix / ((1 - network[source].dropout) * gains[source])[:, None]
            for source, matrix in maps[layer.name].items()
        ]
        weights = np.concatenate([np.zeros((0, network.units(layer.name))), *worth])
        if not layer.spiking:
            unit = weight_range(weights, bits) / (2 ** (bits - 1) - 1)
            readouts.append(ChipReadout(layer.name, sources, rounded(weights / unit, bits), unit))
            continue
        current = None if layer.name in from_input else still[layer.name].ravel()
        tried = _layers(bare, layer.name, sources, weights, current, conversion, steps)
        chosen = next((one for one in tried if _fits(bare, one, steps)), None)
        if chosen is None:
            raise InputError(
                f"layer {layer.name!r}: with {bits}-bit weights no exponent keeps a neuron's "
                f"charge inside {membrane_bits} bits for {steps} steps, and its bias inside "
                f"{bias_bits}: use fewer `bits` or fewer steps, or more `membrane_bits`."
            )
        chip_layers.append(chosen)
    return ChipNetwork(tuple(chip_layers), tuple(readouts), network, gains, **width)


def _layers(
    chip: ChipNetwork,
    name: str,
    sources: tuple[str, ...],
    weights: np.ndarray,
    current: np.ndarray | None,
    conversion: Conversion,
    steps: int,
) -> Iterator[ChipLayer]:
    """Yield the layer with finer and then coarser integers: weights and current in thresholds."""
    gain = chip.gains[name]
    weights = weights * gain
    largest = weight_range(weights, chip.bits)
    top = 2 ** (chip.bits - 1) - 1
    if weights.any():
        choices = [(round(top * 2.0**e / largest), e) for e in range(MAX_EXPONENT, -1, -1)]
    else:
        choices = [(2**e, 0) for e in range(chip.membrane_bits - 2, -1, -1)]
        if current is None:  # of an input that is not known yet
            most = 2 ** (chip.membrane_bits - 1) // (ROOM * steps)
            choices = [choice for choice in choices if choice[0] <= most]
    for threshold, exponent in choices:
        if not 1 <= threshold < 2 ** (chip.membrane_bits - 1):
            continue
        yield ChipLayer(
            name,
            sources,
            rounded(weights * (threshold / 2.0**exponent), chip.bits),
            exponent,
            threshold,
            None if current is None else rounded_bias(current * gain * threshold, chip.bias_bits),
            round(conversion.initial_charge * threshold),
        )


def _fits(chip: ChipNetwork, layer: ChipLayer, steps: int) -> bool:
    """Tell whether bias and charge stay in range; an unknown bias may double the spikes' charge."""
    bias = np.zeros(layer.units) if layer.bias is None else layer.bias
    if np.abs(bias).max(initial=0) > chip.largest_bias:
        return False
    low, high = chip.charge_range(layer, steps, bias, bias)
    spare = 2 if layer.bias is None and layer.sources else 1
    return spare * max(-low, high) < 2 ** (chip.membrane_bits - 1)


def weight_range(weights: np.ndarray, bits: int) -> float:
    """End of the range that rounds weights to `bits` bits with the least squared error.

    1.0 if all weights are 0.

    >>> weight_range(np.array([1.0, -3.0]), bits=8)
    3.0
    """
    top, largest = 2 ** (bits - 1) - 1, float(np.abs(weights).max(initial=0))
    if largest == 0:
        return 1.0
    if bits > 8:  # nothing to be gained, and much to be tried
        return largest
    some = weights[weights != 0]
    some = some[:: 1 + len(some) // MANY]

    def loss(end: float) -> float:
        unit = end / top
        return float(((np.clip(np.round(some / unit), -top, top) * unit - some) ** 2).sum())

    return min((largest * float(share) for share in CLIPS[::-1]), key=loss)


def rounded(values: np.ndarray, bits: int) -> np.ndarray:
    """Round to the nearest integers of `bits` bits, sign included; the range is symmetric.

    >>> rounded(np.array([2.4, -9.0]), bits=3)
    array([ 2, -3], dtype=int8)
    """
    top = 2 ** (bits - 1) - 1
    dtype = np.int8 if bits <= 8 else np.int16 if bits <= 16 else np.int32
    return np.clip(np.round(values), -top, top).astype(dtype)


def rounded_bias(values: np.ndarray, bias_bits: int) -> np.ndarray:
    """Round to integers of `bias_bits` bits shifted to the left, each by the places it needs.

    What is beyond the largest shift comes back as it is, to be refused with a name.

    >>> rounded_bias(np.array([3.4, 4097.0, -8191.0]), bias_bits=13)
    array([    3,  4096, -8192])
    """
    most = 2 ** (bias_bits - 1) - 1
    shift = np.ceil(np.log2(np.maximum(np.abs(values) / most, 1.0)))
    unit = 2.0 ** np.minimum(shift, BIAS_SHIFTS)
    whole = np.clip(np.round(values / unit) * unit, -(2.0**62), 2.0**62)  # what int64 holds
    return whole.astype(np.int64)


def host_currents(
    network: Network, x: np.ndarray | None, masks: dict[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Values of all layers while no neuron fires, before rectification: the host's part.

    One row for layers that do not receive the input.

    Parameters
    ----------
    network : Network
    x : numpy.ndarray or None
        Axes (observation, feature); None for one input of zeros.
    masks : dict of numpy.ndarray, optional
        As `network_masks` gives them; those of neurons change nothing here.
    """
    x = np.zeros((1, network.n_inputs)) if x is None else x
    values = network.split(x.astype(np.float64))
    sent: dict[str, np.ndarray] = {}
    for layer in network.layers:
        if not layer.is_input:
            below = [sent[source] for source in layer.sources]
            rows = max(map(len, below))
            whole = [np.broadcast_to(h, (rows, *h.shape[1:])) for h in below]
            values[layer.name] = linear(layer, whole)
        h = values[layer.name]
        sent[layer.name] = np.zeros_like(h[:1]) if layer.spiking else masked(layer, h, masks or {})
    return values


def _check(network: Network, conversion: Conversion, steps: int) -> None:
    """Refuse what the chip model cannot run; see `spikedrop.engines.capabilities`."""
    if why := refusal(PROGRAMS["chip"], network, conversion):
        raise InputError(why)
    if len(conversion.scales_hz) != len(network.hidden):
        raise InputError(
            f"the conversion has {len(conversion.scales_hz)} firing-rate scales and the network "
            f"{len(network.hidden)} hidden layers: calibrate it on this network."
        )
    if steps < 1:
        raise InputError(f"steps={steps}: a presentation has at least one step.")
    received = neurons_read(network.layers)
    for layer in network.layers:
        synapses = network.units(layer.name) * sum(map(network.units, received[layer.name]))
        if (layer.spiking or layer.name in network.outputs) and synapses > SYNAPSES:
            raise InputError(
                f"layer {layer.name!r} has more than {SYNAPSES} synapses, written out neuron by "
                "neuron: use a smaller network, or strides."
            )
