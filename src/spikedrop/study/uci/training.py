r"""Train many small networks at once: one compiled program, a leading axis of members.

Every member has its own weights, rows, dropout rate and weight decay; all share the initial
weights, the order of rows and the random numbers behind the masks, so that they differ by what is
compared and by nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from spikedrop.network.graph import Layer, Network
from spikedrop.network.keras_import import import_tensorflow
from spikedrop.training.dense import adam_step

__all__: list[str] = []

CHUNK = 500  # steps the program runs at a time

Weights = list[tuple[np.ndarray, np.ndarray]]


def train_members(
    x: np.ndarray,
    y: np.ndarray,
    rows: np.ndarray,
    *,
    rates: np.ndarray,
    decays: np.ndarray,
    hidden: Sequence[int],
    steps: int,
    batch_size: int,
    learning_rate: float,
    rng: np.random.Generator,
) -> Weights:
    r"""Fit ReLU networks with dropout after each hidden layer by mean squared error.

    Adam as in `spikedrop.training.dense.fit_network`, with its decoupled weight decay and its
    cosine, on batches of `batch_size` rows; what fills no batch waits for the next shuffle.

    Parameters
    ----------
    x, y : numpy.ndarray
        Normalised rows, axes (row, feature) and (row,).
    rows : numpy.ndarray
        Which rows each member learns from, axes (member, row).
    rates, decays : numpy.ndarray
        Dropout rate and weight decay :math:`\lambda`, axis (member,).
    hidden : sequence of int
        Units of the hidden layers.
    steps, batch_size, learning_rate : numbers
        `learning_rate` at the start.
    rng : numpy.random.Generator
        Of initial weights, order of rows and masks.

    Returns
    -------
    list of (weights, bias)
        For each layer, axes (member, unit below, unit) and (member, 1, unit).
    """
    members, n = rows.shape
    batch_size = min(batch_size, n)
    sizes = (x.shape[1], *hidden, 1)
    params = []
    for below, units in pairwise(sizes):
        limit = np.sqrt(6 / (below + units))  # Glorot & Bengio 2010
        first = rng.uniform(-limit, limit, (below, units)).astype(np.float32)
        params.append((np.tile(first, (members, 1, 1)), np.zeros((members, 1, units), np.float32)))
    zeros = [(0 * w, 0 * b) for w, b in params]
    state: tuple[Any, Any, Any] = (params, zeros, zeros)
    program = _compiled((len(x), members, *sizes, batch_size, min(CHUNK, steps)))
    x, y = x.astype(np.float32), y.astype(np.float32)
    rates, decays = (np.asarray(a, np.float32)[:, None, None] for a in (rates, decays))

    def shuffled() -> Iterator[np.ndarray]:
        while True:
            yield from rng.permutation(n)[: n // batch_size * batch_size].reshape(-1, batch_size)

    order = shuffled()
    chunk = min(CHUNK, steps)
    for start in range(0, steps, chunk):
        batches = np.stack([next(order) for _ in range(chunk)])
        shown = rows[:, batches].transpose(1, 0, 2).astype(np.int32)
        uniforms = [rng.random((chunk, batch_size, units), np.float32) for units in hidden]
        span = np.array([start, steps], np.int32)
        state = program(
            *state, x, y, shown, uniforms, rates, decays, np.float32(learning_rate), span
        )
    return [(w.numpy(), b.numpy()) for w, b in state[0]]


def member_network(weights: Weights, member: int, rate: float) -> Network:
    """Return one member as a network that the samplers read."""
    layers = [
        Layer(f"layer_{i + 1}", w[member], b[member, 0], 0.0 if i + 1 == len(weights) else rate)
        for i, (w, b) in enumerate(weights)
    ]
    return Network.chain(tuple(layers[:-1]), layers[-1])


@lru_cache(maxsize=16)
def _compiled(shapes: tuple[int, ...]) -> Callable:
    """Return a program for one combination of shapes, which it compiles when first called."""
    tf = import_tensorflow()

    def error(params: list, x: Any, y: Any, uniforms: list, rates: Any) -> Any:
        h = x
        for (w, b), u in zip(params[:-1], uniforms, strict=True):
            kept = tf.cast(u >= rates, tf.float32) / (1 - rates)
            h = tf.nn.relu(tf.matmul(h, w) + b) * kept
        w, b = params[-1]
        return (tf.matmul(h, w) + b)[..., 0] - y

    def program(
        params: Any, m: Any, v: Any, x: Any, y: Any, shown: Any, uniforms: Any, rates: Any,
        decays: Any, learning_rate: Any, span: Any,
    ) -> Any:  # fmt: skip
        start, steps = span[0], tf.cast(span[1], tf.float32)

        def step(t: Any, params: Any, m: Any, v: Any) -> tuple:
            rows = shown[t]
            with tf.GradientTape() as tape:
                tape.watch(params)
                errors = error(
                    params, tf.gather(x, rows), tf.gather(y, rows),
                    [u[t] for u in uniforms], rates,
                )  # fmt: skip
                loss = tf.reduce_sum(tf.reduce_mean(errors * errors, axis=1))  # members do not mix
            slopes = tape.gradient(loss, params)
            done = tf.cast(start + t, tf.float32)
            # Zero after the last step, so that a chunk may be longer than what is left.
            rate = learning_rate * 0.5 * (1 + tf.cos(np.pi * tf.minimum(done / steps, 1.0)))
            updates = tf.nest.map_structure(
                lambda m, v, g: adam_step(m, v, g, done + 1, rate), m, v, slopes
            )
            moved, m, v = ([tuple(u[i] for u in pair) for pair in updates] for i in range(3))
            shrink = 1 - rate * decays
            params = tf.nest.map_structure(lambda w, far: w * shrink - far, params, moved)
            return t + 1, params, m, v

        # A length known when compiling: with another, each step takes nine times as long.
        return tf.while_loop(lambda t, *_: t < shown.shape[0], step, (0, params, m, v))[1:]

    return tf.function(program, jit_compile=True, autograph=False)
