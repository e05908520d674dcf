"""A hundred random networks on every program against the reference, and the judge itself.

`benchmarks.fuzz` runs two thousand. To keep a hundred short, the classical network, the engine's
loop in TensorFlow where the one over spikes runs too, and Nengo get every fifth graph, NengoDL
every fiftieth; the engine, the chip and all refusals get every one.
"""

import dataclasses
import warnings

import numpy as np
import pytest

from spikedrop import engine
from spikedrop.engine import _changing
from spikedrop.errors import SaturationWarning
from spikedrop.spiking.programs import PROGRAMS, refusal
from tests.fuzzing import Tally, check_all, check_engine, expect, judge
from tests.random_graphs import draw_case

GROUPS, EACH = 10, 10


@pytest.mark.parametrize("group", range(GROUPS))
def test_random_networks_give_what_the_reference_gives(group):
    tally = Tally()
    for seed in range(group * EACH, (group + 1) * EACH):
        every = seed % 5 == 0
        simulators = ["nengo"] * every + ["nengo_dl"] * (seed % 50 == 0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SaturationWarning)  # the cases are not calibrated
            check_all(
                draw_case(seed), tally, simulators=simulators, loop=every, whole=every, ann=every
            )
    assert tally.faults == []
    judged, excused = sum(tally.judged.values()), sum(tally.excused.values())
    assert judged > 1000
    assert excused < 0.02 * judged


def test_the_hundred_reach_every_program_and_every_place():
    """What is drawn covers what the programs state; and exact cases are exact."""
    cases = [draw_case(seed) for seed in range(GROUPS * EACH)]
    accepted = dict.fromkeys(PROGRAMS, 0)
    for case in cases:
        for name, program in PROGRAMS.items():
            runs = refusal(program, case.network, case.conversion) is None
            accepted[name] += runs and (name != "events" or bool(_changing(case.network)))
    assert min(accepted.values()) >= 10, accepted
    assert all(expect(case).exact == case.exact for case in cases)
    layers = [layer for case in cases for layer in case.network.layers]
    ops = {"dense", "conv", "average_pool", "flatten", "add", "concatenate", "scale"}
    assert {layer.op for layer in layers if layer.spiking} == ops
    families = {layer.family for layer in layers if layer.dropout}
    assert families == {"unit", "channel", "gaussian", "weights"}
    axes = {len(shape) for case in cases for shape in case.network.shapes.values()}
    assert axes == {1, 2, 3}
    for read in ("scope", "exact", "settle", "pairs"):
        assert len({getattr(case, read) for case in cases}) > 1
    assert {case.conversion.synapse_s is None for case in cases} == {True, False}
    assert {case.network.stored_masks is None for case in cases} == {True, False}


def test_the_judge_sees_one_spike_too_many_and_another_readout():
    case = next(c for c in map(draw_case, range(50)) if c.exact)
    expected, tally = expect(case), Tally()
    judge(case, "itself", expected, expected.readout, expected.counts, tally)
    assert tally.faults == []
    assert tally.judged["itself"] == sum(c.size for c in expected.counts)
    counts = [c.copy() for c in expected.counts]
    counts[-1].flat[0] += 1
    judge(case, "spikes", expected, expected.readout, counts, tally)
    judge(case, "readout", expected, expected.readout + 1e-3, expected.counts, tally)
    judge(case, "nan", expected, expected.readout * np.nan, expected.counts, tally)
    assert ["spikes for" in f or "readout" in f for f in tally.faults] == [True] * 3


def test_a_wiring_that_is_off_by_one_unit_is_found():
    """The weights of a layer's rows in another order: same spikes below, others above."""
    cases = (c for c in map(draw_case, range(300)) if c.exact and _changing(c.network))
    for case in cases:
        loaded = engine.load(case.network, case.conversion)
        if loaded.wired is not None:
            break
    expected, tally = expect(case), Tally()
    check_engine(case, expected, tally, loop=False, whole=False)
    assert tally.faults == []
    wired = loaded.wired
    turned = {
        name: dataclasses.replace(s, weights=np.roll(s.weights, 1, axis=0))
        for name, s in wired.synapses.items()
    }
    wrong = dataclasses.replace(loaded, wired=dataclasses.replace(wired, synapses=turned))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "load", lambda *_: wrong)
        check_engine(case, expected, tally, loop=False, whole=False)
    assert tally.faults
