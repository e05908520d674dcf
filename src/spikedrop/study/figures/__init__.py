"""Figures of the studies; each takes and returns `ax`."""
