r"""Spiking dropout networks as scikit-learn estimators.

Both standardise what they are given, fit a dense ReLU network with dropout in plain NumPy
(`spikedrop.training.dense`), convert it to spiking neurons, and predict from draws of the spiking
network with dropout left on (Gal & Ghahramani 2016, arXiv:1506.02142). They clone and pickle, and
work in pipelines, in searches over parameters and under MAPIE. A network of another form is trained
with Keras and read by `Network.from_keras`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags, check_random_state, column_or_1d, gen_batches
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from spikedrop.checks.arguments import one_of, real_number, whole_number
from spikedrop.checks.columns import ROUNDING, check_whole
from spikedrop.conversion import calibrate
from spikedrop.errors import InputError
from spikedrop.neurons import READOUTS, Readout
from spikedrop.sampling.snn import sample_snn
from spikedrop.training.dense import Head, fit_network

CALIBRATION_ROWS = 4096  # rows that set the firing-rate scales
BLOCK = 8192  # observations whose draws `predict` holds at a time


def scaler_of(values: np.ndarray) -> StandardScaler:
    """Fit a scaler to columns, axes (row, column), float64, however far they are from zero.

    scikit-learn takes a column for constant below an sd of rows times rounding times mean, which
    hides columns such as ``1e8 + 1e-3 z`` of many rows; here, below the rounding of one value.
    """
    scaler = StandardScaler().fit(values)
    sd = np.sqrt(scaler.var_)
    largest = np.abs(values).max(axis=0)
    varies = (np.ptp(values, axis=0) > ROUNDING * largest) & (sd > 0)
    scaler.scale_ = np.where(varies, sd, scaler.scale_)
    return scaler


class _SpikingDropout(BaseEstimator):
    """What both estimators share: parameters, the fit of the scaled network, its draws."""

    def __init__(
        self,
        hidden: Sequence[int] = (100, 100),
        *,
        dropout: float = 0.1,
        epochs: int = 100,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        draws: int = 100,
        steps: int = 200,
        rate_hz: float = 500.0,
        readout: Readout = "mean",
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.hidden = hidden
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.draws = draws
        self.steps = steps
        self.rate_hz = rate_hz
        self.readout = readout
        self.random_state = random_state

    def _check_rows(self, x: np.ndarray) -> None:
        """Refuse what cannot be fitted, before any work; `fit_network` checks the rest."""
        whole_number("draws", self.draws, least=2)
        whole_number("steps", self.steps, least=1)
        real_number("rate_hz", self.rate_hz, above=0)
        one_of("readout", self.readout, READOUTS)
        if len(x) < 2 or (x == x[0]).all():
            raise InputError(
                f"n_samples={len(x)}, all rows alike: give rows that differ, there is nothing to "
                "learn from one."
            )

    def _fit(self, x: np.ndarray, targets: np.ndarray, head: Head) -> None:
        """Fit the network to validated rows and scaled targets (row, output), and convert it."""
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31 - 1)
        rng = np.random.default_rng(seed)
        self.seed_ = int(seed)
        self.x_scaler_ = scaler_of(x)
        x = self.x_scaler_.transform(x)
        names = ("hidden", "dropout", "epochs", "batch_size", "learning_rate", "weight_decay")
        settings = {name: getattr(self, name) for name in names}
        self.network_ = fit_network(x, targets, head=head, rng=rng, **settings)
        rows = rng.permutation(len(x))[:CALIBRATION_ROWS]
        self.conversion_ = calibrate(
            self.network_, x[rows], rate_hz=self.rate_hz, readout=self.readout
        )

    def _validated(self, X: object) -> np.ndarray:
        """Return the rows of a fitted estimator, in their own units."""
        check_is_fitted(self, "conversion_")  # a fit that was refused has set others
        check_whole(X, "X")
        return validate_data(self, X, dtype=np.float64, reset=False)

    def _draws(self, x: np.ndarray, draws: int | None = None) -> xr.DataArray:
        """Sample the spiking network at validated rows, in its own units."""
        return sample_snn(
            self.network_,
            self.conversion_,
            self.x_scaler_.transform(x),
            draws=self.draws if draws is None else draws,
            seed=self.seed_,
            steps=self.steps,
            progress=False,
        )

    def _blocks(self, X: object) -> Iterator[np.ndarray]:
        """Draws of one block of rows after the other, axes (draw, observation, output)."""
        x = self._validated(X)
        for rows in gen_batches(len(x), BLOCK):
            yield self._draws(x[rows]).values.astype(np.float64)


class SpikingDropoutRegressor(RegressorMixin, _SpikingDropout):
    r"""Regression by a spiking network with permanent dropout.

    The network learns standardised targets by least squares; draw s of the spiking network is a
    function :math:`y^{(s)}(x)` in the unit of y, and over S draws

    .. math:: \hat y(x) = \frac1S \sum_s y^{(s)}(x), \qquad
              \mathrm{std}(x)^2 = \frac1{S-1} \sum_s \bigl(y^{(s)}(x) - \hat y(x)\bigr)^2 .

    The standard deviation is what the network does not know, plus what spikes round; the noise of
    an observation is **not** in it. Intervals that hold observations come from MAPIE on top, or
    from `sample` and `spikedrop.fit_noise_sd` on rows held out.

    Parameters
    ----------
    hidden : sequence of int
        Units of the hidden layers.
    dropout : float
        Rate after each hidden layer, when training and when predicting; 0 <= dropout < 1.
    epochs, batch_size, learning_rate, weight_decay : numbers
        Of the training, see `spikedrop.training.dense.fit_network`.
    draws : int
        Monte-Carlo samples behind a prediction, at least 2.
    steps : int
        Time steps (1 ms) of a presentation; the distance to the classical network falls as
        1 / steps.
    rate_hz : float
        Firing rate of a busy neuron in hertz, see `spikedrop.calibrate`.
    readout : {"mean", "parabola"}
        How the output is read over the steps, see `spikedrop.calibrate`.
    random_state : int, RandomState or None
        Of initial weights, order of rows and all masks. With an int, two fits have the same bits;
        None takes a new seed from NumPy's global generator, as everywhere in scikit-learn.

    Attributes
    ----------
    network_ : Network
        From standardised inputs to standardised targets, for every function of the package:
        ``sample_ann(model.network_, model.x_scaler_.transform(X), draws=100, seed=model.seed_)``
        are draws of the classical network with the masks that `sample` uses.
    conversion_ : Conversion
        How it spikes.
    x_scaler_, y_scaler_ : sklearn.preprocessing.StandardScaler
        Between the units of X and y and those of the network.
    seed_ : int
        Of the masks.
    n_features_in_, feature_names_in_
        As in scikit-learn; the second where X has names.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(200, 4, noise=1.0, random_state=0)
    >>> model = SpikingDropoutRegressor(hidden=(32,), draws=50).fit(X[:150], y[:150])
    >>> mean, std = model.predict(X[150:], return_std=True)
    >>> mean.shape, std.shape, model.score(X[150:], y[150:]) > 0.9
    ((50,), (50,), True)
    >>> dict(model.sample(X[:7]).sizes)
    {'draw': 50, 'observation': 7, 'output': 1}
    """

    def fit(self, X: object, y: object) -> SpikingDropoutRegressor:
        """Fit to rows `X`, axes (row, feature), and targets `y`, axes (row,) or (row, output).

        Raises `InputError` (a `ValueError`) if a parameter or the rows cannot be used.
        """
        check_whole(X, "X")
        check_whole(y, "y")
        x, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        self._check_rows(x)
        self._one_axis = y.ndim == 1
        targets = y.reshape(len(y), -1).astype(np.float64)
        self.y_scaler_ = scaler_of(targets)
        self._fit(x, self.y_scaler_.transform(targets), "linear")
        return self

    def predict(
        self, X: object, return_std: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Mean of the draws, and with `return_std` their standard deviation; without noise.

        Both in the unit of y, with axes as y had when fitted: (row,) or (row, output).
        """
        moments = [(d.mean(axis=0), d.std(axis=0, ddof=1)) for d in self._blocks(X)]
        mean, std = (np.concatenate(parts) for parts in zip(*moments, strict=True))
        mean, std = self.y_scaler_.inverse_transform(mean), std * self.y_scaler_.scale_
        if self._one_axis:
            mean, std = mean[:, 0], std[:, 0]
        return (mean, std) if return_std else mean

    def sample(self, X: object, draws: int | None = None) -> xr.DataArray:
        """Draws of the spiking network in the unit of y: axes (draw, observation, output).

        A draw is a function: the same masks serve all rows, and a second call. `draws` is by
        default that of the estimator.
        """
        samples = self._draws(self._validated(X), draws)
        return samples.copy(data=samples.values * self.y_scaler_.scale_ + self.y_scaler_.mean_)

    def __sklearn_tags__(self) -> Tags:
        """Say that `y` may have several columns."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class SpikingDropoutClassifier(ClassifierMixin, _SpikingDropout):
    r"""Classification by a spiking network with permanent dropout.

    The network ends in a softmax and learns by cross-entropy; draw s of the spiking network gives
    probabilities :math:`p^{(s)}_k(x)`, and a class has the probability

    .. math:: p_k(x) = \frac1S \sum_s p^{(s)}_k(x) .

    Parameters
    ----------
    hidden, dropout, epochs, batch_size, learning_rate, weight_decay : see `SpikingDropoutRegressor`
    draws, steps, rate_hz, readout, random_state : see `SpikingDropoutRegressor`

    Attributes
    ----------
    classes_ : numpy.ndarray
        Labels, sorted; the order of the network's outputs.
    network_ : Network
        From standardised inputs to probabilities.
    conversion_, x_scaler_, seed_, n_features_in_, feature_names_in_
        See `SpikingDropoutRegressor`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SpikingDropoutClassifier(draws=20).fit(X, y)
    >>> model.predict_proba(X[:2]).shape, model.score(X, y) > 0.9
    ((2, 3), True)
    """

    def fit(self, X: object, y: object) -> SpikingDropoutClassifier:
        """Fit to rows `X`, axes (row, feature), and labels `y`, axis (row,).

        Raises `InputError` (a `ValueError`) if a parameter or the rows cannot be used.
        """
        check_whole(X, "X")
        x, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self._check_rows(x)
        self.classes_, codes = np.unique(column_or_1d(y, warn=True), return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(f"y holds one class, {self.classes_[0]!r}: give at least two.")
        self._fit(x, np.eye(len(self.classes_), dtype=np.float32)[codes], "softmax")
        return self

    def predict_proba(self, X: object) -> np.ndarray:
        """Mean of the draws' probabilities, axes (row, class), classes as in `classes_`."""
        return np.concatenate([draws.mean(axis=0) for draws in self._blocks(X)])

    def predict(self, X: object) -> np.ndarray:
        """Return the most probable label of each row, axis (row,)."""
        p = self.predict_proba(X)  # first, because it says so where nothing is fitted
        return self.classes_[p.argmax(axis=1)]

    def sample(self, X: object, draws: int | None = None) -> xr.DataArray:
        """Probabilities in every draw of the spiking network: axes (draw, observation, output).

        The axis ``output`` is labelled with `classes_`. A draw is a function: the same masks serve
        all rows, and a second call. `draws` is by default that of the estimator.
        """
        samples = self._draws(self._validated(X), draws)
        return samples.assign_coords(output=self.classes_)
