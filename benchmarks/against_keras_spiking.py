"""Hold the operation counts against keras-spiking's `ModelEnergy`, and record both for the tests.

``python -m benchmarks.against_keras_spiking`` makes an environment of its own on the first use,
because keras-spiking needs an old TensorFlow and NumPy < 2, runs two small networks in it, prints
both sides, and writes ``tests/recorded/keras_spiking.json``.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.environments import LIMIT_S, make_environment
from spikedrop.conversion import Conversion, calibrate
from spikedrop.energy import count_operations
from spikedrop.network import Layer, Network

HERE = Path(__file__).parent
RECORD = Path("tests/recorded/keras_spiking.json")
STEPS, ROWS = 50, 6


def networks() -> dict[str, Network]:
    """Return a chain of dense layers, and a convolution whose windows do not overlap."""
    rng = np.random.default_rng(0)

    def weights(*shape: int) -> tuple[np.ndarray, np.ndarray]:
        w = rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape).round(3)
        return w.astype("float32"), rng.normal(0, 0.1, shape[-1]).round(3).astype("float32")

    hidden = (Layer("a", *weights(5, 9)), Layer("b", *weights(9, 7)))
    layers = (
        Layer("x", op="input", shape=(4, 4, 1)),
        Layer("c", *weights(2, 2, 1, 3), 0.0, "conv", ("x",), "relu", strides=(2, 2)),
        Layer("f", op="flatten", sources=("c",)),
        Layer("h", *weights(12, 6), sources=("f",), activation="relu"),
        Layer("y", *weights(6, 2), sources=("h",)),
    )
    return {
        "dense": Network.chain(hidden, Layer("y", *weights(7, 2))),
        "convolution": Network(layers, ("y",)),
    }


def job(network: Network, conversion: Conversion, x: np.ndarray) -> dict:
    """Return the network with its rate scales in the weights: spikes per second in and out."""
    scale, layers = 1.0, []
    scales = dict(zip((h.name for h in network.hidden), conversion.scales_hz, strict=True))
    for layer in network.layers:
        if layer.weights is not None:
            own = scales.get(layer.name, 1.0)
            layers.append(
                {
                    "name": layer.name,
                    "op": layer.op,
                    "spiking": layer.spiking,
                    "strides": layer.strides,
                    "weights": (layer.weights * own / scale).tolist(),
                    "bias": (layer.bias * own).tolist(),
                }
            )
            scale = own
    shape = network.inputs[0].shape
    return {"shape": shape, "x": x.tolist(), "steps": STEPS, "dt": conversion.dt, "layers": layers}


def main() -> None:
    """Run both, print them side by side, write the record."""
    made, jobs = networks(), {}
    for name, network in made.items():
        x = np.random.default_rng(1).normal(size=(ROWS, network.n_inputs)).round(3)
        conversion = calibrate(network, x, rate_hz=200, neuron="rectified")
        jobs[name] = job(network, conversion, x.astype("float32"))
        jobs[name]["scales_hz"] = conversion.scales_hz
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "job.json"
        file.write_text(json.dumps(jobs))
        command = [make_environment("keras_spiking"), HERE / "keras_spiking_peer.py", file]
        quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        for name in ("KERAS_BACKEND", "TF_USE_LEGACY_KERAS", "PYTHONPATH"):
            quiet.pop(name, None)
        done = subprocess.run(command, env=quiet, capture_output=True, text=True, timeout=LIMIT_S)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found = json.loads(done.stdout.splitlines()[-1])
    for name, network in made.items():
        conversion = Conversion(tuple(jobs[name]["scales_hz"]), "rectified")
        ours = count_operations(
            network, conversion, np.array(jobs[name]["x"]), draws=1, seed=0, steps=STEPS
        )
        print(f"{name}: spikes {ours.alone.spikes:.2f}, keras-spiking {sum(found[name]['spikes'])}")
        for i, layer in enumerate(jobs[name]["layers"]):
            if i == 0:
                continue  # keras-spiking takes the constant input for a firing rate
            theirs = found[name]["layers"][f"synapses{i}"]
            events = theirs["rate_hz"] * jobs[name]["dt"] * STEPS * theirs["connections"]
            row = ours.layers.loc[layer["name"]]
            print(f"  {layer['name']}: synaptic {row['synaptic']:.2f}, keras-spiking {events:.2f}")
    RECORD.parent.mkdir(exist_ok=True)
    record = {"jobs": jobs, "found": found, "versions": (HERE / "keras_spiking.txt").read_text()}
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
