"""Ten recorded jobs give the bits that they gave when they were recorded.

The networks are exact cases of `tests.random_graphs`: no product or sum of them rounds in float32,
so that their samples do not depend on the processor or on a library's order of summation. Where an
output passes through a sigmoid or a softmax, which do round, four decimals are compared.
To record again, after a change that is meant to change bits:
``python -m tests.engines.test_same_bits``.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from spikedrop.engines.backends import BACKENDS, backend_of
from spikedrop.engines.capabilities import refusal
from spikedrop.neurons import NEURONS
from spikedrop.sampling.ann import sample_ann
from spikedrop.sampling.snn import sample_snn
from spikedrop.store import open_samples, sample_to_store
from tests.fuzzing import seed_of
from tests.random_graphs import draw_case

# Exact weights are coarse, so that some neurons reach full scale; that is not what is tested.
pytestmark = pytest.mark.filterwarnings("ignore::spikedrop.errors.SaturationWarning")
RECORD = Path(__file__).parents[1] / "recorded" / "same_bits.json"
SEEDS = (1, 2, 3, 9, 12, 14, 16, 21, 22, 29)


def digest(case, samples):
    """Hash of samples; see the top of this file for what is rounded."""
    rounds = {layer.activation for layer in case.network.layers} & {"sigmoid", "softmax"}
    values = np.asarray(samples, dtype="<f4")
    values = np.round(values, 4) + 0.0 if rounds else values + 0.0
    return hashlib.sha256(str(values.shape).encode() + values.tobytes()).hexdigest()[:16]


def jobs_of(case):
    """Samples of one case by program: the ANN, and the SNN on every backend that runs it."""
    ask = {"draws": len(case.draws), "first_draw": case.draws.start, "seed": seed_of(case)}
    ask |= {"scope": case.scope, "progress": False}
    found = {"ann": digest(case, sample_ann(case.network, case.x, **ask))}
    timing = {"steps": case.steps, "settle": case.settle}
    for backend in BACKENDS:
        if refusal(backend_of(backend).program(case.conversion), case.network, case.conversion):
            continue
        samples = sample_snn(
            case.network, case.conversion, case.x, backend=backend, **timing, **ask
        )
        found[backend] = digest(case, samples)
        found["spikes"] = float(samples.attrs["spikes_per_presentation"])
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_a_job_gives_the_bits_that_were_recorded(seed):
    recorded = json.loads(RECORD.read_text())
    assert jobs_of(draw_case(seed)) == recorded[str(seed)]


def test_the_jobs_cover_neurons_backends_scopes_and_families():
    cases = [draw_case(seed) for seed in SEEDS]
    assert all(case.exact for case in cases)
    assert {case.conversion.neuron for case in cases} == set(NEURONS)
    assert {case.scope for case in cases} == {"draw", "row"}
    layers = [layer for case in cases for layer in case.network.layers]
    assert {layer.family for layer in layers if layer.dropout} >= {"unit", "channel", "weights"}
    assert {layer.op for layer in layers} >= {"dense", "conv", "add", "concatenate", "scale"}
    recorded = json.loads(RECORD.read_text())
    for backend in BACKENDS:
        assert sum(backend in job for job in recorded.values()) >= 4, backend


@pytest.mark.parametrize("seed", [3, 22])
def test_a_store_holds_the_recorded_bits(tmp_path, seed):
    case = draw_case(seed)
    sample_to_store(
        tmp_path / "s.zarr", case.network, case.x, conversion=case.conversion, steps=case.steps,
        settle=case.settle, draws=case.draws.stop, seed=seed_of(case), scope=case.scope,
        progress=False,
    )  # fmt: skip
    recorded = json.loads(RECORD.read_text())[str(seed)]
    stored = open_samples(tmp_path / "s.zarr")
    assert digest(case, stored[case.draws.start :]) == recorded["engine"]


if __name__ == "__main__":
    RECORD.write_text(json.dumps({s: jobs_of(draw_case(s)) for s in SEEDS}, indent=1) + "\n")
