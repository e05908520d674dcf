"""Coverage, width, sharpness and PIT: by hand, of known distributions, and against libraries."""

import numpy as np
import pytest
from mapie.metrics.regression import regression_coverage_score, regression_mean_width_score
from scipy import stats

from spikedrop.errors import InputError
from spikedrop.scores import (
    calibration_curve,
    calibration_error,
    central_interval,
    coverage,
    interval_coverage,
    pit,
    rmse,
    sharpness,
    width,
)


def world(n=400, draws=50, noise=0.5, spread=0.3, seed=0):
    """Draws around a mean, and observations from one further draw plus noise."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=n)
    samples = mean + spread * rng.normal(size=(draws, n))
    y = mean + spread * rng.normal(size=n) + noise * rng.normal(size=n)
    return samples, y


def test_interval_and_width_by_hand():
    """Draws -1, 0, 1 have sd 1, with noise sqrt(3) two; the level of one sd."""
    samples, level = np.array([[-1.0], [0.0], [1.0]]), float(2 * stats.norm.cdf(1) - 1)
    assert central_interval(samples, 0.0, level) == (pytest.approx([-1]), pytest.approx([1]))
    assert central_interval(samples + 5, np.sqrt(3), level)[1] == pytest.approx([7])
    assert width(samples, np.sqrt(3), level) == pytest.approx(4)


def test_noise_of_each_draw_adds_its_mean_variance():
    """Noise 1 and 7 in two draws without spread: variance (1 + 49) / 2, sd 5."""
    samples, noise = np.zeros((2, 1)), np.array([[1.0], [7.0]])
    assert sharpness(samples, noise) == pytest.approx(5)
    assert width(samples, noise, 0.9) == pytest.approx(2 * 5 * stats.norm.ppf(0.95))


def test_coverage_and_width_are_mapies_of_the_same_intervals():
    samples, y = world()
    low, high = central_interval(samples, 0.5)
    bounds = np.stack([low, high], axis=1)[:, :, None]
    assert coverage(samples, y, 0.5) == pytest.approx(regression_coverage_score(y, bounds)[0])
    assert interval_coverage(low, high, y) == coverage(samples, y, 0.5)
    assert width(samples, 0.5) == pytest.approx(regression_mean_width_score(bounds)[0])


def test_interval_coverage_holds_its_ends():
    assert interval_coverage(np.zeros(4), np.ones(4), np.array([0, 1, -1e-9, 1 + 1e-9])) == 0.5


def test_sharpness_of_a_calibrated_distribution_is_the_rmse():
    """Observations are draws plus noise: both are sqrt(0.3^2 + 0.5^2), but for the draws' mean.

    20,000 observations: an rmse has a relative sd of 1 / sqrt(2 n) = 0.5 %, and the mean of 50
    draws adds 0.1 % to it; 3 % is more than 5 sd.
    """
    samples, y = world(20_000)
    assert sharpness(samples, 0.5) == pytest.approx(np.hypot(0.3, 0.5), rel=0.01)
    assert sharpness(samples, 0.5) == pytest.approx(rmse(samples, y), rel=0.03)


def test_constant_predictions_without_noise_are_intervals_of_one_point():
    samples = np.full((5, 3), 0.1)
    assert sharpness(samples) == 0
    assert width(samples) == 0
    assert coverage(samples, np.array([0.1, 0.2, 0.1])) == pytest.approx(2 / 3)
    assert calibration_error(samples, np.array([0.1, 0.2, 0.1]), levels=(0.5,)) == pytest.approx(
        1 / 6
    )


def test_calibration_error_by_hand():
    """z of 0.5, 1, 2 and 3 sd: two are within 1.15 sd (75 %), three within 2.58 (99 %)."""
    samples = np.repeat([[-1.0], [0.0], [1.0]], 4, axis=1)
    y = np.array([0.5, -1.0, 2.0, -3.0])
    levels = (0.75, 0.99)
    assert calibration_curve(samples, y, levels=levels) == ([0.75, 0.99], [0.5, 0.75])
    assert calibration_error(samples, y, levels=levels) == pytest.approx((0.25 + 0.24) / 2)


def test_calibration_error_is_small_for_the_truth_and_large_without_the_noise():
    """Of 4000 observations about 0.3 / sqrt(4000) = 0.005; over 0.05 would be ten times that."""
    samples, y = world(4000, 400)
    assert calibration_error(samples, y, 0.5) < 0.05
    assert calibration_error(samples, y, 0.0) > 0.15


def test_pit_with_noise_by_hand():
    """One observation, draws 0 and 2, noise 1 and 2: the mean of Phi(1) and Phi(-1/2)."""
    samples, noise = np.array([[0.0], [2.0]]), np.array([[1.0], [2.0]])
    expected = (stats.norm.cdf(1) + stats.norm.cdf(-0.5)) / 2
    assert pit(samples, np.array([1.0]), noise) == pytest.approx([expected])


def test_pit_without_noise_by_hand():
    """Five draws; two below and two equal: between 2/6 and 5/6, uniformly, from the seed."""
    samples = np.repeat([[0.0], [0.0], [1.0], [1.0], [2.0]], 1000, axis=1)
    found = pit(samples, np.ones(1000), seed=3)
    assert (found == pit(samples, np.ones(1000), seed=3)).all()
    assert (found != pit(samples, np.ones(1000), seed=4)).any()
    uniform = stats.uniform(2 / 6, 3 / 6)
    assert stats.kstest(found, uniform.cdf).pvalue > 1e-4  # the false-alarm rate
    assert found.min() >= 2 / 6
    assert found.max() <= 5 / 6


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_pit_of_the_truth_is_uniform(noise):
    """5000 observations, Kolmogorov-Smirnov at a false-alarm rate of 1e-4 each.

    Without noise the rank among any number of exchangeable draws is exactly uniform; with noise
    2000 draws make the mixture's own error small beside the 0.03 that the test sees.
    """
    samples, y = world(5000, 2000 if noise else 7, noise)
    assert stats.kstest(pit(samples, y, noise), "uniform").pvalue > 1e-4


@pytest.mark.parametrize(
    ("change", "moment"),
    [
        (lambda s: s + 0.4, lambda u: u.mean() < 0.4),  # too high: ranks too low
        (lambda s: s - 0.4, lambda u: u.mean() > 0.6),
        (lambda s: s.mean(0) + 0.2 * (s - s.mean(0)), lambda u: u.std() > 0.34),  # narrow: ends
        (lambda s: s.mean(0) + 5 * (s - s.mean(0)), lambda u: u.std() < 0.2),  # wide: hump
    ],
)
def test_pit_says_what_is_wrong(change, moment):
    """A uniform variable has mean 0.5 and sd 0.289."""
    samples, y = world(2000, 50, noise=0.0)
    assert moment(pit(change(samples), y))


def test_one_draw_has_a_rank():
    """The stated answer: one draw needs no spread for a PIT, which then is one of two halves."""
    found = pit(np.zeros((1, 2)), np.array([-1.0, 1.0]))
    assert found[0] < 0.5 < found[1]


SAMPLES, Y = world(6, 4)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: calibration_curve(SAMPLES, Y, levels=(0.5, 0.4)), "in increasing order"),
        (lambda: calibration_curve(SAMPLES, Y, levels=(0.5, 0.5)), "in increasing order"),
        (lambda: calibration_error(SAMPLES, Y, levels=(0.9, 0.1)), "in increasing order"),
        (lambda: calibration_error(SAMPLES, Y, levels=()), "at least one"),
        (lambda: calibration_error(SAMPLES, Y, levels=(0.5, 1.0)), "level=1.0"),
        (lambda: coverage(SAMPLES, Y, level=np.nan), "level=nan"),
        (lambda: central_interval(SAMPLES[:1]), "1 draws"),
        (lambda: width(SAMPLES, level=0), "level=0"),
        (lambda: width(SAMPLES[:1], 1.0), "1 draws"),
        (lambda: sharpness(SAMPLES[:1]), "1 draws"),
        (lambda: sharpness(SAMPLES, -1), "noise_sd=-1.0 must be positive or 0"),
        (lambda: sharpness(SAMPLES[0]), r"shape \(6,\)"),
        (lambda: pit(SAMPLES, Y, np.array([0, 0, 1, 1, 1, 1.0])), "0 in some places"),
        (lambda: pit(SAMPLES, Y[:2]), r"y has shape \(2,\)"),
        (lambda: pit(SAMPLES, np.full(6, np.nan)), "hold NaN"),
        (lambda: interval_coverage(np.ones(6), np.zeros(6), Y), "must not be above"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(InputError, match=says):
        call()
