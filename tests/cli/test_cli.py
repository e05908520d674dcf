"""The commands: what they write is what the package computes, whole or not at all."""

import base64
import errno
import html.parser
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import spikedrop as sd
from spikedrop.cli import app
from spikedrop.cli import demo as demo_part
from spikedrop.comparison import VERDICTS
from spikedrop.energy import count_ann_operations, count_operations, energy_table
from spikedrop.errors import StoreError
from spikedrop.files import read_column, read_rows, read_table, written
from spikedrop.network.keras_file import read_model

COMMANDS = ("simulate", "train", "sample", "compare", "score", "energy", "uci", "demo")
ROOT = Path(__file__).resolve().parents[2]


def run(*words, code=0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def told(*words):
    """Run with --json; the one object on standard output."""
    return json.loads(run(*words, "--json").stdout)


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A folder with what a user has after simulating and training."""
    folder = tmp_path_factory.mktemp("job")
    run("simulate", folder / "a.parquet", "--held-out", folder / "b.csv", "--records", 300)
    run(*train_words(folder, folder / "m.keras"))
    return folder


def train_words(folder, output):
    table = ("train", folder / "a.parquet", "--target", "growth_fraction", "-o", output)
    return (*table, "--hidden", "16,8", "--epochs", 3, "--dropout", 0.2)


def sample_words(job, output, network, *more):
    words = ("sample", job / "m.keras", job / "b.csv", "--target", "growth_fraction")
    return (*words, "-o", output, "--draws", 60, "--network", network, "--steps", 50, *more)


@pytest.fixture(scope="module")
def stores(job):
    for network in ("ann", "snn"):
        run(*sample_words(job, job / f"{network}.zarr", network))
    return job / "ann.zarr", job / "snn.zarr"


# help and start


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example(command):
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0 and f"Example: spikedrop {command}" in result.stdout


def test_help_and_refusals_do_not_wait_for_large_imports(tmp_path):
    code = """if True:
        import sys
        from spikedrop.cli import app
        rows = ['sample', 'a.keras', 'none.npy', '-o', 'x.zarr', '--draws', '2']
        table = ['train', 'none.csv', '--target', 'y', '-o', 'x.keras']
        for words in (['--help'], ['sample', '--help'], rows, table):
            try:
                app(words, prog_name='spikedrop')
            except SystemExit as end:
                print('code', end.code, file=sys.stderr)
        large = {'tensorflow', 'keras', 'numba', 'pandas', 'xarray', 'sklearn', 'zarr', 'dask'}
        print('large', *large & set(sys.modules), file=sys.stderr)
    """
    lines = in_a_process("-c", code, cwd=tmp_path).stderr.splitlines()
    assert [line for line in lines if line.startswith("code")] == ["code 0"] * 2 + ["code 2"] * 2
    assert lines[-1] == "large"


def in_a_process(*words, cwd):
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": path},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_process_ends_with_the_code_and_one_line(tmp_path):
    result = in_a_process("-m", "spikedrop", "compare", "a.zarr", "b.zarr", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "spikedrop: a.zarr: there is no store.\n"


def test_names_are_the_same_objects_whatever_is_imported_first():
    from spikedrop.comparison.verdict import compare

    assert sd.compare is compare
    assert set(sd.__all__) == set(sd._HOME)
    for name in sd.__all__:
        assert callable(getattr(sd, name)), name
    with pytest.raises(AttributeError, match="no attribute 'resample'"):
        getattr(sd, "resample")  # noqa: B009


# simulate and train


def test_simulate_writes_the_design_and_the_target(job):
    train, test = pd.read_parquet(job / "a.parquet"), pd.read_csv(job / "b.csv")
    screen = sd.simulate_screen(n_records=300, seed=0)
    parts = sd.split(screen.pairs, "rows", seed=0, validation=0.0)
    design = sd.fit_design(screen, parts.train)
    for table, rows in ((train, parts.train), (test, parts.test)):
        pairs = screen.pairs.iloc[rows]
        assert list(table) == [*design.names, "growth_fraction"]
        np.testing.assert_allclose(table[design.names], design.matrix(pairs), rtol=1e-6)
        np.testing.assert_allclose(table["growth_fraction"], pairs["growth_fraction"], rtol=1e-12)


def test_train_answers_in_the_unit_of_the_target(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal([1000, -5], [50, 0.01], size=(400, 2))
    y = 3000 + 100 * (x[:, 0] - 1000) / 50
    pd.DataFrame({"a": x[:, 0], "y": y, "b": x[:, 1]}).to_csv(tmp_path / "t.csv", index=False)
    words = ("--target", "y", "-o", tmp_path / "m.keras", "--hidden", "32", "--dropout", 0.01)
    found = told("train", tmp_path / "t.csv", *words, "--epochs", 60)
    predicted = sd.predict(read_model(tmp_path / "m.keras"), x)[:, 0]
    # it explains more than 80 % of the variance, in the raw unit, around the raw mean
    assert np.sqrt(np.mean((predicted - y) ** 2)) < 0.45 * y.std()
    assert abs(found["target_sd"] / y.std() - 1) < 0.1
    assert found["validation_rmse"] < 0.6 * y.std() and found["inputs"] == ["a", "b"]


def test_training_again_gives_the_same_weights(job, tmp_path):
    run(*train_words(job, tmp_path / "again.keras"))
    one, two = read_model(job / "m.keras"), read_model(tmp_path / "again.keras")
    for a, b in zip(one.layers, two.layers, strict=True):
        np.testing.assert_array_equal(a.weights, b.weights)


# sample, compare, score


def test_sample_writes_what_the_samplers_return(job, stores):
    network, x = read_model(job / "m.keras"), read_rows(job / "b.csv", without="growth_fraction")
    ann = sd.sample_ann(network, x, draws=60, seed=0)
    conversion = sd.calibrate(network, x)
    snn = sd.sample_snn(network, conversion, x, draws=60, seed=0, steps=50)
    for store, samples in zip(stores, (ann, snn), strict=True):
        np.testing.assert_array_equal(sd.open_samples(store).values, samples.values)


def test_sample_on_another_backend(job, tmp_path):
    network, x = read_model(job / "m.keras"), read_rows(job / "b.csv", without="growth_fraction")
    found = told(*sample_words(job, tmp_path / "s.zarr", "snn", "--backend", "nengo_dl"))
    assert found["attributes"]["backend"] == "nengo_dl"
    more = {"draws": 60, "seed": 0, "steps": 50, "backend": "nengo_dl"}
    expected = sd.sample_snn(network, sd.calibrate(network, x), x, **more)
    np.testing.assert_array_equal(sd.open_samples(tmp_path / "s.zarr").values, expected.values)
    refused = run(*sample_words(job, tmp_path / "a.zarr", "ann", "--backend", "nengo"), code=2)
    assert "--backend nengo runs spiking networks" in refused.stderr
    assert not (tmp_path / "a.zarr").exists()


def test_the_scales_come_from_the_rows_that_are_named(job, tmp_path):
    more = ("--calibrate", job / "a.parquet", "--rate", 200, "--readout", "parabola")
    found = told(*sample_words(job, tmp_path / "s.zarr", "snn", *more))
    network = read_model(job / "m.keras")
    rows = read_rows(job / "a.parquet", without="growth_fraction")
    scales = sd.calibrate(network, rows, rate_hz=200).scales_hz
    np.testing.assert_allclose(found["attributes"]["scales_hz"], scales, rtol=1e-6)
    assert found["attributes"]["readout"] == "parabola"


def test_sampling_again_changes_nothing_and_other_settings_are_refused(job, stores):
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in stores[0].rglob("c.*")}
    run(*sample_words(job, stores[0], "ann"))
    for more in (("--seed", 1), ("--scope", "row"), ("--network", "snn")):
        result = run(*sample_words(job, stores[0], "ann", *more), code=2)
        assert result.stderr.startswith("spikedrop: ") and result.stderr.count("\n") == 1
    assert before == {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in stores[0].rglob("c.*")}


def test_compare_says_what_the_package_says(job, stores):
    first, second = (sd.open_samples(store).load() for store in stores)
    expected = sd.compare(first, second, margin=0.2)
    found = told("compare", *stores, "--margin", 0.2)
    assert found["verdict"] == expected.verdict and found["paired"] is True
    assert found["criteria"][0]["estimate"] == pytest.approx(expected.error.mean, rel=1e-6)
    assert found["observations"] == found["of_observations"] == first.sizes["observation"]
    few = told("compare", *stores, "--observations", 5, "--unpaired")
    assert few["observations"] == 5 and few["paired"] is False
    truth = told("compare", *stores, "--truth", job / "b.csv", "--target", "growth_fraction")
    assert truth["criteria"][-1]["name"] == "CRPS"


def test_compare_can_ask_for_equivalence_by_the_exit_code(stores):
    ann = stores[0]
    assert "EQUIVALENT" in run("compare", ann, ann, "--require-equivalent").stdout
    words = ("compare", *stores, "--margin", 1e-6)
    assert "DIFFERENT" in run(*words).stdout
    run(*words, "--require-equivalent", code=1)


def test_score_gives_the_scores_of_the_package(job, stores):
    y = read_column(job / "b.csv", "growth_fraction")
    samples = sd.open_samples(stores[1]).load()
    words = ("score", stores[1], job / "b.csv", "--target", "growth_fraction", "--noise-sd", 0.2)
    scores = told(*words)["scores"]
    assert scores["rmse"] == pytest.approx(sd.rmse(samples, y), rel=1e-5)
    assert scores["log_likelihood"] == pytest.approx(sd.log_likelihood(samples, y, 0.2), rel=1e-5)
    assert scores["coverage"] == pytest.approx(sd.coverage(samples, y, 0.2), abs=1e-9)
    assert f"{scores['rmse']:.5g}" in run(*words).stdout


def test_energy_gives_the_table_of_the_package(job):
    words = ("energy", job / "m.keras", job / "b.csv", "--target", "growth_fraction", "--steps", 20)
    found = told(*words, "--draws", 50, "--observations", 30)
    network = read_model(job / "m.keras")
    x = read_rows(job / "b.csv", without="growth_fraction")
    conversion = sd.calibrate(network, x)
    works = {
        "ANN": count_ann_operations(network, x[:30], draws=4, seed=0),
        "SNN": count_operations(network, conversion, x[:30], draws=4, seed=0, steps=20),
    }
    expected = energy_table(works, 50)
    pd.testing.assert_frame_equal(pd.DataFrame(found["joules"]), expected)
    snn = sd.sample_snn(network, conversion, x[:30], draws=4, seed=0, steps=20, settle=0)
    spikes = snn.attrs["spikes_per_presentation"]
    assert found["spikes_per_presentation"] == pytest.approx(spikes, rel=1e-6)


# interruptions and full disks


def test_an_interruption_says_how_to_go_on(job, tmp_path, monkeypatch):
    def interrupted(*args, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("spikedrop.store.sample_to_store", interrupted)
    result = run(*sample_words(job, tmp_path / "s.zarr", "ann"), code=130)
    assert "the same command resumes from here" in result.stderr
    monkeypatch.setattr("spikedrop.training.keras.train", interrupted)
    result = run(*train_words(job, tmp_path / "n.keras"), code=130)
    assert "nothing was written" in result.stderr and not list(tmp_path.iterdir())


def test_a_full_disk_is_one_line_and_leaves_no_half_file(job, tmp_path, monkeypatch):
    def full(self, place, **more):
        Path(place).write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place))

    (tmp_path / "t.csv").write_text("old")
    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    result = run("simulate", tmp_path / "t.csv", "--records", 50, code=2)
    assert "No space left" in result.stderr and result.stderr.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["t.csv"]
    assert (tmp_path / "t.csv").read_text() == "old"

    def cannot(*args, **more):
        raise StoreError("s.zarr: cannot be written (No space left on device).")

    monkeypatch.setattr("spikedrop.store.sample_to_store", cannot)
    result = run(*sample_words(job, tmp_path / "s.zarr", "ann"), code=2)
    assert result.stderr == "spikedrop: s.zarr: cannot be written (No space left on device).\n"


def test_a_file_is_replaced_only_when_the_new_one_is_whole(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("old")
    with pytest.raises(RuntimeError), written(file) as place:
        place.write_text("new, half")
        raise RuntimeError
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]
    with written(file) as place:
        place.write_text("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new" and list(tmp_path.iterdir()) == [file]


# reading


def test_rows_are_the_same_from_every_kind_of_file(tmp_path):
    values = np.random.default_rng(0).normal(size=(70, 3)).astype(np.float32)
    table = pd.DataFrame(values, columns=list("abc"))
    table.to_csv(tmp_path / "x.csv", index=False)
    table.to_parquet(tmp_path / "x.parquet", index=False, row_group_size=13)
    np.save(tmp_path / "x.npy", values)
    for suffix in ("csv", "parquet", "npy"):
        read = read_rows(tmp_path / f"x.{suffix}")
        np.testing.assert_array_equal(read.astype(np.float32), values)
        assert (read.dtype == np.float32) == isinstance(read, np.memmap) == (suffix == "npy")
    for suffix in ("csv", "parquet"):
        x, y, names = read_table(tmp_path / f"x.{suffix}", "b")
        np.testing.assert_array_equal(x.astype(np.float32), values[:, [0, 2]])
        np.testing.assert_array_equal(y.astype(np.float32), values[:, 1])
        assert names == ["a", "c"]
        column = read_column(tmp_path / f"x.{suffix}", "c")
        np.testing.assert_array_equal(column.astype(np.float32), values[:, 2])


# the demonstration


class Images(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.elsewhere = [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "img":
            self.found.append(attrs)
        self.elsewhere += [v for k, v in attrs.items() if k in ("href", "src") and ":" not in v]
        self.elsewhere += [v for v in attrs.values() if v.startswith("http")]


def test_the_demonstration_writes_a_page_that_stands_alone(tmp_path, monkeypatch):
    sizes = {"RECORDS": 400, "HIDDEN": (16, 16), "EPOCHS": 2, "TESTED": 40, "DRAWS": 60}
    for name, value in sizes.items():
        monkeypatch.setattr(sys.modules[demo_part.__module__], name, value)
    found = told("demo", "-o", tmp_path / "page.html")
    assert found["verdict"] in VERDICTS
    assert set(found["scores"]["RMSE"]) == {"ann", "snn"} and found["spikes_per_presentation"] > 0
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = Images()
    page.feed(text)
    assert len(page.found) == 3 and not page.elsewhere
    for image in page.found:
        assert len(image["alt"]) > 30
        data = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"), validate=True)
        assert data.startswith(b"\x89PNG")
    assert found["verdict"].capitalize() in text and "{" not in text.split("</style>")[1]
