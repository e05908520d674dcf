"""Keras models that are no chain are read as graphs that compute the same."""

import numpy as np
import pytest

from spikedrop.network import Network
from spikedrop.network.keras_import import import_tensorflow
from spikedrop.sampling.ann import predict

import_tensorflow()
import keras  # noqa: E402
from keras import layers as kl  # noqa: E402


def randomise(model, seed=0):
    """Give every weight a random value, so that nothing is left at a neutral 0 or 1."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.dtype == "float32":  # not the state of a seed generator
            spread = np.sqrt(2 / max(np.prod(variable.shape[:-1]), 4))
            if "variance" in variable.path or "gamma" in variable.path:
                variable.assign(rng.uniform(0.3, 3.0, variable.shape))
            else:
                variable.assign(rng.normal(0, spread, variable.shape))
    return model


def combo():
    """The CANDLE Combo benchmark in small: one tower for genes, one that both drugs share."""

    def tower(size, name):
        layers = [keras.Input((size,))]
        for i in range(3):
            layers += [kl.Dense(12, "relu", name=f"{name}_{i}"), kl.Dropout(0.1)]
        return keras.Sequential(layers, name=name)

    genes, a, b = (keras.Input((n,), name=i) for n, i in ((9, "genes"), (7, "a"), (7, "b")))
    gene, drug = tower(9, "gene"), tower(7, "drug")
    h = kl.Concatenate()([gene(genes), drug(a), drug(b)])
    for i in range(3):
        h = kl.Dropout(0.1)(kl.Dense(12, "relu", name=f"top_{i}")(h))
    return keras.Model([genes, a, b], kl.Dense(1, name="growth")(h))


def functional_tower():
    """A functional sub-model inside a functional model, used twice."""
    inside = keras.Input((5,), name="inside")
    h = kl.Dropout(0.2)(kl.Dense(6, "relu")(inside))
    tower = keras.Model(inside, [kl.Dense(4)(h), h], name="tower")
    a, b = keras.Input((5,), name="a"), keras.Input((5,), name="b")
    (linear_a, spikes_a), (linear_b, _) = tower(a), tower(b)
    h = kl.Dropout(0.1)(kl.ReLU()(kl.Add()([linear_a, linear_b])))
    return keras.Model({"a": a, "b": b}, kl.Dense(2)(kl.Concatenate()([h, spikes_a])))


def residual():
    first = keras.Input((6,), name="first")
    h = kl.Dropout(0.1)(kl.Dense(8, "relu")(first))
    for i in range(2):
        block = kl.ReLU()(kl.BatchNormalization()(kl.Dense(8)(h)))
        block = kl.BatchNormalization()(kl.Dense(8)(kl.Dropout(0.2, name=f"in_{i}")(block)))
        h = kl.ReLU()(kl.Add()([h, block]))
    return keras.Model(first, kl.Dense(1)(h))


def lenet():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            kl.Conv2D(6, 3, padding="same", activation="relu"),
            kl.SpatialDropout2D(0.1),
            kl.AveragePooling2D(2),
            kl.Conv2D(8, 3),
            kl.BatchNormalization(),
            kl.ReLU(),
            kl.AveragePooling2D(2, strides=1, padding="same"),
            kl.Dropout(0.1),
            kl.Flatten(),
            kl.Dense(20, "relu"),
            kl.Dropout(0.2),
            kl.Dense(10),
            kl.Softmax(),
        ]
    )


def sequence():
    return keras.Sequential(
        [
            keras.Input((11, 3)),
            kl.GaussianDropout(0.1),
            kl.Conv1D(4, 3, strides=2, padding="same", activation="relu"),
            kl.SpatialDropout1D(0.2),
            kl.BatchNormalization(),
            kl.Conv1D(5, 2, strides=2, activation="relu"),
            kl.AveragePooling1D(2, padding="same"),
            kl.GlobalAveragePooling1D(),
            kl.Dropout(0.1),
            kl.Dense(1, "sigmoid"),
        ]
    )


def two_heads():
    first = keras.Input((6,))
    h = kl.Dropout(0.1)(kl.Dense(8, "relu")(kl.BatchNormalization()(kl.Dropout(0.2)(first))))
    h = kl.Dropout(0.1)(kl.Concatenate()([kl.BatchNormalization()(h), first]))
    shared = kl.Dense(8, "relu", name="shared")
    h = shared(kl.Dropout(0.1)(shared(kl.Dense(8)(h))))
    return keras.Model(first, [kl.Dense(2)(h), kl.Dense(3, "softmax")(h)])


def odd_orders():
    """Dropout before the rectifier, twice in a row; a rectifier on the input; linear layers."""
    first = keras.Input((6,))
    h = kl.ReLU()(first)
    h = kl.ReLU()(kl.Dropout(0.1)(kl.Dense(8)(h)))
    h = kl.Dropout(0.2)(kl.Dropout(0.1)(kl.ReLU()(h)))
    h = kl.Dense(5)(kl.Activation("linear")(kl.Dense(4)(h)))
    h = kl.Dropout(0.1)(kl.BatchNormalization()(kl.Activation("relu")(h)))
    return keras.Model(first, kl.Activation("softmax")(kl.Dense(3)(h)))


MODELS = [combo, functional_tower, residual, lenet, sequence, two_heads, odd_orders]


@pytest.mark.parametrize("build", MODELS)
def test_equals_keras_without_dropout(build):
    """To float32 rounding: 1e-5 of the largest output, over some tens of additions."""
    model = randomise(build())
    rng = np.random.default_rng(1)
    x = [rng.normal(size=(100, *tensor.shape[1:])).astype("float32") for tensor in model.inputs]
    shown = dict(zip("ab", x, strict=True)) if build is functional_tower else x
    expected = model.predict(shown if len(x) > 1 else x[0], verbose=0)
    expected = np.concatenate(expected if isinstance(expected, list) else [expected], axis=-1)
    got = predict(Network.from_keras(model), x if len(x) > 1 else x[0])
    assert expected.std(axis=0).min() > 1e-3
    assert np.abs(got - expected).max() < 1e-5 * np.abs(expected).max()


def test_shared_towers_share_weights_and_not_masks():
    network = Network.from_keras(combo())
    assert [layer.name for layer in network.inputs] == ["genes", "a", "b"]
    for i in range(3):
        one, two = network[f"drug_{i}"], network[f"drug_{i} (2)"]
        assert one.weights is two.weights
        assert one.bias is two.bias
        assert one.sources != two.sources
    assert len(network.dropout_rates) == 12
    assert network.n_neurons == 12 * 12


def test_normalisation_is_folded_where_it_can_be():
    assert [layer.op for layer in Network.from_keras(randomise(residual())).layers] == [
        "input", "dense", "dense", "dense", "add", "dense", "dense", "add", "dense",
    ]  # fmt: skip
    ops = [layer.op for layer in Network.from_keras(randomise(sequence())).layers]
    assert ops.count("scale") == 1  # between a masked convolution and one with padded edges


def test_families_and_places_of_dropout():
    network = Network.from_keras(lenet())
    found = {layer.op: layer.family for layer in network.layers if layer.dropout}
    assert found == {"conv": "channel", "average_pool": "unit", "dense": "unit"}
    network = Network.from_keras(sequence())
    assert network.layers[0].family == "gaussian"
    assert network["input"].dropout == pytest.approx(0.1)


def test_layers_called_elsewhere_before_are_read_by_their_calls_in_the_model():
    first = keras.Input((6,))
    dense, end = kl.Dense(4, "relu"), kl.Dense(1)
    end(dense(keras.Input((6,))))
    model = randomise(keras.Model(first, end(kl.Dropout(0.1)(dense(first)))))
    x = np.ones((1, 6), "float32")
    assert np.allclose(predict(Network.from_keras(model), x), model.predict(x, verbose=0))


def test_reading_changes_nothing_in_the_model():
    model = combo()
    before = model.get_config()
    Network.from_keras(model)
    Network.from_keras(model)
    assert model.get_config() == before
