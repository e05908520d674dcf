r"""The compiled engine: many draws of many inputs at once, in TensorFlow (XLA), CPU or GPU.

The dynamics are those of `spikedrop.spiking.reference`, rearranged so that little more than the
matrix products is left.

1. A charge-keeping neuron's count needs no voltage. With :math:`C_t` the charge that has arrived
   by step t, initial charge included, the spikes fired by then are

   .. math:: N_t = \max(N_{t-1}, \lfloor C_t \rfloor), \qquad N_0 = 0.

   Charge is linear in the spikes below, so :math:`C_t` is one product of *cumulative counts*
   with the weights, and the neuron is a floor and a maximum, fused into the product's output.
2. What lies before the first mask is computed once per input, not once per draw; a layer whose
   current is constant has its counts in closed form.
3. The readout is linear: it is applied once, to the counts.
4. A layer that integrates first needs one product a presentation, whatever the number of steps.

Arrays have axes (draw, observation, unit); the draw axis is 1 as long as no mask came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from spikedrop.errors import InputError
from spikedrop.network import Network
from spikedrop.quiet import import_tensorflow

if TYPE_CHECKING:
    from spikedrop.spiking.conversion import Conversion

CHUNK_UNITS = 2**20  # (draw, observation, unit) of the widest layer: a few MB, near the cache
CHUNK_PAIRS = (2048, 8192)  # (draw, observation) pairs in a chunk, at least and at most
SMALLEST = 128  # below it, matrix products take other code paths, whose last bits differ
MAX_RADIX_STEPS = 20  # digits that float32 counts exactly


def chunks(
    network: Network, n_observations: int, draws: range, memory_gb: float
) -> Iterator[tuple[range, range]]:
    """Cut a job into (draws, observations) chunks that fit in the cache and in `memory_gb`.

    Raises
    ------
    InputError
        If not even the smallest chunk fits.
    """
    # Each layer holds its counts, its charge, what it hands on, and two temporaries; masks count
    # as much again where every row has its own.
    per_pair = 4 * (2 * network.n_inputs + 8 * network.n_neurons + 2 * network.n_outputs)
    if not memory_gb * 1e9 >= SMALLEST * per_pair:
        raise InputError(
            f"memory_gb={memory_gb:g} is too small: the smallest chunk of this network, "
            f"{SMALLEST} presentations, takes {SMALLEST * per_pair / 1e9:.2g} GB."
        )
    widest = max(layer.units for layer in network.hidden)
    pairs = min(int(memory_gb * 1e9 // per_pair), int(np.clip(CHUNK_UNITS // widest, *CHUNK_PAIRS)))
    for rows in _even(range(n_observations), SMALLEST):
        for some in _even(draws, max(1, pairs // max(len(rows), 1))):
            yield some, rows


def _even(whole: range, most: int) -> Iterator[range]:
    """Cut a range into the fewest pieces of at most `most`, as even as they can be.

    >>> list(_even(range(10), 4))
    [range(0, 4), range(4, 8), range(8, 10)]
    """
    size = -(-len(whole) // -(-len(whole) // most))
    for start in range(whole.start, whole.stop, size):
        yield range(start, min(start + size, whole.stop))


def run_ann(
    network: Network, x: np.ndarray, masks: list[np.ndarray | None], draws: int
) -> np.ndarray:
    """Permanent-dropout outputs, axes (draw, observation, output).

    Parameters
    ----------
    network : Network
    x : numpy.ndarray
        Axes (observation, input).
    masks : list
        Of the input, then of every hidden layer: (draw, observation or 1, unit), or None where
        nothing is dropped.
    draws : int
        Length of the masks' first axis.
    """
    rows = len(x)
    x, masks = _padded(x, masks, draws), _pad_masks(masks, rows, draws)
    y = _run("ann", x, _layers(network), masks)
    return np.broadcast_to(y.numpy()[:, :rows], (draws, rows, network.n_outputs))


def run_snn(
    network: Network,
    conversion: Conversion,
    x: np.ndarray,
    masks: list[np.ndarray | None],
    draws: int,
    *,
    steps: int,
    settle: int,
    keep_counts: bool = True,
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Present inputs to the spiking network; see `run_ann` for `x`, `masks` and `draws`.

    Returns
    -------
    readout : numpy.ndarray
        Axes (draw, observation, output).
    spikes : numpy.ndarray
        Of all hidden neurons together, axes (draw, observation).
    counts : list of numpy.ndarray
        Spikes of every hidden neuron, axes (draw, observation, unit); empty without
        `keep_counts`, which spares the memory they take.
    """
    rows, np32 = len(x), np.float32
    gains = [np.asarray(scale * conversion.dt, np32) for scale in conversion.scales_hz]
    x, masks = _padded(x, masks, draws), _pad_masks(masks, rows, draws)
    arguments = (x, _layers(network), masks, gains, np32(conversion.initial_charge))
    if conversion.windowed:
        radix = conversion.neuron == "radix"
        outcome = _run(
            "windows", *arguments, np32(conversion.levels(steps)), radix=radix, keep=keep_counts
        )
    else:
        tau = conversion.synapse_s
        decay = None if tau is None else np32(np.exp(-conversion.dt / tau))
        outcome = _run(
            "timed",
            *arguments,
            np.int32(steps),
            np.int32(settle),
            decay,
            charge_keeping=conversion.neuron == "charge_keeping",
            keep=keep_counts,
        )

    def whole(array: object) -> np.ndarray:
        values = array.numpy()[:, :rows]
        return np.broadcast_to(values, (draws, *values.shape[1:]))

    readout, spikes, counts = outcome
    return whole(readout), whole(spikes), [whole(count) for count in counts]


def _layers(network: Network) -> list[tuple[np.ndarray, np.ndarray]]:
    layers = (*network.hidden, network.readout)
    return [(layer.weights.astype("float32"), layer.bias.astype("float32")) for layer in layers]


def _rows_wanted(rows: int, masks: list[np.ndarray | None], draws: int) -> int:
    return max(rows, -(-SMALLEST // draws) if any(m is not None for m in masks) else SMALLEST)


def _padded(x: np.ndarray, masks: list[np.ndarray | None], draws: int) -> np.ndarray:
    """Repeat the last row until the chunk has `SMALLEST` presentations."""
    more = _rows_wanted(len(x), masks, draws) - len(x)
    return np.pad(x, ((0, more), (0, 0)), mode="edge")


def _pad_masks(masks: list[np.ndarray | None], rows: int, draws: int) -> list[np.ndarray | None]:
    more = _rows_wanted(rows, masks, draws) - rows
    return [
        m if m is None or m.shape[1] == 1 else np.pad(m, ((0, 0), (0, more), (0, 0)), mode="edge")
        for m in masks
    ]


@lru_cache(maxsize=64)
def _compiled(kind: str, signature: tuple, **fixed: bool) -> Callable:
    """Compile one kind of run for one combination of shapes, when it is first asked for.

    `signature` mirrors the arguments: a shape and type for each array. One function for all
    shapes would do the same, and warn that it is traced too often.
    """
    tf = import_tensorflow()

    def specification(part: object) -> object:
        if isinstance(part, list | tuple):
            return [specification(one) for one in part]
        return None if part is None else tf.TensorSpec(part.shape, part.dtype)

    run = tf.function(getattr(_runs(), kind), jit_compile=True, autograph=False)
    return run.get_concrete_function(*(specification(part) for part in signature), **fixed)


@dataclass(frozen=True)
class _Array:
    """Shape and type of an array, as a key."""

    shape: tuple[int, ...]
    dtype: str


def _signature(part: object) -> object:
    if isinstance(part, list | tuple):
        return tuple(_signature(one) for one in part)
    return None if part is None else _Array(part.shape, part.dtype.name)


def _tensors(part: object) -> object:
    if isinstance(part, list | tuple):
        return [_tensors(one) for one in part]
    return None if part is None else import_tensorflow().convert_to_tensor(part)


def _run(kind: str, *arguments: object, **fixed: bool) -> object:
    return _compiled(kind, _signature(arguments), **fixed)(*_tensors(arguments), **fixed)


@cache
def _runs() -> SimpleNamespace:
    """Write the three kinds of run in TensorFlow: `ann`, `windows` and `timed`."""
    tf = import_tensorflow()

    def product(h, weights):  # (draw, observation, unit) @ (unit, unit above)
        flat = tf.reshape(h, (-1, h.shape[-1]))
        return tf.reshape(tf.matmul(flat, weights), (*h.shape[:-1], weights.shape[-1]))

    def masked(h, mask):
        return h if mask is None else h * mask

    def silenced(counts, masks, keep):
        """Counts of the neurons that are not dropped, and their sum over neurons."""
        alive = [
            c if m is None else c * tf.cast(m != 0, c.dtype)
            for c, m in zip(counts, masks[1:], strict=True)
        ]
        return sum(tf.reduce_sum(c, axis=-1) for c in alive), alive if keep else []

    def ann(x, layers, masks):
        h = masked(x[None], masks[0])
        for (weights, bias), mask in zip(layers[:-1], masks[1:], strict=True):
            h = masked(tf.nn.relu(product(h, weights) + bias), mask)
        return product(h, layers[-1][0]) + layers[-1][1]

    def windows(x, layers, masks, gains, start, levels, radix, keep):
        h, spikes = masked(x[None], masks[0]), []
        for (weights, bias), mask, gain in zip(layers[:-1], masks[1:], gains, strict=True):
            charge = start + gain * levels * (product(h, weights) + bias)
            n = tf.clip_by_value(tf.floor(charge), 0.0, levels - 1 if radix else levels)
            h = masked(n / (gain * levels), mask)
            if radix:  # a quantity n costs as many spikes as it has binary ones
                ones = tf.bitwise.bitwise_and
                n = tf.add_n(
                    [ones(tf.cast(n, tf.int32) // 2**k, 1) for k in range(MAX_RADIX_STEPS)]
                )
                n = tf.cast(n, tf.float32)
            spikes.append(n)
        return product(h, layers[-1][0]) + layers[-1][1], *silenced(spikes, masks, keep)

    def timed(x, layers, masks, gains, start, steps, settle, decay, charge_keeping, keep):
        last = len(gains) - 1
        # From spikes below to charge: times the layer's gain, over the gain of the layer below.
        below = [tf.constant(1.0), *(g[..., None] for g in gains)]
        hidden = [
            (w * gain / g, b * gain)
            for (w, b), gain, g in zip(layers[:-1], gains, below, strict=False)
        ]
        first = product(masked(x[None], masks[0]), hidden[0][0]) + hidden[0][1]
        draw = next((m.shape[0] for m in masks if m is not None), 1)

        def first_counts(t):  # constant current: closed form
            return tf.maximum(tf.floor(start + tf.cast(t, tf.float32) * first), 0.0)

        def step(t, n, v, filtered):
            """One time step; n: cumulative counts, v: cumulative rectified charge."""
            n, v, filtered, h = list(n), list(v), list(filtered), None
            for i in range(last + 1):
                if i == 0:
                    now = first_counts(t + 1)
                    out = now if charge_keeping else now - first_counts(t)
                else:
                    amount = tf.cast(t + 1, tf.float32) if charge_keeping else 1.0
                    charge = product(h, hidden[i][0]) + amount * hidden[i][1]
                    if charge_keeping:
                        out = now = tf.maximum(n[i - 1], tf.floor(start + charge))
                    else:
                        v[i - 1] += tf.maximum(charge, 0.0)
                        now = tf.maximum(tf.floor(start + v[i - 1]), 0.0)
                        out = now - n[i - 1]
                    n[i - 1] = now
                if i < last:
                    h = masked(out, masks[i + 1])
                    if decay is not None:  # what passes is the synapse's state before this step
                        h, filtered[i] = filtered[i], decay * filtered[i] + (1 - decay) * h
            return t + 1, tuple(n), tuple(v), tuple(filtered)

        def zeros(i, mask_too):  # layer i has a draw axis once a mask came before it
            so_far = masks[: i + 2 if mask_too else i + 1]
            draws = draw if any(m is not None for m in so_far) else 1
            return tf.zeros((draws, x.shape[0], hidden[i][0].shape[1]))

        above = range(1, last + 1)
        state = (
            tf.constant(0),
            tuple(zeros(i, False) for i in above),
            () if charge_keeping else tuple(zeros(i, False) for i in above),
            () if decay is None else tuple(zeros(i, True) for i in range(last)),
        )
        if last:
            state = tf.while_loop(lambda t, *_: t < settle, step, state)
        early = state[1][-1] if last else first_counts(settle)
        if last:
            state = tf.while_loop(lambda t, *_: t < steps, step, state)
        counts = [first_counts(steps), *state[1]]
        per_spike = 1 / (gains[last] * tf.cast(steps - settle, tf.float32))
        mean = masked((counts[-1] - early) * per_spike, masks[-1])
        readout = product(mean, layers[-1][0]) + layers[-1][1]
        return readout, *silenced(counts, masks, keep)

    return SimpleNamespace(ann=ann, windows=windows, timed=timed)
