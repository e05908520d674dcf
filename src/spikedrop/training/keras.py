"""Train a Keras network with dropout, once, and keep it in a `.keras` file."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from filelock import FileLock
from tqdm import tqdm

from spikedrop.checks.columns import check_spread, few, frame_values, names_of
from spikedrop.errors import InputError
from spikedrop.files.writing import written
from spikedrop.network.keras_file import load_keras
from spikedrop.network.named import Columns, save_named
from spikedrop.network.quiet import (
    import_keras,
    import_tensorflow,
    keras_defaults,
    retracing_unmentioned,
)
from spikedrop.training.dense import check_rates, whole
from spikedrop.training.noise_head import add_noise_head

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Noise = Literal["constant", "heteroscedastic"]


@keras_defaults()
def build_model(
    n_inputs: int,
    *,
    hidden: Sequence[int] = (512, 512, 512),
    dropout: float = 0.1,
    seed: int,
    noise: Noise = "constant",
) -> keras.Model:
    """Build a Keras network: Dense + ReLU + Dropout for each of `hidden`, then a linear output.

    With `noise` ``heteroscedastic`` there are two linear outputs, the mean and the logarithm of
    the noise variance (Nix & Weigend 1994, doi:10.1109/ICNN.1994.374138). Initial weights and
    Keras's own dropout masks follow from `seed`. Raises `InputError` if a size, the rate or the
    noise cannot be used.

    >>> build_model(4, hidden=(8,), seed=0).count_params()
    49
    """
    if not len(hidden):
        raise InputError("hidden=(): give at least one layer of at least one unit.")
    for i, units in enumerate(hidden):
        whole(**{f"hidden[{i}]": units})
    if not 0 <= dropout < 1:
        raise InputError(f"dropout={dropout}: the rate must be at least 0 and below 1.")
    if noise not in ("constant", "heteroscedastic"):
        raise InputError(f"noise={noise!r}; use 'constant' or 'heteroscedastic'.")
    import_keras()
    import keras

    layers: list[keras.layers.Layer] = [keras.Input((n_inputs,), name="inputs")]
    for i, units in enumerate(hidden):
        initial = keras.initializers.GlorotUniform(seed=seed + i)
        layers.append(
            keras.layers.Dense(
                units, activation="relu", kernel_initializer=initial, name=f"dense_{i + 1}"
            )
        )
        layers.append(keras.layers.Dropout(dropout, seed=seed + i, name=f"dropout_{i + 1}"))
    initial = keras.initializers.GlorotUniform(seed=seed)
    outputs = 1 if noise == "constant" else 2
    layers.append(keras.layers.Dense(outputs, kernel_initializer=initial, name="readout"))
    return keras.Sequential(layers)


@keras_defaults()
def train(
    x: np.ndarray,
    y: np.ndarray,
    validation: tuple[np.ndarray, np.ndarray],
    *,
    seed: int,
    hidden: Sequence[int] = (512, 512, 512),
    dropout: float = 0.1,
    epochs: int = 60,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    weight_decay: float = 4e-3,
    patience: int = 15,
    swap: np.ndarray | None = None,
    noise: Noise = "constant",
    mean: keras.Model | None = None,
    file: str | Path | None = None,
    verbose: int = 0,
    progress: bool = False,
) -> keras.Model:
    """Train by mean squared error with AdamW, cosine decay and early stopping.

    In float32 with Keras's default settings, whatever keras.json or `keras.config` say, so that
    a seed trains the same network everywhere (`spikedrop.network.quiet.keras_defaults`).

    With `noise` ``heteroscedastic`` the trained network gets the logarithm of the noise variance as
    a second output (`spikedrop.training.noise_head.add_noise_head`) and its mean stays what it was;
    `spikedrop.scores.mean_and_noise` splits its samples.

    Parameters
    ----------
    x, y : numpy.ndarray
        Training rows, axes (row, input) and (row,). Where `x` is a DataFrame, its columns give the
        model its ``feature_names_in_``, which `file` keeps: later tables are matched by name.
    validation : pair of numpy.ndarray
        Rows held out for early stopping; the weights of the best epoch are kept. Columns of a
        DataFrame are put into the order of `x`.
    seed : int
        Of initial weights, dropout masks and the order of rows.
    hidden, dropout : see `build_model`
    epochs, batch_size, learning_rate, weight_decay, patience : numbers
        Learning rate at the start, decayed along a cosine to zero; `patience` in epochs.
    swap : numpy.ndarray, optional
        Column permutation that exchanges the two drugs: every training row is shown in both
        orders, because (A, B) and (B, A) are one experiment.
    noise : {"constant", "heteroscedastic"}
        See `build_model`.
    mean : keras.Model, optional
        What the same call returned with constant noise: with `noise` ``heteroscedastic`` it is not
        trained again.
    file : path, optional
        Where the model is kept as `.keras`. If it exists it is loaded and nothing is trained; of
        several processes that name it at once, one trains and the others wait.
    verbose : int
        As in `keras.Model.fit`.
    progress : bool
        Show a bar over the epochs on standard error, where a terminal watches.

    Raises
    ------
    InputError
        If shapes or names disagree, a value is NaN or infinite, a column varies by less than
        float32 can hold, a number cannot be used, `swap` is not a permutation of the columns,
        `file` does not end in `.keras` or holds a network with other inputs or outputs, `mean` has
        others, or the training diverges (nothing is saved then).
    """
    if file is not None and Path(file).suffix != ".keras":
        raise InputError(f"{file}: the model file must end in .keras.")
    whole(epochs=epochs, batch_size=batch_size)
    whole(0, patience=patience, seed=seed)
    if seed > 2**62:
        raise InputError(f"seed={seed}; give a whole number of at most 2**62.")
    check_rates(learning_rate, weight_decay)
    names = names_of(x) or ()
    x, y = _rows("training", x, y, names)
    validation = _rows("validation", *validation, names, learnt=False)
    if validation[0].shape[1] != x.shape[1]:
        raise InputError(
            f"training rows have {x.shape[1]} inputs and validation rows "
            f"{validation[0].shape[1]}: make both with one design."
        )
    if swap is not None and not np.array_equal(np.sort(swap), np.arange(x.shape[1])):
        raise InputError(f"swap must be a permutation of the {x.shape[1]} columns of x.")
    _check_mean(mean, x.shape[1], noise)

    def fitted() -> keras.Model:
        rows, targets = x, y
        if swap is not None:
            rows, targets = np.concatenate([x, x[:, swap]]), np.concatenate([y, y])
        if mean is not None:
            model = mean
        else:
            model = build_model(x.shape[1], hidden=hidden, dropout=dropout, seed=seed)
            _fit(
                model,
                rows,
                targets,
                validation,
                seed=seed,
                epochs=epochs,
                batch_size=batch_size,
                learning_rate=learning_rate,
                weight_decay=weight_decay,
                patience=patience,
                verbose=verbose,
                progress=progress,
            )
        if noise == "heteroscedastic":
            model = add_noise_head(model, rows, targets, validation, seed=seed)
        if names:
            model.feature_names_in_ = names
        return model

    if file is None:
        return fitted()
    save = functools.partial(save_named, columns=Columns(names) if names else None)
    model = fitted_once(Path(file), fitted, load_keras, save)
    if model.input_shape != (None, x.shape[1]):
        raise InputError(
            f"{file} holds a network with inputs {model.input_shape[1:]}, but x has "
            f"{x.shape[1]} columns: delete the file or name another."
        )
    outputs = 1 if noise == "constant" else 2
    if model.output_shape != (None, outputs):
        raise InputError(
            f"{file} holds a network with outputs {model.output_shape[1:]}, but "
            f"noise={noise!r} has {outputs}: delete the file or name another."
        )
    kept = getattr(model, "feature_names_in_", names)
    if names and tuple(kept) != names:
        raise InputError(
            f"{file} holds a network of the inputs {few(kept)}, but x has {few(names)}: give "
            "the columns in that order, delete the file or name another."
        )
    return model


def fitted_once(
    file: Path,
    fit: Callable[[], keras.Model],
    load: Callable[[Path], keras.Model],
    save: Callable[[keras.Model, Path], None],
) -> keras.Model:
    """Load the model that `file` keeps, or fit it and keep it there, whole.

    Of several processes that want it, one fits and the others wait for it. Where the fit fails,
    nothing is kept.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "model.txt")
    ...     fitted_once(file, lambda: "fitted", Path.read_text, lambda m, part: part.write_text(m))
    'fitted'
    """
    if file.exists():
        return load(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = file.with_name(f".{file.name}.lock")
    with FileLock(lock):
        try:
            if file.exists():
                return load(file)
            model = fit()
            with written(file) as part:
                save(model, part)
        finally:
            with contextlib.suppress(OSError):  # where an open file cannot go, its closing takes it
                lock.unlink()
    return model


def _fit(
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    validation: tuple[np.ndarray, np.ndarray],
    *,
    seed: int,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    patience: int,
    verbose: int,
    progress: bool,
) -> None:
    """Fit a model of one output; arguments as in `train`, rows shown in both orders already."""
    tf = import_tensorflow()
    import keras

    batch_size = min(batch_size, len(x))
    steps = len(x) // batch_size  # an epoch; rows that fill no batch wait for the next shuffle
    inputs, targets = tf.constant(x), tf.constant(y)

    def shuffled(epoch: tf.Tensor) -> tf.data.Dataset:
        # Stateless, because `Dataset.shuffle(seed=...)` mixes TensorFlow's global seed in.
        order = tf.random.experimental.stateless_shuffle(tf.range(len(x)), seed=[seed, epoch])
        return tf.data.Dataset.from_tensor_slices(order).batch(batch_size, drop_remainder=True)

    rows = tf.data.Dataset.range(epochs).flat_map(shuffled)
    rows = rows.map(lambda i: (tf.gather(inputs, i), tf.gather(targets, i))).prefetch(2)
    model.compile(
        optimizer=keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(learning_rate, epochs * steps),
            weight_decay=weight_decay,
        ),
        loss="mse",
    )
    with (
        retracing_unmentioned(),
        tqdm(total=epochs, desc="train", unit=" epochs", disable=None if progress else True) as bar,
    ):
        model.fit(
            rows,
            validation_data=validation,
            validation_batch_size=4096,
            epochs=epochs,
            steps_per_epoch=steps,
            shuffle=False,  # the data set shuffles itself, from the seed
            verbose=verbose,
            callbacks=[
                keras.callbacks.EarlyStopping(patience=patience, restore_best_weights=True),
                keras.callbacks.TerminateOnNaN(),
                keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: bar.update()),
            ],
        )
    if not all(np.isfinite(weights).all() for weights in model.get_weights()):
        raise InputError(f"the training diverged: learning_rate={learning_rate} is too high.")


def fold_scaling(
    model: keras.Model, x_mean: np.ndarray, x_sd: np.ndarray, y_mean: float, y_sd: float
) -> None:
    r"""Let a model of `build_model` that learnt standardised rows take and give raw ones.

    .. math:: W_1 \leftarrow W_1 / s_x,\quad b_1 \leftarrow b_1 - (m_x / s_x) W_1,\quad
              W_L \leftarrow s_y W_L,\quad b_L \leftarrow s_y b_L + m_y

    `x_mean` and `x_sd`, axis (input,), must be finite and `x_sd` positive. Changes the first and
    the last layer, computed in float64.

    >>> model = build_model(2, hidden=(3,), seed=0)
    >>> plain = model(np.array([[1.0, -1.0]]), training=False).numpy()
    >>> fold_scaling(model, np.array([5.0, 7.0]), np.array([2.0, 4.0]), 10.0, 3.0)
    >>> raw = model(np.array([[7.0, 3.0]]), training=False).numpy()
    >>> bool(np.allclose(raw, 3 * plain + 10, atol=1e-5))
    True
    """
    first, last = model.layers[0], model.layers[-1]
    weights, bias = (np.asarray(w, np.float64) for w in first.get_weights())
    first.set_weights([weights / x_sd[:, None], bias - (x_mean / x_sd) @ weights])
    weights, bias = (np.asarray(w, np.float64) for w in last.get_weights())
    last.set_weights([weights * y_sd, bias * y_sd + y_mean])


def _check_mean(mean: keras.Model | None, inputs: int, noise: Noise) -> None:
    """Refuse a network that cannot be given a noise head."""
    if mean is None:
        return
    if noise != "heteroscedastic":
        raise InputError("mean is a trained network for noise='heteroscedastic'; leave it out.")
    shapes = (mean.input_shape, mean.output_shape)
    if shapes != ((None, inputs), (None, 1)):
        raise InputError(
            f"mean has inputs {shapes[0][1:]} and outputs {shapes[1][1:]}; expected ({inputs},) "
            "and (1,), as `train` returns it with noise='constant'."
        )


def _rows(
    name: str, x: object, y: object, names: Sequence[str], *, learnt: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows as float32 arrays (row, input) and (row,), or raise `InputError`.

    Of rows that are learnt from, columns must vary by more than float32 rounds.
    """
    x = np.asarray(frame_values(x, names, f"{name} rows", "the training rows"))
    y = np.asarray(y)
    for what, values in (("x", x), ("y", y)):
        if values.dtype.kind not in "fiub":
            raise InputError(f"{name} rows: {what} has type {values.dtype}; expected real numbers.")
    if learnt and x.ndim == 2 and y.ndim == 1:
        check_spread(x, names or None, f"{name} rows, x")
        check_spread(y, ["y"], f"{name} rows")
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, and is refused
        x, y = x.astype("float32"), y.astype("float32")
    if x.ndim != 2 or y.shape != x.shape[:1] or len(x) == 0:
        raise InputError(
            f"{name} rows: x has shape {x.shape} and y {y.shape}; expected (rows, inputs) and "
            "(rows,), at least one row."
        )
    for what, values in (("x", x), ("y", y)):
        if not np.isfinite(values).all():
            row = int(np.argwhere(~np.isfinite(values))[0][0])
            raise InputError(
                f"{name} rows: {what} holds NaN or infinite values, the first in row {row}: drop "
                "or fill them first."
            )
    return x, y
