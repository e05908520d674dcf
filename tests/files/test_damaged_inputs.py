"""Every damaged or hostile input through the command line: one line, exit code 2, nothing left."""

import json
import os
import pickle
import shutil
import stat
import struct
import typing
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import zarr
from typer.models import OptionInfo
from typer.testing import CliRunner

from spikedrop import Network, calibrate, sample_to_store
from spikedrop.cli import app
from spikedrop.network.keras_file import load_keras, read_model
from spikedrop.store.layout import read_layout, seal
from tests import hostile_models as hm

# Keras reads its own TensorFlow variables in a way that NumPy 2 announces to end.
kl = keras.layers
ROWS = 6
HEADER = "a,b,c\n"


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A folder of files that all can be used."""
    folder = tmp_path_factory.mktemp("sound")
    keras.utils.set_random_seed(0)
    dense = [kl.Dense(8, activation="relu", name=name) for name in ("dense", "dense_1")]
    model = keras.Sequential(
        [keras.Input((3,)), dense[0], kl.Dropout(0.2), dense[1], kl.Dense(1, name="out")]
    )
    model.save(folder / "model.keras")
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(ROWS, 3)), columns=list("abc"))
    table.to_csv(folder / "x.csv", index=False)
    table.to_parquet(folder / "x.parquet", index=False)
    np.save(folder / "x.npy", table.to_numpy())
    pd.DataFrame({"y": range(ROWS)}).to_csv(folder / "truth.csv", index=False)
    many = pd.DataFrame(np.random.default_rng(1).normal(size=(20, 3)), columns=list("abc"))
    many.to_csv(folder / "table.csv", index=False)
    network = Network.from_keras(model)
    x = table.to_numpy(np.float32)
    for name, conversion in (("ann", None), ("snn", calibrate(network, x))):
        sample_to_store(
            folder / f"{name}.zarr", network, x, draws=4, seed=0, conversion=conversion, steps=10
        )
    return folder


@pytest.fixture
def folder(sound, tmp_path, monkeypatch):
    shutil.copytree(sound, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def npy(value, header=None, name="x.npy"):
    """Write an array, or another header before its values."""

    def change(folder):
        with (folder / name).open("wb") as file:
            if header is None:
                np.save(file, value, allow_pickle=True)
            else:
                text = str(header).encode()
                text += b" " * (-(len(text) + 11) % 64) + b"\n"
                file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)
                file.write(np.asarray(value).tobytes())

    return change


def parquet(columns):
    return lambda folder: pd.DataFrame(columns).to_parquet(folder / "x.parquet", index=False)


def metadata(name, edit):
    """Change a file of JSON in a store."""

    def change(folder):
        file = folder / name
        found = json.loads(file.read_text())
        edit(found)
        file.write_text(json.dumps(found))

    return change


def chunk_flipped(folder):
    file = next(path for path in (folder / "snn.zarr/samples").glob("c.*") if path.is_file())
    data = bytearray(file.read_bytes())
    data[5] ^= 255
    file.write_bytes(data)


def chunk_gone(folder):
    next((folder / "snn.zarr/samples").glob("c.*")).unlink()


def other_inputs(folder):
    layout = read_layout(folder / "snn.zarr")
    attributes = layout.attributes | {"inputs_sha256": "0"}
    attributes["sha256"] = seal(attributes, layout.grid)
    metadata("snn.zarr/zarr.json", lambda found: found.update(attributes=attributes))(folder)


def foreign(folder):
    shutil.rmtree(folder / "snn.zarr")
    zarr.create_array(folder / "snn.zarr", shape=(2, 2), dtype="f4")[:] = 1


def fifo(folder):
    (folder / "x.csv").unlink()
    os.mkfifo(folder / "x.csv")


def nothing(folder):
    pass


def huge(shape):
    return {"descr": "<f8", "fortran_order": False, "shape": shape}


SAMPLE = "sample model.keras x.csv -o out.zarr --draws 4 --network ann"
NPY, PARQUET = SAMPLE.replace("x.csv", "x.npy"), SAMPLE.replace("x.csv", "x.parquet")
COMPARE, SCORE = "compare ann.zarr snn.zarr", "score snn.zarr truth.csv"
TRAIN = "train table.csv --target c -o new.keras --epochs 1 --hidden 4"
LAMBDA = {"function": {"class_name": "__lambda__", "config": {"value": "4wEAAAA="}}}
SYSTEM = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
LINK = stat.S_IFLNK | 0o777

#: name: (damage, command, part of the message)
MODELS = {
    "missing": (hm.gone("model.keras"), SAMPLE, "model.keras: No such file"),
    "a folder": (hm.folder_instead("model.keras"), SAMPLE, "is a folder"),
    "empty": (hm.content("model.keras", ""), SAMPLE, "the file is empty"),
    "suffix": (nothing, SAMPLE.replace("model.keras", "truth.csv"), "unknown kind of file '.csv'"),
    "text": (hm.content("model.keras", "not a zip"), SAMPLE, "not a sound .keras archive"),
    "cut": (hm.cut("model.keras"), SAMPLE, "not a sound .keras archive"),
    "../": (hm.member("../evil.txt", b"x"), SAMPLE, "outside its folder"),
    "absolute": (hm.member("/evil.txt", b"x"), SAMPLE, "outside its folder"),
    "backslash": (hm.member("..\\evil.txt", b"x"), SAMPLE, "outside its folder"),
    "link": (hm.member("assets", b"/etc/passwd", LINK), SAMPLE, "is a link"),
    "bomb": (hm.raw_config(b" " * 10**7), SAMPLE, "unpacks to 10,000,000 bytes"),
    "pickle": (hm.member("extra.pkl", pickle.dumps(1)), SAMPLE, "a model holds config.json"),
    "no config": (
        lambda f: hm.rewrite(f / "model.keras", {"config.json": None}), SAMPLE, "a model holds",
    ),
    "no weights": (
        lambda f: hm.rewrite(f / "model.keras", {hm.WEIGHTS: None}), SAMPLE, "a model holds",
    ),
    "config no JSON": (hm.raw_config(b"{"), SAMPLE, "no JSON"),
    "config too deep": (hm.raw_config(b"[" * 10**5), SAMPLE, "no JSON"),
    "config not UTF-8": (hm.raw_config(b"\xff\xfe"), SAMPLE, "no JSON"),
    "config a list": (hm.raw_config(b"[1]"), SAMPLE, "holds 'list'"),
    "own model": (
        hm.config(lambda c, layers: c.update(class_name="Mine", module="mine")), SAMPLE,
        "holds 'Mine'",
    ),
    "lambda": (hm.layer("Lambda", **LAMBDA), SAMPLE, "layer 'odd' (Lambda) cannot be converted"),
    "saved model": (hm.layer("TFSMLayer", filepath="x"), SAMPLE, "(TFSMLayer) cannot be"),
    "torch": (hm.layer("TorchModuleWrapper", module=None), SAMPLE, "not a part of Keras"),
    "own layer": (hm.layer("Dense", module="mine"), SAMPLE, "'Dense' of 'mine'"),
    "os.system": (hm.setting(1, activation=SYSTEM), SAMPLE, "'function' of 'os'"),
    "registered": (
        hm.config(lambda c, layers: layers[1].update(registered_name="mine>Dense")), SAMPLE,
        "not loaded",
    ),
    "max pooling": (hm.layer("MaxPooling1D"), SAMPLE, "use AveragePooling"),
    "no dropout": (hm.config(hm.drop_dropout), SAMPLE, "has no Dropout layer"),
    "dropout 1": (hm.setting(2, rate=1.0), SAMPLE, "rate must be at least 0 and below 1"),
    "tanh": (hm.setting(1, activation="tanh"), SAMPLE, "has activation 'tanh'"),
    "unknown setting": (hm.setting(1, wings=2), SAMPLE, "cannot be read as a Keras model"),
    "a word for a number": (hm.setting(1, units="many"), SAMPLE, "cannot be read"),
    "10^9 units": (hm.setting(1, units=10**9), SAMPLE, "ask for at least 3,000,000,000 weights"),
    "10^12 inputs": (hm.setting(0, batch_shape=[None, 10**12]), SAMPLE, "too large"),
    "more units": (hm.setting(3, units=9), SAMPLE, "model.keras: "),
    "weights text": (
        lambda f: hm.rewrite(f / "model.keras", {hm.WEIGHTS: b"x" * 99}), SAMPLE, "cannot be read",
    ),
    "weights missing": (hm.weights(lambda h: h["layers"].pop("dense")), SAMPLE, "model.keras: "),
    "weights NaN": (hm.weights(hm.nan_kernel), SAMPLE, "NaN or infinite weights"),
    "weights words": (
        hm.weights(hm.replace_kernel(np.array([[b"x"] * 8] * 3))), SAMPLE, "not numbers",
    ),
    "weights transposed": (hm.weights(hm.replace_kernel(np.ones((8, 3)))), SAMPLE, "cannot be"),
    "weights claimed": (hm.weights(hm.claim_kernel), SAMPLE, "claims 4,000,000,000,"),
    "weights elsewhere": (hm.weights(hm.link_out), SAMPLE, "link to elsewhere"),
    "weights of a file": (hm.weights(hm.read_out), SAMPLE, "from another file"),
}  # fmt: skip
TABLES = {
    "csv missing": (hm.gone("x.csv"), SAMPLE, "x.csv: No such file"),
    "csv a folder": (hm.folder_instead("x.csv"), SAMPLE, "is a folder"),
    "csv a pipe": (fifo, SAMPLE, "is not a regular file"),
    "csv empty": (hm.content("x.csv", ""), SAMPLE, "the file is empty"),
    "csv without rows": (hm.content("x.csv", HEADER), SAMPLE, "has no rows"),
    "csv without names": (hm.content("x.csv", "1,2,3\n4,5,6\n"), SAMPLE, "line 1: holds numbers"),
    "csv blank": (hm.content("x.csv", "\n\n"), SAMPLE, "no column names"),
    "csv NaN": (hm.content("x.csv", HEADER + "1,2,3\n1,NaN,3\n"), SAMPLE, "line 3, column 'b'"),
    "csv infinite": (hm.content("x.csv", HEADER + "1,2,-inf\n"), SAMPLE, "line 2, column 'c'"),
    "csv too large": (hm.content("x.csv", HEADER + "1,2,1e300\n"), SAMPLE, "too large for float32"),
    "csv word": (hm.content("x.csv", HEADER + "1,2,3\n1,red,3\n"), SAMPLE, "'red' is not a number"),
    "csv not UTF-8": (hm.content("x.csv", b"a,b,c\n1,\xff,3\n"), SAMPLE, "not UTF-8"),
    "csv names not UTF-8": (hm.content("x.csv", b"a,\xff,c\n1,2,3\n"), SAMPLE, "not UTF-8"),
    "csv null bytes": (hm.content("x.csv", b"a,b,c\n1,\x00,3\n"), SAMPLE, "x.csv"),
    "csv longer row": (hm.content("x.csv", HEADER + "1,2,3\n1,2,3,4\n"), SAMPLE, "x.csv, line 3"),
    "csv longer rows": (hm.content("x.csv", HEADER + "1,2,3,4\n"), SAMPLE, "has 4 fields"),
    "csv shorter row": (hm.content("x.csv", HEADER + "1,2,3\n1,2\n"), SAMPLE, "line 3"),
    "csv open quote": (hm.content("x.csv", HEADER + '1,2,"3\n1,2,3\n'), SAMPLE, "x.csv"),
    "csv doubled name": (hm.content("x.csv", "a,a,b\n1,2,3\n"), SAMPLE, "occurs twice"),
    "csv too narrow": (hm.content("x.csv", "a,b\n1,2\n"), SAMPLE, "takes 3 inputs"),
    "csv no target": (nothing, SAMPLE + " --target y", "y is missing"),
    "suffix unknown": (nothing, SAMPLE.replace("x.csv", "model.keras"), "unknown kind of file"),
    "null in the name": (nothing, [*SAMPLE.split()[:2], "a\0.csv", *SAMPLE.split()[3:]], "null"),
    "npy cut": (hm.cut("x.npy", 0.8), NPY, "not a sound .npy array"),
    "npy header cut": (hm.cut("x.npy", 0.1), NPY, "not a sound .npy array"),
    "npy text": (hm.content("x.npy", "1 2 3"), NPY, "not a sound .npy array"),
    "npy objects": (npy(np.array([[{}, 1]], dtype=object)), NPY, "pickled Python objects"),
    "npy a pickle": (hm.content("x.npy", pickle.dumps([1, 2])), NPY, "not a sound .npy array"),
    "npy 10^12 rows": (npy(np.ones(3), huge((10**12, 3))), NPY, "not a sound .npy array"),
    "npy 10^30 rows": (npy(np.ones(3), huge((10**30, 3))), NPY, "not a sound .npy array"),
    "npy negative": (npy(np.ones(3), huge((-1, 3))), NPY, "x.npy"),
    "npy header code": (npy(np.ones(3), "__import__('os').getcwd()"), NPY, "a sound .npy array"),
    "npy one axis": (npy(np.ones(3)), NPY, "a row each"),
    "npy no rows": (npy(np.ones((0, 3))), NPY, "x.npy"),
    "npy complex": (npy(np.ones((2, 3), complex)), NPY, "expected real numbers"),
    "npy records": (npy(np.zeros(2, "f8,f8")), NPY, "expected real numbers"),
    "npy NaN": (npy(np.full((2, 3), np.nan)), NPY, "row 0, column 0"),
    "npy more bytes": (
        lambda f: (f / "x.npy").write_bytes((f / "x.npy").read_bytes() + b"x"), NPY, "another size",
    ),
    "npy wrong width": (npy(np.ones((2, 4))), NPY, "takes 3 inputs"),
    "parquet cut": (hm.cut("x.parquet", 0.6), PARQUET, "not a sound Parquet file"),
    "parquet text": (hm.content("x.parquet", "PAR1 no PAR1"), PARQUET, "not a sound Parquet file"),
    "parquet word": (parquet({"a": [1.0], "b": ["x"], "c": [1]}), PARQUET, "column 'b'"),
    "parquet missing value": (parquet({"a": [1, None], "b": 1, "c": 1}), PARQUET, "row 1, column"),
    "parquet no rows": (parquet({"a": [], "b": [], "c": []}), PARQUET, "x.parquet"),
    "train: no such column": (nothing, TRAIN.replace("target c", "target z"), "z is missing"),
    "train: word": (hm.content("table.csv", HEADER + "1,2,x\n"), TRAIN, "'x' is not a number"),
    "train: few rows": (hm.content("table.csv", HEADER + "1,2,3\n"), TRAIN, "at least 10"),
    "train: one value": (hm.content("table.csv", HEADER + "1,2,3\n" * 20), TRAIN, "one value"),
    "train: no inputs": (hm.content("table.csv", "c\n" + "1\n" * 20), TRAIN, "nothing to learn"),
}  # fmt: skip
STORES = {
    "store missing": (hm.gone("snn.zarr"), COMPARE, "there is no store"),
    "store foreign": (foreign, COMPARE, "not a store of samples"),
    "store newer": (
        metadata("snn.zarr/zarr.json", lambda m: m["attributes"].update(format=99)), COMPARE,
        "newer than format",
    ),
    "store no JSON": (hm.content("snn.zarr/zarr.json", "{"), COMPARE, "not JSON"),
    "store huge": (
        metadata("snn.zarr/samples/zarr.json", lambda m: m.update(shape=[10**12] * 3)), COMPARE,
        "damaged",
    ),
    "store not finished": (chunk_gone, COMPARE, "chunks are finished"),
    "store flipped bits": (chunk_flipped, COMPARE, "checksum is wrong"),
    "store flipped bits, scored": (chunk_flipped, SCORE, "checksum is wrong"),
    "store of other inputs": (
        other_inputs, COMPARE, "different inputs",
    ),
    "truth longer": (hm.content("truth.csv", "y\n" + "1\n" * 9), SCORE, "has 9 rows"),
    "truth with two columns": (nothing, SCORE.replace("truth", "x"), "--target"),
    "resumed with another seed": (nothing, SAMPLE.replace("out", "ann") + " --seed 1", "seed"),
    "resumed with other inputs": (
        hm.content("x.csv", HEADER + "1,2,3\n" * ROWS), SAMPLE.replace("out", "ann"), "ann.zarr",
    ),
    "resumed into something else": (
        lambda f: (f / "out.zarr").mkdir(), SAMPLE, "zarr.json: is missing",
    ),
}  # fmt: skip
WORDS = {
    "no folder": (nothing, SAMPLE.replace("out", "no/out"), "does not exist"),
    "output suffix": (nothing, SAMPLE.replace("out.zarr", "out.csv"), "must end in .zarr"),
    "output a file": (hm.content("out.zarr", "x"), SAMPLE, "out.zarr"),
    "no draws": (nothing, SAMPLE.replace("draws 4", "draws 0"), "--draws"),
    "draws a word": (nothing, SAMPLE.replace("draws 4", "draws many"), "--draws"),
    "seed negative": (nothing, SAMPLE + " --seed -1", "--seed"),
    "network unknown": (nothing, SAMPLE.replace("ann", "cnn"), "--network"),
    "no steps": (nothing, SAMPLE + " --steps 0", "--steps"),
    "no workers": (nothing, SAMPLE + " --workers 0", "--workers"),
    "no chunk": (nothing, SAMPLE + " --chunk 0", "--chunk"),
    "rate negative": (nothing, SAMPLE + " --rate -5", "--rate"),
    "memory NaN": (nothing, SAMPLE + " --memory nan", "--memory"),
    "option unknown": (nothing, SAMPLE + " --colour red", "--colour"),
    "argument missing": (nothing, "sample model.keras", "Missing"),
    "command unknown": (nothing, "resample model.keras", "Did you mean 'sample'"),
    "energy: rate": (nothing, "energy model.keras x.csv --rate 0", "--rate"),
    "energy: width": (nothing, "energy model.keras truth.csv", "takes 3 inputs"),
    "margin": (nothing, COMPARE + " --margin 2", "margin=2"),
    "train: hidden": (nothing, TRAIN.replace("hidden 4", "hidden 4,x"), "--hidden"),
    "train: dropout": (nothing, TRAIN + " --dropout 1", "--dropout"),
    "train: suffix": (nothing, TRAIN.replace("new.keras", "new.h5"), "must end in .keras"),
    "train: a folder": (lambda f: (f / "new.keras").mkdir(), TRAIN, "is a folder"),
    "simulate: too many": (nothing, "simulate s.csv --records 10000000", "pair conditions"),
    "simulate: one name": (nothing, "simulate s.csv --held-out ./s.csv", "one name"),
    "simulate: suffix": (nothing, "simulate s.xlsx", "must end in .csv or .parquet"),
    "demo: no folder": (nothing, "demo -o no/page.html", "does not exist"),
}
CASES = {**MODELS, **TABLES, **STORES, **WORDS}


def everything(folder):
    """Every file and folder below, hidden ones too, with the size of each file."""
    return {
        str(path.relative_to(folder)): path.stat().st_size if path.is_file() else None
        for path in sorted(folder.parent.rglob("*"))
        if path != folder and folder in path.parents
    }


@pytest.mark.parametrize("name", CASES)
def test_damage_is_one_line_and_exit_code_2_and_leaves_nothing(folder, name):
    damage, command, message = CASES[name]
    damage(folder)
    before = everything(folder)
    words = command if isinstance(command, list) else command.split()
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert result.stderr.startswith("spikedrop: ") and result.stderr.count("\n") == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr and len(result.stderr) < 600
    assert everything(folder) == before
    assert not Path("/evil.txt").exists() and not (folder.parent / "evil.txt").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("name", ["model.keras", "x.csv"])
def test_unreadable_files_are_refused(folder, name):
    (folder / name).chmod(0)
    result = CliRunner().invoke(app, SAMPLE.split())
    assert result.exit_code == 2 and "permission denied" in result.stderr


def test_sound_files_are_read_as_keras_reads_them(folder):
    ours, theirs = load_keras("model.keras"), keras.saving.load_model("model.keras")
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    x = np.load("x.npy")
    np.testing.assert_array_equal(ours.predict(x, verbose=0), theirs.predict(x, verbose=0))


def test_models_of_every_kind_of_layer_pass_the_door(tmp_path):
    a, b = keras.Input((6, 2), name="a"), keras.Input((4,), name="b")
    tower = keras.Sequential([kl.Dense(4, activation="relu"), kl.Dropout(0.1)], name="tower")
    h = kl.Conv1D(3, 3, activation="relu", kernel_regularizer="l2")(a)
    h = kl.SpatialDropout1D(0.2)(kl.BatchNormalization()(h))
    h = kl.Flatten()(kl.AveragePooling1D(2)(h))
    h = kl.Concatenate()([h, tower(b), tower(tower(b))])
    h = kl.GaussianDropout(0.1)(kl.ReLU()(kl.Dense(5, kernel_constraint="max_norm")(h)))
    model = keras.Model([a, b], kl.Dense(2, activation="softmax")(h))
    model.compile("adam", "mse")
    model.save(tmp_path / "graph.keras")
    read, direct = read_model(tmp_path / "graph.keras"), Network.from_keras(model)
    assert read.shapes == direct.shapes and read.dropout_rates == direct.dropout_rates
    for one, other in zip(read.layers, direct.layers, strict=True):
        np.testing.assert_array_equal(one.weights, other.weights)


def test_the_list_of_convertible_layers_is_what_the_reader_reads():
    from spikedrop.network.convertible import LAYERS
    from spikedrop.network.keras_layers import READERS

    assert set(LAYERS) == {kind.__name__ for kind in READERS}


# wrong values of every option of every command

BASE = {
    "simulate": "simulate s.csv",
    "train": TRAIN,
    "sample": SAMPLE.replace("ann", "snn"),
    "compare": COMPARE,
    "score": SCORE,
    "energy": "energy model.keras x.csv",
    "uci": "uci sets",
    "demo": "demo -o page.html",
}
WRONG = {
    int: ("-2", "2.5", "", str(2**80)),
    float: ("-1", "nan", "inf", "many"),
    Path: ("no/such.file", "folder", "a\0b"),
}


def parameters(command):
    """Every number and path that a command takes: its words, and what kind it is."""
    call = next(
        info.callback for info in app.registered_commands if info.callback.__name__ == command
    )
    for name, hint in typing.get_type_hints(call, include_extras=True).items():
        kinds = {kind for kind in WRONG if kind in (hint, *typing.get_args(hint)) or kind in
                 typing.get_args(next(iter(typing.get_args(hint)), None))}  # fmt: skip
        if not kinds:
            continue
        about = hint.__metadata__[0]
        flags = [flag for flag in about.param_decls or () if flag.startswith("--")]
        option = isinstance(about, OptionInfo)
        yield name, (flags or [f"--{name.replace('_', '-')}"])[0] if option else None, kinds.pop()


def wrong_calls(command):
    """Every way to call a command with one wrong number or path."""
    words, place = BASE[command].split(), 0
    for name, flag, kind in parameters(command):
        place += flag is None
        for value in WRONG[kind]:
            if (command, name) == ("uci", "work") or (name, value) == ("jobs", "-2"):
                continue  # a folder that is made; joblib's -2, all processors but one
            changed = (
                [*words, flag, value] if flag else [*words[:place], value, *words[place + 1 :]]
            )
            yield changed, (flag or "").strip("-"), value


@pytest.mark.parametrize("command", BASE)
def test_wrong_numbers_and_paths_are_one_line(folder, command):
    (folder / "folder").mkdir()
    before, calls = everything(folder), list(wrong_calls(command))
    assert len(calls) >= 6
    for words, flag, value in calls:
        result = CliRunner().invoke(app, words)
        line = result.stderr
        assert (result.exit_code, result.stdout) == (2, ""), (
            words,
            result.output,
            result.exception,
        )
        assert line.startswith("spikedrop: ") and line.count("\n") == 1, (words, line)
        assert len(line) < 600 and "Traceback" not in line, (words, line)
        name = flag.replace("-", "_")
        assert (flag and (flag in line or name in line)) or value.split("\0")[0] in line, (
            words,
            line,
        )
        assert everything(folder) == before, words
