"""Nengo, or an error that says how to get it."""

import os
import warnings
from pathlib import Path

from spikedrop.engines.caches import takes_files
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

if not takes_files(Path(nengo.rc["decoder_cache"]["path"])):
    nengo.rc["decoder_cache"]["enabled"] = "False"  # its folder is below a home that is missing

__all__ = ["nengo"]
