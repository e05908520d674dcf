"""A network that predicts its own noise: its mean, what it learns, and its samples as draws."""

import numpy as np
import pytest
from scipy import stats

import spikedrop as sd
from spikedrop import scores
from spikedrop.errors import InputError
from spikedrop.scores import coverage, crps, mean_and_noise
from spikedrop.training.keras import build_model, train
from spikedrop.training.noise_head import add_noise_head

SETTINGS = {"hidden": (32, 32), "dropout": 0.02, "epochs": 12, "batch_size": 64}


def rows(n, seed):
    """Noise that grows from 0.14 to 1 with the second input."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, size=(n, 2)).astype("float32")
    noise = np.exp(x[:, 1] - 1)
    return x, x[:, 0] + noise * rng.normal(size=n), noise


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    file = tmp_path_factory.mktemp("noise") / "network.keras"
    x, y, _ = rows(3000, 0)
    x_held, y_held, _ = rows(500, 1)
    more = {"learning_rate": 3e-3, "noise": "heteroscedastic", "file": file}
    return train(x, y, (x_held, y_held), seed=0, **SETTINGS, **more), file


def test_the_mean_is_that_of_constant_noise(trained):
    """To float32's rounding of a product with two columns in place of one."""
    x, y, _ = rows(3000, 0)
    held = rows(500, 1)[:2]
    more = {"learning_rate": 3e-3, "seed": 0, **SETTINGS}
    constant = train(x, y, held, **more)
    assert trained[0](x).numpy()[:, 0] == pytest.approx(constant(x).numpy()[:, 0], abs=1e-6)
    again = train(x, y, held, **more, noise="heteroscedastic", mean=constant)
    pairs = zip(again.get_weights(), trained[0].get_weights(), strict=True)
    assert all((a == b).all() for a, b in pairs)


def test_the_head_minimises_the_likelihood_of_the_frozen_mean():
    """Against SciPy's log density: no other weights of the head are better by its own measure.

    The level is chosen on rows of the same noise, so that it moves little; the slope of the
    penalised loss at the weights is that of the change of level alone.
    """
    x, y, noise = rows(4000, 0)
    model = build_model(2, hidden=(16,), dropout=0.01, seed=0)
    model.layers[-1].set_weights([np.zeros((16, 1)), np.zeros(1)])  # a mean of 0
    y = noise * np.random.default_rng(5).normal(size=4000)
    both = add_noise_head(model, x[:3000], y[:3000], (x[3000:], y[3000:]), seed=0)
    log_variance = both(x[:3000]).numpy()[:, 1].astype(float)

    def density(log_variance):
        return stats.norm.logpdf(y[:3000], 0, np.exp(log_variance / 2)).mean()

    true = density(2 * np.log(noise[:3000]))
    assert density(log_variance) == pytest.approx(true, abs=0.01)
    assert np.abs(log_variance - 2 * np.log(noise[:3000])).mean() < 0.15
    for change in (0.2 * (log_variance - log_variance.mean()), 0.2):
        assert density(log_variance) > density(log_variance + change)
        assert density(log_variance) > density(log_variance - change)


def test_the_samples_split_and_score(trained):
    """Learnt from 3000 rows: the noise within 15 % in the median, ranked as the true one.

    Coverage of 2000 observations at 90 %: 0.83 to 0.96 allows for a noise that is off by 15 %;
    chance alone adds 0.007 (one sd).
    """
    network = sd.Network.from_keras(trained[0])
    x, y, noise = rows(2000, 2)
    conversion = sd.calibrate(network, x, rate_hz=500)
    ann = sd.sample_ann(network, x, draws=30, seed=0)
    snn = sd.sample_snn(network, conversion, x[:300], draws=30, seed=0, steps=200)
    assert ann.shape == (30, 2000, 2)
    means, found = mean_and_noise(ann)
    ratio = found.mean(axis=0) / noise
    assert np.median(ratio) == pytest.approx(1, abs=0.15)
    assert stats.spearmanr(found.mean(axis=0), noise).statistic > 0.9
    assert 0.83 < coverage(means, y, found) < 0.96
    one = sd.fit_noise_sd(means[:, :1000], y[:1000])
    later = np.s_[:, 1000:]
    told = sd.log_likelihood(means[later], y[1000:], found[later])
    assert told > sd.log_likelihood(means[later], y[1000:], one) + 0.05
    assert crps(means[later], y[1000:], found[later]) < crps(means[later], y[1000:], one)
    spiking_means, spiking = mean_and_noise(snn)
    assert spiking == pytest.approx(found[:, :300], rel=0.1)
    assert np.abs(spiking_means - means[:, :300]).max() < 0.1


def test_the_file_opens_without_this_package_and_is_not_mistaken(trained):
    import keras

    model, file = trained
    x, y, _ = rows(10, 3)
    loaded = keras.saving.load_model(file)
    assert (loaded(x).numpy() == model(x).numpy()).all()
    assert train(x, y, (x, y), seed=0, noise="heteroscedastic", file=file).output_shape[1] == 2
    with pytest.raises(InputError, match=r"outputs \(2,\), but noise='constant' has 1"):
        train(x, y, (x, y), seed=0, file=file)


def test_a_unit_that_hardly_fires_has_little_say():
    """One unit fires in a few of 2,000 rows, by a thousandth, and by 1 on a new row.

    In units of its own sd on the training rows that would be thousands, and the stated noise of
    the new row without bound; the noise is 1 everywhere.
    """
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1, 1, size=(2000, 1)).astype("float32"), rng.normal(size=2000)
    model = build_model(1, hidden=(2,), dropout=0.01, seed=0)
    model.set_weights(
        [np.ones((1, 2)), np.array([1.0, -0.999]), np.zeros((2, 1)), np.zeros(1)],
    )
    assert 0 < (x > 0.999).sum() < 10
    both = add_noise_head(model, x[:1500], y[:1500], (x[1500:], y[1500:]), seed=0)
    assert np.abs(both(np.array([[0.0], [2.0]])).numpy()[:, 1]).max() < 1


def test_a_mean_that_cannot_get_a_head_is_refused():
    x, y, _ = rows(50, 3)
    model = build_model(3, hidden=(4,), seed=0)
    with pytest.raises(InputError, match=r"mean has inputs \(3,\) and outputs \(1,\); .*\(2,\)"):
        train(x, y, (x, y), seed=0, noise="heteroscedastic", mean=model)
    with pytest.raises(InputError, match="leave it out"):
        train(x, y, (x, y), seed=0, mean=model)


def test_the_factor_of_a_noise_is_found_again():
    """Noise stated at a third, 4,000 rows: the factor's relative sd is 1 / sqrt(8000) = 0.011."""
    rng = np.random.default_rng(0)
    noise = rng.uniform(0.2, 2, 4000)
    y = noise * rng.normal(size=4000)
    still = np.zeros((2, 4000))
    assert scores.fit_noise_factor(still, y, noise / 3) == pytest.approx(3, rel=0.05)
    assert scores.fit_noise_factor(still, y, 1.0) == scores.fit_noise_sd(still, y)
    with pytest.raises(InputError, match="no noise to estimate"):
        scores.fit_noise_factor(still, np.zeros(4000), noise)


def test_an_unknown_noise_is_refused():
    with pytest.raises(InputError, match="noise='student'; use 'constant'"):
        build_model(2, hidden=(4,), seed=0, noise="student")


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (np.zeros((3, 4)), r"1 output.*expected \(draw, observation, 2\)"),
        (np.zeros((3, 4, 1)), "train with noise='heteroscedastic'"),
        (np.full((3, 4, 2), np.nan), "hold NaN"),
        (np.full((3, 4, 2), 600.0), "beyond 500"),
    ],
)
def test_what_is_no_mean_and_noise_is_refused(samples, says):
    with pytest.raises(InputError, match=says):
        mean_and_noise(samples)
