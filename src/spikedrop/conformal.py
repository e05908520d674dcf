"""Conformal intervals on top of predictive samples: coverage that needs no model of the noise."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import stats
from sklearn.base import BaseEstimator, RegressorMixin

from spikedrop.errors import InputError
from spikedrop.scores._checks import draws_of, level_of, pair
from spikedrop.scores.calibration import predictive_moments


class _Column(RegressorMixin, BaseEstimator):
    """Predict one column of the input: MAPIE wants regressors, and the predictions exist."""

    def __init__(self, column: int = 0) -> None:
        self.column = column
        self.n_features_in_ = 2

    def fit(self, x: np.ndarray, y: np.ndarray) -> _Column:
        """Learn nothing."""
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the column, axis (observation,)."""
        return np.asarray(x)[:, self.column]


def conformal_interval(
    held_out: xr.DataArray | np.ndarray,
    y_held_out: np.ndarray,
    samples: xr.DataArray | np.ndarray,
    *,
    level: float = 0.9,
    noise_sd: float | np.ndarray = 0.0,
    held_out_noise_sd: float | np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Split-conformal intervals that follow the predictive sd, by MAPIE.

    With mean :math:`\mu` and sd :math:`\sigma` of draws and noise at each observation, the scores
    of the n held-out rows are :math:`e_j = |y_j - \mu_j| / \sigma_j`, and with
    :math:`\hat q` the :math:`\lceil (n+1)\,\mathrm{level} \rceil`-th smallest of them the interval
    is

    .. math:: \mu_i \pm \hat q\, \sigma_i .

    If the held-out rows and the others are exchangeable, it holds the observation with probability
    at least `level`, whatever the network, the draws and the noise are worth (Lei et al. 2018,
    doi:10.1080/01621459.2017.1307116; computed by MAPIE's `SplitConformalRegressor` with a
    `ResidualNormalisedScore`). The promise is an average over observations and over choices of
    the held-out rows (`coverage_limits`), and it does not reach beyond exchangeable rows: not to
    drugs or pairs that the held-out rows do not stand for.

    Parameters
    ----------
    held_out : array
        Samples for the held-out rows, axes (draw, row[, 1]), at least two draws. Rows that neither
        the training, nor its stopping, nor the choice of the noise have seen.
    y_held_out : numpy.ndarray
        What was observed there, axis (row,).
    samples : array
        Samples for the observations to be predicted, axes (draw, observation[, 1]), from the same
        network with as many draws.
    level : float
        Nominal coverage.
    noise_sd : float or array
        Observation noise at the observations, in the unit of `y_held_out`; see `mean_and_noise`. 0
        lets the spread of the draws alone shape the intervals.
    held_out_noise_sd : float or array, optional
        That of the held-out rows; by default `noise_sd`, which then is one number.

    Returns
    -------
    lower, upper : numpy.ndarray
        Axis (observation,), in the unit of `y_held_out`.

    Raises
    ------
    InputError
        If shapes disagree, a value is NaN, an observation has neither spread nor noise, the
        numbers of draws differ, or the held-out rows are too few for the level.

    Examples
    --------
    >>> held_out = np.repeat([[-1.0], [1.0]], 19, axis=1)
    >>> low, high = conformal_interval(
    ...     held_out, np.arange(19.0), np.array([[4.0], [6.0]]), level=0.5
    ... )
    >>> low.round(6).tolist(), high.round(6).tolist()  # the 10th of 0, 1, ... is 9
    ([-4.0], [14.0])
    """
    from mapie.conformity_scores import ResidualNormalisedScore
    from mapie.regression import SplitConformalRegressor

    level = level_of(level)
    held, y = pair(held_out, y_held_out, least=2)
    values = draws_of(samples, least=2)
    if len(held) != len(values):
        raise InputError(
            f"{len(held)} draws of the held-out rows and {len(values)} of the others: take as "
            "many, because the spread of few draws is another statistic than that of many."
        )
    if held_out_noise_sd is None:
        if np.ndim(noise_sd):
            raise InputError("noise_sd is an array: give held_out_noise_sd for the other rows.")
        held_out_noise_sd = noise_sd
    least = int(np.ceil(max(1 / (1 - level), 1 / level)))
    if len(y) < least:
        raise InputError(f"{len(y)} held-out rows; level={level} needs at least {least}.")
    conformal = SplitConformalRegressor(
        _Column(0),
        confidence_level=level,
        conformity_score=ResidualNormalisedScore(_Column(1), prefit=True),
        prefit=True,
    )
    conformal.conformalize(_mean_and_sd(held, held_out_noise_sd, "held-out row"), y)
    _, bounds = conformal.predict_interval(_mean_and_sd(values, noise_sd, "observation"))
    return bounds[:, 0, 0], bounds[:, 1, 0]


def divided_coverage(
    samples: xr.DataArray | np.ndarray,
    y: np.ndarray,
    *,
    held_out: int,
    divisions: int,
    seed: int,
    level: float = 0.9,
    noise_sd: float = 0.0,
) -> np.ndarray:
    """Coverage of `conformal_interval` over random divisions of the same rows.

    One division is one throw of the dice. Each makes intervals from `held_out` rows chosen at
    random and counts what they hold of the others. Rows divided at random are exchangeable, so
    over all divisions the mean is `level` or a little more, whatever the network is worth.

    Parameters
    ----------
    samples : array
        Axes (draw, row[, 1]), of rows that nothing has looked at.
    y : numpy.ndarray
        What was observed, axis (row,).
    held_out, divisions, seed : int
        Rows that make the intervals, and how often rows are divided.
    level, noise_sd : float
        See `conformal_interval`.

    Returns
    -------
    numpy.ndarray
        Share of the other rows inside their intervals, axis (division,).

    Raises
    ------
    InputError
        As `conformal_interval`; and if no row is left to count.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y, samples = rng.normal(size=400), 0.1 * rng.normal(size=(20, 400))  # far too narrow
    >>> found = divided_coverage(samples, y, held_out=200, divisions=50, seed=0)
    >>> bool(0.88 < found.mean() < 0.92)
    True
    """
    values, y = pair(samples, y, least=2)
    if not 1 <= held_out < len(y) or divisions < 1:
        raise InputError(
            f"held_out={held_out} of {len(y)} rows, divisions={divisions}: leave a row to count, "
            "and divide at least once."
        )
    rng, found = np.random.default_rng(seed), []
    for _ in range(divisions):
        kept, others = np.split(rng.permutation(len(y)), [held_out])
        low, high = conformal_interval(
            values[:, kept], y[kept], values[:, others], level=level, noise_sd=noise_sd
        )
        found.append(np.mean((low <= y[others]) & (y[others] <= high)))
    return np.array(found)


def coverage_limits(
    observations: int,
    *,
    level: float = 0.9,
    held_out: int | None = None,
    confidence: float = 0.95,
) -> tuple[float, float]:
    r"""Shares inside that chance alone explains, when each interval holds with chance `level`.

    The central `confidence` of the binomial distribution of N observations, as shares. With n
    `held_out` rows, of the beta-binomial one

    .. math:: \mathrm{BetaBinomial}(N, k, n + 1 - k), \qquad
              k = \lceil (n+1)\,\mathrm{level} \rceil ,

    because the coverage of split-conformal intervals depends on the held-out rows they were made
    with (Vovk 2012, doi:10.1007/s10994-013-5355-6); with n much larger than N the two agree.

    Raises `InputError` if a number is below 1, `level` or `confidence` not in (0, 1), or the
    held-out rows too few for the level.

    >>> coverage_limits(100)
    (0.84, 0.95)
    >>> coverage_limits(100, held_out=100)
    (0.81, 0.97)
    """
    level, confidence = level_of(level), level_of(confidence)
    if observations < 1 or (held_out is not None and held_out < 1):
        raise InputError(f"observations={observations}, held_out={held_out}: at least one each.")
    if held_out is None:
        chance = stats.binom(observations, level)
    else:
        rank = int(np.ceil((held_out + 1) * level))
        if rank > held_out:
            raise InputError(f"{held_out} held-out rows are too few for level={level}.")
        chance = stats.betabinom(observations, rank, held_out + 1 - rank)
    ends = chance.ppf([(1 - confidence) / 2, (1 + confidence) / 2]) / observations
    return float(ends[0]), float(ends[1])


def _mean_and_sd(values: np.ndarray, noise_sd: float | np.ndarray, what: str) -> np.ndarray:
    """Return axes (observation, 2): mean, and sd of draws and noise."""
    mean, sd = predictive_moments(values, noise_sd)
    if (sd == 0).any():
        raise InputError(
            f"{what} {int(np.argmin(sd))} has the same value in every draw and no noise: there is "
            "no sd for the interval to follow. Give noise_sd."
        )
    return np.column_stack([mean, sd])
