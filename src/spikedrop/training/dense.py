"""Fit a small dense network with dropout in plain NumPy: no start-up, nothing to compile.

`spikedrop.training.keras.train` fits larger networks with Keras, whose start and compilation take
seconds for each shape of network and data. Tables of some thousand rows are fitted before that,
which is why there is an AdamW of our own, with Keras's constants. Its step is also that of many
members at once (`spikedrop.study.uci.training`), for which Keras's has one weight decay too few.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from scipy.special import softmax

from spikedrop.checks.arguments import real_number, whole_number
from spikedrop.errors import InputError
from spikedrop.network.graph import Layer, Network

__all__: list[str] = []

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-7  # Keras's defaults

Head = Literal["linear", "softmax"]
Params = list[tuple[np.ndarray, np.ndarray]]


def check_settings(
    hidden: Sequence[int],
    dropout: float,
    epochs: int = 1,
    batch_size: int = 1,
    learning_rate: float = 1.0,
    weight_decay: float = 0.0,
) -> None:
    """Refuse settings that no training can use; see `fit_network`."""
    if np.ndim(hidden) != 1 or not len(hidden):
        raise InputError(f"hidden={hidden!r}: give a tuple of at least one layer of whole units.")
    for i, units in enumerate(hidden):
        whole_number(f"hidden[{i}]", units, least=1)
    real_number("dropout", dropout, least=0, below=1)
    whole_number("epochs", epochs, least=1)
    whole_number("batch_size", batch_size, least=1)
    real_number("learning_rate", learning_rate, above=0)
    real_number("weight_decay", weight_decay, least=0)


def fit_network(
    x: np.ndarray,
    y: np.ndarray,
    *,
    hidden: Sequence[int],
    dropout: float,
    head: Head,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    rng: np.random.Generator,
) -> Network:
    r"""Fit Dense + ReLU + Dropout for each of `hidden`, then a linear or softmax output.

    Least squares for ``linear``, cross-entropy for ``softmax``; Adam with decoupled weight decay
    (Loshchilov & Hutter 2019, arXiv:1711.05101) and a learning rate :math:`\eta_t` that falls
    along a cosine to zero,

    .. math:: w \leftarrow w - \eta_t \left( \hat m_t / (\sqrt{\hat v_t} + \epsilon)
              + \lambda w \right),

    on shuffled batches; what fills no batch waits for the next shuffle.

    Parameters
    ----------
    x, y : numpy.ndarray
        Finite rows of about unit variance, axes (row, input) and (row, output); for ``softmax``,
        `y` holds the probability of each class.
    hidden : sequence of int
        Units of the hidden layers.
    dropout : float
        Rate p, 0 <= p < 1, after every hidden layer.
    head : {"linear", "softmax"}
        What the outputs are.
    epochs, batch_size, learning_rate, weight_decay : numbers
        `learning_rate` at the start; `weight_decay` is :math:`\lambda`.
    rng : numpy.random.Generator
        Of initial weights (Glorot & Bengio 2010), order of rows and masks.

    Raises
    ------
    InputError
        If a number cannot be used, or the training diverges.

    Examples
    --------
    >>> from spikedrop.sampling.ann import predict
    >>> x = np.linspace(-1, 1, 50)[:, None]
    >>> network = fit_network(
    ...     x, np.abs(x), hidden=(16,), dropout=0.0, head="linear", epochs=200, batch_size=10,
    ...     learning_rate=0.01, weight_decay=0.0, rng=np.random.default_rng(0),
    ... )
    >>> bool(np.abs(predict(network, x) - np.abs(x)).max() < 0.05)
    True
    """
    check_settings(hidden, dropout, epochs, batch_size, learning_rate, weight_decay)
    x, y = x.astype(np.float32), y.astype(np.float32)
    batch_size = min(batch_size, len(x))
    batches = len(x) // batch_size
    flat, params = _initial((x.shape[1], *hidden, y.shape[1]), rng)
    slopes, m, v = (np.zeros_like(flat) for _ in range(3))
    into = _views(slopes, params)
    steps, done = epochs * batches, 0
    with np.errstate(over="ignore", invalid="ignore"):  # what diverges is named below
        for _ in range(epochs):
            order = rng.permutation(len(x))[: batches * batch_size].reshape(batches, batch_size)
            for rows in order:
                masks = _masks(hidden, batch_size, dropout, rng)
                gradient(params, x[rows], y[rows], masks, head, into)
                rate = learning_rate * 0.5 * (1 + np.cos(np.pi * done / steps))
                done += 1
                moved, m, v = adam_step(m, v, slopes, done, rate)
                flat *= 1 - rate * weight_decay
                flat -= moved
    if not np.isfinite(flat).all():
        raise InputError(f"the training diverged: learning_rate={learning_rate} is too high.")
    layers = [Layer(f"hidden_{i + 1}", w, b, dropout) for i, (w, b) in enumerate(params[:-1])]
    readout = Layer("readout", *params[-1], activation=head)
    return Network.chain(tuple(layers), readout)


def adam_step(m: Any, v: Any, slope: Any, done: Any, rate: Any) -> tuple[Any, Any, Any]:
    """Return what Adam takes off the weights in step number `done`, and both moments after it.

    Of NumPy or TensorFlow arrays; `rate` is the learning rate of this step. Weight decay is
    decoupled: the caller multiplies the weights by ``1 - rate * decay`` before.

    >>> adam_step(0.0, 0.0, 2.0, 1, 0.1)[0]  # the first step is as long as the rate
    0.0999999...
    """
    m = m + (1 - BETA1) * (slope - m)
    v = v + (1 - BETA2) * (slope * slope - v)
    fix1, fix2 = 1 - BETA1**done, 1 - BETA2**done
    return (rate / fix1) * m / ((v / fix2) ** 0.5 + EPSILON), m, v


def gradient(
    params: Params,
    x: np.ndarray,
    y: np.ndarray,
    masks: Sequence[np.ndarray | float],
    head: Head,
    into: Params,
) -> None:
    r"""Write the gradient of the mean loss over rows into `into`, shaped like `params`.

    The loss of a row is :math:`\tfrac12 \sum_k (z_k - y_k)^2` for ``linear`` and
    :math:`-\sum_k y_k \log \mathrm{softmax}(z)_k` for ``softmax``; the slope on the outputs z is
    prediction minus `y` for both. `masks` holds the multipliers of each hidden layer, axes
    (row, unit).

    >>> params = [(np.ones((1, 1)), np.zeros(1))] * 2
    >>> into = [(np.empty((1, 1)), np.empty(1)) for _ in params]
    >>> gradient(params, np.array([[2.0]]), np.array([[1.0]]), [1.0], "linear", into)
    >>> into[0][0].item(), into[1][0].item()  # (2 - 1) times 2, for both weights
    (2.0, 2.0)
    """
    values, driven = [x], []
    for (w, b), mask in zip(params[:-1], masks, strict=True):
        h = values[-1] @ w + b
        driven.append((h > 0) * mask)
        values.append(h * driven[-1])
    w, b = params[-1]
    z = values[-1] @ w + b
    delta = ((softmax(z, axis=1) if head == "softmax" else z) - y) / len(x)
    for i in reversed(range(len(params))):
        np.matmul(values[i].T, delta, out=into[i][0])
        delta.sum(axis=0, out=into[i][1])
        if i:
            delta = (delta @ params[i][0].T) * driven[i - 1]


def _initial(sizes: Sequence[int], rng: np.random.Generator) -> tuple[np.ndarray, Params]:
    """Return all parameters as one vector, for the optimiser, and as layers that share it."""
    params = []
    for below, units in pairwise(sizes):
        limit = np.sqrt(6 / (below + units))
        first = rng.uniform(-limit, limit, (below, units)).astype(np.float32)
        params.append((first, np.zeros(units, np.float32)))
    flat = np.concatenate([part.ravel() for layer in params for part in layer])
    return flat, _views(flat, params)


def _views(flat: np.ndarray, params: Params) -> Params:
    """Cut a vector into layers shaped like `params`, without copying."""
    shapes = [part.shape for layer in params for part in layer]
    parts = np.split(flat, np.cumsum([np.prod(shape) for shape in shapes])[:-1])
    parts = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
    return list(zip(parts[::2], parts[1::2], strict=True))


def _masks(
    hidden: Sequence[int], rows: int, dropout: float, rng: np.random.Generator
) -> list[np.ndarray | float]:
    """Multipliers of a batch: 0 or 1 / (1 - p), axes (row, unit) for each hidden layer."""
    if not dropout:
        return [1.0] * len(hidden)
    scale = np.float32(1 / (1 - dropout))
    return [(rng.random((rows, units), np.float32) >= dropout) * scale for units in hidden]
