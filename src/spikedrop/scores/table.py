"""Every score of two networks side by side, and of several methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from spikedrop.checks.accepted import NoiseLike, SamplesLike, ValuesLike
from spikedrop.checks.arguments import real_number
from spikedrop.checks.samples import aligned, as_samples, pair
from spikedrop.errors import InputError
from spikedrop.scores._checks import noise_of
from spikedrop.scores.accuracy import r2, r2_of_mean, rmse, rmse_of_mean, tau
from spikedrop.scores.bootstrap import paired_bootstrap
from spikedrop.scores.calibration import (
    LEVELS,
    central_interval,
    coverage,
    curve_error,
    predictive_moments,
    ratio,
)
from spikedrop.scores.density import gaussian_log_densities, log_densities, log_likelihood
from spikedrop.scores.points import point_samples
from spikedrop.scores.proper import crps_values, interval_scores
from spikedrop.scores.refusal import error_correlation, rank_correlation, risk_of

__all__ = ["fitted_point", "method_table", "score_table"]


@dataclass(frozen=True, eq=False)
class Scored:
    """What each score needs of each observation; every array has axis (observation,)."""

    y: np.ndarray
    mean: np.ndarray
    draw_sd: np.ndarray
    sd: np.ndarray
    log_density: np.ndarray
    gaussian_log_density: np.ndarray
    crps: np.ndarray
    interval_score: np.ndarray
    inside: np.ndarray
    width: np.ndarray

    def rows(self, rows: np.ndarray) -> Scored:
        """Return the observations at the given positions."""
        return Scored(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @property
    def error(self) -> np.ndarray:
        """Absolute error of the mean."""
        return np.abs(self.y - self.mean)


def scored(
    samples: SamplesLike,
    y: ValuesLike,
    noise_sd: NoiseLike,
    level: float = 0.9,
) -> Scored:
    """Compute what each score needs of each observation; arguments as in `score_table`."""
    samples, y = pair(samples, y, least=2)
    noise_of(noise_sd, samples, zero=False)
    mean, sd = predictive_moments(samples, noise_sd)
    low, high = central_interval(samples, noise_sd, level)
    return Scored(
        y=y,
        mean=mean,
        draw_sd=predictive_moments(samples)[1],
        sd=sd,
        log_density=log_densities(samples, y, noise_sd),
        gaussian_log_density=gaussian_log_densities(samples, y, noise_sd),
        crps=crps_values(samples, y, noise_sd),
        interval_score=interval_scores(low, high, y, level),
        inside=(low <= y) & (y <= high),
        width=high - low,
    )


@dataclass(frozen=True)
class Score:
    """A score in the table: its function, its direction, and its unit if not that of `y`."""

    of: Callable[[Scored], float]
    better: str
    unit: str | None = None


def _scores_at(level: float) -> dict[str, Score]:
    """Return the scores of the table by name; `level` is that of the intervals."""
    percent = f"{100 * level:g} %"
    return {
        "R2": Score(lambda s: r2_of_mean(s.mean, s.y), "higher", ""),
        "RMSE": Score(lambda s: rmse_of_mean(s.mean, s.y), "lower"),
        "Kendall tau": Score(lambda s: tau(s.mean, s.y), "higher", ""),
        "log likelihood": Score(lambda s: float(s.log_density.mean()), "higher", "nat"),
        "Gaussian log likelihood": Score(
            lambda s: float(s.gaussian_log_density.mean()), "higher", "nat"
        ),
        "CRPS": Score(lambda s: float(s.crps.mean()), "lower"),
        f"{percent} interval score": Score(lambda s: float(s.interval_score.mean()), "lower"),
        f"{percent} coverage": Score(lambda s: float(s.inside.mean()), f"near {level:g}", ""),
        f"{percent} width": Score(lambda s: float(s.width.mean()), "lower, if calibrated"),
        "sharpness": Score(lambda s: float(np.sqrt(np.mean(s.sd**2))), "lower, if calibrated"),
        "calibration error": Score(
            lambda s: curve_error(ratio(s.error, s.sd), LEVELS), "lower", ""
        ),
        "risk-coverage area": Score(lambda s: float(risk_of(s.sd, s.error).mean()), "lower"),
        "sd tracks error": Score(lambda s: rank_correlation(s.draw_sd, s.error), "higher", ""),
    }


def score_table(
    ann: SamplesLike,
    snn: SamplesLike,
    y: ValuesLike,
    noise_sd: NoiseLike,
    *,
    snn_noise_sd: float | np.ndarray | None = None,
    seed: int,
    level: float = 0.9,
    resamples: int = 1000,
    confidence: float = 0.95,
    unit: str = "unit of y",
    beside: Mapping[str, tuple[np.ndarray, float | np.ndarray]] | None = None,
) -> pd.DataFrame:
    """Every score for the ANN and the SNN, and a bootstrap interval of their difference.

    Parameters
    ----------
    ann, snn : xarray.DataArray or array
        Axes (draw, observation[, 1]); at least two draws each, not necessarily as many.
    y : array
        What was observed, axis (observation,), at least two and not all the same.
    noise_sd : float or array
        Observation noise, positive, as in `log_likelihood`; see `fit_noise_sd` and
        `mean_and_noise`.
    snn_noise_sd : float or array, optional
        That of the SNN; by default the same.
    seed : int
        Of the bootstrap, see `paired_bootstrap`.
    level : float, default 0.9
        Nominal coverage of the intervals that are scored.
    resamples, confidence : int and float
        Of the bootstrap.
    unit : str, default "unit of y"
        The unit of `y`, for the table.
    beside : mapping, optional
        Other methods on the same observations, such as a null model: name to samples and noise sd,
        as in `method_table`. Each is a column; one that does not exist everywhere is scored where
        it does, and the column's name says on what share of the rows.

    Returns
    -------
    pandas.DataFrame
        One row per score; columns ``ANN``, ``SNN``, ``SNN - ANN``, ``low`` and ``high`` of the
        difference, those of `beside`, ``better`` (the direction) and ``unit``. A score that has no
        answer, such as a ranking by constant predictions, is NaN.

    Raises
    ------
    InputError
        If shapes disagree, a value is NaN, there are too few draws or observations, or a level is
        not in (0, 1).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y, draws = rng.normal(size=50), rng.normal(size=(20, 50))
    >>> table = score_table(draws, draws, y, 0.5, seed=0, resamples=10)
    >>> float(table["SNN - ANN"].abs().max()), float(table["high"].max())
    (0.0, 0.0)
    """
    level = real_number("level", level, above=0, below=1)
    ann, y = pair(ann, y, least=2, name="ann")
    snn = aligned(ann, as_samples(snn, "snn", least=2))
    if y.min() == y.max():
        raise InputError("every observation has the same value: R2 has nothing to explain.")
    both = (
        scored(ann, y, noise_sd, level),
        scored(snn, y, noise_sd if snn_noise_sd is None else snn_noise_sd, level),
    )
    scores = _scores_at(level)

    def difference(rows: np.ndarray) -> np.ndarray:
        a, b = (each.rows(rows) for each in both)
        return np.array([score.of(b) - score.of(a) for score in scores.values()])

    low, high = paired_bootstrap(
        difference, len(y), seed=seed, resamples=resamples, level=confidence
    )
    table = pd.DataFrame(
        {
            "ANN": [score.of(both[0]) for score in scores.values()],
            "SNN": [score.of(both[1]) for score in scores.values()],
        },
        index=list(scores),
    )
    table["SNN - ANN"] = table["SNN"] - table["ANN"]
    table["low"], table["high"] = low, high
    for name, (samples, noise) in (beside or {}).items():
        samples, there, share = _existing(samples, y)
        other = scored(samples, there, noise, level)
        column = name if share == 1 else f"{name}, {100 * share:.1f} % of rows"
        table[column] = [score.of(other) for score in scores.values()]
    table["better"] = [score.better for score in scores.values()]
    table["unit"] = [unit if score.unit is None else score.unit for score in scores.values()]
    return table


def method_table(methods: Mapping[Any, tuple[SamplesLike, float]], y: ValuesLike) -> pd.DataFrame:
    """Tabulate the scores of several methods on the same observations.

    An array (draw, observation) may be NaN in all draws where a method does not exist
    (`point_samples` of a null model): it is scored on the other rows.

    Parameters
    ----------
    methods : mapping
        Name to predictive samples, axes (draw, observation[, 1]), at least two draws, and the noise
        sd chosen for them on validation records.
    y : array
        What was observed, axis (observation,).

    Returns
    -------
    pandas.DataFrame
        One row per method: ``rows covered`` (the share of observations), ``R2``, ``RMSE``,
        ``noise sd`` and ``sd of draws`` (mean) in the unit of `y`, ``log likelihood`` in nats,
        ``90 % coverage`` and ``sd tracks error`` (`error_correlation`).

    Raises
    ------
    InputError
        As `r2`, `log_likelihood` and `coverage`.

    Examples
    --------
    >>> half = np.array([[0.5, np.nan, 2.0], [0.5, np.nan, 2.0]])
    >>> table = method_table({"null model": (half, 0.5)}, np.array([0.0, 1.0, 2.0]))
    >>> table["rows covered"].round(2).to_dict()
    {'null model': 0.67}
    """
    rows = {}
    for name, (samples, noise_sd) in methods.items():
        samples, there, share = _existing(samples, y)
        rows[name] = {
            "rows covered": share,
            "R2": r2(samples, there),
            "RMSE": rmse(samples, there),
            "noise sd": noise_sd,
            "sd of draws": float(predictive_moments(samples)[1].mean()),
            "log likelihood": log_likelihood(samples, there, noise_sd),
            "90 % coverage": coverage(samples, there, noise_sd),
            "sd tracks error": error_correlation(samples, there),
        }
    return pd.DataFrame(rows).T


def fitted_point(
    validation: tuple[np.ndarray, np.ndarray], predicted: np.ndarray
) -> tuple[np.ndarray, float]:
    """Give a model without a spread the noise of its validation records, for `method_table`.

    Parameters
    ----------
    validation : pair of numpy.ndarray
        Its predictions on the validation records and what was observed there, axis (row,); NaN
        where the model does not exist.
    predicted : numpy.ndarray
        Its predictions, axis (observation,).

    Returns
    -------
    samples, noise_sd : array and float
        Two equal draws of the predictions, axes (draw, observation); and the root mean squared
        error on the validation records, which is the noise of the greatest likelihood.

    Raises
    ------
    InputError
        If the model exists on none of the validation records.

    Examples
    --------
    >>> before, observed = np.array([0.0, np.nan]), np.array([0.3, 9.0])
    >>> samples, noise_sd = fitted_point((before, observed), np.ones(2))
    >>> samples.shape, noise_sd
    ((2, 2), 0.3)
    """
    before, observed = validation
    before, observed, _ = _existing(point_samples(before), np.asarray(observed, float))
    if not np.asarray(before).size:
        raise InputError("validation: the model exists on none of these records.")
    return point_samples(predicted), rmse(before, observed)


def _existing(samples: SamplesLike, y: ValuesLike) -> tuple[SamplesLike, ValuesLike, float]:
    """Leave out the observations where every draw of a plain array is NaN; the share that stays.

    There the model does not exist. NaN in only some draws is a fault, and is left for the scores
    to refuse.
    """
    if not isinstance(samples, np.ndarray) or samples.ndim != 2 or samples.dtype.kind != "f":
        return samples, y, 1.0
    here = ~np.isnan(samples).all(axis=0)
    if here.all():
        return samples, y, 1.0
    if here.shape != np.shape(y):
        raise InputError(f"samples has shape {samples.shape}, and y {np.shape(y)}.")
    return samples[:, here], np.asarray(y)[here], float(here.mean())
