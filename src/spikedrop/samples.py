"""Predictive samples as labelled arrays, and the checks every sampler shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import xarray as xr
from tqdm import tqdm

from spikedrop.arguments import of_type, one_of, real_number, seed_of, whole_number, yes_or_no
from spikedrop.columns import check_spread, frame_values
from spikedrop.errors import InputError, NotFiniteError
from spikedrop.layers import Layer
from spikedrop.masks import Scope
from spikedrop.network import Network

SCOPES = ("draw", "row")
MOST_DRAWS = 2**63  # whose numbers the masks' generator takes


def check_inputs(network: Network, x: object, draws: int, scope: str) -> np.ndarray:
    """Return `x` as float32 (observation, feature), or raise `InputError` before any work.

    A network with several inputs takes a mapping from their names, or a sequence in their order;
    inside the package all their features stand side by side. Columns of a DataFrame are put into
    the order of `network.columns`, where it has names.
    """
    x = frame_values(x, network.columns, "x", "the network")
    x = check_rows(network.inputs, x, whole=True, columns=network.columns)
    check_draws(network, draws, scope)
    return x


def check_rows(
    inputs: Sequence[Layer],
    x: object,
    first_row: int = 0,
    *,
    whole: bool = False,
    columns: Sequence[str] = (),
) -> np.ndarray:
    """Return the inputs as float32 (observation, feature); see `check_inputs`.

    `inputs` are the network's input layers. `first_row` is the number of the first row, where `x`
    is a piece of a longer array. A `whole` array is asked whether float32 can hold what varies in
    it; a message calls its columns by the names in `columns`, if there are any.
    """
    if len(inputs) == 1:
        arrays = [_array("x", x)]
    elif isinstance(x, Mapping):
        names = [layer.name for layer in inputs]
        if set(x) != set(names):
            raise InputError(f"x names the inputs {sorted(x)}; the network has {names}.")
        arrays = [_array(f"x[{name!r}]", x[name]) for name in names]
    elif isinstance(x, list | tuple):
        arrays = [_array(f"x[{i}]", part) for i, part in enumerate(x)]
    else:  # joined already
        cuts = np.cumsum([int(np.prod(layer.shape)) for layer in inputs])[:-1]
        joined = _array("x", x)
        arrays = np.split(joined, cuts, axis=-1) if joined.ndim else [joined]
    if len(arrays) != len(inputs):
        raise InputError(f"x has {len(arrays)} arrays; the network has {len(inputs)} inputs.")
    if len({len(part) if part.ndim else 0 for part in arrays}) > 1:
        raise InputError(
            f"the inputs have {[len(part) for part in arrays]} rows: give as many each."
        )
    name, names = ("x[{!r}]", ()) if len(arrays) > 1 else ("x", columns)
    return np.concatenate(
        [
            _check_input(name.format(layer.name), layer.shape, part, first_row, whole, names)
            for layer, part in zip(inputs, arrays, strict=True)
        ],
        axis=1,
    )


def _array(name: str, x: object) -> np.ndarray:
    """Return an array, or refuse rows of different lengths."""
    try:
        return np.asarray(x)
    except (ValueError, TypeError) as error:
        raise InputError(f"{name} cannot be read as one array ({error}).") from None


def check_network(network: Network) -> None:
    """Refuse what is not a network."""
    of_type("network", network, Network, "`Network.from_keras` or `Network.chain`")


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


def _check_input(
    name: str,
    shape: tuple[int, ...],
    x: np.ndarray,
    first_row: int,
    whole: bool,
    columns: Sequence[str],
) -> np.ndarray:
    """Check the array of one input; return it as float32 (observation, feature)."""
    flat = (int(np.prod(shape)),)
    if x.ndim == 0 or x.shape[1:] not in (shape, flat) or len(x) == 0:
        expected = ", ".join(map(str, ("observations", *shape)))
        raise InputError(f"{name} has shape {x.shape}; expected ({expected}), at least one row.")
    if x.dtype.kind not in "fiub":
        raise InputError(f"{name} has type {x.dtype}; expected real numbers.")
    if whole:
        check_spread(x, columns or None, name, steps=1)
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, and is refused
        x = x.astype(np.float32).reshape(len(x), *flat)
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        row, column = bad[0] + (first_row, 0)
        raise InputError(
            f"{name} has {len(bad)} NaN or infinite value(s), the first in row {row}, column "
            f"{column}: fill or drop them first."
        )
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
