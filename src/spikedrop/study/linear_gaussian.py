r"""The linear-Gaussian case, where everything about dropout has a closed form.

Model: :math:`y = x^\top w + \varepsilon`, :math:`\varepsilon \sim \mathcal N(0, 1/\tau)`,
prior :math:`w \sim \mathcal N(0, I/\alpha)`. Dropout on the inputs replaces the weights by
:math:`\theta_j z_j / (1-p)` with :math:`z_j \sim \mathrm{Bernoulli}(1-p)`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from spikedrop.checks.arguments import real_number
from spikedrop.network.graph import Layer, Network

__all__ = ["as_network", "dropout_moments", "posterior", "sd_against_rows"]


def posterior(
    x: np.ndarray, y: np.ndarray, *, prior_precision: float, noise_precision: float
) -> tuple[np.ndarray, np.ndarray]:
    r"""Exact posterior of Bayesian linear regression.

    .. math:: \Sigma = (\alpha I + \tau X^\top X)^{-1}, \qquad \mu = \tau \Sigma X^\top y

    Parameters
    ----------
    x : numpy.ndarray
        Axes (row, input).
    y : numpy.ndarray
        Axis (row,).
    prior_precision : float
        :math:`\alpha`, inverse variance of a weight.
    noise_precision : float
        :math:`\tau`, inverse variance of the noise of `y`.

    Returns
    -------
    mean : numpy.ndarray
        :math:`\mu`, axis (input,).
    covariance : numpy.ndarray
        :math:`\Sigma`, axes (input, input).

    Examples
    --------
    >>> mean, cov = posterior(np.ones((3, 1)), np.ones(3), prior_precision=1, noise_precision=1)
    >>> float(mean[0]), float(cov[0, 0])
    (0.75, 0.25)
    """
    precision = prior_precision * np.eye(x.shape[1]) + noise_precision * x.T @ x
    covariance = np.linalg.inv(precision)
    return noise_precision * covariance @ x.T @ y, covariance


def dropout_fit(
    x: np.ndarray, y: np.ndarray, rate: float, *, prior_precision: float, noise_precision: float
) -> np.ndarray:
    r"""Weights that minimise the expected squared error under input dropout, in closed form.

    .. math::

        \mathbb E\,\lVert y - (m \odot X)\theta\rVert^2 + \tfrac{\alpha}{\tau}\lVert\theta\rVert^2
        = \lVert y - X\theta\rVert^2 + \theta^\top \left[\tfrac{p}{1-p}\,
        \mathrm{diag}(X^\top X) + \tfrac{\alpha}{\tau} I\right] \theta

    Dropout is a ridge penalty scaled by each input's size (Wager, Wang & Liang 2013,
    arXiv:1307.1493). Returns axis (input,).

    >>> x, y = np.ones((3, 1)), np.ones(3)
    >>> float(dropout_fit(x, y, 0.5, prior_precision=0, noise_precision=1)[0])
    0.5
    """
    real_number("rate", rate, least=0, below=1)
    gram = x.T @ x
    penalty = rate / (1 - rate) * np.diag(np.diag(gram))
    penalty += prior_precision / noise_precision * np.eye(len(gram))
    return np.linalg.solve(gram + penalty, x.T @ y)


def dropout_moments(
    weights: np.ndarray, x: np.ndarray, rate: float
) -> tuple[np.ndarray, np.ndarray]:
    r"""Exact predictive mean and variance of permanent input dropout.

    .. math:: \mathrm{E}\,y = x^\top\theta, \qquad
              \mathrm{var}\,y = \tfrac{p}{1-p} \sum_j x_j^2 \theta_j^2

    Parameters
    ----------
    weights : numpy.ndarray
        :math:`\theta`, axis (input,).
    x : numpy.ndarray
        Axes (row, input).
    rate : float
        Dropout rate p, 0 <= p < 1.

    Returns
    -------
    mean, variance : numpy.ndarray
        Axis (row,), in the unit of y and its square; without observation noise.

    Raises
    ------
    InputError
        If `rate` is out of range.

    Examples
    --------
    >>> mean, variance = dropout_moments(np.array([1.0, 2.0]), np.array([[1.0, 1.0]]), 0.5)
    >>> float(mean[0]), float(variance[0])
    (3.0, 5.0)
    """
    real_number("rate", rate, least=0, below=1)
    return x @ weights, rate / (1 - rate) * (x**2 @ weights**2)


def sd_against_rows(
    rows: Sequence[int],
    rates: Sequence[float],
    *,
    inputs: int = 20,
    noise_sd: float = 0.5,
    seed: int,
) -> pd.DataFrame:
    """Predictive sd of the mean, exact and under dropout, as training rows accumulate.

    Inputs are standard normal, true weights drawn from the prior N(0, I/inputs). Both methods know
    the noise and the prior.

    Parameters
    ----------
    rows : sequence of int
        Numbers of training rows.
    rates : sequence of float
        Dropout rates p, 0 <= p < 1.
    inputs : int, default 20
        Number of inputs.
    noise_sd : float, default 0.5
        Sd of the observation noise, in the unit of y.
    seed : int
        Of weights, inputs and noise.

    Returns
    -------
    pandas.DataFrame
        Index: the number of training rows. Columns: ``exact posterior`` and one per rate, as
        ``dropout, p = 0.1``; root mean square over 200 test inputs, in the unit of y.

    Raises
    ------
    InputError
        If a rate is out of range.

    Examples
    --------
    >>> table = sd_against_rows([20, 2000], [0.1], seed=0)
    >>> exact, dropout = table.iloc[0] / table.iloc[1]
    >>> bool(exact > 5), bool(dropout < 2)  # what dropout says hardly shrinks with more data
    (True, True)
    """
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, inputs**-0.5, inputs)
    x, test = rng.normal(size=(max(rows), inputs)), rng.normal(size=(200, inputs))
    y = x @ truth + rng.normal(0, noise_sd, len(x))
    known = {"prior_precision": float(inputs), "noise_precision": noise_sd**-2}
    table = pd.DataFrame(index=pd.Index(rows, name="training rows"), dtype=float)
    for n in rows:
        _, covariance = posterior(x[:n], y[:n], **known)
        variance = np.einsum("ij,jk,ik->i", test, covariance, test)
        table.loc[n, "exact posterior"] = np.sqrt(variance.mean())
        for rate in rates:
            weights = dropout_fit(x[:n], y[:n], rate, **known)
            variance = dropout_moments(weights, test, rate)[1]
            table.loc[n, f"dropout, p = {rate:g}"] = np.sqrt(variance.mean())
    return table


def as_network(weights: np.ndarray, rate: float, *, offset: float = 64.0) -> Network:
    """Express the linear model as a `Network`, so that `sample_ann` can be held against it.

    One ReLU unit per input, kept positive by `offset`, which the readout subtracts again; the
    dropout is on the inputs.

    Parameters
    ----------
    weights : numpy.ndarray
        Axis (input,).
    rate : float
        Dropout rate of the inputs.
    offset : float, default 64.0
        Inputs times masks must stay above ``-offset``.

    Returns
    -------
    Network
        With one output.

    Examples
    --------
    >>> from spikedrop.sampling import predict
    >>> network = as_network(np.array([1.0, 2.0]), 0.5)
    >>> predict(network, [[1.0, 1.0]]).tolist()
    [[3.0]]
    """
    n = len(weights)
    return Network.chain(
        hidden=(Layer("copy", np.eye(n, dtype="float32"), np.full(n, offset, "float32")),),
        readout=Layer(
            "sum",
            np.asarray(weights, "float32")[:, None],
            np.array([-offset * np.sum(np.asarray(weights, "float32"))], "float32"),
        ),
        input_dropout=rate,
    )
