"""Samplers that are wrong on purpose: a comparison that cannot tell them apart proves nothing.

Wrong means: they do not give the samples of the artificial network with permanent dropout. Masks
that change with the time steps are also a published method in its own right, for networks that are
trained on spikes (AOT-SNN: Sun, Yin & Bohté 2023, arXiv:2304.10191; Sun & Bohté 2024,
arXiv:2412.00278), which is not judged here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from spikedrop.conversion import Conversion, calibrate
from spikedrop.errors import InputError
from spikedrop.network.graph import Network
from spikedrop.network.kinds import kind_of
from spikedrop.network.layers import Layer
from spikedrop.sampling.snn import Hold, sample_snn

__all__ = ["Sampler", "six_controls"]


@dataclass(frozen=True, eq=False)
class Sampler:
    """A spiking sampler, right or wrong.

    Attributes
    ----------
    network : Network
    conversion : Conversion
    hold : see `spikedrop.sample_snn`
    """

    network: Network
    conversion: Conversion
    hold: Hold | Mapping[str, Hold] = "presentation"

    def sample(self, x: np.ndarray, **settings: Any) -> xr.DataArray:
        """Return `spikedrop.sample_snn` of this sampler; `settings` are its keyword arguments."""
        return sample_snn(self.network, self.conversion, x, hold=self.hold, **settings)


def six_controls(
    network: Network, x_train: np.ndarray, *, rate_hz: float = 500.0, layer: str | None = None
) -> dict[str, Sampler]:
    """Return six spiking samplers, each with one fault, by the name of the fault.

    ``all masks redrawn``
        At every time step, as a stochastic layer in a simulation would do it.
    ``one layer's masks redrawn``
        Those of `layer`.
    ``rectified, no synapse``
        Nengo's neuron, which rectifies the current of every instant.
    ``mask scale 1``
        Kept units are passed on as they are, not times 1/(1-p).
    ``dropout off``
        Every draw is the same.
    ``rate scale off by 10 %``
        The spikes of `layer` are read as if its firing-rate scale were 10 % larger.

    Parameters
    ----------
    network, x_train, rate_hz : see `spikedrop.calibrate`
    layer : str, optional
        A hidden layer with dropout; by default the middle one of those.

    Returns
    -------
    dict
        Name of the fault to `Sampler`.

    Raises
    ------
    InputError
        If no hidden layer has dropout, or `layer` is not one that has.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> samplers = six_controls(network, [[1.0]])
    >>> len(samplers), "all masks redrawn" in samplers
    (6, True)
    """
    dropped = [one.name for one in network.hidden if one.dropout]
    if not dropped or layer not in (None, *dropped):
        raise InputError(f"layer={layer!r}: hidden layers with dropout are {dropped}.")
    layer = layer or dropped[len(dropped) // 2]
    right = calibrate(network, x_train, rate_hz=rate_hz)
    rectified = calibrate(network, x_train, rate_hz=rate_hz, neuron="rectified")
    return {
        "all masks redrawn": Sampler(network, right, "step"),
        "one layer's masks redrawn": Sampler(network, right, {layer: "step"}),
        "rectified, no synapse": Sampler(network, rectified),
        "mask scale 1": Sampler(without_mask_scale(network), right),
        "dropout off": Sampler(network.with_dropout(0.0), right),
        "rate scale off by 10 %": Sampler(with_wrong_rate_scale(network, layer), right),
    }


def without_mask_scale(network: Network) -> Network:
    """Return a network whose kept units are passed on as they are, not times 1/(1-p).

    The missing factor is taken out of the next layer's weights.

    >>> from spikedrop.network.layers import Layer
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, one[0]))
    >>> without_mask_scale(network).layers[-1].weights.tolist()
    [[0.5]]
    """
    return _rescaled(network, lambda layer: 1 - layer.dropout, "has dropout")


def with_wrong_rate_scale(network: Network, layer: str, factor: float = 1.1) -> Network:
    """Return a network that reads the spikes of `layer` with a scale `factor` times too large.

    Its neurons fire at the firing-rate scale g and every spike counts ``1 / (factor g dt)``, so
    that the layers above receive its activation divided by `factor`. Use it with the conversion
    of `network`. Raises `InputError` if there is no such hidden layer.

    >>> from spikedrop.network.layers import Layer
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0]),), Layer("y", one, one[0]))
    >>> with_wrong_rate_scale(network, "h", 2.0).layers[-1].weights.tolist()
    [[0.5]]
    """
    names = [one.name for one in network.hidden]
    if layer not in names:
        raise InputError(f"layer={layer!r} is not a hidden layer; those are {names}.")
    return _rescaled(network, lambda one: 1 / factor if one.name == layer else 1.0, "is misread")


def _rescaled(network: Network, factor: Callable[[Layer], float], why: str) -> Network:
    """Multiply what every layer hands on by its factor, in the weights of the layers above."""
    layers = []
    for layer in network.layers:
        changed = [network[name] for name in layer.sources if factor(network[name]) != 1]
        if changed and not kind_of(layer).has_weights:
            raise InputError(
                f"layer {layer.name!r} ({layer.op}) reads {changed[0].name!r}, which {why}: the "
                "factor can be taken out only of weights."
            )
        scale = np.float32(np.prod([factor(source) for source in changed]))
        layers.append(replace(layer, weights=layer.weights * scale) if changed else layer)
    return replace(network, layers=tuple(layers))
