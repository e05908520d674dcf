"""Which simulators reproduce our spike counts from our NIR files: a table, and a recording.

    python -m benchmarks.nir_peers            # prints
    python -m benchmarks.nir_peers --record   # and writes src/spikedrop/study/nir_peers.npz

Weights and inputs are small binary fractions, so that float32 adds them without rounding, and the
first charge is not, so that no neuron ends a step at its threshold exactly, where simulators
differ in ">" and ">=". What remains are the dynamics.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.environments import LIMIT_S, make_environment
from spikedrop.conversion import Conversion
from spikedrop.network import Layer, Network
from spikedrop.nir import write_members, write_nir
from spikedrop.study.nir_replay import replay

RECORDING = Path("src/spikedrop/study/nir_peers.npz")
START = 0.5 + 2**-12
READERS = (
    "sinabs",
    "sinabs, no floor",
    "snnTorch",
    "snnTorch, runnable",
    "snnTorch, no leak",
    "Norse",
)
Case = tuple[Path, np.ndarray, int]


def fractions(rng: np.random.Generator, *shape: int, sd: float) -> np.ndarray:
    """Normal numbers, rounded to 1/64."""
    return (np.round(rng.normal(0, sd, shape) * 64) / 64).astype(np.float32)


def chain(rng: np.random.Generator) -> Network:
    """Six inputs, two hidden layers of sixteen, dropout with three stored masks."""
    sizes = (6, 16, 16, 2)
    layers = [
        Layer(name, fractions(rng, a, b, sd=1.2 / np.sqrt(a)), fractions(rng, b, sd=0.2), 0.5)
        for name, a, b in zip(("first", "second"), sizes, sizes[1:], strict=False)
    ]
    readout = Layer("y", fractions(rng, 16, 2, sd=0.3), fractions(rng, 2, sd=0.2))
    return Network.chain(tuple(layers), readout).with_dropout(stored_masks=3)


def images(rng: np.random.Generator) -> Network:
    """A convolution and a dense layer on 5 x 4 images of two channels."""
    return Network(
        (
            Layer("image", op="input", shape=(5, 4, 2)),
            Layer(
                "conv", fractions(rng, 3, 3, 2, 3, sd=0.3), fractions(rng, 3, sd=0.2), op="conv",
                sources=("image",), activation="relu", padding="same",
            ),
            Layer("flat", op="flatten", sources=("conv",)),
            Layer(
                "dense", fractions(rng, 60, 8, sd=0.15), fractions(rng, 8, sd=0.2),
                sources=("flat",), activation="relu",
            ),
            Layer("y", fractions(rng, 8, 1, sd=0.3), fractions(rng, 1, sd=0.2), sources=("dense",)),
        ),
        ("y",),
    )  # fmt: skip


def by_hand() -> Network:
    """Five neurons and one behind them, each a case that can be followed on paper.

    The threshold is 4, the first charge 2 and a little, 40 steps. Charge that arrives over charge
    that a spike takes gives the count: 3 a step makes (2 + 120) / 4 = 30 spikes. A neuron that
    resets to zero loses 1 at the first spike and then fires every other step: 20. With 0.25 a step
    it is 3; with a leak of a tenth a step the charge stays below 0.25 / 0.1 = 2.5, and there is
    none. With 9 per step it is 90; a neuron that fires once per step, 40. The last receives +6 from
    a neuron that fires at every step (4) and -22 from one that fires at every fourth (1), in steps
    2, 6, ..., 38. The most it has received is 2 + 37 x 6 - 9 x 22 = 26 by step 37: 6 spikes. With
    a floor at -4 every fall to -16 gives back 12: 2 spikes at first, 9 times 3, then 2 are 31.
    """
    zero = np.zeros(5, np.float32)
    weights = np.array([[3, 0.25, 9, 4, 1]], np.float32)
    last = np.array([[0], [0], [0], [1.5], [-5.5]], np.float32)
    one = np.ones((1, 1), np.float32)
    hidden = (Layer("five", weights, zero), Layer("behind", last, zero[:1]))
    return Network.chain(hidden, Layer("y", one, zero[:1]))


def cases(folder: Path) -> dict[str, Case]:
    """Write the files; return file, inputs (channels first) and steps of every case."""
    rng = np.random.default_rng(5)
    network, conv = chain(rng), images(rng)
    x, shown = fractions(rng, 8, 6, sd=1.0), fractions(rng, 4, 2, 5, 4, sd=1.0)
    once = Conversion((125.0, 125.0), initial_charge=START)
    often = Conversion((500.0, 500.0), initial_charge=START)
    seldom = Conversion((50.0, 50.0), initial_charge=START)
    quarter = Conversion((250.0, 250.0), initial_charge=START)
    hand = write_nir(folder / "hand.nir", by_hand(), quarter)
    found = {
        "chain": (write_nir(folder / "chain.nir", network, once), x, 100),
        "chain, several spikes per step": (write_nir(folder / "often.nir", network, often), x, 100),
        "convolution": (write_nir(folder / "conv.nir", conv, once), shown, 60),
        "by hand": (hand, np.ones((1, 1), np.float32), 40),
    }
    for k, file in enumerate(write_members(folder, network, seldom, seed=0)):
        found[f"member {k}"] = (file, x, 100)
    return found


def record(file: Path) -> None:
    """Let the peers run every case, and write files, inputs and counts."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        arrays = {"cases": [], "readers": READERS}
        for case, (path, x, steps) in cases(folder).items():
            arrays["cases"].append(case)
            content = np.frombuffer(path.read_bytes(), np.uint8)
            arrays |= {f"{case}/file": content, f"{case}/x": x, f"{case}/steps": steps}
        asked, answered = folder / "cases.npz", folder / "counts.npz"
        np.savez(asked, **arrays)
        script = Path(__file__).with_name("nir_readers.py")
        subprocess.run(
            [make_environment("peers"), script, asked, answered],
            check=True,
            timeout=LIMIT_S,
            stdout=subprocess.DEVNULL,
        )
        with np.load(answered) as counts:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(file, **arrays, **counts)


def main() -> None:
    """Print the table; with ``--record`` keep the recording."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true")
    with TemporaryDirectory() as folder:
        keep = parser.parse_args().record
        file = RECORDING if keep else Path(folder) / "counts.npz"
        record(file)
        table = replay(file)
        print(table.drop(columns="why", errors="ignore").dropna().to_string(index=False))
        if "why" in table:
            print(table.dropna(subset="why")[["case", "reader", "why"]].to_string(index=False))
        with np.load(file) as found:
            print(found["versions"])


if __name__ == "__main__":
    main()
