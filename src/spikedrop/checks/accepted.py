"""What functions accept, by the names that stand in their signatures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Union

from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from spikedrop.checks.samples import Samples

__all__ = ["Inputs", "NoiseLike", "SamplesLike", "ValuesLike"]

#: Inputs of a network with axes (observation, feature). An array or nested lists, or a table of
#: pandas, Polars or Arrow, whose columns are put into the order of the model. For several inputs a
#: mapping from their names, or a sequence in their order.
Inputs = ArrayLike | Mapping[str, ArrayLike] | Sequence[ArrayLike]

#: Predictive samples with axes (draw, observation[, output]). A `xarray.DataArray` with its axes in
#: any order, an array or nested lists; see `spikedrop.checks.samples.as_samples`.
SamplesLike = Union[ArrayLike, "Samples"]

#: What belongs to the observations of samples, with axis (observation,). An array or a list, or a
#: labelled array of xarray or pandas; see `spikedrop.checks.samples.matched`.
ValuesLike = ArrayLike

#: The sd of the observation noise. A number, one for each observation, or one for each draw and
#: observation.
NoiseLike = ArrayLike
