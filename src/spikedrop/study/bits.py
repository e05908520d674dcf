"""What few bits, and another reset, do to the predictive distribution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from spikedrop.chip.network import ChipNetwork, hard_reset
from spikedrop.chip.quantise import quantise
from spikedrop.chip.sampler import sample_chip, sample_integers
from spikedrop.comparison import compare
from spikedrop.conversion import Conversion
from spikedrop.masks import Scope
from spikedrop.network.graph import Network
from spikedrop.sampling.ann import sample_ann
from spikedrop.sampling.snn import sample_snn

__all__ = ["bits_samples", "bits_table", "judged", "neuron_table"]

Key = tuple[str, int | None]


def bits_samples(
    network: Network,
    conversion: Conversion,
    x: np.ndarray,
    *,
    bits: Sequence[int] = (8, 6, 4),
    draws: int,
    seed: int,
    steps: int = 200,
    scope: Scope = "draw",
) -> dict[Key, xr.DataArray]:
    """Sample the network in floating point and with weights of few bits, with and without spikes.

    Parameters
    ----------
    network, conversion : see `spikedrop.chip.quantise`
    x, draws, seed, scope : see `sample_ann`
    bits : sequence of int, default (8, 6, 4)
        Bits per weight.
    steps : int, default 200
        See `sample_snn`; the first fifth does not count.

    Returns
    -------
    dict
        From (sampler, bits) to samples, all with the same masks: ``("ANN", None)``,
        ``("SNN", None)`` with weights in floating point, then for each number of bits
        ``("quantised ANN", 8)``, the integers without spikes, and ``("chip", 8)``.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.conversion import calibrate
    >>> conversion = calibrate(network, [[1.0]], rate_hz=100)
    >>> small = {"bits": (8,), "draws": 20, "seed": 0, "steps": 100}
    >>> list(bits_samples(network, conversion, [[1.0]], **small))
    [('ANN', None), ('SNN', None), ('quantised ANN', 8), ('chip', 8)]
    """
    settings: dict[str, Any] = {"draws": draws, "seed": seed, "scope": scope, "progress": False}
    samples: dict[Key, xr.DataArray] = {
        ("ANN", None): sample_ann(network, x, **settings),
        ("SNN", None): sample_snn(network, conversion, x, steps=steps, **settings),
    }
    for b in bits:
        chip = quantise(network, conversion, bits=b, steps=steps)
        samples["quantised ANN", b] = sample_integers(chip, x, **settings)
        samples["chip", b] = sample_chip(chip, x, steps=steps, **settings)
    return samples


def bits_table(samples: Mapping[Key, xr.DataArray]) -> pd.DataFrame:
    """Judge every sample of `bits_samples` against the ANN's.

    Parameters
    ----------
    samples : mapping
        From (sampler, bits) to samples, as `bits_samples` returns them.

    Returns
    -------
    pandas.DataFrame
        One row per sample but the ANN's: ``sampler``, ``bits`` (NaN where weights are floating
        point), then the columns of `judged`. What the quantised ANN errs by is due to the weights;
        what the chip errs by beyond that, to spikes.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.conversion import calibrate
    >>> conversion = calibrate(network, [[1.0]], rate_hz=100)
    >>> small = {"bits": (8,), "draws": 60, "seed": 0, "steps": 100}
    >>> table = bits_table(bits_samples(network, conversion, [[1.0]], **small))
    >>> table[["sampler", "bits"]].to_numpy().tolist()
    [['SNN', nan], ['quantised ANN', 8.0], ['chip', 8.0]]
    """
    ann = samples["ANN", None]
    rows = {key: values for key, values in samples.items() if key[0] != "ANN"}
    table = judged(ann, rows).reset_index(drop=True)
    table.insert(0, "sampler", [name for name, _ in rows])
    table.insert(1, "bits", [np.nan if b is None else float(b) for _, b in rows])
    return table


def judged(ann: xr.DataArray, samples: Mapping[Any, xr.DataArray]) -> pd.DataFrame:
    """Paired error of several samples, and the verdict of `spikedrop.comparison`.

    Parameters
    ----------
    ann : xarray.DataArray
        Samples of the ANN, axes (draw, observation[, 1]).
    samples : mapping
        Name to samples with the same masks and axes.

    Returns
    -------
    pandas.DataFrame
        One row per sample: ``error`` (mean), ``error p95``, ``bias``, in predictive sd, lower is
        better; ``sd ratio``, 1 is faithful; ``verdict`` at the default margin; ``spikes`` of a
        presentation, NaN where nothing spikes.

    Examples
    --------
    >>> import numpy as np
    >>> values = np.random.default_rng(0).normal(size=(200, 5))
    >>> ann = xr.DataArray(values, dims=("draw", "observation"))
    >>> found = judged(ann, {"far": ann + 2})
    >>> found["verdict"].tolist(), found["sd ratio"].round(3).tolist()
    (['different'], [1.0])
    """
    rows = []
    for values in samples.values():
        verdict = compare(ann, values, paired=True)
        assert verdict.error is not None  # the comparison is paired
        rows.append(
            {
                **verdict.error.columns(),
                "verdict": verdict.verdict,
                "spikes": values.attrs.get("spikes_per_presentation", np.nan),
            }
        )
    return pd.DataFrame(rows, index=pd.Index(list(map(str, samples)), name="sampler"))


def neuron_table(
    chip: ChipNetwork,
    x: np.ndarray,
    *,
    draws: int,
    seed: int,
    steps: int = 200,
    scope: Scope = "draw",
) -> pd.DataFrame:
    """Judge the same integers with other neurons: what a floor, and an emptying reset, cost.

    Parameters
    ----------
    chip : ChipNetwork
        From `spikedrop.chip.quantise`.
    x, draws, seed, scope : see `sample_ann`
    steps : see `sample_snn`

    Returns
    -------
    pandas.DataFrame
        One row per neuron, from the charge-keeping one to NengoLoihi's
        (`spikedrop.chip.hard_reset`); columns as in `judged`.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from spikedrop.conversion import calibrate
    >>> from spikedrop.chip import quantise
    >>> chip = quantise(network, calibrate(network, [[1.0]], rate_hz=100), steps=100)
    >>> table = neuron_table(chip, [[1.0]], draws=60, seed=0, steps=100)
    >>> list(table.index)
    ['keeps charge, subtracts', 'keeps charge, empties', 'stops at 0, subtracts',
     'stops at 0, empties']
    """
    settings: dict[str, Any] = {"draws": draws, "seed": seed, "scope": scope, "progress": False}
    neurons = {
        "keeps charge, subtracts": chip,
        "keeps charge, empties": replace(chip, reset="zero"),
        "stops at 0, subtracts": replace(chip, floor=0),
        "stops at 0, empties": hard_reset(chip),
    }
    samples = {k: sample_chip(v, x, steps=steps, **settings) for k, v in neurons.items()}
    return judged(sample_ann(chip.network, x, **settings), samples)
