"""A small job that the tests of the store share."""

import itertools

import numpy as np

from spikedrop.conversion import calibrate
from spikedrop.network import Layer, Network

ROWS, DRAWS, STEPS = 300, 6, 20


def make_network(outputs=2, seed=0):
    rng = np.random.default_rng(seed)
    sizes = (5, 30, 30, outputs)
    layers = [
        Layer(
            f"layer_{i}",
            rng.normal(0, np.sqrt(2 / n), (n, m)).astype("float32"),
            rng.normal(0, 0.1, m).astype("float32"),
            0.2 if i < 2 else 0.0,
        )
        for i, (n, m) in enumerate(itertools.pairwise(sizes))
    ]
    return Network.chain(tuple(layers[:-1]), layers[-1], 0.1)


NETWORK = make_network()
X = np.random.default_rng(1).normal(size=(ROWS, 5)).astype("float32")
CONVERSION = calibrate(NETWORK, X, rate_hz=400)
JOB = {"draws": DRAWS, "seed": 7, "progress": False}


def files(path):
    """Every file of a store but for the lock and its owner."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and file.name not in (".lock", ".owner")
    }


def chunk_files(path):
    return sorted((path / "samples").glob("c.*"))
