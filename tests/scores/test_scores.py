"""Scores against hand-worked numbers, direct computation and known truth."""

import numpy as np
import pytest
import xarray as xr
from scipy import optimize, stats
from sklearn.metrics import r2_score

from spikedrop.errors import InputError
from spikedrop.scores import calibration_curve, coverage, fit_noise_sd, log_likelihood, r2, rmse


def world(n=400, draws=50, noise=0.5, spread=0.3, seed=0):
    """Draws around a mean, and observations from one further draw plus noise."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=n)
    samples = mean + spread * rng.normal(size=(draws, n))
    y = mean + spread * rng.normal(size=n) + noise * rng.normal(size=n)
    return samples, y


def test_r2_and_rmse_equal_scikit_learn_and_numpy():
    samples, y = world()
    mean = samples.mean(axis=0)
    assert r2(samples, y) == pytest.approx(r2_score(y, mean))
    assert rmse(samples, y) == pytest.approx(np.linalg.norm(y - mean) / np.sqrt(len(y)))


def test_r2_of_the_mean_is_zero_and_of_the_truth_one():
    y = np.array([1.0, 2.0, 6.0])
    assert r2(np.full((4, 3), 3.0), y) == pytest.approx(0)
    assert r2(np.tile(y, (4, 1)), y) == 1
    assert rmse(np.full((4, 3), 3.0), y) == pytest.approx(np.sqrt((4 + 1 + 9) / 3))


def test_scores_without_and_with_units():
    samples, y = world()
    assert r2(3 - 100 * samples, 3 - 100 * y) == pytest.approx(r2(samples, y))
    assert rmse(3 - 100 * samples, 3 - 100 * y) == pytest.approx(100 * rmse(samples, y))
    assert coverage(3 - 100 * samples, 3 - 100 * y, 50) == coverage(samples, y, 0.5)
    shifted = log_likelihood(3 - 100 * samples, 3 - 100 * y, 50)
    assert shifted == pytest.approx(log_likelihood(samples, y, 0.5) - np.log(100))


@pytest.mark.parametrize("noise", [0.4, np.linspace(0.1, 2, 12)])
def test_log_likelihood_by_its_definition(noise):
    samples, y = world(12, 7)
    by_hand = 0.0
    for i in range(12):
        sd = noise if np.isscalar(noise) else noise[i]
        density = [
            np.exp(-((y[i] - s) ** 2) / (2 * sd**2)) / (sd * 2.5066282746) for s in samples.T[i]
        ]
        by_hand += np.log(sum(density) / 7) / 12
    assert log_likelihood(samples, y, noise) == pytest.approx(by_hand)


def test_log_likelihood_of_a_far_observation_does_not_underflow():
    """exp(-5000) is 0 in float64; its logarithm is not minus infinity."""
    value = log_likelihood(np.zeros((3, 1)), np.array([100.0]), 1.0)
    assert value == pytest.approx(stats.norm.logpdf(100))


def test_log_likelihood_of_many_gaussian_draws_is_the_gaussian_one():
    """A mixture over N(m, s^2) with noise e has the density of N(m, s^2 + e^2).

    The tolerance is 5 times the sd over 20 repetitions of 2000 draws, at most.
    """
    rng = np.random.default_rng(0)
    y = rng.normal(size=20)
    repeats = [log_likelihood(0.3 * rng.normal(size=(2000, 20)), y, 0.5) for _ in range(20)]
    expected = stats.norm.logpdf(y, scale=np.hypot(0.3, 0.5)).mean()
    assert np.mean(repeats) == pytest.approx(expected, abs=5 * np.std(repeats))
    assert np.std(repeats) < 0.02


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_coverage_of_a_correct_gaussian_is_its_level(level, noise):
    """Binomial bounds for 5000 observations, false-alarm rate 1e-4 each.

    With 2000 draws the interval's own width is off by 1.6 %, which shifts coverage by less
    than 0.008: added to the bounds.
    """
    samples, y = world(5000, 2000, noise)
    low, high = stats.binom.ppf([5e-5, 1 - 5e-5], 5000, level) / 5000
    assert low - 0.008 < coverage(samples, y, noise, level) < high + 0.008


def test_coverage_sees_too_narrow_and_too_wide():
    samples, y = world(2000)
    assert coverage(samples, y, 0.0) < 0.75
    assert coverage(samples, y, 2.0) > 0.99


def test_coverage_by_hand():
    """Draws -1, 0, 1 have sd 1: at level 0.6827 the interval is one sd, with noise sqrt(3) two."""
    samples = np.repeat([[-1.0], [0.0], [1.0]], 4, axis=1)
    y = np.array([0.99, -1.01, 1.99, 2.01])
    level = float(stats.norm.cdf(1) - stats.norm.cdf(-1))
    assert coverage(samples, y, level=level) == 0.25
    assert coverage(samples, y, np.sqrt(3), level) == 0.75
    assert coverage(samples, y, np.array([0, np.sqrt(3), 0, 9]), level) == 0.75


def test_calibration_curve_rises_and_is_coverage():
    samples, y = world()
    levels, observed = calibration_curve(samples, y, 0.5)
    assert len(levels) == 19
    assert (np.diff(observed) >= 0).all()
    assert observed[3] == coverage(samples, y, 0.5, levels[3])
    assert np.abs(np.subtract(levels, observed)).max() < 0.1


@pytest.mark.parametrize("noise", [0.05, 0.5, 3.0])
def test_fit_noise_sd_recovers_the_noise(noise):
    """4000 observations; the sd of an estimated sd is 1/sqrt(2 n) = 1.1 %, more with the spread.

    The spread of 0.02 is small beside all three; 5 % is more than four sd.
    """
    samples, y = world(4000, 50, noise, spread=0.02)
    assert fit_noise_sd(samples, y) == pytest.approx(noise, rel=0.05)


def test_fit_noise_sd_of_one_draw_is_the_root_mean_square():
    y = np.array([1.0, -2.0, 0.5])
    assert fit_noise_sd(np.zeros((1, 3)), y) == pytest.approx(np.sqrt(np.mean(y**2)), rel=1e-4)


def test_fit_noise_sd_of_a_biased_mean_is_the_bias():
    """Every residual is 3, so their sd is 0; the noise that explains them is 3."""
    assert fit_noise_sd(np.zeros((1, 5)), np.full(5, 3.0)) == pytest.approx(3, rel=1e-4)


def test_fit_noise_sd_with_draws_far_on_either_side():
    """The mean is right, every draw is 1 off: the noise that explains the observations is 1."""
    samples = np.repeat([[-1.0], [1.0]], 4, axis=1)
    y = np.array([0.01, -0.01, 0.02, -0.02])
    assert fit_noise_sd(samples, y) == pytest.approx(1, rel=0.01)


def test_fit_noise_sd_is_the_maximum():
    """Against a general minimiser, and against its neighbours."""
    samples, y = world(300, 30)
    best = fit_noise_sd(samples, y)
    found = optimize.minimize(lambda p: -log_likelihood(samples, y, np.exp(p[0])), [0.0])
    assert best == pytest.approx(float(np.exp(found.x[0])), rel=1e-3)
    top = log_likelihood(samples, y, best)
    assert all(log_likelihood(samples, y, best * f) < top for f in (0.95, 1.05))


def test_labelled_samples_and_an_output_axis_are_accepted():
    samples, y = world(10, 5)
    labelled = xr.DataArray(samples[:, :, None], dims=("draw", "observation", "output"))
    assert r2(labelled, y) == r2(samples, y)
    assert coverage(labelled, y) == coverage(samples, y)


def with_nan(array, index):
    array = array.copy()
    array[index] = np.nan
    return array


SAMPLES, Y = world(6, 4)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: rmse(SAMPLES, Y[:5]), r"y has shape \(5,\); expected \(6,\)"),
        (lambda: rmse(SAMPLES, Y[:, None]), r"y has shape \(6, 1\); expected \(6,\)"),
        (lambda: rmse(SAMPLES[0], Y), r"shape \(6,\)"),
        (lambda: rmse(np.zeros((4, 6, 2)), Y), r"\(4, 6, 2\)"),
        (lambda: rmse(np.zeros((0, 6)), Y), "at least one of each"),
        (lambda: log_likelihood(np.zeros((3, 0)), np.zeros(0), 1), "at least one of each"),
        (lambda: r2(with_nan(SAMPLES, (1, 2)), Y), "hold NaN"),
        (lambda: r2(SAMPLES, with_nan(Y, 3)), "hold NaN"),
        (lambda: r2(SAMPLES, np.ones(6)), "same value"),
        (lambda: log_likelihood(SAMPLES, Y, 0.0), "noise_sd=0.0 must be positive"),
        (lambda: log_likelihood(SAMPLES, Y, np.nan), "must be positive"),
        (lambda: log_likelihood(SAMPLES, Y, np.ones(5)), r"noise_sd has shape \(5,\)"),
        (lambda: log_likelihood(SAMPLES, Y, np.ones((6, 1))), r"noise_sd has shape \(6, 1\)"),
        (lambda: coverage(SAMPLES, Y, -1.0), "noise_sd=-1.0 must be positive or 0"),
        (lambda: coverage(SAMPLES, Y, level=1.0), "level=1.0"),
        (lambda: coverage(SAMPLES, Y, level=0.0), "level=0.0"),
        (lambda: coverage(SAMPLES[:1], Y), "1 draws"),
        (lambda: fit_noise_sd(np.tile(Y, (4, 1)), Y), "no noise to estimate"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(InputError, match=says):
        call()
