"""Dropout masks as a pure function of (seed, layer, draw, observation).

Counter-based random numbers (Philox; Salmon et al. 2011, doi:10.1145/2063384.2063405): the
seed and the layer are the key; the draw, the observation and the step are the counter. The
same draw therefore has the same mask on every backend, in any batch, after any restart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from spikedrop.errors import InputError
from spikedrop.network import Network

Scope = Literal["draw", "row"]
_BITS_PER_BLOCK = 8  # one Philox block is 4 x 64 bits: eight 32-bit uniforms
BLOCK_ROWS = 128  # observations a sampler works on at a time


def layer_mask(
    seed: int,
    layer: int,
    draw: int,
    *,
    units: int,
    rate: float,
    observations: range | None = None,
    step: int | None = None,
) -> np.ndarray:
    r"""Multipliers of one layer's outputs in one draw.

    .. math:: m_i = z_i / (1 - p), \qquad z_i \sim \mathrm{Bernoulli}(1 - p)

    Parameters
    ----------
    seed : int
        0 <= seed < 2**64.
    layer : int
        0 is the input, 1 the first hidden layer.
    draw : int
        Which Monte-Carlo sample.
    units : int
        Units of the layer.
    rate : float
        Dropout probability p, 0 <= p < 1; resolved to 2**-32.
    observations : range, optional
        With a range of consecutive observations every one has its own mask (scope ``row``);
        without, one mask serves all (scope ``draw``).
    step : int, optional
        Only for the wrong control that redraws the mask at every time step.

    Returns
    -------
    numpy.ndarray
        float32, axes (observation, unit); the first axis has length 1 for scope ``draw``.

    Examples
    --------
    >>> layer_mask(0, 1, 3, units=5, rate=0.5)
    array([[0., 2., 0., 2., 2.]], dtype=float32)
    >>> rows = layer_mask(0, 1, 3, units=5, rate=0.5, observations=range(10))
    >>> some = layer_mask(0, 1, 3, units=5, rate=0.5, observations=range(4, 6))
    >>> bool((rows[4:6] == some).all())
    True
    """
    if not 0 <= rate < 1:
        raise InputError(f"layer {layer}: dropout rate {rate} must be at least 0 and below 1.")
    if not 0 <= seed < 2**64 or draw < 0:
        raise InputError(f"seed {seed} and draw {draw} must not be negative (seed below 2**64).")
    rows = 1 if observations is None else len(observations)
    if rate == 0:
        return np.ones((rows, units), dtype=np.float32)
    if observations is not None and observations.step != 1:
        raise InputError(f"observations must be consecutive, got a step of {observations.step}.")
    blocks = -(-units // _BITS_PER_BLOCK)
    first = 0 if observations is None else observations.start * blocks
    counter = (first, 0 if observations is None else 1, draw, 0 if step is None else step + 1)
    generator = np.random.Philox(
        key=np.array([seed, layer], dtype=np.uint64), counter=np.array(counter, dtype=np.uint64)
    )
    words = generator.random_raw(rows * blocks * 4)
    uniforms = np.stack([words & np.uint64(0xFFFFFFFF), words >> np.uint64(32)], axis=-1)
    keep = uniforms.reshape(rows, blocks * _BITS_PER_BLOCK)[:, :units] >= round(rate * 2**32)
    return keep.astype(np.float32) * np.float32(1 / (1 - rate))


def network_masks(
    network: Network,
    seed: int,
    draw: int,
    observations: range | None = None,
    step: int | None = None,
) -> list[np.ndarray]:
    """Return the masks of one draw: of the input, then of every hidden layer.

    Each is float32 with axes (observation, unit); the first axis has length 1 when
    `observations` is None (scope ``draw``). See `layer_mask`.
    """
    return [
        layer_mask(seed, layer, draw, units=units, rate=rate, observations=observations, step=step)
        for layer, (units, rate) in enumerate(
            zip(network.mask_sizes, network.dropout_rates, strict=True)
        )
    ]


def stacked_masks(
    network: Network, seed: int, draws: range, observations: range | None = None
) -> list[np.ndarray | None]:
    """Return the masks of several draws: of the input, then of every hidden layer.

    Each is float32 with axes (draw, observation or 1, unit), or None where nothing is dropped.
    """
    sites = enumerate(zip(network.mask_sizes, network.dropout_rates, strict=True))
    return [
        np.stack(
            [
                layer_mask(seed, layer, draw, units=units, rate=rate, observations=observations)
                for draw in draws
            ]
        )
        if rate
        else None
        for layer, (units, rate) in sites
    ]


def blocks(n_observations: int, size: int = BLOCK_ROWS) -> Iterator[range]:
    """Cut observations into the fixed blocks every sampler works in.

    Fixed, because a matrix product's last bits depend on its shape: with blocks that depend on
    nothing but the inputs, draw 7 has the same bits alone and among a thousand.

    >>> list(blocks(300))
    [range(0, 128), range(128, 256), range(256, 300)]
    """
    for start in range(0, n_observations, size):
        yield range(start, min(start + size, n_observations))
