"""The models to beat: the null model of the field, a naive mean, and boosted trees."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import r2_score
from threadpoolctl import threadpool_limits

from spikedrop.checks.arguments import whole_number
from spikedrop.data.design import fit_design
from spikedrop.data.screen import Screen, Target, target_of
from spikedrop.data.simulate import expected_growth
from spikedrop.data.single_growth import (
    KEYS,
    condition_keys,
    fit_single_growths,
    training_singles,
)
from spikedrop.data.splits import Split
from spikedrop.errors import InputError

__all__ = [
    "Baseline",
    "all_baselines",
    "boosting_baseline",
    "naive_mean",
    "recorded_null",
    "single_drug_null",
    "training_null",
]


@dataclass(frozen=True, eq=False)
class Baseline:
    """Predictions of test records.

    Attributes
    ----------
    measured : numpy.ndarray
        Growth fraction, or score where that is the target, axis (test row,); NaN where a record
        has no expected growth, and so no score.
    predicted : numpy.ndarray
        Of the same quantity, axis (test row,); NaN where the model does not exist.
    """

    measured: np.ndarray
    predicted: np.ndarray

    @property
    def covered(self) -> np.ndarray:
        """Where the model exists, shape (test row,), boolean."""
        return np.isfinite(self.predicted)

    @property
    def coverage(self) -> float:
        """Share of test rows where the model exists."""
        return float(self.covered.mean())

    @property
    def r2(self) -> float:
        """Explained share of the variance of the test records; higher is better, 1 is perfect.

        Over the rows where the model exists and there is something to predict; NaN if there are
        fewer than two.
        """
        here = self.covered & np.isfinite(self.measured)
        if here.sum() < 2:
            return float("nan")
        return float(r2_score(self.measured[here], self.predicted[here]))


def recorded_null(screen: Screen, parts: Split) -> Baseline:
    """Take the growth expected of independent action from the test records themselves.

    The laboratory measured each drug alone beside the pair, on the same plate, and computed from
    those wells what the pair should do (`expected_growth`). This null model uses no training
    record. It is not a prediction from the past: its wells share the day, and the noise of the
    day, with the growth that is to be explained.

    Parameters
    ----------
    screen : Screen
        Records.
    parts : Split
        Rows to predict (test).

    Returns
    -------
    Baseline
        Predicted from `expected_growth_fraction` of the test records; NaN where a record has none.

    References
    ----------
    Holbeck et al. (2017), doi 10.1158/0008-5472.CAN-17-0489; Bliss (1939),
    doi 10.1111/j.1744-7348.1939.tb06990.x.

    Examples
    --------
    >>> from spikedrop.data import simulate_screen, split
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> recorded_null(screen, split(screen.pairs, seed=0)).coverage
    1.0
    """
    test = screen.pairs.iloc[parts.test]
    return Baseline(
        test["growth_fraction"].to_numpy(float), test["expected_growth_fraction"].to_numpy(float)
    )


def single_drug_null(screen: Screen, parts: Split) -> Baseline:
    """Compute the growth expected of independent action from the table of one-drug records.

    `expected_growth` of the two growths that were measured under each drug alone, at the same dose,
    in the same cell line: by the same laboratory if it did, or the mean over the others. Under a
    split that holds out drugs or cell lines, their one-drug records are held out too
    (`training_singles`).

    Parameters
    ----------
    screen : Screen
        Records.
    parts : Split
        Rows to learn from (training) and to predict (test).

    Returns
    -------
    Baseline
        NaN where one of the two was not measured.

    References
    ----------
    Bliss (1939), doi 10.1111/j.1744-7348.1939.tb06990.x.

    Examples
    --------
    >>> from spikedrop.data import simulate_screen, split
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> 0 < single_drug_null(screen, split(screen.pairs, seed=0)).coverage < 1
    True
    """
    test = screen.pairs.iloc[parts.test]
    singles = training_singles(screen, parts.train, parts.by)
    alone = [_measured(singles, test, side) for side in "ab"]
    return Baseline(test["growth_fraction"].to_numpy(float), expected_growth(*alone))


def training_null(screen: Screen, parts: Split) -> Baseline:
    """Compute the growth expected of independent action from all that training records say.

    As `single_drug_null`, with growth under each drug alone gathered from the one-drug records and
    from the expected growth that *training* pair records carry (`fit_single_growths`).

    Parameters
    ----------
    screen : Screen
        Records.
    parts : Split
        Rows to learn from (training) and to predict (test).

    Returns
    -------
    Baseline
        NaN where the records that may be used lack one of the drugs at that dose, in that line, by
        that laboratory.

    Examples
    --------
    >>> from spikedrop.data import simulate_screen, split
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> parts = split(screen.pairs, seed=0)
    >>> training_null(screen, parts).coverage >= single_drug_null(screen, parts).coverage
    True
    """
    train, test = (screen.pairs.iloc[rows] for rows in (parts.train, parts.test))
    growths = fit_single_growths(training_singles(screen, parts.train, parts.by), train)
    alone, known = growths.look_up(test)
    predicted = np.where(known.all(axis=1), expected_growth(alone[:, 0], alone[:, 1]), np.nan)
    return Baseline(test["growth_fraction"].to_numpy(float), predicted)


def naive_mean(screen: Screen, parts: Split, *, target: Target = "growth") -> Baseline:
    r"""Predict growth from an effect of each drug and one of the cell line, whatever the doses.

    Or predict the synergy score so, which is a null model of synergy: some drugs and lines have
    higher scores than others whatever they are paired with.

    .. math:: \hat y = \mu + u_a + u_b + v_\mathrm{line}

    fitted to the training rows by least squares (the solution of least norm); a drug or a line
    that no training row has gets the effect 0.

    Parameters
    ----------
    screen : Screen
        Records.
    parts : Split
        Rows to learn from (training) and to predict (test).
    target : {"growth", "score"}, default "growth"
        ``growth``, or ``score``, expected less measured growth; training rows without an expected
        growth are left out.

    Returns
    -------
    Baseline
        A growth fraction or a score for every test row.

    Raises
    ------
    InputError
        If no training row is left.

    Examples
    --------
    >>> from spikedrop.data import simulate_screen, split
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> naive_mean(screen, split(screen.pairs, seed=0)).coverage
    1.0
    """
    y = target_of(screen, target)
    learnt = parts.train[np.isfinite(y[parts.train])]
    train, test = (screen.pairs.iloc[rows] for rows in (learnt, parts.test))
    if not len(train):
        raise InputError("no training row: a mean needs at least one.")
    drugs, lines = np.unique(train[["drug_a", "drug_b"]]), train["cell_line"].unique()
    mean = y[learnt].mean()
    of_train, of_test = (
        (_named(rows, drugs, "drug_a") + _named(rows, drugs, "drug_b"), _named(rows, lines))
        for rows in (train, test)
    )
    x = sparse.hstack(of_train, "csr")
    effects = np.linalg.lstsq((x.T @ x).toarray(), x.T @ (y[learnt] - mean), rcond=None)[0]
    predicted = np.full(len(test), mean)
    for used, asked, effect in zip(of_train, of_test, np.split(effects, [len(drugs)]), strict=True):
        weight = np.asarray(used.sum(axis=0)).ravel()
        predicted += asked @ (effect - np.average(effect, weights=weight))
    return Baseline(y[parts.test], predicted)


def _named(rows: pd.DataFrame, names: np.ndarray, column: str = "cell_line") -> sparse.csr_matrix:
    """Whether a row has each of the names, shape (row, name)."""
    at = pd.Index(names).get_indexer(rows[column])
    row = np.flatnonzero(at >= 0)
    shape = (len(rows), len(names))
    return sparse.csr_matrix((np.ones(len(row)), (row, at[row])), shape=shape)


def _measured(singles: pd.DataFrame, rows: pd.DataFrame, side: str) -> np.ndarray:
    """Growth measured under one drug of pair records alone, shape (row,); NaN where none was."""
    table = condition_keys(singles, "").assign(growth=singles["growth_fraction"].to_numpy(float))
    keys = condition_keys(rows, side)

    def mean_of(names: list[str]) -> np.ndarray:
        means = table.groupby(names, observed=True)["growth"].mean()
        index = means.index.get_indexer(pd.MultiIndex.from_frame(keys[names]))
        return np.where(index >= 0, means.to_numpy()[index] if len(means) else np.nan, np.nan)

    same = mean_of(KEYS)
    return np.where(np.isnan(same), mean_of(KEYS[1:]), same)


def boosting_baseline(
    screen: Screen,
    parts: Split,
    *,
    trees: int = 150,
    seed: int = 0,
    alone: bool = True,
    target: Target = "growth",
) -> Baseline:
    """Fit gradient-boosted trees to the training and validation rows; predict the test rows.

    Trees do not know that (A, B) and (B, A) are one pair. They are shown each record in both
    orders, and the prediction is the mean over both.

    Parameters
    ----------
    screen : Screen
        Records with features.
    parts : Split
        Rows to train on (training and validation) and to predict (test).
    trees : int, default 150
        Boosting rounds.
    seed : int, default 0
        Seed of the histogram subsampling.
    alone : bool, default True
        Whether growth under each drug alone is among the inputs, as for the book's network; see
        `fit_design`.
    target : {"growth", "score"}, default "growth"
        ``growth``, or ``score``, expected less measured growth; rows to train on without an
        expected growth are left out.

    Returns
    -------
    Baseline
        A growth fraction or a score for every test row.

    Raises
    ------
    InputError
        If the screen has no features.

    References
    ----------
    scikit-learn's `HistGradientBoostingRegressor`, with its default settings.

    Examples
    --------
    >>> from spikedrop.data import simulate_screen, split
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> found = boosting_baseline(screen, split(screen.pairs, seed=0), trees=10)
    >>> found.coverage, bool(0 < found.r2 < 1)
    (1.0, True)
    """
    whole_number("trees", trees, least=1)
    y = target_of(screen, target)
    rows = np.concatenate([parts.train, parts.validation])
    rows = rows[np.isfinite(y[rows])]
    design = fit_design(screen, rows, alone_by=parts.by if alone else None)
    train = design.matrix(screen.pairs.iloc[rows], np.ones(len(rows), bool))
    test = design.matrix(screen.pairs.iloc[parts.test])
    model = HistGradientBoostingRegressor(max_iter=trees, random_state=seed)
    # Threads of OpenMP wait for each other by spinning: on a busy machine two are many times
    # slower than one.
    with threadpool_limits(limits=1, user_api="openmp"):
        model.fit(np.vstack([train, train[:, design.swap]]), np.tile(y[rows], 2))
        predicted = (model.predict(test) + model.predict(test[:, design.swap])) / 2
    return Baseline(y[parts.test], predicted)


def all_baselines(
    screen: Screen, parts: Split, *, trees: int = 150, seed: int = 0
) -> dict[str, Baseline]:
    """Every model to beat on one split.

    `recorded_null`, `single_drug_null`, `training_null`, `naive_mean` and `boosting_baseline`.

    Parameters
    ----------
    screen : Screen
        Records with features.
    parts : Split
        Rows to train on and to predict (test).
    trees : int, default 150
        Boosting rounds.
    seed : int, default 0
        Seed of the histogram subsampling.

    Returns
    -------
    dict of Baseline
        By the name that tables use.

    Raises
    ------
    InputError
        If the screen has no features, or `trees` is below 1.

    Examples
    --------
    >>> from spikedrop.data import simulate_screen, split
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> [*all_baselines(screen, split(screen.pairs, seed=0), trees=2)]
    ['null model, recorded', 'null model, one-drug records', 'null model, training records',
     'naive mean', 'boosted trees']
    """
    return {
        "null model, recorded": recorded_null(screen, parts),
        "null model, one-drug records": single_drug_null(screen, parts),
        "null model, training records": training_null(screen, parts),
        "naive mean": naive_mean(screen, parts),
        "boosted trees": boosting_baseline(screen, parts, trees=trees, seed=seed),
    }
