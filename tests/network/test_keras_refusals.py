"""Every public layer and activation of Keras is read, or refused with what to do in its place."""

import keras
import numpy as np
import pytest
from keras import layers as kl

from spikedrop.errors import InputError
from spikedrop.network import Network
from spikedrop.network.convertible import ACTIVATIONS, LAYERS, why_not, why_not_activation

PUBLIC = sorted(
    {
        getattr(kl, name).__name__
        for name in dir(kl)
        if isinstance(getattr(kl, name), type) and issubclass(getattr(kl, name), kl.Layer)
    }
    - {"InputLayer"}
)
FUNCTIONS = sorted(
    {
        getattr(keras.activations, name).__name__
        for name in dir(keras.activations)
        if callable(getattr(keras.activations, name))
    }
    - {"get", "serialize", "deserialize"}
)
ARGUMENTS = {
    "Cropping1D": (1,), "ELU": (), "LSTM": (3,), "GRU": (3,), "SimpleRNN": (3,),
    "Multiply": (), "Rescaling": (1 / 255,), "UpSampling1D": (2,), "DepthwiseConv1D": (2,),
    "GaussianNoise": (0.1,), "MaxPooling1D": (2,), "LeakyReLU": (), "LayerNormalization": (),
    "SeparableConv1D": (2, 2), "ZeroPadding1D": (1,), "Permute": ((2, 1),),
    "Conv1DTranspose": (2, 2), "AlphaDropout": (0.1,), "Identity": (),
    "ActivityRegularization": (), "UnitNormalization": (), "PReLU": (),
}  # fmt: skip


def test_there_are_many():
    assert len(PUBLIC) > 130 and len(FUNCTIONS) > 25


@pytest.mark.parametrize("name", PUBLIC)
def test_each_layer_is_read_or_refused_with_what_to_do(name):
    fault = why_not(name)
    if name in LAYERS:
        assert fault is None
        return
    assert "use only" not in fault  # the list of what is read
    assert sum(layer in fault for layer in LAYERS) <= 4
    assert any(
        verb in fault
        for verb in (
            "use ",
            "apply ",
            "build ",
            "give ",
            "put ",
            "crop ",
            "transpose ",
            "make ",
            "keep ",
        )
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_activation_is_read_or_refused_with_what_to_do(name):
    function = getattr(keras.activations, name)
    first = keras.Input((4,))
    h = kl.Dropout(0.1)(kl.Dense(4, function, name="odd")(first))
    made = keras.Model(first, kl.Dense(1)(kl.Dropout(0.1)(kl.Dense(4, "relu")(h))))
    if name in ("relu", "linear"):
        assert Network.from_keras(made)["odd"].activation == name
        return
    with pytest.raises(InputError, match=f"'odd'.*has activation '{name}'") as refused:
        Network.from_keras(made)
    if name not in ACTIVATIONS:
        fault = why_not_activation(name)
        assert fault in str(refused.value) and "softmax or sigmoid" not in fault
    assert "'relu'" in str(refused.value) or "'softmax'" in str(refused.value)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_model_with_such_a_layer_names_it_and_what_to_do(name):
    layer = getattr(kl, name)(*ARGUMENTS[name], name="odd")
    first = keras.Input((6, 4))
    h = kl.Conv1D(4, 1, activation="relu")(first)
    h = layer([h, h] if name == "Multiply" else h)
    h = kl.Flatten()(h) if len(h.shape) > 2 else h
    made = keras.Model(first, kl.Dense(1)(kl.Dropout(0.1)(kl.Dense(3, "relu")(h))))
    with pytest.raises(InputError) as refused:
        Network.from_keras(made)
    assert str(refused.value) == f"layer 'odd' ({name}) {why_not(name)}"


#: Operations on tensors, and what is said of them.
OPERATIONS = {
    "h + i": (lambda h, i: h + i, "'add', which reads 'h' and 'i'); use keras.layers.Add"),
    "x / 255": (lambda h, i: h / 255, "'true_divide', which reads 'h'); scale the data"),
    "relu": (lambda h, i: keras.ops.relu(h), "'relu', which reads 'h'); use keras.layers.ReLU"),
    "h - i": (lambda h, i: h - i, "'subtract', which reads 'h' and 'i'); put the sign"),
    "concatenate": (
        lambda h, i: keras.ops.concatenate([h, i]),
        "'concatenate', which reads 'h' and 'i'); use keras.layers.Concatenate",
    ),
    "h[:, :2]": (lambda h, i: h[:, :2], "which reads 'h'); give the model the parts as inputs"),
    "matmul": (lambda h, i: keras.ops.exp(h), "'exp', which reads 'h'); use keras.layers.Add or"),
}


@pytest.mark.parametrize("what", OPERATIONS)
def test_operations_on_tensors_name_their_place(what):
    operation, says = OPERATIONS[what]
    keras.backend.clear_session()
    first = keras.Input((4,), name="first")
    h, i = (kl.Dense(4, "relu", name=name)(first) for name in "hi")
    made = keras.Model(first, kl.Dense(1)(kl.Dropout(0.1)(operation(h, i))), name="odd")
    with pytest.raises(InputError) as refused:
        Network.from_keras(made)
    assert "model 'odd'" in str(refused.value)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("activation", "says"),
    [
        ("sigmoid", "hidden layer 'h' has activation 'sigmoid', which is only possible where"),
        ("softmax", "hidden layer 'h' has activation 'softmax', which is only possible where"),
        (None, "the network is linear: layer 'h' has no activation. Give it activation='relu'"),
    ],
)
def test_a_hidden_layer_that_does_not_rectify_is_named(activation, says):
    layers = [kl.Dense(5, activation, name="h"), kl.Dropout(0.1), kl.Dense(1)]
    with pytest.raises(InputError, match=says):
        Network.from_keras(keras.Sequential([keras.Input((4,)), *layers]))


def test_what_to_do_in_place_of_an_average_is_true():
    """Average as Add whose readers are divided: the same values."""
    rng = np.random.default_rng(0)
    a, b, w = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), rng.normal(size=(3, 2))
    np.testing.assert_allclose(np.asarray(kl.Average()([a, b])) @ w, (a + b) @ (w / 2), rtol=1e-5)
