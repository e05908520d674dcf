"""The loop of every sampler: cut the work, make the masks, run, place the values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import xarray as xr
from tqdm import tqdm

from spikedrop.engines.backends import Masks, Ran
from spikedrop.engines.saturation import Saturation
from spikedrop.errors import InputError, NotFiniteError
from spikedrop.masks import Scope, blocks, stacked_masks
from spikedrop.network.graph import Network

T = TypeVar("T")
Pieces = Iterable[tuple[range, range]]


@dataclass(frozen=True, eq=False)
class Piece(Generic[T]):
    """Some draws of some observations, with their masks and what was made of them.

    Attributes
    ----------
    draws, rows : range
        Numbers of the draws and of the observations.
    x : numpy.ndarray
        The inputs of these observations, axes (observation, feature).
    masks : dict of numpy.ndarray
        Axes ``(draw, observation or 1, *shape)``.
    ran : object
        What `Sampler.run` returned; a `Ran` where samples are drawn.
    """

    draws: range
    rows: range
    x: np.ndarray
    masks: Masks
    ran: T


def first(masks: Masks) -> Masks:
    """Masks of the first draw, without the axis of draws."""
    return {name: mask[0] for name, mask in masks.items()}


@dataclass(frozen=True, eq=False)
class Sampler(Generic[T]):
    """A network ready to be drawn from: "these draws, these observations" -> values and spikes.

    Attributes
    ----------
    network : Network
    seed : int
        Of the masks.
    scope : {"draw", "row"}
    cut : callable
        From the number of observations and the numbers of the draws to the pieces (draws,
        observations) that are worked on at once.
    run : callable
        From inputs, stacked masks and the numbers of the draws to a `Ran`.
    name : str
        What errors call it.
    redrawn : tuple of str
        Layers whose masks are drawn anew in each of `steps` steps: axes
        ``(draw, step, observation or 1, *shape)``.
    steps : int
    """

    network: Network
    seed: int
    scope: Scope
    cut: Callable[[int, range], Pieces]
    run: Callable[[np.ndarray, Masks, range], T]
    name: str = "ann"
    redrawn: tuple[str, ...] = ()
    steps: int = 0

    def pieces(
        self, x: np.ndarray, draws: range, *, first_row: int = 0, masked: bool = True
    ) -> Iterator[Piece[T]]:
        """Run piece by piece; `first_row` is the number of the first row of `x`.

        Without `masked` no mask is made, and nothing is dropped.
        """
        for some, here in self.cut(len(x), draws):
            rows = range(first_row + here.start, first_row + here.stop)
            masks = self._masks(some, rows) if masked else {}
            shown = x[here.start : here.stop]
            yield Piece(some, rows, shown, masks, self.run(shown, masks, some))

    def _masks(self, draws: range, rows: range) -> Masks:
        which = rows if self.scope == "row" else None
        masks = stacked_masks(self.network, self.seed, draws, which)
        if self.redrawn:
            every = [
                stacked_masks(self.network, self.seed, draws, which, t) for t in range(self.steps)
            ]
            masks |= {n: np.stack([one[n] for one in every], axis=1) for n in self.redrawn}
        return masks


@dataclass(frozen=True, eq=False)
class Filled:
    """Samples of some draws and observations.

    Attributes
    ----------
    outputs : numpy.ndarray
        float32, axes (draw, observation, output), all finite.
    spikes : float
        Of all hidden neurons together.
    saturation : Saturation
    """

    outputs: np.ndarray
    spikes: float
    saturation: Saturation


def fill(
    sampler: Sampler[Ran],
    x: np.ndarray,
    draws: range,
    *,
    first_row: int = 0,
    tick: Callable[[int], object] = lambda presentations: None,
) -> Filled:
    """Sample all `draws` of all rows of `x`; `tick` is called with the presentations just done.

    Raises
    ------
    NotFiniteError
        If a sample is NaN or infinite.
    """
    network = sampler.network
    values = np.empty((len(draws), len(x), network.n_outputs), np.float32)
    spikes, saturation = 0.0, Saturation(network, range(first_row, first_row + len(x)))
    for piece in sampler.pieces(x, draws, first_row=first_row):
        here = slice(piece.draws.start - draws.start, piece.draws.stop - draws.start)
        rows = slice(piece.rows.start - first_row, piece.rows.stop - first_row)
        check_answer(piece.ran, piece, sampler)
        values[here, rows] = check_finite(piece.ran.outputs, piece.draws, piece.rows, sampler.name)
        spikes += piece.ran.spikes
        saturation.add(piece.ran.shares, len(piece.draws), piece.rows)
        tick(len(piece.draws) * len(piece.rows))
    return Filled(values, spikes, saturation)


def collect(
    name: str,
    sampler: Sampler[Ran],
    x: np.ndarray,
    draws: range,
    *,
    progress: bool | None,
    attrs: dict[str, object],
) -> tuple[xr.DataArray, Filled]:
    """Sample into a labelled array, axes (draw, observation, output); and what was counted.

    With `progress` None, a bar is shown where a person watches (a terminal) and nowhere else.
    """
    with tqdm(
        total=len(draws) * len(x),
        desc=name,
        unit=" presentations",
        unit_scale=True,
        disable=None if progress is None else not progress,
    ) as bar:
        filled = fill(sampler, x, draws, tick=bar.update)
    samples = xr.DataArray(
        filled.outputs,
        dims=("draw", "observation", "output"),
        coords={"draw": np.asarray(draws), "observation": np.arange(len(x))},
        name=name,
        attrs=attrs,
    )
    return samples, filled


def one_by_one(observations: int, draws: range) -> Pieces:
    """Cut into one draw of a block of observations.

    >>> list(one_by_one(130, range(5, 7)))[:2]
    [(range(5, 6), range(0, 128)), (range(5, 6), range(128, 130))]
    """
    return [(range(d, d + 1), rows) for d in draws for rows in blocks(observations)]


def draw_by_draw(observations: int, draws: range) -> Pieces:
    """Cut into one draw of all observations."""
    return [(range(d, d + 1), range(observations)) for d in draws]


def check_answer(ran: object, piece: Piece[Ran], sampler: Sampler[Ran]) -> None:
    """Refuse an answer that NumPy would stretch, or whose counts cannot be counts.

    Raises
    ------
    InputError
        With what was answered and what was expected.
    """
    if not isinstance(ran, Ran):
        raise InputError(f"{sampler.name}: answered {type(ran).__name__}; expected a `Ran`.")
    network, outputs = sampler.network, np.asarray(ran.outputs)
    shape = (len(piece.draws), len(piece.rows), network.n_outputs)
    if outputs.shape != shape or outputs.dtype.kind not in "fiu":
        raise InputError(
            f"{sampler.name}: answered outputs of shape {outputs.shape} and type {outputs.dtype}; "
            f"expected real numbers of shape {shape}: draw, observation, output."
        )
    counted = np.isfinite(ran.spikes) and ran.spikes >= 0
    if not counted and np.isfinite(outputs).all():  # a sample that is not finite is named as such
        raise InputError(f"{sampler.name}: answered {ran.spikes} spikes; expected a count.")
    hidden = {layer.name for layer in network.hidden}
    for name, share in ran.shares.items():
        if name not in hidden or np.shape(share) != shape[1:2]:
            raise InputError(
                f"{sampler.name}: answered shares of {name!r} of shape {np.shape(share)}; expected "
                f"one per observation for layers {sorted(hidden)}."
            )


def check_finite(values: np.ndarray, draws: range, rows: range, program: str) -> np.ndarray:
    """Return samples of some draws and observations as float32, or refuse NaN and infinity.

    Raises
    ------
    NotFiniteError
        With the first such sample's draw, observation and output, and what ran it.
    """
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, and is refused
        values = np.asarray(values, np.float32)
    bad = ~np.isfinite(values)
    if bad.any():
        draw, row, output = np.argwhere(bad.reshape(len(draws), len(rows), -1))[0]
        raise NotFiniteError(
            f"{program}: {int(bad.sum())} of {values.size} samples are NaN or infinite, the first "
            f"in draw {draws.start + draw}, observation {rows.start + row}, output {output}. A "
            "value left the range of float32 (3.4e38): look at that row of the inputs, and scale "
            "them as in training; or the weights grew without bounds, then train again."
        )
    return values
