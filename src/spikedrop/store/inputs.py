"""The inputs of a large job: read, checked and fingerprinted block by block, wherever they lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from spikedrop.checks.columns import check_spread, frame_values
from spikedrop.errors import InputError
from spikedrop.network.graph import Network
from spikedrop.network.inputs import check_rows
from spikedrop.store.fingerprint import of_inputs, of_rows

if TYPE_CHECKING:
    from distributed import Client

__all__: list[str] = []

BLOCK_ROWS = 4096  # rows a fingerprint is made of at a time; another number, other fingerprints


def as_source(network: Network, x: Any) -> Any:
    """Return `x` as an array with a length that gives its rows piece by piece.

    NumPy, memory-mapped, Zarr and Dask arrays stay what they are; all else is read at once.
    Columns of a DataFrame are put into the order of `network.columns`, where it has names.
    """
    x = frame_values(x, network.columns, "x", "the network")
    if isinstance(x, zarr.Array) or is_dask(x) or type(x) in (np.ndarray, np.memmap):
        if len(network.inputs) > 1 and len(x.shape) != 2:
            raise InputError(
                f"x has shape {x.shape}; for {len(network.inputs)} inputs give their features side "
                "by side, axes (observation, feature)."
            )
        if not x.shape or np.isnan(x.shape[0]):
            raise InputError(
                f"x has shape {x.shape}: its number of rows must be known; for a Dask array call "
                "compute_chunk_sizes() first."
            )
        if isinstance(x, np.ndarray) and len(network.inputs) == 1 and len(x):
            check_spread(x, network.columns or None, "x", steps=1)
        check_rows(network.inputs, np.zeros((min(1, x.shape[0]), *x.shape[1:]), x.dtype))
        return x
    return check_rows(network.inputs, x)


def read_rows(x: Any, rows: range) -> np.ndarray:
    """Read some rows."""
    part = x[rows.start : rows.stop]
    return part.compute(scheduler="threads") if is_dask(x) else np.asarray(part)


def check_all(network: Network, x: Any, client: Client | None = None) -> str:
    """Look at every row before any work is done; return the fingerprint of all.

    The blocks of a Dask array are looked at where they lie.

    Raises
    ------
    InputError
        If a value is NaN or infinite, with its row and column.
    """
    blocks = [
        range(start, min(start + BLOCK_ROWS, x.shape[0]))
        for start in range(0, x.shape[0], BLOCK_ROWS)
    ]
    looks = _looks_by_dask(network, x, client) if is_dask(x) else _looks(network, x, blocks)
    shape = (x.shape[0], network.n_inputs)
    return of_inputs(_faultless(looks), shape)


def is_dask(x: Any) -> bool:
    """Tell a Dask array without importing Dask."""
    return type(x).__module__.startswith("dask.array")


def look(inputs: tuple, x: np.ndarray, first_row: int) -> bytes | str:
    """Return the fingerprint of a block, or what is wrong with it."""
    try:
        return of_rows(check_rows(inputs, x, first_row))
    except InputError as error:
        return str(error)


def _looks(network: Network, x: Any, blocks: list[range]) -> Iterator[bytes | str]:
    for rows in blocks:
        yield look(network.inputs, read_rows(x, rows), rows.start)


def _looks_by_dask(network: Network, x: Any, client: Client | None) -> list[bytes | str]:
    import dask

    x = x.rechunk((BLOCK_ROWS, *x.shape[1:]))
    parts = [block.item() for block in x.to_delayed().reshape(-1, 1)]
    tasks = [
        dask.delayed(look)(network.inputs, part, i * BLOCK_ROWS) for i, part in enumerate(parts)
    ]
    if client is None:
        return list(dask.compute(*tasks, scheduler="threads"))
    return client.gather(client.compute(tasks))


def _faultless(looks: Iterator[bytes | str] | list[bytes | str]) -> Iterator[bytes]:
    for found in looks:
        if isinstance(found, str):
            raise InputError(found)
        yield found
