"""A small chain of dense layers with dropout, and inputs for it."""

import numpy as np

from spikedrop.network import Network
from spikedrop.network.layers import Layer


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


def inputs(n, seed=1):
    return np.random.default_rng(seed).normal(size=(n, 6)).astype("float32")
