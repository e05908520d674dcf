"""A second output for a trained network: the logarithm of its noise variance, the mean kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spikedrop.network.graph import Network
from spikedrop.network.keras_import import import_keras, keras_defaults
from spikedrop.sampling.ann import sample_ann
from spikedrop.scores.density import log_likelihood
from spikedrop.scores.noise import fit_noise_factor, mean_and_noise

if TYPE_CHECKING:
    import keras

__all__: list[str] = []

PENALTIES = (0.01, 0.1, 1.0)
DRAWS = 50


@keras_defaults()
def add_noise_head(
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    validation: tuple[np.ndarray, np.ndarray],
    *,
    seed: int,
) -> keras.Model:
    r"""Give a trained model of one output a second one, the log variance of its noise.

    The weights of the model are kept, and with them every draw of its mean. Trained together, mean
    and variance can spoil each other: rows with a large stated variance weigh little in the mean
    (Seitzer et al. 2022, arXiv:2203.09168). Here the new output is linear in the last hidden layer
    h, as the mean is, and minimises, on training rows with dropout off,

    .. math:: \tfrac1n \sum_i \bigl( v_i + r_i^2\, e^{-v_i} \bigr)
              + \tfrac{\lambda}{2} \lVert w \rVert^2,
              \qquad v_i = w^\top h_i / s + b, \qquad r_i = y_i - f(x_i)

    with s the largest sd of a unit of h. That is a gamma regression of the squared errors with a
    log link, a convex problem, so nothing depends on a start. A network has seen its training rows
    and errs less there than on others, so they give the shape of the noise, and not its level:
    :math:`\lambda` is the one of `PENALTIES`, and the constant added to v the one, with the
    greatest likelihood of the validation rows (`spikedrop.scores.fit_noise_factor`).

    What it states is, as any fitted noise, the variance of what the draws miss: the noise of the
    measurement, and the error of the network that its masks do not show.

    Parameters
    ----------
    model : keras.Model
        Of `spikedrop.training.keras.build_model`, trained, one output.
    x, y : numpy.ndarray
        The rows it was trained on, axes (row, input) and (row,).
    validation : pair of numpy.ndarray
        Rows that it was not trained on.
    seed : int
        Of the masks with which the level is chosen.

    Returns
    -------
    keras.Model
        Two outputs, mean and log variance; `spikedrop.scores.mean_and_noise` splits its samples.

    Examples
    --------
    >>> from spikedrop.training.keras import build_model
    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(size=(400, 2)).astype("float32")
    >>> y = (1 + x[:, 0]) * rng.normal(size=400)
    >>> model = build_model(2, hidden=(8,), seed=0)
    >>> both = add_noise_head(model, x[:300], y[:300], (x[300:], y[300:]), seed=0)
    >>> bool(np.allclose(both(x)[:, :1], model(x), atol=1e-6))
    True
    """
    from sklearn.linear_model import GammaRegressor

    keras = import_keras()
    features = keras.Model(model.inputs, model.layers[-2].output)
    squares = np.square(np.asarray(y, np.float64) - model.predict(x, verbose=0)[:, 0])
    typical = squares.mean()
    hidden = features.predict(x, verbose=0).astype(np.float64)
    centre = hidden.mean(axis=0)
    # One scale for all units: over its own small sd a rare unit would weigh more than it was seen.
    scale = hidden.std(axis=0).max() or 1.0
    found = []
    for penalty in PENALTIES:
        fit = GammaRegressor(alpha=penalty, solver="newton-cholesky", max_iter=1000)
        fit.fit((hidden - centre) / scale, np.maximum(squares / typical, 1e-9))  # must be above 0
        weights = fit.coef_ / scale
        bias = fit.intercept_ - weights @ centre + np.log(typical)
        candidate = _with_output(model, weights, bias)
        samples = sample_ann(
            Network.from_keras(candidate), validation[0], draws=DRAWS, seed=seed, progress=False
        )
        means, noise_sd = mean_and_noise(samples)
        factor = fit_noise_factor(means, validation[1], noise_sd)
        likelihood = log_likelihood(means, validation[1], factor * noise_sd)
        found.append((likelihood, weights, bias + 2 * np.log(factor)))
    _, weights, bias = max(found, key=lambda entry: entry[0])
    return _with_output(model, weights, bias)


def _with_output(model: keras.Model, weights: np.ndarray, bias: float) -> keras.Model:
    """Return a copy of the model with one more column in its readout."""
    keras = import_keras()
    config = model.get_config()
    config["layers"][-1]["config"]["units"] = 2
    wider = keras.Sequential.from_config(config)
    kernel, first = model.layers[-1].get_weights()
    kernel = np.column_stack([kernel, weights]).astype("float32")
    wider.set_weights([*model.get_weights()[:-2], kernel, np.append(first, bias).astype("float32")])
    return wider
