"""Distances between two predictive samples, observation by observation, and the noise floor."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from spikedrop.checks.accepted import SamplesLike
from spikedrop.checks.arguments import real_number
from spikedrop.checks.samples import as_samples, both, per_observation, plain
from spikedrop.comparison.draws import predictive_sd
from spikedrop.comparison.kernel import marginal_features
from spikedrop.errors import InputError

__all__ = ["beyond_floor", "distance_table", "distances", "exchanged_floor", "noise_floor"]

DISTANCES = ("ks", "anderson_darling", "wasserstein", "energy", "mmd")


def distances(a: SamplesLike, b: SamplesLike, sd: np.ndarray | None = None) -> pd.DataFrame:
    r"""Distances between two predictive distributions, observation by observation.

    Kolmogorov-Smirnov :math:`\sup|F-G|`; Anderson-Darling, the two-sample statistic of Scholz &
    Stephens 1987 (doi:10.1080/01621459.1987.10478517), standardised, so that chance gives 0 on
    average at any number of draws; Wasserstein-1 :math:`\int|F-G|`; energy distance
    :math:`\sqrt{2\int(F-G)^2}` (Székely & Rizzo 2013, doi:10.1016/j.jspi.2013.03.018); maximum
    mean discrepancy of a Gaussian kernel one sd wide (Gretton et al. 2012,
    https://jmlr.org/papers/v13/gretton12a.html). The last three are computed on samples divided by
    `sd`, so that all have no unit. Lower is closer.

    Parameters
    ----------
    a, b : xarray.DataArray or array
        Axes (draw, observation[, 1]); the numbers of draws may differ.
    sd : numpy.ndarray, optional
        Unit per observation, axis (observation,); by default the sd of `a`.

    Returns
    -------
    pandas.DataFrame
        One row per observation; columns ``ks``, ``anderson_darling``, ``wasserstein``, ``energy``,
        ``mmd``.

    Raises
    ------
    InputError
        If the observations differ in number, values are NaN, or `sd` is not positive.

    Examples
    --------
    >>> a = np.array([[0.0], [1.0]])
    >>> table = distances(a, a + 1.0, sd=np.array([1.0]))
    >>> table[["ks", "wasserstein", "energy"]].round(3).to_numpy().tolist()
    [[0.5, 1.0, 1.0]]
    """
    x, y = both(a, b, outputs="one")
    unit = predictive_sd(x) if sd is None else np.asarray(plain(sd, "sd"), np.float64)
    if unit.shape not in ((), x.shape[1:]) or not (np.isfinite(unit) & (unit > 0)).all():
        raise InputError(
            f"sd has shape {unit.shape}; expected {x.shape[1:]} positive finite numbers."
        )
    return _frame(per_observation(_distances, x, y, unit))


def _distances(x: np.ndarray, y: np.ndarray, unit: np.ndarray) -> tuple[np.ndarray, ...]:
    rows = [
        (
            stats.ks_2samp(p, q, method="asymp").statistic,
            # 0 where both are one and the same value everywhere
            anderson_darling(p, q).statistic if np.ptp(np.concatenate([p, q])) else 0.0,
            stats.wasserstein_distance(p, q),
            stats.energy_distance(p, q),
            _mmd(p, q),
        )
        for p, q in zip((x / unit).T, (y / unit).T, strict=True)
    ]
    return tuple(np.array(rows).T)


def _frame(columns: tuple[np.ndarray, ...]) -> pd.DataFrame:
    table = pd.DataFrame(dict(zip(DISTANCES, columns, strict=True)))
    return table.rename_axis("observation")


def anderson_darling(p: np.ndarray, q: np.ndarray) -> Any:
    """SciPy's test of two samples, without its warning that p-values end at 0.001 and 0.25."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return stats.anderson_ksamp([p, q], variant="midrank")


def _mmd(p: np.ndarray, q: np.ndarray) -> float:
    centre = p.mean()
    u, v = (marginal_features((s - centre)[:, None], 1).mean(axis=0) for s in (p, q))
    return float(np.linalg.norm(u - v))


def noise_floor(reference: SamplesLike, independent: Sequence[SamplesLike]) -> pd.DataFrame:
    """Distances between `reference` and other ANN samples of the same size, other seeds.

    What two samples of one and the same distribution show by chance.

    Parameters
    ----------
    reference : xarray.DataArray or array
        Axes (draw, observation[, 1]).
    independent : sequence of samples
        Of the same law, other seeds, as many draws.

    Returns
    -------
    pandas.DataFrame
        The columns of `distances`, in predictive sd of `reference`; index (sample, observation).

    Raises
    ------
    InputError
        If there are no independent samples, or shapes differ.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ann, again = rng.normal(size=(2, 100, 3))
    >>> floor = noise_floor(ann, [again])
    >>> floor.shape, bool(floor["wasserstein"].max() < 0.5)  # in predictive sd
    ((3, 5), True)
    """
    reference = as_samples(reference, "reference", least=2)
    sd = predictive_sd(reference)
    frames = [distances(reference, other, sd) for other in independent]
    if not frames:
        raise InputError("the noise floor needs at least one independent ANN sample.")
    return pd.concat(frames, keys=range(len(frames)), names=["sample"])


def exchanged_floor(a: SamplesLike, b: SamplesLike, *, seed: int, repeats: int = 5) -> pd.DataFrame:
    """Noise floor without more sampling: draws of `a` and `b` exchanged at random.

    What chance gives if both samples have one law; `noise_floor` of independent samples needs no
    such "if".

    Parameters
    ----------
    a, b : xarray.DataArray or array
        Axes (draw, observation[, 1]), at least two draws.
    seed : int
        Of the exchanges.
    repeats : int, default 5
        How often draws are exchanged.

    Returns
    -------
    pandas.DataFrame
        As `noise_floor`, in predictive sd of `a`.

    Raises
    ------
    InputError
        If the observations differ in number, values are NaN, or `a` is constant at an observation.

    Examples
    --------
    >>> a, b = np.random.default_rng(0).normal(size=(2, 100, 3))
    >>> floor = exchanged_floor(a, b, seed=0)
    >>> floor.shape, bool(floor["wasserstein"].max() < 0.5)  # in predictive sd
    ((15, 5), True)
    """
    x, y = both(a, b, outputs="one")
    sd = predictive_sd(x)
    rng = np.random.default_rng(seed)

    def exchanged(order: np.ndarray) -> pd.DataFrame:
        def mixed(a: np.ndarray, b: np.ndarray, unit: np.ndarray) -> tuple[np.ndarray, ...]:
            first, second = np.split(np.concatenate([a, b])[order], [len(a)])
            return _distances(first, second, unit)

        return _frame(per_observation(mixed, x, y, sd))

    frames = [exchanged(rng.permutation(len(x) + len(y))) for _ in range(repeats)]
    return pd.concat(frames, keys=range(repeats), names=["sample"])


def beyond_floor(candidate: pd.DataFrame, floor: pd.DataFrame, level: float = 0.95) -> pd.Series:
    """Share of observations whose distance exceeds the floor's `level` quantile.

    About ``1 - level`` if the two distributions are the same; near 1 if they differ everywhere.

    Parameters
    ----------
    candidate : pandas.DataFrame
        From `distances`.
    floor : pandas.DataFrame
        From `noise_floor`, with the same columns.
    level : float, default 0.95
        Quantile of the floor, in (0, 1).

    Returns
    -------
    pandas.Series
        One share per distance, from 0 to 1; lower is closer.

    Raises
    ------
    InputError
        If `level` is not between 0 and 1.

    Examples
    --------
    >>> floor = pd.DataFrame({"ks": np.arange(100) / 100})
    >>> float(beyond_floor(pd.DataFrame({"ks": [0.5, 0.99]}), floor)["ks"])
    0.5
    """
    real_number("level", level, above=0, below=1)
    return (candidate > floor.quantile(level)).mean()


def distance_table(candidates: dict[str, pd.DataFrame], floor: pd.DataFrame) -> pd.DataFrame:
    """Tabulate mean distances and shares beyond the floor, the floor itself first.

    Parameters
    ----------
    candidates : dict of pandas.DataFrame
        Name to the frame of `distances`.
    floor : pandas.DataFrame
        From `noise_floor`.

    Returns
    -------
    pandas.DataFrame
        One row per name; for every distance a column with its mean over observations, and a column
        ``... beyond floor`` with the share of observations beyond the floor's 95 % quantile. Lower
        is closer.

    Examples
    --------
    >>> ann, again, snn = np.random.default_rng(0).normal(size=(3, 100, 3))
    >>> floor = noise_floor(ann, [again])
    >>> table = distance_table({"shifted": distances(ann, snn + 1)}, floor)
    >>> table["wasserstein beyond floor"].tolist()
    [0.3333333333333333, 1.0]
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
