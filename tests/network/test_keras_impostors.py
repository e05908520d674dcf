"""A Keras model is read exactly, or refused: nothing goes by its name."""

import functools
import itertools

import numpy as np
import pytest

from spikedrop.errors import InputError
from spikedrop.network import Network
from spikedrop.network.keras_import import import_keras
from spikedrop.network.keras_layers import SAME
from spikedrop.sampling.ann import predict

keras = import_keras()
kl = keras.layers


# ------------------------------------------------------------------------ impostors


def named(name, function):
    """Return the function under another name, as a user's own may have."""
    function.__name__ = name
    return function


FUNCTIONS = {
    "softmax": lambda z: keras.activations.softmax(0.5 * z),
    "sigmoid": lambda z: 0.5 * keras.activations.sigmoid(z),
    "linear": lambda z: 2.0 * z,
    "relu": lambda z: keras.ops.clip(z, 0, 60),
}


def functions(name):
    return named(name, lambda z: FUNCTIONS[name](z))


def like(kind, change):
    """Return a class of that kind and name that computes something else."""

    def call(self, inputs, *args, **kwargs):
        return change(super(cls, self).call(inputs, *args, **kwargs))

    cls = type(kind.__name__, (kind,), {"call": call})
    return cls


def apart(name):
    """Return a layer class of that name that has nothing to do with Keras's."""

    def call(self, inputs):
        return 2.0 * (inputs[0] if isinstance(inputs, list) else inputs)

    return type(name, (kl.Layer,), {"call": call, "rate": 0.1})


def patched(layer, method="call"):
    """Put another method on one layer."""
    plain = getattr(layer, method)
    setattr(layer, method, lambda *args, **kwargs: 2.0 * plain(*args, **kwargs))
    return layer


class AlwaysOn(kl.Dropout):
    def call(self, inputs, training=None):
        return super().call(inputs, training=True)


class Doubled(keras.Model):
    def call(self, inputs, training=None, mask=None):
        return 2.0 * super().call(inputs, training=training, mask=mask)


class DoubledSequential(keras.Sequential):
    def call(self, inputs, training=None, mask=None):
        return 2.0 * super().call(inputs, training=training, mask=mask)


class Called(keras.Model):
    def __call__(self, *args, **kwargs):
        return 2.0 * super().__call__(*args, **kwargs)


class Stepped(keras.Model):
    def predict_step(self, data):
        return 2.0 * super().predict_step(data)


class Trained(keras.Model):
    """Only the training is its own."""

    def train_step(self, data):
        return super().train_step(data)


def model(
    hidden=lambda: kl.Dense(5, "relu", name="hidden"),
    dropout=lambda: kl.Dropout(0.1),
    more=lambda h: h,
    end=lambda: kl.Dense(2, name="end"),
    kind=keras.Model,
):
    first = keras.Input((4,), name="first")
    h = more(dropout()(hidden()(first)))
    return randomise(kind(first, end()(h)))


def randomise(made, seed=0):
    rng = np.random.default_rng(seed)
    for variable in made.variables:
        if "seed" not in variable.path:
            positive = "variance" in variable.path or "gamma" in variable.path
            values = rng.normal(0, 1, variable.shape)
            variable.assign(np.abs(values) + 0.3 if positive else values)
    return made


def sequential(kind=keras.Sequential, **kwargs):
    layers = [keras.Input((4,)), kl.Dense(5, "relu"), kl.Dropout(0.1), kl.Dense(2, **kwargs)]
    return randomise(kind(layers))


def nested(kind):
    inside = keras.Input((4,))
    tower = kind(inside, kl.Dropout(0.1)(kl.Dense(4, "relu")(inside)), name="tower")
    return model(more=tower, hidden=lambda: kl.Dense(4, "relu"))


def with_instance_call():
    made = model()
    return patched(made)


double = functools.partial(keras.ops.multiply, 2.0)
#: What is not Keras's own, and a part of what the error says of it.
IMPOSTORS = {
    **{
        f"a function named {name}": (
            lambda name=name: model(end=lambda: kl.Dense(2, functions(name), name="end")),
            f"layer 'end' (Dense) has a function of your own as its activation, '{name}'",
        )
        for name in FUNCTIONS
    },
    "relu clipped at 60": (
        lambda: model(hidden=lambda: kl.Dense(5, functions("relu"), name="hidden")),
        "layer 'hidden' (Dense) has a function of your own",
    ),
    "a partial relu": (
        lambda: model(
            hidden=lambda: kl.Dense(5, functools.partial(keras.activations.relu, max_value=6))
        ),
        "has a function of your own",
    ),
    "a layer as activation": (
        lambda: model(hidden=lambda: kl.Dense(5, kl.ReLU(max_value=6))),
        "has a layer as its activation, ReLU: put that layer behind it",
    ),
    "Activation of a function": (
        lambda: model(more=kl.Activation(functions("relu"), name="odd")),
        "layer 'odd' (Activation) has a function of your own",
    ),
    "Dense that is a subclass": (
        lambda: model(hidden=lambda: like(kl.Dense, double)(5, "relu", name="hidden")),
        "layer 'hidden' (Dense) is a class of your own",
    ),
    "ReLU that is a subclass": (
        lambda: model(more=like(kl.ReLU, double)(name="odd")),
        "use keras.layers.ReLU itself",
    ),
    "BatchNormalization that is a subclass": (
        lambda: model(more=like(kl.BatchNormalization, double)()),
        "use keras.layers.BatchNormalization itself",
    ),
    **{
        f"{name} that is not": (
            lambda name=name: model(more=apart(name)(name="odd")),
            f"layer 'odd' ({name}) is not one of Keras's own layers",
        )
        for name in ("Dense", "Dropout", "ReLU", "Flatten", "GaussianDropout", "Softmax")
    },
    "Add that is not": (
        lambda: model(more=lambda h: apart("Add")(name="odd")([h, h])),
        "layer 'odd' (Add) is not one of Keras's own layers",
    ),
    "dropout that is always on": (
        lambda: model(dropout=lambda: AlwaysOn(0.1, name="odd")),
        "use keras.layers.Dropout itself, because dropout is always on here",
    ),
    "call put on a layer": (
        lambda: model(hidden=lambda: patched(kl.Dense(5, "relu", name="hidden"))),
        "layer 'hidden' (Dense) has a 'call' of its own",
    ),
    "call of a model": (lambda: model(kind=Doubled), "(Doubled) has a 'call' of its own"),
    "call of a Sequential": (
        lambda: sequential(DoubledSequential), "(DoubledSequential) has a 'call' of its own",
    ),
    "__call__ of a model": (lambda: model(kind=Called), "(Called) has a '__call__' of its own"),
    "predict_step": (lambda: model(kind=Stepped), "(Stepped) has a 'predict_step' of its own"),
    "call put on a model": (with_instance_call, "has a 'call' of its own"),
    "a nested model": (lambda: nested(Doubled), "model 'tower' (Doubled) has a 'call' of its own"),
}  # fmt: skip


@pytest.mark.parametrize("case", IMPOSTORS)
def test_what_is_not_keras_s_own_is_refused_by_name(case):
    build, says = IMPOSTORS[case]
    with pytest.raises(InputError) as refused:
        Network.from_keras(build())
    assert says in str(refused.value)


#: Keras's own in another guise: read.
GENUINE = {
    "train_step": lambda: model(kind=Trained),
    "nested train_step": lambda: nested(Trained),
    **{
        f"{name} {i}": lambda name=name, i=i: model(end=lambda: kl.Dense(2, SAME[name][i]))
        for name in ("softmax", "sigmoid")
        for i in range(3)
    },
    **{
        f"relu {i}": lambda i=i: model(hidden=lambda: kl.Dense(5, SAME["relu"][i]))
        for i in range(3)
    },
    "a loss that cannot be stored": lambda: compiled(lambda a, b: a - b),
}


def compiled(loss):
    made = model()
    made.compile("adam", loss=loss)
    return made


@pytest.mark.parametrize("case", GENUINE)
def test_keras_s_own_is_read(case):
    made = GENUINE[case]()
    x = np.random.default_rng(1).normal(size=(20, 4)).astype("float32")
    np.testing.assert_allclose(
        predict(Network.from_keras(made), x), made.predict(x, verbose=0), rtol=1e-4, atol=1e-5
    )


# ------------------------------------------------- what identity cannot see: Keras itself altered

ALTERED = {
    "clipped at 60": lambda y: keras.ops.clip(y, -60, 60),
    "clipped at 1e6": lambda y: keras.ops.clip(y, -1e6, 1e6),
    "rounded": lambda y: keras.ops.round(y * 100) / 100,
    "a dead zone": lambda y: keras.ops.where(keras.ops.abs(y) < 1, 0 * y, y),
    "a part in a thousand": lambda y: 1.001 * y,
    "an offset": lambda y: y + 0.01,
    "negative side": lambda y: keras.ops.where(y < 0, 1.1 * y, y),
    "units exchanged": lambda y: keras.ops.flip(y, axis=-1),
    "another shape": lambda y: y[..., :1],
}


def alter(monkeypatch, kind, change):
    """Let a class of Keras itself compute something else, for the rest of the test."""
    plain = kind.call

    @functools.wraps(plain)
    def call(self, *args, **kwargs):
        return change(plain(self, *args, **kwargs))

    monkeypatch.setattr(kind, "call", call)


@pytest.mark.parametrize("how", ALTERED)
def test_an_altered_layer_is_found_by_its_values(how, monkeypatch):
    made = model(hidden=lambda: kl.Dense(5, name="hidden"), more=kl.ReLU())
    Network.from_keras(made)
    alter(monkeypatch, kl.Dense, ALTERED[how])
    with pytest.raises(InputError, match=r"'hidden' \(Dense\) computes something else than Keras"):
        Network.from_keras(made)


@pytest.mark.parametrize(
    "how", ["clipped at 60", "clipped at 1e6", "a part in a thousand", "an offset"]
)
@pytest.mark.parametrize("part", ["whole", "tower"])
def test_an_altered_model_is_found_by_its_values(part, how, monkeypatch):
    made = nested(keras.Model)
    Network.from_keras(made)
    plain = type(made).call

    def call(self, *args, **kwargs):
        y = plain(self, *args, **kwargs)
        return ALTERED[how](y) if (self is made) == (part == "whole") else y

    monkeypatch.setattr(type(made), "call", call)
    name = made.name if part == "whole" else "tower"
    with pytest.raises(InputError, match=f"model '{name}' .* computes something else than its"):
        Network.from_keras(made)


@pytest.mark.parametrize("end", ["softmax", "sigmoid"])
def test_a_head_that_is_steeper_is_found_by_its_values(end, monkeypatch):
    made = model(end=lambda: kl.Dense(3, end, name="end"))
    alter(monkeypatch, kl.Dense, lambda y: y if y.shape[-1] == 5 else y**1.01)
    with pytest.raises(InputError, match=r"'end' .* computes something else"):
        Network.from_keras(made)


@pytest.mark.parametrize("kind", [kl.Dropout, kl.SpatialDropout1D])
@pytest.mark.parametrize("how", ["never", "unscaled"])
def test_dropout_that_does_not_drop_is_found(kind, how, monkeypatch):
    first = keras.Input((5, 4))
    h = kind(0.3, name="odd")(kl.Conv1D(4, 1, activation="relu")(first))
    made = keras.Model(first, kl.Dense(1)(kl.Flatten()(h)))
    Network.from_keras(made)
    plain = kind.call

    def call(self, inputs, training=False):
        y = plain(self, inputs, training=training)
        return inputs if how == "never" else (1 - self.rate * training) * y

    monkeypatch.setattr(kind, "call", call)
    with pytest.raises(InputError, match=f"'odd' .{kind.__name__}. does not drop as Keras"):
        Network.from_keras(made)


def test_arrays_and_masks_beside_the_input_are_refused():
    """An array is not a layer's value: left out in silence, the sum would be another."""
    add = kl.Add(name="shifted")
    with pytest.raises(InputError, match=r"'shifted' \(Add\) is called with an array beside"):
        Network.from_keras(model(more=lambda h: add([h, keras.ops.ones((1, 5))])))
    first = keras.Input((4,))
    h = kl.Dropout(0.1)(kl.Dense(3, "relu")(first))
    z, mask = kl.Dense(3)(h), kl.Dense(3)(first)
    made = keras.Model(first, kl.Softmax(name="odd")(z, mask=mask))
    with pytest.raises(InputError, match=r"'odd' .* called with 2 tensors, such as a mask"):
        Network.from_keras(made)


# ------------------------------------------------------------------------------- generated


def drawn(rng):
    """Return a random model of all kinds of layers that are read, and those layers."""
    used = []

    def add(layer, *tensors):
        used.append(layer)
        return layer(list(tensors) if len(tensors) > 1 else tensors[0])

    first = h = keras.Input([(5,), (7, 3), (6, 6, 2)][rng.integers(3)])
    for _ in range(rng.integers(1, 5)):
        rank, kind = len(h.shape) - 2, rng.integers(6)
        if kind == 0:
            h = add(kl.BatchNormalization(), h)
        elif kind == 1:
            h = add(kl.Concatenate(), h, add(kl.Dense(3, "relu"), h))
        elif kind == 2:
            h = add(kl.Add(), h, add(kl.ReLU(), add(kl.Dense(h.shape[-1]), h)))
        elif rank == 0:
            h = add(kl.GaussianDropout(0.1), add(kl.Activation("relu"), add(kl.Dense(6), h)))
        elif kind == 3:
            h = add([kl.AveragePooling1D, kl.AveragePooling2D][rank - 1](2, padding="same"), h)
        elif kind == 4:
            conv = [kl.Conv1D, kl.Conv2D][rank - 1](4, 2, padding="same", activation="relu")
            h = add([kl.SpatialDropout1D, kl.SpatialDropout2D][rank - 1](0.2), add(conv, h))
        else:
            h = add([kl.GlobalAveragePooling1D, kl.GlobalAveragePooling2D][rank - 1](), h)
    if len(h.shape) > 2:
        h = add(kl.Flatten(), h)
    h = add(kl.Dropout(0.1), add(kl.Dense(6, "relu"), h))
    h = add(kl.Dense(3, [None, "softmax", "sigmoid"][rng.integers(3)]), h)
    return randomise(keras.Model(first, h), seed=rng.integers(99)), used


def plant(rng, layers, monkeypatch):
    """Alter one of the layers in one of the ways there are; return what was done."""
    layer = layers[rng.integers(len(layers))]
    ways = ["class", "instance", "subclass"] + ["function"] * hasattr(layer, "activation")
    way = ways[rng.integers(len(ways))]
    if way == "class":
        alter(monkeypatch, type(layer), ALTERED["a part in a thousand"])
    elif way == "instance":
        patched(layer)
    elif way == "subclass":
        layer.__class__ = like(type(layer), double)
    else:
        name = layer.activation.__name__
        layer.activation = functions(name)
    return f"{way} of {layer.name}"


@pytest.mark.parametrize(("seed", "planted"), [*itertools.product(range(8), [False, True])])
def test_random_models_are_read_exactly_or_refused(seed, planted, monkeypatch):
    rng = np.random.default_rng(seed)
    made, layers = drawn(rng)
    if planted:
        what = plant(rng, layers, monkeypatch)
        with pytest.raises(InputError, match=r"of its own|of your own|something else"):
            pytest.fail(f"read in spite of: {what}, as {Network.from_keras(made)}")
        return
    x = rng.normal(size=(20, *made.inputs[0].shape[1:])).astype("float32")
    expected = np.asarray(made(x, training=False))
    got = predict(Network.from_keras(made), x)
    assert np.abs(got - expected).max() < 1e-5 * max(np.abs(expected).max(), 1)


# ------------------------------------------------------------------ what the guard must not do


@pytest.mark.parametrize("policy", ["float16", "bfloat16", "mixed_float16", "mixed_bfloat16"])
def test_half_precision_is_read_with_its_rounding(policy):
    keras.config.set_dtype_policy(policy)
    try:
        made = model(more=kl.BatchNormalization())
    finally:
        keras.config.set_dtype_policy("float32")
    network = Network.from_keras(made)
    kernel = np.asarray(made.get_layer("hidden").kernel, "float32")
    np.testing.assert_array_equal(network["hidden"].weights, kernel)
    assert network["hidden"].weights.dtype == np.float32


def test_reading_leaves_no_trace():
    made = model(more=kl.BatchNormalization())
    made.compile("adam", "mse")
    before = [np.asarray(variable) for variable in made.variables]
    nodes = len(made.get_layer("hidden")._inbound_nodes)
    Network.from_keras(made)
    for old, new in zip(before, made.variables, strict=True):
        np.testing.assert_array_equal(old, np.asarray(new))
    assert len(made.get_layer("hidden")._inbound_nodes) == nodes
    assert made.losses == []


def test_a_model_with_a_fixed_number_of_rows_is_read():
    first = keras.Input(batch_shape=(3, 4))
    h = kl.Dropout(0.1)(kl.Dense(5, "relu")(first))
    made = randomise(keras.Model(first, kl.Dense(1)(h)))
    x = np.ones((3, 4), "float32")
    np.testing.assert_allclose(predict(Network.from_keras(made), x), np.asarray(made(x)), rtol=1e-5)


def test_inputs_of_whole_numbers_are_refused():
    """Keras cuts fractions off there, which no network here does."""
    first = keras.Input((4,), dtype="int32", name="counts")
    h = kl.Dropout(0.1)(kl.Dense(5, "relu")(first))
    with pytest.raises(InputError, match=r"'counts' takes int32.*dtype='float32'"):
        Network.from_keras(keras.Model(first, kl.Dense(1)(h)))
