"""Predictive samples as labelled arrays, and the checks every sampler shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import xarray as xr
from tqdm import tqdm

from spikedrop.errors import InputError
from spikedrop.masks import Scope
from spikedrop.network import Network


def check_inputs(network: Network, x: np.ndarray, draws: int, scope: str) -> np.ndarray:
    """Return `x` as float32 (observation, input), or raise `InputError` before any work."""
    x = np.asarray(x)
    if x.ndim != 2 or x.shape[1] != network.n_inputs or len(x) == 0:
        raise InputError(
            f"x has shape {x.shape}; expected (observations, {network.n_inputs}), at least one row."
        )
    if not (np.issubdtype(x.dtype, np.floating) or np.issubdtype(x.dtype, np.integer)):
        raise InputError(f"x has type {x.dtype}; expected real numbers.")
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, and is refused
        x = x.astype(np.float32)
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        row, column = bad[0]
        raise InputError(
            f"x has {len(bad)} NaN or infinite value(s), the first in row {row}, column {column}: "
            "fill or drop them first."
        )
    if not isinstance(draws, int | np.integer) or draws < 1:
        raise InputError(f"draws={draws}; ask for a whole number, at least one.")
    if scope not in ("draw", "row"):
        raise InputError(f"scope={scope!r}; use 'draw' (one mask for all rows) or 'row'.")
    return x


def collect(
    name: str,
    predict: Callable[[range, range], np.ndarray],
    chunks: Iterable[tuple[range, range]],
    *,
    n_observations: int,
    n_outputs: int,
    draws: range,
    progress: bool | None,
    attrs: dict[str, object],
) -> xr.DataArray:
    """Fill a labelled array chunk by chunk from ``predict(draws, observations)``.

    Returns axes (draw, observation, output), float32. With `progress` None, a bar is shown
    where a person watches (a terminal) and nowhere else.
    """
    values = np.empty((len(draws), n_observations, n_outputs), dtype=np.float32)
    hidden = None if progress is None else not progress
    with tqdm(
        total=len(draws) * n_observations,
        desc=name,
        unit=" presentations",
        unit_scale=True,
        disable=hidden,
    ) as bar:
        for some, rows in chunks:
            here = slice(some.start - draws.start, some.stop - draws.start)
            values[here, rows.start : rows.stop] = predict(some, rows)
            bar.update(len(some) * len(rows))
    return xr.DataArray(
        values,
        dims=("draw", "observation", "output"),
        coords={"draw": np.asarray(draws), "observation": np.arange(n_observations)},
        name=name,
        attrs=attrs,
    )


def rows_of_masks(scope: Scope, rows: range) -> range | None:
    """Return what `network_masks` takes: the rows for scope ``row``, None for ``draw``."""
    return rows if scope == "row" else None
