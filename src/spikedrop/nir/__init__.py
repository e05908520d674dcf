"""Exchange of converted networks with other simulators and chips, as NIR graphs and files."""

from spikedrop.nir.exchange import from_nir, to_nir, write_members, write_nir

__all__ = ["from_nir", "to_nir", "write_members", "write_nir"]
