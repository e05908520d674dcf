"""Kinds of layer: what each computes, and what others have to know of it; one class each.

A kind is registered once, by `register_kind`. The plain forward pass, the reference and the masks
ask it for its map; what else runs networks asks for the matrix of that map where it has no code
for the kind, or refuses it by name (`spikedrop.engines.capabilities`, `spikedrop.nir`).
"""

# Methods of the kinds do what those of `Kind` say, of which not all must be written.
# ruff: noqa: D102, B027

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from spikedrop.checks.arguments import of_type
from spikedrop.checks.registry import register
from spikedrop.errors import InputError

if TYPE_CHECKING:
    from spikedrop.network.layers import Layer

Shape = tuple[int, ...]
Shapes = Sequence[Shape]
Arrays = Sequence[np.ndarray]
Factor = np.ndarray | None
ANY = float("inf")


@dataclass(frozen=True)
class Kind(ABC):
    r"""A kind of layer: an affine map of the values of the layers that it reads.

    .. math:: A(h_1, h_2, \ldots) = \sum_k h_k M_k + a\,b

    with a how many times the bias b counts. A kind of your own defines `linear`; all else has a
    default that follows from it. Everything that is handed in as ``below`` has axes
    ``(observation, *shape)``.

    Attributes
    ----------
    name : str
        What `Layer.op` says.
    reads : (int, float)
        How many layers it reads, at least and at most.
    has_weights : bool
        Whether the layer has `weights` and `bias`, whose last axes are its channels; the map is
        linear in both.
    has_synapses : bool
        Whether a spike meets a weight for every value that it reaches; else it is only handed on.
        Such a layer reads one other.
    slides : bool
        Whether it does the same at every position of a window.
    rearranges : bool
        Whether it only puts the values that it reads side by side, in order.

    Examples
    --------
    >>> from spikedrop.network.layers import Layer
    >>> @dataclass(frozen=True)
    ... class Reversed(Kind):
    ...     def linear(self, layer: Layer, below: Arrays, amount: float = 1.0) -> np.ndarray:
    ...         return below[0][..., ::-1]
    >>> Reversed("reversed").matrices(Layer("r", op="reversed"), [(2,)])[0][0].tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """

    name: str
    reads: tuple[int, float] = (1, 1)
    has_weights: bool = False
    has_synapses: bool = False
    slides: bool = False
    rearranges: bool = False

    @abstractmethod
    def linear(self, layer: Layer, below: Arrays, amount: float = 1.0) -> np.ndarray:
        """Apply the map; the bias counts `amount` times. See `spikedrop.network.layers.linear`."""

    def check(self, layer: Layer, shapes: Shapes) -> None:
        """Raise `InputError` if the layer cannot read values of those shapes."""

    def shape(self, layer: Layer, shapes: Shapes) -> Shape:
        """Return the shape of the layer's values, of the shapes of those that it reads."""
        return self.linear(layer, [np.zeros((1, *shape), np.float32) for shape in shapes]).shape[1:]

    def matrices(self, layer: Layer, shapes: Shapes) -> tuple[list[np.ndarray], np.ndarray]:
        """Return the map as a matrix for each source, (value below, value), and the bias.

        Found by applying the map to unit vectors; float64, the bias with the layer's own axes.
        """
        silent = [np.zeros((1, *shape)) for shape in shapes]
        bias, found = self.linear(layer, silent), []
        for place, shape in enumerate(shapes):
            n = int(np.prod(shape))
            below = [np.zeros((n, *other)) for other in shapes]
            below[place] = np.eye(n).reshape(n, *shape)
            found.append((self.linear(layer, below) - bias).reshape(n, -1))
        return found, bias[0]

    def weights_met(self, layer: Layer, shape: Shape) -> np.ndarray:
        """Return how many weights each value that the layer reads meets; axes of that value.

        Asked only of kinds with synapses.
        """
        (matrix,), _ = self.matrices(layer, [shape])
        return (matrix != 0).sum(axis=1).astype(float).reshape(shape)

    def multiplications(self, layer: Layer, shapes: Shapes) -> int:
        """Return how many weights one pass multiplies by; 0 without synapses."""
        return int(self.weights_met(layer, shapes[0]).sum()) if self.has_synapses else 0

    def arrivals(self, layer: Layer, below: Arrays) -> np.ndarray:
        """Return how many events reach each value, of how many happen at each value below."""
        if self.rearranges:
            return self.linear(layer, below)
        matrices, bias = self.matrices(layer, [h.shape[1:] for h in below])
        reached = [h.reshape(len(h), -1) @ (m != 0) for h, m in zip(below, matrices, strict=True)]
        return sum(reached).reshape(-1, *bias.shape)

    def absorbed(self, layer: Layer, factor: np.ndarray) -> Factor:
        """Return weights that take values times `factor`; None if the kind has none that do."""

    def carried(self, factors: Sequence[Factor], shapes: Shapes) -> Factor:
        """Return the factor of the layer's values, of those of the values it reads.

        Arrays that broadcast to the values; None is a factor of 1, and, returned, says that there
        is no single factor.
        """


KINDS: dict[str, Kind] = {}


def register_kind(kind: Kind) -> Kind:
    """Let layers be of a kind, by its name.

    Parameters
    ----------
    kind : Kind
        An instance of a subclass, with a name of its own.

    Returns
    -------
    Kind
        The same.

    Raises
    ------
    InputError
        If it is not a `Kind`, its name is empty or that of a kind of this package, or it reads
        fewer or more layers than a kind can.

    Examples
    --------
    A layer that doubles its input; the plain pass and the reference run it, others refuse it:

    >>> class Double(Kind):
    ...     def linear(self, layer, below, amount=1.0):
    ...         return 2 * below[0]
    >>> register_kind(Double("double")).name
    'double'
    >>> del KINDS["double"]
    """
    abstract: Any = Kind
    of_type("kind", kind, abstract, "a subclass of `spikedrop.network.Kind`")
    least, most = kind.reads
    if not 1 <= least <= most:
        raise InputError(f"reads={kind.reads}: a layer reads at least one other, at most `most`.")
    if kind.has_synapses and kind.reads != (1, 1):
        raise InputError(
            f"layer kind {kind.name!r} has synapses and reads {kind.reads} layers: read one, and "
            "let a layer before it concatenate."
        )
    return register(KINDS, SHIPPED, kind.name, kind, "layer kind")


def kind_of(layer: Layer) -> Kind:
    """Return the kind of a layer; raise `InputError` if it is not registered."""
    if layer.op not in KINDS:
        raise InputError(f"layer {layer.name!r} has op={layer.op!r}; use {', '.join(KINDS)}.")
    return KINDS[layer.op]


def check_affine(layer: Layer, shapes: Shapes) -> None:
    """Refuse a layer of a kind from elsewhere whose map is not affine, by random inputs."""
    kind, rng = kind_of(layer), np.random.default_rng(0)
    if type(kind).__module__ == __name__:
        return
    a, b = ([rng.normal(size=(32, *shape)) for shape in shapes] for _ in range(2))
    both, silent = [x + y for x, y in zip(a, b, strict=True)], [0 * x for x in a]
    alone = kind.linear(layer, [x[:1] for x in a])
    a, b, both, silent = (kind.linear(layer, below) for below in (a, b, both, silent))
    if np.shape(a)[:1] != (32,) or not np.allclose(alone, a[:1], rtol=1e-5, atol=1e-5):
        raise InputError(
            f"layer {layer.name!r} ({layer.op}) is of a kind that mixes observations: `linear` "
            "must map each row of its inputs by itself."
        )
    if not np.allclose(a + b, both + silent, rtol=1e-5, atol=1e-5):
        raise InputError(
            f"layer {layer.name!r} ({layer.op}) is of a kind whose map is not affine: neurons add "
            "what arrives, so that it cannot be converted."
        )


@dataclass(frozen=True)
class Input(Kind):
    """Reads nothing: its values are handed in."""

    name: str = "input"
    reads: tuple[int, float] = (0, 0)

    def linear(self, layer: Layer, below: Arrays, amount: float = 1.0) -> np.ndarray:
        raise InputError(f"layer {layer.name!r} is an input: hand its values in.")

    def shape(self, layer: Layer, shapes: Shapes) -> Shape:
        return layer.shape


@dataclass(frozen=True)
class Dense(Kind):
    """h W + b, along the last axis."""

    name: str = "dense"
    has_weights: bool = True
    has_synapses: bool = True

    def linear(self, layer: Layer, below: Arrays, amount: float = 1.0) -> np.ndarray:
        return below[0] @ layer.weights + amount * layer.bias

    def check(self, layer: Layer, shapes: Shapes) -> None:
        _check_axes(layer, 2)
        _check_channels(layer, layer.weights.shape[0], shapes[0])

    def weights_met(self, layer: Layer, shape: Shape) -> np.ndarray:
        return np.full(shape, float(layer.weights.shape[1]))

    def absorbed(self, layer: Layer, factor: np.ndarray) -> Factor:
        return layer.weights * one_per_channel(factor, layer.sources[0])[:, None]


@dataclass(frozen=True)
class Scale(Kind):
    """w h + b, channel by channel."""

    name: str = "scale"
    has_weights: bool = True

    def linear(self, layer: Layer, below: Arrays, amount: float = 1.0) -> np.ndarray:
        return below[0] * layer.weights + amount * layer.bias

    def check(self, layer: Layer, shapes: Shapes) -> None:
        _check_axes(layer, 1)
        _check_channels(layer, len(layer.weights), shapes[0])

    def arrivals(self, layer: Layer, below: Arrays) -> np.ndarray:
        return below[0]

    def absorbed(self, layer: Layer, factor: np.ndarray) -> Factor:
        return layer.weights * one_per_channel(factor, layer.sources[0])


@dataclass(frozen=True)
class Conv(Dense):
    """The product of a dense layer in a sliding window."""

    name: str = "conv"
    slides: bool = True

    def linear(self, layer: Layer, below: Arrays, amount: float = 1.0) -> np.ndarray:
        rank = layer.weights.ndim - 2
        views = _sliding(below[0], layer.weights.shape[:rank], layer)
        seen = [*range(rank + 2, 2 * rank + 2), rank + 1]  # window axes, then channels
        return np.tensordot(views, layer.weights, (seen, range(rank + 1))) + amount * layer.bias

    def check(self, layer: Layer, shapes: Shapes) -> None:
        _check_axes(layer, max(layer.weights.ndim, 3))
        _check_channels(layer, layer.weights.shape[-2], shapes[0], layer.weights.ndim - 1)
        _check_window(layer, layer.weights.shape[:-2])

    def weights_met(self, layer: Layer, shape: Shape) -> np.ndarray:
        *window, _, channels = layer.weights.shape
        strides = layer.strides or (1,) * len(window)
        covers = []  # how many windows cover each place, axis by axis
        for n, k, s in zip(shape, window, strides, strict=False):
            seen = _sliding(np.arange(1, n + 1)[None, :, None], (k,), replace(layer, strides=(s,)))
            covers.append(np.bincount(seen.ravel(), minlength=n + 1)[1:])
        each = reduce(np.multiply.outer, covers)[..., None] * float(channels)
        return np.broadcast_to(each, shape)


@dataclass(frozen=True)
class AveragePool(Kind):
    """The mean of a sliding window, channel by channel; what pads the edge does not count."""

    name: str = "average_pool"
    slides: bool = True

    def linear(self, layer: Layer, below: Arrays, amount: float = 1.0) -> np.ndarray:
        first, window = below[0], tuple(range(-len(layer.window), 0))
        ones = np.ones((1, *first.shape[1:-1], 1), first.dtype)
        inside = _sliding(ones, layer.window, layer)
        return _sliding(first, layer.window, layer).sum(window) / inside.sum(window)

    def check(self, layer: Layer, shapes: Shapes) -> None:
        _check_window(layer, layer.window)
        if len(layer.window) + 1 != len(shapes[0]):
            raise InputError(
                f"layer {layer.name!r} pools over windows of {layer.window}, but layer "
                f"{layer.sources[0]!r} has values of shape {shapes[0]}: one window size an axis "
                "before the channels."
            )

    def arrivals(self, layer: Layer, below: Arrays) -> np.ndarray:
        return _sliding(below[0], layer.window, layer).sum(tuple(range(-len(layer.window), 0)))

    def carried(self, factors: Sequence[Factor], shapes: Shapes) -> Factor:
        factor = factors[0]
        return factor if factor is not None and by_channel(factor) else None


@dataclass(frozen=True)
class Flatten(Kind):
    """All values on one axis."""

    name: str = "flatten"
    rearranges: bool = True

    def linear(self, layer: Layer, below: Arrays, amount: float = 1.0) -> np.ndarray:
        return below[0].reshape(len(below[0]), int(np.prod(below[0].shape[1:])))

    def carried(self, factors: Sequence[Factor], shapes: Shapes) -> Factor:
        factor = factors[0]
        return None if factor is None else np.broadcast_to(factor, shapes[0]).reshape(-1)


@dataclass(frozen=True)
class Add(Kind):
    """The sum of values of one shape; of a single layer, its values."""

    name: str = "add"
    reads: tuple[int, float] = (1, ANY)

    def linear(self, layer: Layer, below: Arrays, amount: float = 1.0) -> np.ndarray:
        return sum(below[1:], start=below[0])

    def check(self, layer: Layer, shapes: Shapes) -> None:
        _check_agree(layer, shapes, shapes)

    def arrivals(self, layer: Layer, below: Arrays) -> np.ndarray:
        return self.linear(layer, below)

    def carried(self, factors: Sequence[Factor], shapes: Shapes) -> Factor:
        first = factors[0]
        if first is None or not all(f is not None and np.array_equal(f, first) for f in factors):
            return None
        return first


@dataclass(frozen=True)
class Concatenate(Kind):
    """Values side by side, on the last axis."""

    name: str = "concatenate"
    reads: tuple[int, float] = (1, ANY)
    rearranges: bool = True

    def linear(self, layer: Layer, below: Arrays, amount: float = 1.0) -> np.ndarray:
        return np.concatenate(below, axis=-1)

    def check(self, layer: Layer, shapes: Shapes) -> None:
        _check_agree(layer, shapes, [shape[:-1] for shape in shapes])

    def carried(self, factors: Sequence[Factor], shapes: Shapes) -> Factor:
        filled = [np.ones(1, np.float32) if f is None else f for f in factors]
        if not all(map(by_channel, filled)):
            return None
        return np.concatenate(
            [np.broadcast_to(f.reshape(-1), s[-1:]) for f, s in zip(filled, shapes, strict=True)]
        )


for _kind in (Input, Dense, Conv, AveragePool, Flatten, Add, Concatenate, Scale):
    KINDS[_kind().name] = _kind()
SHIPPED = frozenset(KINDS)  # their names mean the same in every process


def by_channel(factor: np.ndarray) -> bool:
    """Whether a factor is the same at all positions of a feature map, by its shape."""
    return all(n == 1 for n in factor.shape[:-1])


def one_per_channel(factor: np.ndarray, source: str) -> np.ndarray:
    """Return one factor a channel of what `source` hands on, or refuse."""
    flat = factor.reshape(-1, factor.shape[-1])
    if not (flat == flat[:1]).all():
        raise InputError(
            f"layer {source!r} needs a multiplier for every position of a feature map, which the "
            "weights after it share: drop whole channels there (SpatialDropout), and give a "
            "channel one firing-rate scale."
        )
    return flat[0]


def _sliding(h: np.ndarray, window: Shape, layer: Layer) -> np.ndarray:
    """Views of a sliding window: axes ``(observation, *position, channel, *window)``."""
    strides = layer.strides or (1,) * len(window)
    axes = range(1, 1 + len(window))
    if layer.padding == "same":
        short = [
            max(-(-n // s) * s - s + k - n, 0)
            for n, k, s in zip(h.shape[1:], window, strides, strict=False)
        ]
        h = np.pad(h, [(0, 0), *((n // 2, n - n // 2) for n in short), (0, 0)])
    if any(n < k for n, k in zip(h.shape[1:], window, strict=False)):
        raise InputError(
            f"layer {layer.name!r} has a window of {window}, larger than its input of shape "
            f"{h.shape[1:]}: use a smaller window, or padding='same'."
        )
    views = np.lib.stride_tricks.sliding_window_view(h, window, axis=tuple(axes))
    return views[(slice(None), *(slice(None, None, s) for s in strides))]


def _check_axes(layer: Layer, axes: int) -> None:
    """Refuse weights of another number of axes."""
    if layer.weights.ndim != axes:
        raise InputError(
            f"layer {layer.name!r}: weights have shape {layer.weights.shape} and bias "
            f"{layer.bias.shape}; expected (inputs, units) and (units,)."
        )


def _check_channels(layer: Layer, takes: int, shape: Shape, axes: int | None = None) -> None:
    """Refuse values of another number of channels, or of axes, than the weights take."""
    if shape[-1] != takes or axes not in (None, len(shape)):
        raise InputError(
            f"layer {layer.name!r} takes {takes} inputs, but layer {layer.sources[0]!r} before "
            f"it has {shape[-1]} units (weights {layer.weights.shape}, values {shape})."
        )


def _check_window(layer: Layer, window: Shape) -> None:
    """Refuse windows and strides that do not belong together."""
    strides = layer.strides or (1,) * len(window)
    if not window or len(strides) != len(window) or min(*window, *strides) < 1:
        raise InputError(
            f"layer {layer.name!r} ({layer.op}) has windows of {window} and strides of "
            f"{layer.strides}: as many of both, each at least 1."
        )


def _check_agree(layer: Layer, shapes: Shapes, same: Sequence[Shape]) -> None:
    """Refuse values whose shapes differ where they must not."""
    if len(set(same)) > 1:
        raise InputError(
            f"layer {layer.name!r} cannot {layer.op} values of shapes {shapes} from "
            f"{', '.join(map(repr, layer.sources))}: they must agree."
        )
