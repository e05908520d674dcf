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

from spikedrop.conversion import Conversion
from spikedrop.errors import InputError
from spikedrop.files.writing import written
from spikedrop.masks import mask_shape, network_masks
from spikedrop.network.folding import fold_masks
from spikedrop.network.graph import Network
from spikedrop.nir.foreign import read_foreign
from spikedrop.nir.reading import FAULTS, check_contents, read_graph, read_ours
from spikedrop.nir.writing import FORMAT, Writer, check_conversion, import_nir

if TYPE_CHECKING:
    import nir


def to_nir(
    network: Network, conversion: Conversion, masks: dict[str, np.ndarray] | None = None
) -> nir.NIRGraph:
    """Return the converted network, or one draw of it, as a NIR graph.

    Dense layers become `Affine`, convolutions `Conv1d` or `Conv2d`, pooling `AvgPool2d` (in one
    dimension a `Conv1d` of equal weights), additions edges that meet; a concatenation, which NIR
    does not have, becomes a sum of maps to a part each. Dropout rates stand in the metadata, and so
    does a softmax or sigmoid at the end, which NIR does not have either.

    Parameters
    ----------
    network : Network
    conversion : Conversion
        With neuron ``charge_keeping`` and no synapse.
    masks : dict of numpy.ndarray, optional
        From `spikedrop.masks.network_masks`: the draw with these masks, which stand in the
        weights (`spikedrop.network.folding.fold_masks`).

    Returns
    -------
    nir.NIRGraph
        Its nodes are named by position and layer, as in the example.

    Raises
    ------
    InputError
        If the neuron, a synapse, padding or a layer cannot be said in NIR: which, and what to do;
        if `masks` are not those of the network's layers with dropout; or if the graph would not
        come back from `from_nir` bit by bit.
    ImportError
        If the package nir is missing.

    Examples
    --------
    >>> from spikedrop.network.graph import Layer
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
        _check_masks(network, masks)
        network = fold_masks(network, masks)
    graph = Writer(network, conversion).graph()
    _check_comes_back(network, graph)
    return graph


def _check_masks(network: Network, masks: dict[str, np.ndarray]) -> None:
    """Refuse masks of another network, before they are folded into weights."""
    if set(masks) != set(network.dropout_rates):
        raise InputError(
            f"there are masks for {sorted(masks)}, and the layers with dropout are "
            f"{sorted(network.dropout_rates)}: take network_masks(network, seed, draw)."
        )
    for name, mask in masks.items():
        wanted = mask_shape(network, name)
        if mask.shape[1:] != wanted:
            raise InputError(
                f"layer {name!r} has a mask of shape {mask.shape[1:]} and needs one of {wanted}: "
                "take network_masks(network, seed, draw)."
            )


def _check_comes_back(network: Network, graph: nir.NIRGraph) -> None:
    """Refuse to hand out a graph whose weights `from_nir` would read otherwise."""
    again, _ = read_ours(graph)
    for layer, other in zip(network.layers, again.layers, strict=True):
        for name in ("weights", "bias"):
            if not np.array_equal(getattr(layer, name), getattr(other, name)):
                raise InputError(
                    f"layer {layer.name!r} has {name} that do not come back from NIR bit by bit, "
                    "because they are not float32 numbers, or its firing-rate scale is extreme: "
                    "round them with .astype('float32'), and calibrate again."
                )


def write_nir(
    file: str | Path,
    network: Network,
    conversion: Conversion,
    masks: dict[str, np.ndarray] | None = None,
) -> Path:
    """Write `to_nir` of the same arguments to a file (HDF5).

    The file is written whole or not at all; folders on its way are made. The neurons' `v_reset`,
    zero everywhere, is left out: that is its default, and readers with nir 1.0.4 and before know
    no such field and refuse a file that has it.

    Parameters
    ----------
    file : path
        Where it is written.
    network, conversion, masks : see `to_nir`

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        As `to_nir`; if the path is that of a folder, or the file would be larger than `from_nir`
        reads.

    Examples
    --------
    >>> import tempfile
    >>> from spikedrop.network.graph import Layer
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, 0 * one[0]),), Layer("y", 3 * one, one[0]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = write_nir(Path(folder, "net.nir"), network, Conversion((250.0,)))
    ...     from_nir(Path(folder, "net.nir"))[1].scales_hz
    (250.0,)
    """
    file = Path(file)
    if file.is_dir():
        raise InputError(f"{file}: is a folder; name a file.")
    graph = to_nir(network, conversion, masks)
    _make_folder(file)
    with written(file) as part:
        import_nir().write(part, graph)
        with h5py.File(part, "r+") as opened:
            for node in opened["node/nodes"].values():
                if "v_reset" in node:
                    del node["v_reset"]
            try:
                check_contents(opened)
            except InputError as error:
                raise InputError(f"{file} is not written: {error}") from error
    return file


def _make_folder(file: Path) -> None:
    """Make the folders on the way to a file, or refuse."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{file}: its folder cannot be made ({error.strerror}): name another."
        ) from error


def write_members(
    folder: str | Path, network: Network, conversion: Conversion, *, seed: int
) -> list[Path]:
    """Write every member of a fixed set of masks.

    Member k is the network of draw k, and of every draw whose number is k modulo K.

    Parameters
    ----------
    folder : path
        Where the files ``member_000.nir`` and on are written, one per stored mask.
    network : Network
        With stored masks, see `Network.with_dropout`.
    conversion : Conversion
        As for `to_nir`.
    seed : int
        Of the masks.

    Returns
    -------
    list of Path
        The files, in the order of the draws.

    Raises
    ------
    InputError
        If the network stores no fixed set of masks; as `write_nir`, of any member before the
        first is written.

    Examples
    --------
    >>> import tempfile
    >>> from spikedrop.network.graph import Layer
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, one[0]))
    >>> network = network.with_dropout(stored_masks=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [file.name for file in write_members(folder, network, Conversion((250.0,)), seed=0)]
    ['member_000.nir', 'member_001.nir']
    """
    if network.stored_masks is None:
        raise InputError(
            "the network draws masks without end: store a fixed set first, with "
            "network.with_dropout(stored_masks=8)."
        )
    files = [Path(folder) / f"member_{k:03d}.nir" for k in range(network.stored_masks)]
    masks = [network_masks(network, seed, k) for k in range(network.stored_masks)]
    for mask in masks[1:]:  # one graph at a time, since all together may not fit in memory
        to_nir(network, conversion, mask)
    return [
        write_nir(file, network, conversion, mask) for file, mask in zip(files, masks, strict=True)
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
    >>> from spikedrop.network.graph import Layer
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
