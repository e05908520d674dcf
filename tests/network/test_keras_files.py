"""Model files of other kinds, other number formats, and what keras.json or the shell ask for."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from keras import layers as kl

from spikedrop.errors import InputError
from spikedrop.network import Network
from spikedrop.network.keras_file import read_model
from spikedrop.sampling.ann import predict


def small(policy="float32", seed=0):
    keras.utils.set_random_seed(seed)
    kwargs = {"dtype": policy}
    return keras.Sequential(
        [
            keras.Input((4,), name="first"),
            kl.Dense(6, "relu", name="hidden", **kwargs),
            kl.BatchNormalization(**kwargs),
            kl.Dropout(0.2, **kwargs),
            kl.Dense(2, name="end", **kwargs),
        ]
    )


# ------------------------------------------------------------------------ other files

OTHER = {
    "m.h5": "a legacy HDF5 model; in Keras 3: model = keras.saving.load_model('m.h5'",
    "m.HDF5": "a legacy HDF5 model",
    "m.weights.h5": "weights without layers; build the model in Keras and call its load_weights",
    "m.tflite": "a TensorFlow Lite model",
    "m.onnx": "an ONNX model; build the same layers in Keras",
    "m.pt": "a PyTorch model; build the same layers in Keras",
    "m.pkl": "a pickle, which runs code when it is opened",
    "saved_model.pb": "part of a TensorFlow SavedModel",
}


@pytest.mark.parametrize("name", OTHER)
def test_other_files_say_how_to_make_a_keras_file_of_them(tmp_path, name):
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(InputError) as refused:
        read_model(tmp_path / name)
    assert f"{name}: is {OTHER[name]}" in str(refused.value)
    assert str(refused.value).endswith(f"then model.save('{name.split('.')[0]}.keras').")


def test_a_saved_model_folder_says_how_to_make_a_keras_file_of_it(tmp_path):
    small().export(tmp_path / "m", verbose=False)
    with pytest.raises(InputError, match=r"m: is a TensorFlow SavedModel; .*save\('m.keras'\)"):
        read_model(tmp_path / "m")


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_what_is_said_of_an_h5_file_is_true(tmp_path):
    made = small()
    made.save(tmp_path / "m.h5")
    again = keras.saving.load_model(tmp_path / "m.h5", compile=False)
    again.save(tmp_path / "m.keras")
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    expected = predict(Network.from_keras(made), x)
    np.testing.assert_array_equal(predict(read_model(tmp_path / "m.keras"), x), expected)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("form", ["sequential", "functional"])
def test_keras_2_files_say_how_to_make_a_keras_file_of_them_and_it_is_true(tmp_path, form):
    old = pytest.importorskip("tf_keras")
    layers = [old.layers.Dense(6, "relu"), old.layers.Dropout(0.2), old.layers.Dense(2)]
    if form == "sequential":
        made = old.Sequential([old.layers.InputLayer((4,)), *layers])
    else:
        first = h = old.Input((4,))
        for layer in layers:
            h = layer(h)
        made = old.Model(first, h)
    with pytest.raises(InputError, match=r"is not a Keras 3 model: save it .*\.h5"):
        Network.from_keras(made)
    made.save(tmp_path / "m.keras")
    with pytest.raises(InputError, match=r"was saved by Keras 2, .* save it there with .*\.h5"):
        read_model(tmp_path / "m.keras")
    made.save(tmp_path / "m.h5")
    keras.saving.load_model(tmp_path / "m.h5", compile=False).save(tmp_path / "new.keras")
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    got = predict(read_model(tmp_path / "new.keras"), x)
    np.testing.assert_allclose(got, made.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
def test_quantized_files_say_so(tmp_path):
    made = small()
    made.quantize("int8")
    made.save(tmp_path / "m.keras")
    with pytest.raises(InputError, match=r"quantized .*save the model before it is quantized"):
        read_model(tmp_path / "m.keras")


# --------------------------------------------------------------------- number formats


@pytest.mark.parametrize(
    "policy", ["bfloat16", "float16", "mixed_bfloat16", "mixed_float16", "float64"]
)
@pytest.mark.parametrize("name", ["m.keras", "M.KERAS"])
def test_files_in_other_number_formats_are_read(tmp_path, policy, name):
    made = small(policy)
    made.save(tmp_path / "m.keras")
    (tmp_path / "m.keras").rename(tmp_path / name)
    network = read_model(tmp_path / name)
    for layer in ("hidden", "end"):
        kernel = np.asarray(made.get_layer(layer).kernel).astype("float32")
        if layer == "hidden":
            np.testing.assert_array_equal(network[layer].weights, kernel)
        assert network[layer].weights.dtype == np.float32
    rounding = {"bfloat16": 2**-7, "float16": 2**-10}.get(policy.removeprefix("mixed_"), 1e-6)
    x = np.random.default_rng(0).normal(size=(50, 4)).astype("float32")
    expected = np.asarray(keras.ops.cast(made(x, training=False), "float32"))
    assert np.abs(predict(network, x) - expected).max() < 4 * rounding * np.abs(expected).max()


def test_opaque_values_that_are_not_bfloat16_are_refused(tmp_path):
    import h5py

    small("bfloat16").save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    (tmp_path / "w.h5").write_bytes(kept["model.weights.h5"])
    with h5py.File(tmp_path / "w.h5", "r+") as found:
        del found["layers/dense/vars/0"].attrs["dtype"]
    kept["model.weights.h5"] = (tmp_path / "w.h5").read_bytes()
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        for name, data in kept.items():
            archive.writestr(name, data)
    with pytest.raises(InputError, match="not numbers"):
        read_model(tmp_path / "m.keras")


# ------------------------------------------------------- keras.json, and the shell

TRAIN = """
import hashlib, sys, warnings
import numpy as np
from spikedrop.network import Network
from spikedrop.training.keras import train
x = np.random.default_rng(0).normal(size=(40, 3))
model = train(x[:30], x[:30].sum(1), (x[30:], x[30:].sum(1)), seed=1, hidden=(8,), epochs=2)
network = Network.from_keras(model)
values = b"".join(w.tobytes() for w in model.get_weights())
import keras
print(hashlib.sha256(values).hexdigest(), model.dtype, keras.config.backend(),
      keras.config.floatx(), network.n_neurons)
"""
SAYS_SO = "KERAS_BACKEND=torch: spikedrop uses Keras with TensorFlow, so this process does."


def run(code, **environment):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("KERAS_")}
    return subprocess.run(
        [sys.executable, "-W", "always", "-c", code],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def here():
    """What the seed trains in this process."""
    from spikedrop.training.keras import train

    x = np.random.default_rng(0).normal(size=(40, 3))
    made = train(x[:30], x[:30].sum(1), (x[30:], x[30:].sum(1)), seed=1, hidden=(8,), epochs=2)
    return hashlib.sha256(b"".join(w.tobytes() for w in made.get_weights())).hexdigest()


def test_a_seed_trains_the_same_whatever_keras_json_and_the_shell_say(tmp_path, here):
    asked = {"floatx": "float64", "epsilon": 1e-2, "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps({**asked, "backend": "jax"}))
    result = run(TRAIN, KERAS_HOME=str(tmp_path), KERAS_BACKEND="torch")
    assert result.stdout.split() == [here, "float32", "tensorflow", "float64", "8"], result.stderr
    assert result.stderr.count(SAYS_SO) == 1


@pytest.mark.parametrize("floatx", ["float16", "bfloat16", "float64"])
def test_a_seed_trains_the_same_whatever_floatx_is_set(floatx, here):
    from spikedrop.training.keras import train

    x = np.random.default_rng(0).normal(size=(40, 3))
    before = keras.config.dtype_policy()
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(floatx)
    try:
        made = train(x[:30], x[:30].sum(1), (x[30:], x[30:].sum(1)), seed=1, hidden=(8,), epochs=2)
        assert (keras.config.floatx(), keras.config.dtype_policy().name) == (floatx, floatx)
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy(before)
    assert hashlib.sha256(b"".join(w.tobytes() for w in made.get_weights())).hexdigest() == here


def test_keras_with_another_backend_is_one_true_line(monkeypatch):
    from spikedrop.network.keras_import import import_keras

    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(InputError, match=r"backend 'jax'.*set KERAS_BACKEND=tensorflow"):
        import_keras()
