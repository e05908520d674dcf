"""What `nengo_dl.Converter` makes of permanent dropout, measured."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from spikedrop.comparison import predictive_sd
from spikedrop.engines.nengo_dl_import import import_nengo_dl
from spikedrop.errors import InputError
from spikedrop.network.graph import Network
from spikedrop.sampling.ann import sample_ann

__all__ = ["converter_sd_ratio"]


def _legacy_model(network: Network, *, subclass: bool) -> object:
    """Rebuild the network as a `tf_keras` model with permanent dropout.

    With `subclass` False, dropout is called with ``training=True``; with True, it is a subclass
    of `Dropout` that is always on. In Keras both are permanent dropout.
    """
    import tf_keras

    *hidden, readout = network.layers[1:]
    if [layer.op for layer in network.layers] != ["input", *["dense"] * len(network.layers[1:])]:
        raise InputError("the converter is tried on chains of dense layers alone: pass one.")

    class PermanentDropout(tf_keras.layers.Dropout):
        """Dropout that is on in every call."""

        def call(self, inputs: object, training: object = None) -> object:
            return super().call(inputs, training=True)

    def dropped(h: object, rate: float) -> object:
        if subclass:
            return PermanentDropout(rate)(h)
        return tf_keras.layers.Dropout(rate)(h, training=True)

    inputs = h = tf_keras.Input((network.n_inputs,))
    for layer in hidden:
        h = tf_keras.layers.Dense(len(layer.bias), activation="relu", name=layer.name)(h)
        h = dropped(h, layer.dropout)
    outputs = tf_keras.layers.Dense(network.n_outputs, name=readout.name)(h)
    model = tf_keras.Model(inputs, outputs)
    for layer in (*hidden, readout):
        model.get_layer(layer.name).set_weights([layer.weights, layer.bias])
    return model


def converter_sd_ratio(
    network: Network,
    x: np.ndarray,
    *,
    steps: Sequence[int] = (1, 10, 50),
    draws: int = 30,
    seed: int,
) -> pd.DataFrame:
    """Spread that is left after `nengo_dl.Converter`, relative to `sample_ann`.

    The converted network (rate neurons, so that nothing but the masks is random) presents every
    input `draws` times for T steps, and the output is averaged over the steps.

    Parameters
    ----------
    network : Network
        Without input dropout.
    x : numpy.ndarray
        Axes (observation, input).
    steps : sequence of int, default (1, 10, 50)
        Values of T.
    draws, seed : see `sample_ann`

    Returns
    -------
    pandas.DataFrame
        Index T; columns ``Dropout(training=True)`` and ``Dropout subclass``: median over
        observations of the sd across presentations divided by the ANN's predictive sd. 1 is
        faithful, 0 means that every presentation gives the same output.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> converter_sd_ratio(network, [[np.nan]], seed=0)
    Traceback (most recent call last):
    spikedrop.errors.InputError: x has 1 NaN or infinite value(s), the first in row 0...
    """
    nengo_dl = import_nengo_dl()
    truth = predictive_sd(sample_ann(network, x, draws=max(draws, 100), seed=seed, progress=False))
    shown = np.tile(np.asarray(x, np.float32), (draws, 1))[:, None, :]
    columns = {"Dropout(training=True)": False, "Dropout subclass": True}
    table = pd.DataFrame(index=pd.Index(steps, name="steps"), columns=list(columns), dtype=float)
    for column, subclass in columns.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the converter warns that it falls back to TensorNode
            converter = nengo_dl.Converter(
                _legacy_model(network, subclass=subclass), inference_only=True
            )
            (inputs,), (outputs,) = converter.inputs.values(), converter.outputs.values()
            with nengo_dl.Simulator(
                converter.net, minibatch_size=len(shown), progress_bar=False, seed=seed
            ) as sim:
                for t in steps:
                    data = sim.predict({inputs: np.repeat(shown, t, axis=1)}, verbose=0)[outputs]
                    mean = data.mean(axis=1).reshape(draws, len(x))
                    table.loc[t, column] = np.median(mean.std(axis=0, ddof=1) / truth)
    return table
