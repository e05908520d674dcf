"""Random networks, and how they are to be sampled: what the fuzz test and its benchmark draw.

`draw_case` makes a case of a seed. Three cases in four are *exact*: weights, inputs, scales and
dropout factors are sums of few powers of two, so that no float32 product or sum rounds, and every
program must give the same spikes and the same readout to the last bit, in whatever order it adds.
The others have any values, and are judged where no neuron comes near its threshold
(`tests.fuzzing`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spikedrop.conversion import Conversion
from spikedrop.network import Network
from spikedrop.network.layers import Layer
from spikedrop.neurons import NEURONS

DT = 2.0**-10  # seconds a step, so that scales times dt are exact
FAMILIES = ("unit", "channel", "gaussian", "weights")


@dataclass(frozen=True, eq=False)
class Case:
    """A network, and how it is sampled."""

    seed: int
    exact: bool
    network: Network
    conversion: Conversion
    x: np.ndarray
    scope: str
    draws: range
    steps: int
    settle: int
    pairs: int  # presentations that a chunk may hold


class Drawing:
    """A network while it is drawn, layer by layer."""

    def __init__(self, rng: np.random.Generator, exact: bool, plain: bool) -> None:
        """Start without layers; `plain` draws what the loop over spikes can run, and its like."""
        self.rng, self.exact, self.plain = rng, exact, plain
        self.layers: list[Layer] = []
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.arrays: list[tuple[np.ndarray, np.ndarray]] = []  # shared parts take them again
        self.linear: dict[str, int] = {}  # maps behind the last neurons: each adds digits

    def chance(self, p: float) -> bool:
        """Toss a coin."""
        return bool(self.rng.random() < p)

    def pick(self, options: list) -> object:
        """Choose one of several."""
        return options[self.rng.integers(len(options))]

    def numbers(self, *shape: int, spread: float = 1.0) -> np.ndarray:
        """Draw values: quarters between -1 and 1 where all is exact."""
        if self.exact:
            return (self.rng.integers(-4, 5, shape) / 4).astype(np.float32)
        return self.rng.normal(0, spread, shape).astype(np.float32)

    def weights(self, *shape: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw weights and bias, or take those of a layer before: a shared part."""
        alike = [pair for pair in self.arrays if pair[0].shape == shape]
        if alike and self.chance(0.5):
            return self.pick(alike)
        fan = int(np.prod(shape[:-1])) if len(shape) > 1 else 1
        pair = self.numbers(*shape, spread=1.3 / np.sqrt(fan)), self.numbers(shape[-1], spread=0.3)
        self.arrays.append(pair)
        return pair

    def add(self, layer: Layer, shape: tuple[int, ...]) -> str:
        """Add a layer; return its name."""
        self.layers.append(layer)
        self.shapes[layer.name] = shape
        before = max((self.linear[s] for s in layer.sources), default=0)
        digits = layer.op in ("dense", "conv", "scale", "average_pool")
        self.linear[layer.name] = 0 if layer.spiking else before + digits
        return layer.name

    def dropped(self, layer: Layer, shape: tuple[int, ...]) -> Layer:
        """Give a layer dropout, of any family that it can have."""
        families = ["unit", "unit", *FAMILIES] if self.plain else list(FAMILIES)
        families = [f for f in families if not (self.exact and f == "gaussian")]
        if len(shape) < 2:
            families.remove("channel")
        if layer.op != "dense":
            families.remove("weights")
        rate = self.pick([0.5, 0.75]) if self.exact else self.pick([0.1, 0.3, 0.6])
        return replace(layer, dropout=float(rate), family=self.pick(families))


def draw_network(rng: np.random.Generator, exact: bool, plain: bool = False) -> Network:
    """Draw a network of one to three layers of neurons, on values of one to three axes."""
    it = Drawing(rng, exact, plain)
    for i in range(1 if plain else rng.integers(1, 3)):
        axes = 1 if plain and it.chance(0.6) else int(rng.integers(1, 4))
        shape = tuple(int(n) for n in rng.integers(2, 6 - axes + (axes == 1), axes))
        layer = Layer(f"in{i}", op="input", shape=shape)
        it.add(it.dropped(layer, shape) if it.chance(0.25) else layer, shape)
    wanted, tries = int(rng.integers(2, 5) if plain else rng.integers(1, 4)), 0
    while sum(layer.spiking for layer in it.layers) < wanted or it.chance(0.4):
        _grow(it, neurons=it.chance(0.45))
        tries += 1
        if tries > 12 and any(layer.spiking for layer in it.layers):
            break
    return _finish(it)


def _grow(it: Drawing, *, neurons: bool) -> None:
    """Add a layer that reads some of those there, the newer the likelier."""
    names = list(it.shapes)
    deep = [name for name in names if it.linear[name] < 3]
    # The newest three times as likely, so that graphs are deep as well as wide.
    source = it.pick([*deep, deep[-1], deep[-1], deep[-1]])
    shape = it.shapes[source]
    if it.plain and it.chance(0.8):  # neurons beside neurons
        fires = {layer.name for layer in it.layers if layer.spiking}
        names = [name for name in names if name in fires] or names
    alike = [name for name in names if it.shapes[name] == shape] or [source]
    beside = [name for name in names if it.shapes[name][:-1] == shape[:-1]] or [source]
    ops = ["dense", "dense", "scale", "flatten", "add", "concatenate"]
    ops += ["conv", "conv", "average_pool"] if len(shape) > 1 else []
    if it.plain and it.chance(0.9):
        ops = ["dense"] if neurons else ["flatten", "concatenate"]
    op, more, sources = it.pick(ops), {}, (source,)
    units = int(it.rng.integers(2, 6)) if it.chance(0.95) else 67  # beyond a word of 64
    if op == "dense":
        more = dict(zip(("weights", "bias"), it.weights(shape[-1], units), strict=True))
        out = (*shape[:-1], units)
    elif op == "scale":
        factors = it.numbers(shape[-1]) * 2 + 0.5 if not it.exact else it.numbers(shape[-1])
        more = {"weights": factors, "bias": it.numbers(shape[-1], spread=0.3)}
        out = shape
    elif op in ("conv", "average_pool"):
        windows = [2, 4] if it.exact and op == "average_pool" else [1, 2, 3]
        window = tuple(int(min(it.pick(windows), n)) for n in shape[:-1])
        padding = it.pick(["valid", "same"])
        if it.exact and op == "average_pool":
            window = tuple(1 << int(np.log2(w)) for w in window)
            padding = "valid" if max(window) > 2 else padding  # else it divides by three
        strides = tuple(int(n) for n in it.rng.integers(1, 3, len(window)))
        more = {"strides": strides, "padding": padding}
        if op == "conv":
            arrays = it.weights(*window, shape[-1], units)
            more |= dict(zip(("weights", "bias"), arrays, strict=True))
        else:
            more["window"] = window
        places = [
            -(-n // s) if padding == "same" else (n - w) // s + 1
            for n, w, s in zip(shape[:-1], window, strides, strict=True)
        ]
        out = (*places, units if op == "conv" else shape[-1])
    elif op == "flatten":
        out = (int(np.prod(shape)),)
    else:
        among = alike if op == "add" else beside
        sources = tuple(it.pick(among) for _ in range(it.rng.integers(1, 4)))
        total = sum(it.shapes[s][-1] for s in sources)
        out = shape if op == "add" else (*shape[:-1], total)
    if np.prod(out) > 70:
        return
    layer = Layer(f"{op}{len(it.layers)}", op=op, sources=sources, **more)
    layer = replace(layer, activation="relu" if neurons else "linear")
    it.add(it.dropped(layer, out) if it.chance(0.45 if neurons else 0.25) else layer, out)


def _finish(it: Drawing) -> Network:
    """Let one or two outputs read all that is read by nobody, and name the network's outputs."""
    read = {source for layer in it.layers for source in layer.sources}
    loose = [layer.name for layer in it.layers if layer.name not in read]
    flat = []
    for name in loose:
        if len(it.shapes[name]) > 1:
            layer = Layer(f"flat_{name}", op="flatten", sources=(name,))
            name = it.add(layer, (int(np.prod(it.shapes[name])),))
        flat.append(name)
    whole = flat[0]
    if len(flat) > 1:
        n = sum(it.shapes[name][0] for name in flat)
        whole = it.add(Layer("all", op="concatenate", sources=tuple(flat)), (n,))
    outputs = []
    for i in range(it.rng.integers(1, 3)):
        arrays = it.weights(it.shapes[whole][0], int(it.rng.integers(1, 4)))
        head = it.pick(["linear", "linear", "softmax", "sigmoid"])
        layer = Layer(f"out{i}", *arrays, sources=(whole,), activation=head)
        if it.chance(0.15):
            layer = replace(layer, dropout=0.5, family="weights")
        outputs.append(it.add(layer, arrays[1].shape))
    # A linear layer in the middle may be read out as well.
    middle = [
        layer.name
        for layer in it.layers
        if not (layer.spiking or layer.dropout or layer.op == "input" or layer.name in outputs)
    ]
    if middle and it.chance(0.2):
        outputs.append(it.pick(middle))
    stored = int(it.rng.integers(1, 3)) if it.chance(0.2) else None
    return Network(tuple(it.layers), tuple(outputs), stored)


def draw_case(seed: int, exact: bool | None = None) -> Case:
    """Draw the case of a number."""
    rng = np.random.default_rng([seed, 18])
    exact = bool(rng.random() < 0.75) if exact is None else exact
    plain = bool(rng.random() < 0.5)
    network = draw_network(rng, exact, plain)
    shares = [0.85, 0.05, 0.05, 0.05] if plain else [0.4, 0.2, 0.2, 0.2]
    neuron = str(rng.choice(list(NEURONS), p=shares))
    windowed = neuron in ("integrate_first", "radix")
    steps = int(rng.choice([4, 8])) if exact else int(rng.integers(3, 12))
    settle = 0
    if not windowed and rng.random() < 0.6:  # an exact mean is one over a power of two
        settle = steps // 2 if exact else int(rng.integers(0, steps))
    scales = []
    for layer in network.hidden:
        shape = network.shapes[layer.name] if rng.random() < 0.25 else ()
        powers = 2.0 ** rng.integers(-3, 1, shape)
        scales.append((powers if exact else rng.uniform(0.1, 1.0, shape)) / DT)
    synapse = None
    if not windowed and rng.random() < (0.05 if plain else 0.3):
        # half of a value is left at the next step
        synapse = float(DT / np.log(2)) if exact else 3 * DT
    charge = float(rng.choice([0.5, 0.0, 0.25, -1.5]) if exact else rng.uniform(-1, 0.9))
    weighted = not (exact or windowed) and np.random.default_rng([seed, 19]).random() < 0.3
    conversion = Conversion(
        tuple(s if np.ndim(s) else float(s) for s in scales), neuron, charge, synapse, DT,
        "parabola" if weighted else "mean",
    )  # fmt: skip
    rows = int(rng.choice([1, 2, 5, 9, 131], p=[0.2, 0.2, 0.3, 0.2, 0.1]))
    x = rng.normal(0, 1.5, (rows, network.n_inputs))
    x = (np.round(2 * x) / 2 if exact else x).astype(np.float32)
    weights = any(layer.dropout and layer.family == "weights" for layer in network.layers)
    scope = "draw" if weights or rng.random() < 0.5 else "row"
    first = int(rng.choice([0, 3]))
    draws = range(first, first + int(rng.integers(1, 5)))
    pairs = int(rng.choice([128, 300, 10**6]))
    return Case(seed, exact, network, conversion, x, scope, draws, steps, settle, pairs)
