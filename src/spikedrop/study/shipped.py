"""Two models that a reader could have, trained on data that ship with scikit-learn."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikedrop.checks.arguments import whole_number
from spikedrop.errors import InputError
from spikedrop.network.graph import Network
from spikedrop.network.keras_import import import_keras, keras_defaults, retracing_unmentioned
from spikedrop.training.keras import load_or_train

if TYPE_CHECKING:
    import keras

__all__ = ["Rows", "diabetes_example", "digits_example", "strange_digits"]

DIGITS = 1797  # images that scikit-learn ships


@dataclass(frozen=True)
class Rows:
    """Positions of rows in three parts, each with axis (row,)."""

    train: np.ndarray
    held_out: np.ndarray
    test: np.ndarray


@dataclass(frozen=True, eq=False)
class Digits:
    """Images of handwritten digits, and a network that reads them.

    Attributes
    ----------
    x_train, x : numpy.ndarray
        Training and test images, float32, axes (observation, 8, 8, 1), from 0 (paper) to 1 (ink).
    y_train, y : numpy.ndarray
        Their digits, axis (observation,).
    network : Network
        Trained on the training images; ten probabilities.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x: np.ndarray
    y: np.ndarray
    network: Network


def diabetes_example(
    work: str | Path, *, seed: int, epochs: int = 30
) -> tuple[keras.Model, np.ndarray, np.ndarray, Rows]:
    """Train a functional Keras model on scikit-learn's diabetes records, or load it from `work`.

    442 people, ten measurements of each, and how far the disease has gone a year later (Efron et
    al. 2004, doi:10.1214/009053604000000067).

    Parameters
    ----------
    work : path
        Folder of trained models; the file name carries everything the training depends on.
    seed : int
        Of the parts, the initial weights, the dropout masks and the order of rows.
    epochs : int, default 30
        Passes over the training rows.

    Returns
    -------
    model : keras.Model
        Two hidden layers with batch normalisation and dropout, beside which the inputs run to the
        end.
    x : numpy.ndarray
        Axes (row, measurement), each with mean 0 and sd 1 over the training rows.
    y : numpy.ndarray
        Axis (row,), progression in units of 100.
    rows : Rows
        Three fifths to train, a fifth held out, a fifth to test.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as work:
    ...     model, x, y, rows = diabetes_example(work, seed=0, epochs=1)
    >>> x.shape, y.shape
    ((442, 10), (442,))
    """
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True, scaled=False)
    order = np.random.default_rng(seed).permutation(len(y))
    rows = Rows(*(np.sort(part) for part in np.split(order, [len(y) * 3 // 5, len(y) * 4 // 5])))
    x = (x - x[rows.train].mean(axis=0)) / x[rows.train].std(axis=0)
    x, y = x.astype(np.float32), (y / 100).astype(np.float32)

    def build() -> keras.Model:
        import keras
        from keras import layers as kl

        start = keras.initializers.GlorotUniform
        h = inputs = keras.Input((10,), name="measurements")
        for i in (1, 2):
            h = kl.Dense(64, kernel_initializer=start(seed + i), name=f"dense_{i}")(h)
            h = kl.BatchNormalization(momentum=0.9, name=f"normalise_{i}")(h)
            h = kl.ReLU(name=f"relu_{i}")(h)
            h = kl.Dropout(0.2, seed=seed + i, name=f"dropout_{i}")(h)
        h = kl.Concatenate(name="both")([h, inputs])
        progression = kl.Dense(1, kernel_initializer=start(seed), name="progression")
        return keras.Model(inputs, progression(h), name="diabetes")

    train = rows.train
    model = _trained(build, x[train], y[train], "mse", epochs, 1e-3, seed, Path(work), "diabetes")
    return model, x, y, rows


def digits_example(
    work: str | Path, *, seed: int, epochs: int = 20, observations: int = 500
) -> Digits:
    """Train a small convolutional network on scikit-learn's digits, or load it from `work`.

    1,797 images of 8 x 8 pixels (Alpaydin & Kaynak 1998, doi:10.24432/C50P49). Two convolutions
    with channel dropout and average pooling, a dense layer with dropout, a softmax.

    Parameters
    ----------
    work, seed, epochs : see `diabetes_example`
    observations : int, default 500
        Test images, which no training sees; the others are trained on, at least ten.

    Returns
    -------
    Digits
        Training and test images with their digits, and the network.

    Raises
    ------
    InputError
        If too few images are left to train on.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as work:
    ...     digits = digits_example(work, seed=0, epochs=1, observations=20)
    >>> digits.x.shape
    (20, 8, 8, 1)
    """
    whole_number("observations", observations, least=1, below=DIGITS - 9)
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    images = (images[order].reshape(-1, 8, 8, 1) / 16).astype(np.float32)
    labels = labels[order]
    x, y = images[observations:], labels[observations:]

    def build() -> keras.Model:
        import keras
        from keras import layers as kl

        start = keras.initializers.GlorotUniform
        stack: list[keras.layers.Layer] = [keras.Input((8, 8, 1), name="image")]
        for i, channels in ((1, 16), (2, 32)):
            kernel = {"padding": "same", "kernel_initializer": start(seed + i)}
            stack += [
                kl.Conv2D(channels, 3, activation="relu", name=f"conv_{i}", **kernel),
                kl.SpatialDropout2D(0.1, seed=seed + i, name=f"dropout_{i}"),
                kl.AveragePooling2D(2, name=f"pool_{i}"),
            ]
        stack += [
            kl.Flatten(name="flat"),
            kl.Dense(64, activation="relu", kernel_initializer=start(seed + 3), name="dense"),
            kl.Dropout(0.3, seed=seed + 3, name="dropout_3"),
            kl.Dense(10, activation="softmax", kernel_initializer=start(seed), name="digit"),
        ]
        return keras.Sequential(stack, name="digits")

    loss = "sparse_categorical_crossentropy"
    model = _trained(build, x, y, loss, epochs, 3e-3, seed, Path(work), "digits")
    network = Network.from_keras(model)
    return Digits(x, y, images[:observations], labels[:observations], network)


def strange_digits(x: np.ndarray, *, seed: int) -> dict[str, np.ndarray]:
    """Make out-of-distribution images from images of digits.

    Parameters
    ----------
    x : numpy.ndarray
        Axes (observation, 8, 8, 1), from 0 to 1; at least two.
    seed : int
        Of the scrambling, which is the same for all images, and of the noise.

    Returns
    -------
    dict of numpy.ndarray
        Each with the axes of `x`: ``two halves`` (upper half of one digit, lower half of the one
        before it), ``upside down``, ``turned`` (by a quarter to the left), ``inverted`` (ink for
        paper), ``scrambled`` (pixels in another order), ``noise`` (uniform).

    Raises
    ------
    InputError
        If `x` has other axes or holds one image.

    Examples
    --------
    >>> x = np.zeros((2, 8, 8, 1), "float32")
    >>> x[0, 0] = 1  # the top row of the first image is ink
    >>> strange = strange_digits(x, seed=0)
    >>> strange["turned"][0, :, 0, 0].tolist()  # and now the left column
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    >>> float(strange["inverted"].sum()), float(strange["scrambled"].sum())
    (120.0, 8.0)
    """
    x = np.asarray(x, dtype=np.float32)
    if x.ndim != 4 or x.shape[1:] != (8, 8, 1) or len(x) < 2:
        raise InputError(
            f"x has shape {x.shape}; expected at least two images, axes (observation, 8, 8, 1)."
        )
    rng = np.random.default_rng(seed)
    pixels = rng.permutation(64)
    return {
        "two halves": np.concatenate([x[:, :4], np.roll(x, 1, axis=0)[:, 4:]], axis=1),
        "upside down": np.ascontiguousarray(x[:, ::-1]),
        "turned": np.ascontiguousarray(np.rot90(x, axes=(1, 2))),
        "inverted": 1 - x,
        "scrambled": x.reshape(len(x), 64)[:, pixels].reshape(x.shape),
        "noise": rng.uniform(size=x.shape).astype(np.float32),
    }


@keras_defaults()
def _trained(
    build: Callable[[], keras.Model],
    x: np.ndarray,
    y: np.ndarray,
    loss: str,
    epochs: int,
    learning_rate: float,
    seed: int,
    work: Path,
    name: str,
) -> keras.Model:
    """Train by Adam in batches of 32, or load what was trained on the same rows before."""
    whole_number("epochs", epochs, least=1)
    keras = import_keras()

    def fitted() -> Any:
        model = build()
        model.compile(keras.optimizers.Adam(learning_rate), loss)
        rng = np.random.default_rng([seed, 1])
        # All passes as one epoch: the order follows from the seed, and Keras shuffles nothing.
        order = np.concatenate([rng.permutation(len(y)) for _ in range(epochs)])
        with retracing_unmentioned():
            model.fit(x[order], y[order], batch_size=32, epochs=1, shuffle=False, verbose=0)
        return model

    digest = hashlib.sha256(x.tobytes() + y.tobytes() + repr((epochs, seed)).encode())
    return load_or_train(work / f"{name}-{digest.hexdigest()[:16]}.keras", fitted)
