"""Conformal intervals on top of predictive samples: coverage that needs no model of the noise.

For rows like the held-out ones, or for rows of groups (drug pairs) that nobody has measured.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from scipy import stats

from spikedrop.checks.accepted import NoiseLike, SamplesLike, ValuesLike
from spikedrop.checks.arguments import real_number, whole_number
from spikedrop.checks.samples import as_samples, in_order_of, observed, one_axis, pair
from spikedrop.errors import InputError
from spikedrop.scores.calibration import bounds_of, positive_moments

__all__ = ["conformal_interval", "coverage_limits", "divided_coverage", "group_coverage"]


def conformal_interval(
    held_out: SamplesLike,
    y_held_out: np.ndarray,
    samples: SamplesLike,
    *,
    level: float = 0.9,
    noise_sd: NoiseLike = 0.0,
    held_out_noise_sd: float | np.ndarray | None = None,
    groups: ValuesLike | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Split-conformal intervals that follow the predictive sd.

    With mean :math:`\mu` and sd :math:`\sigma` of draws and noise at each observation, the scores
    of the n held-out rows are :math:`e_j = |y_j - \mu_j| / \sigma_j`, and with
    :math:`\hat q` the :math:`\lceil (n+1)\,\mathrm{level} \rceil`-th smallest of them the interval
    is

    .. math:: \mu_i \pm \hat q\, \sigma_i .

    If the held-out rows and the others are exchangeable, it holds the observation with probability
    at least `level`, whatever the network, the draws and the noise are worth (Lei et al. 2018,
    doi:10.1080/01621459.2017.1307116). Where MAPIE takes so few rows, the intervals are those of
    its `SplitConformalRegressor` with a `ResidualNormalisedScore`. The promise is an average over
    observations and over choices of the held-out rows (`coverage_limits`), and it does not reach
    beyond exchangeable rows: not to drugs or pairs that the held-out rows do not stand for.

    Rows of one drug pair rise and fall together, so the rows of a pair that was never measured are
    not exchangeable with single held-out rows. With `groups` the pairs are: :math:`\hat q` is then
    the `group_quantile` of the scores, and the interval holds a row of a new group with
    probability at least `level`. Pairs that share a drug depend on one another, too; pairs divided
    at random are exchangeable all the same, and pairs of a drug that no other pair has are not.

    Parameters
    ----------
    held_out : xarray.DataArray or array
        Samples for the held-out rows, axes (draw, row[, 1]), at least two draws. Rows that neither
        the training, nor its stopping, nor the choice of the noise have seen.
    y_held_out : numpy.ndarray
        What was observed there, axis (row,).
    samples : xarray.DataArray or array
        Samples for the observations to be predicted, axes (draw, observation[, 1]), from the same
        network with as many draws.
    level : float
        Nominal coverage.
    noise_sd : float or array
        Observation noise at the observations, in the unit of `y_held_out`; see `mean_and_noise`. 0
        lets the spread of the draws alone shape the intervals.
    held_out_noise_sd : float or array, optional
        That of the held-out rows; by default `noise_sd`, which then is one number.
    groups : array, optional
        Label of the group of each held-out row, axis (row,); the observations to be predicted are
        of other groups.

    Returns
    -------
    lower, upper : numpy.ndarray
        Axis (observation,), in the unit of `y_held_out`.

    Raises
    ------
    InputError
        If shapes disagree, a value is NaN, an observation has neither spread nor noise, the
        numbers of draws differ, or the held-out rows or groups are too few for the level.

    Examples
    --------
    >>> held_out = np.repeat([[-1.0], [1.0]], 19, axis=1)
    >>> low, high = conformal_interval(
    ...     held_out, np.arange(19.0), np.array([[4.0], [6.0]]), level=0.5
    ... )
    >>> low.round(6).tolist(), high.round(6).tolist()  # the 10th of 0, 1, ... is 9
    ([-4.0], [14.0])
    >>> low, high = conformal_interval(
    ...     held_out,
    ...     np.arange(19.0),
    ...     np.array([[4.0], [6.0]]),
    ...     level=0.5,
    ...     groups=np.repeat([0, 1, 2], [17, 1, 1]),  # see `group_quantile`
    ... )
    >>> low.round(6).tolist(), high.round(6).tolist()
    ([-12.0], [22.0])
    """
    level = real_number("level", level, above=0, below=1)
    held = as_samples(held_out, "held_out", least=2)
    y = observed(y_held_out, held, "y_held_out")
    values = as_samples(samples, least=2)
    if len(held) != len(values):
        raise InputError(
            f"{len(held)} draws of the held-out rows and {len(values)} of the others: take as "
            "many, because the spread of few draws is another statistic than that of many."
        )
    if held_out_noise_sd is None:
        if np.ndim(noise_sd):
            raise InputError("noise_sd is an array: give held_out_noise_sd for the other rows.")
        held_out_noise_sd = noise_sd
    mean, sd = positive_moments(held, held_out_noise_sd, "held-out row")
    errors = np.abs(y - mean) / sd
    if groups is None:
        rank = conformal_rank(len(y), level)
        reach = np.sort(errors)[rank - 1]
    else:
        groups = in_order_of(groups, "groups", held, "held_out")
        reach = group_quantile(errors, groups, level)
    mean, sd = positive_moments(values, noise_sd)
    return mean - reach * sd, mean + reach * sd


def conformal_rank(held_out: int, level: float, what: str = "held-out rows") -> int:
    r"""Rank k of the held-out score that makes the interval, the k-th smallest.

    .. math:: k = \lceil (n+1)\,\mathrm{level} \rceil \le n

    A level is meant as the decimal or the fraction that it is written as: 0.9 as a binary number is
    a little more than nine tenths, and would ask for a rank of 10 from 9 rows.

    Raises `InputError`, in which they are called `what`, if the n held-out rows are too few.

    >>> conformal_rank(9, 0.9), conformal_rank(2, 2 / 3)
    (9, 2)
    """
    meant = _meant(level)
    rank = math.ceil((held_out + 1) * meant)
    if rank > held_out:
        raise InputError(
            f"{held_out} {what}; level={level} needs at least "
            f"{math.ceil(meant / (1 - meant))}: take more, or a lower level."
        )
    return rank


def group_quantile(scores: ValuesLike, groups: ValuesLike, level: float) -> float:
    r"""Score that makes the interval for a row of a new group, when rows come in groups.

    With K groups, :math:`n_k` rows in group k and scores :math:`e_{kj}`, the smallest score with

    .. math:: \sum_{k=1}^{K} \frac{1}{K+1} \cdot
              \frac{1}{n_k} \sum_{j=1}^{n_k} 1\{e_{kj} \le \hat q\} \ge \mathrm{level}

    (hierarchical conformal prediction: Lee, Barber & Willett 2023, arXiv:2306.06342): each group
    has the same weight, each row an equal part of it, and the group that is still unknown has its
    weight at infinity. If the groups are exchangeable, and the rows of a group are, a row of a new
    group scores at most :math:`\hat q` with probability at least `level`, however strongly the
    rows of a group depend on one another. Each group counts the same in that average, whatever its
    size, and a large group makes it no surer: K is what counts. With one row in each group
    it is the score of `conformal_rank`.

    Parameters
    ----------
    scores : numpy.ndarray
        Axis (row,), as :math:`|y - \mu| / \sigma` of held-out rows.
    groups : numpy.ndarray
        Label of the group of each row, axis (row,).
    level : float
        Nominal coverage.

    Returns
    -------
    float
        In the unit of `scores`.

    Raises
    ------
    InputError
        If shapes disagree, a score is NaN or infinite, or :math:`K < \mathrm{level} / (1 -
        \mathrm{level})` groups are too few.

    Examples
    --------
    Of three groups each has a quarter. At half, two quarters are needed: the large group gives
    1/4 x 16/17 up to its score 15, all of its quarter at 16, and 17 brings the second.

    >>> group_quantile(np.arange(19.0), np.repeat([0, 1, 2], [17, 1, 1]), 0.5)
    17.0
    >>> group_quantile(np.arange(19.0), np.arange(19), 0.5)  # 19 groups of one: the 10th
    9.0
    """
    scores, level = one_axis(scores, "scores"), real_number("level", level, above=0, below=1)
    labels, group, size = np.unique(
        _group_labels(groups, len(scores)), return_inverse=True, return_counts=True
    )
    conformal_rank(len(labels), level, "held-out groups")
    order = np.argsort(scores, kind="stable")
    weight = np.cumsum(1 / size[group[order]])
    needed = float((len(labels) + 1) * _meant(level)) - 1e-9  # sums of 1/n_k are rounded
    return float(scores[order[np.searchsorted(weight, needed)]])


def divided_coverage(
    samples: SamplesLike,
    y: ValuesLike,
    *,
    held_out: int,
    divisions: int,
    seed: int,
    level: float = 0.9,
    noise_sd: float = 0.0,
    groups: ValuesLike | None = None,
) -> np.ndarray:
    """Coverage of `conformal_interval` over random divisions of the same rows.

    One division is one throw of the dice. Each makes intervals from `held_out` rows chosen at
    random and counts what they hold of the others. Rows divided at random are exchangeable, so
    over all divisions the mean is `level` or a little more, whatever the network is worth.

    With `groups` whole groups are divided, and the intervals are those for new groups. Groups
    divided at random are exchangeable too, so the same holds for the mean over groups.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Axes (draw, row[, 1]), of rows that nothing has looked at.
    y : array
        What was observed, axis (row,).
    held_out, divisions, seed : int
        Rows, or groups, that make the intervals, and how often they are divided.
    level, noise_sd : float
        See `conformal_interval`.
    groups : array, optional
        Label of the group of each row, axis (row,).

    Returns
    -------
    numpy.ndarray
        Share of the other rows inside their intervals, axis (division,); with `groups` the mean
        over the other groups of each one's share, in which a large group counts as a small one.

    Raises
    ------
    InputError
        As `conformal_interval`; and if no row, or no group, is left to count.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y, samples = rng.normal(size=400), 0.1 * rng.normal(size=(20, 400))  # far too narrow
    >>> found = divided_coverage(samples, y, held_out=200, divisions=50, seed=0)
    >>> bool(0.88 < found.mean() < 0.92)
    True
    """
    samples, y = pair(samples, y, least=2)
    labels = np.arange(len(y))
    if groups is not None:
        labels = _group_labels(in_order_of(groups, "groups", samples, "samples"), len(y))
    _, unit = np.unique(labels, return_inverse=True)
    count = int(unit.max()) + 1
    if not 1 <= held_out < count or divisions < 1:
        what = "rows" if groups is None else "groups"
        raise InputError(
            f"held_out={held_out} of {count} {what}, divisions={divisions}: leave one to count, "
            "and divide at least once."
        )
    rng, shares = np.random.default_rng(seed), []
    for _ in range(divisions):
        is_kept = np.isin(unit, rng.permutation(count)[:held_out])
        kept, others = np.flatnonzero(is_kept), np.flatnonzero(~is_kept)
        low, high = conformal_interval(
            samples.take(kept),
            y[kept],
            samples.take(others),
            level=level,
            noise_sd=noise_sd,
            groups=None if groups is None else unit[kept],
        )
        shares.append(group_coverage(low, high, y[others], unit[others]))
    return np.array(shares)


def group_coverage(
    lower: np.ndarray, upper: np.ndarray, y: np.ndarray, groups: np.ndarray
) -> float:
    r"""Mean over groups of the share of a group's observations inside their intervals.

    .. math:: \frac{1}{K} \sum_{k=1}^{K} \frac{1}{n_k} \sum_{j=1}^{n_k} 1\{l_{kj} \le y_{kj}
              \le u_{kj}\}

    What intervals for new groups are promised for: a large group counts as much as a small one.
    `spikedrop.scores.interval_coverage` counts rows.

    Parameters
    ----------
    lower, upper : array
        Ends of the intervals, axis (observation,).
    y : array
        What was observed, axis (observation,), in the unit of the ends.
    groups : array
        Label of the group of each observation, axis (observation,).

    Returns
    -------
    float
        From 0 to 1; nearest to the level of the intervals is best.

    Raises
    ------
    InputError
        If shapes disagree, a value is NaN, a lower end is above its upper one, or an observation
        has no group.

    Examples
    --------
    >>> y = np.array([0.0, 0.0, 0.0, 5.0])
    >>> group_coverage(y - y, y - y + 1, y, np.array([7, 7, 7, 9]))  # a whole one, and none
    0.5
    """
    lower, upper, y = bounds_of(lower, upper, y)
    inside = (lower <= y) & (y <= upper)
    labels = _group_labels(groups, len(y))
    _, group, size = np.unique(labels, return_inverse=True, return_counts=True)
    return float(np.mean(np.bincount(group, inside) / size))


def coverage_limits(
    observations: int,
    *,
    level: float = 0.9,
    held_out: int | None = None,
    confidence: float = 0.95,
) -> tuple[float, float]:
    r"""Shares inside that chance explains, when each interval holds with probability `level`.

    The central `confidence` of the binomial distribution of N `observations`, as shares. With n
    `held_out` rows, of the beta-binomial one

    .. math:: \mathrm{BetaBinomial}(N, k, n + 1 - k), \qquad
              k = \lceil (n+1)\,\mathrm{level} \rceil ,

    because the coverage of split-conformal intervals depends on the held-out rows they were made
    with (Vovk 2012, doi:10.1007/s10994-013-5355-6); with n much larger than N the two agree.

    Parameters
    ----------
    observations : int
        Number of observations, at least 1.
    level : float, default 0.9
        Nominal coverage, in (0, 1).
    held_out : int, optional
        Rows that the intervals were made with, at least 1; by default the intervals are not
        conformal ones.
    confidence : float, default 0.95
        Probability that the share lies between the limits, in (0, 1).

    Returns
    -------
    low, high : float
        Shares, from 0 to 1.

    Raises
    ------
    InputError
        If a number is below 1, `level` or `confidence` is not in (0, 1), or the held-out rows are
        too few for the level.

    Examples
    --------
    >>> coverage_limits(100)
    (0.84, 0.95)
    >>> coverage_limits(100, held_out=100)
    (0.81, 0.97)
    """
    level = real_number("level", level, above=0, below=1)
    confidence = real_number("confidence", confidence, above=0, below=1)
    whole_number("observations", observations, least=1)
    if held_out is None:
        chance = stats.binom(observations, level)
    else:
        rank = conformal_rank(whole_number("held_out", held_out, least=1), level)
        chance = stats.betabinom(observations, rank, held_out + 1 - rank)
    ends = chance.ppf([(1 - confidence) / 2, (1 + confidence) / 2]) / observations
    return float(ends[0]), float(ends[1])


def _group_labels(groups: ValuesLike, rows: int) -> np.ndarray:
    """Return the labels of groups, axis (row,), or raise `InputError` unless each row has one.

    >>> _group_labels(["a", "b", "a"], 3).tolist()
    ['a', 'b', 'a']
    """
    labels = np.asarray(groups)
    if labels.shape != (rows,) or labels.dtype.kind not in "biuSU":
        raise InputError(
            f"groups has shape {labels.shape} and type {labels.dtype}; expected one label, a whole "
            f"number or text, for each of {rows} rows."
        )
    return labels


def _meant(level: float) -> Fraction:
    """Return the decimal or fraction that a level is written as."""
    exact = Fraction(level)
    meant = exact.limit_denominator(10**6)
    return exact if abs(meant - exact) > Fraction(1, 2**50) else meant  # 4 units in the last place
