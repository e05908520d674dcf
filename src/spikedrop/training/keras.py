"""Train a Keras network with dropout, once, and keep it in a `.keras` file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from filelock import FileLock
from tqdm import tqdm

from spikedrop.checks.arguments import one_of, whole_number
from spikedrop.checks.columns import check_spread, few, frame_values, names_of
from spikedrop.errors import InputError
from spikedrop.files.writing import written
from spikedrop.network.keras_file import load_keras
from spikedrop.network.keras_import import (
    import_keras,
    import_tensorflow,
    keras_defaults,
    retracing_unmentioned,
)
from spikedrop.network.named import Columns, save_named
from spikedrop.training.dense import check_settings
from spikedrop.training.noise_head import add_noise_head

if TYPE_CHECKING:
    import keras

__all__ = ["train"]

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
    check_settings(hidden, dropout)
    one_of("noise", noise, get_args(Noise))
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
    a seed trains the same network everywhere (`spikedrop.network.keras_import.keras_defaults`).

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
    noise : {"constant", "heteroscedastic"}, default "constant"
        See `build_model`.
    mean : keras.Model, optional
        What the same call returned with constant noise: with `noise` ``heteroscedastic`` it is not
        trained again.
    file : path, optional
        Where the model is kept as `.keras`. If it exists it is loaded and nothing is trained; of
        several processes that name it at once, one trains and the others wait.
    verbose : int, default 0
        As in `keras.Model.fit`.
    progress : bool, default False
        Show a bar over the epochs on standard error, where a terminal watches.

    Returns
    -------
    keras.Model
        With the weights of the best epoch; one linear output, two with ``heteroscedastic`` noise.

    Raises
    ------
    InputError
        If shapes or names disagree, a value is NaN or infinite, a column varies by less than
        float32 can hold, a number cannot be used, `swap` is not a permutation of the columns,
        `file` does not end in `.keras` or holds a network with other inputs or outputs, `mean` has
        others, or the training diverges (nothing is saved then).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(80, 3))
    >>> y = x.sum(axis=1)
    >>> small = {"hidden": (8,), "epochs": 2, "batch_size": 20}
    >>> model = train(x[:60], y[:60], (x[60:], y[60:]), seed=0, **small)
    >>> model.predict(x, verbose=0).shape
    (80, 1)
    """
    if file is not None and Path(file).suffix != ".keras":
        raise InputError(f"{file}: the model file must end in .keras.")
    check_settings(hidden, dropout, epochs, batch_size, learning_rate, weight_decay)
    whole_number("patience", patience)
    whole_number("seed", seed, below=2**62)
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
    if mean is not None:
        if noise != "heteroscedastic":
            raise InputError("mean is a trained network for noise='heteroscedastic'; leave it out.")
        if (mean.input_shape, mean.output_shape) != ((None, x.shape[1]), (None, 1)):
            raise InputError(
                f"mean has inputs {mean.input_shape[1:]} and outputs {mean.output_shape[1:]}; "
                f"expected ({x.shape[1]},) and (1,), as `train` returns it with noise='constant'."
            )

    def fitted() -> keras.Model:
        shown = (x, y)  # with `swap`, every row in both orders
        if swap is not None:
            shown = np.concatenate([x, x[:, swap]]), np.concatenate([y, y])
        model = mean
        if model is None:
            keras = import_keras()
            model = build_model(x.shape[1], hidden=hidden, dropout=dropout, seed=seed)
            batches, steps = _batches(*shown, epochs, batch_size, seed)
            schedule = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * steps)
            model.compile(keras.optimizers.AdamW(schedule, weight_decay=weight_decay), "mse")
            bar = tqdm(total=epochs, desc="train", unit=" epochs", disable=not progress or None)
            with retracing_unmentioned(), bar:
                model.fit(
                    batches,
                    validation_data=validation,
                    validation_batch_size=4096,
                    epochs=epochs,
                    steps_per_epoch=steps,
                    shuffle=False,  # the data set shuffles itself, from the seed
                    verbose=verbose,
                    callbacks=[
                        keras.callbacks.EarlyStopping(patience=patience, restore_best_weights=True),
                        keras.callbacks.TerminateOnNaN(),
                        keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: bar.update()),
                    ],
                )
            if not all(np.isfinite(weights).all() for weights in model.get_weights()):
                raise InputError(f"the training diverged: {learning_rate=} is too high.")
        if noise == "heteroscedastic":
            model = add_noise_head(model, *shown, validation, seed=seed)
        if names:
            model.feature_names_in_ = names
        return model

    model = load_or_train(file, fitted)
    outputs = 1 if noise == "constant" else 2
    for what, shape, needed, why in (
        ("inputs", model.input_shape, x.shape[1], f"x has {x.shape[1]} columns"),
        ("outputs", model.output_shape, outputs, f"noise={noise!r} has {outputs}"),
    ):
        if shape != (None, needed):
            raise InputError(
                f"{file} holds a network with {what} {shape[1:]}, but {why}: delete the file or "
                "name another."
            )
    kept = getattr(model, "feature_names_in_", names)
    if names and tuple(kept) != names:
        raise InputError(
            f"{file} holds a network of the inputs {few(kept)}, but x has {few(names)}: give the "
            "columns in that order, delete the file or name another."
        )
    return model


def load_or_train(file: str | Path | None, fit: Callable[[], keras.Model]) -> keras.Model:
    """Load a model from `file`; if there is none, fit it and write it, whole or not at all.

    With the names of its inputs, if it has a ``feature_names_in_``. Without `file`, only fit. Of
    several processes that want one file, one fits and the others wait for it.

    >>> from functools import partial
    >>> build = partial(build_model, 2, hidden=(3,), seed=0)
    >>> load_or_train(None, build).count_params()
    13
    """
    if file is None:
        return fit()
    file = Path(file)
    if file.exists():
        return load_keras(file)
    place = file.with_name(f".{file.name}.lock")
    lock = FileLock(place)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise InputError(f"{file}: nothing can be written there ({error}).") from error
    try:
        if file.exists():
            return load_keras(file)
        model = fit()
        names = getattr(model, "feature_names_in_", None)
        with written(file) as part:  # a torn file must not be loaded later
            save_named(model, part, Columns(tuple(names)) if names else None)
    finally:
        with contextlib.suppress(OSError):  # where an open file cannot go, its closing takes it
            place.unlink()
        lock.release()
    return model


def _batches(
    x: np.ndarray, y: np.ndarray, epochs: int, batch_size: int, seed: int
) -> tuple[Any, int]:
    """Return the shuffled batches of all epochs, and the number of them in an epoch."""
    tf = import_tensorflow()
    batch_size = min(batch_size, len(x))
    steps = len(x) // batch_size  # an epoch; rows that fill no batch wait for the next shuffle
    inputs, targets = tf.constant(x), tf.constant(y)

    def shuffled(epoch: Any) -> Any:
        # Stateless, because `Dataset.shuffle(seed=...)` mixes TensorFlow's global seed in.
        order = tf.random.experimental.stateless_shuffle(tf.range(len(x)), seed=[seed, epoch])
        return tf.data.Dataset.from_tensor_slices(order).batch(batch_size, drop_remainder=True)

    rows = tf.data.Dataset.range(epochs).flat_map(shuffled)
    return rows.map(lambda i: (tf.gather(inputs, i), tf.gather(targets, i))).prefetch(2), steps


def fold_scaling(
    model: keras.Model, x_mean: np.ndarray, x_sd: np.ndarray, y_mean: float, y_sd: float
) -> None:
    r"""Let a model of `build_model` that learnt standardised rows take and give raw ones.

    .. math::

       \begin{aligned}
       W_1 &\leftarrow W_1 / s_x, & b_1 &\leftarrow b_1 - (m_x / s_x) W_1 \\
       W_L &\leftarrow s_y W_L, & b_L &\leftarrow s_y b_L + m_y
       \end{aligned}

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
