"""Import TensorFlow without the start-up lines its C++ core writes to file descriptor 2.

Those lines come before any log level is read, so no environment variable silences them;
in a notebook they land on the page. Exceptions pass, and so do Python's warnings where
`sys.stderr` is not descriptor 2 itself (in a notebook, under pytest).
"""

import contextlib
import functools
import logging
import os
import sys
from collections.abc import Iterator
from types import ModuleType


@contextlib.contextmanager
def native_stderr_silenced() -> Iterator[None]:
    """Send what native code writes to descriptor 2 nowhere; `sys.stderr` is flushed first."""
    sys.stderr.flush()
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


@contextlib.contextmanager
def retracing_unmentioned() -> Iterator[None]:
    """Leave out TensorFlow's advice on tracing: each network that is trained has its own trace."""

    def other(record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in record.getMessage()

    logger = logging.getLogger("tensorflow")
    logger.addFilter(other)
    try:
        yield
    finally:
        logger.removeFilter(other)


@functools.cache
def import_tensorflow() -> ModuleType:
    """Import TensorFlow and start its runtime, quietly and once; return the module.

    Sets `TF_CPP_MIN_LOG_LEVEL` and `KERAS_BACKEND` unless the caller already did.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with native_stderr_silenced():
        import tensorflow as tf

        tf.constant(0.0)  # the first operation looks for devices and logs what it misses
    return tf
