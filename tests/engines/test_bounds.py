"""The compiled loops look at no bounds; here they are built so that they do, and run.

Numba's cache does not tell the two builds apart, so the checked one has a folder of its own. The
whole suite runs so with ``NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=_build/numba-checked`` before the
command, see CONTRIBUTING.md.
"""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from book.tree import ROOT
from spikedrop.chip import fast
from spikedrop.engines import events

PLACES = ("engines/test_bounds", "engines/test_events", "chip/test_chip", "engines/test_fuzz")
FILES = [f"{place}.py" for place in PLACES]
# Everything that reaches a loop, each network at least once.
WHICH = (
    "not_there or by_hand or several_spikes or worth_nothing or repeated or several_axes"
    " or (same_spikes and row and 3000) or (fast_sampler and late)"
    " or (random_networks and 0)"
)


@pytest.mark.skipif(bool(numba.config.BOUNDSCHECK), reason="this is the run that is checked")
def test_the_loops_stay_inside_their_arrays():
    checked = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(ROOT / "_build" / "numba-checked")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-rs",
         "-k", WHICH, *(str(ROOT / "tests" / file) for file in FILES)],
        env={**os.environ, **checked}, cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert "skipped" not in done.stdout


@pytest.mark.skipif(not numba.config.BOUNDSCHECK, reason="only a checked build can see it")
def test_a_row_that_is_not_there_is_seen():
    weights, v = np.ones((2, 64), np.float32), np.zeros(64, np.float32)
    which, value = np.array([0, 1, 2, 0], np.int32), np.ones(4, np.float32)
    with pytest.raises(IndexError):
        events._add(0, 4, which, value, weights, v)
    with pytest.raises(IndexError):
        fast._add(which, 4, 1, weights.astype(np.int16), v.astype(np.int32))


def test_a_wiring_that_is_not_there_is_refused_before_the_loop():
    with pytest.raises(RuntimeError, match=r"'h'.*'weights': \(3, 4\).*fault of spikedrop"):
        events.fits("h", weights=(3, 4), width=(64, 64))
