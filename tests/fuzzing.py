"""Hold every program that accepts a random case against the reference in float64.

How a rounding flip is told from a fault. In an *exact* case no product or sum rounds, so every
spike count and every readout must be equal; nothing is excused. (That the case is exact is checked:
the reference in float32 gives what it gives in float64.) In any other case a neuron is *near* where
the reference's charge comes, at any step, within `TOLERANCE` of an integer it could have fired at,
relative to the largest charge it gathers (float32 errs by some 1e-7 of it). A count is judged if
neither the neuron nor any neuron before it in the same presentation is near, and must then be
equal; a readout if no neuron before it is near, and must then agree to `READOUT`. What is not
judged is counted, and must stay a minor share over all cases.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np

from spikedrop.chip import hard_reset, host_biases, quantise, sample_chip, sample_integers
from spikedrop.chip.reference import simulate as simulate_chip
from spikedrop.conversion import Conversion
from spikedrop.engines import compiled as engine
from spikedrop.engines.capabilities import PROGRAMS, refusal
from spikedrop.engines.reference import simulate
from spikedrop.errors import InputError
from spikedrop.masks import network_masks, stacked_masks
from spikedrop.network import Network
from spikedrop.network.forward import forward
from spikedrop.network.topology import neurons_read
from spikedrop.sampling.ann import sample_ann
from spikedrop.sampling.snn import check_presentation, sample_snn
from tests.networks import open_simulator
from tests.random_graphs import Case

TOLERANCE = 2e-5  # of the largest charge, in thresholds
ROUNDING = 5e-6  # the same for networks of few terms, whose sums are rounded less
READOUT = 1e-4  # of the largest readout
WIDE = {"bits": 24, "bias_bits": 48, "membrane_bits": 48}


@dataclass
class Tally:
    """What was compared, by program: neuron counts judged and not, and every fault in words."""

    judged: dict[str, int] = field(default_factory=dict)
    excused: dict[str, int] = field(default_factory=dict)
    cases: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def add(self, program: str, judged: int, excused: int, wrong: str | None) -> None:
        """Take one program's result in one case."""
        self.cases[program] = self.cases.get(program, 0) + 1
        self.judged[program] = self.judged.get(program, 0) + judged
        self.excused[program] = self.excused.get(program, 0) + excused
        if wrong:
            self.faults.append(wrong)


@dataclass(frozen=True, eq=False)
class Expected:
    """The reference's answer: readout (draw, row, output); counts, near (draw, row, *shape)."""

    exact: bool
    readout: np.ndarray
    counts: list[np.ndarray]
    near: list[np.ndarray]


def in_float64(network: Network) -> Network:
    """Return the network with its arrays in float64."""
    layers = [
        layer
        if layer.weights is None
        else replace(layer, weights=layer.weights.astype(float), bias=layer.bias.astype(float))
        for layer in network.layers
    ]
    return replace(network, layers=tuple(layers))


def masks_of(case: Case, draw: int) -> dict[str, np.ndarray]:
    """Masks of one draw, for all rows."""
    return network_masks(case.network, seed_of(case), draw, which(case))


def seed_of(case: Case) -> int:
    """Seed of the masks."""
    return case.seed % 7


def which(case: Case) -> range | None:
    """Return the rows that masks are drawn for."""
    return range(len(case.x)) if case.scope == "row" else None


def expect(case: Case) -> Expected:
    """Run the reference, in float64 and in float32."""
    network, double = case.network, in_float64(case.network)
    readouts, counts, near, exact = [], [], [], case.exact
    for draw in case.draws:
        masks, record = masks_of(case, draw), {}
        setting = {"steps": case.steps, "settle": case.settle}
        x = case.x.astype(float)
        readout, found = simulate(double, case.conversion, x, masks, **setting, record=record)
        single, again = simulate(network, case.conversion, case.x, masks, **setting)
        exact = exact and all((a == b).all() for a, b in zip(found, again, strict=True))
        exact = exact and np.allclose(readout, single, rtol=1e-6, atol=1e-6)
        readouts.append(readout)
        counts.append(found)
        near.append([_near(case, record[layer.name], TOLERANCE) for layer in network.hidden])
    stacked = [np.stack(parts) for parts in zip(*counts, strict=True)]
    return Expected(
        exact, np.stack(readouts), stacked, [np.stack(parts) for parts in zip(*near, strict=True)]
    )


def _near(case: Case, record: dict[str, np.ndarray], tolerance: float) -> np.ndarray:
    """Which neurons come near a charge at which they would fire otherwise."""
    conversion, current = case.conversion, record["current"]
    if conversion.windowed:
        quanta = conversion.levels(case.steps) * conversion.dt
        charge = conversion.initial_charge + quanta * current.mean(axis=0)
        whole = np.rint(charge)
        close = np.abs(charge - whole) < tolerance * np.maximum(1, np.abs(charge))
        return close & (whole >= 1) & (whole <= conversion.levels(case.steps))
    left, fired = record["voltage"], record["spikes"]
    most = (
        np.abs(left).max(axis=0) + fired.sum(axis=0) + conversion.dt * np.abs(current).max(axis=0)
    )
    close = tolerance * np.maximum(1, most)
    return ((1 - left < close) | ((left < close) & (fired > 0) & (left >= 0))).any(axis=0)


def share_held(
    network: Network,
    conversion: Conversion,
    x: np.ndarray,
    masks: dict[str, np.ndarray],
    readout: np.ndarray,
    counts: list[np.ndarray],
    *,
    steps: int,
    settle: int = 0,
) -> float:
    """Hold one draw against the reference in float64; return the share of counts that is judged.

    All that is judged must be equal. Counts alone would not do: one rounding more or less may move
    a spike across `settle`, or, with binary places, change the number and not how many ones it has.
    """
    case = Case(0, False, network, conversion, x, "row", range(1), steps, settle, len(x))
    record: dict[str, dict[str, np.ndarray]] = {}
    wanted, found = simulate(
        in_float64(network), conversion, x.astype(float), masks,
        steps=steps, settle=settle, record=record,
    )  # fmt: skip
    near = [_near(case, record[layer.name], ROUNDING)[None] for layer in network.hidden]
    tally = Tally()
    expected = Expected(False, wanted[None], [count[None] for count in found], near)
    judge(case, "", expected, readout[None], [count[None] for count in counts], tally)
    assert tally.faults == [], tally.faults
    judged, excused = (sum(part.values()) for part in (tally.judged, tally.excused))
    return judged / (judged + excused)


def judge(
    case: Case,
    program: str,
    expected: Expected,
    readout: np.ndarray,
    counts: list[np.ndarray],
    tally: Tally,
    *,
    exact: bool = True,
) -> None:
    """Compare counts and readout with the reference's; see the top of this file."""
    exact = exact and expected.exact
    received = neurons_read(case.network.layers)
    shape = expected.readout.shape[:2]
    doubtful: dict[str, np.ndarray] = {}  # by layer: rows in which it, or one before it, is near
    judged, excused, wrong = 0, 0, None
    if not np.isfinite(readout).all():
        wrong = "NaN or infinity in the readout"
    rows = zip(case.network.hidden, counts, expected.counts, expected.near, strict=True)
    for layer, ours, theirs, near in rows:
        flat = near.reshape(*shape, -1)
        before = np.zeros(shape, bool)
        for name in received[layer.name]:
            before |= doubtful[name]
        doubtful[layer.name] = before | flat.any(axis=2)
        sure = np.ones_like(flat) if exact else ~(flat | before[..., None])
        if ours.shape != theirs.shape:
            wrong = wrong or f"layer {layer.name} has counts of shape {ours.shape}"
            continue
        differ = (ours != theirs).reshape(flat.shape) & sure
        judged, excused = judged + int(sure.sum()), excused + int((~sure).sum())
        if differ.any():
            where = tuple(int(i) for i in np.argwhere(differ)[0])
            a, b = (v.reshape(flat.shape)[where] for v in (ours, theirs))
            wrong = wrong or f"layer {layer.name}, {where}: {a} spikes for {b}"
    sure = np.ones(shape, bool)
    if not exact:
        for name in {n for out in case.network.outputs for n in received[out]}:
            sure &= ~doubtful[name]
    scale = max(1.0, float(np.abs(expected.readout).max()))
    off = np.abs(readout - expected.readout).max(axis=2) > (1e-6 if exact else READOUT) * scale
    if (off & sure).any():
        where = tuple(int(i) for i in np.argwhere(off & sure)[0])
        wrong = wrong or f"readout {where}: {readout[where]} for {expected.readout[where]}"
    kind = "exact" if exact else "any values"
    told = wrong and f"seed {case.seed} ({kind}), {program}: {wrong}"
    tally.add(program, judged, excused, told)


def memory_of(case: Case) -> float:
    """Gigabytes in which a chunk holds about the case's presentations."""
    network = case.network
    values = sum(network.units(layer.name) for layer in network.layers)
    matrices = sum(layer.weights.size for layer in network.layers if layer.family == "weights")
    needed = case.pairs * 32 * values + 8 * matrices * max(1, len(case.draws))
    return (needed + 1) / 1e9  # no rounding takes it below what the smallest chunk needs


def check_engine(case: Case, expected: Expected, tally: Tally, *, loop: bool, whole: bool) -> None:
    """Run the engine, and its loop in TensorFlow too with `loop`, `sample_snn` too with `whole`."""
    network, conversion = case.network, case.conversion
    loaded = engine.load(network, conversion)
    kinds = {"windows" if conversion.windowed else "events" if loaded.wired else "timed": loaded}
    if loaded.wired and loop:
        kinds["timed"] = dataclasses.replace(loaded, wired=None)
    timed = not conversion.windowed
    for name, one in kinds.items():
        readout = np.full(expected.readout.shape, np.nan, np.float32)
        counts = [np.full(c.shape, np.nan) for c in expected.counts]
        fired = np.zeros(len(case.x))
        for some, rows in engine.chunks(
            network, len(case.x), case.draws, memory_of(case), timed=timed
        ):
            which_rows = rows if case.scope == "row" else None
            masks = stacked_masks(network, seed_of(case), some, which_rows)
            here = slice(some.start - case.draws.start, some.stop - case.draws.start)
            found = engine.run_snn(
                one, case.x[rows.start : rows.stop], masks, len(some),
                steps=case.steps, settle=case.settle,
            )  # fmt: skip
            readout[here, rows.start : rows.stop] = found[0]
            fired[rows.start : rows.stop] += found[1]
            for kept, now in zip(counts, found[2], strict=True):
                kept[here, rows.start : rows.stop] = now
        judge(case, name, expected, readout, counts, tally)
        total = sum(c.sum(axis=(0, *range(2, c.ndim))) for c in counts)
        if not np.allclose(fired, total):
            tally.faults.append(f"seed {case.seed}, {name}: {fired} spikes in all, {total} by unit")
    if whole:
        samples = sample_snn(
            network, conversion, case.x, draws=len(case.draws), seed=seed_of(case),
            steps=case.steps, settle=case.settle, scope=case.scope, first_draw=case.draws.start,
            memory_gb=memory_of(case), progress=False,
        )  # fmt: skip
        first = next(iter(kinds))
        judge(case, f"sample_snn, {first}", expected, samples.values, expected.counts, tally)


def check_ann(case: Case, tally: Tally) -> None:
    """Run the classical network in the engine, against the plain forward pass in float64."""
    double = in_float64(case.network)
    expected = np.stack(
        [forward(double, case.x.astype(float), masks_of(case, draw))[0] for draw in case.draws]
    )
    ours = sample_ann(
        case.network, case.x, draws=len(case.draws), seed=seed_of(case), scope=case.scope,
        first_draw=case.draws.start, memory_gb=memory_of(case), progress=False,
    ).values  # fmt: skip
    scale = max(1.0, float(np.abs(expected).max()))
    good = ours.shape == expected.shape and np.allclose(ours, expected, rtol=0, atol=1e-4 * scale)
    tally.add("ann", ours.size, 0, None if good else f"seed {case.seed}, ann: other values")


def check_simulator(case: Case, backend: str, expected: Expected, tally: Tally) -> None:
    """Run Nengo or NengoDL on the first draw and rows; or see them refuse the network by name."""
    why = refusal(PROGRAMS[backend], case.network, case.conversion)
    if why:
        try:
            check_presentation(case.network, case.conversion, case.steps, case.settle, (), backend)
            tally.faults.append(f"seed {case.seed}, {backend}: not refused ({why})")
        except InputError:
            tally.cases[f"{backend} refuses"] = tally.cases.get(f"{backend} refuses", 0) + 1
        return
    rows = min(5, len(case.x))
    network, conversion = case.network, case.conversion
    part = dataclasses.replace(case, x=case.x[:rows], draws=case.draws[:1])
    few = Expected(
        expected.exact,
        expected.readout[:1, :rows],
        [c[:1, :rows] for c in expected.counts],
        [n[:1, :rows] for n in expected.near],
    )
    with open_simulator(
        network, conversion, rows=rows, steps=case.steps, settle=case.settle, backend=backend
    ) as run:
        readout, counts = run(part.x, masks_of(part, part.draws.start))
    exact = conversion.synapse_s is None  # their filter's decay is not one half to the last bit
    judge(part, backend, few, readout[None], [c[None] for c in counts], tally, exact=exact)


def check_chip(case: Case, tally: Tally) -> None:
    """Run the chip's fast loop against its reference, and its integers against the network."""
    network = case.network
    if refusal(PROGRAMS["chip"], network, case.conversion):
        try:
            quantise(network, case.conversion)
            tally.faults.append(f"seed {case.seed}, chip: not refused")
        except InputError:
            tally.cases["chip refuses"] = tally.cases.get("chip refuses", 0) + 1
        return
    setting = {"draws": len(case.draws), "seed": seed_of(case), "scope": case.scope}
    try:
        fine = quantise(network, case.conversion, **WIDE, steps=case.steps)
    except InputError:  # no exponent keeps the charge in the membrane
        tally.cases["chip refuses"] = tally.cases.get("chip refuses", 0) + 1
        return
    first = {**setting, "first_draw": case.draws.start}
    if case.draws.start == 0:
        ours = sample_integers(fine, case.x, **setting, progress=False).values
        ann = sample_ann(network, case.x, **first, progress=False).values
        scale = max(1.0, float(np.abs(ann).max()))
        if not np.abs(ours - ann).max() <= 1e-2 * scale:
            tally.faults.append(f"seed {case.seed}, integers: off by {np.abs(ours - ann).max()}")
    chip = fine
    if case.seed % 3 == 0:
        chip = hard_reset(fine)
    elif case.seed % 3 == 1:
        chip = dataclasses.replace(fine, reset="zero", floor=-50, delay=1, keep=900)
    timing = {"steps": case.steps, "settle": case.settle}
    try:
        ours = sample_chip(chip, case.x, **first, **timing, progress=False).values
    except InputError:  # an input beyond the bias, or a charge beyond the membrane
        tally.cases["chip refuses"] = tally.cases.get("chip refuses", 0) + 1
        return
    good = True
    for place, draw in enumerate(case.draws):
        masks = masks_of(case, draw)
        biases, gates = host_biases(chip, case.x, masks), gates_of(network, masks)
        charge, _ = simulate_chip(chip, biases, gates, **timing)
        values = {
            out.name: (
                charge[out.name] * (out.worth / (case.steps - case.settle)) + biases[out.name]
            )
            for out in chip.readouts
        }
        whole = {
            name: np.broadcast_to(y, (len(case.x), y.shape[1])).reshape(-1, *network.shapes[name])
            for name, y in values.items()
        }
        good = good and np.allclose(ours[place], network.join(whole), rtol=1e-6, atol=1e-6)
    tally.add("chip", ours.size, 0, None if good else f"seed {case.seed}, chip: other values")


def gates_of(network: Network, masks: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Masks of neurons as gates, axes (observation or 1, neuron)."""
    gates = {}
    for layer in network.hidden:
        if layer.name in masks:
            mask = masks[layer.name] != 0
            whole = np.broadcast_to(mask, (len(mask), *network.shapes[layer.name]))
            gates[layer.name] = whole.reshape(len(mask), -1)
    return gates


def check_all(
    case: Case,
    tally: Tally,
    *,
    simulators: Collection[str] = (),
    whole: bool = False,
) -> None:
    """Run a case on every program that accepts it; see the functions above."""
    expected = expect(case)
    check_engine(case, expected, tally, loop=True, whole=whole)
    check_chip(case, tally)
    check_ann(case, tally)
    for backend in sorted(simulators):
        check_simulator(case, backend, expected, tally)
