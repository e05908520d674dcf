"""Two networks from the literature, whole: LeNet on handwritten digits, and CANDLE's Combo."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from spikedrop.conversion import calibrate
from spikedrop.engines.reference import simulate
from spikedrop.masks import network_masks
from spikedrop.network import Network
from spikedrop.network.keras_import import import_tensorflow
from spikedrop.sampling.ann import sample_ann
from spikedrop.sampling.snn import sample_snn
from tests.networks import open_simulator

import_tensorflow()
import keras  # noqa: E402
from keras import layers as kl  # noqa: E402

TEST = 400


@pytest.fixture(scope="module")
def digits():
    """Images (observation, 8, 8, 1) in [0, 1] and their digits; the last `TEST` are for tests."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    return images[order].reshape(-1, 8, 8, 1).astype("float32") / 16, labels[order]


@pytest.fixture(scope="module")
def lenet(digits):
    """Train a LeNet of two convolutions, channel dropout after them, dropout above."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            kl.Conv2D(16, 3, padding="same", activation="relu"),
            kl.SpatialDropout2D(0.1),
            kl.AveragePooling2D(2),
            kl.Conv2D(32, 3, padding="same", activation="relu"),
            kl.SpatialDropout2D(0.1),
            kl.AveragePooling2D(2),
            kl.Flatten(),
            kl.Dense(64, "relu"),
            kl.Dropout(0.2),
            kl.Dense(10, "softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    x, y = digits
    model.fit(x[:-TEST], y[:-TEST], epochs=25, batch_size=64, verbose=0)
    return Network.from_keras(model)


@pytest.fixture(scope="module")
def classical(lenet, digits):
    return sample_ann(lenet, digits[0][-TEST:], draws=30, seed=0)


def answers(samples):
    """Return the digit of the largest mean probability over draws, image by image."""
    return samples.mean("draw").values.argmax(axis=-1)


def test_lenet_reads_digits_by_its_samples(classical, digits):
    """The nearest class mean is right on 0.905 of these very images"""
    assert np.allclose(classical.sum("output"), 1, atol=1e-5)
    assert np.mean(answers(classical) == digits[1][-TEST:]) > 0.92


@pytest.mark.parametrize(
    ("neuron", "steps", "bar"),
    [("charge_keeping", 200, 2e-3), ("integrate_first", 200, 2e-3), ("radix", 12, 2e-4)],
)
def test_spikes_read_the_same_digits(lenet, digits, classical, neuron, steps, bar):
    """Probabilities differ by `bar` in the mean over draws, images and digits; answers hardly."""
    x = digits[0][-TEST:]
    rate = {"rate_hz": 1000.0} if neuron == "charge_keeping" else {}
    conversion = calibrate(lenet, digits[0][:-TEST], neuron=neuron, **rate)
    spiking = sample_snn(lenet, conversion, x, draws=30, seed=0, steps=steps)
    assert np.mean(answers(spiking) == answers(classical)) >= 0.99
    assert float(abs(spiking - classical).mean()) < bar


def combo():
    """The gene tower, one tower that both drugs share, and what follows their concatenation."""

    def tower(h):
        for _ in range(3):
            h = kl.Dropout(0.1)(kl.Dense(1000, "relu")(h))
        return h

    drug = keras.Input((3820,))
    drug_tower = keras.Model(drug, tower(drug))
    genes, a, b = keras.Input((942,)), keras.Input((3820,)), keras.Input((3820,))
    joined = kl.Concatenate()([tower(genes), drug_tower(a), drug_tower(b)])
    return keras.Model([genes, a, b], kl.Dense(1)(tower(joined)))


def test_combo_is_taken_whole():
    """Engine and reference: the same counts on 99.9 % of neurons, and the same readouts."""
    keras.utils.set_random_seed(0)
    model = combo()
    assert model.count_params() == 13_772_001
    network = Network.from_keras(model)
    assert network.n_neurons == 12_000
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, network.n_inputs)).astype("float32")
    conversion = calibrate(network, x, rate_hz=200, neuron="charge_keeping")
    masks = network_masks(network, 0, 0)
    timing = {"steps": 20, "settle": 4}
    expected, wanted = simulate(network, conversion, x, masks, **timing)
    with open_simulator(network, conversion, rows=4, backend="engine", **timing) as engine:
        readout, counts = engine(x, masks)
    same = np.concatenate([a == b for a, b in zip(counts, wanted, strict=True)], axis=-1)
    assert len(counts) == 12
    assert same.mean() >= 0.999
    assert np.abs(readout - expected).max() < 0.02 * np.abs(expected).max()
