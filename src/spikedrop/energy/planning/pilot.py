"""A few draws at a few settings, from which the errors and costs of all others are read off."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from spikedrop.checks.accepted import Inputs
from spikedrop.checks.arguments import real_number, whole_number
from spikedrop.checks.samples import as_samples
from spikedrop.comparison.draws import predictive_sd
from spikedrop.conversion import calibrate
from spikedrop.energy import Operations, count_operations
from spikedrop.engines.backends import backend_for
from spikedrop.errors import InputError
from spikedrop.masks import Scope
from spikedrop.network.graph import Network
from spikedrop.network.inputs import check_inputs, check_network
from spikedrop.neurons import neuron_of
from spikedrop.sampling.ann import sample_ann
from spikedrop.sampling.checks import check_draws
from spikedrop.sampling.snn import sample_snn

RATES_HZ = (62.5, 125.0, 250.0, 500.0, 1000.0)
COUNTED_DRAWS = 4  # operations vary little from draw to draw

Setting = tuple[int, float]  # time steps, firing rate in hertz


@dataclass(frozen=True, eq=False)
class Pilot:
    """What was measured; any quantity and any unit can be planned from it.

    Attributes
    ----------
    neuron : str
    steps : tuple of int
        Time steps of the settings, increasing.
    rates_hz : tuple of float
        Firing rates of the settings, increasing; crossed with `steps`.
    ann : numpy.ndarray
        Axes (draw, case), less the mean and over the sd of the ANN's draws.
    snn : dict
        By setting (steps, rate): axes (draw, case), in the same unit, with the masks of the first
        of the ANN's draws.
    y : numpy.ndarray or None
        Observations, axis (case,), in the same unit.
    operations : dict
        By setting, of one prediction.
    seconds : dict
        By setting, of one draw of one prediction on this machine's engine; many at a time.
    """

    neuron: str
    steps: tuple[int, ...]
    rates_hz: tuple[float, ...]
    ann: np.ndarray
    snn: dict[Setting, np.ndarray]
    y: np.ndarray | None
    operations: dict[Setting, Operations]
    seconds: dict[Setting, float]

    @property
    def settings(self) -> list[Setting]:
        """Every (steps, rate), steps first."""
        return crossed(self.steps, self.rates_hz)


def crossed(steps: Sequence[int], rates_hz: Sequence[float]) -> list[Setting]:
    """Cross steps and rates."""
    return [(t, rate) for t in steps for rate in rates_hz]


def _numbers(name: str, values: object) -> tuple[float, ...]:
    """Return a sequence of finite numbers."""
    if not isinstance(values, Sequence | np.ndarray) or isinstance(values, str | bytes):
        raise InputError(f"{name}={values!r}; give one or more numbers, in increasing order.")
    return tuple(real_number(f"{name}[{i}]", value) for i, value in enumerate(values))


def settings_of(
    neuron: str, steps: Sequence[int] | None, rates_hz: Sequence[float] | None
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return the pilot's steps and rates, checked; by default those of the neuron."""
    known = neuron_of(neuron)
    if rates_hz is None:  # windows have one spike per step, or one bit: their steps set the spikes
        rates_hz = (500.0,) if known.windowed else RATES_HZ
    steps = _numbers("steps", known.pilot_steps if steps is None else steps)
    rates_hz = _numbers("rates_hz", rates_hz)
    for name, found in (("steps", steps), ("rates_hz", rates_hz)):
        if not found or not (np.isfinite(found).all() and np.all(np.diff(found) > 0)):
            raise InputError(f"{name}={found}: give one or more numbers, in increasing order.")
        if found[0] <= 0:
            raise InputError(f"{name}={found}: every one must be positive.")
    if any(t != int(t) for t in steps):
        raise InputError(f"steps={steps}: time steps are whole numbers.")
    known.check_steps(int(steps[-1]))
    return tuple(int(t) for t in steps), rates_hz


def run_pilot(
    network: Network,
    x_train: Inputs,
    x: Inputs,
    *,
    y: np.ndarray | None = None,
    seed: int,
    neuron: str = "charge_keeping",
    steps: Sequence[int] | None = None,
    rates_hz: Sequence[float] | None = None,
    draws: int = 64,
    ann_draws: int = 4096,
    progress: bool | None = None,
) -> Pilot:
    """Draw from both networks at the crossed settings, and count.

    Every presentation has masks of its own (scope ``row``), so that cases are independent, and a
    prediction bears all its mask bits; where single weights are dropped, a draw's mask is shared.

    Parameters
    ----------
    network, x_train, x : see `spikedrop.energy.planning.plan_budget`
    y : numpy.ndarray, optional
        Axes (observation[, output]); needed for the CRPS.
    seed : int
        Of the masks.
    neuron : str, default "charge_keeping"
    steps, rates_hz : sequences, optional
        Time steps and firing rates in hertz, increasing; by default the neuron's
        `pilot_steps` and `RATES_HZ`, and 500 Hz for neurons that integrate first.
    draws : int, default 64
        Of the SNN at every setting, at least 16.
    ann_draws : int, default 4096
        Of the ANN, at least 16 and `draws`.
    progress : see `spikedrop.sample_ann`

    Returns
    -------
    Pilot
        Draws, operations and seconds at every setting.

    Raises
    ------
    InputError
        If there is no dropout, a fixed set of masks, fewer than two rows, or a number that cannot
        be used.

    Examples
    --------
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> small = {"steps": (10, 40), "rates_hz": (250,), "draws": 16, "ann_draws": 64}
    >>> pilot = run_pilot(network, [[1.0]], [[1.0], [2.0]], seed=0, **small)
    >>> pilot.settings, pilot.ann.shape
    ([(10, 250.0), (40, 250.0)], (64, 2))
    """
    x = check_pilot(network, x, y, draws, ann_draws)
    steps, rates_hz = settings_of(neuron, steps, rates_hz)
    scope = scope_of(network)
    how: dict[str, Any] = {"seed": seed, "scope": scope, "progress": False}
    ann = sample_ann(network, x, draws=ann_draws, **how)
    pool = as_samples(ann, "ann", outputs="many").all()
    centre, sd = pool.mean(axis=0), predictive_sd(pool, "ann")
    snn, operations, seconds = {}, {}, {}
    hidden = None if progress is None else not progress
    for number, (t, rate) in enumerate(
        tqdm(crossed(steps, rates_hz), desc="pilot", unit=" settings", disable=hidden)
    ):
        conversion = calibrate(network, x_train, rate_hz=rate, neuron=neuron)
        operations[t, rate] = count_operations(
            network, conversion, x, draws=min(COUNTED_DRAWS, draws), seed=seed, steps=t, scope=scope
        )
        timing: dict[str, Any] = {"steps": t, "backend": backend_for(conversion)}
        for _ in range(2 if number == 0 else 1):  # the first run compiles
            start = time.perf_counter()
            samples = sample_snn(network, conversion, x, draws=draws, **timing, **how)
            seconds[t, rate] = (time.perf_counter() - start) / (draws * len(x))
        snn[t, rate] = (as_samples(samples, "snn", outputs="many").all() - centre) / sd
    observed = None if y is None else (np.asarray(y, float).ravel() - centre) / sd
    return Pilot(
        neuron, steps, rates_hz, (pool - centre) / sd, snn, observed, operations, seconds
    )  # fmt: skip


def scope_of(network: Network) -> Scope:
    """Return the scope of the pilot's masks: ``row`` wherever it is offered."""
    weights = any(layer.dropout and layer.family == "weights" for layer in network.layers)
    return "draw" if weights else "row"


def check_pilot(network: Network, x: object, y: object, draws: int, ann_draws: int) -> np.ndarray:
    """Refuse what no pilot can be run on; return the checked inputs."""
    check_network(network)
    whole_number("draws", draws, least=1)
    whole_number("ann_draws", ann_draws, least=1)
    if not network.dropout_rates:
        raise InputError("the network has no dropout: all draws are the same, and one is enough.")
    if network.stored_masks is not None:
        raise InputError(
            f"the network has {network.stored_masks} stored masks, so more draws repeat them: plan "
            "for masks of their own (stored_masks=None), and store as many as the plan has draws."
        )
    x = check_inputs(network, x)
    check_draws(network, draws, scope_of(network))
    if len(x) < 2:
        raise InputError("x has one row; the pilot takes means over rows: give about a hundred.")
    if draws < 16 or not ann_draws >= draws:
        raise InputError(
            f"pilot draws={draws} and ann_draws={ann_draws}: at least 16, and as many of the ANN."
        )
    if y is not None:
        try:
            values, shape = np.asarray(y, float), (len(x), network.n_outputs)
        except (TypeError, ValueError):
            raise InputError("y: give what was observed, numbers, as an array.") from None
        if values.shape != shape and (shape[1] != 1 or values.shape != shape[:1]):
            raise InputError(f"y has shape {values.shape}; expected {shape}.")
        if not np.isfinite(values).all():
            raise InputError("y holds NaN or infinite values: leave those rows out.")
    return x
