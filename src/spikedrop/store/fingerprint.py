"""Fingerprints (SHA-256) of what samples follow from: the model, its conversion, the inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from spikedrop.conversion import Conversion
from spikedrop.engines import backends
from spikedrop.network import kinds
from spikedrop.network.graph import Network
from spikedrop.neurons import SHIPPED
from spikedrop.store.code import of_code

__all__: list[str] = []

# Their releases can change the last bits of a sample.
PACKAGES = ("spikedrop", "numpy", "scipy", "tensorflow", "numba")


def of_network(network: Network) -> str:
    """Fingerprint of a network: what its layers compute, in order, not what they are called.

    >>> from spikedrop.network.graph import Layer
    >>> one = np.ones((1, 1), "float32")
    >>> def network(name, rate):
    ...     return Network.chain((Layer(name, one, one[0], rate),), Layer("y", one, one[0]))
    >>> of_network(network("h", 0.5)) == of_network(network("dense_7", 0.5))
    True
    >>> of_network(network("h", 0.5)) == of_network(network("h", 0.4))
    False
    """
    number = {layer.name: i for i, layer in enumerate(network.layers)}
    parts: list[object] = [[number[name] for name in network.outputs], network.stored_masks]
    for layer in network.layers:
        for field in fields(layer):
            value = getattr(layer, field.name)
            if field.name == "sources":
                value = [number[name] for name in value]
            if field.name != "name":
                parts += [field.name, value]
        if layer.op not in kinds.SHIPPED:
            parts += _registered(kinds.kind_of(layer))
    return _digest(parts)


def of_conversion(conversion: Conversion) -> str:
    """Fingerprint of a conversion; of a registered neuron also its code and its fields."""
    parts: list[object] = []
    for field in fields(conversion):
        value = getattr(conversion, field.name)
        if field.name == "readout" and value == "mean":
            continue  # stores from before there was a choice resume
        parts.append(field.name)
        parts += [np.asarray(scale) for scale in value] if field.name == "scales_hz" else [value]
    if conversion.neuron not in SHIPPED:
        parts += _registered(conversion.dynamics)
    return _digest(parts)


def of_rows(rows: np.ndarray) -> bytes:
    """Fingerprint of a block of inputs, float32 (observation, feature); see `of_inputs`."""
    return hashlib.sha256(np.ascontiguousarray(rows, "<f4").data).digest()


def of_inputs(blocks: Iterable[bytes], shape: tuple[int, int]) -> str:
    """Fingerprint of all inputs, from those of their blocks in order.

    So the blocks of a distributed array need not pass through one process.
    """
    whole = hashlib.sha256(repr(tuple(shape)).encode())
    for block in blocks:
        whole.update(block)
    return whole.hexdigest()


def versions(backend: str = "engine") -> str:
    """Versions of what the last bits of a sample depend on: packages, a backend's code."""
    used = backends.backend_of(backend)
    found = [f"{name} {_version(name)}" for name in (*PACKAGES, *used.packages)]
    if backend not in backends.SHIPPED:
        found.append(f"{backend} {of_code(used.open)[:16]}")
    return ", ".join(found)


def _registered(thing: object) -> list[object]:
    """Parts of the fingerprint of what a user registered: its code, and what it holds."""
    parts: list[object] = [of_code(type(thing))]
    for name, value in sorted(vars(thing).items()):
        parts += [name, value]
    return parts


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _digest(parts: Iterable[object]) -> str:
    whole = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            part = np.ascontiguousarray(part)
            whole.update(f"{part.dtype.str}{part.shape}".encode() + part.tobytes())
        else:
            whole.update(repr(part).encode())
        whole.update(b";")
    return whole.hexdigest()
