"""Memory of scores and comparisons: a few blocks beside the samples, in memory or in a store.

At full size: ``python -m benchmarks.memory``.
"""

import tracemalloc

import numpy as np
import pytest
import scoringrules  # noqa: F401  (imported late by the scores; its import is not measured)

from benchmarks.memory import truth, write
from spikedrop import compare, decisions, scores
from spikedrop.cli import app
from spikedrop.comparison import paired_error
from spikedrop.scores import conformal
from spikedrop.store import open_samples, summarize
from spikedrop.study.variance import variance_components

DRAWS, ROWS = 500, 8000
rng = np.random.default_rng(0)
A = rng.normal(size=(DRAWS, ROWS)).astype(np.float32)
B = A + np.float32(0.01) * A[::-1]
Y = rng.normal(size=ROWS)
P = rng.dirichlet(np.ones(4), size=(DRAWS, ROWS // 4)).astype(np.float32)
LABELS = rng.integers(0, 4, ROWS // 4)


def peak_of(call):
    """Return the most bytes that a call has taken at once."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


CASES = {
    "crps": lambda: scores.crps(A, Y),
    "log_likelihood": lambda: scores.log_likelihood(A, Y, 0.5),
    "coverage": lambda: scores.coverage(A, Y, 0.5),
    "calibration_error": lambda: scores.calibration_error(A, Y),
    "pit": lambda: scores.pit(A, Y, 0.5),
    "risk_coverage": lambda: scores.risk_coverage(A, Y),
    "kendall_tau": lambda: scores.kendall_tau(A, Y),
    "score_table": lambda: scores.score_table(A[:20], B[:20], Y, Y**2 + 1, seed=0, resamples=2),
    "predictive_entropy": lambda: scores.predictive_entropy(P),
    "mutual_information": lambda: scores.mutual_information(P),
    "brier_score": lambda: scores.brier_score(P, LABELS),
    "uncertainties": lambda: scores.uncertainties({"ANN": P}),
    "conformal_interval": lambda: conformal.conformal_interval(A, Y, B),
    "predictive_moments": lambda: scores.predictive_moments(A),
    "optimistic_choice": lambda: decisions.optimistic_choice(A, 5),
    "paired_error": lambda: paired_error(A, B),
    "compare, paired": lambda: compare(A, B, paired=True, y=Y),
    "variance_components": lambda: variance_components(A.reshape(50, 10, ROWS), A[:50]),
}


@pytest.mark.parametrize("name", CASES)
def test_samples_and_what_is_computed_take_three_times_the_samples_at_most(name):
    """The samples take 16 MB, and are held already."""
    assert peak_of(CASES[name]) < 2 * A.nbytes


def test_an_unpaired_comparison_of_many_observations_is_bounded_too():
    """4,000 observations: the kernel's 64,000 features of 60 + 60 draws would take 61 MB."""
    a, b = A[:60, :4000], A[60:120, :4000]
    assert peak_of(lambda: compare(a, b, paired=False, y=Y[:4000], permutations=99)) < 30e6


def test_a_store_is_scored_and_compared_in_less_memory_than_it_has_samples(
    tmp_path, monkeypatch, capsys
):
    """20 MB of samples in each store, pieces of 2 MB."""
    monkeypatch.setattr("spikedrop.checks.samples.PIECE", 2**19)
    monkeypatch.setattr("spikedrop.checks.samples.BLOCK", 2**15)
    monkeypatch.setattr("spikedrop.store.summaries.BLOCK_VALUES", 2**19)
    monkeypatch.setattr("benchmarks.memory.CHUNK", (128, 512, 1))
    stores = [tmp_path / name for name in "ab"]
    for path, gap in zip(stores, (0.0, 0.02), strict=True):
        write(path, 250, 20_000, gap)
    y, held = truth(20_000), 4 * 250 * 20_000
    np.save(tmp_path / "y.npy", y)
    a, b = map(open_samples, stores)
    whole = a.to_numpy()[:, :, 0]  # of another array than `a`, which stays on disk
    command = ["score", str(stores[0]), str(tmp_path / "y.npy"), "--json"]
    found = {}
    cases = {
        "crps": lambda: found.update(crps=scores.crps(open_samples(stores[0]), y)),
        "summarize": lambda: found.update(crps=float(summarize(stores[0], y=y)["crps"][0])),
        "score": lambda: app(command, standalone_mode=False),
        "conformal": lambda: conformal.conformal_interval(a, y, b),
        "compare": lambda: found.update(verdict=compare(a, b).verdict),
    }
    a, b = map(open_samples, stores)
    for name, call in cases.items():
        assert peak_of(call) < held, name
        if name in ("crps", "summarize"):
            assert found["crps"] == pytest.approx(scores.crps(whole, y), rel=1e-6)
    assert found["verdict"] == "equivalent"
    assert '"crps"' in capsys.readouterr().out
