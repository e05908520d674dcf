"""Permanent-dropout samples of the spiking network, on any backend."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Literal

import numpy as np
import xarray as xr

from spikedrop.checks.accepted import Inputs
from spikedrop.checks.arguments import of_type, one_of, whole_number
from spikedrop.conversion import Conversion
from spikedrop.engines.backends import Presentation, Ran, backend_of
from spikedrop.engines.capabilities import refusal
from spikedrop.engines.compiled import chunks
from spikedrop.engines.saturation import REMEDY
from spikedrop.errors import InputError
from spikedrop.masks import BLOCK_ROWS, Scope
from spikedrop.network.graph import Network
from spikedrop.network.inputs import check_inputs
from spikedrop.sampling.checks import check_job
from spikedrop.sampling.sampler import Pieces, Sampler, collect, one_by_one

Hold = Literal["presentation", "step"]


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
    backend: str = "engine",
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
        spread shrinks (`spikedrop.study.redrawn.spikes_seen`). Time steps as draws are another
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
    if redrawn and backend == "engine":
        backend = "numpy"  # the control runs there, the only backend that offers it
    check_presentation(network, conversion, steps, settle, redrawn, backend)
    attrs = {
        "seed": seed,
        "scope": scope,
        "hold": hold if isinstance(hold, str) else str(dict(hold)),
        "backend": backend,
        "steps": steps,
        "settle": settle,
        **asdict(conversion),
        "scales_hz": tuple(float(np.mean(scale)) for scale in conversion.scales_hz),
    }
    asked = Presentation(network, conversion, steps, settle, min(len(x), BLOCK_ROWS))
    with snn_sampler(asked, seed, scope, backend, memory_gb, redrawn) as sampler:
        samples, filled = collect("snn", sampler, x, numbers, progress=progress, attrs=attrs)
    filled.saturation.warn(REMEDY)
    return samples.assign_attrs(
        spikes_per_presentation=filled.spikes / (len(numbers) * len(x)),
        saturated=filled.saturation.means(),
    )


@contextmanager
def snn_sampler(
    asked: Presentation,
    seed: int,
    scope: Scope,
    backend: str,
    memory_gb: float,
    redrawn: Collection[str] = (),
) -> Iterator[Sampler[Ran]]:
    """Open the spiking network on a backend; settings as checked by `check_presentation`."""
    used = backend_of(backend)
    used.require()
    cut: Callable[[int, range], Pieces] = one_by_one
    if used.stacks:
        timed = not asked.conversion.windowed
        cut = partial(chunks, asked.network, memory_gb=memory_gb, timed=timed)
    with used.open(asked) as run:
        yield Sampler(asked.network, seed, scope, cut, run, used.name, tuple(redrawn), asked.steps)


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
    backend_of(backend)
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
    if why := refusal(backend_of(backend).program(conversion), network, conversion, redrawn):
        raise InputError(why)
    if conversion.windowed and settle:
        raise InputError(
            f"settle={settle}: neuron {conversion.neuron!r} integrates a whole window before it "
            "fires and has nothing to settle; leave settle out."
        )
    conversion.dynamics.check_steps(steps)
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
