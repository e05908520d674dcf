"""The programs that the engine compiles, in TensorFlow; `compiled` has the ideas.

Values have axes ``(draw, observation, *shape)``; the draw axis is 1 as long as no mask came.
Importing this file imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spikedrop.network.keras_import import import_tensorflow
from spikedrop.network.layers import Layer
from spikedrop.network.topology import differ_between_draws, neurons_read, upstream
from spikedrop.neurons import Radix

if TYPE_CHECKING:
    import tensorflow as tf
else:
    tf = import_tensorflow()
Values = dict[str, tf.Tensor]


@dataclass(frozen=True)
class Schedule:
    """What a program is compiled for: the network without its arrays, and the work's size.

    Attributes
    ----------
    layers : tuple of Layer
        Without weights and biases.
    shapes : tuple of tuple of int
        Of one observation at every layer.
    outputs : tuple of str
    masked : frozenset of str
        Layers with a mask.
    rows : int
        Observations, from the first mask on; before it there may be more, for the sake of bits.
    """

    layers: tuple[Layer, ...]
    shapes: tuple[tuple[int, ...], ...]
    outputs: tuple[str, ...]
    masked: frozenset[str]
    rows: int

    @property
    def spiking(self) -> set[str]:
        """Return the layers of neurons."""
        return {layer.name for layer in self.layers if layer.spiking}

    @property
    def still(self) -> set[str]:
        """Return the layers whose current does not change in time: no neurons come before them."""
        return {name for name, read in neurons_read(self.layers).items() if not read}

    @property
    def read(self) -> set[str]:
        """Return the layers of neurons that the readout reads."""
        received = neurons_read(self.layers)
        return set().union(*(received[name] for name in self.outputs))

    def drawn(self) -> set[str]:
        """Return the layers whose input differs from draw to draw."""
        return differ_between_draws(self.layers, self.masked)


def _concatenate(_: Layer, below: list[tf.Tensor]) -> tf.Tensor:
    draws = max(h.shape[0] for h in below)
    return tf.concat([tf.broadcast_to(h, (draws, *h.shape[1:])) for h in below], axis=-1)


def _windows(layer: Layer, h: tf.Tensor, slide: Callable, window: Sequence, rank: int) -> tf.Tensor:
    """Slide a window over values whose draws and observations are one axis."""
    flat = tf.reshape(h, (-1, *h.shape[2:]))
    out = slide(flat, window, layer.strides or (1,) * rank, layer.padding.upper())
    return tf.reshape(out, (*h.shape[:2], *out.shape[1:]))


def _dense(_: Layer, below: list[tf.Tensor], weights: tf.Tensor) -> tf.Tensor:
    h = below[0]
    if len(weights.shape) == 3:  # DropConnect: a matrix for each draw
        out = tf.matmul(tf.reshape(h, (h.shape[0], -1, h.shape[-1])), weights)
        return tf.reshape(out, (out.shape[0], *h.shape[1:-1], out.shape[-1]))
    out = tf.matmul(tf.reshape(h, (-1, h.shape[-1])), weights)
    return tf.reshape(out, (*h.shape[:-1], out.shape[-1]))


#: The map of every kind of layer that has code here, its bias left out. Others run by their matrix.
MAPS: dict[str, Callable[..., tf.Tensor]] = {
    "add": lambda _, below: sum(below[1:], start=below[0]),
    "concatenate": _concatenate,
    "flatten": lambda _, below: tf.reshape(below[0], (*below[0].shape[:2], -1)),
    "average_pool": lambda layer, below: _windows(
        layer, below[0], tf.nn.avg_pool, layer.window, len(layer.window)
    ),
    "scale": lambda _, below, weights: below[0] * weights,
    "conv": lambda layer, below, weights: _windows(
        layer, below[0], tf.nn.convolution, weights, len(weights.shape) - 2
    ),
    "dense": _dense,
}


def _by_matrix(layer: Layer, below: list[tf.Tensor], matrix: tf.Tensor) -> tf.Tensor:
    flat = [tf.reshape(h, (*h.shape[:2], -1)) for h in below]
    return _dense(layer, [_concatenate(layer, flat)], matrix)


def linear(layer: Layer, below: list[tf.Tensor], arrays: tuple, amount: float) -> tf.Tensor:
    """Apply a layer's linear map; the bias counts `amount` times. See `network.layers.linear`."""
    if not arrays:
        return MAPS[layer.op](layer, below)
    weights, bias = arrays
    if layer.op in MAPS:
        return MAPS[layer.op](layer, below, weights) + amount * bias
    out = _by_matrix(layer, below, weights)
    return tf.reshape(out, (*out.shape[:2], *bias.shape)) + amount * bias


class Walk:
    """One network on one chunk of work: evaluates layers in order, each at most once."""

    def __init__(self, plan: Schedule, x: tf.Tensor, arrays: dict, masks: Values) -> None:
        """Mask the inputs, and the weights that have masks."""
        self.plan, self.masks, self.arrays = plan, masks, dict(arrays)
        self.drawn = plan.drawn()
        for layer in plan.layers:
            if layer.name in masks and layer.family == "weights":
                weights, bias = arrays[layer.name]
                self.arrays[layer.name] = (weights * masks[layer.name][:, 0], bias)
        self.inputs: Values = {}
        for layer in plan.layers:
            if layer.is_input:
                size = tf.TensorShape(layer.shape).num_elements()
                h, x = x[:, :size], x[:, size:]
                h = tf.reshape(h, (1, -1, *layer.shape))
                self.inputs[layer.name] = self.masked(layer, h)

    def masked(self, layer: Layer, h: tf.Tensor, worth: float = 1.0) -> tf.Tensor:
        """Multiply values by `worth` and by their mask, if there is one."""
        if layer.name not in self.masks or layer.family == "weights":
            return h * worth
        return h[:, : self.plan.rows] * (self.masks[layer.name] * worth)

    def current(self, layer: Layer, values: Values, amount: float) -> tf.Tensor:
        """Apply the layer's linear map to values of the layers it reads."""
        below = [values[source] for source in layer.sources]
        if layer.name in self.drawn:
            below = [h[:, : self.plan.rows] for h in below]
        return linear(layer, below, self.arrays.get(layer.name, ()), amount)

    def run(
        self,
        values: Values,
        needed: Iterable[str],
        amount: float,
        spike: Callable[[Layer, tf.Tensor], tf.Tensor],
    ) -> Values:
        """Add the values of `needed` layers that are not known; ``spike`` gives those of neurons.

        `spike` receives a layer and its current, and returns values with their mask applied.
        """
        values = dict(values)
        for layer in self.plan.layers:
            if layer.name in needed and layer.name not in values:
                h = self.current(layer, values, amount)
                values[layer.name] = spike(layer, h) if layer.spiking else self.masked(layer, h)
        return values

    def outputs(self, values: Values) -> Values:
        """Pick the outputs."""
        return {name: values[name] for name in self.plan.outputs}

    def silenced(self, counts: Values, keep: bool) -> tuple[tf.Tensor, Values]:
        """Sum the spikes of neurons that are not dropped, and keep them neuron by neuron.

        The sum runs over draws and neurons: float64, axis (observation,).
        """
        kept, total = {}, tf.zeros((), tf.float64)
        draws = next((mask.shape[0] for mask in self.masks.values()), 1)
        for layer in self.plan.layers:
            if layer.spiking:
                n = counts[layer.name][:, : self.plan.rows]
                if layer.name not in self.masks or layer.family == "weights":
                    alive = tf.fill((1, 1, *n.shape[2:]), tf.cast(draws / n.shape[0], n.dtype))
                else:
                    alive = tf.cast(self.masks[layer.name] != 0, n.dtype)
                total += _sum_alive(n, alive)
                if keep:
                    kept[layer.name] = n * tf.minimum(alive, 1.0)
        return total, kept


def _sum_alive(n: tf.Tensor, alive: tf.Tensor) -> tf.Tensor:
    """Sum ``n * alive`` over draws and units; axis (observation,).

    Of counts that are the same in all draws, no more is needed than in how many draws a neuron
    lives. Sums of whole numbers below 2**24 are exact.
    """
    if n.shape[0] == 1:
        product = n[0] * tf.reduce_sum(alive, axis=0)
    else:
        product = tf.reduce_sum(n * alive, axis=0)
    units = range(1, len(product.shape))
    return tf.reduce_sum(tf.cast(product, tf.float64), axis=units)


def currents(
    plan: Schedule, arrays: dict, gains: Values, _start: tf.Tensor, x: tf.Tensor, masks: Values
) -> Values:
    """Currents that do not change in time, in thresholds a step, by layer of neurons."""
    walk = Walk(plan, x, arrays, masks)
    return _still_currents(walk, gains)[1]


def _still_currents(walk: Walk, gains: Values) -> tuple[Values, Values]:
    """Values of all that comes before any neurons, and the currents it drives."""
    still, spiking = walk.plan.still, walk.plan.spiking
    constant = walk.run(walk.inputs, still - spiking, 1.0, lambda *_: None)
    driven = [layer for layer in walk.plan.layers if layer.name in still & spiking]
    now = {layer.name: gains[layer.name] * walk.current(layer, constant, 1.0) for layer in driven}
    return constant, now


def readout(
    plan: Schedule,
    arrays: dict,
    gains: Values,
    _start: tf.Tensor,
    x: tf.Tensor,
    masks: Values,
    counts: Values,
    steps: tf.Tensor,
) -> Values:
    """Outputs, from the spikes in so many steps of the neurons that the readout reads."""
    walk = Walk(plan, x, arrays, masks)
    return _read(walk, _still_currents(walk, gains)[0], gains, counts, steps)


def _read(walk: Walk, constant: Values, gains: Values, counts: Values, steps: tf.Tensor) -> Values:
    """Decode spike counts into activations and apply what lies behind the last neurons."""
    values = dict(constant)
    for layer in walk.plan.layers:
        if layer.name in counts:
            worth = 1 / (gains[layer.name] * steps)
            values[layer.name] = walk.masked(layer, counts[layer.name], worth)
    needed = upstream(walk.plan.layers, walk.plan.outputs, without=counts)
    return walk.outputs(walk.run(values, needed, 1.0, lambda *_: None))


def ann(
    plan: Schedule, arrays: dict, _gains: Values, _start: tf.Tensor, x: tf.Tensor, masks: Values
) -> Values:
    """Run the classical network."""
    walk = Walk(plan, x, arrays, masks)
    names = upstream(plan.layers, plan.outputs)
    values = walk.run(walk.inputs, names, 1.0, lambda layer, h: walk.masked(layer, tf.nn.relu(h)))
    return walk.outputs(values)


def slopes(
    plan: Schedule, arrays: dict, _gains: Values, _start: tf.Tensor, x: tf.Tensor, masks: Values
) -> tuple[Values, Values]:
    """Activations of hidden layers, and the derivative of every output by them (last axis)."""
    walk = Walk(plan, x, arrays, masks)
    activations = {}

    def spike(layer: Layer, h: tf.Tensor) -> tf.Tensor:
        activations[layer.name] = tf.nn.relu(h)
        return walk.masked(layer, activations[layer.name])

    values = walk.run(walk.inputs, upstream(plan.layers, plan.outputs), 1.0, spike)
    flat = [tf.reshape(values[name], (*values[name].shape[:2], -1)) for name in plan.outputs]
    y = tf.concat(flat, axis=-1)
    by_output = [tf.gradients(y[..., k], list(activations.values())) for k in range(y.shape[-1])]
    found = {
        name: tf.stack([slope[i] for slope in by_output], axis=-1)
        for i, name in enumerate(activations)
    }
    return activations, found


def windows(
    plan: Schedule,
    arrays: dict,
    gains: Values,
    start: tf.Tensor,
    x: tf.Tensor,
    masks: Values,
    levels: tf.Tensor,
    radix: bool,
    keep: bool,
) -> tuple[Values, tf.Tensor, Values, Values]:
    """Neurons that integrate first: one product per presentation, and a floor.

    Besides, by layer, the share of (draw, neuron) beyond full scale: axis (observation,).
    """
    walk = Walk(plan, x, arrays, masks)
    spikes, shares = {}, {}

    def spike(layer: Layer, h: tf.Tensor) -> tf.Tensor:
        quanta = gains[layer.name] * levels  # of a unit of activation
        whole = tf.floor(start + quanta * h)
        lost = tf.cast(whole[:, : plan.rows] > levels, tf.float32)
        shares[layer.name] = tf.reduce_mean(lost, axis=[0, *range(2, len(lost.shape))])
        n = tf.clip_by_value(whole, 0.0, levels - 1 if radix else levels)
        spikes[layer.name] = binary_ones(n) if radix else n
        return walk.masked(layer, n, 1 / quanta)

    names = upstream(plan.layers, plan.outputs)
    values = walk.run(walk.inputs, names, 1.0, spike)
    return walk.outputs(values), *walk.silenced(spikes, keep), shares


def binary_ones(n: tf.Tensor) -> tf.Tensor:
    """Count the ones among the binary digits: what a quantity costs in spikes."""
    digits = [tf.cast(n, tf.int32) // 2**k for k in range(Radix.most_steps or 0)]
    return tf.cast(tf.add_n([tf.bitwise.bitwise_and(d, 1) for d in digits]), tf.float32)


def timed(
    plan: Schedule,
    arrays: dict,
    gains: Values,
    start: tf.Tensor,
    x: tf.Tensor,
    masks: Values,
    settle_and_steps: tf.Tensor,
    decay: Any,  # None where nothing filters
    weights: Any,  # None for the mean
    charge_keeping: bool,
    keep: bool,
) -> tuple[Values, tf.Tensor, Values]:
    """Neurons that fire while they integrate, step by step.

    With neurons that keep charge, values are cumulative: what was sent up to this step. `weights`
    are those of the steps in the average of the readout, axis (step,); None where all are alike.
    """
    settle, steps = settle_and_steps[0], settle_and_steps[1]
    walk = Walk(plan, x, arrays, masks)
    layers = {layer.name: layer for layer in plan.layers}
    spiking = plan.spiking
    looped = [name for name in layers if name in spiking - plan.still]
    constant, currents = _still_currents(walk, gains)

    def closed_form(name: str, t: tf.Tensor) -> tf.Tensor:
        return tf.maximum(tf.floor(start + tf.cast(t, tf.float32) * currents[name]), 0.0)

    inside = upstream(plan.layers, looped)
    received = {source for name in inside for source in layers[name].sources} & spiking

    def step(t: tf.Tensor, n: Values, v: Values, filtered: Values, sums: Values) -> tuple:
        """One time step; n: cumulative counts, v: cumulative rectified charge, sums: weighted."""
        earlier, n, v, filtered = n, dict(n), dict(v), dict(filtered)
        amount = tf.cast(t + 1, tf.float32) if charge_keeping else 1.0

        def send(layer: Layer, out: tf.Tensor) -> tf.Tensor:
            h = walk.masked(layer, out, 1 / gains[layer.name])
            if layer.name not in filtered:
                return h
            passed = filtered[layer.name]  # what passes is the synapse's state before this step
            filtered[layer.name] = decay * passed + (1 - decay) * h
            return passed

        def spike(layer: Layer, h: tf.Tensor) -> tf.Tensor:
            name = layer.name
            before, charge = n[name], gains[name] * h
            if charge_keeping:
                n[name] = tf.maximum(before, tf.floor(start + charge))
                return send(layer, n[name])
            v[name] += tf.maximum(charge, 0.0)
            n[name] = tf.maximum(tf.floor(start + v[name]), 0.0)
            return send(layer, n[name] - before)

        values = {name: amount * h for name, h in constant.items() if name in inside}
        for name in sorted(inside & currents.keys()):
            now = closed_form(name, t + 1)
            out = now if charge_keeping else now - closed_form(name, t)
            values[name] = send(layers[name], out)
        walk.run(values, inside, amount, spike)
        sums = {name: s + weights[t] * (n[name] - earlier[name]) for name, s in sums.items()}
        return t + 1, n, v, filtered, sums

    draws = next((m.shape[0] for m in masks.values()), 1)
    shapes = dict(zip(layers, plan.shapes, strict=True))

    def zeros(name: str, sent: bool) -> tf.Tensor:
        drawn = name in walk.drawn or (sent and name in masks)
        shape = shapes[name]
        return tf.zeros((draws, plan.rows, *shape) if drawn else (1, x.shape[0], *shape))

    n = {name: zeros(name, False) for name in looped}
    state = (
        tf.constant(0),
        n,
        {} if charge_keeping else n,
        {} if decay is None else {name: zeros(name, True) for name in received},
        {} if weights is None else {name: zeros(name, False) for name in plan.read & n.keys()},
    )
    read = plan.read

    if looped:
        state = tf.while_loop(lambda t, *_: t < settle, step, state)
    early = state[1]
    if looped:
        state = tf.while_loop(lambda t, *_: t < steps, step, state)
    late = state[1]
    if currents:
        closed = [{name: closed_form(name, t) for name in currents} for t in (settle, steps)]
        settled, ended = _computed_once(closed, steps)
        early, late = {**early, **settled}, {**late, **ended}
    averaged = tf.cast(steps - settle, tf.float32)
    fired = {name: late[name] - early[name] for name in sorted(read)}
    if weights is not None:

        def add(t: tf.Tensor, sums: Values) -> tuple:
            return t + 1, {
                name: s + weights[t] * (closed_form(name, t + 1) - closed_form(name, t))
                for name, s in sums.items()
            }

        still = {name: tf.zeros_like(currents[name]) for name in read & currents.keys()}
        fired = state[4] | tf.while_loop(lambda t, *_: t < steps, add, (tf.constant(0), still))[1]
    return _read(walk, constant, gains, fired, averaged), *walk.silenced(late, keep)


def _computed_once(values: list[Values], steps: tf.Tensor) -> list[Values]:
    """Pass values through a loop of one turn; without it, XLA computes them for every draw."""
    blank = tf.nest.map_structure(tf.zeros_like, values)
    turns = tf.minimum(steps, 1)  # always 1, which the compiler cannot know
    return tf.while_loop(lambda i, _: i < turns, lambda i, _: (i + 1, values), (0, blank))[1]
