"""Hand the job to the peers' interpreter and compare their times with the engine's."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np

from benchmarks.environments import LIMIT_S, make_environment
from benchmarks.speed import engine
from benchmarks.work import FOLDER, Job, cores, figure

HERE = Path(__file__).parent


def write_job(job: Job, file: Path) -> None:
    """Save the network in units of the threshold a step, its masks, and the engine's answer."""
    conversion, network = job.conversion, job.network
    gains = [scale * conversion.dt for scale in conversion.scales_hz]
    arrays: dict[str, object] = {"x": job.x}
    for i, (layer, gain) in enumerate(zip(network.hidden, gains, strict=True)):
        arrays[f"w{i}"], arrays[f"b{i}"] = (gain * layer.weights).T, gain * layer.bias
    for i, (mask, gain) in enumerate(zip(job.masks(), gains, strict=True)):
        arrays[f"m{i}"] = mask / gain  # a spike stands for the activation 1 / gain
    arrays |= {"wy": network.layers[-1].weights.T, "by": network.layers[-1].bias}
    arrays = {key: np.ascontiguousarray(value, np.float32) for key, value in arrays.items()}
    numbers = {
        "depth": len(network.hidden),
        "steps": job.steps,
        "settle": job.steps // 5,
        "draws": job.draws,
        "rows": len(job.x),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, expected=np.ravel(engine(job)), **arrays, **numbers)


def run_peers(job: Job, repeats: int) -> dict[str, dict]:
    """Return seconds, or why there are none, of every peer."""
    width = job.network.hidden[0].weights.shape[1]
    file = Path(FOLDER) / "bench" / f"job_{width}.npz"
    python = make_environment("peers")
    write_job(job, file)
    threads = {"PEERS_THREADS": str(cores()), "OMP_NUM_THREADS": str(cores())}
    done = subprocess.run(
        [python, HERE / "peers.py", file, str(repeats)],
        env={**os.environ, **threads},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout.splitlines()[-1])


def against_peers(job: Job, ours: float, repeats: int, bar: str) -> dict[str, object]:
    """Return the figure of the fastest peer's time over the engine's `ours` seconds."""
    width = job.network.hidden[0].weights.shape[1]
    name, unit = f"peers_{width}", "fastest peer's time / engine time"
    if os.environ.get("PEERS") == "no":
        return figure(name, None, unit, bar, why="PEERS=no")
    try:
        peers = run_peers(job, repeats)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        return figure(name, None, unit, bar, why=f"the peers could not be run: {error}"[:300])
    times = {peer: result["seconds"] for peer, result in peers.items() if "seconds" in result}
    if not times:
        return figure(name, None, unit, bar, why="no peer could be measured", peers=peers)
    fastest = min(times, key=times.__getitem__)
    return figure(name, times[fastest] / ours, unit, bar, fastest=fastest, peers=peers)
