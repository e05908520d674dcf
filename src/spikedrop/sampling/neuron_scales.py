"""Where a spike counts most: firing-rate scales neuron by neuron, from the output's sensitivity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikedrop.checks.arguments import of_type
from spikedrop.conversion import Conversion
from spikedrop.engines.backends import Masks
from spikedrop.engines.compiled import load, run_slopes
from spikedrop.errors import InputError
from spikedrop.network.graph import Network
from spikedrop.network.inputs import check_inputs
from spikedrop.network.layers import masked
from spikedrop.sampling.checks import check_job
from spikedrop.sampling.sampler import Sampler, draw_by_draw, first

ROWS = 1000  # training rows that are looked at, spread evenly
QUIETEST = 1e-3  # a unit's share of the layer's mean below which it is treated alike
HEADROOM = 1.2  # over the largest activation seen, before a neuron runs out of steps


def allocate(
    network: Network, conversion: Conversion, x_train: np.ndarray, *, seed: int, draws: int = 8
) -> Conversion:
    r"""Give every neuron a firing-rate scale of its own, at the same cost in spikes.

    A neuron that rounds to whole spikes errs by a uniform :math:`\pm 1/(2 g_i T\,dt)`, which
    moves output k by :math:`s_{ik} = \partial y_k / \partial a_i` times as much, and it fires
    :math:`g_i \bar a_i T\,dt` spikes. Least squared error at a given number of spikes is

    .. math:: g_i \propto \left( \sum_k \overline{s_{ik}^2} \,/\, \bar a_i \right)^{1/3}

    with means over training rows and masks (a Lagrange multiplier; own derivation). The result
    fires as many spikes as `conversion`, up to rounding, unless a neuron that integrates first
    would need more than one spike per step; it gets what its window holds.

    Parameters
    ----------
    network : Network
    conversion : Conversion
        From `calibrate`; sets neuron, time step and, through its scales, the number of spikes.
    x_train : array
        Axes (row, input).
    seed, draws : int
        Masks to average over.

    Returns
    -------
    Conversion
        ``scales_hz`` holds an array, axes of the layer's values, for every hidden layer.

    Raises
    ------
    InputError
        If `x_train` is unusable, or spikes are digits, as those of ``radix``: a finer
        quantum costs no more than one of them.

    Examples
    --------
    >>> from spikedrop.network.graph import Layer
    >>> from spikedrop.conversion import calibrate
    >>> eye, zero = np.eye(2, dtype="float32"), np.zeros(2, "float32")
    >>> readout = Layer("y", np.array([[8.0], [1.0]], "float32"), zero[:1])
    >>> network = Network.chain((Layer("h", eye, zero, 0.1),), readout)
    >>> x = np.ones((5, 2), "float32")
    >>> uniform = calibrate(network, x, rate_hz=100)
    >>> loud, quiet = allocate(network, uniform, x, seed=0, draws=200).scales_hz[0]
    >>> round(loud / quiet)  # the cube root of 8 squared
    4
    """
    seed, numbers = check_job(network, draws=draws, seed=seed, scope="draw")
    of_type("conversion", conversion, Conversion, "`calibrate`")
    x = check_inputs(network, x_train)
    if conversion.dynamics.shifts:
        raise InputError(
            f"neuron={conversion.neuron!r} sends digits, so a scale of its own saves a neuron no "
            "spikes: use 'integrate_first' or 'charge_keeping'."
        )
    x = x[:: max(1, len(x) // ROWS)]
    squared, mean, peak = (
        [np.zeros(network.shapes[layer.name]) for layer in network.hidden] for _ in range(3)
    )
    loaded = load(network)

    def run(x: np.ndarray, masks: Masks, _: range) -> tuple[list[np.ndarray], list[np.ndarray]]:
        return run_slopes(loaded, x, first(masks))

    for piece in Sampler(network, seed, "draw", draw_by_draw, run).pieces(x, numbers):
        masks = first(piece.masks)
        for i, (layer, a, slope) in enumerate(zip(network.hidden, *piece.ran, strict=True)):
            # a silent neuron rounds nothing
            squared[i] += ((slope * (a > 0)[..., None]) ** 2).sum(axis=-1).mean(axis=0)
            mean[i] += (a * (masked(layer, np.ones_like(a), masks) != 0)).mean(axis=0)
            peak[i] = np.maximum(peak[i], a.max(axis=0))
    scales = [
        np.cbrt(np.maximum(s, QUIETEST * s.mean()) / np.maximum(a, QUIETEST * a.mean()))
        for s, a in zip(squared, mean, strict=True)
    ]
    before = sum((g * a).sum() for g, a in zip(conversion.scales_hz, mean, strict=True))
    after = sum((g * a).sum() for g, a in zip(scales, mean, strict=True))
    scales = [g * (before / after) for g in scales]
    if conversion.windowed:  # at most one spike per step: leave room for the largest activation
        room = [1 / (HEADROOM * conversion.dt * np.maximum(p, 1e-30)) for p in peak]
        scales = [np.minimum(g, most) for g, most in zip(scales, room, strict=True)]
    return replace(conversion, scales_hz=tuple(scales))
