r"""Gaussian kernels written as finite sums of waves, so that a law becomes a vector.

.. math:: k(z, z') = \sum_k w_k \cos(\omega_k \cdot (z - z')) = \langle\phi(z), \phi(z')\rangle

The distance of two mean feature vectors is the maximum mean discrepancy (MMD; Gretton et al.
2012, https://jmlr.org/papers/v13/gretton12a.html), a weighted distance of characteristic
functions. As vectors of fixed length, thousands of draws cost no more than their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from spikedrop.checks.samples import Samples, blocks

QUADRATURE = 16  # nodes: the Gaussian to 2e-3 for differences up to 5 sd, to 1e-6 up to 3
JOINT_WAVES = 256
SMALL = 2**16  # values of a sample in a block


def waves(phase: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Feature vectors of phases (draw, wave): axes (draw, 2 x wave)."""
    root = np.sqrt(weights)
    return np.concatenate([root * np.cos(phase), root * np.sin(phase)], axis=1)


def modulus(phase: np.ndarray) -> np.ndarray:
    """Squared modulus of the characteristic function at each wave, from phases (draw, wave)."""
    return np.cos(phase).mean(axis=0) ** 2 + np.sin(phase).mean(axis=0) ** 2


def moved(
    squared: np.ndarray, weights: np.ndarray, together: np.ndarray, draws: int
) -> Callable[[float], float]:
    """MMD of a law and the same law moved, as a function of the shift.

    The shift is the same at every observation, in the unit of the draws. It turns the
    characteristic function and leaves its modulus, which is estimated without bias from the draws.
    `squared` is from `modulus`, `together` the sum of each wave's frequencies over observations.
    """
    strength = 2 * weights * (draws * squared - 1) / (draws - 1)

    def mmd(shift: float) -> float:
        return float(np.sqrt(max(0.0, strength @ (1 - np.cos(shift * together)))))

    return mmd


def quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Waves of the Gaussian kernel of width 1 in one dimension, and their weights."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(QUADRATURE)
    upper = nodes > 0  # the other half are the same waves
    return nodes[upper], 2 * weights[upper] / weights.sum()


def marginal_features(z: np.ndarray, observations: int) -> np.ndarray:
    r"""Features of some observations, those of `z`, in the mean of one-dimensional kernels.

    :math:`k(z, z') = \frac1m \sum_i \exp(-(z_i - z'_i)^2 / 2)` over all m `observations`: its
    squared MMD is the mean over observations of the squared MMD of each, by Gauss-Hermite
    quadrature of the kernel's spectrum.

    >>> z = np.array([[0.0, 0.0], [1.0, 2.0]])
    >>> gram = marginal_features(z, 2) @ marginal_features(z, 2).T
    >>> exact = (np.exp(-1 / 2) + np.exp(-4 / 2)) / 2
    >>> bool(abs(gram[0, 1] - exact) < 1e-6), bool(abs(gram[0, 0] - 1) < 1e-12)
    (True, True)
    """
    nodes, weights = quadrature()
    phase = (z[:, :, None] * nodes).reshape(len(z), -1)
    return waves(phase, np.tile(weights, z.shape[1]) / observations)


def side_by_side(
    samples: tuple[Samples, ...], centre: np.ndarray, unit: np.ndarray, size: int
) -> Iterator[tuple[slice, list[np.ndarray]]]:
    """Read standardised samples, some observations at a time, as `blocks` does."""
    for columns, values in blocks(*samples, size=size):
        yield columns, [(part - centre[columns]) / unit[columns] for part in values]


def joint_phases(
    samples: tuple[Samples, ...], centre: np.ndarray, unit: np.ndarray, seed: int
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    r"""Phases of a Gaussian kernel on whole draws, :math:`\exp(-|z - z'|^2 / 2m)`, in random waves.

    Rahimi & Recht 2007 (https://papers.nips.cc/paper/3182); it sees how observations move together.
    z are the draws, standardised.

    Returns axes (draw, wave) of each sample, the weights, and the sum of each wave's frequencies,
    axis (wave,). The frequencies of a few waves are drawn at a time, as many as take no more
    memory than a sixth of one sample, and the samples are read once for each such group.
    """
    rng, observations = np.random.default_rng(seed), samples[0].shape[1]
    group = max(1, sum(map(len, samples)) // 12)
    phases = [np.zeros((len(part), JOINT_WAVES)) for part in samples]
    together = np.empty(JOINT_WAVES)
    for start in range(0, JOINT_WAVES, group):
        span = slice(start, min(start + group, JOINT_WAVES))
        frequencies = rng.normal(size=(span.stop - start, observations))
        frequencies /= np.sqrt(observations)
        together[span] = frequencies.sum(axis=1)
        for columns, values in side_by_side(samples, centre, unit, SMALL):
            for phase, z in zip(phases, values, strict=True):
                phase[:, span] += z @ frequencies[:, columns].T
    return phases, np.full(JOINT_WAVES, 1 / JOINT_WAVES), together
