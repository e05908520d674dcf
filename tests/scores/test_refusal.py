"""Rankings and refusals: by hand, by their definitions, and against libraries."""

from itertools import combinations, permutations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mean_absolute_error

from spikedrop.errors import InputError
from spikedrop.scores import (
    error_correlation,
    kendall_tau,
    ranking_agreement,
    refusal_table,
    risk_coverage,
    risk_coverage_area,
)


def draws_with(mean, sd):
    """Two draws of given mean and sd."""
    mean, sd = np.asarray(mean, float), np.asarray(sd, float)
    return np.stack([mean - sd / np.sqrt(2), mean + sd / np.sqrt(2)])


def test_kendall_tau_by_hand():
    """1 2 3 4 against 1 3 2 4: five pairs in order, one out of order."""
    samples = np.array([[0.0, 1, 2, 3], [2.0, 3, 4, 5]])
    assert kendall_tau(samples, np.array([1.0, 3, 2, 4])) == pytest.approx(4 / 6)
    assert kendall_tau(samples, np.array([1.0, 2, 3, 4])) == 1
    assert kendall_tau(samples, -np.array([1.0, 2, 3, 4])) == -1


def test_kendall_tau_with_ties_by_its_definition():
    rng = np.random.default_rng(0)
    mean, y = rng.integers(0, 5, 30).astype(float), rng.integers(0, 4, 30).astype(float)
    pairs = list(combinations(range(30), 2))
    sign = np.array([np.sign(mean[i] - mean[j]) * np.sign(y[i] - y[j]) for i, j in pairs])
    untied = [sum(v[i] != v[j] for i, j in pairs) for v in (mean, y)]
    expected = sign.sum() / np.sqrt(untied[0] * untied[1])
    assert kendall_tau(np.tile(mean, (3, 1)), y) == pytest.approx(expected)


def test_drawing_observations_twice_does_not_move_kendall_tau():
    """Copies tie in both rankings and leave the formula, so a bootstrap is not biased by them."""
    rng = np.random.default_rng(1)
    samples, y = rng.normal(size=(3, 12)), rng.normal(size=12)
    once = kendall_tau(samples, y)
    assert kendall_tau(np.tile(samples, 2), np.tile(y, 2)) == pytest.approx(once)


def test_ranking_agreement_by_mean_and_by_sd():
    a = draws_with([1, 2, 3, 4], [1, 2, 3, 4])
    b = draws_with([10, 30, 20, 40], [4, 3, 2, 1])
    assert ranking_agreement(a, b) == pytest.approx(4 / 6)
    assert ranking_agreement(a, b, "sd") == pytest.approx(-1)
    assert ranking_agreement(a, np.repeat(b, 3, axis=0)) == ranking_agreement(b, a)


@pytest.mark.parametrize("y", [[1.0, 2.0, 3.0], [2.0, 2.0, 2.0]])
def test_no_ranking_of_constant_values(y):
    """The stated answer is NaN."""
    constant, spread = np.ones((3, 3)), np.arange(9.0).reshape(3, 3)
    assert np.isnan(kendall_tau(constant, np.array(y)))
    assert np.isnan(kendall_tau(spread, np.full(3, 2.0)))
    assert np.isnan(ranking_agreement(constant, spread))
    assert np.isnan(error_correlation(constant, np.array(y)))


def test_risk_coverage_by_hand():
    """Kept in the order of the sd 1, 2, 3, 4 the errors are 0, 3, 0, 1."""
    samples = draws_with([0, 0, 0, 0], [3, 1, 4, 2])
    y = np.array([0.0, 0.0, -1.0, 3.0])
    kept, risk = risk_coverage(samples, y)
    assert kept.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk == pytest.approx([0, 1.5, 1, 1])
    assert risk_coverage_area(samples, y) == pytest.approx(3.5 / 4)


def test_equal_spreads_are_refused_in_the_mean_over_all_orders():
    """By brute force over the orders of the three that tie."""
    samples = draws_with([0, 0, 0, 0], [1, 2, 2, 2])
    errors = np.array([5.0, 1.0, 2.0, 6.0])
    curves = [np.cumsum(errors[[0, *order]]) / np.arange(1, 5) for order in permutations([1, 2, 3])]
    assert risk_coverage(samples, errors)[1] == pytest.approx(np.mean(curves, axis=0))


def test_constant_predictions_give_the_flat_curve():
    y = np.array([1.0, -2.0, 6.0])
    assert risk_coverage(np.zeros((4, 3)), y)[1] == pytest.approx([3, 3, 3])
    assert risk_coverage(draws_with([0, 0, 0], [1, 1, 1]), y)[1] == pytest.approx([3, 3, 3])


def test_risk_at_full_coverage_is_scikit_learns_error_and_the_area_lies_between():
    """Random spread gives the error itself; the oracle and its opposite bracket every curve."""
    rng = np.random.default_rng(0)
    mean, y, sd = rng.normal(size=200), rng.normal(size=200), rng.uniform(1, 2, 200)
    error = np.abs(y - mean)
    samples = draws_with(mean, sd)
    assert risk_coverage(samples, y)[1][-1] == pytest.approx(mean_absolute_error(y, mean))
    oracle = risk_coverage_area(draws_with(mean, 1 + error), y)
    worst = risk_coverage_area(draws_with(mean, 10 - error), y)
    assert oracle < risk_coverage_area(samples, y) < worst
    by_definition = [error[np.argsort(sd)][:k].mean() for k in range(1, 201)]
    assert risk_coverage_area(samples, y) == pytest.approx(np.mean(by_definition))


def test_noise_reorders_only_if_it_differs():
    samples, y = draws_with([0, 0, 0], [1, 2, 3]), np.array([1.0, 2.0, 3.0])
    without = risk_coverage(samples, y)[1]
    assert risk_coverage(samples, y, 5.0)[1] == pytest.approx(without)
    assert risk_coverage(samples, y, np.array([9.0, 5.0, 0.0]))[1] == pytest.approx([3, 2.5, 2])


def test_error_correlation_is_scipys():
    rng = np.random.default_rng(2)
    samples, y = rng.normal(size=(20, 50)) * rng.uniform(1, 3, 50), rng.normal(size=50)
    error = np.abs(y - samples.mean(axis=0))
    expected = stats.pearsonr(stats.rankdata(samples.std(axis=0)), stats.rankdata(error)).statistic
    assert error_correlation(samples, y) == pytest.approx(expected)


def test_the_rules_of_refusal_by_hand():
    """Means 1 to 4 with errors 4, 1, 3, 2 and spreads 1, 3, 2, 4; two are kept."""
    samples = draws_with([1, 2, 3, 4], [1, 3, 2, 4])
    table = refusal_table(samples, np.array([5.0, 1, 6, 2]), seed=0, resamples=10)
    assert table["mean |error|"].to_dict() == pytest.approx(
        {"spread": 3.5, "high mean": 2.5, "low mean": 2.5, "chance": 2.5, "oracle": 1.5}
    )
    assert table["spread's less this"].tolist() == pytest.approx([0, 1, 1, 1, 2])
    assert (table.loc["spread", ["low", "high"]] == 0).all()


def test_a_spread_that_copies_the_mean_has_nothing_on_the_control():
    """Errors grow with the mean. A copied spread ties exactly; one that knows the errors wins.

    2,000 records of Gaussian errors: the difference of two halves has an sd of 0.02, the spread's
    gain is 0.4, and an interval that reached 0 would be twenty sd away.
    """
    rng = np.random.default_rng(0)
    mean, scale = rng.uniform(1, 2, size=(2, 2000))
    y = mean + mean * scale**3 * rng.normal(size=2000) / 4
    copied = refusal_table(draws_with(mean, mean), y, seed=0, resamples=100)
    assert (copied.loc["low mean"].iloc[1:] == 0).all()
    assert copied.loc["chance", "high"] < 0
    knowing = refusal_table(draws_with(mean, mean * scale**3), y, seed=0, resamples=100)
    assert (knowing.loc[["low mean", "high mean", "chance"], "high"] < 0).all()
    assert knowing.loc["oracle", "low"] > 0
    curve = risk_coverage(draws_with(mean, mean * scale**3), y)[1]
    assert knowing.loc["spread", "mean |error|"] == pytest.approx(curve[999])


SAMPLES, Y = np.arange(12.0).reshape(3, 4) ** 2, np.arange(4.0)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: kendall_tau(SAMPLES, Y[:3]), r"y has shape \(3,\)"),
        (lambda: ranking_agreement(SAMPLES, SAMPLES[:, :3]), "a has 4 observations and b 3"),
        (lambda: ranking_agreement(SAMPLES, SAMPLES, "var"), "by='var'"),
        (lambda: ranking_agreement(SAMPLES[:1], SAMPLES, "sd"), "1 draws"),
        (lambda: risk_coverage(SAMPLES[:1], Y), "1 draws"),
        (lambda: risk_coverage_area(SAMPLES * np.nan, Y), "hold NaN"),
        (lambda: error_correlation(SAMPLES[:1], Y), "1 draws"),
        (lambda: refusal_table(SAMPLES, Y, kept=1, seed=0), "kept=1"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(InputError, match=says):
        call()
