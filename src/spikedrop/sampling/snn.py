"""Permanent-dropout samples of the spiking network, on any backend."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr

from spikedrop.checks.accepted import Inputs
from spikedrop.checks.arguments import of_type, one_of, whole_number
from spikedrop.conversion import MAX_RADIX_STEPS, Conversion
from spikedrop.engines.compiled import chunks, load, run_snn
from spikedrop.engines.reference import simulate
from spikedrop.engines.registry import Simulator, program_of, refusal
from spikedrop.engines.saturation import REMEDY, Saturation, Shares
from spikedrop.errors import InputError
from spikedrop.masks import BLOCK_ROWS, Scope, blocks, network_masks, stacked_masks
from spikedrop.network.graph import Network
from spikedrop.network.inputs import check_inputs
from spikedrop.sampling.samples import check_job, collect, rows_of_masks

Backend = Literal["engine", "numpy", "nengo", "nengo_dl"]
BACKENDS: tuple[Backend, ...] = ("engine", "numpy", "nengo", "nengo_dl")
Hold = Literal["presentation", "step"]


def make_simulator(
    network: Network,
    conversion: Conversion,
    *,
    rows: int,
    steps: int,
    settle: int,
    backend: str,
    shares: Shares | None = None,
) -> AbstractContextManager[Simulator]:
    """Open ``simulator(x, masks) -> (readout, spike counts)`` for blocks of at most `rows`.

    `masks` as in `network_masks`; readout (observation, output); counts a list over hidden
    layers, each (observation, unit). `shares`, if given, receives at every call the share of each
    layer's neurons that are driven beyond full scale; see `spikedrop.engines.saturation`.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.conversion import calibrate
    >>> conversion = calibrate(network, [[1.0]], rate_hz=500)
    >>> setting = {"rows": 1, "steps": 100, "settle": 0, "backend": "numpy"}
    >>> with make_simulator(network, conversion, **setting) as simulator:
    ...     readout, counts = simulator(np.ones((1, 1), "float32"), {"h": 2 * one})
    >>> readout.round(3).tolist(), counts[0].tolist()  # 500 Hz for 0.1 s; 2, doubled by the mask
    ([[4.0]], [[50.0]])
    """
    if backend == "engine":
        loaded = load(network, conversion)

        def one_draw(
            x: np.ndarray, masks: dict[str, np.ndarray]
        ) -> tuple[np.ndarray, list[np.ndarray]]:
            stacked = {name: mask[None] for name, mask in masks.items()}
            readout, _, counts = run_snn(
                loaded, x, stacked, 1, steps=steps, settle=settle, shares=shares
            )
            return readout[0], [count[0] for count in counts]

        return nullcontext(one_draw)
    if backend == "numpy":
        return nullcontext(
            partial(simulate, network, conversion, steps=steps, settle=settle, shares=shares)
        )
    from spikedrop.engines import (
        nengo_model as simulators,  # Nengo is needed from here on, not before
    )

    setting: dict[str, Any] = {"steps": steps, "settle": settle, "shares": shares}
    if backend == "nengo":
        return simulators.nengo_simulator(network, conversion, **setting)
    return simulators.nengo_dl_simulator(network, conversion, rows=rows, **setting)


def sample_snn(
    network: Network,
    conversion: Conversion,
    x: Inputs,
    *,
    draws: int,
    seed: int,
    steps: int = 200,
    settle: int | None = None,
    scope: Scope = "draw",
    hold: Hold | Mapping[str, Hold] = "presentation",
    backend: Backend = "engine",
    first_draw: int = 0,
    memory_gb: float = 1.0,
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
    x : array, or a mapping or sequence of arrays
        As for `sample_ann`.
    draws, seed, scope, first_draw, memory_gb, progress : see `sample_ann`
    steps : int
        Time steps of `conversion.dt` seconds per presentation; the error falls as 1/steps for
        charge-keeping neurons, and faster with ``readout="parabola"``. For neurons that integrate
        first, the steps of one window; the error falls as 1/steps, for ``radix`` as 2**-steps.
    settle : int, optional
        First steps left out of the average, while deeper layers find their rates and synapses
        fill; by default `Conversion.settle`, a fifth of `steps` for most conversions.
    hold : {"presentation", "step"}, or a mapping
        ``step`` redraws the masks at every time step. For the samples of the artificial network
        with permanent dropout that is wrong, and kept as a control: the masks average out, and the
        spread shrinks (`spikedrop.study.fidelity.spikes_seen`). Time steps as draws are another
        method, for networks trained on spikes (AOT-SNN, arXiv:2304.10191, arXiv:2412.00278). A
        mapping from names of layers redraws the masks of some: ``{"dense_2": "step"}``.
    backend : {"engine", "numpy", "nengo", "nengo_dl"}
        The same dynamics: compiled, many draws at a time; in plain NumPy, to be read; on Nengo,
        one presentation at a time; on NengoDL. For neurons that integrate first the last two
        simulate every window, as many as the network is deep and one more.

    Returns
    -------
    xarray.DataArray
        float32, axes (draw, observation, output); ``attrs["spikes_per_presentation"]`` is the
        mean number of hidden spikes, ``attrs["saturated"]`` the share of neurons and presentations
        beyond full scale, one number per hidden layer in order: 0 for neurons that may fire
        several times in a step.

    Raises
    ------
    InputError
        If `x`, `steps`, `settle` or a name is not usable, or the conversion belongs to a network
        of another depth.
    NotFiniteError
        If a sample is NaN or infinite.

    Warns
    -----
    SaturationWarning
        If neurons are driven beyond full scale, so that samples are visibly off.

    Examples
    --------
    >>> from spikedrop.network.graph import Layer
    >>> from spikedrop.conversion import calibrate
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> conversion = calibrate(network, [[1.0]], rate_hz=100)
    >>> samples = sample_snn(network, conversion, [[1.0]], draws=20, seed=0, steps=100)
    >>> sorted(set(samples.values.ravel().tolist()))
    [0.0, 4.0]
    """
    seed, numbers = check_job(
        network,
        draws=draws,
        seed=seed,
        scope=scope,
        first_draw=first_draw,
        memory_gb=memory_gb,
        progress=progress,
    )
    steps, settle = timing_of(conversion, steps, settle, backend)
    x = check_inputs(network, x)
    redrawn = _redrawn(network, hold)
    check_presentation(network, conversion, steps, settle, redrawn, backend)
    shares: Shares = {}
    spikes, saturation = 0.0, Saturation(network, range(len(x)))

    def count_spikes(counts: list[np.ndarray]) -> None:
        nonlocal spikes
        spikes += float(sum(count.sum(dtype=np.float64) for count in counts))

    def with_engine(some: range, rows: range) -> np.ndarray:
        masks = stacked_masks(network, seed, some, rows_of_masks(scope, rows))
        shown = x[rows.start : rows.stop]
        readout, fired, _ = run_snn(
            loaded,
            shown,
            masks,
            len(some),
            steps=steps,
            settle=settle,
            keep_counts=False,
            shares=shares,
        )
        count_spikes([fired])
        saturation.add(shares, len(some), rows)
        return readout

    def one_draw(some: range, rows: range) -> np.ndarray:
        which = rows_of_masks(scope, rows)
        masks = network_masks(network, seed, some.start, which)
        if redrawn:
            every = [network_masks(network, seed, some.start, which, t) for t in range(steps)]
            masks |= {name: np.stack([masks[name] for masks in every]) for name in redrawn}
        readout, counts = simulator(x[rows.start : rows.stop], masks)
        count_spikes(counts)
        saturation.add(shares, 1, rows)
        return readout

    if backend == "engine" and not redrawn:
        predict, loaded = with_engine, load(network, conversion)
        opened: AbstractContextManager[Any] = nullcontext()
        timed = not conversion.windowed
        cut = list(chunks(network, len(x), numbers, memory_gb, timed=timed))
    else:  # the control runs in NumPy, the only backend that offers it
        backend = "numpy" if redrawn else backend
        predict = one_draw
        block = min(len(x), BLOCK_ROWS)
        opened = make_simulator(
            network,
            conversion,
            rows=block,
            steps=steps,
            settle=settle,
            backend=backend,
            shares=shares,
        )
        cut = [(range(d, d + 1), rows) for d in numbers for rows in blocks(len(x))]
    with opened as simulator:
        samples = collect(
            "snn",
            predict,
            cut,
            n_observations=len(x),
            n_outputs=network.n_outputs,
            draws=numbers,
            progress=progress,
            attrs={
                "seed": seed,
                "scope": scope,
                "hold": hold if isinstance(hold, str) else str(dict(hold)),
                "backend": backend,
                "steps": steps,
                "settle": settle,
                **asdict(conversion),
                "scales_hz": tuple(float(np.mean(scale)) for scale in conversion.scales_hz),
            },
        )
    saturation.warn(REMEDY)
    return samples.assign_attrs(
        spikes_per_presentation=spikes / (len(numbers) * len(x)), saturated=saturation.means()
    )


def _redrawn(network: Network, hold: Hold | Mapping[str, Hold]) -> list[str]:
    """Names of the layers whose masks are redrawn at every step, after checks."""
    named = hold if isinstance(hold, Mapping) else dict.fromkeys(network.dropout_rates, hold)
    for value in named.values() if isinstance(hold, Mapping) else (hold,):
        one_of("hold", value, ("presentation", "step"))
    unknown = set(named).difference(network.dropout_rates)
    if unknown:
        raise InputError(
            f"hold names {sorted(unknown)}; layers with dropout are {list(network.dropout_rates)}."
        )
    return [name for name, value in named.items() if value == "step"]


def timing_of(
    conversion: Conversion, steps: int, settle: int | None, backend: str = "engine"
) -> tuple[int, int]:
    """Return the steps of a presentation and those left out of the average.

    By default these are `Conversion.settle`.
    """
    of_type("conversion", conversion, Conversion, "`calibrate`")
    one_of("backend", backend, BACKENDS)
    steps = whole_number("steps", steps, least=1)
    if settle is None:
        return steps, conversion.settle(steps)
    return steps, whole_number("settle", settle)


def check_presentation(
    network: Network,
    conversion: Conversion,
    steps: int,
    settle: int,
    redrawn: Collection[str] = (),
    backend: str = "engine",
) -> None:
    """Refuse what cannot be run, before any work is done; `redrawn` names layers."""
    if steps < 1 or not 0 <= settle < steps:
        raise InputError(
            f"steps={steps} and settle={settle}: present at least one step after settling."
        )
    if backend not in BACKENDS:
        raise InputError(f"backend={backend!r}; use {', '.join(map(repr, BACKENDS))}.")
    # the control runs in NumPy
    runs = "numpy" if redrawn and backend == "engine" else backend
    if why := refusal(program_of(runs, conversion), network, conversion, redrawn):
        raise InputError(why)
    if conversion.windowed and settle:
        raise InputError(
            f"settle={settle}: neuron {conversion.neuron!r} integrates a whole window before it "
            "fires and has nothing to settle; leave settle out."
        )
    if conversion.neuron == "radix" and steps > MAX_RADIX_STEPS:
        raise InputError(
            f"steps={steps}: a radix neuron sends one binary digit a step, and more than "
            f"{MAX_RADIX_STEPS} are beyond float32; 8 to 12 are usual."
        )
    if len(conversion.scales_hz) != len(network.hidden):
        raise InputError(
            f"the conversion has {len(conversion.scales_hz)} firing-rate scales and the network "
            f"{len(network.hidden)} hidden layers: calibrate it on this network."
        )
    for layer, scale in zip(network.hidden, conversion.scales_hz, strict=True):
        shape = network.shapes[layer.name]
        if np.shape(scale) not in ((), shape):
            raise InputError(
                f"layer {layer.name!r} has values of shape {shape} and firing-rate scales of shape "
                f"{np.shape(scale)}: give one number, or one for each unit."
            )
