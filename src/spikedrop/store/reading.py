"""Open a store: lazily, labelled, whole or partial."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xarray.core import indexing

from spikedrop.checks.arguments import of_type, path_of, yes_or_no
from spikedrop.errors import InputError
from spikedrop.store.damage import MISSING, Piece, check_coordinates, chunk_fault, remedy
from spikedrop.store.layout import DIMENSIONS, SAMPLES, Layout, read_layout

if TYPE_CHECKING:
    import arviz

__all__ = ["open_samples", "to_inference_data"]


def open_samples(path: str | Path, *, partial: bool = False) -> xr.DataArray:
    """Open samples that `sample_to_store` has written; values are read when they are used.

    Parameters
    ----------
    path : path
        Of the store.
    partial : bool
        Open a store that is not finished, too; what is missing reads as NaN.

    Returns
    -------
    xarray.DataArray
        float32, axes (draw, observation, output), with the values of `sample_ann` or `sample_snn`.
        Attributes: ``kind`` (ann or snn), ``seed``, ``scope``, ``masks`` (their definition),
        ``model_sha256``, ``inputs_sha256``, ``versions`` and the settings; of an SNN also
        ``conversion_sha256``, ``steps``, ``settle``, and of the conversion ``neuron``,
        ``initial_charge``, ``dt`` and the mean of each layer's ``scales_hz``.

    Raises
    ------
    InputError
        If there is no store, it is damaged or of a newer format, or not finished. A chunk whose
        checksum is wrong shows when its values are read. The message names the file.
    StoreError
        If a file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> from spikedrop.store import sample_to_store
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sample_to_store(folder + "/draws.zarr", network, [[1.0]], draws=100, seed=0)
    ...     samples = open_samples(folder + "/draws.zarr")
    ...     samples.dims, 1.5 < float(samples.mean()) < 2.5  # half of the draws are 0, half 4
    (('draw', 'observation', 'output'), True)
    """
    return opened(read_layout(path_of("path", path)), partial=yes_or_no("partial", partial))


def opened(layout: Layout, *, partial: bool = False) -> xr.DataArray:
    """`open_samples` of a store that was looked at."""
    missing = layout.first_missing()
    if missing is not None and not partial:
        raise _unfinished(layout, missing)
    check_coordinates(layout)
    source: Any = layout  # which only the engine below reads
    whole = xr.open_dataset(source, engine=_Backend, partial=partial)
    samples = whole[SAMPLES].rename(str(layout.attributes["kind"]))
    return samples.assign_attrs(layout.attributes)


def _unfinished(layout: Layout, piece: Piece) -> InputError:
    """Say how much is there, and why the first chunk that cannot be read is not."""
    done = len(layout.present())
    file, fault = layout.folder / layout.grid.key(*piece), chunk_fault(layout, piece)
    way = (
        remedy(file, fault)
        if "damaged" in fault or file.is_dir()
        else ("Run the same sampling again to go on, or open what there is with partial=True.")
    )
    return InputError(
        f"{layout.path}: {done} of {layout.grid.count} chunks are finished; {file} {fault}. {way}"
    )


class _Backend(xr.backends.BackendEntrypoint):
    """Lets xarray read a `Layout` lazily."""

    def open_dataset(
        self, filename_or_obj: Any, *, drop_variables: Any = None, partial: bool = False
    ) -> xr.Dataset:
        """Return the samples with their coordinates."""
        grid = filename_or_obj.grid
        values = indexing.LazilyIndexedArray(_Samples(filename_or_obj, partial))
        chunks = dict(zip(DIMENSIONS, grid.chunk, strict=True))
        encoding = {"chunks": grid.chunk, "preferred_chunks": chunks}
        return xr.Dataset(
            {SAMPLES: xr.Variable(DIMENSIONS, values, encoding=encoding)},
            coords={
                name: np.arange(n) for name, n in zip(DIMENSIONS[:2], grid.shape[:2], strict=True)
            },
        )


class _Samples(xr.backends.BackendArray):
    """The values of a store; a chunk that cannot be read is named."""

    def __init__(self, layout: Layout, partial: bool) -> None:
        self.layout, self.partial = layout, partial
        self.shape, self.dtype = layout.grid.shape, np.dtype("float32")

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._read
        )

    def _read(self, key: tuple[int | slice | np.ndarray, ...]) -> np.ndarray:
        try:
            values = np.asarray(self.layout.values.oindex[key])
        except (ValueError, OSError):
            self._name_fault(key)
            raise  # no file of these values is damaged
        if not self.partial and np.isnan(values).any():  # Zarr reads so what has been removed
            self._name_fault(key)
        return values

    def _name_fault(self, key: tuple[int | slice | np.ndarray, ...]) -> None:
        """Raise an error with the first damaged file among those a key reads."""
        grid = self.layout.grid
        touched = [
            np.unique(np.arange(n)[k] // size)
            for n, size, k in zip(grid.shape[:2], grid.chunk[:2], key[:2], strict=True)
        ]
        for i, j in itertools.product(*touched):
            piece = grid.piece(int(i), int(j))
            fault = chunk_fault(self.layout, piece)
            if fault and not (self.partial and fault == MISSING):
                file = self.layout.folder / grid.key(*piece)
                raise InputError(f"{file}: {fault}. {remedy(file, fault)}")


def to_inference_data(samples: xr.DataArray) -> arviz.InferenceData:
    """Hand samples to ArviZ (Kumar et al. 2019, doi:10.21105/joss.01143).

    Parameters
    ----------
    samples : xarray.DataArray
        Axes (draw, observation, output), of `open_samples`, `sample_ann` or `sample_snn`. They are
        read into memory.

    Returns
    -------
    arviz.InferenceData
        With the group ``posterior_predictive``: one variable, axes (chain, draw, observation,
        output), named as the samples are. Draws are independent, so one chain holds all.

    Raises
    ------
    InputError
        If the axes are others, or ArviZ below version 1 is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> samples = xr.DataArray(np.zeros((50, 3, 1)), dims=("draw", "observation", "output"))
    >>> data = to_inference_data(samples.rename("snn"))
    >>> dict(data.posterior_predictive.sizes)
    {'chain': 1, 'draw': 50, 'observation': 3, 'output': 1}
    """
    of_type("samples", samples, xr.DataArray, "`open_samples`")
    if samples.dims != DIMENSIONS:
        raise InputError(f"samples have the axes {samples.dims}; expected {DIMENSIONS}.")
    try:
        with warnings.catch_warnings():  # about its next version
            warnings.simplefilter("ignore")
            import arviz
    except ImportError:
        arviz = None  # type: ignore[assignment]
    if not hasattr(arviz, "InferenceData"):
        raise InputError("ArviZ below version 1 is needed: pip install 'spikedrop[arviz]'.")
    name = str(samples.name or "prediction")
    data = samples.rename(name).expand_dims(chain=[0]).to_dataset()
    return arviz.InferenceData(posterior_predictive=data.assign_attrs(samples.attrs))
