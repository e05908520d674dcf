"""Dropout masks as a pure function of (seed, layer, draw, observation).

Counter-based random numbers (Philox; Salmon et al. 2011, doi:10.1145/2063384.2063405): the
seed and the layer are the key; the draw, the observation and the step are the counter. The
same draw therefore has the same mask on every backend, in any batch, after any restart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, get_args

import numpy as np
from scipy.special import ndtri

from spikedrop.checks.arguments import SEEDS, of_type, one_of, real_number, seed_of, whole_number
from spikedrop.errors import InputError
from spikedrop.network.graph import Network
from spikedrop.network.layers import Family

Scope = Literal["draw", "row"]
FAMILIES = get_args(Family)
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
    family: Family = "unit",
) -> np.ndarray:
    r"""Multipliers of one layer's outputs in one draw.

    .. math:: m_i = z_i / (1 - p), \qquad z_i \sim \mathrm{Bernoulli}(1 - p)

    and for the family ``gaussian`` :math:`m_i \sim N(1, p / (1 - p))`, which has the same mean
    and variance (Srivastava et al. 2014, section 10).

    Parameters
    ----------
    seed : int
        0 <= seed < 2**64.
    layer : int
        Position of the layer in the network; 0 is the (first) input.
    draw : int
        Which Monte-Carlo sample.
    units : int
        Units of the layer, or channels, or weights, whatever is multiplied.
    rate : float
        Dropout probability p, 0 <= p < 1; resolved to 2**-32.
    observations : range, optional
        With a range of consecutive observations every one has its own mask (scope ``row``);
        without, one mask serves all (scope ``draw``).
    step : int, optional
        Only for the wrong control that redraws the mask at every time step.
    family : {"unit", "channel", "weights", "gaussian"}
        The first three draw the same numbers, for different things.

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
    return _multipliers(
        seed_of(seed),
        whole_number("layer", layer, below=SEEDS),
        [whole_number("draw", draw, below=2**63)],
        units=whole_number("units", units, least=1),
        rate=real_number("rate", rate, least=0, below=1),
        observations=_rows("observations", observations),
        step=None if step is None else whole_number("step", step, below=2**63),
        family=one_of("family", family, FAMILIES),
    )[0]


def _rows(name: str, rows: object) -> range | None:
    """Return a range of rows, or None."""
    if rows is not None and not (isinstance(rows, range) and rows.start >= 0):
        raise InputError(f"{name}={rows!r}; give a range of rows, not negative, or None.")
    return rows


def _multipliers(
    seed: int,
    layer: int,
    draws: Sequence[int],
    *,
    units: int,
    rate: float,
    observations: range | None,
    step: int | None,
    family: Family,
) -> np.ndarray:
    """`layer_mask` of several draws: axes (draw, observation, unit)."""
    if not 0 <= rate < 1:
        raise InputError(f"layer {layer}: dropout rate {rate} must be at least 0 and below 1.")
    if not 0 <= seed < 2**64 or min(draws) < 0:
        raise InputError(
            f"seed {seed} and draw {min(draws)} must not be negative (seed below 2**64)."
        )
    rows = 1 if observations is None else len(observations)
    if rate == 0:
        return np.ones((len(draws), rows, units), dtype=np.float32)
    if observations is not None and observations.step != 1:
        raise InputError(f"observations must be consecutive, got a step of {observations.step}.")
    blocks = -(-units // _BITS_PER_BLOCK)
    first = 0 if observations is None else observations.start * blocks
    counter = np.array(
        [first, 0 if observations is None else 1, 0, 0 if step is None else step + 1], np.uint64
    )
    # One generator whose counter is set for each draw: to make one costs more than to use it.
    generator = np.random.Philox(key=np.array([seed, layer], np.uint64))
    state = generator.state
    state["state"]["counter"] = counter
    words = np.empty((len(draws), rows * blocks * 4), "<u8")
    for row, draw in zip(words, draws, strict=True):
        counter[2] = draw
        generator.state = state
        row[:] = generator.random_raw(len(row))
    uniforms = words.view("<u4").reshape(len(draws), rows, blocks * _BITS_PER_BLOCK)[..., :units]
    if family == "gaussian":
        normal = ndtri((uniforms + 0.5) / 2**32)
        return (1 + np.sqrt(rate / (1 - rate)) * normal).astype(np.float32)
    kept = uniforms >= round(rate * 2**32)
    return np.multiply(kept, np.float32(1 / (1 - rate)), dtype=np.float32)


def network_masks(
    network: Network,
    seed: int,
    draw: int,
    observations: range | None = None,
    step: int | None = None,
) -> dict[str, np.ndarray]:
    """Return the masks of one draw.

    See `layer_mask`.

    Parameters
    ----------
    network : Network
        Its dropout rates and families; with `Network.stored_masks` K, draw s has the masks of draw
        s modulo K.
    seed : int
        Of the masks, at least 0 and below 2**64.
    draw : int
        Number of the draw, from 0.
    observations : range, optional
        Consecutive rows, each with a mask of its own (scope ``row``); by default all observations
        share one mask (scope ``draw``).
    step : int, optional
        Time step, from 0, where masks are redrawn at every step; by default they are constant in
        time.

    Returns
    -------
    dict of numpy.ndarray
        By the name of the layer; layers without dropout have none. float32, axes
        ``(observation, *shape)``, to multiply the layer's values; the first axis has length 1
        without `observations`, and axes along which a channel is dropped as one have length 1. Of
        the family ``weights``: axes (1, unit below, unit), to multiply the layer's weights.

    Raises
    ------
    InputError
        If a number or `observations` cannot be used.

    Examples
    --------
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> [float(network_masks(network, seed=0, draw=s)["h"][0, 0]) for s in range(8)]
    [2.0, 0.0, 2.0, 0.0, 0.0, 2.0, 0.0, 2.0]
    >>> network_masks(network, seed=0, draw=0, observations=range(100))["h"].shape
    (100, 1)
    """
    of_type("network", network, Network, "`Network.from_keras` or `Network.chain`")
    draw = whole_number("draw", draw, below=2**63)
    step = None if step is None else whole_number("step", step, below=2**63)
    rows = _rows("observations", observations)
    masks = stacked_masks(network, seed_of(seed), range(draw, draw + 1), rows, step)
    return {name: mask[0] for name, mask in masks.items()}


def mask_shape(network: Network, name: str) -> tuple[int, ...]:
    """Shape of the mask of a layer, for one draw (and observation)."""
    layer = network[name]
    if layer.family == "weights":
        return layer.weights.shape
    shape = network.shapes[name]
    return (1,) * (len(shape) - 1) + shape[-1:] if layer.family == "channel" else shape


def stacked_masks(
    network: Network,
    seed: int,
    draws: range,
    observations: range | None = None,
    step: int | None = None,
) -> dict[str, np.ndarray]:
    """Return the masks of several draws: as `network_masks`, each with a first axis of draws."""
    stored = network.stored_masks
    numbers = list(draws) if stored is None else [draw % stored for draw in draws]
    masks = {}
    for position, layer in enumerate(network.layers):
        if layer.dropout:
            shape = mask_shape(network, layer.name)
            flat = _multipliers(
                seed,
                position,
                numbers,
                units=int(np.prod(shape)),
                rate=layer.dropout,
                observations=observations,
                step=step,
                family=layer.family,
            )
            masks[layer.name] = flat.reshape(*flat.shape[:2], *shape)
    return masks


def blocks(n_observations: int, size: int = BLOCK_ROWS) -> Iterator[range]:
    """Cut observations into the fixed blocks every sampler works in.

    Fixed, because a matrix product's last bits depend on its shape: with blocks that depend on
    nothing but the inputs, draw 7 has the same bits alone and among a thousand.

    >>> list(blocks(300))
    [range(0, 128), range(128, 256), range(256, 300)]
    """
    for start in range(0, n_observations, size):
        yield range(start, min(start + size, n_observations))
