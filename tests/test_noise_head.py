"""A network that predicts its own noise: the loss, what it learns, and its samples as draws."""

import numpy as np
import pytest
from scipy import stats

import spikedrop as sd
from spikedrop.errors import InputError
from spikedrop.scores import coverage, crps, mean_and_noise
from spikedrop.training import build_model, gaussian_nll, train

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


def test_the_loss_is_scipys_up_to_a_constant():
    rng = np.random.default_rng(0)
    y, mean, log_variance = rng.normal(size=(3, 20))
    found = gaussian_nll(y, np.stack([mean, log_variance], axis=1)).numpy()
    expected = -stats.norm.logpdf(y, mean, np.exp(log_variance / 2)) - np.log(2 * np.pi) / 2
    assert found == pytest.approx(expected)


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
