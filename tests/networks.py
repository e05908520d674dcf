"""Networks and inputs that tests share."""

from contextlib import contextmanager
from itertools import pairwise

import numpy as np

from spikedrop.engines.backends import BACKENDS, Presentation, backend_of
from spikedrop.network import Layer, Network

#: Backends that other people wrote: each is held against the reference by being registered.
SIMULATORS = [name for name, backend in BACKENDS.items() if backend.library is not None]


def weights(*shape, seed=0):
    rng = np.random.default_rng([seed, *shape])
    drawn = rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)
    return drawn.astype("float32"), rng.normal(0, 0.1, shape[-1]).astype("float32")


def towers():
    """Two inputs, a tower that two branches share, an addition, two heads, masks everywhere."""
    shared, top = weights(4, 16, seed=1), weights(16, 16, seed=2)
    layers = [
        Layer("cell", op="input", shape=(5,), dropout=0.1),
        Layer("drugs", op="input", shape=(2, 4)),
        Layer("flat", op="flatten", sources=("drugs",)),
        Layer("half", *weights(8, 4), op="dense", sources=("flat",)),  # linear, and not a neuron
        Layer("gene", *weights(5, 16), 0.2, sources=("cell",), activation="relu"),
        Layer("a1", *shared, 0.2, sources=("half",), activation="relu"),
        Layer("a2", *top, 0.2, sources=("a1",), activation="relu"),
        Layer("b1", *shared, 0.3, sources=("half",), activation="relu"),
        Layer("b2", *top, sources=("b1",), activation="relu"),
        Layer("sum", op="add", sources=("a2", "b2", "gene"), dropout=0.1),
        Layer("all", op="concatenate", sources=("sum", "gene", "half")),
        Layer("norm", np.linspace(0.5, 1.5, 36), np.full(36, 0.1), op="scale", sources=("all",)),
        Layer("skip", *weights(36, 16), sources=("norm",)),
        Layer("res", op="add", sources=("skip", "a2"), activation="relu", dropout=0.2),
        Layer("y", *weights(16, 2), sources=("res",)),
        Layer("z", *weights(36, 3), sources=("norm",), activation="softmax"),
    ]
    return Network(tuple(layers), ("y", "z"))


def images(family="channel"):
    """A small LeNet on 8 x 8 images; windows that overlap and that reach over the edge."""
    layers = [
        Layer("image", op="input", shape=(8, 8, 1)),
        Layer("c1", *weights(3, 3, 1, 6), 0.2, "conv", ("image",), "relu", family, padding="same"),
        Layer("p1", op="average_pool", sources=("c1",), window=(2, 2), strides=(2, 2)),
        Layer("c2", *weights(3, 3, 6, 8), op="conv", sources=("p1",), activation="relu"),
        Layer(
            "p2", op="average_pool", sources=("c2",), window=(2, 2), strides=(1, 1), dropout=0.1,
            padding="same",
        ),
        Layer("f", op="flatten", sources=("p2",)),
        Layer("h", *weights(32, 20), 0.2, sources=("f",), activation="relu"),
        Layer("y", *weights(20, 4), sources=("h",), activation="softmax"),
    ]  # fmt: skip
    return Network(tuple(layers), ("y",))


def sequences():
    """Convolution in one dimension, with strides."""
    layers = [
        Layer("s", op="input", shape=(9, 2)),
        Layer(
            "c", *weights(4, 2, 5), 0.3, "conv", ("s",), "relu", strides=(2,), padding="same"
        ),
        Layer("p", op="average_pool", sources=("c",), window=(5,), strides=(5,)),
        Layer("f", op="flatten", sources=("p",)),
        Layer("y", *weights(5, 1), sources=("f",)),
    ]  # fmt: skip
    return Network(tuple(layers), ("y",))


def gaussian():
    return towers().with_dropout(0.2, family="gaussian")


def dropped_weights():
    """DropConnect in the middle of a chain, between layers that drop units."""
    layers = (
        Layer("h0", *weights(6, 30), 0.2),
        Layer("h1", *weights(30, 30), 0.3, family="weights"),
        Layer("h2", *weights(30, 30), 0.2),
    )
    return Network.chain(layers, Layer("y", *weights(30, 2), 0.1, family="weights"))


def stored():
    return images("unit").with_dropout(stored_masks=2)


GRAPHS = [towers, images, sequences, gaussian, dropped_weights, stored]


def inputs(network, n, seed=1):
    return np.random.default_rng(seed).normal(size=(n, network.n_inputs)).astype("float32")


def chain(*dropout, units=40, **more):
    """Hidden layers with these dropout rates."""
    sizes = [6] + [units] * len(dropout)
    hidden = [
        Layer(f"h{i}", *weights(n, units, seed=i), rate, **more)
        for i, (n, rate) in enumerate(zip(sizes, dropout, strict=False))
    ]
    return Network.chain(tuple(hidden), Layer("y", *weights(units, 2, seed=9)))


def branches():
    """Layers that receive from neurons before and behind the first mask, side by side."""
    layers = [
        Layer("x", op="input", shape=(6,)),
        Layer("a", *weights(6, 20, seed=1), sources=("x",), activation="relu"),
        Layer("b", *weights(6, 30, seed=2), 0.2, sources=("x",), activation="relu"),
        Layer("c", *weights(30, 25, seed=3), 0.3, sources=("b",), activation="relu"),
        Layer("ab", op="concatenate", sources=("a", "b")),
        Layer("d", *weights(50, 70, seed=4), sources=("ab",), activation="relu"),
        Layer("aa", *weights(20, 20, seed=7), 0.4, sources=("a",), activation="relu"),
        Layer("all", op="concatenate", sources=("c", "a", "b", "d", "aa")),
        Layer("e", *weights(165, 33, seed=5), 0.1, sources=("all",), activation="relu"),
        Layer("both", op="concatenate", sources=("e", "a")),
        Layer("y", *weights(53, 2, seed=6), sources=("both",)),
    ]
    return Network(tuple(layers), ("y",))


def random_network(seed=0, *, sizes=(6, 30, 30, 1), rate=0.2, input_rate=0.0, dtype="float32"):
    rng = np.random.default_rng(seed)
    layers = [
        Layer(
            f"layer_{i}",
            rng.normal(0, np.sqrt(2 / n), (n, m)).astype(dtype),
            rng.normal(0, 0.1, m).astype(dtype),
            rate if i < len(sizes) - 2 else 0.0,
        )
        for i, (n, m) in enumerate(pairwise(sizes))
    ]
    return Network.chain(tuple(layers[:-1]), layers[-1], input_rate)


def six_inputs(n, seed=1, dtype="float32"):
    return np.random.default_rng(seed).normal(size=(n, 6)).astype(dtype)


def small_chain():
    """Three hidden layers of 32 units with He weights and dropout 0.1; six inputs, one output."""
    rng = np.random.default_rng(0)
    hidden = [
        Layer(
            f"h{i}",
            rng.normal(0, np.sqrt(2 / n), (n, 32)).astype("float32"),
            rng.normal(0, 0.1, 32).astype("float32"),
            0.1,
        )
        for i, n in enumerate((6, 32, 32))
    ]
    out = Layer("y", rng.normal(size=(32, 1)).astype("float32"), np.zeros(1, "float32"))
    return Network.chain(tuple(hidden), out)


@contextmanager
def open_simulator(network, conversion, *, rows, steps, settle, backend, shares=None):
    """Open ``simulator(x, masks of one draw) -> (readout, counts)`` on any backend."""
    asked = Presentation(network, conversion, steps, settle, rows, keep_counts=True)
    with backend_of(backend).open(asked) as run:

        def simulator(x, masks):
            ran = run(x, {name: mask[None] for name, mask in masks.items()}, range(1))
            if shares is not None:
                shares.update(ran.shares)
            return ran.outputs[0], [count[0] for count in ran.counts]

        yield simulator
