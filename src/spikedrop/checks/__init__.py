"""Checks of what is handed in: arguments, columns of inputs, predictive samples."""

__all__: list[str] = []
