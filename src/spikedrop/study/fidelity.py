"""How faithful a conversion is, setting by setting: neuron, synapse, rate, steps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from spikedrop.checks.arguments import whole_number
from spikedrop.comparison import paired_error
from spikedrop.conversion import Conversion, calibrate
from spikedrop.engines.backends import Masks, Presentation, backend_of
from spikedrop.engines.reference import simulate
from spikedrop.masks import network_masks
from spikedrop.network.graph import Network
from spikedrop.network.inputs import check_inputs
from spikedrop.network.layers import Layer
from spikedrop.sampling.ann import sample_ann
from spikedrop.sampling.checks import check_draws
from spikedrop.sampling.neuron_scales import allocate
from spikedrop.sampling.sampler import Sampler, draw_by_draw, first
from spikedrop.sampling.snn import sample_snn
from spikedrop.study.rounded import forward_rounded

__all__ = [
    "accuracy_per_spike",
    "agreement_table",
    "fidelity_table",
    "rounding_gap",
]

#: What the book compares: Nengo's neuron without and with a synapse, and the charge-keeping one.
SETTINGS: tuple[tuple[str, float | None], ...] = (
    ("rectified", None),
    ("rectified", 0.005),
    ("charge_keeping", None),
)


def _setting_name(neuron: str, synapse_s: float | None, rate_hz: float) -> str:
    """Name a setting for a table or a legend.

    >>> _setting_name("rectified", 0.005, 100)
    'rectified, 5 ms, 100 Hz'
    """
    synapse = "none" if synapse_s is None else f"{synapse_s * 1e3:g} ms"
    return f"{neuron.replace('_', '-')}, {synapse}, {rate_hz:g} Hz"


def fidelity_table(
    network: Network,
    x_train: np.ndarray,
    x: np.ndarray,
    *,
    draws: int,
    seed: int,
    rates_hz: Sequence[float] = (100, 500),
    steps: Sequence[int] = (50, 200),
    settings: Sequence[tuple[str, float | None]] = SETTINGS,
) -> pd.DataFrame:
    """Paired error of every setting, against ANN draws with the same masks.

    The first fifth of the steps is left out of every average, as `sample_snn` does by default.

    Parameters
    ----------
    network : Network
    x_train : numpy.ndarray
        Rows that set the firing-rate scales, axes (row, input).
    x : numpy.ndarray
        Inputs to present, axes (observation, input).
    draws, seed : see `sample_ann`
    rates_hz, steps, settings : sequence
        Firing rates in hertz, time steps, and (neuron, synapse in seconds) to cross.

    Returns
    -------
    pandas.DataFrame
        One row per setting: ``setting``, ``neuron``, ``synapse (ms)``, ``rate (Hz)``, ``steps``,
        ``error``, ``error p95``, ``bias`` (all in predictive sd, lower is better), ``sd ratio``
        and ``spikes`` of a presentation.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> small = {"draws": 40, "seed": 0, "rates_hz": (100,), "steps": (50, 200)}
    >>> table = fidelity_table(network, [[1.0]], [[1.0], [2.0]], **small)
    >>> sorted(set(table["steps"]))
    [50, 200]
    """
    ann = sample_ann(network, x, draws=draws, seed=seed, progress=False)
    rows = []
    for neuron, synapse_s in settings:
        for rate_hz in rates_hz:
            conversion = calibrate(
                network, x_train, rate_hz=rate_hz, neuron=neuron, synapse_s=synapse_s
            )
            for t in steps:
                snn = sample_snn(network, conversion, x, draws=draws, seed=seed, steps=t)
                rows.append(
                    {
                        "setting": _setting_name(neuron, synapse_s, rate_hz),
                        "neuron": neuron,
                        "synapse (ms)": np.nan if synapse_s is None else synapse_s * 1e3,
                        "rate (Hz)": rate_hz,
                        "steps": t,
                        **paired_error(ann, snn).columns(),
                        "spikes": snn.attrs["spikes_per_presentation"],
                    }
                )
    return pd.DataFrame(rows)


def accuracy_per_spike(
    network: Network,
    x_train: np.ndarray,
    x: np.ndarray,
    *,
    draws: int,
    seed: int,
    rates_hz: Sequence[float] = (50, 100, 200, 500),
    steps: int = 200,
    windows: Sequence[int] = (50, 100, 200, 400),
    digits: Sequence[int] = (4, 6, 8, 10),
) -> pd.DataFrame:
    """Paired error against steps, firing rate and spikes, neuron by neuron.

    Parameters
    ----------
    network, x_train, x, draws, seed : see `fidelity_table`
    rates_hz, steps : sequence of float, and int
        Neurons that fire while they integrate run at these rates for `steps` steps: Nengo's
        rectified one behind a synapse of 5 ms, and the charge-keeping one: as it is, with a
        firing-rate scale per neuron (`spikedrop.sampling.neuron_scales.allocate`), with a readout
        that weights its steps (``readout="parabola"`` of `Conversion`), and with both.
    windows : sequence of int, default (50, 100, 200, 400)
        Steps of the charge-keeping neuron at the highest rate, and window lengths of
        ``integrate_first``.
    digits : sequence of int, default (4, 6, 8, 10)
        Window lengths of ``radix``, in steps: bits of an activation.

    Returns
    -------
    pandas.DataFrame
        One row per setting: ``neuron``, ``kind`` (`Conversion.kind`: SNN for rate codes, quantised,
        bit-serial), ``varied`` (rate or steps), ``rate (Hz)`` (none for neurons that integrate
        first), ``steps``, ``latency`` (steps until the readout is whole), ``spikes`` of a
        presentation, ``error`` and ``error p95`` (predictive sd, lower is better).

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> small = {"draws": 20, "seed": 0, "rates_hz": (100,), "steps": 20, "windows": (10,)}
    >>> table = accuracy_per_spike(network, [[1.0]], [[1.0], [2.0]], digits=(4,), **small)
    >>> sorted(set(table["varied"]))
    ['rate', 'steps']
    """
    ann = sample_ann(network, x, draws=draws, seed=seed, progress=False)
    runs = []
    for rate in rates_hz:
        rectified = calibrate(network, x_train, rate_hz=rate, neuron="rectified", synapse_s=0.005)
        keeps = calibrate(network, x_train, rate_hz=rate)
        allocated = allocate(network, keeps, x_train, seed=seed)
        runs += [
            ("rectified, 5 ms", "rate", rate, rectified, steps),
            ("keeps charge", "rate", rate, keeps, steps),
            ("keeps charge, scale per neuron", "rate", rate, allocated, steps),
        ]
        for name, plain in (("parabola", keeps), ("parabola and scales", allocated)):
            weighted = replace(plain, readout="parabola")
            runs.append((f"keeps charge, {name}", "rate", rate, weighted, steps))
    runs += [("keeps charge", "steps", rate, keeps, t) for t in windows]
    first = calibrate(network, x_train, neuron="integrate_first")
    runs += [("quantised (integrates first)", "steps", np.nan, first, t) for t in windows]
    radix = calibrate(network, x_train, neuron="radix")
    runs += [("bit-serial (radix)", "steps", np.nan, radix, t) for t in digits]
    rows = []
    for neuron, varied, rate, conversion, t in sorted(runs, key=lambda run: run[:2]):
        snn = sample_snn(network, conversion, x, draws=draws, seed=seed, steps=t)
        error = paired_error(ann, snn)
        rows.append(
            {
                "neuron": neuron,
                "kind": conversion.kind,
                "varied": varied,
                "rate (Hz)": rate,
                "steps": t,
                "latency": t * (len(network.hidden) + 1 if conversion.windowed else 1),
                "spikes": snn.attrs["spikes_per_presentation"],
                "error": error.mean,
                "error p95": error.p95,
            }
        )
    return pd.DataFrame(rows)


def rounding_gap(
    network: Network, conversion: Conversion, x: np.ndarray, *, draws: int, seed: int, steps: int
) -> float:
    """Largest difference between neurons that integrate first and the rounded network they equal.

    Both run in double precision with the same masks: `spikedrop.engines.reference.simulate` with
    spikes, `spikedrop.study.rounded.forward_rounded` without time. (In single precision a charge
    within rounding of half a level may go to the other one.)

    Parameters
    ----------
    network, x, seed : see `sample_ann`
    conversion : Conversion
        Of ``integrate_first`` or ``radix`` neurons.
    draws : int
        At least 2.
    steps : int
        Of a window.

    Returns
    -------
    float
        In units of the mean predictive sd of these draws; 0 is equal.

    Raises
    ------
    InputError
        If `draws` is below 2, or the neuron fires while it integrates.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.conversion import calibrate
    >>> conversion = calibrate(network, [[1.0]], neuron="integrate_first")
    >>> rounding_gap(network, conversion, [[1.0]], draws=4, seed=0, steps=20) < 1e-9
    True
    """
    draws = whole_number("draws", draws, least=2)
    x = check_inputs(network, x).astype(np.float64)
    check_draws(network, draws, "draw")

    def double_precision(layer: Layer) -> Layer:
        if layer.weights is None:
            return layer
        weights, bias = layer.weights.astype(np.float64), layer.bias.astype(np.float64)
        return replace(layer, weights=weights, bias=bias)

    double = replace(network, layers=tuple(map(double_precision, network.layers)))

    def run(x: np.ndarray, masks: Masks, _: range) -> tuple[np.ndarray, np.ndarray]:
        held = first(masks)
        rounded = forward_rounded(double, conversion, x, held, steps=steps)
        return simulate(double, conversion, x, held, steps=steps)[0], rounded

    sampler = Sampler(network, seed, "draw", draw_by_draw, run)
    pairs = [piece.ran for piece in sampler.pieces(x, range(draws))]
    spiking, rounded = np.swapaxes(pairs, 0, 1)
    return float(np.abs(spiking - rounded).max() / rounded.std(axis=0, ddof=1).mean())


def agreement_table(
    network: Network, conversion: Conversion, x: np.ndarray, *, seed: int, steps: int = 200
) -> pd.DataFrame:
    """Run one draw, with one mask per row, on every backend, and compare.

    The first fifth of the steps is left out of the average.

    Parameters
    ----------
    network : Network
    conversion : Conversion
        From `calibrate`.
    x : array
        Axes (observation, input).
    seed : int
        Of the masks.
    steps : int, default 200
        Time steps of a presentation.

    Returns
    -------
    pandas.DataFrame
        One row per backend: ``same spike counts``, the share of (neuron, presentation) pairs whose
        count equals that of the ``numpy`` backend (higher is better); ``largest readout
        difference`` from it, in the unit of the output (lower is better); ``ms per presentation``,
        wall time, building and compiling included.

    Raises
    ------
    InputError
        If `x` cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.conversion import calibrate
    >>> conversion = calibrate(network, [[1.0]])
    >>> agreement_table(network, conversion, [[np.nan]], seed=0)
    Traceback (most recent call last):
    spikedrop.errors.InputError: x has 1 NaN or infinite value(s), the first in row 0...
    """
    x = check_inputs(network, x)
    masks = {n: m[None] for n, m in network_masks(network, seed, 0, range(len(x))).items()}
    asked = Presentation(network, conversion, steps, steps // 5, len(x), keep_counts=True)
    results, rows = {}, {}
    for backend in ("numpy", "engine", "nengo", "nengo_dl"):
        start = time.perf_counter()
        with backend_of(backend).open(asked) as run:
            results[backend] = run(x, masks, range(1))
        ours, reference = results[backend], results["numpy"]
        same = [a[0] == b[0] for a, b in zip(ours.counts, reference.counts, strict=True)]
        rows[backend] = {
            "same spike counts": float(np.mean(np.concatenate(same, axis=1))),
            "largest readout difference": float(np.abs(ours.outputs - reference.outputs).max()),
            "ms per presentation": 1e3 * (time.perf_counter() - start) / len(x),
        }
    return pd.DataFrame(rows).T
