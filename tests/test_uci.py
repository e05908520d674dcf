"""UCI regression by the published protocol, on small made-up sets in the published layout."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

import spikedrop as sd
from spikedrop import uci
from spikedrop.cli import app
from spikedrop.errors import InputError
from spikedrop.quiet import import_tensorflow
from spikedrop.uci import protocol
from spikedrop.uci.members import train_members
from spikedrop.uci.protocol import Fitted
from spikedrop.uci.run import summary

KEYS = {
    "set",
    "network",
    "rmse",
    "rmse_se",
    "log_likelihood",
    "log_likelihood_se",
    "splits",
    "seconds",
}
FOLDERS = {
    "bostonHousing": "boston",
    "concrete": "concrete",
    "energy": "energy",
    "kin8nm": "kin8nm",
    "naval-propulsion-plant": "naval",
    "power-plant": "power",
    "protein-tertiary-structure": "protein",
    "wine-quality-red": "wine",
    "yacht": "yacht",
    "YearPredictionMSD": None,
}
SMALL = uci.Protocol(
    more_rates=(), decays=(1e-3,), folds=2, train_steps=300, validation_draws=20, draws=40
)


def write_set(folder, rows=60, splits=3, seed=0):
    """Write a set in the published layout: two columns that matter, the target between them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 2)) * [1, 100] + [5, 0]
    y = 30 + 4 * (x[:, 0] - 5) + 0.03 * x[:, 1] + rng.normal(size=rows)
    folder.mkdir(parents=True)
    np.savetxt(folder / "data.txt", np.column_stack([x[:, 0], y, x[:, 1]]), fmt="%.6f")
    texts = {"index_features": "0\n2", "index_target": "1", "n_splits": f"{splits}"}
    texts |= {"n_hidden": "6", "n_epochs": "40", "dropout_rates": "0.01\n0.1", "tau_values": "1"}
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
    for i in range(splits):
        order = rng.permutation(rows)
        np.savetxt(folder / f"index_test_{i}.txt", order[: rows // 6], fmt="%d")
        np.savetxt(folder / f"index_train_{i}.txt", order[rows // 6 :], fmt="%.18e")
    return folder


@pytest.fixture
def folder(tmp_path):
    return write_set(tmp_path / "sets" / "power-plant")


def run(*words):
    return CliRunner().invoke(app, ["uci", *map(str, words)])


def poisoned(data, rows, what):
    """Return the set with other values in the rows."""
    x, y = data.x.copy(), data.y.copy()
    x[rows], y[rows] = what, what
    return uci.RegressionSet(
        data.name, x, y, data.train, data.test, data.dropout_rates, data.n_hidden
    )


# reading


def test_reading_keeps_columns_rows_and_splits_as_they_stand_in_the_files(folder):
    data = uci.read_set("mine", folder)
    table = np.loadtxt(folder / "data.txt")
    np.testing.assert_array_equal(data.x, table[:, [0, 2]])
    np.testing.assert_array_equal(data.y, table[:, 1])
    assert (len(data.train), data.n_hidden, data.dropout_rates) == (3, 6, (0.01, 0.1))
    for i in range(3):
        np.testing.assert_array_equal(data.test[i], np.loadtxt(folder / f"index_test_{i}.txt"))
        assert sorted([*data.train[i], *data.test[i]]) == list(range(60))


def test_sets_are_found_by_either_name_in_either_layout(tmp_path):
    for name in FOLDERS:
        (tmp_path / name / "data").mkdir(parents=True)
        (tmp_path / name / "data" / "data.txt").write_text("1 2")
    (tmp_path / "no_set").mkdir()
    assert list(uci.find_sets(tmp_path)) == sorted(FOLDERS)
    found = uci.find_sets(tmp_path, ["power", "YearPredictionMSD"])
    assert {k: v.parent.name for k, v in found.items()} == {
        "power": "power-plant",
        "YearPredictionMSD": "YearPredictionMSD",
    }
    assert list(uci.find_sets(tmp_path / "yacht")) == ["yacht"]


def test_every_published_set_belongs_to_one_folder():
    assert {name: uci.published_name(name) for name in FOLDERS} == FOLDERS
    assert set(uci.PUBLISHED) == set(FOLDERS.values()) - {None}
    assert uci.PUBLISHED["concrete"] == {"2016": (5.23, -3.04), "2018": (4.82, -2.93)}
    assert uci.PUBLISHED["naval"] == {"2016": (0.01, 3.80), "2018": (0.00074, 4.45)}


def test_the_digest_sees_values_and_splits_but_not_the_name(folder):
    data = uci.read_set("mine", folder)
    assert uci.read_set("other", folder).digest == data.digest
    assert poisoned(data, [3], 0.0).digest != data.digest
    (folder / "index_train_0.txt").write_text(
        "\n".join((folder / "index_train_0.txt").read_text().split()[1:])
    )
    assert uci.read_set("mine", folder).digest != data.digest


def spoil(name, edit):
    def change(folder):
        file = folder / name
        file.write_text(edit(file.read_text()))

    return change


BAD = {
    "no index": (lambda f: (f / "index_train_1.txt").unlink(), "index_train_1.txt: no such file"),
    "a folder": (lambda f: [(f / "n_hidden.txt").unlink(), (f / "n_hidden.txt").mkdir()], "read"),
    "cut": (spoil("data.txt", lambda t: t[:-20]), "data.txt, line 60: "),
    "empty": (spoil("data.txt", lambda t: ""), "data.txt: the file is empty"),
    "word": (spoil("data.txt", lambda t: t.replace(".", "x", 1)), "data.txt, line 1: could not"),
    "nan": (spoil("data.txt", lambda t: t + "nan 1 1"), "data.txt, row 61, column 1: NaN"),
    "bytes": (lambda f: (f / "data.txt").write_bytes(b"\xff\x00"), "not a text file"),
    "fewer rows": (spoil("data.txt", lambda t: "\n".join(t.split("\n")[:50])), "none of the 50"),
    "target": (spoil("index_target.txt", lambda t: "3"), "3 is none of the 3 columns"),
    "two targets": (spoil("index_target.txt", lambda t: "0 1"), "2 numbers where one"),
    "half": (spoil("index_test_0.txt", lambda t: "1.5"), "1.5 is none of the 60 rows"),
    "feature": (spoil("index_features.txt", lambda t: "0 1"), "column 1 is the target"),
    "overlap": (spoil("index_test_2.txt", lambda t: " ".join(map(str, range(60)))), "also in"),
    "twice": (spoil("index_test_2.txt", lambda t: t + t), "twice"),
    "no splits": (spoil("n_splits.txt", lambda t: "0"), "0 is no whole number"),
    "rate": (spoil("dropout_rates.txt", lambda t: "1.0"), "between 0 and 1"),
    "few rows": (
        spoil("index_train_0.txt", lambda t: "\n".join(t.split()[:5])),
        "5 rows; at least 10",
    ),
    "constant": (
        spoil("data.txt", lambda t: "\n".join(f"{i} 3 {i}" for i in range(60))),
        "one value in all",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_set_is_one_line_and_exit_code_2(folder, name, tmp_path):
    damage, message = BAD[name]
    damage(folder)
    result = run(folder.parent, "--work", tmp_path / "work")
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr and result.stderr.count("\n") == 1
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere: no such folder"),
        (["."], "no folder with a file data.txt"),
        (["sets", "--sets", "power,iris"], "'iris' fits no folder; here are power-plant"),
        (["sets", "--sets", ","], "no set is named"),
        (["sets", "--splits", "4"], "splits=4: power-plant has 3"),
        (["sets", "--jobs", "0"], "jobs=0"),
        (["sets", "--layers", "0"], "layers=0"),
        (["sets", "--seed", "-1"], "seed=-1"),
        (["sets", "--json", "no/scores.json"], "no/scores.json: cannot be written"),
        (["sets", "--work", "file"], "cannot be made"),
    ],
)
def test_unusable_words_are_one_line_and_exit_code_2(folder, words, message, monkeypatch):
    monkeypatch.chdir(folder.parent.parent)
    Path("file").write_text("in the way")
    result = run(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr and result.stderr.count("\n") == 1


def test_help_shows_an_example():
    result = CliRunner().invoke(app, ["uci", "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "spikedrop uci data/uci --sets concrete,wine --json scores.json" in result.stdout


# training


def toy_rows(n=16, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)).astype(np.float32)
    return x, np.sin(x[:, 0]) + x[:, 1] * x[:, 2]


def trained(members, x, y, *, rates, decays, steps=20, learning_rate=0.01, hidden=(5, 4), batch=99):
    return train_members(
        x,
        y,
        np.tile(np.arange(len(x)), (members, 1)),
        rates=np.array(rates),
        decays=np.array(decays),
        hidden=hidden,
        steps=steps,
        batch_size=batch,
        learning_rate=learning_rate,
        rng=np.random.default_rng(3),
    )


def test_training_without_dropout_is_adamw_of_keras():
    import_tensorflow()
    import keras

    x, y = toy_rows()
    start = trained(1, x, y, rates=[0], decays=[0.1], learning_rate=0.0)
    got = trained(1, x, y, rates=[0], decays=[0.1])
    model = keras.Sequential(
        [keras.Input((3,)), *(keras.layers.Dense(u, "relu") for u in (5, 4)), keras.layers.Dense(1)]
    )
    model.set_weights([array for w, b in start for array in (w[0], b[0, 0])])
    schedule = keras.optimizers.schedules.CosineDecay(0.01, 20)
    model.compile(keras.optimizers.AdamW(schedule, weight_decay=0.1), loss="mse")
    model.fit(x, y, epochs=20, batch_size=16, shuffle=False, verbose=0)
    expected = model.get_weights()
    for mine, theirs in zip([a for w, b in got for a in (w[0], b[0, 0])], expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)
    assert np.abs(got[0][0] - start[0][0]).max() > 0.1  # it did learn


def test_steps_after_the_last_change_nothing_and_members_do_not_mix():
    x, y = toy_rows()
    settings = {"steps": 700, "batch": 4}  # a chunk is 500
    both = trained(2, x, y, rates=[0.1, 0.3], decays=[0.1, 0.0], **settings)
    one = trained(1, x, y, rates=[0.3], decays=[0.0], **settings)
    for (w, b), (v, c) in zip(both, one, strict=True):
        np.testing.assert_allclose(w[1], v[0], atol=1e-3)
        np.testing.assert_allclose(b[1], c[0], atol=1e-3)
    assert np.abs(both[0][0][0] - both[0][0][1]).max() > 0.05


def test_a_silent_unit_learns_nothing_from_a_row():
    """Adam's first step moves exactly the weights with a gradient: those of units that are on.

    About a share 1 - p of the active units is kept; a binomial bound, false alarm below 1e-6.
    """
    x, y = np.ones((1, 3), np.float32), np.array([5.0])
    one = {"steps": 1, "hidden": (400,), "decays": [0.0]}
    start = trained(1, x, y, rates=[0.0], learning_rate=0.0, **one)
    active, kept = (
        (trained(1, x, y, rates=[rate], **one)[1][0] != start[1][0])[0, :, 0] for rate in (0, 0.3)
    )
    assert not (kept & ~active).any()
    low, high = stats.binom.interval(1 - 1e-6, active.sum(), 0.7)
    assert low <= kept.sum() <= high


# the protocol


@pytest.mark.parametrize("poison", [np.nan, 1e30])
def test_rows_outside_the_training_rows_change_nothing_that_is_learnt(folder, poison):
    data = uci.read_set("mine", folder)
    clean = uci.fit_split(data, 0, SMALL)
    fitted = uci.fit_split(poisoned(data, data.test[0], poison), 0, SMALL)
    for a, b in zip(clean.network.layers[1:], fitted.network.layers[1:], strict=True):
        np.testing.assert_array_equal(a.weights, b.weights)
        np.testing.assert_array_equal(a.bias, b.bias)
    for name in ("rate", "decay", "noise_sd", "mean_y", "sd_y", "validation", "conversion"):
        assert getattr(clean, name) == getattr(fitted, name)
    train = data.x[data.train[0]]
    np.testing.assert_allclose(fitted.mean_x, train.mean(axis=0))
    np.testing.assert_allclose(fitted.sd_x, train.std(axis=0))
    np.testing.assert_allclose(fitted.inputs(train).std(axis=0), 1, rtol=1e-5)


def test_a_training_row_does_change_what_is_learnt(folder):
    """The control of the test above: it could have failed."""
    data = uci.read_set("mine", folder)
    fitted = uci.fit_split(poisoned(data, data.train[0][:1], 1.0), 0, SMALL)
    clean = uci.fit_split(data, 0, SMALL)
    assert not np.array_equal(clean.network.layers[1].weights, fitted.network.layers[1].weights)


@pytest.mark.parametrize(("many", "trainings"), [(51, 4), (50, 2)])
def test_with_many_rows_one_part_alone_is_held_out(folder, monkeypatch, many, trainings):
    """Two rates, one decay: a training for each on each of two folds, or on the first alone."""
    data = uci.read_set("mine", folder)
    monkeypatch.setattr(protocol, "MANY_ROWS", many)
    seen = []
    original = protocol.train_members
    monkeypatch.setattr(
        protocol,
        "train_members",
        lambda x, y, rows, **work: seen.append(rows) or original(x, y, rows, **work),
    )
    uci.fit_split(data, 0, SMALL)
    assert [rows.shape for rows in seen] == [(trainings, 25), (1, 50)]
    np.testing.assert_array_equal(np.sort(seen[1][0]), np.arange(50))
    if trainings == 4:  # what one fold learns from, the other is tested on
        assert sorted([*seen[0][0], *seen[0][2]]) == list(range(50))


def test_the_noise_is_chosen_by_held_out_rows_and_is_about_right(folder):
    """The made-up target has noise of sd 1; 50 rows tell it to about 10 %, the fit adds to it."""
    fitted = uci.fit_split(uci.read_set("mine", folder), 1, SMALL)
    assert 0.6 < fitted.noise_sd < 2.5
    assert fitted.rate in (0.01, 0.1)
    # the log likelihood of N(0, s) at its own s is -log(s sqrt(2 pi e)); dropout adds little
    assert fitted.validation == pytest.approx(-np.log(fitted.noise_sd * 4.1327), abs=0.3)


def test_log_likelihood_in_units_by_hand():
    """Draws 0 and 1 are 1 and 3 in units; y = 1, noise 2: log (phi(0) + phi(1)) / 4."""
    fitted = Fitted(None, None, np.zeros(1), np.ones(1), 1.0, 2.0, 2.0, 0.1, 0.0, 0.0)
    samples = fitted.in_units(np.array([[[0.0]], [[1.0]]], np.float32))
    assert samples.tolist() == [[1.0], [3.0]]
    value = sd.log_likelihood(samples, np.array([1.0]), fitted.noise_sd)
    assert value == pytest.approx(-1.83116, abs=1e-5)


def test_a_split_is_scored_on_its_test_rows_with_the_same_masks(folder):
    data = uci.read_set("mine", folder)
    result, fitted = uci.run_split(data, 2, SMALL), uci.fit_split(data, 2, SMALL)
    x, y = fitted.inputs(data.x[data.test[2]]), data.y[data.test[2]]
    ann = sd.sample_ann(fitted.network, x, draws=40, seed=0).values[:, :, 0]
    snn = sd.sample_snn(fitted.network, fitted.conversion, x, draws=40, seed=0, steps=200)
    for name, samples in (("ann", ann), ("snn", snn.values[:, :, 0])):
        samples = samples.astype(float) * fitted.sd_y + fitted.mean_y
        rmse = np.sqrt(np.mean((samples.mean(axis=0) - y) ** 2))
        density = stats.norm.pdf(y, samples, fitted.noise_sd).mean(axis=0)
        assert result[name]["rmse"] == pytest.approx(rmse, rel=1e-5)
        assert result[name]["log_likelihood"] == pytest.approx(np.log(density).mean(), rel=1e-4)
    assert result["ann"] != result["snn"]
    assert result["snn"]["rmse"] == pytest.approx(result["ann"]["rmse"], rel=0.05)
    assert result["spikes_per_presentation"] > 0


def test_unusable_rows_and_settings_are_refused():
    x, y = toy_rows()
    work = {"rates": (0.1,), "n_hidden": 4, "protocol": SMALL}
    with pytest.raises(InputError, match="3 training rows"):
        uci.fit_rows(x[:3], y[:3], **work)
    with pytest.raises(InputError, match="a target that varies"):
        uci.fit_rows(x, 0 * y, **work)
    for bad in (
        {"folds": 1},
        {"decays": ()},
        {"draws": 0},
        {"rate_hz": 0.0},
        {"more_rates": (1.0,)},
    ):
        with pytest.raises(InputError, match=next(iter(bad))):
            uci.Protocol(**bad)


def test_standard_errors_and_means_by_hand():
    splits = [{"snn": {"rmse": r, "log_likelihood": -2 * r, "seconds": 4}} for r in (1, 2, 3)]
    row = summary("mine", "snn", splits)
    assert row == {
        "set": "mine",
        "network": "snn",
        "rmse": 2,
        "rmse_se": pytest.approx(1 / 3**0.5),
        "log_likelihood": -4,
        "log_likelihood_se": pytest.approx(2 / 3**0.5),
        "splits": 3,
        "seconds": 12,
    }
    assert summary("mine", "snn", splits[:1])["rmse_se"] == 0


# the command


def test_the_command_prints_a_table_and_writes_json(folder, tmp_path):
    write_set(tmp_path / "sets" / "mine", rows=30, splits=2)
    file, work = tmp_path / "scores.json", tmp_path / "work"
    words = (folder.parent, "--splits", 2, "--jobs", 1, "--work", work, "--json", file)
    result = run(*words)
    assert result.exit_code == 0, result.output
    rows = json.loads(file.read_text())
    assert [(row["set"], row["network"]) for row in rows] == [
        (name, network) for name in ("mine", "power-plant") for network in ("ann", "snn")
    ]
    for row in rows:
        assert set(row) == KEYS
        assert row["splits"] == 2 and row["rmse"] > 0 and row["rmse_se"] > 0 < row["seconds"]
        assert f"{row['rmse']:.3f} ± {row['rmse_se']:.3f}" in result.stdout
    # noise of sd 1 is all that cannot be learnt: RMSE 1, log likelihood -1.42
    assert 0.5 < rows[3]["rmse"] < 2.5 and -2.5 < rows[3]["log_likelihood"] < -1
    for text in ("4.02", "-2.80", "4.01", "arXiv:1506.02142", "arXiv:1811.09385"):
        assert text in result.stdout
    assert result.stdout.count("published 2016") == 2  # power and its source; `mine` has none

    files = sorted(work.rglob("*.json"))
    kept = {path: path.stat().st_mtime_ns for path in files}
    files[0].write_text(files[0].read_text()[:30])  # damaged: to be run again
    again = run(*words[:5], "--work", work, "--sets", "power,mine", "--json", file)
    assert again.exit_code == 0, again.output
    assert [row["set"] for row in json.loads(file.read_text())] == ["power"] * 2 + ["mine"] * 2
    changed = [path for path in files if path.stat().st_mtime_ns != kept[path]]
    assert changed == files[:1]
    repeated = {row["network"]: row["rmse"] for row in json.loads(file.read_text())[:2]}
    assert repeated == {row["network"]: row["rmse"] for row in rows[2:]}
    one = (folder.parent, "--sets", "mine", "--splits", 1, "--jobs", 1, "--seed", 1)
    assert run(*one, "--work", work).exit_code == 0
    assert len(list(work.rglob("*.json"))) == len(files) + 1  # another seed, another result


def test_a_killed_run_goes_on_where_it_stopped(folder, tmp_path):
    work, root = tmp_path / "work", Path(__file__).resolve().parent.parent
    path = os.pathsep.join([str(root / "src"), os.environ.get("PYTHONPATH", "")])
    words = ["uci", str(folder.parent), "--jobs", "1", "--work", str(work)]
    process = subprocess.Popen(
        [sys.executable, "-m", "spikedrop", *words],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 300
        while not list(work.rglob("split_*.json")) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = {path: path.read_bytes() for path in work.rglob("split_*.json")}
    assert done
    result = run(*words[1:])
    assert result.exit_code == 0, result.output
    assert len(list(work.rglob("split_*.json"))) == 3
    assert all(path.read_bytes() == bytes_ for path, bytes_ in done.items())


def test_splits_in_parallel_give_the_same_scores(folder, tmp_path):
    data = uci.read_set("mine", folder)
    one, two = (
        uci.run_set(data, SMALL, work=tmp_path / f"{jobs}", splits=2, jobs=jobs) for jobs in (1, 2)
    )
    for a, b in zip(one, two, strict=True):
        assert {**a, "seconds": 0} == {**b, "seconds": 0}
