"""Every chapter runs, and its notebook is kept the way CONTRIBUTING.md says."""

import nbformat
import pytest

from book.execute import chapter_parameters, notebook_defaults
from book.stage import chapters_in_toc
from book.tree import LANES, ROOT, Tree
from book.values import glued_values, merge

TREE = Tree("fast")
CHAPTERS = TREE.chapters()


def executed(run, chapter):
    if chapter in run.errors:
        pytest.fail(run.errors[chapter])
    return nbformat.read(run.tree.executed / f"{chapter}.ipynb", as_version=4)


def test_there_are_chapters_and_the_table_of_contents_lists_each():
    assert CHAPTERS, "no chapter in chapters/"
    chapters_in_toc(TREE)


@pytest.mark.parametrize("lane", LANES)
def test_parameters_are_those_of_the_notebooks(lane):
    # Checks the names in both lanes, and that full equals the notebooks' defaults.
    assert list(chapter_parameters(Tree(lane))) == CHAPTERS


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_notebook_holds_no_outputs(chapter):
    notebook = nbformat.read(TREE.notebook(chapter), as_version=4)
    nbformat.validate(notebook)
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code":
            assert not cell.outputs, f"{chapter}, cell {number} holds outputs: run make strip"
            assert cell.execution_count is None, f"{chapter}, cell {number}: run make strip"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_one_parameters_cell_with_the_common_names(chapter):
    defaults = notebook_defaults(TREE.notebook(chapter))  # an error unless there is just one
    assert defaults["data"] == ""
    assert defaults["seed"] == 0
    assert defaults["work"] == "_build/work"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_no_path_of_a_machine_in_the_notebook(chapter):
    source = TREE.notebook(chapter).read_text(encoding="utf-8")
    assert str(ROOT) not in source
    assert "../shared" not in source


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_runs(fast_run, chapter):
    notebook = executed(fast_run, chapter)
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_figures_have_name_caption_and_alt_text(fast_run, chapter):
    figures = 0
    for cell in executed(fast_run, chapter).cells:
        outputs = cell.get("outputs", [])
        if any("image/png" in output.get("data", {}) for output in outputs):
            figures += 1
            shown = cell.metadata.get("mystnb", {})
            assert len(shown.get("image", {}).get("alt", "")) > 20, f"no alt text: {cell.source}"
            figure = shown.get("figure", {})
            assert figure.get("name", "").startswith("fig-"), f"no figure name: {cell.source}"
            assert len(figure.get("caption", "")) > 20, f"no caption: {cell.source}"
    assert figures > 0, f"{chapter} draws no figure"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_warns_of_nothing(fast_run, chapter):
    for cell in executed(fast_run, chapter).cells:
        for output in cell.get("outputs", []):
            assert output.get("name") != "stderr", f"{output.text}\nfrom the cell\n{cell.source}"


def test_recorded_names_have_one_value_in_all_chapters(fast_run):
    recorded = {name: glued_values(executed(fast_run, name), name) for name in CHAPTERS}
    assert "source" in merge(recorded), "no chapter records where its data come from"
