"""Inputs of a network, checked before any work: one array or several, frames by column name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from spikedrop.checks.arguments import of_type
from spikedrop.checks.columns import check_spread, frame_values
from spikedrop.errors import InputError
from spikedrop.network.graph import Network
from spikedrop.network.layers import Layer


def check_inputs(network: Network, x: object) -> np.ndarray:
    """Return `x` as float32 (observation, feature), or raise `InputError` before any work.

    A network with several inputs takes a mapping from their names, or a sequence in their order;
    inside the package all their features stand side by side. Columns of a DataFrame are put into
    the order of `network.columns`, where it has names.
    """
    x = frame_values(x, network.columns, "x", "the network")
    return check_rows(network.inputs, x, whole=True, columns=network.columns)


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
