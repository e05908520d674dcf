r"""The engine's loop over time on a CPU: spikes are rare, so only the weights of spikes are added.

The charge that reaches the neurons of a layer at one step is :math:`\sum_i n_i m_i W_i`, over the
neurons i below that fire (:math:`n_i` spikes, mask :math:`m_i`, row :math:`W_i` of the weights).
Where one neuron in ten fires at a step, that is a tenth of the matrix product.

Layers before the first mask fire the same in every draw: they are run once per input. The first
layer behind them receives, in every draw, nearly the same charge:

.. math:: \sum_i n_i m_i W_i = \sum_i n_i \bar m_i W_i + \sum_i n_i (m_i - \bar m_i) W_i

with :math:`\bar m_i` the mask of a unit that is kept. The first sum is shared by all draws; the
second has only the dropped units.

Compiled by Numba and spread over threads. Each presentation is worked on alone, so its bits do not
depend on which others there are. For one network and one chunk of work; see
`spikedrop.engines.compiled`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from llvmlite import ir
from numba import get_num_threads, types
from numba.extending import intrinsic

from spikedrop.conversion import Conversion
from spikedrop.engines.caches import njit
from spikedrop.engines.capabilities import PROGRAMS, refusal
from spikedrop.network.graph import Network
from spikedrop.network.topology import neurons_in_a_row
from spikedrop.neurons import Readout, step_weights

WORD = 64  # neurons whose thresholds are looked at together
GROUP = 4  # spikes whose weights are added together
TASK = 2**20  # (presentation, step, unit) that a thread works on at a time
Spikes = tuple[np.ndarray, np.ndarray, np.ndarray]  # where each step's begin, which unit, value


@dataclass(frozen=True, eq=False)
class Synapses:
    """What a layer of neurons receives.

    Attributes
    ----------
    sources : tuple of str
        Layers of neurons, in the order of the weights' rows.
    weights : numpy.ndarray
        Thresholds of charge by one unit of activation below: axes (unit below, unit), filled up
        with zeros to a multiple of `WORD` units.
    bias : numpy.ndarray
        Thresholds a step, axes (1, 1, unit).
    """

    sources: tuple[str, ...]
    weights: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False)
class Wired:
    """A network of neurons as this file runs it.

    Attributes
    ----------
    synapses : dict of Synapses
        By the name of every layer of neurons whose current changes in time.
    gains : dict of numpy.ndarray
        Of each layer of neurons, in order: spikes per step for one unit of activation, (unit,).
    usual : dict of float
        The commonest value in a layer's masks; 0 where there is none.
    initial : float
        Charge at the start, in thresholds.
    readout : str
        See `Conversion`.
    """

    synapses: dict[str, Synapses]
    gains: dict[str, np.ndarray]
    usual: dict[str, float]
    initial: float
    readout: Readout


def wire(
    network: Network, conversion: Conversion, changing: set[str], gains: dict[str, np.ndarray]
) -> Wired | None:
    """Prepare a network in which the current of the layers `changing` changes in time.

    `gains` holds spikes per step for one unit of activation, one number or one per unit. Returns
    None where this file cannot run the network; see `spikedrop.engines.capabilities`.
    """
    if refusal(PROGRAMS["events"], network, conversion):
        return None
    flat = {
        layer.name: np.broadcast_to(gains[layer.name], network.shapes[layer.name]).ravel()
        for layer in network.hidden
    }
    rows = neurons_in_a_row(network)
    synapses, usual = {}, {}
    for layer in network.layers:
        if layer.name in changing:
            below = rows[layer.sources[0]]
            gain = gains[layer.name]
            synapses[layer.name] = Synapses(
                below, padded(gain * layer.weights), padded(gain * layer.bias)[None, None]
            )
            fits(layer.name, weights=(len(layer.weights), sum(len(flat[s]) for s in below)))
        if layer.spiking:
            usual[layer.name] = 0.0 if layer.family == "gaussian" else 1 / (1 - layer.dropout)
            if layer.family == "weights" or not layer.dropout:
                usual[layer.name] = 1.0
    return Wired(synapses, flat, usual, conversion.initial_charge, conversion.readout)


def fits(name: str, **sizes: tuple[int, int]) -> None:
    """Refuse arrays of other sizes than the loops below read, each ``(is, must be)``.

    The loops do not look at bounds: this is what keeps a wrong wiring from reading other memory.
    """
    wrong = {what: pair for what, pair in sizes.items() if pair[0] != pair[1]}
    if wrong:
        raise RuntimeError(
            f"layer {name!r} is wired wrongly (is, must be): {wrong}. This is a fault of "
            "spikedrop: please report it, and use backend='numpy' until it is mended."
        )


def padded(values: np.ndarray) -> np.ndarray:
    """Fill the last axis up with zeros to a multiple of `WORD`, as contiguous float32."""
    units = values.shape[-1]
    whole = np.zeros((*values.shape[:-1], units + -units % WORD), np.float32)
    whole[..., :units] = values
    return whole


@dataclass(frozen=True, eq=False)
class Work:
    """One chunk of work.

    Attributes
    ----------
    wired : Wired
    currents : dict of numpy.ndarray
        Of the layers of neurons whose current does not change, in thresholds a step: axes (draw or
        1, observation, unit).
    masks : dict of numpy.ndarray
        Axes (draw, observation or 1, unit).
    drawn : set of str
        Layers that differ from draw to draw.
    steps, settle : int
        See `spikedrop.engines.reference.simulate`.
    """

    wired: Wired
    currents: dict[str, np.ndarray]
    masks: dict[str, np.ndarray]
    drawn: set[str]
    steps: int
    settle: int


def count_spikes(work: Work, draws: int, rows: int) -> dict[str, np.ndarray]:
    """Run all neurons; return their spikes, and those sums weighted by step, layer by layer.

    The weights are those of `step_weights`. Axes (draw or 1, observation, 2, unit). A dropped
    neuron is silent where its layer differs from draw to draw; where it does not, the mask has yet
    to be applied.
    """
    gains = work.wired.gains
    counts = {
        name: np.empty((draws if name in work.drawn else 1, rows, 2, len(gain)), np.float32)
        for name, gain in gains.items()
    }

    widest = max(len(gain) for gain in gains.values())
    run_tasks(partial(_run_task, work, counts), draws, rows, work.steps * widest)
    return counts


@dataclass(frozen=True)
class Task:
    """Some draws of some rows, whose presentations a thread runs in the order (row, draw)."""

    draws: range
    rows: range

    def each(self, values: np.ndarray, n_draws: int) -> np.ndarray:
        """Values with axes (draw or 1, observation or 1, unit) for every presentation."""
        if len(values) > 1:
            values = values[self.draws.start : self.draws.stop]
        if values.shape[1] > 1:
            values = values[:, self.rows.start : self.rows.stop]
        whole = np.broadcast_to(values, (n_draws, len(self.rows), values.shape[2]))
        return np.ascontiguousarray(whole.swapaxes(0, 1)).reshape(-1, values.shape[2])

    def place(self, fired: np.ndarray, counts: np.ndarray) -> None:
        """Put counts of all presentations, axes (presentation, 2, unit), where they belong."""
        rows = slice(self.rows.start, self.rows.stop)
        draws = slice(self.draws.start, self.draws.stop) if len(counts) > 1 else slice(0, 1)
        n_draws = len(fired) // len(self.rows)
        fired = fired.reshape(len(self.rows), n_draws, 2, -1)[..., : counts.shape[-1]]
        counts[draws, rows] = fired.swapaxes(0, 1)


def run_tasks(run: Callable[[Task], None], draws: int, rows: int, values: int) -> None:
    """Spread presentations, each of so many `values` (step, unit), over Numba's threads."""
    threads = get_num_threads()
    most = max(1, min(TASK // values, -(-draws * rows // (8 * threads))))
    some_draws, some_rows = min(draws, most), max(1, most // draws)
    tasks = [
        Task(range(d, min(draws, d + some_draws)), range(r, min(rows, r + some_rows)))
        for r in range(0, rows, some_rows)
        for d in range(0, draws, some_draws)
    ]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, tasks))


def _run_task(work: Work, counts: dict[str, np.ndarray], task: Task) -> None:
    """Run one task; fill its place in `counts`."""
    gains, draws, rows = work.wired.gains, task.draws, task.rows
    sent: dict[str, Spikes] = {}
    received = {source for synapse in work.wired.synapses.values() for source in synapse.sources}

    def mask(name: str) -> np.ndarray:
        if name in work.masks:
            return task.each(work.masks[name], len(draws))
        return np.ones((len(rows) * len(draws), len(gains[name])), np.float32)

    def once(sources: Sequence[str]) -> Spikes:
        return merged([sent[s] for s in sources], [len(gains[s]) for s in sources])

    for name, gain in gains.items():
        drawn = name in work.drawn
        n_draws = len(draws) if drawn else 1
        n = n_draws * len(rows)
        worth = (1 / gain)[None] if not drawn else mask(name) / gain
        if name in work.currents:
            drive, per = padded(task.each(work.currents[name], n_draws))[:, None], 1
            incoming = nothing(n * work.steps)
            weights = np.zeros((0, drive.shape[-1]), np.float32)
        else:
            synapse = work.wired.synapses[name]
            weights, drive, per = synapse.weights, synapse.bias, n
            if not drawn:
                incoming = once(synapse.sources)
            elif not work.drawn.intersection(synapse.sources):
                below = once(synapse.sources)
                usual = np.concatenate(
                    [np.full(len(gains[s]), work.wired.usual[s]) for s in synapse.sources]
                ).astype(np.float32)
                expected = repeated(*below, work.steps, 1, usual[None])
                drive, per = charge(*expected, weights, synapse.bias[0, 0], work.steps), n_draws
                masks = np.concatenate([mask(s) for s in synapse.sources], axis=1)
                incoming = repeated(*below, work.steps, n_draws, masks - usual)
            else:
                parts = [
                    sent[s] if s in work.drawn else repeated(*sent[s], work.steps, n_draws, mask(s))
                    for s in synapse.sources
                ]
                incoming = merged(parts, [len(gains[s]) for s in synapse.sources])
        sources = () if name in work.currents else work.wired.synapses[name].sources
        worth = padded(worth)
        fits(
            name,
            spikes=(len(incoming[0]), n * work.steps + 1),
            weights=(len(weights), sum(len(gains[s]) for s in sources)),
            width=(weights.shape[1], len(gain) + -len(gain) % WORD),
            drive=(drive.shape[2], weights.shape[1]),
            driven=(len(drive) * per, n),
            worth=(worth.shape[1], weights.shape[1]),
        )
        *sent[name], fired = fire(
            *incoming,
            weights,
            drive,
            per,
            worth,
            np.float32(work.wired.initial),
            step_weights(work.wired.readout, work.steps, work.settle).astype(np.float32),
            n,
            name in received,
        )
        task.place(fired, counts[name])


def nothing(steps: int) -> Spikes:
    """Return no spikes."""
    return np.zeros(steps + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32)


def merged(
    parts: Sequence[tuple], units: Sequence[int], both: Callable[..., tuple] | None = None
) -> tuple:
    """Put the spikes of several layers side by side; `both` joins two."""
    whole = parts[0]
    for i, part in enumerate(parts[1:], start=1):
        whole = (both or _both)(*whole, *part, sum(units[:i]))
    return whole


@intrinsic
def lowest_bit(_context: object, _word: types.Type) -> tuple:
    """Position of the lowest bit that is set in a word other than 0."""

    def generate(
        _context: object, builder: ir.IRBuilder, _signature: object, words: list
    ) -> object:
        return builder.cttz(words[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@njit(nogil=True, error_model="numpy", cache=True)
def _add(begin, end, which, value, weights, v):
    """Add the weights of some spikes to the charge; four at a time, to load and store v less."""
    for e in range(begin, end, GROUP):
        w0, w1 = weights[np.uint64(which[e])], weights[np.uint64(which[e + 1])]
        w2, w3 = weights[np.uint64(which[e + 2])], weights[np.uint64(which[e + 3])]
        a0, a1, a2, a3 = value[e], value[e + 1], value[e + 2], value[e + 3]
        for j in range(len(v)):
            v[j] += (a0 * w0[j] + a1 * w1[j]) + (a2 * w2[j] + a3 * w3[j])


@njit(nogil=True, error_model="numpy", cache=True)
def _filled(at, which, value):
    """Fill a step's spikes up to a multiple of `GROUP`, with spikes that are worth nothing."""
    while at % GROUP:
        which[at], value[at] = 0, 0.0
        at += 1
    return at


@njit(nogil=True, error_model="numpy", cache=True)
def fire(begin, which, value, weights, drive, per, worth, initial, weighting, n, send):
    """Charge-keeping neurons: v += drive + spikes W, then n = max(0, floor(v)), v -= n.

    `n` presentations; that of number g has the drive ``drive[g // per, step or 0]``. A neuron whose
    worth is 0 is silent; the others send what a spike is worth. Spikes are summed with weights 1
    and `weighting`, axis (step,).
    """
    steps = len(weighting)
    width = weights.shape[1]
    words = width // WORD
    one = np.uint64(1)
    v = np.empty(width, np.float32)
    alive = np.empty(words, np.uint64)
    out_begin = np.zeros(n * steps + 1, np.int64)
    room = n * steps * width if send else 0  # WORD is a multiple of GROUP
    out_which, out_value = np.empty(room, np.int32), np.empty(room, np.float32)
    counts = np.zeros((n, 2, width), np.float32)
    at = 0
    for g in range(n):
        gain, driven = worth[g % len(worth)], drive[g // per]
        for k in range(words):
            word = np.uint64(0)
            for j in range(WORD):
                word |= np.uint64(gain[WORD * k + j] != 0) << np.uint64(j)
            alive[k] = word
        v[:] = initial
        for t in range(steps):
            now = driven[t % len(driven)]
            for j in range(width):
                v[j] += now[j]
            _add(begin[g * steps + t], begin[g * steps + t + 1], which, value, weights, v)
            for k in range(words):
                word = np.uint64(0)
                for j in range(WORD):
                    word |= np.uint64(v[WORD * k + j] >= 1) << np.uint64(j)
                word &= alive[k]
                while word:
                    j = np.uint64(WORD * k) + lowest_bit(word)
                    word &= word - one
                    fired = np.floor(v[j])
                    v[j] -= fired
                    counts[g, 0, j] += fired
                    counts[g, 1, j] += weighting[t] * fired
                    if send:
                        out_which[at] = j
                        out_value[at] = fired * gain[j]
                        at += 1
            at = _filled(at, out_which, out_value)
            out_begin[g * steps + t + 1] = at
    return out_begin, out_which, out_value, counts


@njit(nogil=True, error_model="numpy", cache=True)
def repeated(begin, which, value, steps, per, factors):
    """Spikes of presentation g // per times ``factors[g]``, for every g; those times 0 left out."""
    n = (len(begin) - 1) // steps * per
    room = begin[-1] * per + 1
    out_begin = np.zeros(n * steps + 1, np.int64)
    out_which, out_value = np.empty(room, np.int32), np.empty(room, np.float32)
    at = 0
    for g in range(n):
        factor = factors[g % len(factors)]
        for t in range(steps):
            k = (g // per) * steps + t
            for e in range(begin[k], begin[k + 1]):
                out_which[at] = which[e]
                out_value[at] = value[e] * factor[which[e]]
                if out_value[at] != 0:
                    at += 1
            at = _filled(at, out_which, out_value)
            out_begin[g * steps + t + 1] = at
    return out_begin, out_which, out_value


@njit(nogil=True, error_model="numpy", cache=True)
def charge(begin, which, value, weights, bias, steps):
    """Charge that spikes and bias bring at every step: axes (presentation, step, unit)."""
    n = (len(begin) - 1) // steps
    out = np.empty((n, steps, weights.shape[1]), np.float32)
    for g in range(n):
        for t in range(steps):
            out[g, t] = bias
            k = g * steps + t
            _add(begin[k], begin[k + 1], which, value, weights, out[g, t])
    return out


@njit(nogil=True, error_model="numpy", cache=True)
def _both(begin, which, value, more_begin, more_which, more_value, shift):
    """Spikes of two layers, the units of the second counted from `shift`."""
    out_begin = begin + more_begin
    out_which, out_value = np.empty(out_begin[-1], np.int32), np.empty(out_begin[-1], np.float32)
    at = 0
    for k in range(len(begin) - 1):
        for e in range(begin[k], begin[k + 1]):
            out_which[at], out_value[at] = which[e], value[e]
            at += 1
        for e in range(more_begin[k], more_begin[k + 1]):
            out_which[at], out_value[at] = more_which[e] + shift, more_value[e]
            at += 1
    return out_begin, out_which, out_value
