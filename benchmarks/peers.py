"""The same network on SpikingJelly, snnTorch, Norse and sinabs.

Run by an interpreter that has PyTorch and no spikedrop: ``peers.py job.npz`` prints one JSON
object, the seconds of every peer. Each is used the fastest way found for it: the first layer's
current computed once an input, no autograd, whole sequences at a time where the peer has
multi-step layers, and rows in chunks of the size that was fastest. All fire at most one spike a
step, except sinabs; Norse's integrate-and-fire neuron resets to zero, it has no other.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import linear

CHUNKS = (64, 256, 2048)
Forward = Callable[[list[torch.Tensor]], torch.Tensor]


def load(path: str) -> dict:
    """Read the job: weights in units of the threshold a step, row by row masks."""
    data = np.load(path)
    job = {key: torch.from_numpy(data[key]) for key in data.files if data[key].ndim}
    job |= {key: int(data[key]) for key in ("depth", "steps", "settle", "draws", "rows")}
    for i in range(job["depth"]):  # draw after draw, every input in each
        job[f"m{i}"] = job[f"m{i}"].repeat_interleave(job["rows"], 0).contiguous()
    return job


def connect(job: dict, layer: int, spikes: torch.Tensor) -> torch.Tensor:
    """Return the current of hidden layer `layer` from the masked spikes below."""
    return linear(spikes, job[f"w{layer}"], job[f"b{layer}"])


def by_sequence(job: dict, neurons: list, reset: Callable[[], None], batch_first: bool) -> Forward:
    """Run layer by layer, each over the whole sequence."""
    time_axis = 1 if batch_first else 0

    def forward(parts: list[torch.Tensor]) -> torch.Tensor:
        first, *masks = parts
        reset()
        shape = [len(first), first.shape[1]]
        shape.insert(time_axis, job["steps"])
        h = first.unsqueeze(time_axis).expand(shape)
        for i, neuron in enumerate(neurons):
            s = neuron(h) * masks[i].unsqueeze(time_axis)
            if i + 1 < len(neurons):
                h = connect(job, i + 1, s)
        late = s.narrow(time_axis, job["settle"], job["steps"] - job["settle"])
        return linear(late.mean(time_axis), job["wy"], job["by"])

    return forward


def by_step(job: dict, step: Callable, start: Callable) -> Forward:
    """Run step by step, with ``step(layer, current, state) -> (spikes, state)``."""

    def forward(parts: list[torch.Tensor]) -> torch.Tensor:
        first, *masks = parts
        states = [start(i, first) for i in range(job["depth"])]
        total = torch.zeros_like(first)
        for t in range(job["steps"]):
            h = first
            for i in range(job["depth"]):
                s, states[i] = step(i, h, states[i])
                s = s * masks[i]
                if i + 1 < job["depth"]:
                    h = connect(job, i + 1, s)
            if t >= job["settle"]:
                total += s
        return linear(total / (job["steps"] - job["settle"]), job["wy"], job["by"])

    return forward


def spikingjelly(job: dict) -> list[Forward]:
    """Multi-step layers on the torch backend, and the same layers step by step."""
    neuron = importlib.import_module("spikingjelly.activation_based.neuron")

    def layers(mode: str) -> list:
        return [
            neuron.IFNode(v_threshold=1.0, v_reset=None, step_mode=mode).eval()
            for _ in range(job["depth"])
        ]

    whole, single = layers("m"), layers("s")

    def reset(which: list) -> None:
        for layer in which:
            layer.reset()

    def start(i: int, like: torch.Tensor) -> None:
        single[i].reset()

    return [
        by_sequence(job, whole, lambda: reset(whole), batch_first=False),
        by_step(job, lambda i, h, state: (single[i](h), state), start),
    ]


def snntorch(job: dict) -> list[Forward]:
    """Use `Leaky` without leak and with reset by subtraction; it has no multi-step layer."""
    snn = importlib.import_module("snntorch")
    cells = [snn.Leaky(beta=1.0, reset_mechanism="subtract").eval() for _ in range(job["depth"])]

    def step(i: int, h: torch.Tensor, state: torch.Tensor) -> tuple:
        return cells[i](h, state)

    return [by_step(job, step, lambda i, like: torch.full_like(like, 0.5))]


def norse(job: dict) -> list[Forward]:
    """Use the feed-forward integrate-and-fire step."""
    iaf = importlib.import_module("norse.torch.functional.iaf")

    def step(i: int, h: torch.Tensor, state: object) -> tuple:
        return iaf.iaf_feed_forward_step(h, state)

    return [
        by_step(job, step, lambda i, like: iaf.IAFFeedForwardState(v=torch.full_like(like, 0.5)))
    ]


def sinabs(job: dict) -> list[Forward]:
    """Use sequences through `IAF`, with any number of spikes per step."""
    layers = importlib.import_module("sinabs.layers")
    cells = [layers.IAF().eval() for _ in range(job["depth"])]

    def reset() -> None:
        for cell in cells:
            cell.reset_states()

    return [by_sequence(job, cells, reset, batch_first=True)]


def whole_job(job: dict, forward: Forward, chunk: int) -> torch.Tensor:
    """Present every row; the first layer's current is computed once an input."""
    current = linear(job["x"], job["w0"], job["b0"]).repeat(job["draws"], 1)
    parts = [current, *(job[f"m{i}"] for i in range(job["depth"]))]
    pieces = zip(*(part.split(chunk) for part in parts), strict=True)
    return torch.cat([forward(list(piece)) for piece in pieces])


def measure(job: dict, forwards: list[Forward], repeats: int) -> dict[str, object]:
    """Find the fastest way in one trial each, then return the median of the repeats."""

    def timed(forward: Forward, chunk: int) -> float:
        start = time.perf_counter()
        whole_job(job, forward, chunk)
        return time.perf_counter() - start

    trials = []
    for i, forward in enumerate(forwards):
        for chunk in CHUNKS:
            trials.append((timed(forward, chunk), i, chunk))
    _, way, chunk = min(trials)
    times = [timed(forwards[way], chunk) for _ in range(repeats)]
    out = whole_job(job, forwards[way], chunk).flatten()
    like = float(np.corrcoef(out.numpy(), job["expected"].numpy())[0, 1])
    return {"seconds": float(np.median(times)), "chunk": chunk, "correlation": round(like, 3)}


def main() -> None:
    """Measure every peer that can be imported."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(int(os.environ.get("PEERS_THREADS", "2")))
    job, results = load(sys.argv[1]), {}
    repeats = int(sys.argv[2])
    with torch.inference_mode():
        for peer in (spikingjelly, snntorch, norse, sinabs):
            try:
                results[peer.__name__] = measure(job, peer(job), repeats)
            except Exception as error:  # a peer that fails must not take the others with it
                results[peer.__name__] = {"why": f"{type(error).__name__}: {error}"[:300]}
    print(json.dumps(results))


if __name__ == "__main__":
    main()
