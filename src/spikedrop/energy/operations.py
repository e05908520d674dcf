r"""How many operations a predictive distribution takes, counted in the simulation itself.

A presentation shows one input to the network with one set of masks. With :math:`n_i` the spikes of
hidden neuron i in it, dropped neurons silent, and :math:`F_i` the weights that a spike of i meets
on its way to the neurons and readouts that hear it,

.. math::

    \text{spikes} = \sum_i n_i, \qquad
    \text{synaptic operations} = \sum_i n_i F_i, \qquad
    \text{neuron updates} = \sum_i T_i

with :math:`T_i` the time steps in which neuron i is at work. The conventions:

- A spike is one event, also that of a neuron that integrates first or sends binary digits. A
  neuron that fires twice in a step sends two.
- Dense weights: a spike meets one for every unit above. Convolution: one for every window
  that covers its place and every channel above; windows that reach over the edge meet fewer spikes,
  not more. What only hands values on (pooling, flatten, add, concatenate, scale) has no weights of
  its own: a chip's compiler folds it into the weights behind it. Where it leads into neurons or is
  the readout, it is one operation for each arrival.
- Dropout silences the source. What is sent to a dropped *target* still arrives, and is counted: a
  chip must be told to look away. Dropped single weights are not there and are not counted; weights
  that happen to be zero are.
- Neuron updates: every neuron, dropped ones too, at every step. One that integrates first is at
  work in the window in which it listens and in those in which it fires, and idle in all others;
  where branches of different depth meet, the shallower fires again (`spikedrop.spiking.windows`),
  and its spikes are counted again.
- The readout adds up what arrives, which is synaptic; it has no neurons to update.
- The input is a constant current, not spikes: one multiply-accumulate for every first weight, once
  a presentation. A linear layer in the middle that has weights and no neurons passes its sums on at
  every step: one for every weight behind it, every step.
- Mask bits: one for every unit, channel or weight that may be dropped, whether it is drawn or read
  from a store; for Gaussian dropout a number, not a bit. With scope ``draw`` all observations of a
  draw share them, so a prediction bears its part.

What lies before the first mask does the same in every draw of one input, and can be shared between
draws: `Operations.once`. That needs a chip that keeps or repeats what the shared layers sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass, fields, replace
from functools import reduce

import numpy as np
import pandas as pd

from spikedrop.engine import chunks, load, run_snn
from spikedrop.layers import Layer, linear, masked, with_masked_weights
from spikedrop.masks import Scope, blocks, mask_shape, network_masks, stacked_masks
from spikedrop.network import Network
from spikedrop.samples import check_inputs, rows_of_masks
from spikedrop.spiking.conversion import Conversion
from spikedrop.spiking.sampler import check_settings
from spikedrop.spiking.windows import firing_windows

Masks = dict[str, np.ndarray]
Work = dict[str, "Counts"]  # by the name of the layer


@dataclass(frozen=True)
class Counts:
    """Operations, as means over presentations; see the head of this file for what is counted.

    Attributes
    ----------
    spikes : float
        Events of hidden neurons.
    synaptic : float
        Weights that spikes meet.
    updates : float
        Neuron updates.
    mask_bits : float
        Bits of dropout masks.
    macs : float
        Multiply-accumulates; those of a spiking network are what its constant input takes.
    macs_nonzero : float
        Those among them whose input is not zero: what hardware that skips zeros does.

    Examples
    --------
    >>> Counts(spikes=2.0) + 3 * Counts(spikes=1.0, macs=5.0)
    Counts(spikes=5.0, synaptic=0.0, updates=0.0, mask_bits=0.0, macs=15.0, macs_nonzero=0.0)
    """

    spikes: float = 0.0
    synaptic: float = 0.0
    updates: float = 0.0
    mask_bits: float = 0.0
    macs: float = 0.0
    macs_nonzero: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        """Add kind by kind."""
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __rmul__(self, times: float) -> Counts:
        """Multiply every kind."""
        return Counts(*(times * a for a in astuple(self)))


KINDS = tuple(field.name for field in fields(Counts))


@dataclass(frozen=True, eq=False)
class Operations:
    """Operations of one prediction, which is many draws of one input.

    Attributes
    ----------
    once : Counts
        Work that all draws of a prediction share: the layers before the first mask, whose neurons
        fire as if none were dropped.
    draw : Counts
        Work done again in every draw.
    layers : pandas.DataFrame
        A row a layer, in order; of one draw that shares nothing. The columns of `Counts`, at the
        layer that does the work (synaptic operations where spikes arrive, spikes where they leave),
        then ``neurons``, ``fan_out`` (weights that one of its spikes meets, mean over neurons),
        ``rate`` (spikes per neuron and step in which it may fire, dropped ones included) and
        ``shared`` (whether the layer lies before the first mask).
    """

    once: Counts
    draw: Counts
    layers: pd.DataFrame

    @property
    def alone(self) -> Counts:
        """Work of one draw that shares nothing with others."""
        return Counts(*(float(self.layers[kind].sum()) for kind in KINDS))

    def of(self, draws: int, *, shared: bool = True) -> Counts:
        """Return the work of one prediction from so many draws, with or without sharing."""
        return self.once + draws * self.draw if shared else draws * self.alone


def count_operations(
    network: Network,
    conversion: Conversion,
    x: np.ndarray,
    *,
    draws: int,
    seed: int,
    steps: int,
    scope: Scope = "draw",
    memory_gb: float = 1.0,
) -> Operations:
    """Count what the spiking network does, in the presentations that `sample_snn` would make.

    Parameters
    ----------
    network, conversion, x, seed, steps, scope, memory_gb : see `spikedrop.sample_snn`
    draws : int
        Draws that are looked at; the result holds means, for any number of draws.

    Raises
    ------
    InputError
        As `spikedrop.sample_snn`.

    Examples
    --------
    One input, two neurons of which each draw drops one or none or both, one output. At 100 Hz for
    0.1 seconds a neuron that is driven by one unit of activation fires ten spikes.

    >>> from spikedrop.spiking.conversion import Conversion
    >>> one, zero = np.ones((1, 2), "float32"), np.zeros(2, "float32")
    >>> readout = Layer("y", one.T, zero[:1])
    >>> network = Network.chain((Layer("h", one, zero, 0.5),), readout)
    >>> setting = {"draws": 400, "seed": 0, "steps": 100}
    >>> found = count_operations(network, Conversion((100.0,)), [[1.0]], **setting)
    >>> found.once.spikes, found.once.macs, found.once.updates, found.draw.mask_bits
    (20.0, 2.0, 200.0, 2.0)
    >>> bool(9 < found.draw.synaptic < 11)  # half of the neurons are silent
    True
    """
    x = check_inputs(network, x, draws, scope)
    check_settings(network, conversion, steps, 0, False, "engine")
    repeats = {layer.name: 1 for layer in network.hidden}
    if conversion.windowed:
        repeats = {name: last - w for name, (w, last) in firing_windows(network).items()}
    busy = {name: n + conversion.windowed for name, n in repeats.items()}  # listening too
    loaded = load(network, conversion)
    met = weights_met(network)

    def measure(drawn: bool) -> Work:
        """Mean work of a presentation, with masks or without."""
        numbers = range(draws if drawn else 1)
        work: Work = {}
        timed = not conversion.windowed
        for some, rows in chunks(network, len(x), numbers, memory_gb, timed=timed):
            shown, which = x[rows.start : rows.stop], rows_of_masks(scope, rows)
            masks = stacked_masks(network, seed, some, which) if drawn else {}
            counts = run_snn(loaded, shown, masks, len(some), steps=steps, settle=0)[2]
            for d in range(len(some)):
                fired = {
                    layer.name: repeats[layer.name] * count[d].astype(float)
                    for layer, count in zip(network.hidden, counts, strict=True)
                }
                held = {name: mask[d] for name, mask in masks.items()}
                _add(work, spiking_work(network, shown, fired, held, met, steps))
        mean = {name: (1 / (len(numbers) * len(x))) * counts for name, counts in work.items()}
        for name, windows in busy.items():
            updates = float(network.units(name) * steps * windows)
            mean[name] = replace(mean[name], updates=updates)
        return mean

    found = _operations(network, measure, scope, len(x))
    layers = found.layers
    layers["fan_out"] = [
        _fan_out(network, name, met) if name in repeats else 0.0 for name in layers.index
    ]
    chances = layers["neurons"] * steps * pd.Series(repeats).reindex(layers.index)
    layers["rate"] = (layers["spikes"] / chances).fillna(0.0)
    return found


def count_ann_operations(
    network: Network, x: np.ndarray, *, draws: int, seed: int, scope: Scope = "draw"
) -> Operations:
    """Count what the artificial network does in the draws of `sample_ann`.

    `Counts.macs` is the number of all weights that are used; `Counts.macs_nonzero`, measured on
    `x`, leaves out those whose input is zero: rectified, dropped, or zero in the data. Biases and
    what only hands values on are not counted.

    Parameters
    ----------
    network, x, draws, seed, scope : see `spikedrop.sample_ann`

    Raises
    ------
    InputError
        As `spikedrop.sample_ann`.

    Examples
    --------
    >>> square, zero = np.array([[1.0, -1.0], [1.0, -1.0]], "float32"), np.zeros(2, "float32")
    >>> readout = Layer("y", square[:, :1], zero[:1])
    >>> network = Network.chain((Layer("a", square, zero), Layer("b", square, zero, 0.5)), readout)
    >>> found = count_ann_operations(network, [[1.0, 1.0]], draws=10, seed=0)
    >>> found.once.macs, found.draw.macs, found.of(10).macs, found.of(10, shared=False).macs
    (8.0, 2.0, 28.0, 100.0)
    >>> found.once.macs_nonzero  # one of two units of layer a is zero
    6.0
    """
    x = check_inputs(network, x, draws, scope)
    met = weights_met(network)

    def measure(drawn: bool) -> Work:
        numbers = range(draws if drawn else 1)
        work: Work = {}
        for draw in numbers:
            for rows in blocks(len(x)):
                which = rows_of_masks(scope, rows)
                masks = network_masks(network, seed, draw, which) if drawn else {}
                _add(work, artificial_work(network, x[rows.start : rows.stop], masks, met))
        return {name: (1 / (len(numbers) * len(x))) * counts for name, counts in work.items()}

    return _operations(network, measure, scope, len(x))


def weights_met(network: Network) -> dict[str, np.ndarray]:
    """Return how many of its weights each value that a layer reads meets, axes of that value.

    Of dense layers and convolutions, by their names; their sum is the layer's
    multiply-accumulates.

    >>> conv = Layer("c", np.ones((3, 1, 2), "float32"), np.zeros(2, "float32"), op="conv",
    ...     sources=("x",), activation="relu", padding="same")
    >>> layers = (Layer("x", op="input", shape=(4, 1)), conv, Layer("f", op="flatten",
    ...     sources=("c",)))
    >>> weights_met(Network(layers, ("f",)))["c"][:, 0].tolist()  # fewer windows at the edges
    [4.0, 6.0, 6.0, 4.0]
    """
    found = {}
    for layer in network.layers:
        if layer.op == "dense":
            found[layer.name] = np.full(
                network.shapes[layer.sources[0]], float(layer.weights.shape[1])
            )
        elif layer.op == "conv":
            shape, rank = network.shapes[layer.sources[0]], layer.weights.ndim - 2
            strides = layer.strides or (1,) * rank
            covers = [
                _windows_over(n, size, stride, layer.padding)
                for n, size, stride in zip(shape[:rank], layer.weights.shape, strides, strict=False)
            ]
            over = reduce(np.multiply.outer, covers)
            found[layer.name] = np.broadcast_to(
                over[..., None] * float(layer.weights.shape[-1]), shape
            )
    return found


def _windows_over(n: int, size: int, stride: int, padding: str) -> np.ndarray:
    """How many windows of one axis cover each of n places."""
    ones = np.ones((size, 1, 1))
    slide = Layer("", ones, np.zeros(1), op="conv", strides=(stride,), padding=padding)
    return linear(slide, [np.eye(n)[:, :, None]]).sum(axis=(1, 2))


def _met(layer: Layer, present: np.ndarray, masks: Masks, met: dict[str, np.ndarray]) -> float:
    """Weights met by values that are there so many times, axes ``(observation, *shape)``."""
    if layer.name in masks and layer.family == "weights":
        return float((present @ (masks[layer.name][0] != 0).sum(axis=1)).sum())
    return float((present * met[layer.name]).sum())


def _hand_on(layer: Layer, below: list[np.ndarray]) -> np.ndarray:
    """Arrivals at a layer without weights: how many events reach each of its values."""
    if layer.op == "scale":
        return below[0]
    if layer.op == "average_pool":  # a sum, not a mean, over each window
        channels = below[0].shape[-1]
        each = np.broadcast_to(np.eye(channels), (*layer.window, channels, channels))
        layer = replace(layer, op="conv", weights=each, bias=np.zeros(channels))
    return linear(layer, below)


def spiking_work(
    network: Network,
    x: np.ndarray,
    fired: dict[str, np.ndarray],
    masks: Masks,
    met: dict[str, np.ndarray],
    steps: int,
) -> Work:
    """Sum the work of one draw over observations, all but neuron updates.

    `fired` holds the spikes of every hidden layer, dropped neurons silent; `masks` as
    `network_masks` gives them.
    """
    constant = {name: (h, np.ones_like(h[:1])) for name, h in network.split(x).items()}
    events: dict[str, np.ndarray] = {}
    sums: dict[str, np.ndarray] = {}  # 1 where a value changes at every step and is no spike
    work: Work = {}
    for layer in network.layers:
        name, shape = layer.name, (len(x), *network.shapes[layer.name])
        if layer.op == "input":
            events[name], sums[name] = np.zeros(shape), np.zeros(shape)
            values, there = constant[name]
            constant[name] = masked(layer, values, masks), there
            work[name] = Counts()
            continue
        arriving = [events[source] for source in layer.sources]
        moving = [sums[source] for source in layer.sources]
        still = [constant[source][0] for source in layer.sources]
        tags = [constant[source][1] for source in layer.sources]
        now = Counts(spikes=float(fired[name].sum()) if layer.spiking else 0.0)
        events[name] = sums[name] = np.zeros(shape)
        flow = linear(with_masked_weights(layer, masks), still)
        if name in met:
            changes = any(part.any() for part in (*arriving, *moving))
            there = np.zeros((1, *shape[1:]))
            if not layer.spiking:
                there[:] = not changes
                sums[name] = np.full(shape, float(changes))
            wired = np.broadcast_to(tags[0], still[0].shape)
            now += Counts(
                synaptic=_met(layer, arriving[0], masks, met),
                macs=_met(layer, wired, {}, met) + steps * _met(layer, moving[0] > 0, {}, met),
                macs_nonzero=_met(layer, wired * (still[0] != 0), masks, met)
                + steps * _met(layer, moving[0], masks, met),
            )
        else:
            reach = _hand_on(layer, arriving)
            if layer.spiking or name in network.outputs:
                now += Counts(synaptic=float(reach.sum()))
            if not layer.spiking:
                alive = _alive(layer, masks)
                events[name] = reach * alive
                sums[name] = (_hand_on(layer, moving) > 0) * alive
            there = (_hand_on(layer, tags) > 0) * (0.0 if layer.spiking else 1.0)
        if layer.spiking:
            events[name] = fired[name]
        constant[name] = masked(layer, flow * there, masks), there
        work[name] = now
    return work


def _alive(layer: Layer, masks: Masks) -> np.ndarray | float:
    return (masks[layer.name] != 0) if layer.name in masks else 1.0


def artificial_work(
    network: Network, x: np.ndarray, masks: Masks, met: dict[str, np.ndarray]
) -> Work:
    """Sum the multiply-accumulates of one draw over observations."""
    values, work = network.split(x), {}
    for layer in network.layers:
        now = Counts()
        if layer.op == "input":
            h = values[layer.name]
        else:
            below = [values[source] for source in layer.sources]
            if layer.name in met:
                now = Counts(
                    macs=len(x) * float(met[layer.name].sum()),
                    macs_nonzero=_met(layer, below[0] != 0, masks, met),
                )
            h = linear(with_masked_weights(layer, masks), below)
        if layer.spiking:
            h = np.maximum(h, 0)
        values[layer.name], work[layer.name] = masked(layer, h, masks), now
    return work


def _add(work: Work, more: Work) -> None:
    for name, counts in more.items():
        work[name] = work.get(name, Counts()) + counts


def _fan_out(network: Network, name: str, met: dict[str, np.ndarray]) -> float:
    """Weights that one spike of a layer meets, without masks, mean over its neurons."""
    fired = {
        layer.name: np.full((1, *network.shapes[layer.name]), float(layer.name == name))
        for layer in network.hidden
    }
    work = spiking_work(network, np.zeros((1, network.n_inputs)), fired, {}, met, 1)
    return sum(counts.synaptic for counts in work.values()) / network.units(name)


def differs(network: Network) -> dict[str, bool]:
    """Tell for every layer whether what it computes differs from draw to draw.

    A layer's own mask comes after what it computes, unless single weights are dropped.
    """
    computed: dict[str, bool] = {}
    for layer in network.layers:
        weights = layer.dropout > 0 and layer.family == "weights"
        computed[layer.name] = weights or any(
            computed[source] or network[source].dropout > 0 for source in layer.sources
        )
    return computed


def _operations(
    network: Network, measure: Callable[[bool], Work], scope: Scope, rows: int
) -> Operations:
    """Put the layers' work together: shared, of each draw, and of a draw alone."""
    drawn = differs(network)
    bits = {
        layer.name: Counts(
            mask_bits=float(np.prod(mask_shape(network, layer.name)))
            * (bool(layer.dropout) / (rows if scope == "draw" else 1))
        )
        for layer in network.layers
    }
    alone = measure(bool(network.dropout_rates))
    plain = measure(False) if network.dropout_rates else alone
    once = sum((plain[name] for name in plain if not drawn[name]), Counts())
    draw = sum((alone[name] for name in alone if drawn[name]), Counts())
    draw = sum(bits.values(), draw)
    table = pd.DataFrame(
        [astuple(alone[layer.name] + bits[layer.name]) for layer in network.layers],
        columns=list(KINDS),
        index=pd.Index([layer.name for layer in network.layers], name="layer"),
    )
    table["neurons"] = [network.units(layer.name) * layer.spiking for layer in network.layers]
    table["fan_out"] = table["rate"] = 0.0
    table["shared"] = [not drawn[layer.name] for layer in network.layers]
    return Operations(once, draw, table)
