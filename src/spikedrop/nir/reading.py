"""NIR files, opened with care, and graphs of our own read back as a network."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from spikedrop.conversion import Conversion
from spikedrop.errors import InputError
from spikedrop.network.folding import fold
from spikedrop.network.graph import Network
from spikedrop.network.kinds import kind_of
from spikedrop.network.layers import Layer
from spikedrop.nir.writing import (
    PAYLOAD,
    Writer,
    check_conversion,
    import_nir,
    order_of,
)

if TYPE_CHECKING:
    import nir

MOST_BYTES = 2**31  # of all arrays together, unpacked: a small file can claim to hold any amount
MOST_OBJECTS = 100_000
#: What h5py, json, NumPy and the package nir raise where a graph is not what it should be. Missing
#: memory is not among them: it says nothing of the file.
FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
FAULTS += (OSError, RuntimeError, NotImplementedError)


def read_graph(file: str | Path) -> nir.NIRGraph:
    """Read a NIR file, after a look at what it would unpack; HDF5 holds data, no programs.

    Raises
    ------
    InputError
        If it is no HDF5 file, is damaged, holds links, arrays that are too large, or no graph.
    """
    ir, file = import_nir(), Path(file)
    if not file.is_file():
        raise InputError(f"{file}: there is no such file.")
    if not os.access(file, os.R_OK):
        raise InputError(f"{file}: permission denied; make the file readable.")
    try:
        with h5py.File(file, "r") as opened:
            check_contents(opened)
        graph = ir.read(file)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    except FAULTS as error:
        raise InputError(
            f"{file} cannot be read as a NIR graph ({type(error).__name__}: {error}): it is "
            "damaged or something else; write it again, with `nir.write`."
        ) from error
    if not isinstance(graph, ir.NIRGraph):
        raise InputError(f"{file} holds one {type(graph).__name__} node, not a graph.")
    return graph


def check_contents(opened: h5py.File) -> None:
    """Refuse links, references, and more than memory holds, before anything is unpacked."""
    total, seen, open_groups, places = 0, 0, [opened], {_place(opened)}
    while open_groups:
        group = open_groups.pop()
        for key in group:
            seen += 1
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise InputError(f"{key!r} is a link to elsewhere: NIR needs none.")
            item = group[key]
            if isinstance(item, h5py.Group) and _place(item) in places:
                raise InputError(f"{key!r} is a group that stands in two places.")
            if isinstance(item, h5py.Group):
                open_groups.append(item)
                places.add(_place(item))
            elif isinstance(item, h5py.Dataset):
                text = h5py.check_string_dtype(item.dtype) is not None
                if item.is_virtual or item.external or not (text or item.dtype.kind in "biuf"):
                    raise InputError(f"{key!r} is neither text nor numbers in this file.")
                total += item.size * item.dtype.itemsize
        if seen > MOST_OBJECTS or total > MOST_BYTES:
            raise InputError(
                f"it unpacks to more than {MOST_BYTES / 2**30:g} GiB or {MOST_OBJECTS} objects."
            )


def _place(group: h5py.Group) -> int:
    return h5py.h5o.get_info(group.id).addr


def read_ours(graph: nir.NIRGraph) -> tuple[Network, Conversion]:
    """Read a graph that `to_nir` made, by its metadata, and check that the nodes say the same."""
    structure = json.loads(graph.metadata["structure"])
    records, layers, shapes = structure["layers"], [], {}
    orders: dict[str, Any] = {}
    scales, known = [], iter(structure["scales_hz"])
    for record in records:
        name, sources = record["name"], tuple(record["sources"])
        shapes[name] = shape = tuple(record["values"])
        layer = Layer(
            name, op=record["op"], sources=sources, activation=record["activation"],
            window=tuple(record["window"]), strides=tuple(record["strides"]),
            padding=record["padding"],
        )  # fmt: skip
        if layer.is_input:
            layer = replace(layer, shape=shape)
        orders[name] = order_of(layer, shapes, orders)
        if kind_of(layer).has_weights:
            weights, bias = arrays(graph.nodes[record["node"]], layer.op, orders[sources[0]])
            layer = replace(layer, weights=weights, bias=bias)
        layers.append(layer)
        if layer.spiking:
            scale = next(known)
            if scale is None:
                scale = graph.nodes[f"{record['node']}_if"].metadata["scale_hz"]
                scale = channels_last(scale, orders[name])
            scales.append(scale)
    conversion = Conversion(
        tuple(scales), initial_charge=structure["initial_charge"], dt=structure["dt"]
    )
    network = unfold(Network(tuple(layers), tuple(structure["outputs"])), conversion)
    added = {record["name"]: record["sources"][0] for record in records if record["added"]}
    said = {record["name"]: record for record in records}
    network = Network(
        tuple(
            replace(
                layer,
                sources=tuple(added.get(source, source) for source in layer.sources),
                dropout=said[layer.name]["dropout"],
                family=said[layer.name]["family"],
            )
            for layer in network.layers
            if layer.name not in added
        ),
        network.outputs,
        structure["stored_masks"],
    )
    check_conversion(network, conversion)
    _check_same(Writer(network, conversion).graph(), graph)
    return network, conversion


def arrays(node: Any, op: str, order: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and bias in the layout of `Layer`, float64."""
    weights = np.asarray(node.scale if hasattr(node, "scale") else node.weight, np.float64)
    if op == "scale" and hasattr(node, "scale"):
        values = channels_last(weights, order)
        return values.reshape(-1, values.shape[-1])[0], np.zeros(values.shape[-1])
    bias = getattr(node, "bias", None)
    bias = np.zeros(len(weights)) if bias is None else np.asarray(bias, np.float64)
    if op == "conv":
        return np.moveaxis(weights, (0, 1), (-1, -2)), bias
    if weights.ndim > 2:  # a window of one position
        weights = weights.reshape(weights.shape[:2])
    if op == "dense":
        return _rows(weights.T, order), bias
    return _rows(np.diag(weights), order), _rows(bias, order)


def channels_last(a: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    """Undo `channels_first`."""
    return np.moveaxis(a, 0, -1) if a.ndim > 1 else _rows(a, order)


def _rows(a: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    return a if order is None else a[np.argsort(order)]


def unfold(spikes: Network, conversion: Conversion) -> Network:
    """Take out of the weights what a spike stands for; they become float32."""
    worth = {
        layer.name: np.asarray(scale, np.float64) * conversion.dt
        for layer, scale in zip(spikes.hidden, conversion.scales_hz, strict=True)
    }
    network = fold(spikes, worth, PAYLOAD)
    return replace(
        network,
        layers=tuple(
            layer
            if layer.weights is None
            else replace(
                layer,
                weights=np.ascontiguousarray(layer.weights, np.float32),
                bias=layer.bias.astype(np.float32),
            )
            for layer in network.layers
        ),
    )


def _check_same(expected: nir.NIRGraph, graph: nir.NIRGraph) -> None:
    """Refuse a graph whose nodes contradict its metadata."""
    found = []
    if set(expected.edges) != {(a, b) for a, b in graph.edges}:
        found.append("its edges")
    for name in {*expected.nodes, *graph.nodes}:
        if not _same_node(expected.nodes.get(name), graph.nodes.get(name)):
            found.append(f"node {name!r}")
    if found:
        raise InputError(
            f"the graph's metadata describe another graph: {', '.join(sorted(found)[:3])} differ. "
            "Write it again with `to_nir`, or take away its metadata to read it as it stands."
        )


def _same_node(a: nir.NIRNode | None, b: nir.NIRNode | None) -> bool:
    if a is None or b is None:
        return False
    a, b = ({k: v for k, v in n.to_dict().items() if k != "metadata"} for n in (a, b))
    return set(a) == set(b) and all(np.array_equal(a[k], b[k]) for k in a)
