"""The chip's loop over time, compiled by Numba and spread over threads: integers throughout.

As in `spikedrop.engines.events` only the weights of spikes are added. Layers that no mask has
touched fire the same in every draw and are run once per input; the first layer behind a mask
receives in every draw the same charge less that of the dropped neurons, and only that is taken off.
In integers both ways of adding are the same to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numba import config

from spikedrop.chip.network import ChipLayer, ChipNetwork
from spikedrop.chip.reference import simulate
from spikedrop.engines.caches import njit
from spikedrop.engines.events import GROUP, WORD, Task, fits, lowest_bit, merged, run_tasks

Spikes = tuple[np.ndarray, np.ndarray]  # where each step's begin, which neurons


@dataclass(frozen=True, eq=False)
class Work:
    """One chunk of work: `biases` and `gates` have axes (draw or 1, observation or 1, neuron)."""

    chip: ChipNetwork
    biases: dict[str, np.ndarray]
    gates: dict[str, np.ndarray]
    steps: int
    settle: int

    def drawn(self) -> set[str]:
        """Layers that differ from draw to draw."""
        found: set[str] = set()
        for layer in self.chip.layers:
            behind = any(s in found or s in self.gates for s in layer.sources)
            if behind or len(self.biases[layer.name]) > 1:
                found.add(layer.name)
        return found


def count_spikes(work: Work, draws: int, rows: int) -> dict[str, np.ndarray]:
    """Run all neurons; return the spikes of those that are received, before `settle` and after it.

    Axes (draw, observation, 2, neuron).
    """
    if config.DISABLE_JIT:  # type: ignore[attr-defined]  # Python lacks `lowest_bit`
        return _by_reference(work, draws, rows)
    drawn = work.drawn()
    counts = {
        layer.name: np.empty((draws if layer.name in drawn else 1, rows, 2, layer.units), np.int32)
        for layer in work.chip.layers
    }
    ready = {layer.name: _ready(work.chip, layer) for layer in work.chip.layers}

    widest = max(layer.units for layer in work.chip.layers)
    run_tasks(partial(_run_task, work, drawn, ready, counts), draws, rows, work.steps * widest)
    for name, found in counts.items():
        if name in work.gates and name not in drawn:
            counts[name] = found * (work.gates[name][:, :, None] != 0)
    return {name: np.broadcast_to(n, (draws, *n.shape[1:])) for name, n in counts.items()}


def _by_reference(work: Work, draws: int, rows: int) -> dict[str, np.ndarray]:
    """Do the same in plain NumPy, draw by draw."""
    counts = {
        layer.name: np.empty((draws, rows, 2, layer.units), np.int32) for layer in work.chip.layers
    }

    def of(values: np.ndarray, draw: int) -> np.ndarray:
        one = values[draw if len(values) > 1 else 0]
        return np.broadcast_to(one, (rows, one.shape[1]))

    for draw in range(draws):
        biases = {name: of(bias, draw) for name, bias in work.biases.items()}
        gates = {name: of(gate, draw) for name, gate in work.gates.items()}
        _, spikes = simulate(work.chip, biases, gates, steps=work.steps, settle=work.settle)
        for name, fired in spikes.items():
            passed = fired & (gates[name] != 0) if name in gates else fired
            counts[name][draw, :, 0] = passed[: work.settle].sum(axis=0)
            counts[name][draw, :, 1] = passed[work.settle :].sum(axis=0)
    return counts


def _ready(chip: ChipNetwork, layer: ChipLayer) -> np.ndarray:
    """Shifted weights, filled up to a whole number of words of neurons, in 16 bits if they fit."""
    weights = layer.weights.astype(np.int64) << layer.exponent
    small = np.abs(weights).max(initial=0) < 2**15
    whole: np.ndarray = np.zeros(
        (len(weights), -(-layer.units // WORD) * WORD), np.int16 if small else _type(chip)
    )
    whole[:, : layer.units] = weights
    return whole


def _type(chip: ChipNetwork) -> type:
    return np.int32 if chip.membrane_bits <= 31 else np.int64


def _run_task(
    work: Work,
    drawn: set[str],
    ready: dict[str, np.ndarray],
    counts: dict[str, np.ndarray],
    task: Task,
) -> None:
    """Run one task; fill its place in `counts`."""
    chip, steps, draws, rows = work.chip, work.steps, task.draws, task.rows
    sent: dict[str, Spikes] = {}
    units = {layer.name: layer.units for layer in chip.layers}

    def gate(name: str, n_draws: int) -> np.ndarray:
        if name in work.gates:
            return task.each(work.gates[name] != 0, n_draws)
        return np.ones((len(rows) * n_draws, units[name]), bool)

    for layer in chip.layers:
        n_draws = len(draws) if layer.name in drawn else 1
        n = n_draws * len(rows)
        weights, sources = ready[layer.name], layer.sources
        fits(layer.name, weights=(len(weights), sum(units[s] for s in sources)))
        bias: np.ndarray = np.zeros((1, weights.shape[1]), _type(chip))
        bias = np.repeat(bias, len(rows) * (n_draws if len(work.biases[layer.name]) > 1 else 1), 0)
        bias[:, : layer.units] = task.each(work.biases[layer.name], len(bias) // len(rows))
        drive, sign = bias[:, None], 1
        received, per, gates = _nothing(n * steps), 1, np.ones((1, len(weights)), bool)
        widths = [units[s] for s in sources]
        if drawn.intersection(sources):  # what a gate stops is left out before
            parts = [
                sent[s] if s in drawn else repeated(*sent[s], steps, n_draws, gate(s, n_draws))
                for s in sources
            ]
            received = merged(parts, widths, _both)
        elif sources:
            received, per = merged([sent[s] for s in sources], widths, _both), n_draws
            if layer.name in drawn:
                gates = np.concatenate([gate(s, n_draws) for s in sources], axis=1)
            if n_draws > 1 and not chip.keep and len(bias) == len(rows):
                drive, sign = charge(*received, weights, bias, steps, chip.delay), -1
        alive = np.ones((1, layer.units), bool)
        if layer.name in drawn:
            alive = gate(layer.name, n_draws)
        fits(
            layer.name,
            spikes=(len(received[0]), n // per * steps + 1),
            gates=(gates.shape[1], len(weights)),
            drive=(drive.shape[2], weights.shape[1]),
            driven=(n % len(drive), 0),
            alive=(alive.shape[1], layer.units),
        )
        begin, sent_which, fired = fire(
            *received, per, gates, sign, weights, drive, n // len(drive),
            np.pad(alive, ((0, 0), (0, weights.shape[1] - layer.units))),
            layer.threshold, layer.start, *rule(chip), steps, work.settle, n,
        )  # fmt: skip
        sent[layer.name] = begin, sent_which
        task.place(fired, counts[layer.name])


def rule(chip: ChipNetwork) -> tuple[bool, bool, int, int, int]:
    """What `fire` takes: whether it empties, whether it has a floor, floor, delay, keep."""
    return chip.reset == "zero", chip.floor is not None, chip.floor or 0, chip.delay, chip.keep


def _nothing(steps: int) -> Spikes:
    """Return no spikes."""
    return np.zeros(steps + 1, np.int64), np.empty(0, np.int32)


@njit(nogil=True, error_model="numpy", cache=True)
def _add(chosen, count, sign, weights, v):
    """Add or take off the weights of some spikes; four at a time, to load and store v less."""
    whole = count - count % GROUP
    for e in range(0, whole, GROUP):
        w0, w1 = weights[np.uint64(chosen[e])], weights[np.uint64(chosen[e + 1])]
        w2, w3 = weights[np.uint64(chosen[e + 2])], weights[np.uint64(chosen[e + 3])]
        if sign > 0:
            for j in range(len(v)):
                v[j] += (w0[j] + w1[j]) + (w2[j] + w3[j])
        else:
            for j in range(len(v)):
                v[j] -= (w0[j] + w1[j]) + (w2[j] + w3[j])
    for e in range(whole, count):
        row = weights[np.uint64(chosen[e])]
        if sign > 0:
            for j in range(len(v)):
                v[j] += row[j]
        else:
            for j in range(len(v)):
                v[j] -= row[j]


@njit(nogil=True, error_model="numpy", cache=True)
def fire(
    begin, which, per, gates, sign, weights, drive, drive_per, alive, threshold, start,
    to_zero, floored, floor, delay, keep, steps, settle, n,
):  # fmt: skip
    """Integer neurons: see `spikedrop.chip.network.ChipNetwork`.

    Presentation g of `n` receives the spikes of number ``g // per`` through ``gates[g]`` and is
    driven by ``drive[g // drive_per, step or 0]``. With `sign` -1 the drive holds the charge of all
    spikes, and what the gates stop is taken off.
    """
    width = weights.shape[1]
    words = width // WORD
    one = np.uint64(1)
    v, u = np.empty(width, drive.dtype), np.zeros(width, drive.dtype)
    level, lowest = drive.dtype.type(threshold), drive.dtype.type(floor)
    living = np.empty(words, np.uint64)
    chosen = np.empty(weights.shape[0] + 1, np.int32)
    out_begin = np.zeros(n * steps + 1, np.int64)
    out_which = np.empty(n * steps * width, np.int32)
    counts = np.zeros((n, 2, width), np.int32)
    at = 0
    for g in range(n):
        gate, driven = gates[g % len(gates)], drive[g // drive_per]
        lives = alive[g % len(alive)]
        for k in range(words):
            word = np.uint64(0)
            for j in range(WORD):
                word |= np.uint64(lives[WORD * k + j]) << np.uint64(j)
            living[k] = word
        v[:] = start
        u[:] = 0
        for t in range(steps):
            now = driven[t % len(driven)]
            for j in range(width):
                v[j] += now[j]
            count = 0
            if t >= delay:
                k = (g // per) * steps + t - delay
                for e in range(begin[k], begin[k + 1]):
                    chosen[count] = which[e]
                    count += gate[which[e]] == (sign > 0)
            if keep:
                for j in range(width):
                    left = (np.int64(abs(u[j])) * keep) >> 12
                    u[j] = left if u[j] >= 0 else -left
                _add(chosen, count, sign, weights, u)
                for j in range(width):
                    v[j] += u[j]
            else:
                _add(chosen, count, sign, weights, v)
            if floored:
                for j in range(width):
                    v[j] = max(v[j], lowest)
            late = 1 if t >= settle else 0
            for k in range(words):
                word = np.uint64(0)
                for j in range(WORD):
                    word |= np.uint64(v[WORD * k + j] >= level) << np.uint64(j)
                while word:
                    bit = lowest_bit(word)
                    j = np.uint64(WORD * k) + bit
                    word &= word - one
                    v[j] = 0 if to_zero else v[j] - level
                    if (living[k] >> bit) & one:
                        counts[g, late, j] += 1
                        out_which[at] = j
                        at += 1
            out_begin[g * steps + t + 1] = at
    return out_begin, out_which[:at].copy(), counts


@njit(nogil=True, error_model="numpy", cache=True)
def charge(begin, which, weights, bias, steps, delay):
    """What all spikes and the bias bring at every step: axes (presentation, step, neuron)."""
    n = (len(begin) - 1) // steps
    out = np.empty((n, steps, weights.shape[1]), bias.dtype)
    for g in range(n):
        for t in range(steps):
            out[g, t] = bias[g]
            if t >= delay:
                k = g * steps + t - delay
                _add(which[begin[k] : begin[k + 1]], begin[k + 1] - begin[k], 1, weights, out[g, t])
    return out


@njit(nogil=True, error_model="numpy", cache=True)
def repeated(begin, which, steps, per, gates):
    """Spikes of presentation g // per that pass the gates of g, for every g."""
    n = (len(begin) - 1) // steps * per
    out_begin, out_which = np.zeros(n * steps + 1, np.int64), np.empty(begin[-1] * per, np.int32)
    at = 0
    for g in range(n):
        for t in range(steps):
            k = (g // per) * steps + t
            for e in range(begin[k], begin[k + 1]):
                if gates[g, which[e]]:
                    out_which[at] = which[e]
                    at += 1
            out_begin[g * steps + t + 1] = at
    return out_begin, out_which[:at].copy()


@njit(nogil=True, error_model="numpy", cache=True)
def _both(begin, which, more_begin, more_which, shift):
    """Spikes of two layers, the neurons of the second counted from `shift`."""
    out_begin = begin + more_begin
    out_which = np.empty(out_begin[-1], np.int32)
    at = 0
    for k in range(len(begin) - 1):
        for e in range(begin[k], begin[k + 1]):
            out_which[at] = which[e]
            at += 1
        for e in range(more_begin[k], more_begin[k + 1]):
            out_which[at] = more_which[e] + shift
            at += 1
    return out_begin, out_which
