"""Figures of the studies; each takes and returns `ax`."""

__all__: list[str] = []
