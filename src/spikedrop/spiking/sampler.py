"""Permanent-dropout samples of the spiking network, on any backend."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import partial
from typing import Literal

import numpy as np
import xarray as xr

from spikedrop.errors import InputError
from spikedrop.masks import BLOCK_ROWS, Scope, network_masks
from spikedrop.network import Network
from spikedrop.samples import check_inputs, collect, rows_of_masks
from spikedrop.spiking.conversion import Conversion
from spikedrop.spiking.reference import Masks, simulate

Backend = Literal["numpy", "nengo", "nengo_dl"]
Hold = Literal["presentation", "step"]
Simulator = Callable[[np.ndarray, Masks], tuple[np.ndarray, list[np.ndarray]]]


def make_simulator(
    network: Network, conversion: Conversion, *, rows: int, steps: int, settle: int, backend: str
) -> AbstractContextManager[Simulator]:
    """Open ``simulator(x, masks) -> (readout, spike counts)`` for blocks of at most `rows`.

    `masks` as in `network_masks`; readout (observation, output); counts a list over hidden
    layers, each (observation, unit).
    """
    if backend == "numpy":
        return nullcontext(partial(simulate, network, conversion, steps=steps, settle=settle))
    from spikedrop.backends import simulators  # Nengo is needed from here on, not before

    if backend == "nengo":
        return simulators.nengo_simulator(network, conversion, steps=steps, settle=settle)
    return simulators.nengo_dl_simulator(network, conversion, rows=rows, steps=steps, settle=settle)


def sample_snn(
    network: Network,
    conversion: Conversion,
    x: np.ndarray,
    *,
    draws: int,
    seed: int,
    steps: int = 200,
    settle: int | None = None,
    scope: Scope = "draw",
    hold: Hold = "presentation",
    backend: Backend = "numpy",
    first_draw: int = 0,
    progress: bool | None = None,
) -> xr.DataArray:
    """Sample the predictive distribution of the spiking network.

    Every draw freezes its masks, presents every input for `steps` time steps from the same
    initial charge, and averages the readout. With the seed of `sample_ann` the masks are the
    same, and the two sample sets are paired.

    Parameters
    ----------
    network : Network
    conversion : Conversion
        From `calibrate`.
    x : array
        Axes (observation, input).
    draws, seed, scope, first_draw, progress : see `sample_ann`
    steps : int
        Time steps of `conversion.dt` seconds a presentation; the error falls as 1/steps for
        charge-keeping neurons.
    settle : int, optional
        First steps left out of the average, while deeper layers find their rates and synapses
        fill; by default a fifth of `steps`.
    hold : {"presentation", "step"}
        ``step`` redraws the masks at every time step. It is wrong, and kept as a control: the
        masks average out and the spread shrinks as one over the square root of `steps`.
    backend : {"numpy", "nengo", "nengo_dl"}
        The same dynamics in NumPy, on Nengo (one presentation at a time) or on NengoDL.

    Returns
    -------
    xarray.DataArray
        float32, axes (draw, observation, output); ``attrs["spikes_per_presentation"]`` is the
        mean number of hidden spikes.

    Raises
    ------
    InputError
        If `x`, `steps`, `settle` or a name is not usable, or the conversion belongs to a network
        of another depth.

    Examples
    --------
    >>> from spikedrop.network import Layer
    >>> from spikedrop.spiking.conversion import calibrate
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> conversion = calibrate(network, [[1.0]], rate_hz=100)
    >>> samples = sample_snn(network, conversion, [[1.0]], draws=20, seed=0, steps=100)
    >>> sorted(set(samples.values.ravel().tolist()))
    [0.0, 4.0]
    """
    x = check_inputs(network, x, draws, scope)
    settle = steps // 5 if settle is None else settle
    if steps < 1 or not 0 <= settle < steps:
        raise InputError(
            f"steps={steps} and settle={settle}: present at least one step after settling."
        )
    if backend not in ("numpy", "nengo", "nengo_dl"):
        raise InputError(f"backend={backend!r}; use 'numpy', 'nengo' or 'nengo_dl'.")
    if hold not in ("presentation", "step"):
        raise InputError(f"hold={hold!r}; use 'presentation', or 'step' for the control.")
    if hold == "step" and backend != "numpy":
        raise InputError("hold='step' is a control that only backend='numpy' offers.")
    if len(conversion.scales_hz) != len(network.hidden):
        raise InputError(
            f"the conversion has {len(conversion.scales_hz)} firing-rate scales and the network "
            f"{len(network.hidden)} hidden layers: calibrate it on this network."
        )
    spikes = 0.0

    def one_block(draw: int, rows: range) -> np.ndarray:
        nonlocal spikes
        which = rows_of_masks(scope, rows)
        masks: Masks | Callable[[int], Masks] = network_masks(network, seed, draw, which)
        if hold == "step":
            masks = partial(network_masks, network, seed, draw, which)
        readout, counts = simulator(x[rows.start : rows.stop], masks)
        spikes += float(sum(count.sum(dtype=np.float64) for count in counts))
        return readout

    block = min(len(x), BLOCK_ROWS)
    with make_simulator(
        network, conversion, rows=block, steps=steps, settle=settle, backend=backend
    ) as simulator:
        samples = collect(
            "snn",
            one_block,
            n_observations=len(x),
            n_outputs=network.n_outputs,
            draws=range(first_draw, first_draw + draws),
            progress=progress,
            attrs={
                "seed": seed,
                "scope": scope,
                "hold": hold,
                "backend": backend,
                "steps": steps,
                "settle": settle,
                **asdict(conversion),
            },
        )
    return samples.assign_attrs(spikes_per_presentation=spikes / (draws * len(x)))
