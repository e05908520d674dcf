"""Two samples drawn with the same masks: their difference, draw by draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from spikedrop.checks.accepted import SamplesLike
from spikedrop.checks.samples import Samples, blocks, both, per_observation
from spikedrop.comparison.draws import centre_and_sd, pairing_fault
from spikedrop.errors import InputError

__all__ = ["PairedError", "certificate", "paired_error"]


@dataclass(frozen=True)
class PairedError:
    r"""Difference of two samples drawn with the same masks, in predictive standard deviations.

    For observation i and draws s, with :math:`\sigma_i` the standard deviation of the ANN's
    draws,

    .. math:: e_{si} = |y^\mathrm{SNN}_{si} - y^\mathrm{ANN}_{si}| / \sigma_i .

    Lower is better; 0 is identity. Per observation the mean of :math:`e_{si}` bounds the
    Wasserstein-1 distance between the two predictive distributions from above, in the same
    unit, because the pairing is one coupling of the two.

    Attributes
    ----------
    per_observation : numpy.ndarray
        Mean over draws, axis (observation,).
    bias : float
        Root mean square over observations of the mean signed difference: what more draws would not
        average out. It is not averaged over signs, which would hide it.
    mean, p95, largest : float
        Mean, 95th percentile and maximum of :math:`e_{si}` over draws and observations.
    sd_ratio : float
        Median over observations of SNN sd / ANN sd; 1 is faithful.
    """

    per_observation: np.ndarray
    bias: float
    mean: float
    p95: float
    largest: float
    sd_ratio: float

    def columns(self) -> dict[str, float]:
        """Return ``error``, ``error p95``, ``bias`` and ``sd ratio``, columns of a table."""
        values = (self.mean, self.p95, self.bias, self.sd_ratio)
        return dict(zip(("error", "error p95", "bias", "sd ratio"), values, strict=True))

    def row(self) -> dict[str, float]:
        """Return the summary numbers as one row of a table."""
        return {
            "mean paired error / sd": self.mean,
            "95th percentile / sd": self.p95,
            "largest / sd": self.largest,
            "bias / sd": self.bias,
            "sd ratio": self.sd_ratio,
        }


def _paired(ann: object, snn: object) -> tuple[Samples, Samples, np.ndarray, np.ndarray]:
    """Return both samples, and mean and sd of the first, after checks."""
    fault = pairing_fault(ann, snn)
    if fault:
        raise InputError(f"the samples are not paired: {fault}")
    a, b = both(ann, snn, ("ann", "snn"), outputs="one", paired=True)
    return a, b, *centre_and_sd(a)


def paired_error(ann: SamplesLike, snn: SamplesLike) -> PairedError:
    """Compare draw by draw two samples with the same masks.

    Parameters
    ----------
    ann, snn : xarray.DataArray or array
        Axes (draw, observation[, 1]), same shape, same seed and scope.

    Returns
    -------
    PairedError
        In predictive sd of `ann`; lower is better, 0 is identity.

    Raises
    ------
    InputError
        If shapes, seeds, scopes or draw numbers differ, values are NaN, or an observation has no
        spread.

    Examples
    --------
    >>> ann = np.array([[0.0, 0.0], [2.0, 4.0]])
    >>> error = paired_error(ann, ann + [[0.1, 0.0], [0.1, 0.0]])
    >>> error.per_observation.round(4).tolist()  # 0.1 / sd, the sd of (0, 2) being 1.4142
    [0.0707, 0.0]
    """
    a, b, _, sd = _paired(ann, snn)
    largest = _Largest(a.shape[0] * a.shape[1], 0.95)
    total, means, signed_means, ratios = 0.0, [], [], []
    for columns, (x, z) in blocks(a, b):
        signed = (z - x) / sd[columns]
        error = np.abs(signed)
        means.append(error.mean(axis=0))
        signed_means.append(signed.mean(axis=0))
        total += float(error.sum())
        ratios.append(z.std(axis=0, ddof=1) / sd[columns])
        largest.add(error.ravel())
    return PairedError(
        per_observation=np.concatenate(means),
        bias=float(np.sqrt(np.mean(np.concatenate(signed_means) ** 2))),
        mean=total / largest.count,
        p95=largest.quantile(),
        largest=largest.top(),
        sd_ratio=float(np.median(np.concatenate(ratios))),
    )


class _Largest:
    """A high quantile of many numbers that come in parts, without keeping the low ones."""

    def __init__(self, count: int, quantile: float) -> None:
        place, self.fraction = divmod(quantile * (count - 1), 1)
        self.count, self.kept = count, count - int(place)
        self.parts: list[np.ndarray] = []
        self.least, self.held = -np.inf, 0

    def add(self, values: np.ndarray) -> None:
        values = values[values >= self.least]
        self.parts.append(values)
        self.held += len(values)
        if self.held > 2 * self.kept:
            top = self._top()
            self.parts, self.least, self.held = [top], top.min(), len(top)

    def _top(self) -> np.ndarray:
        values = np.concatenate(self.parts)
        spare = max(0, len(values) - self.kept)
        return np.partition(values, spare)[spare:]

    def top(self) -> float:
        """The largest."""
        return float(max(part.max() for part in self.parts))

    def quantile(self) -> float:
        """Linear between two of the numbers, as NumPy's."""
        top = self._top()
        around = np.partition(top, 1)[:2] if len(top) > 1 else top
        return float(np.quantile(around, self.fraction))


def certificate(ann: SamplesLike, snn: SamplesLike) -> pd.DataFrame:
    r"""Wasserstein-1 distance of each observation, and what the pairing proves about it.

    .. math:: W_1(\hat F_i, \hat G_i) = \inf_\pi \mathbb E_\pi |u - v|
              \le \frac1S \sum_s |y^\mathrm{SNN}_{si} - y^\mathrm{ANN}_{si}|

    The infimum is over all couplings of the two distributions, and pairing by masks is one of
    them (Villani 2009, doi:10.1007/978-3-540-71050-9). It needs no test and no assumption.

    Parameters
    ----------
    ann, snn : see `paired_error`

    Returns
    -------
    pandas.DataFrame
        One row per observation; ``wasserstein`` and ``bound``, both in predictive sd.

    Examples
    --------
    >>> ann = np.array([[0.0], [1.0]])
    >>> certificate(ann, ann[::-1]).round(3).to_numpy().tolist()  # the same two values, crossed
    [[0.0, 1.414]]
    """
    a, b, _, sd = _paired(ann, snn)

    def transport(a: np.ndarray, b: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        distance = list(map(stats.wasserstein_distance, (a / sd).T, (b / sd).T))
        return np.array(distance), (np.abs(b - a) / sd).mean(axis=0)

    distance, bound = per_observation(transport, a, b, sd)
    return pd.DataFrame({"wasserstein": distance, "bound": bound}).rename_axis("observation")
