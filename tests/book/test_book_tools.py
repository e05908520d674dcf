"""The tools that execute and stage the chapters, on small notebooks of their own."""

import doctest
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time

import joblib
import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from sphinx import addnodes

from benchmarks import bench
from book import build
from book.execute import (
    LONGEST,
    TIMED,
    chapter_parameters,
    data_folder,
    execute,
    execute_all,
    execute_chapter,
    notebook_defaults,
    prepare,
)
from book.extension import leave_out_values
from book.facts import git_commit
from book.stage import _clean, data_of_pages, stage
from book.tree import ROOT, BookError, Tree, toc_pages
from book.values import Figure, fill, glued_values, merge, table_of_values
from spikedrop.study.cost import read_benchmark

PARAMETERS = 'data = ""  # a folder\nseed = 0\nwork = "_build/work"\nsize = 100'


def write(tree, name, *sources, parameters=PARAMETERS, lanes=None):
    """A chapter of a title, a parameters cell and the given code cells."""
    notebook = new_notebook(
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        },
        cells=[new_markdown_cell(f"# What is {name}?")],
    )
    notebook.cells.append(new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    notebook.cells += [new_code_cell(source) for source in sources]
    (tree.root / "chapters").mkdir(exist_ok=True)
    nbformat.write(notebook, tree.notebook(name))
    lanes = lanes or {"fast": {"size": 10}, "full": {"seed": 0, "size": 100}}
    path = tree.root / "chapters" / "parameters.yml"
    known = yaml.safe_load(path.read_text()) if path.exists() else {"fast": {}, "full": {}}
    for lane, values in lanes.items():
        known[lane][name] = values
    path.write_text(yaml.safe_dump(known))


@pytest.fixture
def tree(tmp_path):
    return Tree("fast", tmp_path)


@pytest.mark.parametrize(
    ("lanes", "words"),
    [
        ({"fast": {"sizes": 10}, "full": {"seed": 0, "size": 100}}, "no parameter 'sizes'"),
        ({"fast": {"work": "x"}, "full": {"seed": 0, "size": 100}}, "no parameter 'work'"),
        ({"fast": {}, "full": {"seed": 0, "size": 99}}, "size = 99, but the notebook's default"),
        ({"fast": {}, "full": {"seed": 0}}, "'size'] missing"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_runs(tree, lanes, words):
    write(tree, "01_one", "raise SystemExit('must not run')", lanes=lanes)
    with pytest.raises(BookError, match="01_one") as error:
        execute(tree)
    assert words in str(error.value)
    assert not tree.executed.exists()


def test_parameters_need_an_entry_for_each_chapter(tree):
    write(tree, "01_one")
    (tree.root / "chapters" / "parameters.yml").write_text("fast: {}\nfull: {01_one: {}}\n")
    with pytest.raises(BookError, match="but the chapters are"):
        chapter_parameters(tree)
    (tree.root / "chapters" / "parameters.yml").write_text("quick: {}\n")
    with pytest.raises(BookError, match="exactly the keys fast, full"):
        chapter_parameters(tree)
    (tree.root / "chapters" / "parameters.yml").write_text("{")
    with pytest.raises(BookError, match="cannot be read as YAML"):
        chapter_parameters(tree)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ('data = ""\nwork = ""\nsize = int(3)', "not a literal value"),
        ('data = ""\nsize = 3', "lacks 'work'"),
    ],
)
def test_parameters_cell_must_be_plain(tree, parameters, words):
    write(tree, "01_one", parameters=parameters)
    with pytest.raises(BookError, match=words):
        notebook_defaults(tree.notebook("01_one"))


def test_a_notebook_names_its_kernel(tree):
    write(tree, "01_one")
    notebook = nbformat.read(tree.notebook("01_one"), as_version=4)
    del notebook.metadata["kernelspec"]
    nbformat.write(notebook, tree.notebook("01_one"))
    with pytest.raises(BookError, match="must name the kernel python3"):
        notebook_defaults(tree.notebook("01_one"))


def test_a_notebook_needs_one_parameters_cell(tree):
    write(tree, "01_one")
    notebook = nbformat.read(tree.notebook("01_one"), as_version=4)
    notebook.cells[1].metadata.tags = []
    nbformat.write(notebook, tree.notebook("01_one"))
    with pytest.raises(BookError, match="has 0"):
        notebook_defaults(tree.notebook("01_one"))


def test_failing_chapter_names_cell_and_traceback_and_keeps_the_notebook(tree, capsys, monkeypatch):
    monkeypatch.setattr(build, "Tree", lambda lane: tree)
    monkeypatch.delenv("SPIKEDROP_DATA", raising=False)
    write(tree, "01_one", "print('before', size)", "ratio = size / 0")
    assert build.main(["chapters", "--lane", "fast"]) == 1
    message = capsys.readouterr().err
    kept = tree.executed / "01_one.ipynb"
    assert "chapter 01_one failed in cell In [4]" in message
    assert "ratio = size / 0" in message
    assert "ZeroDivisionError: division by zero" in message
    assert "\x1b[" not in message
    assert str(kept) in message
    outputs = [o for cell in nbformat.read(kept, 4).cells for o in cell.get("outputs", [])]
    assert any(output.get("text") == "before 10\n" for output in outputs)
    with pytest.raises(BookError, match="01_one was not executed to its end"):
        stage(tree)


def test_dead_kernel_names_the_cell_that_was_running(tree):
    write(tree, "01_one", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "'after'")
    parameters = prepare(tree)
    with pytest.raises(BookError, match="DeadKernelError") as error:
        execute_chapter(tree, "01_one", parameters["01_one"])
    assert "cell number 4" in str(error.value)
    assert "signal.SIGKILL" in str(error.value)


def test_run_hands_on_folders_and_records_what_a_reader_needs(tree, capsys, monkeypatch):
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.setenv("MPLBACKEND", "agg")
    seen = (
        "import os, pathlib\n"
        "pathlib.Path(work, 'left').write_text(data)\n"
        "assert os.getcwd() == str(pathlib.Path(work).parents[2])\n"
        "assert 'PYTHONWARNINGS' not in os.environ and os.environ['PYTHONHASHSEED'] == '0'\n"
        "from myst_nb import glue\n"
        "glue('error', 0.25, display=False)"
    )
    write(tree, "01_one", seen)
    tree.work.mkdir(parents=True)
    (tree.work / "stale").write_text("of an earlier run")
    execute(tree, data=str(tree.root))
    assert (tree.work / "left").read_text() == str(tree.root)
    assert not (tree.work / "stale").exists()
    told = capsys.readouterr().out
    assert "01_one: done in" in told
    assert "error = 0.25" in told
    record = json.loads(tree.record.read_text())
    assert record["real_records"] is True
    assert record["chapters"]["01_one"]["seed"] == 0
    assert record["chapters"]["01_one"]["data"] == []
    assert record["commit"] == "not a git checkout"
    with pytest.raises(BookError, match="interactive page's network was not trained"):
        stage(tree)

    write(tree, "01_one", seen, "1")
    with pytest.raises(BookError, match="01_one has changed since it was executed"):
        stage(tree)


MEET = """import pathlib, time
pathlib.Path(work, {own!r}).touch()
until = time.monotonic() + 120
while not pathlib.Path(work, {other!r}).exists():
    assert time.monotonic() < until, "waited in vain"
    time.sleep(0.05)
"""


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)


def test_two_chapters_run_side_by_side_and_one_that_measures_time_by_itself(tree, two_cores):
    at_once = "import os\nassert os.environ['NUMBA_NUM_THREADS'] == '1'\n"
    write(tree, "02_a", at_once + MEET.format(own="a", other="b"), "open(work + '/end', 'w')")
    write(tree, "03_b", MEET.format(own="b", other="a"))
    alone = "import os\nassert os.environ['NUMBA_NUM_THREADS'] == '2'\nopen(work + '/end')"
    write(tree, "01_timed", alone)
    notebook = nbformat.read(tree.notebook("01_timed"), as_version=4)
    notebook.cells[-1].metadata["tags"] = ["timed"]
    nbformat.write(notebook, tree.notebook("01_timed"))
    assert execute_all(tree) == {}
    assert list(json.loads(tree.record.read_text())["chapters"]) == ["01_timed", "02_a", "03_b"]
    assert "Executing Cell 3" in (tree.logs / "02_a.log").read_text()


def test_every_failure_is_told_and_nothing_is_begun_after_one(tree, two_cores, capsys):
    write(tree, "01_a", MEET.format(own="a", other="b"), "1 / 0")
    write(tree, "02_b", MEET.format(own="b", other="a"), "[][1]")
    write(tree, "03_c", "1")
    with pytest.raises(BookError, match="03_c was not run") as error:
        execute(tree)
    assert "ZeroDivisionError" in str(error.value)
    assert "IndexError" in str(error.value)
    assert not (tree.executed / "03_c.ipynb").exists()


def test_an_interrupt_ends_the_kernels(tree):
    asleep = "import os, pathlib, time\npathlib.Path(work, str(os.getpid())).touch()"
    for name in ("01_a", "02_b"):
        write(tree, name, asleep + "\ntime.sleep(300)")
    code = (
        "import joblib, pathlib\njoblib.cpu_count = lambda: 2\nfrom book.execute import execute\n"
        f"from book.tree import Tree\nexecute(Tree('fast', pathlib.Path({str(tree.root)!r})))"
    )
    run = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE)

    def kernels():
        return [int(path.name) for path in tree.work.glob("[0-9]*")]

    wait_until(lambda: len(kernels()) == 2)
    run.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in run.communicate(timeout=120)[1]
    wait_until(lambda: not any(map(alive, kernels())))


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition):
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_chapters_that_measure_time_say_so():
    chapters = Tree("full").chapters()
    for chapter in chapters:
        for cell in nbformat.read(Tree("full").notebook(chapter), as_version=4).cells:
            measures = re.search(r"perf_counter|\bcost_table\(|agreement_table\(", cell.source)
            if cell.cell_type == "code" and measures:
                assert TIMED in cell.metadata.get("tags", []), f"{chapter}: {cell.source}"
    assert set(LONGEST) < set(chapters)


def test_a_page_rests_on_the_data_of_the_chapters_whose_values_it_shows(tree):
    pages = tree.root / "book"
    pages.mkdir()
    (pages / "index.md").write_text("# a\n{{ error:.2f }} and {{ run_date }}")
    (pages / "status.md").write_text("# b\n{{ error }} {{ share }}")
    (pages / "glossary.md").write_text("# c\n")
    notebooks = {
        "01_a": glued("error", **{"text/plain": "0.5"}),
        "02_b": glued("share", **{"text/plain": "0.5"}),
    }
    facts = {"chapters": {"01_a": {"data": ["the screen"]}, "02_b": {"data": ["the digits"]}}}
    assert data_of_pages(tree, facts, notebooks) == {
        "chapters/01_a": "the screen",
        "chapters/02_b": "the digits",
        "book/index": "the screen",
        "book/status": "the screen, the digits",
        "book/live": "the simulated screen",
    }


def test_signatures_show_no_value_that_nobody_can_read():
    def shown(value):
        signature = addnodes.desc_signature("", "", addnodes.desc_name("", "READERS"))
        signature += addnodes.desc_annotation("", f" = {value}")
        content = addnodes.desc_content()
        addnodes.desc("", signature, content)
        leave_out_values(None, "py", "data", content)
        return signature.astext()

    assert shown("50") == "READERS = 50"
    assert shown("{'a': <function _pool>}") == "READERS"
    assert shown("<object object at 0x7f3a9c00>") == "READERS"
    assert shown("(0.05, 0.39999999999999997)") == "READERS"
    assert shown("'" + 300 * "a" + "'") == "READERS"


@pytest.mark.parametrize("path", sorted((ROOT / "book").glob("*.py")), ids=lambda path: path.stem)
def test_examples_of_the_tools_are_true(path):
    module = importlib.import_module(f"book.{path.stem}")
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


def test_a_benchmark_without_a_value_is_not_recorded(tmp_path, monkeypatch):
    file, target = tmp_path / "bench.json", tmp_path / "src" / "benchmark.json"
    target.parent.mkdir()
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(bench, "RECORDED", target)
    entries = [{"name": "a", "value": 2.0, "unit": "x", "bar": None}]
    found = bench.result(entries, "a quiet machine")
    assert found["machine"].endswith("; a quiet machine")
    file.write_text(json.dumps(found))
    with pytest.raises(SystemExit, match=r"without a value: b"):
        bench.record(file, [*entries, {"name": "b", "value": None}])
    assert not target.exists()
    bench.record(file, entries)
    assert read_benchmark(target).figures == tuple(entries)


def test_data_folder_must_exist(monkeypatch, tmp_path):
    monkeypatch.delenv("SPIKEDROP_DATA", raising=False)
    assert data_folder() == ""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "records").mkdir()
    monkeypatch.setenv("SPIKEDROP_DATA", "records")
    assert data_folder() == str((tmp_path / "records").resolve())
    monkeypatch.setenv("SPIKEDROP_DATA", "record")
    with pytest.raises(BookError, match="SPIKEDROP_DATA=record: no such folder"):
        data_folder()


def glued(name, **data):
    output = new_output("display_data", data=data, metadata={"scrapbook": {"name": name}})
    return new_notebook(cells=[new_code_cell("", outputs=[output])])


def test_values_are_read_back_as_they_were_recorded():
    prefix = "application/papermill.record/"
    assert glued_values(glued("a", **{prefix + "text/plain": "0.5"}), "01_a") == {"a": 0.5}
    assert glued_values(glued("a", **{"text/plain": "'all 3'"}), "01_a") == {"a": "all 3"}
    assert glued_values(glued("a", **{"text/plain": "12"}), "01_a") == {"a": 12}
    picture = {prefix + "image/png": "iVBORw==", prefix + "text/plain": "<Figure>"}
    assert glued_values(glued("a", **picture), "01_a") == {"a": Figure(b"\x89PNG")}
    with pytest.raises(BookError, match=r"01_a: glue\('a'\).*float"):
        glued_values(glued("a", **{"text/plain": "np.float64(0.5)"}), "01_a")


def test_one_name_has_one_value():
    assert merge({"01_a": {"x": 1}, "02_b": {"x": 1, "y": 2}}) == {"x": 1, "y": 2}
    with pytest.raises(BookError, match="'x' is recorded by 01_a and, with another value, by 02_b"):
        merge({"01_a": {"x": 1}, "02_b": {"x": 2}})


def test_pages_are_filled_or_refused():
    values = {"r": 0.8312, "share": 0.9, "n": 1200, "text": "no", "fig": Figure(b"")}
    page = "{{ r:.2f }} {{share:.0%}} {{ n:, }} {{ text }} {{ fig }} {braces} {{}}"
    assert fill(page, values, "p.md") == "0.83 90% 1,200 no figures/fig.png {braces} {{}}"
    with pytest.raises(BookError, match=r"p\.md: nothing is recorded under 'gone'"):
        fill("{{ gone:.2f }}", values, "p.md")
    with pytest.raises(BookError, match=r"p\.md: .*'no' does not fit"):
        fill("{{ text:.2f }}", values, "p.md")


def test_values_are_shown_in_the_terminal_with_tables_whole():
    shown = table_of_values({"a": 0.123456789, "t": "  n\n0 1", "f": Figure(b"")})
    assert shown.splitlines() == ["    a = 0.123457", "    t", "        n", "      0 1"]


def test_page_shows_only_parameters_that_are_news():
    given = {"data": "/records", "work": "/clone/work", "seed": 0, "size": 10}
    cells = [new_code_cell("size = 10", metadata={"tags": ["injected-parameters"]})]
    notebook = new_notebook(cells=cells, metadata={"papermill": {"parameters": given}})
    _clean(notebook, {"data": "", "work": "", "seed": 0, "size": 100}, "fast")
    assert notebook.cells[0].source == "# the fast values of this run\nsize = 10"
    assert "papermill" not in notebook.metadata
    given["size"] = 100
    notebook.metadata["papermill"] = {"parameters": given}
    _clean(notebook, {"data": "", "work": "", "seed": 0, "size": 100}, "full")
    assert notebook.cells == []


def test_commit_is_that_of_the_tree_itself(tmp_path):
    assert git_commit(tmp_path) == ("not a git checkout", False)

    def git(*words):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *words], check=True)

    git("init", "--quiet")
    (tmp_path / "file").write_text("a")
    git("add", "file")
    git("commit", "--quiet", "-m", "first")
    commit, changed = git_commit(tmp_path)
    assert len(commit) == 40
    assert not changed
    (tmp_path / "file").write_text("b")
    assert git_commit(tmp_path) == (commit, True)
    (tmp_path / "inner").mkdir()
    assert git_commit(tmp_path / "inner") == ("not a git checkout", False)


def test_table_of_contents_is_read_to_its_leaves(tmp_path):
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "b.md").write_text("# b")
    (tmp_path / "api" / "a.md").write_text("# a")
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nparts:\n- chapters:\n"
        "  - file: one.ipynb\n    sections:\n    - glob: api/*\n"
    )
    assert toc_pages(tmp_path) == ["index", "one", "api/a", "api/b"]


@pytest.mark.parametrize(
    "words", [["chapters", "05_comparison"], ["site", "x"], ["real", "--lane", "fast"]]
)
def test_words_that_a_command_does_not_take_are_refused(words, capsys):
    with pytest.raises(SystemExit) as ended:
        build.main(words)
    assert ended.value.code == 2
    assert "takes no chapters" in (said := capsys.readouterr().err) or "full lane" in said
