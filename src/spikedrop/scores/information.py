"""How unsure a classifier is, in nats: the whole of it, and what masks add to it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from spikedrop.checks.accepted import SamplesLike
from spikedrop.checks.samples import as_samples, per_observation
from spikedrop.errors import InputError

__all__ = ["expected_entropy", "mutual_information", "predictive_entropy"]

TOLERANCE = 1e-4  # of the sum of a row of probabilities; a float32 softmax is within 1e-6
HALF = {"float16": (10, 2.0**-8), "bfloat16": (7, 2.0**-5)}  # bits of a fraction; tolerance, 4 eps


def predictive_entropy(samples: SamplesLike) -> np.ndarray:
    r"""Entropy of the mean probabilities of each observation.

    .. math:: H_i = -\sum_k \bar p_{ik} \log \bar p_{ik}, \qquad
              \bar p_{ik} = \tfrac1S \sum_s p^{(s)}_{ik}

    All of the doubt about the class (Shannon 1948, doi:10.1002/j.1538-7305.1948.tb01338.x): from 0,
    if the mean names one class for certain, to :math:`\log K`, if all K classes are equally likely.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Probabilities, axes (draw, observation, class): samples of a network that ends in a softmax.
        They sum to 1 within 1e-4. Where every probability of a row has the precision of float16 or
        bfloat16 only, rounding may take the sum further, and the row is divided by it.

    Returns
    -------
    numpy.ndarray
        In nats, axis (observation,); larger is less certain.

    Raises
    ------
    InputError
        If the axes are others, there is one class, a probability is negative, NaN or infinite, or
        the probabilities of an observation do not sum to 1 in a draw.

    Examples
    --------
    >>> two = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])  # two draws, each sure, of one observation
    >>> predictive_entropy(two).round(3).tolist()  # log 2
    [0.693]
    """
    return of_probabilities(lambda values: _entropy_of(values.mean(axis=0)), samples)


def expected_entropy(samples: SamplesLike) -> np.ndarray:
    r"""Mean entropy of the draws of each observation, in nats, axis (observation,).

    .. math:: \tfrac1S \sum_s \Bigl( -\sum_k p^{(s)}_{ik} \log p^{(s)}_{ik} \Bigr)

    The doubt that is left when the function is known, so that of classes that overlap (Depeweg et
    al. 2018, arXiv:1710.07283). Never above `predictive_entropy`. Axes and errors as there.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Probabilities, axes (draw, observation, class).

    Returns
    -------
    numpy.ndarray
        Nats, axis (observation,).

    Examples
    --------
    >>> one_is_sure = np.array([[[1.0, 0.0]], [[0.5, 0.5]]])
    >>> expected_entropy(one_is_sure).round(3).tolist()  # (0 + log 2) / 2
    [0.347]
    """
    return of_probabilities(lambda values: _entropy_of(values).mean(axis=0), samples)


def mutual_information(samples: SamplesLike) -> np.ndarray:
    r"""What the class would tell about the function, in nats, axis (observation,).

    .. math:: I_i = H\Bigl[\tfrac1S \sum_s p^{(s)}_i\Bigr] - \tfrac1S \sum_s H\bigl[p^{(s)}_i\bigr]

    `predictive_entropy` less `expected_entropy` (BALD; Houlsby et al. 2011, arXiv:1112.5745): 0 if
    all draws say the same, :math:`\log 2` if each is certain and half of them contradict the other
    half. From 0 to the smaller of :math:`\log S` and :math:`\log K`. From S draws it comes out too
    small, by about :math:`\sum_k \mathrm{var}(p_k) / (2 S \bar p_k)` nats, so compare numbers from
    equally many draws only. Axes and errors as of `predictive_entropy`.

    Parameters
    ----------
    samples : xarray.DataArray or array
        Probabilities, axes (draw, observation, class).

    Returns
    -------
    numpy.ndarray
        Nats, axis (observation,).

    Examples
    --------
    >>> agree, contradict = [[0.5, 0.5], [0.5, 0.5]], [[1.0, 0.0], [0.0, 1.0]]
    >>> both = np.array([agree, contradict]).swapaxes(0, 1)  # two observations, two draws of each
    >>> predictive_entropy(both).round(3).tolist(), mutual_information(both).round(3).tolist()
    ([0.693, 0.693], [0.0, 0.693])
    """
    return of_probabilities(_information, samples)


def _information(values: np.ndarray) -> np.ndarray:
    found = _entropy_of(values.mean(axis=0)) - _entropy_of(values).mean(axis=0)
    alike = (values.min(axis=0) == values.max(axis=0)).all(axis=-1)
    return np.where(alike, 0.0, np.maximum(found, 0.0))  # not 1e-17


def _entropy_of(probabilities: np.ndarray) -> np.ndarray:
    """Entropy in nats along the last axis, without checks; 0 log 0 is 0."""
    return special.entr(probabilities).sum(axis=-1)


def of_probabilities(
    function: Callable[[np.ndarray], np.ndarray], samples: SamplesLike
) -> np.ndarray:
    """Compute what depends on the probabilities of each observation on its own, block by block.

    `function` takes axes (draw, observation, class) and returns arrays with first axis observation.
    Raises `InputError` as `predictive_entropy`.
    """
    samples = as_samples(samples, outputs="classes")
    rows = np.arange(samples.observations)
    return per_observation(lambda values, rows: function(_checked(values, rows)), samples, rows)


def _checked(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return probabilities that sum to 1, or raise `InputError`; `rows` are for the message."""
    if (values < 0).any():
        draw, row, k = np.argwhere(values < 0)[0]
        raise InputError(
            f"samples hold {values[draw, row, k]} in draw {draw}, observation {rows[row]}, class "
            f"{k}: probabilities are not negative. Let the network end in a softmax."
        )
    total = values.sum(axis=-1)
    wrong = np.abs(total - 1) > TOLERANCE
    if not wrong.any():
        return values
    allowed = np.zeros_like(wrong)
    for bits, tolerance in HALF.values():
        fraction, _ = np.frexp(values[wrong])
        fraction = fraction * 2 ** (bits + 1)
        coarse = (fraction == np.round(fraction)).all(axis=-1)
        allowed[wrong] |= coarse & (np.abs(total[wrong] - 1) <= tolerance)
    if (wrong & ~allowed).any():
        draw, row = np.argwhere(wrong & ~allowed)[0]
        raise InputError(
            f"the probabilities of draw {draw}, observation {rows[row]} sum to "
            f"{total[draw, row]:.6g}, not to 1: let the network end in a softmax over all its "
            "outputs."
        )
    return np.where(wrong[..., None], values / np.where(wrong, total, 1)[..., None], values)
