"""Does a classifier know what it was never shown? Measures of doubt, and how well they tell."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from spikedrop.checks.accepted import SamplesLike
from spikedrop.checks.samples import aligned, as_samples, one_axis
from spikedrop.errors import InputError
from spikedrop.scores.information import (
    mutual_information,
    of_probabilities,
    predictive_entropy,
)

__all__ = ["detection_auc", "detection_table", "uncertainties"]


def uncertainties(samples: Mapping[str, SamplesLike]) -> pd.DataFrame:
    r"""Three measures of doubt for each observation; larger is less certain.

    ``entropy`` and ``mutual information``, both in nats (see `predictive_entropy` and
    `mutual_information`), and ``1 - largest probability``, :math:`1 - \max_k \bar p_{ik}`
    (Hendrycks & Gimpel 2017, arXiv:1610.02136).

    Parameters
    ----------
    samples : mapping
        Name to probabilities, axes (draw, observation, class), of the same observations. What has
        one draw, as the plain network ``predict(network, x)[None]``, gets only the last measure.

    Returns
    -------
    pandas.DataFrame
        One row per observation; a column ``measure, name`` for each.

    Raises
    ------
    InputError
        If a sample holds no probabilities, or the numbers of observations differ.

    Examples
    --------
    >>> p = np.array([[[1.0, 0.0]], [[0.5, 0.5]]])
    >>> uncertainties({"ANN": p, "no draws": p[:1]}).round(2).to_dict("records")
    [{'entropy, ANN': 0.56, 'mutual information, ANN': 0.22, '1 - largest probability, ANN': 0.25,
      '1 - largest probability, no draws': 0.0}]
    """
    columns: dict[str, np.ndarray] = {}
    taken = [as_samples(values, name, outputs="classes") for name, values in samples.items()]
    if not taken:
        raise InputError("samples: give at least one, by its name.")
    for values in taken:
        values = aligned(taken[0], values)
        if len(values) > 1:
            columns[f"entropy, {values.name}"] = predictive_entropy(values)
            columns[f"mutual information, {values.name}"] = mutual_information(values)
        columns[f"1 - largest probability, {values.name}"] = of_probabilities(
            lambda p: 1 - p.mean(axis=0).max(axis=-1), values
        )
    return pd.DataFrame(columns).rename_axis("observation")


def detection_auc(familiar: np.ndarray, strange: np.ndarray) -> float:
    r"""Chance that a strange observation is less certain than a familiar one; higher is better.

    .. math:: P(u^\text{strange} > u^\text{familiar}) + \tfrac12 P(u^\text{strange} =
              u^\text{familiar})

    the area under the ROC curve (AUROC; Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747;
    for this use Hendrycks & Gimpel 2017, arXiv:1610.02136): 1 tells the two apart without fail, 0.5
    not at all, and below it the network is surer of what is strange.

    Parameters
    ----------
    familiar, strange : array
        A measure of doubt, axis (observation,), larger is less certain; the numbers of observations
        may differ.

    Returns
    -------
    float
        From 0 to 1; higher is better, 0.5 is chance.

    Raises
    ------
    InputError
        If one is empty, or holds NaN or infinite values.

    Examples
    --------
    >>> detection_auc(np.array([0.1, 0.4]), np.array([0.2, 0.4]))  # three of four, and half a tie
    0.625
    """
    from sklearn.metrics import roc_auc_score

    both = {"familiar": one_axis(familiar, "familiar"), "strange": one_axis(strange, "strange")}
    label = np.repeat([0, 1], [len(values) for values in both.values()])
    return float(roc_auc_score(label, np.concatenate(list(both.values()))))


def detection_table(familiar: pd.DataFrame, strange: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """`detection_auc` of every measure of doubt for every kind of strange observation.

    Parameters
    ----------
    familiar : pandas.DataFrame
        From `uncertainties`.
    strange : mapping
        Kind to a frame with the same columns.

    Returns
    -------
    pandas.DataFrame
        One row per kind, the columns of `familiar`; higher is better.

    Raises
    ------
    InputError
        If the columns of a kind are others.

    Examples
    --------
    >>> doubt = pd.DataFrame({"entropy": [0.1, 0.4]})
    >>> detection_table(doubt, {"noise": doubt + 1, "the same": doubt})["entropy"].to_dict()
    {'noise': 1.0, 'the same': 0.5}
    """
    rows = {}
    for kind, frame in strange.items():
        if list(frame) != list(familiar):
            raise InputError(
                f"{kind!r} has the columns {list(frame)} and familiar has {list(familiar)}: make "
                "both by `uncertainties` from samples of the same names."
            )
        rows[kind] = {name: detection_auc(familiar[name], frame[name]) for name in familiar}
    return pd.DataFrame.from_dict(rows, orient="index")
