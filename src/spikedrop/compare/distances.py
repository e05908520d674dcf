"""How far apart two predictive samples are, paired and unpaired, and against the noise floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from spikedrop.errors import InputError

DISTANCES = ("ks", "wasserstein", "energy")


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


def _draws(samples: xr.DataArray | np.ndarray, name: str) -> np.ndarray:
    """Return samples as float64 (draw, observation) after checks."""
    values = np.asarray(samples, dtype=np.float64)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim != 2:
        raise InputError(
            f"{name} has shape {np.shape(samples)}; expected (draw, observation) or "
            "(draw, observation, 1): compare one output at a time."
        )
    if len(values) < 2:
        raise InputError(f"{name} has {len(values)} draw(s); a spread needs at least two.")
    if not np.isfinite(values).all():
        draw, observation = np.argwhere(~np.isfinite(values))[0]
        raise InputError(
            f"{name} holds NaN or infinite values, the first in draw {draw}, observation "
            f"{observation}."
        )
    return values


def predictive_sd(samples: xr.DataArray | np.ndarray, name: str = "samples") -> np.ndarray:
    """Return the standard deviation over draws, axis (observation,); an error where it is 0."""
    values = _draws(samples, name)
    constant = values.min(axis=0) == values.max(axis=0)  # rounding can leave an sd of 1e-17
    if constant.any():
        raise InputError(
            f"{name}: observation {int(np.argmax(constant))} has the same value in every draw, so "
            "there is no predictive sd to measure in; is every dropout rate 0?"
        )
    return values.std(axis=0, ddof=1)


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
    if isinstance(ann, xr.DataArray) and isinstance(snn, xr.DataArray):
        for key in ("seed", "scope"):
            a, b = ann.attrs.get(key), snn.attrs.get(key)
            if a != b:
                raise InputError(
                    f"the samples are not paired: {key} is {a!r} for one and {b!r} for the other."
                )
        if "draw" in ann.coords and "draw" in snn.coords and ann.sizes == snn.sizes:
            which = [samples["draw"].to_numpy() for samples in (ann, snn)]
            if not np.array_equal(*which):
                raise InputError(
                    f"the samples are not paired: draws {which[0][0]} to {which[0][-1]} for one "
                    f"and {which[1][0]} to {which[1][-1]} for the other."
                )
    a, b = _draws(ann, "ann"), _draws(snn, "snn")
    if a.shape != b.shape:
        raise InputError(f"ann has shape {a.shape} and snn {b.shape}; paired samples have one.")
    sd = predictive_sd(a, "ann")
    signed = (b - a) / sd
    error = np.abs(signed)
    return PairedError(
        per_observation=error.mean(axis=0),
        bias=float(signed.mean()),
        mean=float(error.mean()),
        p95=float(np.percentile(error, 95)),
        sd_ratio=float(np.median(b.std(axis=0, ddof=1) / sd)),
    )


def distances(
    a: xr.DataArray | np.ndarray, b: xr.DataArray | np.ndarray, sd: np.ndarray | None = None
) -> pd.DataFrame:
    r"""Distances between two predictive distributions, observation by observation.

    Kolmogorov-Smirnov :math:`\sup|F-G|`; Wasserstein-1 :math:`\int|F-G|`; energy distance
    :math:`\sqrt{2\int(F-G)^2}` (Székely & Rizzo 2013, doi:10.1016/j.jspi.2013.03.018). The last
    two are computed on samples divided by `sd`, so that all three have no unit. Lower is closer.

    Parameters
    ----------
    a, b : array
        Axes (draw, observation[, 1]); the numbers of draws may differ.
    sd : numpy.ndarray, optional
        Unit per observation, axis (observation,); by default the sd of `a`.

    Returns
    -------
    pandas.DataFrame
        One row an observation; columns ``ks``, ``wasserstein``, ``energy``.

    Raises
    ------
    InputError
        If the observations differ in number, values are NaN, or `sd` is not positive.

    Examples
    --------
    >>> a = np.array([[0.0], [1.0]])
    >>> distances(a, a + 1.0, sd=np.array([1.0])).round(3).to_numpy().tolist()
    [[0.5, 1.0, 1.0]]
    """
    x, y = _draws(a, "a"), _draws(b, "b")
    if x.shape[1] != y.shape[1]:
        raise InputError(f"a has {x.shape[1]} observations and b {y.shape[1]}; they must agree.")
    unit = predictive_sd(x, "a") if sd is None else np.asarray(sd, dtype=np.float64)
    if unit.shape not in ((), x.shape[1:]) or not (np.isfinite(unit) & (unit > 0)).all():
        raise InputError(
            f"sd has shape {unit.shape}; expected {x.shape[1:]} positive finite numbers."
        )
    x, y = x / unit, y / unit
    rows = [
        (
            stats.ks_2samp(p, q, method="asymp").statistic,
            stats.wasserstein_distance(p, q),
            stats.energy_distance(p, q),
        )
        for p, q in zip(x.T, y.T, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(DISTANCES)).rename_axis("observation")


def noise_floor(
    reference: xr.DataArray | np.ndarray, independent: Sequence[xr.DataArray | np.ndarray]
) -> pd.DataFrame:
    """Distances between `reference` and other ANN samples of the same size, other seeds.

    What two samples of one and the same distribution show by chance. Returns the frame of
    `distances` with the index (sample, observation).
    """
    sd = predictive_sd(reference, "reference")
    frames = [distances(reference, other, sd) for other in independent]
    if not frames:
        raise InputError("the noise floor needs at least one independent ANN sample.")
    return pd.concat(frames, keys=range(len(frames)), names=["sample"])


def beyond_floor(candidate: pd.DataFrame, floor: pd.DataFrame, level: float = 0.95) -> pd.Series:
    """Share of observations whose distance exceeds the floor's `level` quantile.

    About ``1 - level`` if the two distributions are the same; near 1 if they differ everywhere.
    One entry a distance, with `candidate` from `distances` and `floor` from `noise_floor`.

    >>> floor = pd.DataFrame({"ks": np.arange(100) / 100})
    >>> float(beyond_floor(pd.DataFrame({"ks": [0.5, 0.99]}), floor)["ks"])
    0.5
    """
    if not 0 < level < 1:
        raise InputError(f"level={level} must be between 0 and 1.")
    return (candidate > floor.quantile(level)).mean()


def distance_table(candidates: dict[str, pd.DataFrame], floor: pd.DataFrame) -> pd.DataFrame:
    """Tabulate mean distances and shares beyond the floor, the floor itself first.

    `candidates` maps a name to the frame of `distances`; columns are, for every distance, its
    mean over observations and the share of observations beyond the floor's 95 % quantile.
    """
    rows = {}
    for name, frame in {"noise floor (ANN against ANN)": floor, **candidates}.items():
        beyond = beyond_floor(frame, floor)
        rows[name] = {
            f"{d}{suffix}": value
            for d in floor.columns
            for suffix, value in (("", frame[d].mean()), (" beyond floor", beyond[d]))
        }
    return pd.DataFrame(rows).T
