"""Predictive samples as they are handed in: axes by name, values checked, read block by block.

Whatever takes samples takes them through `as_samples`, and what belongs to their observations
through `observed` or `matched`. Values are read and turned into float64 a block of observations at
a time, so that no score needs more memory than a few blocks beside the samples themselves, which
may lie on disk (`spikedrop.store.open_samples`, Dask).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np
import pandas as pd
import xarray as xr

from spikedrop.errors import InputError

__all__: list[str] = []

AXES = ("draw", "observation", "output")
OTHER_NAMES = {"candidate": "observation", "class": "output"}
BLOCK = 2**18  # values of a block, 2 MiB as float64
PIECE = 2**23  # values read from disk at a time, in whole chunks of the store where they fit

R = TypeVar("R")
Outputs = Literal["one", "many", "classes"]
EXPECTED = {
    "one": "(draw, observation[, 1])",
    "many": "(draw, observation[, output])",
    "classes": "(draw, observation, class)",
}


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples whose axes were checked; values are checked when they are read.

    Attributes
    ----------
    name : str
        For error messages.
    source : array
        Axes (draw, observation[, output]); labelled arrays in any order of axes.
    shape : tuple of int
        (draw, column), or (draw, observation, class). Without classes every output of an
        observation is a column.
    outputs : int
        Columns of an observation.
    labels : pandas.Index or None
        Of the observations.
    """

    name: str
    source: xr.DataArray | np.ndarray
    shape: tuple[int, ...]
    outputs: int = 1
    labels: pd.Index | None = None

    def __len__(self) -> int:
        """Return the number of draws."""
        return self.shape[0]

    @property
    def observations(self) -> int:
        """Number of observations."""
        return self.shape[1] // self.outputs

    @property
    def each(self) -> int:
        """Values of one observation."""
        return int(np.prod(self.shape)) // self.observations

    def all(self) -> np.ndarray:
        """Read everything, float64."""
        read = np.empty(self.shape)
        for columns, (values,) in blocks(self):
            read[:, columns] = values
        return read

    def raw(self, start: int, stop: int) -> np.ndarray:
        """Read some observations, axes (draw, observation[, output]), in their own type."""
        if not isinstance(self.source, xr.DataArray):
            return np.asarray(self.source[:, start:stop])
        order = [name for name in AXES if name in self.source.dims]
        return self.source.isel(observation=slice(start, stop)).transpose(*order).to_numpy()

    def take(self, rows: np.ndarray) -> Samples:
        """Return the observations at the given positions."""
        if isinstance(self.source, xr.DataArray):
            source: xr.DataArray | np.ndarray = self.source.isel(observation=rows)
        else:
            source = self.source[:, rows]
        labels = None if self.labels is None else self.labels[rows]
        shape = (len(self), len(rows) * self.outputs, *self.shape[2:])
        return replace(self, source=source, shape=shape, labels=labels)

    def checked(self, raw: np.ndarray, start: int) -> np.ndarray:
        """Return what `raw` read from observation `start` on as float64, or raise `InputError`."""
        shape = (len(self), raw.shape[1] * self.outputs, *self.shape[2:])
        values = np.ascontiguousarray(raw, dtype=np.float64).reshape(shape)
        if not np.isfinite(values).all():
            wrong = np.argwhere(~np.isfinite(values).swapaxes(0, 1))[0]
            raise InputError(
                f"{self.name}: the values hold NaN or infinity, the first in draw {wrong[1]}, "
                f"observation {start + wrong[0] // self.outputs}: find out where they come from."
            )
        return values


def as_samples(
    samples: object, name: str = "samples", *, least: int = 1, outputs: Outputs = "one"
) -> Samples:
    """Check the axes of samples; a labelled array's are found by their names, in any order.

    Parameters
    ----------
    samples : xarray.DataArray, array, or Samples
        Axes (draw, observation[, output]). Names must be these; ``candidate`` is another name of
        ``observation``, and ``class`` of ``output``.
    name : str
        For error messages.
    least : int
        Draws that are needed.
    outputs : {"one", "many", "classes"}
        Refuse several outputs, make each a column, or ask for at least two, as an axis.

    Raises
    ------
    InputError
        If axes are unnamed, unknown or missing, the shape is another, there are too few draws, or
        the values are not real numbers.

    Examples
    --------
    >>> square = xr.DataArray([[1.0, 2.0], [3.0, 4.0]], dims=("observation", "draw"))
    >>> as_samples(square).all().tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    if not isinstance(samples, Samples):
        samples = _taken(samples, name, outputs)
    if len(samples) < least:
        raise InputError(
            f"{name}: {len(samples)} draws, and at least {least} are needed: draw more."
        )
    return samples


def _taken(samples: object, name: str, outputs: Outputs) -> Samples:
    labels = None
    if isinstance(samples, xr.Variable):
        samples = xr.DataArray(samples)
    if isinstance(samples, xr.DataArray):
        samples = by_name(samples, AXES, AXES[:2], name)
        labels = samples.indexes.get("observation")
        shape = tuple(samples.sizes[axis] for axis in AXES if axis in samples.dims)
        _real_numbers(samples.dtype, name)
    elif isinstance(samples, xr.Dataset | pd.DataFrame | pd.Series):
        raise InputError(
            f"{name} is a {type(samples).__name__}, which does not say which axis holds the "
            f"draws: give an array with axes {EXPECTED[outputs]}."
        )
    else:
        samples = plain(samples, name)
        shape = tuple(samples.shape)
    more = shape[2] if len(shape) == 3 else 1
    fits = len(shape) == 3 and more > 1 if outputs == "classes" else len(shape) in (2, 3)
    if not fits or 0 in shape or (outputs == "one" and more != 1):
        raise InputError(f"{name}: shape {shape}; expected {_expected(outputs, shape)}")
    if outputs == "classes":
        return Samples(name, samples, shape, 1, labels)
    return Samples(name, samples, (shape[0], shape[1] * more), more, labels)


def _expected(outputs: Outputs, shape: tuple[int, ...]) -> str:
    if outputs == "classes":
        return (
            "probabilities of at least two classes, axes (draw, observation, class). From one "
            "sigmoid output p, make them with np.concatenate([1 - p, p], axis=-1)."
        )
    advice = "" if outputs == "many" else ": take one output at a time"
    if advice and len(shape) == 3 and shape[2] == 2:
        advice += ", or split a mean and its log variance with mean_and_noise"
    return f"{EXPECTED[outputs]}, at least one of each{advice}."


def by_name(
    array: xr.DataArray, known: tuple[str, ...], needed: tuple[str, ...], name: str
) -> xr.DataArray:
    """Return a labelled array with the known names of its axes, or raise `InputError`."""
    names = [OTHER_NAMES.get(str(axis), axis) for axis in array.dims]
    if not set(needed) <= set(names) <= set(known) or len(set(names)) < len(names):
        raise InputError(
            f"{name} has the axes {tuple(map(str, array.dims))}; expected {', '.join(known)}: "
            "rename them, or give the bare values with the axes in this order (.to_numpy())."
        )
    wanted = {old: new for old, new in zip(array.dims, names, strict=True) if old != new}
    return array.rename(wanted) if wanted else array


def plain(values: Any, name: str) -> np.ndarray:
    """Return an array of real numbers that can be cut; what lies on disk stays there."""
    if isinstance(values, np.ma.MaskedArray):
        if np.ma.is_masked(values):
            raise InputError(f"{name} has masked values: fill or drop them first.")
        values = values.data
    if not (isinstance(getattr(values, "dtype", None), np.dtype) and hasattr(values, "shape")):
        try:
            values = np.asarray(values)
        except (TypeError, ValueError) as error:
            raise InputError(f"{name} does not form an array ({error}).") from None
    _real_numbers(values.dtype, name)
    return values


def _real_numbers(dtype: np.dtype, name: str) -> None:
    """Refuse what is not numbers: text, objects, dates, complex numbers."""
    if not isinstance(dtype, np.dtype) or dtype.kind not in "biuf":
        raise InputError(f"{name} has type {dtype}; expected real numbers.")


def matched(values: object, samples: Samples, name: str, *, two_axes: bool = False) -> np.ndarray:
    """Return what belongs to the columns of samples, axis (column,), in its own type.

    `values` have axis (observation,), or (observation, output) where outputs are columns; with
    `two_axes` also of one output. Where both have labels of their observations these must agree. A
    labelled array, or a pandas object whose index is named ``observation``, is put into the order
    of the samples; another index must be in it already, because it may count something else.
    """
    labels, named = None, False
    if isinstance(values, xr.Variable):
        values = xr.DataArray(values)
    if isinstance(values, xr.DataArray):
        values = by_name(values, AXES[1:], AXES[1:2], name)
        labels, named = values.indexes.get("observation"), True
        values = values.transpose("observation", ...).to_numpy()
    elif isinstance(values, pd.Series | pd.DataFrame):
        labels, named = values.index, values.index.name == "observation"
        values = values.to_numpy()
    elif isinstance(values, xr.Dataset):
        raise InputError(f"{name} is a Dataset: give one of its variables.")
    values = np.asarray(plain(values, name))
    one, two = (samples.observations,), (samples.observations, samples.outputs)
    allowed = ([one] if samples.outputs == 1 else []) + (
        [two] if two_axes or samples.outputs > 1 else []
    )
    if values.shape not in allowed:
        raise InputError(
            f"{name} has shape {values.shape}; expected {' or '.join(map(str, allowed))}: "
            f"{samples.name} has {samples.observations} observations."
        )
    order = _order(labels, samples.labels, named, (name, samples.name))
    return (values if order is None else values[order]).reshape(-1)


def observed(y: object, samples: Samples, name: str = "y", *, two_axes: bool = False) -> np.ndarray:
    """Return what was observed as float64, axis (column,), or raise `InputError`; see `matched`."""
    values = matched(y, samples, name, two_axes=two_axes).astype(np.float64)
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values))) // samples.outputs
        raise InputError(
            f"{name}: the values hold NaN or infinity, the first is observation {row}: drop what "
            "was not measured."
        )
    return values


def pair(
    samples: object, y: object, *, least: int = 1, name: str = "samples"
) -> tuple[Samples, np.ndarray]:
    """Return samples of one output and what was observed, float64 (observation,), checked."""
    samples = as_samples(samples, name, least=least)
    return samples, observed(y, samples)


def both(
    a: object,
    b: object,
    names: tuple[str, str] = ("a", "b"),
    *,
    least: int = 2,
    outputs: Outputs = "many",
    paired: bool = False,
) -> tuple[Samples, Samples]:
    """Check two samples of the same observations; those of `b` come in the order of `a`."""
    first = as_samples(a, names[0], least=least, outputs=outputs)
    second = aligned(first, as_samples(b, names[1], least=least, outputs=outputs))
    if paired and len(first) != len(second):
        raise InputError(
            f"{first.name} has {len(first)} draws and {second.name} {len(second)}: paired samples "
            "have as many."
        )
    return first, second


def in_order_of(values: Any, name: str, reference: Any, of: str) -> Any:
    """Put values with one axis into the order of what they belong to, where both have labels.

    `reference` is a labelled array, a pandas object or `Samples`; `name` and `of` are for messages.
    Without labels on either side `values` are returned as they are.

    Raises
    ------
    InputError
        If the labels are not the same ones.
    """
    labels, named = _labels(values)
    wanted = reference.labels if isinstance(reference, Samples) else _labels(reference)[0]
    if labels is not None and wanted is not None and len(labels) != len(wanted):
        return values  # whose shape is refused
    order = _order(labels, wanted, named, (name, of))
    return values if order is None else np.asarray(values)[order]


def _labels(values: Any) -> tuple[pd.Index | None, bool]:
    """Labels of the only axis of values, and whether they are known to be of observations."""
    if isinstance(values, xr.DataArray) and values.ndim == 1:
        return values.indexes.get(values.dims[0]), True
    if isinstance(values, pd.Series):
        return values.index, values.index.name == "observation"
    return None, False


def one_axis(
    values: object,
    name: str,
    length: int | None = None,
    *,
    missing: bool = False,
    like: tuple[object, str] | None = None,
) -> np.ndarray:
    """Return numbers that belong to no samples as float64 (observation,), or raise `InputError`.

    Finite; with `missing`, NaN is allowed. `like` is what they belong to, and its name: where both
    have labels, they are put into its order.
    """
    if like is not None:
        values = in_order_of(values, name, *like)
    values = np.asarray(plain(values, name)).astype(np.float64)
    if values.ndim != 1 or not len(values) or length not in (None, len(values)):
        raise InputError(
            f"{name} has shape {values.shape}; expected (observation,)"
            + (", at least one." if length is None else f", {length} of them.")
        )
    wrong = np.isinf(values) if missing else ~np.isfinite(values)
    if wrong.any():
        what, advice = "NaN or infinity", "drop what was not measured"
        if missing:
            what, advice = "infinity", "give NaN where there is no value"
        raise InputError(
            f"{name}: the values hold {what}, the first is observation {int(np.argmax(wrong))}: "
            f"{advice}."
        )
    return values


def aligned(samples: Samples, other: Samples) -> Samples:
    """Return `other` with its observations in the order of `samples`, or raise `InputError`."""
    if samples.shape[1:] != other.shape[1:] or samples.outputs != other.outputs:
        sizes = [s.shape[1:] if len(s.shape) == 3 else s.shape[1] for s in (samples, other)]
        raise InputError(
            f"{samples.name} has {sizes[0]} observations and {other.name} {sizes[1]}; they must "
            "agree."
        )
    order = _order(other.labels, samples.labels, True, (other.name, samples.name))
    return other if order is None else other.take(order)


def _order(
    labels: pd.Index | None, wanted: pd.Index | None, named: bool, names: tuple[str, str]
) -> np.ndarray | None:
    """Return positions that bring `labels` into the wanted order; None if they are in it."""
    if labels is None or wanted is None or labels.equals(wanted):
        return None
    order = np.array([-1])
    if named and labels.is_unique and wanted.is_unique:
        order = labels.get_indexer(wanted)
    if (order < 0).any():
        i = int(np.argmin(np.asarray(labels == wanted)))
        raise InputError(
            f"{names[0]} and {names[1]} have other labels: observation {i} is {labels[i]!s} in one "
            f"and {wanted[i]!s} in the other. Put both in one order; if they are, give the bare "
            "values (.to_numpy())."
        )
    return order


def blocks(*samples: Samples, size: int | None = None) -> Iterator[tuple[slice, list[np.ndarray]]]:
    """Read samples of the same observations side by side, as float64, some observations at a time.

    Yields the columns and for each of the samples its values there, axes (draw, column) or
    (draw, observation, class), at most `size` values of each (`BLOCK` by default) unless one
    observation has more.
    """
    first = samples[0]
    each = sum(s.each for s in samples)
    piece = max(1, PIECE // each)
    chunk = max(_chunk(s) for s in samples)
    if 1 < chunk <= piece:
        piece -= piece % chunk
    step = max(1, (size or BLOCK) // max(s.each for s in samples))
    for start in range(0, first.observations, piece):
        stop = min(start + piece, first.observations)
        raws = [s.raw(start, stop) for s in samples]
        for low in range(start, stop, step):
            high = min(low + step, stop)
            here = slice(low - start, high - start)
            values = [s.checked(raw[:, here], low) for s, raw in zip(samples, raws, strict=True)]
            yield slice(low * first.outputs, high * first.outputs), values
        del raws  # before the next are read


def _chunk(samples: Samples) -> int:
    """Observations in a chunk of what is on disk; 1 if nothing is known."""
    if not isinstance(samples.source, xr.DataArray):
        return 1
    stored = samples.source.encoding.get("preferred_chunks", {}).get("observation", 1)
    return max(samples.source.chunksizes.get("observation", (stored,)))


def per_observation(
    function: Callable[..., R],
    samples: Samples,
    *others: Samples | np.ndarray,
    size: int | None = None,
) -> R:
    """Compute what depends on each observation on its own, block by block.

    Parameters
    ----------
    function : callable
        Takes the values of a block of `samples`, then the same block of each of the others;
        returns one array or several, first axis column.
    samples : Samples
    others : Samples or array
        Of the same observations: samples, a number, or an array with last axis column.

    Returns
    -------
    array, or tuple of arrays
        Of all observations.
    """
    streams = [samples, *(other for other in others if isinstance(other, Samples))]
    results: list[Any] = []
    for columns, (values, *more) in blocks(*streams, size=size):
        parts = iter(more)

        def here(other: Any, columns: slice = columns, parts: Iterator = parts) -> np.ndarray:
            if isinstance(other, Samples):
                return next(parts)
            return other[..., columns] if np.ndim(other) else other

        results.append(function(values, *map(here, others)))
    if isinstance(results[0], tuple):
        joined: Any = tuple(np.concatenate(part) for part in zip(*results, strict=True))
    else:
        joined = np.concatenate(results)
    return joined
