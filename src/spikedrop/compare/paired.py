"""Two samples drawn with the same masks: their difference, draw by draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from spikedrop.compare.draws import both, centre_and_sd, pairing_fault
from spikedrop.errors import InputError
from spikedrop.predictive import Samples, blocks, per_observation


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
        Mean signed difference over draws and observations, in predictive sd.
    mean, p95 : float
        Mean and 95th percentile of :math:`e_{si}` over draws and observations.
    sd_ratio : float
        Median over observations of SNN sd / ANN sd; 1 is faithful.
    """

    per_observation: np.ndarray
    bias: float
    mean: float
    p95: float
    sd_ratio: float

    def row(self) -> dict[str, float]:
        """Return the summary numbers as one row of a table."""
        return {
            "mean paired error / sd": self.mean,
            "95th percentile / sd": self.p95,
            "bias / sd": self.bias,
            "sd ratio": self.sd_ratio,
        }


def _paired(ann: object, snn: object) -> tuple[Samples, Samples, np.ndarray, np.ndarray]:
    """Return both samples, and mean and sd of the first, after checks."""
    fault = pairing_fault(ann, snn)
    if fault:
        raise InputError(f"the samples are not paired: {fault}")
    a, b = both(ann, snn, ("ann", "snn"), outputs="one")
    if a.shape != b.shape:
        raise InputError(f"ann has shape {a.shape} and snn {b.shape}; paired samples have one.")
    return a, b, *centre_and_sd(a)


def paired_error(ann: xr.DataArray | np.ndarray, snn: xr.DataArray | np.ndarray) -> PairedError:
    """Compare draw by draw two samples with the same masks.

    Parameters
    ----------
    ann, snn : array
        Axes (draw, observation[, 1]), same shape, same seed and scope.

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
    sums, means, ratios = np.zeros(2), [], []
    for columns, (x, z) in blocks(a, b):
        signed = (z - x) / sd[columns]
        error = np.abs(signed)
        means.append(error.mean(axis=0))
        sums += signed.sum(), error.sum()
        ratios.append(z.std(axis=0, ddof=1) / sd[columns])
        largest.add(error.ravel())
    return PairedError(
        per_observation=np.concatenate(means),
        bias=float(sums[0] / largest.count),
        mean=float(sums[1] / largest.count),
        p95=largest.quantile(),
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

    def quantile(self) -> float:
        """Linear between two of the numbers, as NumPy's."""
        top = self._top()
        around = np.partition(top, 1)[:2] if len(top) > 1 else top
        return float(np.quantile(around, self.fraction))


def certificate(ann: xr.DataArray | np.ndarray, snn: xr.DataArray | np.ndarray) -> pd.DataFrame:
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
        One row an observation; ``wasserstein`` and ``bound``, both in predictive sd.

    Examples
    --------
    >>> ann = np.array([[0.0], [1.0]])
    >>> certificate(ann, ann[::-1]).round(3).to_numpy().tolist()  # the same two values, crossed
    [[0.0, 1.414]]
    """
    a, b, _, sd = _paired(ann, snn)
    distance, bound = per_observation(_transport, a, b, sd)
    return pd.DataFrame({"wasserstein": distance, "bound": bound}).rename_axis("observation")


def _transport(a: np.ndarray, b: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pairs = zip((a / sd).T, (b / sd).T, strict=True)
    distance = [stats.wasserstein_distance(p, q) for p, q in pairs]
    return np.array(distance), (np.abs(b - a) / sd).mean(axis=0)


def mean_error_bounds(
    ann: xr.DataArray | np.ndarray, snn: xr.DataArray | np.ndarray, level: float = 0.05
) -> tuple[float, float]:
    r"""Lower and upper confidence bound of the mean paired error, each with confidence 1 - level.

    The draws are the sample; the observations are those at hand. Numerator and predictive sd come
    from the same draws and the observations of a draw belong together, so the standard error is
    the jackknife's over draws (Efron & Stein 1981, doi:10.1214/aos/1176345462), with Student's t
    on S - 1 degrees of freedom.

    Returns
    -------
    tuple of float
        In predictive sd. With two draws nothing is known: (0, inf).

    Examples
    --------
    >>> ann = np.random.default_rng(0).normal(size=(50, 4))
    >>> mean_error_bounds(ann, ann)
    (0.0, 0.0)
    """
    a, b, centre, sd = _paired(ann, snn)
    n = len(a)
    without, errors = np.zeros(n), []
    for columns, (x, z) in blocks(a, b):
        gap, unit = np.abs(z - x), sd[columns]
        left = (gap.sum(axis=0) - gap) / (n - 1)
        squares = (n - 1) * unit**2 - n / (n - 1) * (x - centre[columns]) ** 2
        if n < 3 or (squares <= 0).any():
            return 0.0, float("inf")
        without += (left / np.sqrt(squares / (n - 2))).sum(axis=1)  # one draw left out
        errors.append(gap.mean(axis=0) / unit)
    without /= a.shape[1]
    estimate = float(np.concatenate(errors).mean())
    pseudo = n * estimate - (n - 1) * without
    reach = stats.t.ppf(1 - level, n - 1) * pseudo.std(ddof=1) / np.sqrt(n)
    centre = float(pseudo.mean())  # less the bias of few draws; the plain mean stays inside
    return max(0.0, min(centre - float(reach), estimate)), max(centre + float(reach), estimate)
