"""Reading sets in the published layout, and the command `spikedrop uci`."""

import functools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from spikedrop.cli import app
from spikedrop.study import uci
from spikedrop.study.uci.published import SOURCES
from spikedrop.study.uci.run import summaries
from tests.uci_sets import SMALL, poisoned, write_set

KEYS = {
    "set",
    "network",
    "layers",
    "rmse",
    "rmse_se",
    "log_likelihood",
    "log_likelihood_se",
    "splits",
    "seconds",
}
DIFFERENCES = {
    "rmse_difference",
    "rmse_difference_se",
    "log_likelihood_difference",
    "log_likelihood_difference_se",
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


@pytest.fixture
def folder(tmp_path):
    return write_set(tmp_path / "sets" / "power-plant")


def run(*words):
    return CliRunner().invoke(app, ["uci", *map(str, words)])


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
    assert uci.PUBLISHED["concrete"] == {
        "2016": (5.23, -3.04),
        "2016, two layers": (4.50, -2.82),
        "2018": (4.82, -2.93),
    }
    assert uci.PUBLISHED["naval"]["2018"] == (0.00074, 4.45)
    for figures in uci.PUBLISHED.values():
        assert list(figures) == list(SOURCES)
    assert [source.layers for source in SOURCES.values()] == [1, 2, 1]


def test_the_table_names_depths_and_takes_the_paired_standard_error():
    """Two splits with differences 1 and 3: their standard error is 1, that of the ANN is 50."""
    pairs = [(1.0, 2.0), (101.0, 104.0)]
    splits = [
        {network: {"rmse": r, "log_likelihood": -r, "seconds": 1.0}
         for network, r in zip(("ann", "snn"), pair, strict=True)}
        for pair in pairs
    ]  # fmt: skip
    rows = summaries("concrete", 1, splits) + summaries("concrete", 2, splits[:1])
    lines = uci.format_table(rows).split("\n")
    shown = [re.split(r"  +", line.strip()) for line in lines[2:11]]
    assert shown[0][:3] == ["concrete", "ANN", "1"] and shown[1][:2] == ["SNN", "1"]
    assert shown[2] == ["SNN - ANN", "1", "+2.00000 (+2.00 se)", "-2.00000 (-2.00 se)", "2"]
    assert shown[3][:2] == ["ANN", "2"] and "se)" not in lines[7]  # one split has no error
    assert shown[6] == ["published 2016", "1", "5.23", "-3.04"]
    assert shown[7] == ["authors' two layers", "2", "4.5", "-2.82"]
    assert shown[8] == ["published 2018", "1", "4.82", "-2.93"]


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
    "twice": (spoil("index_test_2.txt", lambda t: t + t), "duplicate"),
    "no splits": (spoil("n_splits.txt", lambda t: "0"), "0 is not a whole number"),
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
        (["sets", "--jobs", "0"], "--jobs 0: give"),
        (["sets", "--layers", "0"], "--layers"),
        (["sets", "--seed", "-1"], "--seed"),
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


# the command


def test_the_command_prints_a_table_and_writes_json(folder, tmp_path, monkeypatch):
    short = functools.partial(uci.Protocol, train_steps=1000, more_rates=(), draws=100)
    monkeypatch.setattr(uci, "Protocol", short)
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
        assert set(row) == KEYS | (DIFFERENCES if row["network"] == "snn" else set())
        assert row["layers"] == 2
        assert row["splits"] == 2 and row["rmse"] > 0 and row["rmse_se"] > 0 < row["seconds"]
        assert f"{row['rmse']:.3f} ± {row['rmse_se']:.3f}" in result.stdout
    # noise of sd 1 is all that cannot be learnt: RMSE 1, log likelihood -1.42
    assert 0.5 < rows[3]["rmse"] < 2.5 and -2.5 < rows[3]["log_likelihood"] < -1
    for text in ("4.02", "-2.80", "4.01", "3.63", "-2.67", "arXiv:1506.02142", "arXiv:1811.09385"):
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
    work, root = tmp_path / "work", Path(__file__).resolve().parents[2]
    path = os.pathsep.join([str(root / "src"), os.environ.get("PYTHONPATH", "")])
    words = ["uci", str(folder.parent), "--splits", "2", "--jobs", "1", "--work", str(work)]
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
    assert len(list(work.rglob("split_*.json"))) == 2
    assert all(path.read_bytes() == bytes_ for path, bytes_ in done.items())


def test_splits_in_parallel_give_the_same_scores(folder, tmp_path):
    data = uci.read_set("mine", folder)
    one, two = (
        uci.run_set(data, SMALL, work=tmp_path / f"{jobs}", splits=2, jobs=jobs) for jobs in (1, 2)
    )
    for a, b in zip(one, two, strict=True):
        assert {**a, "seconds": 0} == {**b, "seconds": 0}
