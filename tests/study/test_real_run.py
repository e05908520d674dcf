"""The chapters recorded on real records: whole, named by commit, and made by one command."""

import json
import re

import nbformat
import pytest
from nbformat.v4 import new_output

from book import real_run as recording
from book.build import main
from book.execute import notebook_defaults
from book.tree import ROOT, BookError, Tree
from book.values import names_shown
from spikedrop.errors import InputError
from spikedrop.study.real_run import beside_recorded, read_real_runs


def test_what_pages_show_is_recorded_with_its_date_commit_and_command():
    runs = read_real_runs()
    assert set(runs) == set(recording.CHAPTERS)
    for name, run in runs.items():
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", run.date)
        assert re.fullmatch(r"[0-9a-f]{40}", run.commit)
        assert run.command == f"{recording.COMMAND} {name}" and "cores" in run.machine
        assert "simulated" not in str(run.results.get("source", "real"))
        assert all(isinstance(value, int | float | str) for value in run.results.values())
        assert len(run.results) > 20
    shown = {
        name
        for page in (ROOT / "book").glob("*.md")
        for name in names_shown(page.read_text(encoding="utf-8"))
        if name.startswith("real_")
    }
    assert len(shown) > 10 and shown <= set(recording.real_values())


def test_recorded_values_are_of_one_run_of_each_chapter():
    """Sizes of a chapter's record follow from its parameters: nobody mixed in a fast run."""
    values = recording.real_values()
    settings = notebook_defaults(ROOT / "chapters" / "05_comparison.ipynb")
    assert values["real_many_draws"] == settings["many_draws"]
    assert values["real_n_observations"] == settings["observations"]
    assert 0 <= values["real_controls_found"] <= 6


def test_values_stand_beside_each_other(tmp_path):
    file = tmp_path / "real.json"
    run = dict.fromkeys(["date", "commit", "machine", "command"], "x")
    file.write_text(json.dumps({"a": run | {"results": {"r2": 0.5, "p": None}}}))
    rows = {"R2": ("r2", 0.75), "p": ("p", 0.5), "new": ("new", "yes")}
    table = beside_recorded("a", rows, file)
    assert table.columns.tolist() == ["this run", "real records, run on x"]
    assert table.loc["R2"].tolist() == [0.75, 0.5]
    assert table.loc["p"].tolist() == [0.5, None]
    assert table.loc["new"].tolist() == ["yes", "not recorded"]
    assert (beside_recorded("b", rows, file).iloc[:, 1] == "not recorded").all()


def test_a_file_that_is_not_a_record_is_named(tmp_path):
    for text in ("", "[]", '{"a": {"date": "2026-01-02"}}', '{"a": 3}'):
        (tmp_path / "real.json").write_text(text)
        with pytest.raises(InputError, match=r"real\.json is not a recorded run"):
            read_real_runs(tmp_path / "real.json")


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """A tree of two chapters whose execution only writes what they glue."""
    tree, file = Tree("full", tmp_path, folder="real"), tmp_path / "real_run.json"
    monkeypatch.setattr(recording, "RECORDED", file)
    monkeypatch.setattr(recording, "git_commit", lambda root: ("c" * 40, False))
    monkeypatch.setattr(recording, "prepare", lambda tree, data: {"01_a": {}, "02_b": {}})

    def execute(tree, name, parameters):
        data = {"application/papermill.record/text/plain": "0.25"}
        output = new_output("display_data", data, metadata={"scrapbook": {"name": f"v_{name}"}})
        cell = nbformat.v4.new_code_cell("pass", outputs=[output])
        tree.executed.mkdir(parents=True, exist_ok=True)
        target = tree.executed / f"{name}.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), target)

    monkeypatch.setattr(recording, "execute_chapter", execute)
    return tree, file


def test_a_chapter_is_recorded_and_the_others_stay(sources):
    tree, file = sources
    recording.record(tree, ["02_b"], "folder")
    recording.record(tree, ["01_a"], "folder")
    found = json.loads(file.read_text())
    assert list(found) == ["01_a", "02_b"]
    assert found["02_b"]["results"] == {"v_02_b": 0.25}
    assert found["02_b"]["commit"] == "c" * 40 and found["02_b"]["command"].endswith("02_b")
    assert tree.out.name == "real"


def test_nothing_is_recorded_from_changed_sources_or_unknown_chapters(sources, monkeypatch):
    tree, file = sources
    with pytest.raises(BookError, match="no chapter '03_c'"):
        recording.record(tree, ["01_a", "03_c"], "folder")
    monkeypatch.setattr(recording, "git_commit", lambda root: ("c" * 40, True))
    with pytest.raises(BookError, match="commit them first"):
        recording.record(tree, ["01_a"], "folder")
    assert not file.exists()


def test_without_a_folder_the_command_says_so(monkeypatch, capsys):
    monkeypatch.delenv("SPIKEDROP_DATA", raising=False)
    assert main(["real"]) == 1
    assert "SPIKEDROP_DATA is not set" in capsys.readouterr().err
