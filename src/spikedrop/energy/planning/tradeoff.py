r"""Few precise draws or many coarse ones: the error of a quantity for a cost.

With T time steps, firing rate r and S draws, the mean squared error of a quantity is taken as

.. math:: E^2(T, r, S) = B^2(T, r) + \rho(T, r)\,A(S)

:math:`A` is the sampling error of S draws of the ANN (`sampling_squares`), which falls as 1/S.
Rounding to whole spikes does two things to it. A part differs from draw to draw as the masks do;
it widens the draws, by the ratio of variances :math:`\rho`, and averages out with them. The rest
is common to all draws, shifts the quantity by :math:`B` (`bias_square`), and no number of draws
mends it. Both fall about as one over the spikes of a presentation, :math:`r T`, down from a
handful of spikes; below that the network errs far more than the law says. So no law is fitted:
:math:`\log B^2` and :math:`\log\rho` are read off the pilot between its settings, linearly in
log T and log r, and never beyond them. An estimate of :math:`B^2` below its own standard error is
set to the latter: what the pilot cannot resolve is not promised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from spikedrop.checks.arguments import real_number
from spikedrop.energy.planning.costs import DEVICE, Unit, check_unit, cost_tables
from spikedrop.energy.planning.pilot import Pilot
from spikedrop.energy.planning.quantities import (
    FEWEST_DRAWS,
    Quantity,
    bias_square,
    check_quantity,
    sampling_squares,
)
from spikedrop.errors import InputError

FINE = (60, 40)  # steps and rates between the pilot's, at most
TAIL = 3  # sizes of groups that set the 1/S tail of the sampling error
GROUPS = 16  # fewest groups that a size is measured on


@dataclass(frozen=True, eq=False)
class Tradeoff:
    """Errors and costs between the settings of a pilot, for one quantity and one unit.

    Attributes
    ----------
    quantity, unit, device : str
    steps, rates_hz : numpy.ndarray
        Of the pilot's settings.
    bias, spread : numpy.ndarray
        Squared conversion error in predictive variances, and variance of SNN draws over that of
        ANN draws; axes (steps, rate).
    once, draw : numpy.ndarray
        Cost of what the draws share and of each; axes (end, steps, rate), see `cost_tables`.
    sizes, sampling : numpy.ndarray
        Numbers of draws, and the squared sampling error of the ANN with so many, in predictive
        variances.
    """

    quantity: Quantity
    unit: Unit
    device: str
    steps: np.ndarray
    rates_hz: np.ndarray
    bias: np.ndarray
    spread: np.ndarray
    once: np.ndarray
    draw: np.ndarray
    sizes: np.ndarray
    sampling: np.ndarray

    @property
    def fewest(self) -> int:
        """Draws that the quantity takes at least."""
        return FEWEST_DRAWS[self.quantity]

    @property
    def smallest_budget(self) -> float:
        """What the fewest draws cost at the cheapest setting."""
        return float((self.once + self.fewest * self.draw)[1].min())

    def sampling_square(self, draws: np.ndarray) -> np.ndarray:
        """Squared sampling error of so many ANN draws: measured, and 1/S beyond the measured."""
        top = self.sizes[-TAIL:]
        constant = (top * self.sampling[-TAIL:]).mean()
        measured = np.interp(np.log(draws), np.log(self.sizes), np.log(self.sampling))
        return np.where(draws >= top[0], constant / draws, np.exp(measured))

    def spend(
        self, budget: float, steps: ArrayLike | None = None, rates_hz: ArrayLike | None = None
    ) -> pd.DataFrame:
        """Draw as often as the budget allows, at every one of the settings.

        Parameters
        ----------
        budget : float
            For one prediction. In joules the upper end of the cost keeps to it.
        steps, rates_hz : sequences, optional
            Settings to cross, within the pilot's; by default many between them.

        Returns
        -------
        pandas.DataFrame
            One row per setting that the budget can pay: ``steps``, ``rate (Hz)``, ``draws``,
            ``error``, its parts ``conversion`` and ``sampling`` (in predictive sd; their squares
            add up), ``cost`` and ``cost, low`` in the unit of the budget.
        """
        if steps is None:
            steps = _between(self.steps, FINE[0]).round()
        if rates_hz is None:
            rates_hz = _between(self.rates_hz, FINE[1])
        steps, rates_hz = np.unique(steps).astype(float), np.unique(rates_hz).astype(float)
        for name, asked, known in (
            ("steps", steps, self.steps),
            ("rates_hz", rates_hz, self.rates_hz),
        ):
            if asked.min() < known[0] * (1 - 1e-9) or asked.max() > known[-1] * (1 + 1e-9):
                raise InputError(
                    f"{name} from {asked.min():g} to {asked.max():g}: the pilot looked from "
                    f"{known[0]:g} to {known[-1]:g}."
                )
        bias, spread = (np.exp(self._read(np.log(part), steps, rates_hz, np.log)) for part in (
            self.bias, self.spread))  # fmt: skip
        once, draw = (
            np.stack([self._read(end, steps, rates_hz, np.asarray) for end in part])
            for part in (self.once, self.draw)
        )
        draws = np.floor((budget - once[1]) / draw[1] * (1 + 1e-12))
        t, rate = np.meshgrid(steps, rates_hz, indexing="ij")
        sampling = spread * self.sampling_square(np.maximum(draws, self.fewest))
        low, high = once + draws * draw
        table = {
            "steps": t.astype(int),
            "rate (Hz)": rate,
            "draws": draws.astype(int),
            "error": np.sqrt(bias + sampling),
            "conversion": np.sqrt(bias),
            "sampling": np.sqrt(sampling),
            "cost": high,
            "cost, low": low,
        }
        cells = pd.DataFrame({name: values.ravel() for name, values in table.items()})
        return cells[cells["draws"] >= self.fewest].reset_index(drop=True)

    def cost(self, steps: int, rate_hz: float, draws: int) -> tuple[float, float]:
        """Cost of one prediction at a setting within the pilot's: lower and upper end."""
        here = np.array([float(steps)]), np.array([float(rate_hz)])
        once, draw = (
            [self._read(end, *here, np.asarray).item() for end in part]
            for part in (self.once, self.draw)
        )
        return tuple(a + draws * b for a, b in zip(once, draw, strict=True))

    def best(self, budget: float) -> pd.Series:
        """Return the row of `spend` with the least error.

        Raises
        ------
        InputError
            If the budget is not positive and finite, or pays no setting.
        """
        check_budget(budget)
        if budget < self.smallest_budget:
            raise too_small(budget, self.unit, self.smallest_budget, self.fewest, self.quantity)
        cells = self.spend(budget)
        return cells.loc[cells["error"].idxmin()]

    def _read(
        self,
        table: np.ndarray,
        steps: np.ndarray,
        rates_hz: np.ndarray,
        axis: Callable[[np.ndarray], np.ndarray],
    ) -> np.ndarray:
        """Interpolate between the pilot's settings, linearly in `axis` of steps and rate."""
        along = [np.interp(axis(rates_hz), axis(self.rates_hz), row) for row in table]
        columns = np.stack(along, axis=1)
        return np.stack([np.interp(axis(steps), axis(self.steps), c) for c in columns], axis=1)


def _between(known: np.ndarray, number: int) -> np.ndarray:
    """So many values between the first and the last known, and the known ones themselves."""
    if len(known) < 2:
        return known
    between = np.geomspace(known[0], known[-1], number)[1:-1]
    return np.concatenate([known, between])


def trade_off(
    pilot: Pilot,
    *,
    quantity: Quantity = "mean",
    unit: Unit = "joules",
    device: str = DEVICE,
    seconds_per_step: float | None = None,
) -> Tradeoff:
    """Read a pilot for one quantity and one unit.

    Parameters
    ----------
    pilot : Pilot
        From `spikedrop.energy.planning.run_pilot`.
    quantity, unit, device, seconds_per_step : see `spikedrop.energy.planning.plan_budget`

    Returns
    -------
    Tradeoff
        Errors and costs at the pilot's settings, from which any budget is planned.

    Raises
    ------
    InputError
        If a name is unknown, the pilot has no observations for the CRPS, or `seconds_per_step`
        cannot be used.

    Examples
    --------
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.energy.planning.pilot import run_pilot
    >>> small = {"steps": (10, 40), "rates_hz": (250,), "draws": 16, "ann_draws": 64}
    >>> pilot = run_pilot(network, [[1.0]], [[1.0], [2.0]], seed=0, **small)
    >>> found = trade_off(pilot, unit="operations")
    >>> found.unit, bool(found.smallest_budget > 0)
    ('operations', True)
    """
    check_quantity(quantity, pilot.y)
    check_unit(unit, device, seconds_per_step)
    bias, spread = [], []
    for setting in pilot.settings:
        snn = pilot.snn[setting]
        ann = pilot.ann[: len(snn)]
        square, error = bias_square(ann, snn, quantity, pilot.y)
        bias.append(max(square, error, 1e-12))
        spread.append((snn.var(axis=0, ddof=1) / ann.var(axis=0, ddof=1)).mean())
    shape = (len(pilot.steps), len(pilot.rates_hz))
    once, draw = cost_tables(pilot, unit, device, seconds_per_step)
    most = max(len(pilot.ann) // GROUPS, 2 * FEWEST_DRAWS[quantity])
    sizes = FEWEST_DRAWS[quantity] * 2 ** np.arange(int(np.log2(most)) + 1)
    sizes = sizes[sizes <= most]
    return Tradeoff(
        quantity,
        unit,
        device,
        np.array(pilot.steps, float),
        np.array(pilot.rates_hz),
        np.reshape(bias, shape),
        np.maximum(np.reshape(spread, shape), 1e-12),  # a network too coarse to vary at all
        once,
        draw,
        sizes,
        sampling_squares(pilot.ann, quantity, pilot.y, sizes),
    )


def check_budget(budget: float) -> None:
    """Refuse a budget that is not a positive, finite number."""
    real_number("budget", budget, above=0)


def too_small(
    budget: float, unit: Unit, smallest: float, fewest: int, quantity: Quantity
) -> InputError:
    """Say how small is too small."""
    needed = "one draw" if fewest == 1 else f"{fewest} draws, the fewest that give quantity="
    needed += "" if fewest == 1 else repr(quantity)
    return InputError(
        f"budget={budget:g} {unit} is too small for {needed}: at the cheapest setting looked at "
        f"it takes {smallest:.3g} {unit}. Raise the budget, or allow fewer steps or a lower rate."
    )
