"""Predictive samples as labelled arrays, and the checks every sampler shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from spikedrop.checks.arguments import (
    one_of,
    real_number,
    seed_of,
    whole_number,
    yes_or_no,
)
from spikedrop.errors import InputError, NotFiniteError
from spikedrop.masks import Scope
from spikedrop.network.graph import Network
from spikedrop.network.inputs import check_network

SCOPES = ("draw", "row")
MOST_DRAWS = 2**63  # whose numbers the masks' generator takes


def check_job(
    network: Network,
    *,
    draws: int,
    seed: int,
    scope: str,
    first_draw: int = 0,
    memory_gb: float = 1.0,
    progress: bool | None = None,
) -> tuple[int, range]:
    """Refuse settings of a sampler that cannot be used; return the seed and the draws' numbers."""
    check_network(network)
    check_draws(network, draws, scope)
    seed = seed_of(seed)
    first = whole_number("first_draw", first_draw, below=MOST_DRAWS)
    real_number("memory_gb", memory_gb, above=0)
    if progress is not None:
        yes_or_no("progress", progress)
    return seed, range(first, first + int(draws))


def check_draws(network: Network, draws: int, scope: str) -> None:
    """Refuse a number of draws or a scope that cannot be used."""
    whole_number("draws", draws, least=1)
    one_of("scope", scope, SCOPES)
    for layer in network.layers:
        if scope == "row" and layer.dropout and layer.family == "weights":
            raise InputError(
                f"layer {layer.name!r} drops single weights, and scope='row' would need a weight "
                "matrix for every row: use scope='draw'."
            )


def collect(
    name: str,
    predict: Callable[[range, range], np.ndarray],
    chunks: Iterable[tuple[range, range]],
    *,
    n_observations: int,
    n_outputs: int,
    draws: range,
    progress: bool | None,
    attrs: dict[str, Any],
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
            found = check_finite(predict(some, rows), some, rows, attrs.get("backend", name))
            values[here, rows.start : rows.stop] = found
            bar.update(len(some) * len(rows))
    return xr.DataArray(
        values,
        dims=("draw", "observation", "output"),
        coords={"draw": np.asarray(draws), "observation": np.arange(n_observations)},
        name=name,
        attrs=attrs,
    )


def check_finite(values: np.ndarray, draws: range, rows: range, program: object) -> np.ndarray:
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


def rows_of_masks(scope: Scope, rows: range) -> range | None:
    """Return what `network_masks` takes: the rows for scope ``row``, None for ``draw``."""
    return rows if scope == "row" else None
