"""Properties that hold for every case Hypothesis thinks of: masks, pairing, chunking, resuming."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spikedrop as sd
from spikedrop.conversion import Conversion
from spikedrop.engines.compiled import chunks
from spikedrop.masks import layer_mask, stacked_masks
from spikedrop.network import Layer, Network
from spikedrop.store import open_samples, sample_to_store
from spikedrop.store.job import Grid
from spikedrop.store.layout import read_layout

FAMILIES = ("unit", "gaussian", "weights")
SEEDS = st.integers(0, 2**64 - 1)
quick = settings(deadline=None, derandomize=True, max_examples=100)
some = settings(deadline=None, derandomize=True, max_examples=20)  # each writes files
slow = settings(deadline=None, derandomize=True, max_examples=8)  # each compiles programs


def network_of(rate, family="unit", outputs=3):
    rng = np.random.default_rng(5)
    sizes = (4, 16, 16)
    hidden = [
        Layer(
            f"h{i}",
            rng.normal(0, 0.6, (sizes[i], sizes[i + 1])).astype("float32"),
            rng.normal(0, 0.1, sizes[i + 1]).astype("float32"),
            rate,
            family=family,
        )
        for i in range(2)
    ]
    last = Layer(
        "y", rng.normal(size=(16, outputs)).astype("float32"), np.zeros(outputs, "float32")
    )
    return Network.chain(tuple(hidden), last, rate if family != "weights" else 0.0)


@st.composite
def pieces(draw, most=40):
    """A range, and a range inside it."""
    start, length = draw(st.integers(0, 10**6)), draw(st.integers(1, most))
    first = draw(st.integers(0, length - 1))
    size = draw(st.integers(1, length - first))
    return range(start, start + length), range(start + first, start + first + size)


@quick
@given(
    seed=SEEDS,
    layer=st.integers(0, 99),
    draw=st.integers(0, 2**63 - 1),
    units=st.integers(1, 70),
    rate=st.floats(0, 0.99),
    family=st.sampled_from(FAMILIES),
    rows=pieces(),
)
def test_a_mask_depends_on_nothing_but_seed_layer_draw_and_observation(
    seed, layer, draw, units, rate, family, rows
):
    whole, part = rows
    arguments = {"rate": rate, "family": family}
    mask = layer_mask(seed, layer, draw, units=units, observations=whole, **arguments)
    assert (
        mask == layer_mask(seed, layer, draw, units=units, observations=whole, **arguments)
    ).all()
    cut = layer_mask(seed, layer, draw, units=units, observations=part, **arguments)
    first = part.start - whole.start
    assert (mask[first : first + len(part)] == cut).all()
    if family != "gaussian":
        assert np.isin(mask, np.float32([0, 1 / (1 - rate)])).all()


@quick
@given(
    seed=SEEDS,
    rate=st.floats(0.01, 0.9),
    family=st.sampled_from(FAMILIES),
    draws=pieces(12),
    rows=st.one_of(st.none(), pieces(12)),
)
def test_masks_of_some_draws_and_rows_are_cut_out_of_those_of_all(seed, rate, family, draws, rows):
    network = network_of(rate, family)
    all_rows, some_rows = rows if rows and family != "weights" else (None, None)
    whole = stacked_masks(network, seed, draws[0], all_rows)
    part = stacked_masks(network, seed, draws[1], some_rows)
    d = draws[1].start - draws[0].start
    r = some_rows.start - all_rows.start if some_rows else 0
    for name, mask in part.items():
        assert (whole[name][d : d + len(draws[1]), r : r + mask.shape[1]] == mask).all()


@quick
@given(seeds=st.tuples(SEEDS, SEEDS), draws=st.tuples(*2 * [st.integers(0, 2**63 - 1)]))
def test_other_seeds_and_draws_have_other_masks(seeds, draws):
    """128 units at rate 1/2 agree by chance once in 2**128."""
    a, b = (
        layer_mask(seed, 1, draw, units=128, rate=0.5)
        for seed, draw in zip(seeds, draws, strict=True)
    )
    assert (a == b).all() == (seeds[0] == seeds[1] and draws[0] == draws[1])


@slow
@given(
    seed=SEEDS,
    rate=st.floats(0.1, 0.7),
    scope=st.sampled_from(["draw", "row"]),
    first=st.integers(0, 10**6),
)
def test_the_two_networks_have_the_same_units_silent(seed, rate, scope, first):
    """One neuron per output: an output is 0 where its unit is dropped, and only there."""
    eye, none = np.eye(8, dtype="float32"), np.zeros(8, "float32")
    network = Network.chain((Layer("h", eye, none, rate),), Layer("y", eye, none))
    x = np.ones((5, 8), "float32")
    arguments = {"draws": 6, "seed": seed, "scope": scope, "first_draw": first, "progress": False}
    ann = sd.sample_ann(network, x, **arguments).values
    snn = sd.sample_snn(network, Conversion((500.0,)), x, steps=20, **arguments).values
    assert ((ann == 0) == (snn == 0)).all()
    for draw in range(6):
        rows = range(5) if scope == "row" else None
        mask = layer_mask(seed, 1, first + draw, units=8, rate=rate, observations=rows)
        assert ((ann[draw] == 0) == (mask == 0)).all()


@quick
@given(
    shape=st.tuples(*3 * [st.integers(1, 60)]),
    sizes=st.tuples(*2 * [st.integers(1, 70)]),
)
def test_the_chunks_of_a_store_hold_every_sample_once(shape, sizes):
    grid = Grid(shape, (*sizes, shape[2]))
    seen = np.zeros(shape[:2], int)
    names = set()
    for draws, rows in grid.pieces():
        seen[draws.start : draws.stop, rows.start : rows.stop] += 1
        names.add(grid.key(draws, rows))
    assert (seen == 1).all()
    assert len(names) == grid.count


@quick
@given(
    n=st.integers(1, 2000),
    draws=pieces(300),
    memory_gb=st.floats(0.004, 2),
    timed=st.booleans(),
)
def test_the_chunks_of_the_engine_hold_every_sample_once(n, draws, memory_gb, timed):
    seen = np.zeros((len(draws[0]), n), int)
    for numbers, rows in chunks(network_of(0.1), n, draws[0], memory_gb, timed=timed):
        start = numbers.start - draws[0].start
        seen[start : start + len(numbers), rows.start : rows.stop] += 1
    assert (seen == 1).all()


X = np.random.default_rng(0).normal(size=(150, 4)).astype("float32")
CONVERSION = Conversion((400.0, 400.0))


@slow
@given(
    chunk=st.integers(1, 160),
    draws=st.integers(1, 8),
    memory_gb=st.sampled_from([0.004, 0.02, 1.0]),
    family=st.sampled_from(FAMILIES),
    spiking=st.booleans(),
)
def test_no_chunk_and_no_memory_changes_a_value(chunk, draws, memory_gb, family, spiking):
    network = network_of(0.3, family)
    more = {"conversion": CONVERSION, "steps": 12} if spiking else {}
    sample = sd.sample_snn if spiking else sd.sample_ann
    expected = sample(network, x=X, draws=draws, seed=1, progress=False, **more)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        sample_to_store(
            path,
            network,
            X,
            draws=draws,
            seed=1,
            chunk=chunk,
            memory_gb=memory_gb,
            progress=False,
            **more,
        )
        assert (open_samples(path).values == expected.values).all()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Make a finished store of ten chunks; return its network, its path and the chunks' bytes."""
    network, path = network_of(0.3), tmp_path_factory.mktemp("whole") / "a"
    sample_to_store(path, network, X, draws=5, seed=2, chunk=15, progress=False)
    folder = read_layout(path).folder
    return network, path, {file.name: file.read_bytes() for file in folder.glob("c.*")}


@some
@given(data=st.data())
def test_from_any_state_a_job_ends_with_the_same_bytes(whole, data):
    """Each chunk is kept, lost, cut off, lengthened or changed; half-written files lie about."""
    network, path, content = whole
    folder = read_layout(path).folder
    kept = []
    for name, right in content.items():
        kind = data.draw(st.sampled_from(["kept", "lost", "cut", "longer", "changed"]))
        wrong = bytearray(right)
        if kind == "changed":
            wrong[data.draw(st.integers(0, len(right) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        elif kind == "cut":
            del wrong[data.draw(st.integers(0, len(right) - 1)) :]
        elif kind == "longer":
            wrong += b"\0"
        (folder / name).unlink()
        if kind != "lost":
            (folder / name).write_bytes(wrong)
        if kind == "kept":
            kept.append(name)
        if data.draw(st.booleans()):
            (folder / f"{name}.0f.partial").write_bytes(wrong[:5])
    when = {name: (folder / name).stat().st_mtime_ns for name in kept}
    chunk = data.draw(st.integers(1, 200))
    sample_to_store(path, network, X, draws=5, seed=2, chunk=chunk, progress=False)
    assert {file.name: file.read_bytes() for file in folder.glob("c.*")} == content
    assert {name: (folder / name).stat().st_mtime_ns for name in kept} == when
    assert not list(folder.glob("*.partial"))
