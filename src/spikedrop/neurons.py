"""How the readout weights the steps of a presentation."""

from __future__ import annotations

from typing import Literal

import numpy as np

Readout = Literal["mean", "parabola"]
READOUTS: tuple[Readout, ...] = ("mean", "parabola")


def step_weights(readout: Readout, steps: int, settle: int = 0) -> np.ndarray:
    r"""Weights of the time steps in the average of the readout; their mean after `settle` is 1.

    A neuron that keeps its charge sends :math:`n_t = J_t + v_{t-1} - v_t` spikes at step t, with
    J the current in thresholds per step and v the charge that is left. A sum with weights w is
    therefore

    .. math:: \sum_t w_t n_t = \sum_t w_t J_t + \sum_t (w_{t+1} - w_t)\, v_t ,

    and the current of a deeper layer is made of spikes that are weighted alike: the second sum is
    the error of every layer that fires. With equal weights it is the charge at both ends, an error
    that falls as :math:`1 / n` with the n steps. Weights without jumps spread it over all steps,
    where it averages out: as :math:`n^{-3/2}` if charges at different steps are independent. That
    error is least where :math:`\sum_t (w_{t+1} - w_t)^2` is, at given mean and with zeros before
    and behind: on the parabola

    .. math:: w_k = \frac{6\, k\, (n + 1 - k)}{(n + 1)(n + 2)}, \qquad k = 1 \dots n

    (own derivation, by a Lagrange multiplier). An integrate-and-fire neuron is a sigma-delta
    modulator, read by a low-pass filter (Yoon 2017, doi:10.1109/TNNLS.2016.2526029). For such a
    modulator with a constant input, a triangular filter of length n reaches a mean squared error
    of the order :math:`n^{-3}`, the best possible order (Gunturk, Lagarias and Vaishampayan 2001,
    IEEE Transactions on Information Theory 47(5), 1735).

    Parameters
    ----------
    readout : {"mean", "parabola"}
    steps, settle : int
        Steps of a presentation, and those at its beginning that do not count.

    Returns
    -------
    numpy.ndarray
        float64, axis (step,); 0 in the first `settle` steps.

    Examples
    --------
    >>> step_weights("mean", 4, settle=1).tolist()
    [0.0, 1.0, 1.0, 1.0]
    >>> step_weights("parabola", 4, settle=1).round(3).tolist()
    [0.0, 0.9, 1.2, 0.9]
    """
    n = steps - settle
    k = np.arange(1 - settle, n + 1.0)
    weights = np.ones(steps) if readout == "mean" else 6 * k * (n + 1 - k) / ((n + 1) * (n + 2))
    return np.where(k > 0, weights, 0.0)
