"""Energy by keras-spiking's `ModelEnergy`, run by an interpreter that has it and no spikedrop.

``keras_spiking_peer.py job.json`` reads networks as layers of weights in spikes per second, runs
them with keras-spiking's own neurons from half a threshold, and prints one JSON object: what
`ModelEnergy` found for every layer of each network, and how many spikes it saw.
"""

from __future__ import annotations

import json
import sys

import keras_spiking
import numpy as np
import tensorflow as tf


class HalfCell(keras_spiking.layers.SpikingActivationCell):
    """The neuron of keras-spiking, from half a threshold in place of a random charge."""

    def get_initial_state(
        self, inputs: object = None, batch_size: object = None, dtype: object = None
    ) -> tf.Tensor:
        """Return half a threshold for every neuron."""
        return tf.fill([batch_size, *self.size.as_list()], tf.constant(0.5, dtype))


class HalfActivation(keras_spiking.SpikingActivation):
    """Its layer of neurons."""

    def build_cell(self, input_shapes: object) -> HalfCell:
        """Return the neurons."""
        return HalfCell(size=input_shapes[2:], activation=self.activation, dt=self.dt)


def build(job: dict) -> tf.keras.Model:
    """Return the Keras model of one job; every layer once a time step."""
    layers = tf.keras.layers
    first = inputs = tf.keras.Input((job["steps"], *job["shape"]))
    h = first
    for i, layer in enumerate(job["layers"]):
        weights, bias = np.array(layer["weights"], "f4"), np.array(layer["bias"], "f4")
        if layer["op"] == "conv":
            strides = tuple(layer["strides"])
            inner = layers.Conv2D(weights.shape[-1], weights.shape[:2], strides)
        else:
            if len(h.shape) > 3:
                h = layers.TimeDistributed(layers.Flatten())(h)
            inner = layers.Dense(weights.shape[1])
        outer = layers.TimeDistributed(inner, name=f"synapses{i}")
        h = outer(h)
        outer.layer.set_weights([weights, bias])
        if layer["spiking"]:
            h = HalfActivation("relu", dt=job["dt"], name=f"neurons{i}")(h)
    return tf.keras.Model(inputs, h)


def measure(job: dict) -> dict:
    """Return what `ModelEnergy` says of one job."""
    x = np.array(job["x"], "f4").reshape(-1, *job["shape"])
    shown = np.repeat(x[:, None], job["steps"], axis=1)
    model = build(job)
    energy = keras_spiking.ModelEnergy(model, example_data=shown)
    settings = {"timesteps_per_inference": job["steps"], "dt": job["dt"]}
    rows = {}
    for layer in model.layers:
        row = {key: int(energy.layer_stats[layer][key]) for key in ("connections", "neurons")}
        row["rate_hz"] = float(energy.layer_rates[layer])
        for device in keras_spiking.ModelEnergy.devices:
            joules = energy.layer_energy(layer, device, **settings)
            row[device] = [float(j) for j in joules]
        rows[layer.name] = row
    total = {d: float(energy.total_energy(d, **settings)) for d in energy.devices}
    taps = [layer.output for layer in model.layers if layer.name.startswith("neurons")]
    fired = tf.keras.Model(model.inputs, taps).predict(shown, verbose=0)
    fired = fired if isinstance(fired, list) else [fired]
    spikes = [float(part.sum() * job["dt"] / len(x)) for part in fired]
    return {"layers": rows, "total": total, "spikes": spikes}


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        jobs = json.load(file)
    print(json.dumps({name: measure(job) for name, job in jobs.items()}))
