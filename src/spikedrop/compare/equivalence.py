r"""Is the difference within a margin? Tests whose null hypothesis is that it is *not*.

A test that finds no difference may only have had too few draws. An equivalence test has to
reject "the difference is at least the margin", and so cannot pass for want of draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import stats

from spikedrop.compare.draws import as_draws, predictive_sd, same_observations
from spikedrop.compare.kernel import joint_kernel, marginal_kernel, squared_mmd
from spikedrop.errors import InputError

QUANTILES = (0.05, 0.5, 0.95)
SIMULATIONS = 4000


@dataclass(frozen=True)
class Equivalence:
    """One equivalence test.

    Attributes
    ----------
    name : str
        What is compared.
    unit : str
    estimate : float
        Of the difference, b minus a; of an MMD, the root of the unbiased estimate, 0 if negative.
    margin : float
        The difference that would matter, in the same unit.
    p_value : float
        Of "the difference is at least the margin"; at most the level: equivalent.
    reach : float
        The smallest margin, as the argument `margin` is given, that the test would affirm.
    """

    name: str
    unit: str
    estimate: float
    margin: float
    p_value: float
    reach: float


def tost(
    a: xr.DataArray | np.ndarray,
    b: xr.DataArray | np.ndarray,
    *,
    margin: float = 0.05,
    level: float = 0.05,
) -> list[Equivalence]:
    r"""Two one-sided tests on mean, log sd and quantiles, pooled over observations.

    With :math:`\sigma_i` the sd of `a` at observation i, and T the mean or the 5, 50 or 95 %
    quantile of the draws,

    .. math:: \theta_T = \frac1m \sum_i \frac{T_i(b) - T_i(a)}{\sigma_i}, \qquad
              \theta_\mathrm{sd} = \frac1m \sum_i \log\frac{s_i(b)}{s_i(a)} .

    :math:`|\theta| \ge` `margin` is rejected when both one-sided t tests reject, at `level` each
    (Schuirmann 1987, doi:10.1007/BF01068419). The standard error is that of the mean over draws of
    each draw's influence, summed over observations first, so that it holds whatever ties the
    observations of a draw together.

    Pooling is what makes a margin of 5 % attainable: at one observation the standard error of a
    difference of means is :math:`\sqrt{2/n}` sd, 0.06 at 500 draws. What pooling can hide,
    differences of opposite sign, `kernel_equivalence` sees.

    Parameters
    ----------
    a, b : array
        Axes (draw, observation[, output]), not paired.
    margin : float
        In predictive sd of `a`; for the sd, in logarithms, so that 0.05 means 5 %.
    level : float

    Returns
    -------
    list of Equivalence
        Five: mean, log sd, and the quantiles.

    Raises
    ------
    InputError
        If observations differ in number, values are NaN, or `a` does not vary somewhere.

    Examples
    --------
    >>> a, b = np.random.default_rng(0).normal(size=(2, 4000, 10))
    >>> [bool(test.p_value < 0.05) for test in tost(a, b)]
    [True, True, True, True, True]
    >>> [bool(test.p_value < 0.05) for test in tost(a, b + 0.1)]
    [False, True, False, False, False]
    """
    x, y = _standardised(a, b)
    _check(margin, level)
    tests = []
    summaries: dict[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
        "mean": _mean,
        "log sd": _log_sd,
        **{f"{q:.0%} quantile": lambda z, q=q: _quantile(z, q) for q in QUANTILES},
    }
    for name, summary in summaries.items():
        values, influences = zip(*(summary(z) for z in (x, y)), strict=True)
        unit = "log" if name == "log sd" else "sd"
        estimate = float(np.mean(values[1] - values[0]))
        tests.append(_two_one_sided(name, unit, estimate, influences, margin, level))
    return tests


def _two_one_sided(
    name: str,
    unit: str,
    estimate: float,
    influences: tuple[np.ndarray, ...],
    margin: float,
    level: float,
) -> Equivalence:
    """TOST of an estimate from the influence of each independent draw, one array a sample."""
    if not np.isfinite(estimate):
        return Equivalence(name, unit, estimate, margin, 1.0, float("inf"))
    squares = np.array([part.var(ddof=1) / len(part) for part in influences])
    se = float(np.sqrt(squares.sum()))
    if se == 0:
        p = float(abs(estimate) >= margin)
        return Equivalence(name, unit, estimate, margin, p, abs(estimate))
    freedom = se**4 / sum(s**2 / (len(i) - 1) for s, i in zip(squares, influences, strict=True))
    p = float(stats.t.sf((margin - abs(estimate)) / se, freedom))
    reach = abs(estimate) + float(stats.t.ppf(1 - level, freedom)) * se
    return Equivalence(name, unit, estimate, margin, p, reach)


def _mean(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return z.mean(axis=0), z.mean(axis=1)


def _log_sd(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log sd, and its influence ((z - mean)^2 / variance - 1) / 2; minus infinity if constant."""
    sd = np.where(np.ptp(z, axis=0) == 0, 0, z.std(axis=0, ddof=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(sd), (((z - z.mean(axis=0)) / sd) ** 2 / 2).mean(axis=1)


def _quantile(z: np.ndarray, q: float) -> tuple[np.ndarray, np.ndarray]:
    """Quantile, and its influence (q - 1[z <= value]) / density.

    One over the density is the slope of the quantile function, by a difference quotient
    (Siddiqui 1960) whose width makes it slightly too large in the tails.
    """
    width = min(0.1, q / 2, (1 - q) / 2)
    below, value, above = np.quantile(z, [q - width, q, q + width], axis=0)
    slope = (above - below) / (2 * width)
    return value, ((q - (z <= value)) * slope).mean(axis=1)


def kernel_equivalence(
    a: xr.DataArray | np.ndarray,
    b: xr.DataArray | np.ndarray,
    *,
    margin: float = 0.05,
    level: float = 0.05,
    kernel: str = "each law",
    seed: int,
) -> Equivalence:
    r"""Test "MMD at least M" against "MMD below M", over all observations.

    The hypotheses are those of Liu & Gandy 2026 (arXiv:2603.10886); the test is our own. The
    margin M is the MMD between the law of `a` and that law moved by `margin` predictive sd at
    every observation: a margin in the kernel's unit says nothing to anybody.

    Let d be the difference of the two mean feature vectors, :math:`|d| = \mathrm{MMD}`, and
    :math:`\hat d = d + e` what is seen, e nearly Gaussian with covariance
    :math:`\Gamma = \Sigma_a / n_a + \Sigma_b / n_b`, eigenvalues :math:`\lambda_1 \ge
    \lambda_2 \ge \dots`. A small :math:`|\hat d|^2` speaks for equivalence. Among all d with
    :math:`|d| \ge M` it is most probable where :math:`|d| = M` and d lies where the noise is
    largest; that worst case gives the p-value

    .. math:: p = P\Bigl( (M + \sqrt{\lambda_1} g_1)^2 + \sum_{k>1} \lambda_k g_k^2
              \le |\hat d|^2 \Bigr), \qquad g_k \sim N(0, 1),

    by simulation. The level is held in every direction; in most of them the test is conservative.

    Parameters
    ----------
    a, b, margin, level : see `tost`
    kernel : {"each law", "joint law"}
        `spikedrop.compare.kernel.marginal_kernel`, a mean over observations of the squared MMD of
        each, which nothing can cancel; or `joint_kernel`, on whole draws.
    seed : int
        Of the joint kernel's waves and of the simulation.

    Examples
    --------
    >>> a, b = np.random.default_rng(0).normal(size=(2, 2000, 20))
    >>> up_and_down = 0.1 * (-1.0) ** np.arange(20)  # cancels in the mean over observations
    >>> [kernel_equivalence(a, b + d, seed=0).p_value < 0.05 for d in (0, up_and_down)]
    [True, False]
    """
    x, y = _standardised(a, b)
    _check(margin, level)
    kernels = {"each law": marginal_kernel, "joint law": lambda m: joint_kernel(m, seed)}
    if kernel not in kernels:
        raise InputError(f"kernel={kernel!r}; use {', '.join(map(repr, kernels))}.")
    how = kernels[kernel](x.shape[1])
    p, q = how.features(x), how.features(y)
    gap = p.mean(axis=0) - q.mean(axis=0)
    noise = _Noise.of(p, q, seed)
    seen = float(gap @ gap)
    moved = how.moved(x)
    return Equivalence(
        name=f"MMD, {kernel}",
        unit="MMD",
        estimate=float(np.sqrt(max(0.0, squared_mmd(p, q)))),
        margin=moved(margin),
        p_value=noise.p_value(moved(margin), seen),
        reach=_reach(moved, noise, seen, level),
    )


@dataclass(frozen=True, eq=False)
class _Noise:
    """Simulated sampling noise of a mean feature vector.

    Attributes
    ----------
    along : numpy.ndarray
        In the direction where it is largest, axis (simulation,).
    across : numpy.ndarray
        Squared length of the rest.
    """

    along: np.ndarray
    across: np.ndarray

    @classmethod
    def of(cls, p: np.ndarray, q: np.ndarray, seed: int) -> _Noise:
        centred = [(f - f.mean(axis=0)) / np.sqrt(len(f) * (len(f) - 1)) for f in (p, q)]
        root = np.concatenate(centred)  # its crossproduct is Gamma; either one has the eigenvalues
        square = root.T @ root if root.shape[1] < len(root) else root @ root.T
        eigenvalues = np.maximum(np.linalg.eigvalsh(square)[::-1], 0)
        large = eigenvalues > 1e-4 * eigenvalues.sum()  # the rest is as good as its mean
        g = np.random.default_rng(seed).standard_normal((SIMULATIONS, large.sum()))
        across = g[:, 1:] ** 2 @ eigenvalues[large][1:] + eigenvalues[~large].sum()
        return cls(g[:, 0] * np.sqrt(eigenvalues[0]), across)

    def p_value(self, margin: float, seen: float) -> float:
        return float(np.mean((margin + self.along) ** 2 + self.across <= seen))


def _reach(moved: Callable[[float], float], noise: _Noise, seen: float, level: float) -> float:
    """Smallest shift whose MMD the test would affirm as a margin; infinite beyond one sd."""
    low, high = 0.0, 1.0
    if noise.p_value(moved(high), seen) > level:
        return float("inf")
    for _ in range(20):
        middle = (low + high) / 2
        passed = noise.p_value(moved(middle), seen) <= level
        low, high = (low, middle) if passed else (middle, high)
    return high


def crps_equivalence(
    a: xr.DataArray | np.ndarray,
    b: xr.DataArray | np.ndarray,
    y: np.ndarray,
    *,
    margin: float = 0.01,
    level: float = 0.05,
    paired: bool = False,
) -> Equivalence:
    r"""Two one-sided tests on the score that `b` loses or gains against `a`.

    .. math:: \theta = \mathrm{CRPS}(b, y) / \mathrm{CRPS}(a, y) - 1

    with the mean over observations of the fair CRPS (scoringrules; Ferro 2014,
    doi:10.1002/qj.2270). The observations are those at hand; the draws are the sample, and their
    influence on the score gives the standard error.

    Parameters
    ----------
    a, b : array
        Axes (draw, observation[, output]).
    y : numpy.ndarray
        What was observed, axes (observation[, output]).
    margin : float
        As a fraction of the CRPS of `a`.
    paired : bool
        Draws of `a` and `b` with the same number belong together.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y, a, b = rng.normal(size=50), *rng.normal(size=(2, 2000, 50))
    >>> [crps_equivalence(a, b, y, margin=m).p_value < 0.05 for m in (0.05, 0.001)]
    [True, False]
    """
    x, z = as_draws(a, "a", outputs=True), as_draws(b, "b", outputs=True)
    same_observations(x, z)
    _check(margin, level)
    y = np.asarray(y, dtype=np.float64).reshape(-1)
    if y.shape != x.shape[1:] or not np.isfinite(y).all():
        raise InputError(
            f"y has shape {y.shape}; expected {x.shape[1:]} finite numbers, one an observation."
        )
    import scoringrules  # takes seconds, and most of the package does without

    # "pwm" equals "fair" and sorts instead of forming all pairs; NumPy spares the compiler's wait.
    scores = [
        float(scoringrules.crps_ensemble(y, s, m_axis=0, estimator="pwm", backend="numpy").mean())
        for s in (x, z)
    ]
    if scores[0] <= 0:
        raise InputError("the CRPS of a is 0: there is nothing to take a percentage of.")
    ratio = scores[1] / scores[0]
    parts = [_crps_influence(s, y) for s in (x, z)]
    if paired:
        influences = ((parts[1] - ratio * parts[0]) / scores[0],)
    else:
        influences = (ratio * parts[0] / scores[0], parts[1] / scores[0])
    return _two_one_sided("CRPS", "fraction", ratio - 1, influences, margin, level)


def _crps_influence(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Influence of each draw on the mean CRPS: |z - y| less its mean distance to other draws."""
    n = len(z)
    order = np.sort(z, axis=0)
    sums = np.cumsum(order, axis=0)
    rank = np.arange(1, n + 1)[:, None]
    distance = (rank * order - sums + (sums[-1] - sums) - (n - rank) * order) / (n - 1)
    to_others = np.empty_like(z)
    np.put_along_axis(to_others, np.argsort(z, axis=0), distance, axis=0)
    return (np.abs(z - y) - to_others).mean(axis=1)


def _standardised(
    a: xr.DataArray | np.ndarray, b: xr.DataArray | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both samples less the mean of `a`, in its predictive sd, axes (draw, observation)."""
    x, y = as_draws(a, "a", outputs=True), as_draws(b, "b", outputs=True)
    same_observations(x, y)
    sd, centre = predictive_sd(x, "a"), x.mean(axis=0)
    return (x - centre) / sd, (y - centre) / sd


def _check(margin: float, level: float) -> None:
    if not (0 < margin < 1 and 0 < level < 0.5):
        raise InputError(f"margin={margin} must be in (0, 1) and level={level} in (0, 0.5).")
