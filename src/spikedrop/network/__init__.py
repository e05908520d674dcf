"""The network that every sampler reads: layers, graph, the plain forward pass, and Keras models."""

from spikedrop.network.graph import Network
from spikedrop.network.kinds import Kind, register_kind
from spikedrop.network.layers import Layer

__all__ = ["Kind", "Layer", "Network", "register_kind"]
