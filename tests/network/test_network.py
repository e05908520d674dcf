"""A Keras model becomes a `Network` that computes the same, or is refused by name."""

from dataclasses import replace

import numpy as np
import pytest

from spikedrop.errors import InputError
from spikedrop.network import Layer, Network
from spikedrop.network.keras_import import import_tensorflow
from spikedrop.sampling.ann import predict

import_tensorflow()
import keras  # noqa: E402
from keras import layers as kl  # noqa: E402


def randomise(model, seed=0):
    """Give every weight a random value, so that nothing is left at a neutral 0 or 1."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        shape = tuple(variable.shape)
        if variable.dtype != "float32":  # the state of a seed generator
            continue
        if "variance" in variable.path or "gamma" in variable.path:
            variable.assign(rng.uniform(0.3, 3.0, shape))
        else:
            variable.assign(rng.normal(0, 0.8, shape))
    return model


def sequential(*layers, inputs=6):
    return randomise(keras.Sequential([keras.Input((inputs,)), *layers]))


def functional(*layers, inputs=6):
    first = h = keras.Input((inputs,))
    for layer in layers:
        h = layer(h)
    return randomise(keras.Model(first, h))


def relu_three_ways():
    return [
        kl.Dense(9, activation="relu"),
        kl.Dropout(0.1),
        kl.Dense(8),
        kl.ReLU(),
        kl.Dropout(0.2),
        kl.Dense(7),
        kl.Activation("relu"),
        kl.Dropout(0.3),
        kl.Dense(2),
    ]


def normalised():
    return [
        kl.BatchNormalization(epsilon=0.1),  # on the inputs
        kl.Dense(9),
        kl.BatchNormalization(),  # before the ReLU
        kl.Activation("relu"),
        kl.Dropout(0.5),
        kl.BatchNormalization(),  # after the ReLU and its mask
        kl.Dense(8, activation="relu"),
        kl.BatchNormalization(center=False),
        kl.BatchNormalization(scale=False),  # two in a row
        kl.Dense(3),
        kl.BatchNormalization(),  # after the readout
    ]


def without_bias():
    return [
        kl.Dropout(0.2),
        kl.Dense(9, activation="relu", use_bias=False),
        kl.BatchNormalization(),
        kl.Dense(1, use_bias=False),
    ]


@pytest.mark.parametrize("chain", [relu_three_ways, normalised, without_bias])
@pytest.mark.parametrize("assemble", [sequential, functional])
def test_equals_keras_without_dropout(chain, assemble):
    """To float32 rounding: 1e-5 of the largest output, over some tens of additions."""
    model = assemble(*chain())
    x = np.random.default_rng(1).normal(size=(200, 6)).astype("float32")
    expected = model.predict(x, verbose=0)
    assert expected.std() > 0.1
    got = predict(Network.from_keras(model), x)
    assert np.abs(got - expected).max() < 1e-5 * np.abs(expected).max()


def test_dropout_rates_stand_after_their_layers():
    network = Network.from_keras(sequential(kl.Dropout(0.05), *relu_three_ways()))
    assert [layer.dropout for layer in network.layers] == [0.05, 0.1, 0.2, 0.3, 0]
    assert list(network.shapes.values()) == [(6,), (9,), (8,), (7,), (2,)]
    assert (network.n_inputs, network.n_outputs, network.n_neurons) == (6, 2, 24)
    folded = Network.from_keras(sequential(*normalised()))
    assert [layer.op for layer in folded.layers] == ["input", "dense", "dense", "dense"]
    assert [layer.dropout for layer in folded.layers] == [0, 0.5, 0, 0]


def test_normalisation_after_the_mask_is_folded_with_it():
    """A silent unit still passes the offset on: y = BN(m * relu(x w)) v, worked by hand."""
    model = keras.Sequential(
        [
            keras.Input((1,)),
            kl.Dense(1, activation="relu", use_bias=False),
            kl.Dropout(0.5),
            kl.BatchNormalization(epsilon=1.0),
            kl.Dense(1, use_bias=False),
        ]
    )
    # gamma 2, beta 3, mean 1, variance 3: BN(h) = 2 (h - 1) / sqrt(3 + 1) + 3 = h + 2
    model.set_weights([np.array(w, "float32") for w in ([[4]], [2], [3], [1], [3], [[5]])])
    network = Network.from_keras(model)
    assert network.layers[-1].weights.tolist() == [[5.0]]
    assert network.layers[-1].bias.tolist() == [10.0]


def test_layers_added_one_by_one_and_layers_used_for_the_first_call_are_read():
    added = keras.Sequential()
    added.add(keras.Input((6,)))
    called = keras.Sequential()
    for model in (added, called):
        for layer in (kl.Dense(5, activation="relu"), kl.Dropout(0.1), kl.Dense(1)):
            model.add(layer)
    x = np.ones((2, 6), "float32")
    called(x)
    for model in (added, called):
        assert np.allclose(predict(Network.from_keras(model), x), model.predict(x, verbose=0))


def test_permanent_dropout_by_training_true_is_the_same_network():
    first = keras.Input((6,))
    h = kl.Dropout(0.4)(kl.Dense(5, activation="relu")(first), training=True)
    network = Network.from_keras(keras.Model(first, kl.Dense(1)(h)))
    assert list(network.dropout_rates.values()) == [0.4]


def relu(x):
    """Carry the name of a rectifier without being one."""
    return x * x


def dense(**kwargs):
    return kl.Dense(4, name="middle", **kwargs)


REFUSED = {
    "layer normalisation": (
        lambda: [dense(activation="relu"), kl.LayerNormalization(name="odd"), kl.Dense(1)],
        r"'odd' \(LayerNormalization\) cannot be converted.*use BatchNormalization",
    ),
    "unsupported activation tanh": (
        lambda: [dense(activation="tanh"), kl.Dropout(0.1), kl.Dense(1)],
        "'middle'.*'tanh', which.*: use 'relu' in hidden layers",
    ),
    "unsupported activation elu, as a layer": (
        lambda: [dense(), kl.Activation("elu", name="odd"), kl.Dropout(0.1), kl.Dense(1)],
        r"'odd' \(Activation\) has activation 'elu', which.*: use 'relu'",
    ),
    "unsupported activation layer": (
        lambda: [dense(), kl.ELU(name="odd"), kl.Dropout(0.1), kl.Dense(1)],
        r"'odd' \(ELU\) cannot be converted",
    ),
    "a function that is only named relu": (
        lambda: [dense(activation=relu), kl.Dropout(0.1), kl.Dense(1)],
        "'middle'.*'relu' of '[a-z.]*test_network', which is not Keras's",
    ),
    "relu readout": (
        lambda: [dense(activation="relu"), kl.Dropout(0.1), kl.Dense(1, "relu")],
        "is the readout and rectifies: end with",
    ),
    "dropout at the end": (
        lambda: [dense(activation="relu"), kl.Dense(1), kl.Dropout(0.1, name="late")],
        "is the readout and has dropout 0.1: remove it",
    ),
    "no dropout": (
        lambda: [dense(activation="relu"), kl.Dense(1)],
        "no Dropout layer.*add keras.layers.Dropout",
    ),
    "dropout rate 1": (
        lambda: [dense(activation="relu"), kl.Dropout(1.0, name="all"), kl.Dense(1)],
        "'all'.*below 1.*smaller rate",
    ),
    "a mask shared by units": (
        lambda: [
            dense(activation="relu"),
            kl.Dropout(0.1, noise_shape=(None, 1), name="shared"),
            kl.Dense(1),
        ],
        "'shared'.*remove noise_shape",
    ),
    "relu with a ceiling": (
        lambda: [dense(), kl.ReLU(max_value=6, name="six"), kl.Dropout(0.1), kl.Dense(1)],
        "'six'.*without max_value",
    ),
    "leaky relu": (
        lambda: [dense(), kl.ReLU(negative_slope=0.1, name="leak"), kl.Dropout(0.1), kl.Dense(1)],
        "'leak'.*negative_slope",
    ),
    "no hidden layer": (
        lambda: [kl.Dropout(0.1), kl.Dense(1)],
        "no hidden layer: add at least one Dense",
    ),
    "reshape": (
        lambda: [
            kl.Reshape((6,)),
            kl.Reshape((-1,)),
            dense(activation="relu"),
            kl.Dropout(0.1),
            kl.Dense(6),
            kl.Reshape((3, 2)),
            kl.Dense(1),
        ],
        r"makes values of shape \(3, 2\): only flattening",
    ),
    "softmax in the middle": (
        lambda: [dense(activation="softmax"), kl.Dense(3, "relu"), kl.Dropout(0.1), kl.Dense(1)],
        "'middle' has activation 'softmax': only where the network ends",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("assemble", [sequential, functional])
def test_refused_by_name_with_what_to_do(case, assemble):
    build, says = REFUSED[case]
    with pytest.raises(InputError, match=says):
        Network.from_keras(assemble(*build()))


def test_nan_weights_name_the_layer():
    model = sequential(dense(activation="relu"), kl.Dropout(0.1), kl.Dense(1))
    kernel, bias = model.get_layer("middle").get_weights()
    kernel[2, 1] = np.nan
    model.get_layer("middle").set_weights([kernel, bias])
    with pytest.raises(InputError, match=r"'middle' has NaN.*lower learning rate"):
        Network.from_keras(model)


def skip(first, h):
    return kl.Dense(1)(kl.Dense(4, "relu", name="unseen")(first))


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (
            lambda h: kl.Dense(1)(h) * 2.0,
            r"'Multiply' outside.*'multiply\w*', which reads 'dense\w*'\); scale the data",
        ),
        (lambda h: kl.Dense(1)(h + 1.0), "'Add' outside of any layer: arithmetic"),
        (lambda h: kl.Dense(1)(kl.Multiply(name="gate")([h, h])), r"'gate' \(Multiply\).*added"),
        (lambda h: kl.Concatenate(axis=0, name="rows")([kl.Dense(1)(h)] * 2), "'rows'.*axis 0"),
    ],
)
def test_graphs_that_cannot_be_read_are_refused(end, says):
    first = keras.Input((6,))
    h = kl.Dropout(0.1)(kl.Dense(4, "relu")(first))
    with pytest.raises(InputError, match=says):
        Network.from_keras(keras.Model(first, end(h)))


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        ([kl.MaxPooling2D(name="max")], r"'max' \(MaxPooling2D\).*use AveragePooling"),
        ([kl.Conv2D(2, 2, dilation_rate=2, name="wide")], "'wide'.*dilation"),
        ([kl.Conv2D(2, 2, groups=2, name="apart")], "'apart'.*groups"),
        ([kl.BatchNormalization(axis=1, name="odd")], "'odd'.*axis 1"),
        ([kl.LayerNormalization(name="norm")], "'norm'.*use BatchNormalization"),
    ],
)
def test_image_layers_that_cannot_be_converted_are_refused(layers, says):
    ends = [kl.Flatten(), kl.Dense(3, "relu"), kl.Dropout(0.1), kl.Dense(1)]
    model = keras.Sequential([keras.Input((6, 6, 2)), *layers, *ends])
    with pytest.raises(InputError, match=says):
        Network.from_keras(model)


def test_an_input_of_unknown_length_is_refused():
    layers = [kl.Conv1D(2, 2, activation="relu"), kl.GlobalAveragePooling1D(), kl.Dropout(0.1)]
    model = keras.Sequential([keras.Input((None, 2)), *layers, kl.Dense(1)])
    with pytest.raises(InputError, match=r"shape \(None, 2\): give every axis a length"):
        Network.from_keras(model)


def test_a_part_left_out_of_the_model_is_left_out_of_the_network():
    first = keras.Input((6,))
    h = kl.Dropout(0.1)(kl.Dense(4, "relu")(first))
    model = keras.Model(first, kl.Dense(1)(h))
    skip(first, h)  # layers beside the model, not in it
    x = np.ones((1, 6), "float32")
    assert np.allclose(predict(Network.from_keras(model), x), model.predict(x, verbose=0))


def test_models_that_cannot_be_read_are_refused():
    layers = [kl.Dense(4, "relu"), kl.Dropout(0.1), kl.Dense(1)]
    with pytest.raises(InputError, match="not built: give it an Input layer"):
        Network.from_keras(keras.Sequential(layers))

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.end = kl.Dense(1)

        def call(self, x):
            return self.end(x)

    own = Own()
    own(np.zeros((1, 6), "float32"))
    with pytest.raises(InputError, match=r"subclass of keras.Model.*functional"):
        Network.from_keras(own)
    with pytest.raises(InputError, match="not a Keras 3 model"):
        Network.from_keras([1, 2])


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
def test_quantized_weights_are_refused():
    """Their kernel holds integer codes, which would be read as numbers."""
    model = sequential(dense(activation="relu"), kl.Dropout(0.1), kl.Dense(1))
    model.quantize("int8")
    with pytest.raises(InputError, match=r"'middle'.*quantized \(int8\)"):
        Network.from_keras(model)


def layer(name, n, m, dropout=0.0):
    return Layer(name, np.zeros((n, m), "float32"), np.zeros(m, "float32"), dropout)


@pytest.mark.parametrize(
    ("hidden", "readout", "input_dropout", "says"),
    [
        ((), layer("y", 3, 1), 0.0, "no hidden layer"),
        ((layer("h", 3, 4),), layer("y", 5, 1), 0.0, "'y' takes 5 inputs, but layer 'h'.*4 units"),
        ((layer("h", 3, 4),), layer("y", 4, 1, 0.1), 0.0, "'y' is the readout and has dropout"),
        ((layer("h", 3, 4, 1.0),), layer("y", 4, 1), 0.0, "'h' has dropout rate 1.0"),
        ((layer("h", 3, 4),), layer("y", 4, 1), -0.1, "'input' has dropout rate -0.1"),
        ((layer("h", 3, 4),), layer("y", 4, 1), np.nan, "'input' has dropout rate nan"),
        (
            (Layer("h", np.zeros((3, 4)), np.zeros(3)),),
            layer("y", 4, 1),
            0.0,
            r"'h': weights have shape \(3, 4\) and bias \(3,\)",
        ),
    ],
)
def test_a_network_checks_itself(hidden, readout, input_dropout, says):
    with pytest.raises(InputError, match=says):
        Network.chain(hidden, readout, input_dropout)


X = Layer("x", op="input", shape=(4,))
H = Layer("h", np.ones((4, 4)), np.zeros(4), sources=("x",), activation="relu")
Y = Layer("y", np.ones((4, 1)), np.zeros(1), sources=("h",))


@pytest.mark.parametrize(
    ("layers", "outputs", "says"),
    [
        ((X, H, replace(Y, name="h")), ("h",), "two layers are named 'h'"),
        ((H, X, Y), ("y",), "'h' reads 'x', which is not among the layers before"),
        ((X, H, Y), ("z",), "outputs=.*name layers of the network"),
        ((X, H, Y, replace(Y, name="z")), ("y",), "'z' is read by no other layer"),
        ((X, H, replace(Y, sources=("x", "h"))), ("y",), r"'y' \(dense\) reads 2 layers"),
        (
            (
                X,
                H,
                replace(Y, name="m", activation="softmax"),
                replace(Y, weights=np.ones((1, 1)), sources=("m",)),
            ),
            ("y",),
            "'m' has activation 'softmax'",
        ),
        (
            (X, H, replace(Y, op="add", sources=("x", "y0")), Y),
            ("y",),
            "'y' reads 'y0'",
        ),
        ((X, replace(H, dropout=0.1, family="channel"), Y), ("y",), "'h' has no channels to drop"),
        (
            (X, H, Layer("s", op="add", sources=("h",), dropout=0.1, family="weights"), Y),
            ("y",),
            r"'s' \(add\) has family='weights'",
        ),
        (
            (X, H, Layer("v", np.ones((4, 3)), np.zeros(3), sources=("x",)),
             Layer("s", op="add", sources=("h", "v"))),
            ("s",),
            r"'s' cannot add values of shapes \[\(4,\), \(3,\)\]",
        ),
        (
            (X, H, Layer("p", op="average_pool", sources=("h",), window=(2,), strides=(2,))),
            ("p",),
            "'p' pools over windows",
        ),
        (
            (Layer("x", op="input", shape=(3, 1)),
             Layer("c", np.ones((5, 1, 2)), np.zeros(2), op="conv", sources=("x",),
                   activation="relu"),
             Layer("f", op="flatten", sources=("c",))),
            ("f",),
            "'c' has a window of .5,., larger than its input",
        ),
    ],
)  # fmt: skip
def test_a_graph_checks_itself(layers, outputs, says):
    with pytest.raises(InputError, match=says):
        Network(layers, outputs)


def test_storing_no_mask_is_refused():
    with pytest.raises(InputError, match="stored_masks=-1: store at least one"):
        Network((X, H, Y), ("y",), stored_masks=-1)
