"""Checks of what is handed in: arguments, columns of inputs, predictive samples."""
