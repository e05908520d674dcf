"""The model to beat: gradient-boosted trees on the design matrix."""

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import r2_score
from threadpoolctl import threadpool_limits

from spikedrop.data.design import fit_design
from spikedrop.data.screen import Screen
from spikedrop.data.splits import Split


@dataclass(frozen=True, eq=False)
class Baseline:
    """Predictions of test records.

    Attributes:
        measured: growth fraction, shape (test row,).
        predicted: growth fraction, shape (test row,).
    """

    measured: np.ndarray
    predicted: np.ndarray

    @property
    def r2(self) -> float:
        """Explained share of the variance of the test records; higher is better, 1 is perfect."""
        return float(r2_score(self.measured, self.predicted))


def boosting_baseline(screen: Screen, parts: Split, *, trees: int = 150, seed: int = 0) -> Baseline:
    """Fit gradient-boosted trees to the training and validation rows; predict the test rows.

    Trees do not know that (A, B) and (B, A) are one pair. They are shown each record in both
    orders, and the prediction is the mean over both.

    Args:
        screen: records with features.
        parts: rows to train on (training and validation) and to predict (test).
        trees: boosting rounds.
        seed: seed of the histogram subsampling.

    Raises:
        InputError: the screen has no features.

    References:
        scikit-learn's `HistGradientBoostingRegressor`, with its default settings.
    """
    rows = np.concatenate([parts.train, parts.validation])
    design = fit_design(screen, rows)
    growth = screen.pairs["growth_fraction"].to_numpy()
    train, test = (design.matrix(screen.pairs.iloc[chosen]) for chosen in (rows, parts.test))
    model = HistGradientBoostingRegressor(max_iter=trees, random_state=seed)
    # Threads of OpenMP wait for each other by spinning: on a busy machine two are many times
    # slower than one.
    with threadpool_limits(limits=1, user_api="openmp"):
        model.fit(np.vstack([train, train[:, design.swap]]), np.tile(growth[rows], 2))
        predicted = (model.predict(test) + model.predict(test[:, design.swap])) / 2
    return Baseline(growth[parts.test], predicted)
