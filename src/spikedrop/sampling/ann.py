"""Permanent-dropout samples of the classical network (MC dropout)."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from spikedrop.checks.accepted import Inputs
from spikedrop.engines.backends import Masks, Ran
from spikedrop.engines.compiled import chunks, load, run_ann
from spikedrop.masks import Scope, blocks
from spikedrop.network.graph import Network
from spikedrop.network.inputs import check_inputs, check_network
from spikedrop.sampling.checks import check_job
from spikedrop.sampling.sampler import Sampler, collect


def predict(network: Network, x: Inputs) -> np.ndarray:
    """Return the plain network without dropout: axes (observation, output).

    Parameters
    ----------
    network : Network
    x : array
        Axes (observation, feature); see `sample_ann`.

    Returns
    -------
    numpy.ndarray
        float32, axes (observation, output).

    Examples
    --------
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> predict(network, [[1.0], [2.0]]).tolist()  # without dropout, h is x + 1
    [[2.0], [3.0]]
    """
    check_network(network)
    x = check_inputs(network, x)
    loaded = load(network)
    return np.concatenate([run_ann(loaded, x[r.start : r.stop], {}, 1)[0] for r in blocks(len(x))])


def sample_ann(
    network: Network,
    x: Inputs,
    *,
    draws: int,
    seed: int,
    scope: Scope = "draw",
    first_draw: int = 0,
    memory_gb: float = 1.0,
    progress: bool | None = None,
) -> xr.DataArray:
    r"""Sample the predictive distribution of the classical network.

    Draw s is :math:`y^{(s)} = f(x; m^{(s)})`, dropout left on (Gal & Ghahramani 2016,
    arXiv:1506.02142). What lies before the first mask is computed once per input and shared by
    all draws; the rest runs compiled, many draws at a time (`spikedrop.engines.compiled`).

    Parameters
    ----------
    network : Network
    x : array, or a mapping or sequence of arrays
        Axes ``(observation, *shape of the input)``; with several inputs one array for each, by name
        or in order.
    draws : int
        Monte-Carlo samples, at least 1.
    seed : int
        Of the masks; the same seed gives `sample_snn` the same masks.
    scope : {"draw", "row"}
        ``draw``: one mask for all observations of a draw, so a draw is a function and the
        samples are joint over observations. ``row``: a mask per draw and observation, as
        Keras does. Both have the same distribution at each single observation.
    first_draw : int
        Number of the first draw; draws 0-49 and 50-99 together equal draws 0-99.
    memory_gb : float
        What a chunk of the work may take, in gigabytes, besides the samples themselves.
    progress : bool, optional
        Show a bar; by default where a terminal watches.

    Returns
    -------
    xarray.DataArray
        float32, axes (draw, observation, output). Heads are applied: probabilities where the
        network ends in a softmax. Several outputs stand side by side on the last axis.

    Raises
    ------
    InputError
        If an argument cannot be used, or `x` has the wrong shape or NaN.

    Examples
    --------
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> samples = sample_ann(network, [[1.0]], draws=1000, seed=0)
    >>> sorted(set(samples.values.ravel().tolist()))  # either silent, or 2 x (1 + 1)
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
    x = check_inputs(network, x)
    sampler = ann_sampler(network, seed, scope, memory_gb)
    attrs: dict[str, object] = {"seed": seed, "scope": scope}
    return collect("ann", sampler, x, numbers, progress=progress, attrs=attrs)[0]


def ann_sampler(network: Network, seed: int, scope: Scope, memory_gb: float) -> Sampler[Ran]:
    """Open the classical network on the compiled engine."""
    loaded = load(network)

    def run(x: np.ndarray, masks: Masks, draws: range) -> Ran:
        return Ran(run_ann(loaded, x, masks, len(draws)))

    cut = partial(chunks, network, memory_gb=memory_gb, timed=False)
    return Sampler(network, seed, scope, cut, run)
