r"""The converted network as a NIR graph, and in files that other simulators and chips read.

NIR, the neuromorphic intermediate representation (Pedersen et al. 2024,
doi:10.1038/s41467-024-52259-9), knows linear maps, integrate-and-fire neurons and sums where
edges meet. Layer l becomes a linear node and an `IF` node with

.. math:: R = 1, \qquad \theta_l = 1 / (g_l\,\mathrm{dt})

in the unit of the activation: its charge grows by the activation at every step, and a spike,
which stands for :math:`\theta_l`, counts 1. So :math:`\theta_l` stands in the weights that leave
the layer, as float64, from which the network's own float32 come back bit by bit. Values are
channels first; time is in steps, the way Norse, sinabs and snnTorch take an `IF` node.

NIR's neuron resets to `v_reset`, fires once, starts empty, and does not say what becomes of
negative charge. What the network needs instead is written to the graph's metadata (`DYNAMICS`),
for the reader to respect; `benchmarks/nir_peers.py` shows which simulators do.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from spikedrop.backends.nir_foreign import read_foreign
from spikedrop.backends.nir_reading import FAULTS, read_graph, read_ours
from spikedrop.backends.nir_writing import FORMAT, Writer, check_conversion, import_nir
from spikedrop.errors import InputError
from spikedrop.folding import fold_masks
from spikedrop.masks import network_masks
from spikedrop.network import Network
from spikedrop.spiking.conversion import Conversion

if TYPE_CHECKING:
    import nir


def to_nir(
    network: Network, conversion: Conversion, masks: dict[str, np.ndarray] | None = None
) -> nir.NIRGraph:
    """Return the converted network, or one draw of it, as a NIR graph.

    Dense layers become `Affine`, convolutions `Conv1d` or `Conv2d`, pooling `AvgPool2d` (in one
    dimension a `Conv1d` of equal weights), additions edges that meet; a concatenation, which NIR
    does not have, becomes a sum of maps to a part each. Dropout rates stand in the metadata.

    Parameters
    ----------
    network : Network
    conversion : Conversion
        With neuron ``charge_keeping`` and no synapse.
    masks : dict of numpy.ndarray, optional
        From `spikedrop.masks.network_masks`: the draw with these masks, which stand in the
        weights (`spikedrop.folding.fold_masks`).

    Raises
    ------
    InputError
        If the neuron, a synapse, padding or a layer cannot be said in NIR: which, and what to do.
    ImportError
        If the package nir is missing.

    Examples
    --------
    >>> from spikedrop.network import Layer
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, 0 * one[0]),), Layer("y", 3 * one, one[0]))
    >>> graph = to_nir(network, Conversion((250.0,)))
    >>> list(graph.nodes)
    ['n00_input', 'n01_h', 'n01_h_if', 'n02_y', 'n03_y_out']
    >>> graph.nodes["n01_h_if"].v_threshold.tolist()  # 250 Hz and 1 ms: a spike for every 4
    [4.0]
    >>> graph.nodes["n02_y"].weight.tolist()
    [[12.0]]
    """
    import_nir()
    check_conversion(network, conversion)
    if masks is not None:
        network = fold_masks(network, masks)
    return Writer(network, conversion).graph()


def write_nir(
    file: str | Path,
    network: Network,
    conversion: Conversion,
    masks: dict[str, np.ndarray] | None = None,
) -> Path:
    """Write `to_nir` of the same arguments to a file (HDF5), and return its path.

    The neurons' `v_reset`, zero everywhere, is left out: that is its default, and readers with
    nir 1.0.4 and before know no such field and refuse a file that has it.
    """
    graph, file = to_nir(network, conversion, masks), Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    import_nir().write(file, graph)
    with h5py.File(file, "r+") as opened:
        for node in opened["node/nodes"].values():
            if "v_reset" in node:
                del node["v_reset"]
    return file


def write_members(
    folder: str | Path, network: Network, conversion: Conversion, *, seed: int
) -> list[Path]:
    """Write every member of a fixed set of masks: ``member_000.nir`` and on, one a stored mask.

    Member k is the network of draw k, and of every draw whose number is k modulo K.

    Raises
    ------
    InputError
        If the network stores no fixed set of masks; as `to_nir`.
    """
    if network.stored_masks is None:
        raise InputError(
            "the network draws masks without end: store a fixed set first, with "
            "network.with_dropout(stored_masks=8)."
        )
    return [
        write_nir(
            Path(folder) / f"member_{k:03d}.nir",
            network,
            conversion,
            network_masks(network, seed, k),
        )
        for k in range(network.stored_masks)
    ]


def from_nir(source: str | Path | nir.NIRGraph) -> tuple[Network, Conversion]:
    """Read a NIR file or graph back as a network and its conversion.

    What `to_nir` wrote comes back exactly: names, weights, dropout, stored masks, firing-rate
    scales; a member's weights hold its masks. Other graphs are read by their nodes, with a warning
    that their reset is taken to be a subtraction; their step is called a millisecond.

    Parameters
    ----------
    source : path or nir.NIRGraph
        Files are HDF5, which holds data and no programs; links in them and more than 2 GiB of
        arrays are refused before they are unpacked.

    Returns
    -------
    network : Network
    conversion : Conversion

    Raises
    ------
    InputError
        If the file is damaged, metadata and nodes contradict each other, the graph has a loop, or
        a node is not among those that can be read.
    ImportError
        If the package nir is missing.

    Examples
    --------
    >>> from spikedrop.network import Layer
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one / 3, one[0], 0.1),), Layer("y", one / 7, one[0]))
    >>> again, conversion = from_nir(to_nir(network, Conversion((123.0,))))
    >>> again["y"].weights == network["y"].weights, again["h"].dropout, conversion.scales_hz
    (array([[ True]]), 0.1, (123.0,))
    """
    ir = import_nir()
    graph = read_graph(source) if isinstance(source, str | Path) else source
    if not isinstance(graph, ir.NIRGraph):
        raise InputError(f"{type(source).__name__} is neither a NIR graph nor the path of one.")
    try:
        ours = "format" in graph.metadata and "structure" in graph.metadata
        if ours and graph.metadata["format"] != FORMAT:
            raise InputError(f"format {graph.metadata['format']!r}: this version reads {FORMAT!r}.")
        return read_ours(graph) if ours else read_foreign(graph)
    except InputError:
        raise
    except FAULTS as error:
        raise InputError(
            f"the NIR graph cannot be read as a network ({type(error).__name__}: {error}): write "
            "it again with `to_nir`, or check its shapes."
        ) from error
