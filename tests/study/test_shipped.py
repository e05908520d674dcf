"""The models on shipped data: training that repeats, files that are taken, strange images."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LinearRegression

import spikedrop as sd
from spikedrop.errors import InputError
from spikedrop.study.shipped import diabetes_example, digits_example, strange_digits


def test_digits_train_the_same_twice_and_are_loaded_once(tmp_path):
    """Trained on 300 of them for a few passes; to guess is right on one in ten."""
    how = {"seed": 3, "epochs": 12, "observations": 1497}
    first = digits_example(tmp_path / "a", **how)
    again = digits_example(tmp_path / "b", **how)
    x = first.x[:300]
    expected = sd.predict(first.network, x)
    assert np.array_equal(sd.predict(again.network, x), expected)
    (file,) = (tmp_path / "a").iterdir()
    written = file.stat().st_mtime_ns
    loaded = digits_example(tmp_path / "a", **how)
    assert np.array_equal(sd.predict(loaded.network, x), expected)
    assert file.stat().st_mtime_ns == written
    assert np.mean(expected.argmax(axis=1) == first.y[:300]) > 0.6
    assert (first.network.n_outputs, len(first.x), len(first.x_train)) == (10, 1497, 300)


def test_every_digit_is_in_one_part(tmp_path):
    found = digits_example(tmp_path, seed=0, epochs=1, observations=1700)
    both = np.concatenate([found.x_train, found.x]).reshape(-1, 64)
    shipped = load_digits().data / 16
    assert np.array_equal(*(images[np.lexsort(images.T)] for images in (both, shipped)))
    assert both.min() == 0 and both.max() == 1
    assert np.bincount(np.concatenate([found.y_train, found.y])).tolist() == (
        np.bincount(load_digits().target).tolist()
    )


def test_diabetes_model_is_read_whole_and_predicts(tmp_path):
    """Its error on test rows is below that of the mean, and near a linear model's."""
    model, x, y, rows = diabetes_example(tmp_path, seed=0, epochs=30)
    network = sd.Network.from_keras(model)
    assert np.abs(sd.predict(network, x) - np.asarray(model(x))).max() < 1e-4
    parts = np.concatenate([rows.train, rows.held_out, rows.test])
    assert np.array_equal(np.sort(parts), np.arange(len(y)))
    assert x[rows.train].mean(axis=0) == pytest.approx(np.zeros(10), abs=1e-5)
    error = np.mean((sd.predict(network, x)[rows.test, 0] - y[rows.test]) ** 2)
    linear = LinearRegression().fit(x[rows.train], y[rows.train])
    of_linear = np.mean((linear.predict(x[rows.test]) - y[rows.test]) ** 2)
    assert error < 0.85 * y[rows.test].var() and error < 1.3 * of_linear


def test_strange_images_by_what_they_keep():
    x = load_digits().images[:20, :, :, None].astype("float32") / 16
    found = strange_digits(x, seed=0)
    assert all(images.shape == x.shape and images.dtype == x.dtype for images in found.values())
    assert all(images.min() >= 0 and images.max() <= 1 for images in found.values())
    for name in ("turned", "upside down", "scrambled"):  # the same ink elsewhere
        assert np.array_equal(np.sort(found[name].reshape(20, 64)), np.sort(x.reshape(20, 64)))
        assert not np.array_equal(found[name], x)
    assert found["inverted"] + x == pytest.approx(np.ones_like(x))
    assert np.array_equal(np.rot90(found["turned"], 3, axes=(1, 2)), x)
    assert np.array_equal(found["upside down"][:, 0], x[:, 7])
    assert np.array_equal(found["two halves"][1, :4], x[1, :4])
    assert np.array_equal(found["two halves"][1, 4:], x[0, 4:])
    one, other = (strange_digits(x, seed=seed) for seed in (0, 1))
    assert np.array_equal(one["scrambled"], found["scrambled"])
    assert not np.array_equal(other["scrambled"], found["scrambled"])


def test_input_that_cannot_be_used_is_refused(tmp_path):
    with pytest.raises(InputError, match="observations=1790"):
        digits_example(tmp_path, seed=0, observations=1790)
    with pytest.raises(InputError, match="epochs=0"):
        diabetes_example(tmp_path, seed=0, epochs=0)
    with pytest.raises(InputError, match=r"shape \(1, 8, 8, 1\)"):
        strange_digits(np.zeros((1, 8, 8, 1)), seed=0)
