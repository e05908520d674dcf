"""Fit a network with dropout, or load it if it was fitted before."""

from spikedrop.training.keras import train

__all__ = ["train"]
