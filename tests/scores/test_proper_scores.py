"""CRPS, interval score and densities: by hand, by their definitions, and against libraries."""

import tracemalloc

import numpy as np
import pytest
import scoringrules
from scipy import integrate, stats

from spikedrop.errors import InputError
from spikedrop.scores import (
    central_interval,
    crps,
    crps_values,
    gaussian_log_densities,
    gaussian_log_likelihood,
    interval_score,
    interval_scores,
    log_densities,
    log_likelihood,
)


def world(n=40, draws=9, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(draws, n)), rng.normal(size=n)


def test_crps_by_hand():
    """Draws 0, 1, 3 and 2 observed: (2 + 1 + 1) / 3 less half of (1 + 3 + 2) / 3."""
    samples = np.array([[0.0], [1.0], [3.0]])
    assert crps(samples, np.array([2.0])) == pytest.approx(4 / 3 - 1)
    assert crps(samples, np.array([-1.0])) == pytest.approx((1 + 2 + 4) / 3 - 1)


def test_crps_of_constant_draws_is_the_absolute_error():
    y = np.array([1.0, -4.0])
    assert crps_values(np.full((5, 2), 3.0), y) == pytest.approx([2.0, 7.0])


@pytest.mark.parametrize("draws", [2, 3, 40])
@pytest.mark.parametrize("far", [0.0, 1e6, -1e9])
def test_crps_equals_the_sum_over_pairs(draws, far):
    """The sorted form against scoringrules' fair estimator, near 0 and far from it."""
    samples, y = world(draws=draws)
    samples, y = samples + far, y + far
    samples[:, 3] = samples[0, 3]  # draws that are all the same
    samples[: draws // 2, 4] = y[4]  # ties, with what was observed too
    expected = scoringrules.crps_ensemble(y, samples, m_axis=0, estimator="fair")
    assert crps_values(samples, y) == pytest.approx(expected, rel=1e-12, abs=1e-14)


def test_crps_does_not_form_all_pairs():
    """4,000 draws: pairs of one observation are 128 MB, and the draws of all 50 are 1.6 MB."""
    samples, y = np.random.default_rng(0).normal(size=(4000, 51)), np.zeros(51)
    for noise in (0.0, 0.5):
        tracemalloc.start()
        try:
            crps(samples[:500] if noise else samples, y, noise)
            assert tracemalloc.get_traced_memory()[1] < 32e6
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("noise", [0.7, np.linspace(0.2, 2, 40), "each draw"])
def test_crps_with_noise_by_its_definition(noise):
    """Gaussian means of absolute values, pair by pair of different draws."""
    samples, y = world()
    if isinstance(noise, str):
        noise = np.random.default_rng(1).uniform(0.2, 2, samples.shape)
    sd = np.broadcast_to(noise, samples.shape)

    def absolute(mean, sd):
        return stats.foldnorm.mean(np.abs(mean) / sd, scale=sd)

    for i in (0, 17, 39):
        to_y = absolute(y[i] - samples[:, i], sd[:, i]).mean()
        others = [
            absolute(samples[s, i] - samples[t, i], np.hypot(sd[s, i], sd[t, i]))
            for s in range(9)
            for t in range(9)
            if s != t
        ]
        assert crps_values(samples, y, noise)[i] == pytest.approx(to_y - np.mean(others) / 2)


def test_crps_of_equal_draws_with_noise_is_that_of_the_gaussian():
    """Two equal draws with noise are the Gaussian, and scoringrules has its closed form."""
    y = np.array([0.3, -1.0, 2.0])
    samples = np.tile([0.0, 1.0, 1.5], (2, 1))
    expected = scoringrules.crps_normal(y, samples[0], 0.4)
    assert crps_values(samples, y, 0.4) == pytest.approx(expected)


def test_crps_with_noise_is_the_integral_of_squared_distances():
    """For draws without spread fair and plain agree, and the definition is an integral."""
    found = crps_values(np.full((3, 1), 0.5), np.array([1.2]), 0.8)[0]
    expected, _ = integrate.quad(
        lambda t: (stats.norm.cdf(t, 0.5, 0.8) - (t >= 1.2)) ** 2, -8, 9, points=[1.2]
    )
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_fair_crps_does_not_depend_on_the_number_of_draws(noise):
    """3 and 300 draws of N(0, 1): the same mean over 4000 observations, within 5 standard errors.

    False-alarm rate below 1e-6; the unfair estimator is off by 0.56 / (2 x 3) with 3 draws, more
    than 10 standard errors.
    """
    rng = np.random.default_rng(0)
    y = np.hypot(1, noise) * rng.normal(size=4000)
    few = crps_values(rng.normal(size=(3, 4000)), y, noise)
    exact = scoringrules.crps_normal(y, 0.0, np.hypot(1, noise))
    off = few - exact
    assert abs(off.mean()) < 5 * off.std() / np.sqrt(4000)
    unfair = scoringrules.crps_ensemble(y, rng.normal(size=(3, 4000)), m_axis=0, estimator="nrg")
    if not noise:
        assert (unfair - exact).mean() > 10 * off.std() / np.sqrt(4000)


def test_crps_is_proper():
    """Stating the truth beats a shifted, a narrow and a wide statement, 2000 observations."""
    rng = np.random.default_rng(0)
    y, draws = rng.normal(size=2000), rng.normal(size=(60, 2000))
    true = crps(draws, y)
    assert all(crps(wrong, y) > true for wrong in (draws + 0.3, 0.5 * draws, 2 * draws))


def test_blocks_do_not_change_the_crps(monkeypatch):
    samples, y = world()
    whole = crps_values(samples, y, 0.3)
    monkeypatch.setattr("spikedrop.scores.proper.SMALL", 9 * 7)
    assert (crps_values(samples, y, 0.3) == whole).all()


def test_interval_score_by_hand():
    """[0, 2] at 90 %: inside costs 2; 0.1 below costs 2 + 20 x 0.1; 1 above costs 2 + 20."""
    y = np.array([1.0, -0.1, 3.0, 2.0])
    found = interval_scores(np.zeros(4), np.full(4, 2.0), y)
    assert found == pytest.approx([2, 4, 22, 2])
    assert interval_score(np.zeros(4), np.full(4, 2.0), y) == pytest.approx(7.5)


def test_interval_score_is_two_pinball_losses_of_scikit_learn():
    """2 / alpha times the sum of the pinball losses of both ends (Gneiting & Raftery 2007)."""
    from sklearn.metrics import mean_pinball_loss

    samples, y = world()
    low, high = central_interval(samples, 0.5, 0.8)
    losses = mean_pinball_loss(y, low, alpha=0.1) + mean_pinball_loss(y, high, alpha=0.9)
    assert interval_score(low, high, y, 0.8) == pytest.approx(2 / 0.2 * losses)


@pytest.mark.parametrize("noise", [0.7, np.linspace(0.2, 2, 40)])
def test_gaussian_log_density_is_scipys_of_the_moments(noise):
    samples, y = world()
    sd = np.sqrt(np.var(samples, axis=0, ddof=1) + np.square(noise))
    expected = stats.norm(samples.mean(axis=0), sd).logpdf(y)
    assert gaussian_log_densities(samples, y, noise) == pytest.approx(expected)
    assert gaussian_log_likelihood(samples, y, noise) == pytest.approx(expected.mean())


def test_gaussian_log_density_by_hand():
    """Draws 0 and 2, noise 1: mean 1, variance 2 + 1; at 4 it is -log(6 pi) / 2 - 9 / 6."""
    value = gaussian_log_likelihood(np.array([[0.0], [2.0]]), np.array([4.0]), 1.0)
    assert value == pytest.approx(-np.log(6 * np.pi) / 2 - 1.5)


def test_log_density_with_noise_of_each_draw_is_scoringrules_mixture():
    samples, y = world()
    sd = np.random.default_rng(1).uniform(0.2, 2, samples.shape)
    expected = scoringrules.logs_mixnorm(y, samples.T, sd.T)
    assert log_densities(samples, y, sd) == pytest.approx(-expected)
    assert log_likelihood(samples, y, sd) == pytest.approx(-expected.mean())


def with_nan(array, *index):
    array = array.copy()
    array[index] = np.nan
    return array


SAMPLES, Y = world(6, 4)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: crps(SAMPLES, Y[:5]), r"y has shape \(5,\); expected \(6,\)"),
        (lambda: crps(SAMPLES[:1], Y), "1 draws, and at least 2"),
        (lambda: crps(SAMPLES[:1], Y, 0.5), "1 draws"),
        (lambda: crps(SAMPLES, Y, np.array([0, 1, 1, 1, 1, 1.0])), "0 in some places"),
        (lambda: crps(with_nan(SAMPLES, 2, 3), Y), "draw 2, obs.* 3"),
        (lambda: crps(np.zeros((4, 6, 2)), Y), "mean_and_noise"),
        (lambda: crps(SAMPLES, Y, np.ones((3, 6))), r"noise_sd has shape \(3, 6\)"),
        (lambda: interval_score(np.ones(2), np.zeros(2), Y[:2]), "observation 0: lower=1.0 and up"),
        (lambda: interval_score(np.zeros(2), [1, np.nan], Y[:2]), "upper: the.* observation 1"),
        (lambda: interval_score(np.zeros(2), np.ones(3), Y[:2]), r"upper has shape \(3,\)"),
        (lambda: interval_score(np.zeros(2), np.ones(2), Y), r"y has shape \(6,\).* 2 of them"),
        (lambda: interval_score(np.zeros(2), np.ones(2), [0, np.inf]), "first is observation 1"),
        (lambda: interval_score(np.zeros(2), np.ones(2), Y[:2], 90), "level=90"),
        (lambda: gaussian_log_likelihood(np.ones((4, 6)), Y), "observation 0 has the same value"),
        (lambda: gaussian_log_likelihood(SAMPLES[:1], Y, 1.0), "1 draws"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(InputError, match=says):
        call()
