"""What other simulators made of our NIR files, replayed from a recording of their spike counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from spikedrop.engines.reference import simulate
from spikedrop.nir.exchange import from_nir

__all__ = ["RECORDING", "replay"]

#: What three simulators answered, recorded by ``benchmarks/nir_peers.py``.
#:
#: :meta hide-value:
RECORDING = Path(__file__).with_name("nir_peers.npz")


def replay(recording: str | Path | None = None) -> pd.DataFrame:
    """Compare recorded spike counts with the reference's, on the network read from the same file.

    Parameters
    ----------
    recording : path, optional
        Made by ``benchmarks/nir_peers.py``: for every case the bytes of a NIR file, inputs, steps,
        and the counts of every reader. By default the one that ships with the package.

    Returns
    -------
    pandas.DataFrame
        One row per case, reader and layer of neurons: ``case``, ``reader``, ``layer``, ``equal``
        (share of neurons and inputs whose count is the reference's; 1 is exact), ``largest
        difference`` (spikes), ``spikes`` and ``reference spikes`` of all together, and ``why``
        where the reader failed.

    Examples
    --------
    >>> table = replay()
    >>> len(table) > 0
    True
    """
    rows = []
    with np.load(recording or RECORDING) as found:
        readers = [str(name) for name in found["readers"]]
        for case, reference in _references(found):
            for reader in readers:
                why = found.get(f"{case}/{reader}/why")
                if why is not None:
                    rows.append({"case": case, "reader": reader, "equal": 0.0, "why": str(why)})
                    continue
                for i, (layer, expected) in enumerate(reference):
                    counts = found[f"{case}/{reader}/{i}"]
                    rows.append(
                        {
                            "case": case,
                            "reader": reader,
                            "layer": layer,
                            "equal": float((counts == expected).mean()),
                            "largest difference": int(np.abs(counts - expected).max()),
                            "spikes": int(counts.sum()),
                            "reference spikes": int(expected.sum()),
                        }
                    )
    return pd.DataFrame(rows)


def _references(found: np.lib.npyio.NpzFile) -> Iterator[tuple[str, list]]:
    """Every case with the reference's counts, values channels first as NIR has them."""
    with TemporaryDirectory() as folder:
        for case in map(str, found["cases"]):
            file = Path(folder) / "case.nir"
            file.write_bytes(found[f"{case}/file"].tobytes())
            network, conversion = from_nir(file)
            x = found[f"{case}/x"]
            x = np.moveaxis(x, 1, -1) if x.ndim > 2 else x
            _, counts = simulate(
                network, conversion, x.reshape(len(x), -1), {}, steps=int(found[f"{case}/steps"])
            )
            first = [np.moveaxis(c, -1, 1) if c.ndim > 2 else c for c in counts]
            yield (
                case,
                [(layer.name, c) for layer, c in zip(network.hidden, first, strict=True)],
            )
