"""Scores of models that answer with one number, and of the synergy that follows from it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from spikedrop.checks.arguments import real_number
from spikedrop.checks.samples import one_axis, plain
from spikedrop.errors import InputError
from spikedrop.scores.accuracy import r2_of_mean, rmse_of_mean

__all__ = ["point_samples", "point_table", "synergy_score", "synergy_table"]

COVERED = "rows covered"


def point_samples(predicted: np.ndarray) -> np.ndarray:
    """Write a single prediction per observation as two equal draws.

    So a model without a spread enters the tables of models with one: `score_table` and
    `method_table`.

    Parameters
    ----------
    predicted : array
        Axis (observation,), finite, or NaN where the model does not exist.

    Returns
    -------
    numpy.ndarray
        Axes (draw, observation), two draws; NaN stays NaN.

    Raises
    ------
    InputError
        If the shape is another, or a value is infinite.

    Examples
    --------
    >>> point_samples(np.array([0.5, 1.0])).tolist()
    [[0.5, 1.0], [0.5, 1.0]]
    """
    return np.repeat(one_axis(predicted, "predicted", missing=True)[None], 2, axis=0)


def point_table(
    methods: Mapping[str, np.ndarray], y: np.ndarray, *, beside: str | None = None
) -> pd.DataFrame:
    """Tabulate how near the predictions of several models come, each where it exists.

    Parameters
    ----------
    methods : mapping
        Name to predictions, axis (observation,), in the unit of `y`; NaN where a model does not
        exist.
    y : array
        What was observed, axis (observation,).
    beside : str, optional
        One of the names: its R2 on the rows of every other model is a column, because a model that
        exists on some rows only may have been given easy ones.

    Returns
    -------
    pandas.DataFrame
        One row per method: ``rows covered`` (the share of observations), ``R2`` (higher is better)
        and ``RMSE`` (unit of `y`, lower is better) over those, and ``R2 of <beside> there``. NaN
        where fewer than two rows are covered.

    Raises
    ------
    InputError
        If shapes disagree, a prediction is infinite, or `beside` is not among the methods.

    Examples
    --------
    >>> y = np.array([0.0, 1.0, 2.0, 3.0])
    >>> point_table({"exact": y, "half": np.array([1.0, 1.0, np.nan, np.nan])}, y, beside="exact")
           rows covered   R2      RMSE  R2 of exact there
    exact           1.0  1.0  0.000000                1.0
    half            0.5 -1.0  0.707107                1.0
    """
    like, y = (y, "y"), one_axis(y, "y")
    taken = {
        n: one_axis(values, n, len(y), missing=True, like=like) for n, values in methods.items()
    }
    if beside is not None and beside not in taken:
        raise InputError(f"beside={beside!r} is not among the methods: {', '.join(taken)}.")
    rows = {}
    for name, values in taken.items():
        here = np.isfinite(values)
        row = {COVERED: float(here.mean()), "R2": _r2(values, y, here), "RMSE": np.nan}
        if here.any():
            row["RMSE"] = rmse_of_mean(values[here], y[here])
        if beside is not None:
            row[f"R2 of {beside} there"] = _r2(
                taken[beside], y, here & np.isfinite(taken[beside]) if here.any() else here
            )
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def synergy_score(expected: np.ndarray, growth: np.ndarray) -> np.ndarray:
    """Synergy score, expected growth less growth: positive where a pair does more than expected.

    Holbeck et al. 2017 (doi:10.1158/0008-5472.CAN-17-0489) give it in growth points.

    Parameters
    ----------
    expected, growth : array
        Growth fractions, of any shapes that broadcast; `expected` is NaN where nothing was
        expected.

    Returns
    -------
    numpy.ndarray
        Growth fraction, of the broadcast shape; NaN where nothing was expected.

    Examples
    --------
    >>> synergy_score(np.array([0.5, 0.5]), np.array([0.25, 0.75])).tolist()
    [0.25, -0.25]
    """
    return np.asarray(plain(expected, "expected")) - np.asarray(plain(growth, "growth"))


def synergy_table(
    methods: Mapping[str, np.ndarray], score: np.ndarray, *, threshold: float = 0.2
) -> pd.DataFrame:
    r"""Tabulate how well predicted synergy scores order the measured ones, and how near they come.

    Parameters
    ----------
    methods : mapping
        Name to predicted scores, axis (observation,); NaN where a model does not exist. A model of
        growth predicts `synergy_score` of the expected growth and its prediction; the null model
        predicts 0.
    score : numpy.ndarray
        Measured score, axis (observation,), growth fraction; NaN where nothing was expected, and
        such observations are left out.
    threshold : float
        A measured score above it counts as synergistic.

    Returns
    -------
    pandas.DataFrame
        One row per method: ``rows covered``; ``Spearman``, the rank correlation of predicted and
        measured score (Spearman 1904, doi:10.2307/1412159; 1 is perfect, 0 knows nothing);
        ``AUC at <threshold>``, the chance that a synergistic observation is predicted above one
        that is not (Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747; 1 is perfect, 0.5
        knows nothing); ``RMSE`` beside ``sd of the score``, which is the RMSE of always answering
        with the mean. NaN where there is no answer, such as the ranking by a constant.

    Raises
    ------
    InputError
        If shapes disagree, a value is infinite, no score was measured, or `threshold` is not
        finite.

    Examples
    --------
    >>> score = np.array([0.3, 0.0, -0.1, np.nan])
    >>> synergy_table({"right": score, "null model": np.zeros(4)}, score).round(3)
                rows covered  Spearman  AUC at 0.2   RMSE  sd of the score
    right                1.0       1.0         1.0  0.000             0.17
    null model           1.0       NaN         0.5  0.183             0.17
    """
    threshold = real_number("threshold", threshold)
    score = one_axis(score, "score", missing=True)
    measured = np.isfinite(score)
    if not measured.any():
        raise InputError("score: no observation has one; nothing was expected anywhere.")
    rows = {}
    for name, values in methods.items():
        values = one_axis(values, name, len(score), missing=True)[measured]
        here = np.isfinite(values)
        p, t = values[here], score[measured][here]
        row = {
            COVERED: float(here.mean()),
            "Spearman": np.nan,
            f"AUC at {threshold:g}": np.nan,
            "RMSE": np.nan,
            "sd of the score": np.nan,
        }
        if len(t):
            row["RMSE"] = rmse_of_mean(p, t)
            row["sd of the score"] = float(t.std())
        if len(t) > 1 and np.ptp(p) > 0 and np.ptp(t) > 0:
            row["Spearman"] = float(spearmanr(p, t).statistic)
        hit = t > threshold
        if hit.any() and not hit.all():
            row[f"AUC at {threshold:g}"] = float(roc_auc_score(hit, p))
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def _r2(predicted: np.ndarray, y: np.ndarray, here: np.ndarray) -> float:
    """R2 over some rows; NaN where there is nothing to explain."""
    if here.sum() < 2 or np.ptp(y[here]) == 0:
        return np.nan
    return r2_of_mean(predicted[here], y[here])
