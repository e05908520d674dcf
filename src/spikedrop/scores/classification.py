"""Scores of sampled class probabilities against the classes that came."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spikedrop.checks.accepted import SamplesLike, ValuesLike
from spikedrop.checks.arguments import whole_number
from spikedrop.checks.samples import as_samples, matched, observed
from spikedrop.errors import InputError
from spikedrop.scores.information import of_probabilities, predictive_entropy
from spikedrop.scores.refusal import risk_of

__all__ = [
    "accuracy_of_kept",
    "brier_score",
    "class_accuracy",
    "class_log_likelihood",
    "expected_calibration_error",
    "reliability",
]


def class_accuracy(samples: SamplesLike, labels: ValuesLike) -> float:
    """Share of observations whose class has the largest mean probability; higher is better.

    Of classes with the same probability the first is taken.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Probabilities, axes (draw, observation, class).
    labels : array
        Whole number of the class of each observation, from 0.

    Returns
    -------
    float
        From 0 to 1; higher is better.

    Raises
    ------
    InputError
        If the samples are not probabilities (see `predictive_entropy`), shapes disagree, or a label
        is not a class.

    Examples
    --------
    >>> class_accuracy(np.array([[[0.9, 0.1], [0.2, 0.8]]]), np.array([0, 0]))
    0.5
    """
    mean, labels = _judged(samples, labels)
    return float(np.mean(mean.argmax(axis=1) == labels))


def class_log_likelihood(samples: SamplesLike, labels: ValuesLike) -> float:
    r"""Mean log probability of the class that came, in nats; higher is better, 0 at most.

    .. math:: \tfrac1N \sum_i \log \bar p_{i y_i}

    with :math:`\bar p` the mean over draws (Gneiting & Raftery 2007,
    doi:10.1198/016214506000001437). Minus infinity if a class that came had probability 0.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Probabilities, axes (draw, observation, class).
    labels : array
        Whole number of the class of each observation, from 0.

    Returns
    -------
    float
        Nats, higher is better.

    Raises
    ------
    InputError
        As `class_accuracy`.

    Examples
    --------
    >>> round(class_log_likelihood(np.array([[[0.9, 0.1], [0.5, 0.5]]]), np.array([0, 1])), 3)
    -0.399
    """
    mean, labels = _judged(samples, labels)
    with np.errstate(divide="ignore"):
        return float(np.log(mean[np.arange(len(labels)), labels]).mean())


def brier_score(samples: SamplesLike, labels: ValuesLike) -> float:
    r"""Mean squared distance of the probabilities to what came; lower is better, 0 to 2.

    .. math:: \tfrac1N \sum_i \sum_k \bigl(\bar p_{ik} - 1\{y_i = k\}\bigr)^2

    (Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.)

    Parameters
    ----------
    samples : xarray.DataArray or array
        Probabilities, axes (draw, observation, class).
    labels : array
        Whole number of the class of each observation, from 0.

    Returns
    -------
    float
        From 0 to 2, lower is better.

    Raises
    ------
    InputError
        As `class_accuracy`.

    Examples
    --------
    >>> round(brier_score(np.array([[[0.9, 0.1], [0.5, 0.5]]]), np.array([0, 1])), 3)
    0.26
    """
    mean, labels = _judged(samples, labels)
    came = np.eye(mean.shape[1])[labels]
    return float(((mean - came) ** 2).sum(axis=1).mean())


def reliability(samples: SamplesLike, labels: ValuesLike, *, bins: int = 10) -> pd.DataFrame:
    """Stated confidence against the share that is right, in bins of equal width.

    The confidence of an observation is the largest of its mean probabilities.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Probabilities, axes (draw, observation, class).
    labels : array
        Whole number of the class of each observation, from 0.
    bins : int, default 10
        Number of bins of equal width from 0 to 1; each holds its upper end.

    Returns
    -------
    pandas.DataFrame
        One row per bin that is not empty, index ``upper end``; ``count``, ``confidence`` (mean) and
        ``accuracy``. Calibrated if the last two agree.

    Raises
    ------
    InputError
        As `class_accuracy`, or if `bins` is below 1.

    Examples
    --------
    >>> samples = np.array([[[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]]])
    >>> reliability(samples, np.array([0, 1, 1]))
               count  confidence  accuracy
    upper end
    0.6            1         0.6       1.0
    0.9            2         0.9       0.5
    """
    mean, labels = _judged(samples, labels)
    whole_number("bins", bins, least=1)
    confidence = mean.max(axis=1)
    # Rounded, so that a probability of 0.6 in float32 does not fall behind 0.6.
    place = np.clip(np.ceil(np.round(confidence * bins, 5)), 1, bins) / bins
    frame = pd.DataFrame(
        {"confidence": confidence, "accuracy": mean.argmax(axis=1) == labels}, dtype=float
    )
    groups = frame.groupby(pd.Series(place, name="upper end"))
    table = groups.mean()
    table.insert(0, "count", groups.size())
    return table


def expected_calibration_error(
    samples: SamplesLike, labels: ValuesLike, *, bins: int = 10
) -> float:
    r"""Mean distance between stated confidence and the share that is right; lower is better.

    .. math:: \sum_b \tfrac{n_b}N \bigl|\mathrm{acc}_b - \mathrm{conf}_b\bigr|

    over the bins of `reliability` (ECE; Guo et al. 2017, arXiv:1706.04599). It is not a proper
    score, because a network that always states how often it is right has 0, and it is not 0 by
    chance: a calibrated bin of n observations is off by up to :math:`0.4 / \sqrt n`.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Probabilities, axes (draw, observation, class).
    labels : array
        Whole number of the class of each observation, from 0.
    bins : int, default 10
        Number of bins, see `reliability`.

    Returns
    -------
    float
        From 0 to 1; lower is better.

    Raises
    ------
    InputError
        As `reliability`.

    Examples
    --------
    >>> samples = np.array([[[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]]])
    >>> round(expected_calibration_error(samples, np.array([0, 1, 1])), 3)  # (2 x 0.4 + 0.4) / 3
    0.4
    """
    table = reliability(samples, labels, bins=bins)
    gap = (table["accuracy"] - table["confidence"]).abs()
    return float((table["count"] * gap).sum() / table["count"].sum())


def accuracy_of_kept(
    samples: SamplesLike, labels: ValuesLike, uncertainty: ValuesLike | None = None
) -> tuple[np.ndarray, np.ndarray]:
    r"""Accuracy on what is kept when the least certain predictions are refused.

    .. math:: a_k = \tfrac1k \sum_{i \in \text{the } k \text{ of smallest } u_i}
              1\{\arg\max \bar p_i = y_i\}, \qquad c_k = k / N

    (Geifman & El-Yaniv 2017, arXiv:1705.08500.) Higher is better; flat if the uncertainty knows
    nothing of the errors. Among equal :math:`u_i` the order is chance and its expectation is
    returned.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Probabilities, axes (draw, observation, class).
    labels : array
        Whole number of the class of each observation, from 0.
    uncertainty : numpy.ndarray, optional
        Axis (observation,), finite; `predictive_entropy` by default.

    Returns
    -------
    kept, accuracy : numpy.ndarray
        Axis (observation,): share kept, from 1/N to 1, and the accuracy on it.

    Raises
    ------
    InputError
        As `class_accuracy`, or if the uncertainty has another shape or is not finite.

    Examples
    --------
    >>> samples = np.array([[[0.9, 0.1], [0.6, 0.4]]])
    >>> accuracy_of_kept(samples, np.array([0, 1]))[1].tolist()
    [1.0, 0.5]
    """
    mean, labels = _judged(samples, labels)
    if uncertainty is None:
        uncertainty = predictive_entropy(samples)
    uncertainty = observed(uncertainty, as_samples(samples, outputs="classes"), "uncertainty")
    wrong = (mean.argmax(axis=1) != labels).astype(float)
    return np.arange(1, len(labels) + 1) / len(labels), 1 - risk_of(uncertainty, wrong)


def _judged(samples: SamplesLike, labels: ValuesLike) -> tuple[np.ndarray, np.ndarray]:
    """Return mean probabilities (observation, class) and labels (observation,), or refuse."""
    samples = as_samples(samples, outputs="classes")
    labels = matched(labels, samples, "labels")
    if labels.dtype.kind not in "iu":
        raise InputError(
            f"labels have type {labels.dtype}; expected the whole number of a class for each "
            "observation, from 0."
        )
    mean = of_probabilities(lambda values: values.mean(axis=0), samples)
    wrong = (labels < 0) | (labels >= mean.shape[1])
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"labels: observation {row} has class {labels[row]}, and the classes are 0 to "
            f"{mean.shape[1] - 1}."
        )
    return mean, labels
