"""The linear-Gaussian case against integration, an independent ridge, and Monte-Carlo."""

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import BayesianRidge, Ridge

from spikedrop.errors import InputError
from spikedrop.masks import layer_mask
from spikedrop.sampling.ann import sample_ann
from spikedrop.study.linear_gaussian import (
    as_network,
    dropout_fit,
    dropout_moments,
    posterior,
    sd_against_rows,
)


def data(n=50, inputs=6, seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, inputs)) * np.linspace(0.3, 2, inputs)
    return x, x @ rng.normal(size=inputs) + noise * rng.normal(size=n)


def test_posterior_by_numerical_integration():
    """Two weights on a grid: prior times likelihood, normalised; mean and covariance."""
    x, y = data(8, 2)
    alpha, tau = 0.7, 2.5
    mean, covariance = posterior(x, y, prior_precision=alpha, noise_precision=tau)
    sd = np.sqrt(np.diag(covariance))
    axes = [np.linspace(m - 9 * s, m + 9 * s, 401) for m, s in zip(mean, sd, strict=True)]
    weights = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    log_density = -0.5 * alpha * (weights**2).sum(1) - 0.5 * tau * ((y - weights @ x.T) ** 2).sum(1)
    density = np.exp(log_density - log_density.max())
    density /= density.sum()
    numeric_mean = density @ weights
    centred = weights - numeric_mean
    assert mean == pytest.approx(numeric_mean, rel=1e-6)
    assert covariance == pytest.approx((centred * density[:, None]).T @ centred, rel=1e-6)


def test_posterior_equals_bayesian_ridge_at_its_precisions():
    x, y = data()
    ridge = BayesianRidge(fit_intercept=False).fit(x, y)
    mean, covariance = posterior(x, y, prior_precision=ridge.lambda_, noise_precision=ridge.alpha_)
    assert mean == pytest.approx(ridge.coef_, rel=1e-2)  # its precisions move once more at the end
    assert covariance == pytest.approx(ridge.sigma_, rel=1e-2, abs=1e-4)
    assert mean == pytest.approx(
        Ridge(alpha=ridge.lambda_ / ridge.alpha_, fit_intercept=False).fit(x, y).coef_
    )


def test_posterior_without_rows_is_the_prior_and_with_many_is_least_squares():
    mean, covariance = posterior(
        np.zeros((0, 3)), np.zeros(0), prior_precision=4, noise_precision=1
    )
    assert mean.tolist() == [0, 0, 0]
    assert np.allclose(covariance, np.eye(3) / 4)
    x, y = data(20000)
    mean, covariance = posterior(x, y, prior_precision=1, noise_precision=4)
    assert mean == pytest.approx(np.linalg.lstsq(x, y)[0], abs=1e-3)
    assert np.abs(covariance).max() < 1e-2


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.9])
def test_dropout_fit_makes_the_gradient_vanish(rate):
    """Of the expected loss written out row by row and input by input."""
    x, y = data()
    alpha, tau = 1.5, 3.0

    def expected_loss(weights):
        """Mean and variance of y - (m x) w, row by row, plus the prior's term."""
        mean, variance = x @ weights, rate / (1 - rate) * (x**2 @ weights**2)
        return ((y - mean) ** 2 + variance).sum() + alpha / tau * (weights**2).sum()

    weights = dropout_fit(x, y, rate, prior_precision=alpha, noise_precision=tau)
    steps = 1e-5 * np.eye(len(weights))
    gradient = [(expected_loss(weights + d) - expected_loss(weights - d)) / 2e-5 for d in steps]
    assert np.abs(gradient).max() < 1e-5 * expected_loss(weights)
    rng = np.random.default_rng(0)
    near = [weights + 0.05 * rng.normal(size=len(weights)) for _ in range(20)]
    assert min(expected_loss(w) for w in near) > expected_loss(weights)


def test_dropout_fit_without_dropout_is_the_posterior_mean():
    x, y = data()
    known = {"prior_precision": 1.5, "noise_precision": 3.0}
    assert dropout_fit(x, y, 0.0, **known) == pytest.approx(posterior(x, y, **known)[0])


def test_dropout_fit_minimises_the_loss_under_sampled_masks():
    """Least squares on 1000 masked copies of the rows; false-alarm rate 1e-4, Bonferroni.

    The standard error of each weight comes from 20 batches of 50 copies.
    """
    x, y = data()
    rate = 0.3

    def fit(batch):
        masks = layer_mask(
            batch, 0, 0, units=x.shape[1], rate=rate, observations=range(50 * len(x))
        ).astype(float)
        return np.linalg.lstsq(np.tile(x, (50, 1)) * masks, np.tile(y, 50))[0]

    fits = np.array([fit(batch) for batch in range(20)])
    exact = dropout_fit(x, y, rate, prior_precision=0.0, noise_precision=1.0)
    z = (fits.mean(axis=0) - exact) / (fits.std(axis=0, ddof=1) / np.sqrt(20))
    assert np.abs(z).max() < stats.t.isf(1e-4 / 2 / len(exact), 19)
    plain = np.linalg.lstsq(x, y)[0]
    assert np.abs((fits.mean(axis=0) - plain) / fits.std(axis=0, ddof=1)).max() > 10


def test_moments_by_enumeration():
    """All 2^4 masks with their probabilities."""
    rng = np.random.default_rng(0)
    weights, x, rate = rng.normal(size=4), rng.normal(size=(5, 4)), 0.3
    masks = np.array(np.meshgrid(*[[0, 1]] * 4)).reshape(4, -1).T
    probability = np.where(masks, 1 - rate, rate).prod(axis=1)
    values = x @ (weights * masks / (1 - rate)).T
    mean, variance = dropout_moments(weights, x, rate)
    assert mean == pytest.approx(values @ probability)
    assert variance == pytest.approx(values**2 @ probability - mean**2)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5])
def test_as_network_samples_the_linear_model(rate):
    """Draw by draw the masked linear model, to float32 at the size of the offset."""
    rng = np.random.default_rng(1)
    weights, x = rng.normal(size=6), rng.normal(size=(9, 6))
    samples = sample_ann(as_network(weights, rate), x, draws=5, seed=2).values[:, :, 0]
    for draw, sample in enumerate(samples):
        mask = layer_mask(2, 0, draw, units=6, rate=rate)
        assert sample == pytest.approx((x * mask) @ weights, abs=64 * 6 * 2e-6)


def test_as_network_has_the_moments():
    """3000 draws, one row: z of the mean; chi-squared of the variance. False alarms 1e-4 each."""
    rng = np.random.default_rng(2)
    weights, x = rng.normal(size=40), rng.normal(size=(1, 40))
    values = sample_ann(as_network(weights, 0.2), x, draws=3000, seed=0).values.ravel()
    mean, variance = (m[0] for m in dropout_moments(weights, x, 0.2))
    assert abs(values.mean() - mean) < stats.norm.isf(5e-5) * np.sqrt(variance / 3000)
    low, high = stats.chi2.ppf([5e-5, 1 - 5e-5], 2999) / 2999
    assert low < values.var(ddof=1) / variance < high


def test_the_exact_posterior_narrows_with_rows_and_dropout_grows_with_its_rate():
    table = sd_against_rows([20, 200, 2000], [0.05, 0.5], seed=0)
    assert table.columns.tolist() == ["exact posterior", "dropout, p = 0.05", "dropout, p = 0.5"]
    exact = table["exact posterior"]
    # with many rows the posterior sd is noise * sqrt(inputs / rows)
    assert exact[2000] == pytest.approx(0.5 * np.sqrt(20 / 2000), rel=0.1)
    assert exact[200] / exact[2000] == pytest.approx(np.sqrt(10), rel=0.15)
    # dropout's sd does not: in the limit sqrt(p/(1-p) sum w^2), shrunk by the penalty (1-p)
    assert table["dropout, p = 0.5"][2000] / table["dropout, p = 0.5"][200] > 0.8
    assert (table["dropout, p = 0.5"] > table["dropout, p = 0.05"]).all()


@pytest.mark.parametrize("rate", [1.0, -0.1, np.nan])
def test_rates_out_of_range_are_refused(rate):
    x, y = data()
    with pytest.raises(InputError, match="at least 0 and below 1"):
        dropout_fit(x, y, rate, prior_precision=1, noise_precision=1)
    with pytest.raises(InputError, match="at least 0 and below 1"):
        dropout_moments(np.ones(6), x, rate)
    with pytest.raises(InputError, match="at least 0 and below 1"):
        as_network(np.ones(6), rate)
