"""Every argument of every sampler, with wrong types and values: one error that names it."""

import inspect

import numpy as np
import pytest

import spikedrop as sd
from spikedrop import chip
from spikedrop.errors import InputError
from spikedrop.sampling.neuron_scales import allocate
from spikedrop.store import local_client
from tests.store_jobs import CONVERSION, NETWORK, X

SMALL = X[:3]
NAN = float("nan")
NO_NUMBER = ["10", None, True, NAN, float("inf"), 1j, [1], b"1", object(), np.array([1, 2])]
NO_WHOLE = [*NO_NUMBER, 1.5, 2.0, np.float64(3), -1, np.bool_(True), np.array(2.5)]
NO_SEED = [*NO_WHOLE, 2**64, 2**70]
NO_WORD = ["", "Draw", 0, None, ["draw"], np.array(["draw", "row"])]
NO_ARRAY = [None, "x", 3.0, [], [[1, 2], [3]], [["a"] * 5], np.full((2, 5), NAN), object()]
NO_PATH = [None, 3, b"x", "", "a\0b"]
OTHER = [None, "x", 3, object(), np.ones(3)]  # than an object of the package


def no(*values, given=NO_WHOLE, optional=False):
    """Return wrong values; where an argument is optional, None is right."""
    return [*(value for value in given if not optional or value is not None), *values]


POSITIVE = no(0, -1.0, given=NO_NUMBER)
BAD = {
    "network": OTHER,
    "conversion": OTHER,
    "chip": OTHER,
    "pairs": OTHER,
    "x": NO_ARRAY,
    "x_train": NO_ARRAY,
    "y": ["x", [1.0], [NAN, 1, 1], object()],
    "draws": no(0),
    "seed": NO_SEED,
    "first_draw": no(2**63),
    "draw": no(2**63),
    "layer": no(2**64),
    "units": no(0),
    "rate": no(1, -0.1, given=NO_NUMBER),
    "observations": [3, range(-2, 3), range(0, 6, 2), [1, 2], "x", NAN],
    "steps": no(0),
    "step": no(optional=True),
    "settle": no(20, optional=True),
    "scope": NO_WORD,
    "family": NO_WORD,
    "hold": no("steps", {"layer_0": "no"}, {"x": "step"}, given=NO_WORD),
    "backend": NO_WORD,
    "memory_gb": no(0, -1.0, 1e-9, given=NO_NUMBER),
    "progress": ["yes", 1, NAN, [True]],
    "chunk": no(0, optional=True),
    "workers": no(0),
    "client": ["x", 3, object()],
    "path": NO_PATH,
    "rate_hz": POSITIVE,
    "percentile": no(0, 101, given=[bad for bad in NO_NUMBER if bad is not None]),
    "neuron": NO_WORD,
    "readout": NO_WORD,
    "initial_charge": no(1, given=NO_NUMBER),
    "synapse_s": no(0, given=[bad for bad in NO_NUMBER if bad is not None]),
    "dt": POSITIVE,
    "scales_hz": [None, 3, "abc", ("a",), (0.0,), (NAN,), (True,), (None,), (np.array([1, -1]),)],
    "bits": no(1),
    "bias_bits": no(1),
    "membrane_bits": no(1),
    "n_drugs": no(3),
    "n_cell_lines": no(1),
    "n_records": no(0, 10**9),
    "by": NO_WORD,
    "test": no(1, -0.1, given=NO_NUMBER),
    "validation": no(1, -0.1, given=NO_NUMBER),
    "budget": POSITIVE,
    "unit": NO_WORD,
    "device": NO_WORD,
    "quantity": NO_WORD,
    "seconds_per_step": no(0, given=[bad for bad in NO_NUMBER if bad is not None]),
    "rates_hz": [3, "abc", [], [0.0, 1.0], [2.0, 1.0], [NAN], [None], ["a"]],
    "pilot_draws": no(15),
    "ann_draws": no(15),
}
CHIP = chip.quantise(NETWORK, CONVERSION, steps=20)
PAIRS = sd.simulate_screen(n_drugs=5, n_cell_lines=3, n_records=20, seed=0).pairs
JOB = {"network": NETWORK, "x": SMALL, "draws": 2, "seed": 0}
SPIKING = {**JOB, "conversion": CONVERSION, "steps": 20}
CALLS = {
    "predict": (sd.predict, {"network": NETWORK, "x": SMALL}),
    "sample_ann": (sd.sample_ann, JOB),
    "sample_snn": (sd.sample_snn, SPIKING),
    "sample_to_store": (sd.sample_to_store, SPIKING),
    "calibrate": (sd.calibrate, {"network": NETWORK, "x_train": SMALL}),
    "Conversion": (sd.Conversion, {"scales_hz": (1.0,)}),
    "allocate": (
        allocate, {"network": NETWORK, "conversion": CONVERSION, "x_train": SMALL, "seed": 0}
    ),
    "layer_mask": (sd.layer_mask, {"seed": 0, "layer": 1, "draw": 0, "units": 3, "rate": 0.5}),
    "network_masks": (sd.network_masks, {"network": NETWORK, "seed": 0, "draw": 0}),
    "quantise": (chip.quantise, {"network": NETWORK, "conversion": CONVERSION}),
    "sample_chip": (
        chip.sample_chip, {"chip": CHIP, "x": SMALL, "draws": 2, "seed": 0, "steps": 20}
    ),
    "sample_integers": (chip.sample_integers, {"chip": CHIP, "x": SMALL, "draws": 2, "seed": 0}),
    "simulate_screen": (sd.simulate_screen, {"seed": 0}),
    "split": (sd.split, {"pairs": PAIRS, "seed": 0}),
    "plan_budget": (
        sd.plan_budget,
        {"network": NETWORK, "x_train": SMALL, "x": SMALL, "budget": 1e6, "seed": 0},
    ),
}  # fmt: skip
BAD_IN = {  # where a name means something else
    ("plan_budget", "steps"): [3, "abc", [], [0], [2, 1], [1.5], [None], ["a"]],
    ("layer_mask", "observations"): [3, range(-2, 3), range(0, 6, 2), [1, 2], "x"],
}
ALSO = {("plan_budget", "seconds_per_step"): {"unit": "seconds"}}
NAMED = {"x_train": "x"}  # by the checks of inputs
ARGUMENTS = [
    (function, name)
    for function, (call, _) in CALLS.items()
    for name in inspect.signature(call).parameters
]


@pytest.mark.parametrize(("function", "name"), ARGUMENTS, ids=map("-".join, ARGUMENTS))
def test_a_wrong_argument_is_refused_by_name_and_nothing_is_written(
    tmp_path, monkeypatch, function, name
):
    monkeypatch.chdir(tmp_path)
    call, valid = CALLS[function]
    valid = valid | ALSO.get((function, name), {})
    if function == "sample_to_store":
        valid = valid | {"path": tmp_path / "a.zarr"}
        if name == "conversion":
            valid.pop("steps")
    for value in BAD_IN.get((function, name), BAD[name]):
        if (function, name) == ("sample_to_store", "conversion") and value is None:
            continue  # the classical network
        with pytest.raises(InputError) as error:
            call(**valid | {name: value})
        words = str(error.value)
        assert NAMED.get(name, name) in words, (value, words)
        assert "\n" not in words
        assert len(words) < 400
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("workers", BAD["workers"])
def test_wrong_workers_are_refused(workers):
    with pytest.raises(InputError, match="workers="), local_client(workers):
        pass


@pytest.mark.parametrize("kind", [np.int8, np.uint64, lambda number: np.array(number)])
def test_whole_numbers_of_numpy_are_numbers(tmp_path, kind):
    numbers = {"draws": kind(3), "seed": kind(7), "first_draw": kind(2)}
    plain = {name: int(number) for name, number in numbers.items()}
    expected, found = (sd.sample_ann(NETWORK, SMALL, **job) for job in (plain, numbers))
    assert found.identical(expected)
    timing = {"steps": kind(20), "settle": kind(4), "memory_gb": np.float32(0.5)}
    spiking = [
        sd.sample_snn(NETWORK, CONVERSION, SMALL, **job)
        for job in (plain | {"steps": 20, "settle": 4}, numbers | timing)
    ]
    assert spiking[0].identical(spiking[1])
    numbers.pop("first_draw")
    sd.sample_to_store(tmp_path / "a", NETWORK, SMALL, chunk=kind(2), **numbers)
    assert sd.open_samples(tmp_path / "a").attrs["seed"] == 7
