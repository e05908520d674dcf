"""Open a store: lazily, labelled, whole or partial."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from spikedrop.errors import InputError
from spikedrop.store.layout import DIMENSIONS, SAMPLES, Layout, read_layout

if TYPE_CHECKING:
    import arviz


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
        If there is no store, it is damaged or of a newer format, or not finished. Damaged values
        show when they are read, as a `ValueError` about a checksum.

    Examples
    --------
    See `sample_to_store`.
    """
    return opened(read_layout(path), partial=partial)


def opened(layout: Layout, *, partial: bool = False) -> xr.DataArray:
    """`open_samples` of a store that was looked at."""
    done = len(layout.present())
    if done < layout.grid.count and not partial:
        raise InputError(
            f"{layout.path}: {done} of {layout.grid.count} chunks are finished. Run the same "
            "sampling again to go on, or open what there is with partial=True."
        )
    for name, n in zip(DIMENSIONS[:2], layout.grid.shape[:2], strict=True):
        file = (
            layout.path / name / "c.0"
        )  # xarray reads it now: a size that is claimed must be there
        if not file.is_file() or file.stat().st_size != 8 * n + 4:
            raise InputError(f"{layout.path}: is damaged, {name}/c.0 is missing or cut off.")
    try:
        whole = xr.open_zarr(layout.path, chunks=None, consolidated=False, zarr_format=3)
        samples = whole[SAMPLES].rename(str(layout.attributes["kind"]))
    except Exception as error:  # a damaged file can fail anywhere in Zarr
        raise InputError(f"{layout.path}: is damaged ({error}).") from None
    return samples.assign_attrs(layout.attributes)


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
    """
    if samples.dims != DIMENSIONS:
        raise InputError(f"samples have the axes {samples.dims}; expected {DIMENSIONS}.")
    try:
        with warnings.catch_warnings():  # about its next version
            warnings.simplefilter("ignore")
            import arviz
    except ImportError:
        arviz = None
    if not hasattr(arviz, "InferenceData"):
        raise InputError("ArviZ below version 1 is needed: pip install 'spikedrop[arviz]'.")
    name = str(samples.name or "prediction")
    data = samples.rename(name).expand_dims(chain=[0]).to_dataset()
    return arviz.InferenceData(posterior_predictive=data.assign_attrs(samples.attrs))
