r"""The artificial networks that ``integrate_first`` and ``radix`` are equal to.

A layer that integrates a whole window before it fires has all of its charge before the first
spike. What it sends is then a function of that charge alone: the activation, rounded to one of a
fixed set of levels. Time carries nothing but the digits of the rounded number.
"""

from __future__ import annotations

import numpy as np

from spikedrop.conversion import Conversion
from spikedrop.errors import InputError
from spikedrop.network.forward import forward
from spikedrop.network.graph import Network
from spikedrop.network.layers import Layer

__all__: list[str] = []


def round_activation(
    h: np.ndarray, scale: float | np.ndarray, conversion: Conversion, steps: int
) -> np.ndarray:
    r"""Rectify and round an activation to the levels of a neuron that integrates first.

    .. math::

        \hat a = \Delta\,\min\!\left(n_{\max},\ \max\!\left(0,\
            \left\lfloor a / \Delta + c \right\rfloor\right)\right),
        \qquad \Delta = \frac{1}{L\, g\, \mathrm{dt}}

    with the firing-rate scale g, the initial charge c, and L the levels of
    `Conversion.levels`: T for ``integrate_first``, :math:`2^T` for ``radix``. The largest count
    :math:`n_{\max}` is T, and :math:`2^T - 1` for ``radix``, the largest number of T bits.

    Parameters
    ----------
    h : numpy.ndarray
        Values of a layer before rectification, any axes.
    scale : float or numpy.ndarray
        Firing-rate scale, hertz per unit of activation.
    conversion : Conversion
        Of ``integrate_first`` or ``radix`` neurons.
    steps : int
        T, the steps of one window.

    Returns
    -------
    numpy.ndarray
        Axes of `h`, in the unit of the activation.

    Raises
    ------
    InputError
        If the neuron is another one.

    Examples
    --------
    Full scale is 1, T is 2: the levels are 0, 1/2, 1, and with bits 0, 1/4, 1/2, 3/4.

    >>> a = np.array([-1.0, 0.2, 0.4, 0.7, 9.0])
    >>> for neuron in ("integrate_first", "radix"):
    ...     print(round_activation(a, 1000.0, Conversion((1000.0,), neuron), 2).tolist())
    [0.0, 0.0, 0.5, 0.5, 1.0]
    [0.0, 0.25, 0.5, 0.75, 0.75]
    """
    if conversion.neuron not in ("integrate_first", "radix"):
        raise InputError(
            f"neuron={conversion.neuron!r} is not known to round its activation to levels: use "
            "'integrate_first' or 'radix'."
        )
    levels, largest = conversion.levels(steps), conversion.dynamics.largest(steps)
    quantum = 1 / (levels * scale * conversion.dt)
    return quantum * np.clip(np.floor(h / quantum + conversion.initial_charge), 0, largest)


def forward_rounded(
    network: Network,
    conversion: Conversion,
    x: np.ndarray,
    masks: dict[str, np.ndarray] | None = None,
    *,
    steps: int,
) -> np.ndarray:
    """Run the artificial network once with rounded activations, without time and without spikes.

    It equals the spiking network of ``integrate_first`` or ``radix`` neurons with the same masks,
    up to the rounding of floating point; `tests/study/test_rounded.py` holds that.

    Parameters
    ----------
    network, conversion, x, masks : see `spikedrop.engines.reference.simulate`
    steps : int
        T, the steps of one window: T levels, or T bits for ``radix``.

    Returns
    -------
    numpy.ndarray
        Axes (observation, output).

    Raises
    ------
    InputError
        If the conversion is of another neuron.

    Examples
    --------
    An activation of 0.3 on a scale of 1, in four levels: 1/4.

    >>> from spikedrop.network.graph import Layer
    >>> one, zero = np.ones((1, 1)), np.zeros(1)
    >>> network = Network.chain((Layer("h", one, zero),), Layer("y", one, zero))
    >>> conversion = Conversion((1000.0,), "integrate_first")
    >>> forward_rounded(network, conversion, np.array([[0.3]]), steps=4).tolist()
    [[0.25]]
    """
    scales = dict(zip((layer.name for layer in network.hidden), conversion.scales_hz, strict=True))

    def rounded(layer: Layer, h: np.ndarray) -> np.ndarray:
        return round_activation(h, scales[layer.name], conversion, steps)

    return forward(network, x, masks, rounded)[0]
