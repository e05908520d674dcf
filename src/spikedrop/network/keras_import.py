"""Start TensorFlow and Keras: without start-up lines, and with settings that are stated here.

The lines that TensorFlow's C++ core writes to file descriptor 2 come before any log level is read,
so no environment variable silences them; in a notebook they land on the page. Exceptions pass, and
so do Python's warnings where `sys.stderr` is not descriptor 2 itself (in a notebook, under pytest).
"""

import contextlib
import functools
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType

from spikedrop.errors import InputError


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

    TensorFlow imports Keras, whose backend is decided then: it is TensorFlow, whatever
    `KERAS_BACKEND` or keras.json name. Sets `KERAS_BACKEND`, and `TF_CPP_MIN_LOG_LEVEL` unless the
    caller already did; warns if another backend was asked for.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "keras" not in sys.modules:
        asked = os.environ.get("KERAS_BACKEND") or "tensorflow"
        if asked != "tensorflow":
            warnings.warn(
                f"KERAS_BACKEND={asked}: spikedrop uses Keras with TensorFlow, so this process "
                "does.",
                stacklevel=2,
            )
        os.environ["KERAS_BACKEND"] = "tensorflow"
    with native_stderr_silenced():
        import tensorflow as tf

        tf.constant(0.0)  # the first operation looks for devices and logs what it misses
    return tf


def import_keras() -> ModuleType:
    """Import Keras with TensorFlow as its backend, quietly; return the module.

    Raises
    ------
    InputError
        If Keras was imported before with another backend.
    """
    if "keras" not in sys.modules:
        import_tensorflow()
    import keras

    if keras.config.backend() != "tensorflow":
        raise InputError(
            f"Keras was imported with the backend {keras.config.backend()!r}, and spikedrop uses "
            "TensorFlow: set KERAS_BACKEND=tensorflow before Keras is imported, or import "
            "spikedrop.network.graph first; a model saved as .keras can be read with any backend."
        )
    import_tensorflow()
    return keras


@contextlib.contextmanager
def keras_defaults() -> Iterator[None]:
    """Let Keras make layers, losses and optimizers in float32 with channels last.

    As it does where no keras.json, `keras.config.set_floatx` or global policy says otherwise;
    afterwards the settings are as they were. For what a seed trains.

    Examples
    --------
    >>> keras = import_keras()
    >>> keras.config.set_floatx("float64")
    >>> with keras_defaults():
    ...     keras.config.floatx()
    'float32'
    >>> keras.config.floatx()
    'float64'
    >>> keras.config.set_floatx("float32")
    """
    config = import_keras().config
    settings = {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last"}
    settings["dtype_policy"] = "float32"
    before = {name: getattr(config, name)() for name in settings}
    try:
        for name, value in settings.items():
            getattr(config, f"set_{name}")(value)
        yield
    finally:
        for name, value in before.items():
            getattr(config, f"set_{name}")(value)
