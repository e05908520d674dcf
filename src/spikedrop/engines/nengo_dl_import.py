"""The one door through which NengoDL 3.6.0 is imported.

NengoDL 3.6.0 imports `keras.engine.functional` and `keras.layers.BatchNormalizationV1/V2`,
which Keras dropped in 2.13. `tf_keras` still carries them. For the duration of
`import nengo_dl` alone, `sys.modules` serves those names from `tf_keras`; afterwards
`import keras` is Keras 3 again. This is the project's only use of private framework modules.
"""

import importlib
import importlib.util
import os
import sys
import types
import warnings
from typing import Any

from spikedrop.network.keras_import import import_tensorflow, native_stderr_silenced


def import_nengo_dl() -> types.ModuleType:
    """Import and return NengoDL, on TensorFlow 2.21 beside Keras 3.

    Raises
    ------
    ImportError
        If `nengo_dl` or `tf_keras` is missing, if TensorFlow's lazy `tf.keras` was already
        resolved to Keras 3 in this process, or if NengoDL asks for something this door
        does not serve; the message says what to do.

    Examples
    --------
    >>> nengo_dl = import_nengo_dl()
    >>> nengo_dl.__version__
    '3.6.0'
    """
    if sys.modules.get("nengo_dl") is not None:
        return sys.modules["nengo_dl"]
    missing = [m for m in ("nengo_dl", "tf_keras") if importlib.util.find_spec(m) is None]
    if missing:  # said at once: TensorFlow takes seconds to import
        raise ImportError(
            f"NengoDL needs nengo_dl and tf_keras, and {' and '.join(missing)} cannot be found: "
            'install with `pip install "spikedrop[nengo]"`.'
        )
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # read when `tf.keras` is first touched
    tf = import_tensorflow()
    try:
        import keras

        functional = importlib.import_module("tf_keras.src.engine.functional")
        normalization = importlib.import_module("tf_keras.src.layers")
    except ImportError as error:
        raise ImportError(
            f"NengoDL needs tf_keras beside Keras 3, and {error.name} is missing: "
            'install it with `pip install "spikedrop[nengo]"`.'
        ) from error
    if "tf_keras" not in tf.keras.Model.__module__:
        raise ImportError(
            "NengoDL needs tf.keras to be tf_keras, but this process already resolved tf.keras to "
            "Keras 3. Set TF_USE_LEGACY_KERAS=1 before TensorFlow is imported (in a notebook: "
            "restart the kernel and call import_nengo_dl() before anything else uses tf.keras)."
        )
    engine: Any = types.ModuleType("keras.engine")
    engine.functional = functional
    layers: Any = types.ModuleType("keras.layers")
    layers.BatchNormalizationV1 = getattr(normalization, "BatchNormalizationV1", None)
    layers.BatchNormalizationV2 = normalization.BatchNormalization
    served = {
        "keras.engine": engine,
        "keras.engine.functional": functional,
        "keras.layers": layers,
    }
    kept = {name: sys.modules.get(name) for name in served}
    sys.modules.update(served)
    log_level = os.environ.get("TF_CPP_MIN_LOG_LEVEL")
    try:
        with warnings.catch_warnings(), native_stderr_silenced():
            # Nengo 4.1 reads numpy.core, and NengoDL warns of every Nengo after 3.2.
            warnings.simplefilter("ignore")
            nengo_dl = importlib.import_module("nengo_dl")
    except ImportError as error:
        raise ImportError(
            f"NengoDL could not be imported: {error}. This door is made for nengo-dl 3.6.0 with "
            "TensorFlow 2.21, tf_keras 2.21 and Nengo 4.1: install the versions of "
            "requirements.txt."
        ) from error
    finally:
        for name, module in kept.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
        if log_level is not None:  # nengo_dl/__init__ overwrites it
            os.environ["TF_CPP_MIN_LOG_LEVEL"] = log_level
        del keras
    _register_low_pass()
    return nengo_dl


def _register_low_pass() -> None:
    """Let NengoDL build `nengo.Lowpass` without a warning that its user can do nothing about.

    To discretise the filter it calls Nengo's copy of SciPy's `ss2tf`, which assigns an array's
    shape, deprecated in NumPy 2.5. Only that message is left out, and only there.
    """
    import nengo
    from nengo_dl.process_builders import LowpassBuilder, SimProcessBuilder

    class LowPassBuilder(LowpassBuilder):
        """NengoDL's own."""

        def build_pre(self, signals: object, config: object) -> None:
            with warnings.catch_warnings():
                warnings.filterwarnings(
                    "ignore", "Setting the shape on a NumPy array", DeprecationWarning
                )
                super().build_pre(signals, config)

    SimProcessBuilder.TF_PROCESS_IMPL[nengo.Lowpass] = LowPassBuilder
