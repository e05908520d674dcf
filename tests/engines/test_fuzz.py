"""A hundred random networks on every program against the reference, and the judge itself.

`benchmarks.fuzz` runs two thousand on every program. Most of the time goes into compiling, so here
the hundred are shared out: the engine gets every third, and all that its loop over spikes accepts
or Nengo refuses; Nengo gets the others; the engine's loop in TensorFlow beside that over spikes,
`sample_snn` and the classical network get every tenth, NengoDL every fiftieth; the chip and its
refusals get all.
"""

import dataclasses
import warnings

import numpy as np
import pytest

from spikedrop.conversion import calibrate
from spikedrop.engines import compiled as engine
from spikedrop.engines.capabilities import PROGRAMS, refusal
from spikedrop.engines.reference import simulate
from spikedrop.errors import SaturationWarning
from spikedrop.masks import network_masks
from spikedrop.network.topology import driven_by_neurons
from tests.fuzzing import (
    Tally,
    check_ann,
    check_chip,
    check_engine,
    check_simulator,
    expect,
    judge,
    share_held,
)
from tests.networks import random_network, six_inputs
from tests.random_graphs import draw_case

GROUPS, EACH = 10, 10


def accepts(name, case):
    return refusal(PROGRAMS[name], case.network, case.conversion) is None


def looped_over_spikes(case):
    return accepts("events", case) and bool(driven_by_neurons(case.network.layers))


@pytest.mark.parametrize("group", range(GROUPS))
def test_random_networks_give_what_the_reference_gives(group):
    tally = Tally()
    for seed in range(group * EACH, (group + 1) * EACH):
        case, tenth = draw_case(seed), seed % 10 == 0
        on_engine = seed % 3 == 0 or looped_over_spikes(case) or not accepts("nengo", case)
        simulators = ["nengo"] * (not on_engine) + ["nengo_dl"] * (seed % 50 == 0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SaturationWarning)  # the cases are not calibrated
            expected = expect(case)
            if on_engine:
                check_engine(case, expected, tally, loop=tenth, whole=tenth)
            check_chip(case, tally)
            if tenth:
                check_ann(case, tally)
            for backend in simulators:
                check_simulator(case, backend, expected, tally)
    assert tally.faults == []
    # Behind a synapse Nengo is not exact: its filter's decay is not one half to the last bit.
    ours = [name for name in tally.judged if not name.startswith("nengo")]
    assert sum(tally.excused[name] for name in ours) < 0.02 * sum(tally.judged[n] for n in ours)
    assert sum(tally.excused.values()) < 0.2 * sum(tally.judged.values())
    assert sum(tally.judged.values()) > 500


def test_the_hundred_reach_every_program_and_every_place():
    """What is drawn covers what the programs state; and exact cases are exact."""
    cases = [draw_case(seed) for seed in range(GROUPS * EACH)]
    accepted = dict.fromkeys(PROGRAMS, 0)
    for case in cases:
        for name in PROGRAMS:
            accepted[name] += looped_over_spikes(case) if name == "events" else accepts(name, case)
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


def test_a_mask_that_shares_its_array_with_no_other_signal():
    """NengoDL keeps it as it comes, and a variable it cannot read again: seed 420 of the 2,000."""
    case, tally = draw_case(420), Tally()
    assert [layer.op for layer in case.network.layers][-3:] == ["dense", "concatenate", "dense"]
    check_simulator(case, "nengo_dl", expect(case), tally)
    assert tally.faults == []
    assert tally.judged["nengo_dl"] > 0


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


def test_a_quantum_that_leaves_the_number_of_ones_is_seen():
    """5 and 6 quanta are two spikes each, in other places: only the readout differs."""
    network = random_network(sizes=(6, 20, 1))
    x, steps = six_inputs(20), 8
    conversion = calibrate(network, six_inputs(300, seed=2), neuron="radix")
    masks = network_masks(network, 0, 0)
    readout, counts = simulate(network, conversion, x, masks, steps=steps)
    ours = share_held(network, conversion, x, masks, readout, counts, steps=steps)
    assert ours > 0.95
    weight = np.abs(network.layers[-1].weights).max() / 0.8
    quantum = weight / (conversion.scales_hz[0] * conversion.dt * conversion.levels(steps))
    readout[3] += quantum
    with pytest.raises(AssertionError, match="readout"):
        share_held(network, conversion, x, masks, readout, counts, steps=steps)


def test_a_wiring_that_is_off_by_one_unit_is_found():
    """The weights of a layer's rows in another order: same spikes below, others above."""
    cases = (c for c in map(draw_case, range(300)) if c.exact)
    cases = (c for c in cases if driven_by_neurons(c.network.layers))
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
