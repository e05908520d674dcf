"""The fair opponent: the artificial network in integers, doing the same draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from spikedrop.checks.accepted import Inputs
from spikedrop.engines.backends import Masks, Ran
from spikedrop.errors import InputError
from spikedrop.masks import Scope
from spikedrop.network.forward import forward
from spikedrop.network.graph import Network
from spikedrop.network.inputs import check_inputs
from spikedrop.network.kinds import kind_of
from spikedrop.network.layers import linear, masked, with_masked_weights
from spikedrop.sampling.checks import check_job
from spikedrop.sampling.sampler import Sampler, collect, first, one_by_one


def quantised(network: Network, bits: int) -> Network:
    r"""Round every layer's weights to integers of so many bits, times one scale per layer.

    .. math::

        \hat W = s\,\mathrm{round}(W / s), \qquad s = \max |W| \,/\, (2^{b-1} - 1)

    Biases stay, as accumulators are wide.

    Parameters
    ----------
    network : Network
    bits : int
        Of a weight, its sign included; 2 to 16.

    Returns
    -------
    Network
        The same layers with rounded weights, float32.

    Raises
    ------
    InputError
        If `bits` is out of range.

    Examples
    --------
    >>> from spikedrop.network.graph import Layer
    >>> one = np.ones((1, 1), "float32")
    >>> hidden = Layer("h", np.array([[1.0, 0.4]], "float32"), np.zeros(2, "float32"))
    >>> readout = Layer("y", np.ones((2, 1), "float32"), one[0])
    >>> quantised(Network.chain((hidden,), readout), 2)["h"].weights.tolist()
    [[1.0, 0.0]]
    """
    if not isinstance(bits, int) or not 2 <= bits <= 16:
        raise InputError(f"bits={bits}; a weight needs 2 to 16 bits.")
    layers = []
    for layer in network.layers:
        if kind_of(layer).has_synapses and np.any(layer.weights):
            scale = np.abs(layer.weights).max() / (2 ** (bits - 1) - 1)
            weights = (scale * np.rint(layer.weights / scale)).astype(np.float32)
            layer = replace(layer, weights=weights)
        layers.append(layer)
    return replace(network, layers=tuple(layers))


def sample_quantised(
    network: Network,
    x_train: Inputs,
    x: Inputs,
    *,
    bits: int,
    draws: int,
    seed: int,
    scope: Scope = "draw",
    progress: bool | None = None,
) -> xr.DataArray:
    """Sample the artificial network with weights, inputs and activations of so many bits.

    The masks are those of `sample_ann` with the same seed, so the error is paired. Weights as in
    `quantised`. Activations become one of ``2**bits`` levels from zero to the layer's largest on
    training rows, dropout off, inputs one of ``2**bits - 1`` from minus to plus the largest; what
    is beyond is clipped. The factor of a mask belongs to the scale. Rounding
    after training: nothing is trained again, which would help 4 bits most.

    Parameters
    ----------
    network, x, draws, seed, scope, progress : see `spikedrop.sample_ann`
    x_train : array
        As `x`; sets the ranges.
    bits : int

    Returns
    -------
    xarray.DataArray
        float32, axes (draw, observation, output), as from `sample_ann`.

    Raises
    ------
    InputError
        If `bits` is out of range, or an input is unusable.

    Examples
    --------
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> samples = sample_quantised(network, [[1.0]], [[1.0]], bits=8, draws=20, seed=0)
    >>> sorted(set(samples.values.ravel().round(3).tolist()))  # as in floating point
    [0.0, 4.0]
    """
    rounded = quantised(network, bits)
    seed, numbers = check_job(network, draws=draws, seed=seed, scope=scope, progress=progress)
    x = check_inputs(network, x)
    seen = check_inputs(network, x_train)
    top = {name: float(np.abs(h).max()) for name, h in network.split(seen).items()}
    for layer, a in zip(network.hidden, forward(network, seen)[1], strict=True):
        top[layer.name] = float(a.max())

    def to_levels(h: np.ndarray, name: str, signed: bool) -> np.ndarray:
        most = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
        step = (top[name] or 1.0) / most
        return step * np.clip(np.rint(h / step), -most if signed else 0, most)

    def run(x: np.ndarray, stacked: Masks, _: range) -> Ran:
        masks = first(stacked)
        values = network.split(x)
        for layer in rounded.layers:
            if layer.is_input:
                h = to_levels(values[layer.name], layer.name, signed=True)
            else:
                below = [values[source] for source in layer.sources]
                h = linear(with_masked_weights(layer, masks), below)
            if layer.spiking:
                h = to_levels(np.maximum(h, 0), layer.name, signed=False)
            values[layer.name] = masked(layer, h, masks)
        return Ran(network.join(values)[None])

    name = f"ann {bits} bit"
    attrs: dict[str, object] = {"seed": seed, "scope": scope, "bits": bits}
    sampler = Sampler(network, seed, scope, one_by_one, run, name)
    return collect(name, sampler, x, numbers, progress=progress, attrs=attrs)[0]
