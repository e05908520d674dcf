r"""The compiled engine: many draws of many inputs at once, in TensorFlow (XLA), CPU or GPU.

The dynamics are those of `spikedrop.engines.reference`, rearranged so that little more than the
matrix products is left.

1. A charge-keeping neuron's count needs no voltage. With :math:`C_t` the charge that has arrived
   by step t, initial charge included, the spikes fired by then are

   .. math:: N_t = \max(N_{t-1}, \lfloor C_t \rfloor), \qquad N_0 = 0.

   Charge is linear in the spikes below, so :math:`C_t` is one product of *cumulative counts*
   with the weights, and the neuron is a floor and a maximum, fused into the product's output.
2. What lies before the first mask is computed once per input, not once per draw; a layer whose
   current is constant has its counts in closed form.
3. The readout is linear: it is applied once, to the counts.
4. A layer that integrates first needs one product per presentation, whatever the number of steps.
5. Spikes are rare. On a CPU, and where neurons receive from neurons through dense weights, the
   products of 1 are replaced by sums over the neurons that fire (`spikedrop.engines.events`).

The programs are in `spikedrop.engines.xla`, written for any graph of layers; this file cuts the
work into chunks, compiles a program when it is first needed, and hands arrays over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from spikedrop.engines.capabilities import EVERY, PROGRAMS, refusal
from spikedrop.errors import InputError
from spikedrop.network.graph import Network
from spikedrop.network.keras_import import import_tensorflow
from spikedrop.network.kinds import kind_of
from spikedrop.network.layers import Layer
from spikedrop.network.topology import driven_by_neurons
from spikedrop.neurons import step_weights

if TYPE_CHECKING:
    from spikedrop.conversion import Conversion
    from spikedrop.engines.events import Wired

# A chunk's (draw, observation, unit) in the widest layer. In a loop over time its state is read
# and written every step, and should be near the cache; without one, fewer chunks cost less.
CHUNK_UNITS = {"loop": 2**20, "once": 2**24}
CHUNK_PAIRS = {"loop": (2048, 8192), "once": (2048, 32768)}  # at least and at most
MATRIX = 2**28  # values of the map of a layer that has no code of its own
SMALLEST = 128  # below it, matrix products take other code paths, whose last bits differ


def chunks(
    network: Network, n_observations: int, draws: range, memory_gb: float, *, timed: bool
) -> Iterator[tuple[range, range]]:
    """Cut a job into (draws, observations) chunks that fit in the cache and in `memory_gb`.

    `timed` says that neurons fire while they integrate; then layers whose current is not constant
    are looped over in time.

    Raises
    ------
    InputError
        If not even the smallest chunk fits.
    """
    # Each layer holds its counts, its charge, what it hands on, and two temporaries; masks count
    # as much again where every row has its own.
    values = sum(network.units(layer.name) for layer in network.layers)
    per_pair = 4 * 8 * values
    per_draw = (
        4
        * 2
        * sum(
            layer.weights.size
            for layer in network.layers
            if layer.dropout and layer.family == "weights"
        )
    )
    smallest = SMALLEST * per_pair + per_draw
    if not memory_gb * 1e9 >= smallest:
        raise InputError(
            f"memory_gb={memory_gb:g} is too small: the smallest chunk of this network, "
            f"{SMALLEST} presentations, takes {smallest / 1e9:.2g} GB."
        )
    widest = max(network.units(layer.name) for layer in network.layers)
    kind = "loop" if timed and driven_by_neurons(network.layers) else "once"
    wanted = int(np.clip(CHUNK_UNITS[kind] // widest, *CHUNK_PAIRS[kind]))
    pairs = min(int(memory_gb * 1e9 // per_pair), wanted)
    for rows in _even(range(n_observations), SMALLEST):
        most = int(memory_gb * 1e9 // (len(rows) * per_pair + per_draw))
        for some in _even(draws, max(1, min(pairs // len(rows), most))):
            yield some, rows


def _even(whole: range, most: int) -> Iterator[range]:
    """Cut a range into the fewest pieces of at most `most`, as even as they can be.

    >>> list(_even(range(10), 4))
    [range(0, 4), range(4, 8), range(8, 10)]
    """
    size = -(-len(whole) // -(-len(whole) // most))
    for start in range(whole.start, whole.stop, size):
        yield range(start, min(start + size, whole.stop))


@dataclass(frozen=True, eq=False)
class Loaded:
    """A network whose arrays are on the device, ready to run chunk after chunk.

    Attributes
    ----------
    network : Network
    conversion : Conversion or None
        None where only the classical network runs.
    bare : tuple of Layer
        Its layers without their arrays and rates.
    tensors : tuple
        Weights and bias by name of the layer; gains, spikes per step for one unit of activation, by
        name of the layer; the initial charge.
    signature : tuple
        Shapes and types of `tensors`.
    wired : Wired or None
        What `spikedrop.engines.events` needs, where it can run the network.
    """

    network: Network
    conversion: Conversion | None
    bare: tuple[Layer, ...]
    tensors: tuple[dict, dict, Any]
    signature: tuple
    wired: Wired | None


def load(network: Network, conversion: Conversion | None = None) -> Loaded:
    """Hand a network's arrays, and its conversion's, to TensorFlow once for all chunks of a job."""
    arrays = {layer.name: _arrays(network, layer) for layer in network.layers}
    arrays = {name: pair for name, pair in arrays.items() if pair is not None}
    gains, start = {}, np.float32(0.0)
    if conversion is not None:
        program = PROGRAMS["windows" if conversion.windowed else "timed"]
        if conversion.neuron not in (program.kinds or ()):
            raise InputError(refusal(program, network, conversion))
        start = np.float32(conversion.initial_charge)
        for layer, scale in zip(network.hidden, conversion.scales_hz, strict=True):
            gains[layer.name] = np.asarray(scale * conversion.dt, "float32")
    none: Any = None
    bare = [replace(layer, weights=none, bias=none, dropout=0.0) for layer in network.layers]
    parts = (arrays, gains, start)
    return Loaded(
        network,
        conversion,
        tuple(bare),
        _tensors(parts),
        _signature(parts),
        None if conversion is None else _wired(network, conversion, gains),
    )


def _arrays(network: Network, layer: Layer) -> tuple[np.ndarray, np.ndarray] | None:
    """Weights and bias of a layer, if any; of a kind without code in `xla`, its matrix and bias."""
    if layer.op in EVERY:
        pair = None if layer.weights is None else (layer.weights, layer.bias)
    else:
        below = sum(map(network.units, layer.sources))
        if below * network.units(layer.name) > MATRIX:
            raise InputError(
                f"layer {layer.name!r} ({layer.op}) would be a matrix of {below} x "
                f"{network.units(layer.name)} values, too large for backend='engine': use "
                "backend='numpy'."
            )
        shapes = [network.shapes[source] for source in layer.sources]
        matrices, bias = kind_of(layer).matrices(layer, shapes)
        pair = (np.concatenate(matrices), bias)
    return None if pair is None else (pair[0].astype("float32"), pair[1].astype("float32"))


def _wired(network: Network, conversion: Conversion, gains: dict[str, np.ndarray]) -> Wired | None:
    """Prepare the network for the event-driven loop; None where TensorFlow does the loop."""
    changing = driven_by_neurons(network.layers)
    if not changing or refusal(PROGRAMS["events"], network, conversion):
        return None
    if import_tensorflow().config.list_physical_devices("GPU"):
        return None
    import numba  # needed from here on, not before

    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]  # Python lacks `lowest_bit`
        return None
    from spikedrop.engines import events

    return events.wire(network, conversion, changing, gains)


def run_ann(loaded: Loaded, x: np.ndarray, masks: dict[str, np.ndarray], draws: int) -> np.ndarray:
    """Permanent-dropout outputs, axes (draw, observation, output).

    Parameters
    ----------
    loaded : Loaded
        From `load`.
    x : numpy.ndarray
        Axes (observation, feature).
    masks : dict
        As `stacked_masks` returns them, axes ``(draw, observation or 1, *shape)``.
    draws : int
        Length of the masks' first axis.
    """
    outputs = _run("ann", loaded, _work(loaded, x, masks, draws))
    return _joined(loaded.network, outputs, draws, len(x))


def run_snn(
    loaded: Loaded,
    x: np.ndarray,
    masks: dict[str, np.ndarray],
    draws: int,
    *,
    steps: int,
    settle: int,
    keep_counts: bool = True,
    shares: dict[str, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Present inputs to the spiking network; see `run_ann` for the other arguments.

    `shares`, if given, receives by layer the share of (draw, neuron) that is driven beyond full
    scale, axis (observation,), for neurons that integrate first. A presentation in which a neuron
    fires without end has NaN as readout.

    Returns
    -------
    readout : numpy.ndarray
        Axes (draw, observation, output).
    spikes : numpy.ndarray
        Of all hidden neurons and draws together, axis (observation,).
    counts : list of numpy.ndarray
        Spikes of every hidden neuron, axes ``(draw, observation, *shape)``; empty without
        `keep_counts`, which spares the memory they take.
    """
    np32, network, conversion = np.float32, loaded.network, loaded.conversion
    work = _work(loaded, x, masks, draws)
    if loaded.wired is not None:
        readout, spikes, every = _run_events(
            loaded, work, len(x), draws, steps, settle, keep_counts
        )
        return _infinite_marked(readout, spikes), spikes, every
    assert conversion is not None  # a loaded spiking network has one
    if conversion.windowed:
        radix = conversion.dynamics.shifts
        levels = np32(conversion.levels(steps))
        outcome = _run("windows", loaded, work, levels, radix=radix, keep=keep_counts)
    else:
        tau = conversion.synapse_s
        outcome = _run(
            "timed",
            loaded,
            work,
            np.array([settle, steps], np.int32),
            None if tau is None else np32(np.exp(-conversion.dt / tau)),
            None
            if conversion.readout == "mean"
            else step_weights(conversion.readout, steps, settle).astype(np.float32),
            charge_keeping=conversion.neuron == "charge_keeping",
            keep=keep_counts,
        )
    outputs, spikes, counts, *lost = outcome
    if shares is not None and lost:
        shares |= {name: share.numpy()[: len(x)] for name, share in lost[0].items()}
    spikes = spikes.numpy()[: len(x)]
    readout = _infinite_marked(_joined(network, outputs, draws, len(x)), spikes)
    every = [_whole(counts[layer.name], draws, len(x)) for layer in network.hidden if counts]
    alike = 1 if masks else draws  # without masks a program runs one draw for all
    return readout, alike * spikes, every


def _infinite_marked(readout: np.ndarray, spikes: np.ndarray) -> np.ndarray:
    """Return NaN where spikes are not finite: charge beyond float32 fires once, then never."""
    if np.isfinite(spikes).all():
        return readout
    return np.where(np.isfinite(spikes)[:, None], readout, np.float32(np.nan))


def _run_events(
    loaded: Loaded, work: tuple, rows: int, draws: int, steps: int, settle: int, keep: bool
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Run the neurons spike by spike, between TensorFlow's programs before and behind them."""
    from spikedrop.engines import events

    network, (plan, x, stacked) = loaded.network, work
    assert loaded.wired is not None  # the caller has looked
    masks = {}
    for layer in network.hidden:
        if layer.name in stacked and layer.family != "weights":
            mask = stacked[layer.name][:, :rows]
            masks[layer.name] = np.broadcast_to(
                mask, (*mask.shape[:2], *network.shapes[layer.name])
            ).reshape(*mask.shape[:2], -1)
    currents = {
        name: now.numpy()[:, :rows].reshape(now.shape[0], rows, -1)
        for name, now in _run("currents", loaded, work).items()
    }
    counts = events.count_spikes(
        events.Work(loaded.wired, currents, masks, plan.drawn(), steps, settle), draws, rows
    )
    late, spikes, every = {}, np.zeros(rows), []
    for layer in network.hidden:
        name, drawn, n = layer.name, layer.name in plan.drawn(), counts[layer.name]
        alive = masks[name] != 0 if name in masks else np.ones((draws, 1, 1), bool)
        if drawn:
            spikes += n[:, :, 0].sum(axis=(0, 2), dtype=np.float64)
        else:  # the same in all draws, but for the mask
            lives = np.broadcast_to(alive.sum(axis=0), n.shape[1::2])
            spikes += np.einsum("ij,ij->i", n[0, :, 0], lives, dtype=np.float64)
        if keep:
            fired = n[:, :, 0] * alive
            every.append(fired.reshape(draws, rows, *network.shapes[name]))
        if name in plan.read:
            whole = n[:, :, 1].reshape(*n.shape[:2], *network.shapes[name])
            missing = (plan.rows if drawn else len(x)) - rows
            late[name] = np.pad(whole, [(0, 0), (0, missing)] + [(0, 0)] * (whole.ndim - 2))
    outputs = _run("readout", loaded, work, late, np.float32(steps - settle))
    return _joined(network, outputs, draws, rows), spikes, every


def run_slopes(
    loaded: Loaded, x: np.ndarray, masks: dict[str, np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Activations of the hidden layers in one draw, and the derivatives of the outputs by them.

    Axes ``(observation, *shape)`` and ``(observation, *shape, output)``. Outputs are taken before
    softmax and sigmoid.
    """
    stacked = {name: mask[None] for name, mask in masks.items()}
    found = _run("slopes", loaded, _work(loaded, x, stacked, 1))
    hidden = loaded.network.hidden
    first, second = ([_whole(part[layer.name], 1, len(x))[0] for layer in hidden] for part in found)
    return first, second


def _joined(network: Network, outputs: dict, draws: int, rows: int) -> np.ndarray:
    return network.join({name: _whole(y, draws, rows) for name, y in outputs.items()})


def _whole(tensor: Any, draws: int, rows: int) -> np.ndarray:
    """Take the padding off, and repeat for every draw what no mask has touched."""
    values = tensor.numpy()[:, :rows]
    return np.broadcast_to(values, (draws, *values.shape[1:]))


def _work(loaded: Loaded, x: np.ndarray, masks: dict[str, np.ndarray], draws: int) -> tuple:
    """Return what every program takes besides the network: plan, inputs, masks.

    The last row is repeated until every product has `SMALLEST` rows: products before the first
    mask have one a row, those after it one a (draw, row), and those with dropped weights one a
    row again.
    """
    network = loaded.network
    single = any(
        mask.ndim == 4 and network[name].family == "weights" for name, mask in masks.items()
    )
    rows = max(len(x), SMALLEST if single or not masks else -(-SMALLEST // draws))
    x = np.pad(x, ((0, max(rows, SMALLEST) - len(x)), (0, 0)), mode="edge")
    masks = {
        name: mask
        if mask.shape[1] == 1
        else np.pad(mask, [(0, 0), (0, rows - mask.shape[1])] + [(0, 0)] * (mask.ndim - 2), "edge")
        for name, mask in masks.items()
    }
    plan = _plan(
        loaded.bare,
        tuple(network.shapes.values()),
        network.outputs,
        frozenset(masks),
        rows,
    )
    return plan, x, masks


def _plan(*parts: Any) -> Any:
    from spikedrop.engines.xla import Schedule  # imports TensorFlow

    return Schedule(*parts)


@lru_cache(maxsize=64)
def _compiled(kind: str, plan: Any, signature: tuple, **fixed: bool) -> Callable:
    """Compile one program for one plan and one combination of shapes, when it is first asked for.

    `signature` mirrors the arguments: a shape and type for each array. One function for all
    shapes would do the same, and warn that it is traced too often.
    """
    from spikedrop.engines import xla as compiled

    tf = import_tensorflow()

    def specification(part: Any) -> Any:
        if isinstance(part, tuple):
            return tuple(specification(one) for one in part)
        if isinstance(part, frozenset):
            return {name: specification(one) for name, one in part}
        return None if part is None else tf.TensorSpec(part.shape, part.dtype)

    def program(*arguments: Any) -> Any:
        return getattr(compiled, kind)(plan, *arguments, **fixed)

    run = tf.function(program, jit_compile=True, autograph=False)
    return run.get_concrete_function(*specification(signature))


@dataclass(frozen=True)
class _Array:
    """Shape and type of an array, as a key."""

    shape: tuple[int, ...]
    dtype: str


def _signature(part: Any) -> Any:
    if isinstance(part, tuple):
        return tuple(_signature(one) for one in part)
    if isinstance(part, dict):
        return frozenset((name, _signature(one)) for name, one in part.items())
    return None if part is None else _Array(part.shape, part.dtype.name)


def _tensors(part: Any) -> Any:
    if isinstance(part, tuple):
        return tuple(_tensors(one) for one in part)
    if isinstance(part, dict):
        return {name: _tensors(one) for name, one in part.items()}
    return None if part is None else import_tensorflow().convert_to_tensor(part)


def _run(kind: str, loaded: Loaded, work: tuple, *more: Any, **fixed: bool) -> Any:
    plan, changing = work[0], (*work[1:], *more)
    program = _compiled(kind, plan, (*loaded.signature, *_signature(changing)), **fixed)
    return program(*loaded.tensors, *_tensors(changing))
