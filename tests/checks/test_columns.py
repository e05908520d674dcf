"""Names of columns travel with a model; tables are matched by them, or refused by name."""

import json
import pickle
import shutil
import sys
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from typer.testing import CliRunner

import spikedrop as sd
from spikedrop import cli
from spikedrop.errors import InputError
from spikedrop.estimators import SpikingDropoutRegressor
from spikedrop.files import read_rows
from spikedrop.network.keras_file import read_model
from spikedrop.network.named import read_columns
from spikedrop.training.keras import train

SMALL = {"hidden": (8, 4), "epochs": 2, "batch_size": 32, "dropout": 0.2, "seed": 0}


def run(*words, code=0):
    result = CliRunner().invoke(cli.app, [str(word) for word in words])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def values_of(*words):
    """The one object that a command prints, and what stands on standard error."""
    result = run(*words, "--json")
    return json.loads(result.stdout), result.stderr


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal([0, 5, -20], [1, 2, 3], (200, 3)), columns=list("abc"))
    return frame.assign(y=frame["a"] - 2 * frame["b"])


@pytest.fixture(scope="module")
def folder(frame, tmp_path_factory):
    """A model trained by the command line on a, b, c, and the table."""
    folder = tmp_path_factory.mktemp("columns")
    frame.to_csv(folder / "t.csv", index=False)
    words = ("--target", "y", "-o", folder / "m.keras", "--hidden", "8,4", "--epochs", 2)
    run("train", folder / "t.csv", *words)
    return folder


def sampled(folder, tmp_path, frame, name="x.csv", model="m.keras", **more):
    write = frame.to_csv if name.endswith("csv") else frame.to_parquet
    write(tmp_path / name, **({"index": False} | more))
    store = tmp_path / f"{name}.zarr"
    told, stderr = values_of(
        *("sample", folder / model, tmp_path / name, "-o", store),
        *("--draws", 4, "--network", "ann"),
    )
    return sd.open_samples(store).to_numpy(), told["warnings"], stderr


def test_columns_are_found_by_name_whatever_their_order(folder, frame, tmp_path):
    expected, said, stderr = sampled(folder, tmp_path, frame[["a", "b", "c"]], "plain.csv")
    assert said == [] and stderr == ""
    plain = sd.sample_ann(read_model(folder / "m.keras"), frame[["a", "b", "c"]], draws=4, seed=0)
    np.testing.assert_array_equal(expected, plain.values)
    for name in ("moved.csv", "moved.parquet"):
        found, said, stderr = sampled(folder, tmp_path, frame[["c", "a", "b"]], name)
        np.testing.assert_array_equal(found, expected)
        assert len(said) == 1 and f"{name}: columns are put into the order of" in said[0]
        assert stderr == f"spikedrop: warning: {said[0]}\n"
    found, said, _ = sampled(folder, tmp_path, frame, "target.csv")
    np.testing.assert_array_equal(found, expected)
    assert len(said) == 1 and "'y' is the target of" in said[0] and "left out" in said[0]
    found, said, _ = sampled(folder, tmp_path, frame[["a", "b", "c"]], "index.csv", index=True)
    np.testing.assert_array_equal(found, expected)
    assert len(said) == 1 and "numbers the rows" in said[0]
    wells = frame[["c", "b", "a"]].rename_axis("well")
    wells.index += 7
    found, said, _ = sampled(folder, tmp_path, wells, "wells.parquet", index=True)
    np.testing.assert_array_equal(found, expected)
    assert len(said) == 2 and "'well' numbers the rows" in said[0]


def test_energy_finds_columns_by_name_too(folder, frame, tmp_path):
    frame[["a", "b", "c"]].to_csv(tmp_path / "one.csv", index=False)
    frame[["c", "b", "a"]].to_csv(tmp_path / "two.csv", index=False)
    more = ("--steps", 20, "--observations", 10)
    one, _ = values_of("energy", folder / "m.keras", tmp_path / "one.csv", *more)
    two, _ = values_of("energy", folder / "m.keras", tmp_path / "two.csv", *more)
    assert one["joules"] == two["joules"] and (one["warnings"], len(two["warnings"])) == ([], 1)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (["a", "b"], "column 'c' is missing, an input of"),
        (["a", "b", "C"], "column 'c' is missing, an input of"),
        (["a", "b", "c", "d"], "column 'd' is not an input of"),
    ],
)
def test_a_missing_or_extra_column_is_refused_by_name(folder, frame, tmp_path, columns, words):
    frame.assign(C=1.0, d=2.0)[columns].to_csv(tmp_path / "x.csv", index=False)
    more = ("-o", tmp_path / "s.zarr", "--draws", 4)
    result = run("sample", folder / "m.keras", tmp_path / "x.csv", *more, code=2)
    assert words in result.stderr and result.stderr.count("\n") == 1
    assert not (tmp_path / "s.zarr").exists()


def test_names_stay_with_a_file_that_is_moved_and_leave_with_one_that_keras_writes(
    folder, frame, tmp_path
):
    shutil.copy(folder / "m.keras", tmp_path / "elsewhere.keras")
    assert read_columns(tmp_path / "elsewhere.keras").inputs == ("a", "b", "c")
    assert read_columns(tmp_path / "elsewhere.keras").target == "y"
    keras.saving.load_model(folder / "m.keras").save(tmp_path / "keras.keras")
    assert read_columns(tmp_path / "keras.keras") is None
    x = frame[["a", "b", "c"]]
    expected, _, _ = sampled(folder, tmp_path, x, "plain.csv")
    found, said, _ = sampled(tmp_path, tmp_path, x, "foreign.csv", "keras.keras")
    np.testing.assert_array_equal(found, expected)
    assert len(said) == 1 and "does not name its inputs: the columns of" in said[0]


@pytest.mark.parametrize("names", [["a", "b"], ["a", "b", 3], "abc", [], None])
def test_damaged_names_are_refused(folder, tmp_path, names):
    with zipfile.ZipFile(folder / "m.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["metadata.json"] = json.dumps({"spikedrop": {"inputs": names}}).encode()
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(InputError, match=r"m.keras: .*(damaged|names 2 inputs)"):
        read_model(tmp_path / "m.keras")


# Python


@pytest.fixture(scope="module")
def trained(frame, tmp_path_factory):
    file = tmp_path_factory.mktemp("trained") / "m.keras"
    x, y = frame[["a", "b", "c"]], frame["y"]
    return file, train(x, y, (x[["c", "a", "b"]], y), file=file, **SMALL)


def test_train_keeps_the_names_of_a_frame(trained, frame):
    file, model = trained
    x, y = frame[["a", "b", "c"]], frame["y"]
    assert model.feature_names_in_ == ("a", "b", "c")
    assert read_model(file).columns == sd.Network.from_keras(model).columns == ("a", "b", "c")
    plain = train(x.to_numpy(), y.to_numpy(), (x.to_numpy(), y.to_numpy()), **SMALL)
    for one, two in zip(plain.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    moved = x[["b", "a", "c"]]
    with pytest.raises(InputError, match="inputs 'a', 'b', 'c', but x has 'b', 'a', 'c'"):
        train(moved, y, (moved, y), file=file, **SMALL)


def test_samplers_put_the_columns_of_a_frame_in_order(trained, frame, tmp_path):
    network, x = read_model(trained[0]), frame[["a", "b", "c"]]
    moved, plain = x[["c", "a", "b"]], x.to_numpy()
    conversion = sd.calibrate(network, plain)
    assert conversion.scales_hz == sd.calibrate(network, moved).scales_hz
    expected = sd.sample_ann(network, plain, draws=4, seed=0)
    for table in (x, moved, pa.Table.from_pandas(moved)):
        found = sd.sample_ann(network, table, draws=4, seed=0)
        np.testing.assert_array_equal(found.values, expected.values)
    found = sd.sample_snn(network, conversion, moved, draws=4, seed=0, steps=20)
    expected_snn = sd.sample_snn(network, conversion, plain, draws=4, seed=0, steps=20)
    np.testing.assert_array_equal(found.values, expected_snn.values)
    sd.sample_to_store(tmp_path / "s.zarr", network, moved, draws=4, seed=0)
    np.testing.assert_array_equal(sd.open_samples(tmp_path / "s.zarr").values, expected.values)
    for wrong, words in ((x[["a", "b"]], "'c' is missing"), (frame, "'y' is not an input")):
        with pytest.raises(InputError, match=words):
            sd.sample_ann(network, wrong, draws=4, seed=0)
    assert pickle.loads(pickle.dumps(network)).columns == network.columns


def test_booleans_are_numbers_and_words_are_refused(trained, frame, tmp_path):
    network = read_model(trained[0])
    truths = frame[["a", "b", "c"]] > 0
    expected = sd.sample_ann(network, truths.to_numpy(float), draws=2, seed=0).to_numpy()
    np.save(tmp_path / "x.npy", truths)
    files = (read_rows(tmp_path / "x.npy"),)
    for x in (*files, truths, truths.to_numpy(), truths.assign(a=truths["a"].astype(int))):
        np.testing.assert_array_equal(sd.sample_ann(network, x, draws=2, seed=0), expected)
    nullable = truths.astype(int).astype({"a": "Int64", "b": "boolean", "c": "float32"})
    found = sd.sample_ann(network, nullable, draws=2, seed=0)
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(InputError, match="NaN or infinite value"):
        sd.sample_ann(network, nullable.where(nullable["a"] > 0), draws=2, seed=0)
    with pytest.raises(InputError, match="'a' occurs twice"):
        sd.sample_ann(network, truths[["a", "b", "c", "a"]], draws=2, seed=0)
    with pytest.raises(InputError, match="column 'b': has type"):
        sd.sample_ann(network, truths.assign(b="red"), draws=2, seed=0)


# spread


def test_columns_that_float32_cannot_hold_are_refused_in_training_and_sampling(
    trained, frame, tmp_path
):
    network = read_model(trained[0])
    far = frame.assign(b=1e8 + frame["a"])
    with pytest.raises(InputError, match="x, column 'b': its values, near 1e"):
        sd.sample_ann(network, far[["a", "b", "c"]], draws=2, seed=0)
    for column in ("b", "y"):
        frame.assign(**{column: 1e8 + frame["a"]}).to_csv(tmp_path / "t.csv", index=False)
        words = ("train", tmp_path / "t.csv", "--target", "y", "-o", tmp_path / "m.keras")
        result = run(*words, code=2)
        assert f"t.csv, column '{column}': its values, near 1e" in result.stderr
        assert "subtract a constant" in result.stderr and result.stderr.count("\n") == 1
    frame.assign(b=[2**60 + i for i in range(len(frame))]).to_csv(tmp_path / "t.csv", index=False)
    assert "column 'b': holds whole numbers" in run(*words, code=2).stderr


def test_a_network_learns_the_same_at_every_offset_that_float32_holds(tmp_path):
    z = np.random.default_rng(0).normal(size=(300, 2))
    errors = []
    for offset, spread, level in ((0, 1, 0), (7e4, 1, 5e4), (-7e7, 1e3, -7e4)):
        table = pd.DataFrame({"a": offset + spread * z[:, 0], "b": z[:, 1], "y": level + z[:, 0]})
        table.to_csv(tmp_path / "t.csv", index=False)
        words = ("--target", "y", "-o", tmp_path / "m.keras", "--hidden", "16", "--dropout", 0.01)
        told, _ = values_of("train", tmp_path / "t.csv", *words, "--epochs", 25)
        errors.append(told["validation_rmse"])
    np.testing.assert_allclose(errors, errors[0], rtol=0.05)
    assert errors[0] < 0.5


def test_what_an_estimator_predicts_does_not_depend_on_offsets_and_spreads():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2))
    y = x[:, 0] - np.abs(x[:, 1])
    small = {"hidden": (8,), "epochs": 5, "draws": 4, "steps": 20}
    expected = SpikingDropoutRegressor(**small).fit(x, y).sample(x).to_numpy()
    for _ in range(8):
        offset = rng.choice([0, 1, 1e4, 1e8, -1e10], 2)
        spread = 10.0 ** rng.integers(-3, 6, 2)
        moved, goal = offset + spread * x, 1e8 + 1e-2 * y
        model = SpikingDropoutRegressor(**small).fit(moved, goal)
        found = (model.sample(moved).to_numpy() - 1e8) / 1e-2
        # float64 leaves this much of a value at its offset, and a spike is 1 / 20 of an activation
        close = np.abs(found - expected) < 0.05
        assert close.mean() > 0.98, (offset, spread)
    with pytest.raises(InputError, match="X, column 1: holds whole numbers"):
        SpikingDropoutRegressor(**small).fit(np.stack([np.arange(60), 2**60 + np.arange(60)], 1), y)
    with pytest.raises(InputError, match="y, column 0: holds whole numbers"):
        SpikingDropoutRegressor(**small).fit(x, pd.Series(2**60 + np.arange(120)))


# warnings of the package


def test_every_warning_of_the_package_is_one_line_and_in_the_object(folder, tmp_path, monkeypatch):
    def fill(path, network, x, **more):
        own = ("two\nlines", UserWarning, sd.__file__, 1, "spikedrop.engines.compiled")
        with ThreadPoolExecutor(2) as threads:
            _ = [*threads.map(lambda _: warnings.warn_explicit(*own), range(2))]
        warnings.warn_explicit("of another", UserWarning, "other.py", 1, "other")
        sd.store.run.sample_to_store(path, network, x, **more)

    monkeypatch.setattr(sys.modules["spikedrop.store"], "sample_to_store", fill)
    np.save(tmp_path / "x.npy", np.ones((3, 3)))
    more = ("-o", tmp_path / "s.zarr", "--draws", 2, "--network", "ann", "--json")
    with pytest.warns(UserWarning, match="of another"):
        result = run("sample", folder / "m.keras", tmp_path / "x.npy", *more)
    assert json.loads(result.stdout)["warnings"] == ["two lines"]
    assert result.stderr == "spikedrop: warning: two lines\n"


def test_the_version_is_said():
    assert run("--version").stdout == f"spikedrop {sd.__version__}\n"


def test_the_percentile_that_a_silent_layer_asks_for_is_an_option(folder, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal([0, 5, -20], 1, (50, 3)))
    words = ("sample", folder / "m.keras", tmp_path / "x.npy", "--draws", 2, "--steps", 5)
    found = [
        values_of(*words, "-o", tmp_path / f"{q}.zarr", "--percentile", q)[0]["attributes"]
        for q in (90, 100)
    ]
    assert found[0]["scales_hz"][0] > found[1]["scales_hz"][0]
