"""Conformal intervals: by hand, against the definition, and coverage on simulated data."""

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from mapie.conformity_scores import ResidualNormalisedScore
from mapie.regression import SplitConformalRegressor
from scipy import stats
from sklearn.base import BaseEstimator, RegressorMixin

from spikedrop.errors import InputError
from spikedrop.scores import coverage, interval_coverage
from spikedrop.scores.conformal import (
    conformal_interval,
    conformal_rank,
    coverage_limits,
    divided_coverage,
    group_quantile,
)


def world(n, rng, draws=20, spread=0.1, noise=0.5):
    """Draws far too narrow, with an sd that differs and follows the noise; heavy-tailed noise."""
    scale = rng.uniform(0.5, 2, n)
    mean = rng.normal(size=n)
    samples = mean + spread * scale * rng.normal(size=(draws, n))
    return samples, mean + noise * scale * rng.standard_t(4, size=n)


def test_by_hand():
    """Nine held-out rows with mean 0 and sd 1, errors 1 to 9: at 75 % the 8th of nine counts.

    (9 + 1) x 0.75 = 7.5, rounded up to 8. An observation of mean 10 and sd 2 gets 10 -+ 16.
    """
    held_out = np.repeat([[-1.0], [0.0], [1.0]], 9, axis=1)
    y = np.array([3.0, -1, 9, 2, -4, 5, -8, 6, 7])
    low, high = conformal_interval(held_out, y, np.array([[8.0], [10.0], [12.0]]), level=0.75)
    assert (low, high) == (pytest.approx([-6]), pytest.approx([26]))


@pytest.mark.parametrize("level", [0.5, 0.83, 0.9])
def test_by_the_definition(level):
    """The order statistic written out, with noise of each row, of both kinds."""
    rng = np.random.default_rng(0)
    held_out, y = world(57, rng)
    samples, _ = world(5, rng)
    noise, held_noise = rng.uniform(0.1, 1, 5), rng.uniform(0.1, 1, (20, 57))
    low, high = conformal_interval(
        held_out, y, samples, level=level, noise_sd=noise, held_out_noise_sd=held_noise
    )
    sd = np.sqrt(held_out.var(axis=0, ddof=1) + (held_noise**2).mean(axis=0))
    scores = np.sort(np.abs(y - held_out.mean(axis=0)) / sd)
    q = scores[int(np.ceil(58 * level)) - 1]
    half = q * np.sqrt(samples.var(axis=0, ddof=1) + noise**2)
    assert low == pytest.approx(samples.mean(axis=0) - half)
    assert high == pytest.approx(samples.mean(axis=0) + half)


def test_every_size_that_can_hold_a_level_is_taken_with_the_exact_rank():
    """Up to 200 rows, levels of two decimals, as numbers and as 1 less the error: fractions."""
    for percent in range(1, 100):
        meant = Fraction(percent, 100)
        least = ceil(meant / (1 - meant))
        assert conformal_rank(least, 1 - (100 - percent) / 100) == ceil((least + 1) * meant)
        for rows in range(least, 201):
            assert conformal_rank(rows, percent / 100) == ceil((rows + 1) * meant)
        if least > 1:
            with pytest.raises(InputError, match=f"{least - 1} held-out rows.*least {least}:"):
                conformal_rank(least - 1, percent / 100)
    for parts in range(2, 50):  # a level of a fraction, too
        assert conformal_rank(parts - 1, (parts - 1) / parts) == parts - 1


@pytest.mark.parametrize(
    ("rows", "level"), [(9, 0.9), (10, 0.9), (4, 0.8), (5, 0.8), (19, 0.95), (1, 0.5), (3, 0.01)]
)
def test_small_sizes_by_the_definition(rows, level):
    held_out = np.repeat([[-1.0], [0.0], [1.0]], rows, axis=1)
    y = np.random.default_rng(0).permutation(rows) + 1.0
    rank = ceil((rows + 1) * Fraction(str(level)))
    low, high = conformal_interval(held_out, y, held_out[:, :1], level=level)
    assert (low, high) == (pytest.approx([-rank]), pytest.approx([rank]))
    assert coverage_limits(10, held_out=rows, level=level)[1] <= 1


class Column(RegressorMixin, BaseEstimator):
    """Predict one column of the input."""

    def __init__(self, column=0):
        self.column = column
        self.n_features_in_ = 2

    def fit(self, x, y):
        return self

    def predict(self, x):
        return np.asarray(x)[:, self.column]


@pytest.mark.parametrize("rows", [20, 33, 100, 157])
@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_intervals_are_mapies(rows, level):
    rng = np.random.default_rng(rows)
    held_out, y = world(rows, rng)
    samples, _ = world(7, rng)
    mapie = SplitConformalRegressor(
        Column(0),
        confidence_level=level,
        conformity_score=ResidualNormalisedScore(Column(1), prefit=True),
        prefit=True,
    )
    held, new = (
        np.column_stack([draws.mean(axis=0), draws.std(axis=0, ddof=1)])
        for draws in (held_out, samples)
    )
    _, bounds = mapie.conformalize(held, y).predict_interval(new)
    low, high = conformal_interval(held_out, y, samples, level=level)
    assert low == pytest.approx(bounds[:, 0, 0])
    assert high == pytest.approx(bounds[:, 1, 0])


def test_the_unit_of_the_spread_does_not_matter():
    """Draws ten times too narrow about their mean give the same intervals."""
    rng = np.random.default_rng(1)
    held_out, y = world(100, rng)
    samples, _ = world(10, rng)

    def narrow(draws):
        return draws.mean(axis=0) + 0.1 * (draws - draws.mean(axis=0))

    whole = conformal_interval(held_out, y, samples)
    assert conformal_interval(narrow(held_out), y, narrow(samples)) == (
        pytest.approx(whole[0]),
        pytest.approx(whole[1]),
    )


def test_they_cover_where_the_draws_alone_do_not():
    """4000 held-out rows, 500 observations: within the beta-binomial limits of chance.

    Confidence 0.999, so the false-alarm rate is 1e-3; the seed is fixed.
    """
    rng = np.random.default_rng(0)
    held_out, y_held = world(4000, rng)
    samples, y = world(500, rng)
    low, high = coverage_limits(500, held_out=4000, confidence=0.999)
    covered = interval_coverage(*conformal_interval(held_out, y_held, samples), y)
    assert low <= covered <= high
    assert coverage(samples, y) < 0.5  # plain


def test_coverage_over_many_repetitions_is_exact():
    """300 worlds of 40 held-out rows, 50 observations each; k = 37 of 41, so 90.24 %.

    The mean of 300 shares, each of beta-binomial sd 0.0625, has an sd of 0.0036: five of them are
    0.018. The false-alarm rate is below 1e-6. And the spread is the beta-binomial's, within 25 %
    (an sd from 300 values has 4 %).
    """
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        held_out, y_held = world(40, rng)
        samples, y = world(50, rng)
        shares.append(interval_coverage(*conformal_interval(held_out, y_held, samples), y))
    chance = stats.betabinom(50, 37, 4)
    assert np.mean(shares) == pytest.approx(chance.mean() / 50, abs=0.018)
    assert np.std(shares) == pytest.approx(chance.std() / 50, rel=0.25)


def test_the_promise_ends_with_exchangeability():
    """Observations with twice the noise at the same spread are covered far below the level."""
    rng = np.random.default_rng(0)
    held_out, y_held = world(2000, rng)
    samples, y = world(500, rng, noise=1.5)
    assert interval_coverage(*conformal_interval(held_out, y_held, samples), y) < 0.7


def test_limits_by_simulation():
    """20,000 shares of 60, within the limits in at least 95 % (the limits are whole numbers).

    A share of 0.95 has a binomial sd of 0.0015 here; 0.94 is more than 6 of them away.
    """
    rng = np.random.default_rng(0)
    plain = rng.binomial(60, 0.8, 20_000) / 60
    mixed = rng.binomial(60, rng.beta(np.ceil(101 * 0.8), 101 - np.ceil(101 * 0.8), 20_000)) / 60
    for shares, held_out in ((plain, None), (mixed, 100)):
        low, high = coverage_limits(60, level=0.8, held_out=held_out)
        assert np.mean((low <= shares) & (shares <= high)) > 0.94
        assert low < shares.mean() < high
    assert coverage_limits(60, held_out=10**7) == coverage_limits(60)


HELD, Y = np.random.default_rng(0).normal(size=(2, 4, 30))[0], np.arange(30.0)
NEW = HELD[:, :3]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: conformal_interval(HELD, Y[:9], NEW), r"y_held_out has shape \(9,\)"),
        (lambda: conformal_interval(HELD, Y, NEW[:3]), "4 draws of the held-out rows and 3"),
        (lambda: conformal_interval(HELD[:1], Y, NEW[:1]), "1 draws"),
        (lambda: conformal_interval(HELD * np.nan, Y, NEW), "hold NaN"),
        (lambda: conformal_interval(HELD, Y, NEW * np.inf), "hold NaN"),
        (lambda: conformal_interval(HELD, Y, np.ones((4, 3))), "observation 0 has the same value"),
        (lambda: conformal_interval(0 * HELD, Y, NEW), "held-out row 0 has the same value"),
        (lambda: conformal_interval(HELD, Y, NEW, level=1), "level=1"),
        (lambda: conformal_interval(HELD, Y, NEW, level=0.99), "30 held-out rows;.* 99"),
        (lambda: conformal_interval(HELD, Y, NEW, noise_sd=np.ones(3)), "give held_out_noise_sd"),
        (lambda: conformal_interval(HELD, Y, NEW, noise_sd=-1), "must be positive or 0"),
        (
            lambda: conformal_interval(
                HELD, Y, NEW, groups=np.repeat(np.arange(8), [23, *[1] * 7])
            ),
            "8 held-out groups; level=0.9 needs at least 9",
        ),
        (lambda: conformal_interval(HELD, Y, NEW, groups=Y[:9]), r"groups has shape \(9,\)"),
        (lambda: conformal_interval(HELD, Y, NEW, groups=Y), "type float64; expected one label"),
        (lambda: group_quantile(Y * np.nan, np.arange(30), 0.9), "scores: the values hold NaN"),
        (lambda: coverage_limits(0), "observations=0"),
        (lambda: coverage_limits(10, held_out=0), "held_out=0"),
        (lambda: coverage_limits(10, held_out=5), "5 held-out rows;.* 9:"),
        (lambda: coverage_limits(10, confidence=1.0), "confidence=1.0"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(InputError, match=says):
        call()


def test_divisions_of_the_same_rows_cover_as_counting_says():
    """All rows but one held out: the mean over many divisions is ceil(n + 1) level / (n + 1).

    Of 20 rows, 19 make the interval at level 0.7: the 14th smallest error, so 14 of 20 divisions
    hold the row that is left. 2,000 divisions: within 0.04 but once in ten thousand.
    """
    samples, y = world(20, np.random.default_rng(3))
    found = divided_coverage(samples, y, held_out=19, divisions=2000, seed=0, level=0.7)
    assert set(found.tolist()) == {0.0, 1.0}
    assert abs(found.mean() - 14 / 20) < 0.04
    again = divided_coverage(samples, y, held_out=19, divisions=10, seed=0, level=0.7)
    assert (again == found[:10]).all()


def test_divisions_need_rows_on_both_sides():
    samples, y = world(20, np.random.default_rng(3))
    for held_out, divisions in ((20, 1), (0, 1), (10, 0)):
        with pytest.raises(InputError, match="leave one to count"):
            divided_coverage(samples, y, held_out=held_out, divisions=divisions, seed=0)


@pytest.mark.parametrize("level", [0.01, 0.5, 2 / 3, 0.83, 0.9])
def test_groups_of_one_row_are_plain_conformal(level):
    rng = np.random.default_rng(0)
    for rows in (10, 33, 100, 199):
        held_out, y = world(rows, rng)
        samples, _ = world(5, rng)
        groups = rng.permutation(rows)
        plain = conformal_interval(held_out, y, samples, level=level)
        grouped = conformal_interval(held_out, y, samples, level=level, groups=groups)
        assert (np.array(plain) == np.array(grouped)).all()


@pytest.mark.parametrize("level", [0.3, 0.75, 0.9])
def test_group_quantile_by_its_definition_in_fractions(level):
    """Weights added as fractions, groups of 1 to 15 rows, some of the scores equal."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        groups = rng.permutation(np.repeat(np.arange(14), rng.integers(1, 16, 14)))
        scores = rng.integers(0, 40, len(groups)).astype(float)
        size = np.bincount(groups)

        def share(q, scores=scores, groups=groups, size=size):
            below = groups[scores <= q]
            return sum((Fraction(1, 15 * int(size[k])) for k in below), Fraction())

        found = group_quantile(scores, groups, level)
        assert found == min(q for q in scores if share(q) >= Fraction(str(level)))
        names = np.array([f"pair {k}" for k in groups])
        assert found == group_quantile(scores, names, level)


def clustered(groups, rng):
    """Errors that are one number per group; groups of small errors have forty rows, others two."""
    error = np.abs(rng.standard_t(3, groups))
    size = np.where(error < 1, 40, 2)
    return np.repeat(error, size), np.repeat(np.arange(groups), size)


def test_groups_cover_a_new_group_where_plain_conformal_does_not():
    """4,000 worlds of 12 groups of 2 or 40 rows; the rows of a group have one error.

    At 90 % of 12 + 1 groups the largest error of the twelve is needed, so a new group is held with
    probability 12/13 = 0.923: five standard errors of 4,000 throws are 0.021, a false-alarm rate
    below 1e-6. Plain conformal, with every row for itself, looks at the large groups.
    """
    rng, grouped, plain = np.random.default_rng(0), [], []
    for _ in range(4000):
        scores, groups = clustered(12, rng)
        new = np.abs(rng.standard_t(3))
        grouped.append(new <= group_quantile(scores, groups, 0.9))
        plain.append(new <= np.sort(scores)[conformal_rank(len(scores), 0.9) - 1])
    assert np.mean(grouped) == pytest.approx(12 / 13, abs=0.021)
    assert np.mean(plain) < 0.8


def test_divisions_of_whole_groups_cover_as_counting_says():
    """Of 20 groups 19 are held out at level 0.7: the error of the 14th, so 14 of 20 in the mean.

    2,000 divisions: within 0.04 but once in ten thousand. Rows would give another answer.
    """
    y, groups = clustered(20, np.random.default_rng(5))
    samples = np.array([[-1.0], [0.0], [1.0]]).repeat(len(y), axis=1)
    more = {"divisions": 2000, "seed": 0, "level": 0.7, "groups": groups}
    found = divided_coverage(samples, y, held_out=19, **more)
    assert set(found.tolist()) == {0.0, 1.0}
    assert abs(found.mean() - 14 / 20) < 0.04
    with pytest.raises(InputError, match="held_out=20 of 20 groups"):
        divided_coverage(samples, y, held_out=20, **more)
    half = divided_coverage(samples, y, held_out=10, **more | {"divisions": 5})
    assert np.allclose(half * 10, np.round(half * 10))  # each of the ten others counts the same
