"""Nengo, or an error that says how to get it."""

import os
import warnings

from spikedrop.errors import InputError

if os.path.expanduser("~") == "~":
    raise InputError(
        "the backends 'nengo' and 'nengo_dl' need a home folder, and this user has none: set the "
        "environment variable HOME to a folder, or use backend='engine'."
    )
with warnings.catch_warnings():
    # Nengo 4.1 reads numpy.core, which NumPy 2 has renamed; it works, and warns at import.
    warnings.filterwarnings(
        "ignore", message="numpy.core is deprecated", category=DeprecationWarning
    )
    try:
        import nengo
    except ModuleNotFoundError as error:
        raise ImportError(
            "the backends 'nengo' and 'nengo_dl' need Nengo: install it with "
            '`pip install "spikedrop[nengo]"`, or use backend="numpy".'
        ) from error

__all__ = ["nengo"]
