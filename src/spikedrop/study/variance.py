r"""Where the variance of one spiking prediction comes from: mask, spikes, initial charge.

A spiking draw is deterministic once its mask and the charge its neurons start with are given. To
see what each contributes, both are drawn at random, several charges for each mask (a nested
design), and the variance is split as in a one-way analysis of variance with random effects.

The input of a presentation is a constant current, so there is no timing of input spikes to vary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from spikedrop.checks.arguments import whole_number
from spikedrop.checks.samples import BLOCK, by_name, plain
from spikedrop.conversion import Conversion
from spikedrop.engines.backends import Masks
from spikedrop.engines.reference import simulate
from spikedrop.errors import InputError
from spikedrop.network.forward import forward
from spikedrop.network.graph import Network
from spikedrop.network.inputs import check_inputs
from spikedrop.sampling.checks import check_draws
from spikedrop.sampling.sampler import Sampler, draw_by_draw, first

__all__ = ["log_slope", "variance_table"]


@dataclass(frozen=True, eq=False)
class VarianceComponents:
    r"""Variance of one spiking prediction, split by where it comes from.

    With :math:`a_m` the ANN's output under mask m and :math:`y_{mk}` the SNN's under mask m and
    initial charge k, let :math:`r_m = E_k\,y_{mk} - a_m` be what is left of the rounding to whole
    spikes after averaging over initial charges. Then

    .. math::

        \mathrm{Var}(y) = \underbrace{\mathrm{Var}(a_m)}_{\text{mask}}
            + \underbrace{\mathrm{Var}(r_m)}_{\text{spikes}}
            + \underbrace{2\,\mathrm{Cov}(a_m, r_m)}_{\text{covariance}}
            + \underbrace{E_m \mathrm{Var}_k(y_{mk})}_{\text{charge}} .

    Every part is estimated without bias. The price: an estimate of ``spikes`` can be negative,
    where its true value is near zero. It is left so; cut off at zero, means over observations
    would be too large.

    Attributes
    ----------
    mask, spikes, covariance, charge : numpy.ndarray
        Axes (observation, ...), the unit of the output squared.
    bias : numpy.ndarray
        Mean of SNN - ANN, in the unit of the output. Not a variance, but an error all the same.

    References
    ----------
    Searle, Casella & McCulloch (1992), Variance Components, doi:10.1002/9780470316856, for the
    estimators and negative estimates; Nakagawa & Schielzeth (2010),
    doi:10.1111/j.1469-185X.2010.00141.x, for repeatability.
    """

    mask: np.ndarray
    spikes: np.ndarray
    covariance: np.ndarray
    charge: np.ndarray
    bias: np.ndarray

    @property
    def between(self) -> np.ndarray:
        """Variance between masks of the SNN averaged over initial charges."""
        return self.mask + self.spikes + self.covariance

    @property
    def total(self) -> np.ndarray:
        """Variance of one spiking prediction."""
        return self.between + self.charge

    @property
    def repeatability(self) -> np.ndarray:
        """Share of the total that a fixed mask fixes, ``between / total``; 1 is perfect."""
        return self.between / self._positive_total()

    def shares(self) -> pd.DataFrame:
        """Share of each part in the total, one row per observation; rows add up to 1."""
        total = self._positive_total()
        parts = ("mask", "spikes", "covariance", "charge")
        return pd.DataFrame({part: np.ravel(getattr(self, part) / total) for part in parts})

    def _positive_total(self) -> np.ndarray:
        if not (self.total > 0).all():
            raise InputError(
                f"{int(np.sum(~(self.total > 0)))} observation(s) have no variance to share out; "
                "is every dropout rate 0?"
            )
        return self.total


def variance_components(snn: np.ndarray, ann: np.ndarray) -> VarianceComponents:
    """Split the variance of a nested design; see `VarianceComponents`.

    Parameters
    ----------
    snn : numpy.ndarray
        Axes (mask, charge, observation, ...): several initial charges for each mask.
    ann : numpy.ndarray
        Axes (mask, observation, ...): the classical network under the same masks.

    Raises
    ------
    InputError
        If shapes disagree, there are fewer than two masks or charges, or a value is not finite.

    Examples
    --------
    Two masks with the ANN at 0 and 2; the SNN adds -1 or +1 by initial charge. The variance
    within masks is 2, and that of the two SNN means is 2 as the ANN's; a half of 2 is what the
    means inherit from within, and is taken off.

    >>> snn = np.array([[[-1.0], [1.0]], [[1.0], [3.0]]])
    >>> parts = variance_components(snn, np.array([[0.0], [2.0]]))
    >>> [float(part[0]) for part in (parts.mask, parts.spikes, parts.covariance, parts.charge)]
    [2.0, -1.0, 0.0, 2.0]
    """
    y = _array(snn, ("mask", "charge", "observation", "output"), 3, "snn")
    a = _array(ann, ("mask", "observation", "output"), 2, "ann")
    if y.ndim < 3 or a.shape != (y.shape[0], *y.shape[2:]) or 0 in y.shape:
        raise InputError(
            f"snn has shape {y.shape} and ann {a.shape}; expected (mask, charge, observation, "
            "...) and (mask, observation, ...)."
        )
    masks, charges = y.shape[:2]
    if masks < 2 or charges < 2:
        raise InputError(f"{masks} masks and {charges} charges: two of each at least.")
    step = max(1, BLOCK * y.shape[2] // y.size)
    starts = range(0, y.shape[2], step)
    parts = [_components(y[:, :, i : i + step], a[:, i : i + step]) for i in starts]
    return VarianceComponents(*map(np.concatenate, zip(*parts, strict=True)))


def _array(values: object, names: tuple[str, ...], needed: int, what: str) -> np.ndarray:
    """Return an array with the axes in the order of their names."""
    if isinstance(values, xr.DataArray):
        values = by_name(values, names, names[:needed], what)
        values = values.transpose(*(name for name in names if name in values.dims)).to_numpy()
    return np.asarray(plain(values, what))


def _components(y: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the attributes of `VarianceComponents` for some observations."""
    y, a = (np.ascontiguousarray(values, np.float64) for values in (y, a))
    if not (np.isfinite(y).all() and np.isfinite(a).all()):
        raise InputError("the samples hold NaN or infinite values.")
    masks, charges = y.shape[:2]
    charge = y.var(axis=1, ddof=1).mean(axis=0)
    rest = y.mean(axis=1) - a  # r_m, and the mean of `charges` deviations
    a_centred, rest_centred = a - a.mean(axis=0), rest - rest.mean(axis=0)
    return (
        a.var(axis=0, ddof=1),
        rest.var(axis=0, ddof=1) - charge / charges,
        2 * (a_centred * rest_centred).sum(axis=0) / (masks - 1),
        charge,
        rest.mean(axis=0),
    )


def random_charge(network: Network, seed: int, number: int) -> dict[str, np.ndarray]:
    """Draw an initial charge for every hidden neuron, uniform in [0, 1), shared by all inputs.

    Rounding down from a uniform start is rounding up or down at random, without bias. Set
    `number` depends on nothing but itself and the seed.

    Returns
    -------
    dict of numpy.ndarray
        By name of the layer, float32, axes ``(1, *shape)``, in units of the threshold.

    Raises
    ------
    InputError
        If `seed` or `number` is negative.
    """
    key = [whole_number("seed", seed), whole_number("number", number)]
    generator = np.random.default_rng(key)
    return {
        layer.name: generator.random((1, *network.shapes[layer.name]), np.float32)
        for layer in network.hidden
    }


def nested_samples(
    network: Network,
    conversion: Conversion,
    x: np.ndarray,
    *,
    masks: int,
    charges: int,
    seed: int,
    steps: int = 200,
    settle: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Sample the SNN with several random initial charges for each mask, and the ANN with the masks.

    Runs on the reference simulator, in plain NumPy. The masks are those of `sample_ann` with the
    same seed; a charge is drawn anew for each mask and shared by the observations.

    Parameters
    ----------
    network, conversion, x, seed, steps, settle : see `sample_snn`
    masks, charges : int
        Masks, and initial charges for each.

    Returns
    -------
    snn, ann : numpy.ndarray
        float32, axes (mask, charge, observation, output) and (mask, observation, output).
    """
    x = check_inputs(network, x)
    check_draws(network, masks, "draw")
    settle = conversion.settle(steps) if settle is None else settle
    whole_number("charges", charges, least=1)
    whole_number("settle", settle, below=whole_number("steps", steps, least=1))

    def run(x: np.ndarray, masks: Masks, draws: range) -> tuple[np.ndarray, np.ndarray]:
        mask, number = first(masks), draws.start * charges
        drawn = [random_charge(network, seed, number + k) for k in range(charges)]
        start = {
            name: np.repeat(np.concatenate([charge[name] for charge in drawn]), len(x), axis=0)
            for name in drawn[0]
        }
        shown = np.concatenate([x] * charges)
        timing: dict[str, Any] = {"steps": steps, "settle": settle}
        readout, _ = simulate(network, conversion, shown, mask, **timing, initial_charge=start)
        return readout.reshape(charges, len(x), -1), forward(network, x, mask)[0]

    sampler = Sampler(network, seed, "draw", draw_by_draw, run)
    snn, ann = zip(*(piece.ran for piece in sampler.pieces(x, range(masks))), strict=True)
    return np.stack(snn), np.stack(ann)


def variance_table(
    network: Network,
    conversion: Conversion,
    x: np.ndarray,
    *,
    steps: Sequence[int],
    masks: int,
    charges: int,
    seed: int,
) -> pd.DataFrame:
    """Tabulate how the parts of the variance fall with the number of time steps.

    Parameters
    ----------
    network, conversion, x : see `sample_snn`
    steps : sequence of int
        Time steps of a presentation.
    masks, charges : int
        Masks, and initial charges for each; at least 2 of each.
    seed : int
        Of masks and charges.

    Returns
    -------
    pandas.DataFrame
        One row per number of steps. ``mask``, ``spikes``, ``covariance``, ``charge``: share of the
        total variance, mean over observations (rows add up to 1). ``charge sd`` and ``bias``: sd
        over initial charges for a fixed mask and size of the mean error, as root mean squares over
        observations in units of the ANN's predictive sd. ``repeatability``: share of the variance
        that a fixed mask fixes.

    Raises
    ------
    InputError
        If an observation has the same value under every mask.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.conversion import calibrate
    >>> conversion = calibrate(network, [[1.0]], rate_hz=500)
    >>> small = {"steps": (20, 80), "masks": 20, "charges": 4, "seed": 0}
    >>> table = variance_table(network, conversion, [[1.0], [2.0]], **small)
    >>> table.index.tolist(), "charge sd" in table
    ([20, 80], True)
    """
    rows, settings = [], {"masks": masks, "charges": charges, "seed": seed}
    for t in steps:
        parts = variance_components(*nested_samples(network, conversion, x, **settings, steps=t))
        if not (parts.mask > 0).all():
            raise InputError("an observation has the same value under every mask.")
        rows.append(
            {
                "steps": t,
                **parts.shares().mean(),
                "charge sd": float(np.sqrt(np.mean(parts.charge / parts.mask))),
                "bias": float(np.sqrt(np.mean(parts.bias**2 / parts.mask))),
                "repeatability": float(np.mean(parts.repeatability)),
            }
        )
    return pd.DataFrame(rows).set_index("steps")


def log_slope(values: pd.Series) -> float:
    """Slope of log(values) against log(index) by least squares.

    Parameters
    ----------
    values : pandas.Series
        Positive numbers, index positive numbers; at least two.

    Returns
    -------
    float
        Without unit: -1 for a fall as 1 over the index.

    Raises
    ------
    InputError
        If there are fewer than two values, or a value or an index is not positive.

    Examples
    --------
    >>> round(log_slope(pd.Series([1.0, 0.25, 0.0625], index=[10, 20, 40])), 6)
    -2.0
    """
    index, y = np.asarray(values.index, float), values.to_numpy(float)
    if len(y) < 2 or not (np.isfinite(y).all() and (y > 0).all() and (index > 0).all()):
        raise InputError("a slope on logarithmic axes needs two positive values or more.")
    return float(np.polyfit(np.log(index), np.log(y), 1)[0])
