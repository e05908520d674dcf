"""Hold the integer chip against NengoLoihi's emulator: ``python -m benchmarks.loihi``.

Makes an environment of its own on the first use (`loihi.txt`: NengoLoihi needs NumPy below 2), runs
small networks in it, writes what it used and how it fired to ``tests/recorded/loihi.npz``, which
the tests replay, and prints the share of spikes that are the same.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.environments import LIMIT_S, make_environment
from benchmarks.work import FOLDER
from spikedrop.chip import ChipLayer, ChipNetwork
from spikedrop.chip.quantise import host_currents
from spikedrop.chip.reference import simulate
from spikedrop.conversion import calibrate
from spikedrop.masks import network_masks
from spikedrop.network import Layer, Network
from spikedrop.network.topology import neuron_maps

HERE = Path(__file__).parent
RECORD = HERE.parent / "tests" / "recorded" / "loihi.npz"
SIZES, ROWS, DRAWS, STEPS, SEED = (6, 20, 24, 18), 3, 3, 100, 0
EVEN = 7  # NengoLoihi's weights are even multiples of 2**6, and `weight_exp` comes on top
FADED = 4095  # a current keeps 4096 - 1 - decay_u of 4096


def small_network() -> tuple[Network, np.ndarray]:
    """Three layers of neurons with He weights and dropout 0.3, and inputs for them."""
    rng = np.random.default_rng(SEED)

    def layer(name: str, n_in: int, n_out: int, dropout: float) -> Layer:
        weights = rng.normal(0, np.sqrt(2 / n_in), (n_in, n_out)).astype(np.float32)
        return Layer(name, weights, rng.normal(0, 0.1, n_out).astype(np.float32), dropout)

    hidden = tuple(layer(f"h{i}", *pair, 0.3) for i, pair in enumerate(pairwise(SIZES)))
    network = Network.chain(hidden, layer("y", SIZES[-1], 1, 0.0))
    return network, rng.normal(size=(ROWS, SIZES[0])).astype(np.float32)


def write_job(file: Path) -> None:
    """Save weights in thresholds a spike, biases in thresholds a step, and gates."""
    network, x = small_network()
    train = np.random.default_rng(SEED + 1).normal(size=(300, SIZES[0]))
    conversion = calibrate(network, train, rate_hz=300)
    gains = [scale * conversion.dt for scale in conversion.scales_hz]
    maps, currents = neuron_maps(network), host_currents(network, x)
    job: dict[str, object] = {"depth": len(gains), "steps": STEPS}
    for i, layer in enumerate(network.hidden):
        job[f"b{i}"] = gains[i] * currents[layer.name]
        if i:
            below = network.hidden[i - 1]
            matrix = maps[layer.name][below.name]
            job[f"w{i}"] = gains[i] * matrix / ((1 - below.dropout) * gains[i - 1])
        masks = [network_masks(network, SEED, draw)[layer.name] for draw in range(DRAWS)]
        job[f"gate{i}"] = np.concatenate(masks) != 0
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, **job)


def record() -> None:
    """Run the emulator on the small network, into `RECORD`."""
    job = Path(FOLDER) / "bench" / "loihi_job.npz"
    write_job(job)
    RECORD.parent.mkdir(exist_ok=True)
    command = [make_environment("loihi"), HERE / "loihi_emulator.py", job, RECORD]
    subprocess.run(command, check=True, timeout=LIMIT_S)


def replays(
    **other: object,
) -> Iterator[tuple[ChipNetwork, list[np.ndarray], list[np.ndarray]]]:
    """Yield, for each presentation, the chip of the recorded integers, its spikes, the emulator's.

    Spikes of each layer, those of dropped neurons included: bool, axes (step, neuron). `other`
    replaces fields of the chip: rules that are not the emulator's.
    """
    network, _ = small_network()
    data = np.load(RECORD)
    depth, steps = int(data["depth"]), int(data["steps"])
    names = [layer.name for layer in network.hidden]
    for k in range(len(data["floor"])):
        keep = {int(v) for i in range(1, depth) for v in FADED - data[f"decay_u{i}"][k]}
        layers = []
        for i, name in enumerate(names):
            exponent = EVEN + int(data[f"exponent{i}"][k]) if i else 0
            weights = data[f"w{i}"][k] if i else np.zeros((0, SIZES[1]), np.int32)
            assert not (weights % 2**exponent).any()
            (threshold,) = {int(v) + 1 for v in data[f"vth{i}"][k]}  # fires above, not at
            bias = data[f"bias{i}"][k]
            below = tuple(names[i - 1 : i])
            layers.append(ChipLayer(name, below, weights >> exponent, exponent, threshold, bias))
        (kept,) = keep  # one for all layers
        rule = {"reset": "zero", "floor": int(data["floor"][k]), "delay": 1, "keep": kept}
        chip = ChipNetwork(tuple(layers), (), network, {}, **(rule | other))
        bits = {
            f"{kind}{i}": np.unpackbits(data[f"{kind}{i}"][k], axis=-1, count=layer.units)
            for i, layer in enumerate(layers)
            for kind in ("spikes", "gate")
        }
        _, ours = simulate(
            chip,
            {layer.name: layer.bias[None] for layer in layers},
            {name: bits[f"gate{i}"][None] for i, name in enumerate(names)},
            steps=steps,
        )
        yield (
            chip,
            [ours[name][:, 0] for name in names],
            [bits[f"spikes{i}"].astype(bool) for i in range(depth)],
        )


def main() -> None:
    """Record, replay, print."""
    record()
    print(f"{RECORD.stat().st_size / 1000:.0f} kB recorded")
    print("   keep      floor  emulator's spikes  ours  differing (neuron, step)")
    for chip, ours, theirs in replays():
        differ = sum(int((a != b).sum()) for a, b in zip(ours, theirs, strict=True))
        totals = [sum(int(layer.sum()) for layer in spikes) for spikes in (theirs, ours)]
        print(f"{chip.keep:>7} {chip.floor:>10} {totals[0]:>18} {totals[1]:>5} {differ:>8}")


if __name__ == "__main__":
    main()
