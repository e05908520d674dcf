"""What few bits, and another reset, do to the predictive distribution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

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
    bits : sequence of int
        Bits of a weight.
    steps : int
        See `sample_snn`; the first fifth does not count.

    Returns
    -------
    dict
        From (sampler, bits) to samples, all with the same masks: ``("ANN", None)``,
        ``("SNN", None)`` with weights in floating point, then for each number of bits
        ``("quantised ANN", 8)``, the integers without spikes, and ``("chip", 8)``.
    """
    settings = {"draws": draws, "seed": seed, "scope": scope, "progress": False}
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

    Returns
    -------
    pandas.DataFrame
        One row per sample: ``sampler``, ``bits`` (none where weights are floating point), then the
        columns of `judged`. What the quantised ANN errs by is due to the weights; what the chip
        errs by beyond that, to spikes.
    """
    ann = samples["ANN", None]
    rows = {key: values for key, values in samples.items() if key[0] != "ANN"}
    table = judged(ann, rows).reset_index(drop=True)
    table.insert(0, "sampler", [name for name, _ in rows])
    table.insert(1, "bits", [np.nan if b is None else float(b) for _, b in rows])
    return table


def judged(ann: xr.DataArray, samples: Mapping[object, xr.DataArray]) -> pd.DataFrame:
    """Paired error of several samples, and the verdict of `spikedrop.comparison`.

    Returns
    -------
    pandas.DataFrame
        One row per sample: ``error`` (mean), ``error p95``, ``bias``, in predictive sd, lower is
        better; ``sd ratio``, 1 is faithful; ``verdict`` at the default margin; ``spikes`` of a
        presentation, none where nothing spikes.
    """
    rows = []
    for values in samples.values():
        verdict = compare(ann, values, paired=True)
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

    The rows go from the charge-keeping neuron to NengoLoihi's (`spikedrop.chip.hard_reset`);
    columns as in `judged`.
    """
    settings = {"draws": draws, "seed": seed, "scope": scope, "progress": False}
    neurons = {
        "keeps charge, subtracts": chip,
        "keeps charge, empties": replace(chip, reset="zero"),
        "stops at 0, subtracts": replace(chip, floor=0),
        "stops at 0, empties": hard_reset(chip),
    }
    samples = {k: sample_chip(v, x, steps=steps, **settings) for k, v in neurons.items()}
    return judged(sample_ann(chip.network, x, **settings), samples)
