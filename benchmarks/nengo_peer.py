"""Nengo and NengoDL on the same network; run in a process of its own, JSON on standard output.

NengoDL is timed in each way to give it a mask: as the state of a node (the project's backend),
and baked into the weights, the build left out; with probes on the readout alone and inference
only. The fastest counts that does the same work: as many rows share a mask as the job has inputs.
With four times as many it is measured too, and told.
"""

from __future__ import annotations

import argparse
import json
import statistics
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from benchmarks.work import Job, random_job, seconds
from spikedrop.engines.backends import Presentation, backend_of
from spikedrop.engines.nengo_neuron_types import (
    ChargeKeepingRectifiedLinear,
    register_with_nengo_dl,
)
from spikedrop.masks import network_masks, stacked_masks

Run = Callable[[], object]


@contextmanager
def project_backend(job: Job, backend: str, rows: int) -> Iterator[Run]:
    """Open the project's own backend: one build, masks as inhibitory current."""
    masks = stacked_masks(job.network, 0, range(1))
    x = np.resize(job.x, (rows, job.x.shape[1]))
    asked = Presentation(job.network, job.conversion, job.steps, job.steps // 5, rows)
    with backend_of(backend).open(asked) as run:
        yield lambda: run(x, masks, range(1))


def baked_model(job: Job) -> tuple:
    """Express one draw in Nengo, its masks in the weights; return the model, input and probe."""
    import nengo

    masks = network_masks(job.network, 0, 0)
    conversion, network = job.conversion, job.network
    state = {"voltage": nengo.dists.Choice([conversion.initial_charge])}
    with nengo.Network(seed=0) as net:
        before = inputs = nengo.Node(np.zeros(network.n_inputs))
        amplitude, kept = 1.0, np.ones(network.n_inputs)
        for layer, scale in zip(network.hidden, conversion.scales_hz, strict=True):
            weights = kept[:, None] * layer.weights * (scale * amplitude)
            neurons = nengo.Ensemble(
                len(layer.bias),
                1,
                neuron_type=ChargeKeepingRectifiedLinear(initial_state=state),
                gain=np.ones(len(layer.bias)),
                bias=scale * layer.bias.astype(float),
            ).neurons
            nengo.Connection(before, neurons, transform=weights.T.astype(float), synapse=None)
            before, amplitude, kept = neurons, 1 / scale, masks[layer.name][0]
        out = nengo.Node(size_in=network.n_outputs)
        weights = kept[:, None] * network.layers[-1].weights * amplitude
        nengo.Connection(before, out, transform=weights.T.astype(float), synapse=None)
        return net, inputs, nengo.Probe(out)


@contextmanager
def baked(job: Job, rows: int, unroll: int) -> Iterator[Run]:
    """Open NengoDL on a model whose weights hold the masks of one draw."""
    register_with_nengo_dl()
    import nengo_dl

    net, inputs, _ = baked_model(job)
    with net:
        nengo_dl.configure_settings(stateful=False, inference_only=True, keep_history=False)
    x = np.resize(job.x, (rows, job.x.shape[1])).astype(np.float32)
    shown = np.repeat(x[:, None, :], job.steps, axis=1)
    with nengo_dl.Simulator(
        net,
        dt=job.conversion.dt,
        minibatch_size=rows,
        unroll_simulation=unroll,
        progress_bar=False,
        seed=0,
    ) as sim:
        yield lambda: sim.predict({inputs: shown}, verbose=0)


def microseconds(run: Run, presentations: int, repeats: int) -> float:
    """Warm up and return the median microseconds per presentation."""
    run()
    return 1e6 * statistics.median(seconds(run) for _ in range(repeats)) / presentations


def measure(width: int, repeats: int) -> dict[str, float]:
    """Return microseconds per presentation of every way."""
    job = random_job(width, 64, 1)
    results = {}
    with project_backend(job, "nengo", 2) as run:
        results["nengo"] = microseconds(run, 2, 2)
    ways = {"masks as state, 64 rows": project_backend(job, "nengo_dl", 64)}
    for rows, unroll in ((64, 1), (64, 10), (256, 1)):
        ways[f"masks in the weights, {rows} rows, unrolled {unroll}"] = baked(job, rows, unroll)
    for name, opened in ways.items():
        rows = int(name.split(", ")[1].split()[0])
        with opened as run:
            results[f"nengo_dl, {name}"] = microseconds(run, rows, repeats)
    return {name: round(value, 1) for name, value in results.items()}


def main() -> None:
    """Measure one width."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        print(json.dumps(measure(arguments.width, arguments.repeats)))


if __name__ == "__main__":
    main()
