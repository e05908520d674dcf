"""Every chapter runs, the site is made from that run, and the checker looks at it.

In one file, because tests of one file share a process, and with it the run of the chapters.
"""

import json
import re

import nbformat
import pytest
from bs4 import BeautifulSoup

from book.check import check_site, footer_faults, missing_figures, page_faults
from book.content import content_faults
from book.execute import chapter_parameters, notebook_defaults
from book.facts import DATA, PACKAGES, SCREEN, data_read
from book.stage import chapters_in_toc
from book.tree import LANES, ROOT, Tree, toc_pages
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
@pytest.mark.parametrize("real", [False, True])
def test_what_a_chapter_reads_is_known(chapter, real):
    read = data_read(nbformat.read(TREE.notebook(chapter), as_version=4), real_records=real)
    own = {"12_your_model": "the diabetes records of scikit-learn",
           "13_digits": "the digits of scikit-learn"}  # fmt: skip
    assert read == [own.get(chapter, SCREEN[real])]
    assert set(read) <= DATA


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


def page(tree, name):
    return BeautifulSoup((tree.html / f"{name}.html").read_text(encoding="utf-8"), "html.parser")


def test_every_page_of_the_table_of_contents_is_there(fast_site):
    pages = toc_pages(fast_site.source)
    assert {"book/index", "book/reading", "book/notation", "book/glossary", "book/api"} <= set(
        pages
    )
    assert {"book/status", "book/references"} <= set(pages)
    for name in pages:
        assert (fast_site.html / f"{name}.html").is_file(), name
    assert (fast_site.html / "index.html").is_file()


def test_every_figure_is_shown_with_alt_text(fast_site):
    for chapter in fast_site.chapters():
        images = page(fast_site, f"chapters/{chapter}").select("article figure img")
        assert images, f"{chapter} shows no figure"
        assert all(len(image["alt"]) > 20 for image in images)


def test_status_page_names_versions_seed_data_and_times(fast_site):
    record = json.loads(fast_site.record.read_text(encoding="utf-8"))
    soup = page(fast_site, "book/status")
    cells = [cell.get_text().strip() for cell in soup.select("article td")]
    for package, _ in PACKAGES:
        assert cells[cells.index(package) + 1] == record["versions"][package]
    facts = dict(zip(cells[::2], cells[1::2], strict=False))
    assert facts["seed"] == "0"
    assert facts["parameter values"] == "fast"
    assert facts["kind of data"] == "the simulated screen"
    assert facts["data"]
    assert facts["commit"]
    assert facts["Python"] == record["python"]
    links = [link["href"] for link in soup.select("article td a")]
    assert [link for link in links if "chapters/" in link] == [
        f"../chapters/{chapter}.html" for chapter in fast_site.chapters()
    ]


def test_opening_page_shows_the_figure_and_the_result(fast_site):
    soup = page(fast_site, "book/index")
    assert soup.select("article figure img")
    rows = soup.select("article table tbody tr")
    assert len(rows) >= 5
    assert all(row.select("td")[-1].get_text().strip() for row in rows)


def test_every_module_has_its_docstring_on_a_page(fast_site):
    text = "".join(
        path.read_text(encoding="utf-8")
        for path in (fast_site.html / "book" / "api").glob("*.html")
    )
    for name in ("spikedrop.network.graph.Network", "spikedrop.sampling.ann.sample_ann"):
        assert f'id="{name}"' in text


def test_every_reference_has_a_doi_or_an_address():
    entries = (ROOT / "book" / "references.bib").read_text(encoding="utf-8").split("\n@")[1:]
    assert len(entries) > 10
    for entry in entries:
        assert re.search(r"^\s*(doi|url) = \{", entry, re.M), entry.splitlines()[0]


def html(body):
    return BeautifulSoup(f"<html><body><article>{body}</article></body></html>", "html.parser")


OUTPUT = '<div class="cell_output"><pre>{}</pre></div>'
PLANTED = {
    "a log line of TensorFlow": OUTPUT.format("I0000 00:00:1711.123 gpu_device.cc:1] x"),
    "a log line with a time stamp": "<p>2026-01-02 10:11:12.345: I tensorflow/core] x</p>",
    "a log line of absl": "<p>WARNING: All log messages before absl::InitializeLog() x</p>",
    "a logger's line": OUTPUT.format("WARNING:tensorflow:From x"),
    "a message about missing accelerators": "<p>Could not find cuda drivers</p>",
    "a progress bar": OUTPUT.format(" 45%|████▌     | 9/20 [00:05&lt;00:06]"),
    "a progress bar of Keras": OUTPUT.format("Epoch 1/60\n"),
    "a progress bar of Nengo": OUTPUT.format("Building finished in 0:00:01"),
    "a traceback": OUTPUT.format("Traceback (most recent call last):"),
    "a warning": OUTPUT.format("x.py:3: UserWarning: careful"),
    "a warning of a logger": OUTPUT.format("WARNING something"),
    "written to stderr": '<div class="cell_output stderr">hm</div>',
    "a message of Sphinx": '<div class="system-message">Unknown role</div>',
    "markup instead of its meaning": "<p>The error is {{ paired_error }}.</p>",
    "has no alt text": '<img src="../_images/abc.png" alt="../_images/abc.png">',
    "names a folder of the machine": "<p>see /builder/clone/_build/work</p>",
}


@pytest.mark.parametrize("what", PLANTED)
def test_the_checker_sees_what_is_planted(what):
    faults = page_faults(html(PLANTED[what]), machine_paths=["/builder/clone"])
    assert any(what in fault for fault in faults), faults


def test_the_checker_leaves_a_good_page_alone():
    good = (
        "<p>NengoDL warns once. The bar shows 45 % of UserWarning, in a 5 ms step.</p>"
        '<div class="cell_input"><pre>warnings.simplefilter("error", UserWarning)</pre></div>'
        '<img src="a.png" alt="Growth against dose, falling from one to zero">'
        "<p><code>{glue:text}`name`</code></p>"
    )
    assert page_faults(html(good), machine_paths=["/builder/clone"]) == []


def test_the_checker_sees_missing_pages_images_links_and_figures(tmp_path):
    (tmp_path / "chapters").mkdir()
    body = (
        '<h1>w</h1><img src="gone.png" alt="A figure that is not there"><a href="gone.html">x</a>'
        '<a href="#nowhere">y</a><h2 id="here">z</h2><a href="#here">z</a>'
        '<a href="https://example.org">far</a>'
    )
    (tmp_path / "chapters" / "01_a.html").write_text(str(html(body)), encoding="utf-8")
    faults = check_site(tmp_path, ["chapters/01_a", "chapters/02_b"])
    assert len(faults) == 4, faults
    assert "chapters/02_b.html was not built" in faults[0]
    assert "'gone.png' is missing" in faults[1]
    assert "'gone.html' leads nowhere" in faults[2]
    assert "'#nowhere' leads to no place" in faults[3]
    assert missing_figures(tmp_path, {"01_a": 2}) == ["chapters/01_a: shows 0 of 2 figures"]


def output(table, *, tags="", fold=False):
    inner = f'<div class="cell_output">{table}</div>'
    return f'<div class="cell {tags}">{"<details>" * fold}{inner}{"</details>" * fold}</div>'


def table(*rows, titles=("device", "joules")):
    head = "".join(f"<th>{title}</th>" for title in titles)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


SIGNATURE = (
    '<dl><dt class="sig">sample(seed: int = &lt;typer.OptionInfo object at 0x7f3a9c&gt;)</dt></dl>'
)
PLANTED_CONTENT = {
    "a signature shows an object of Python: 'sample(seed": SIGNATURE,
    "an output shows an object of Python: '<Axes": OUTPUT.format("&lt;Axes at 0x7f00aa&gt;"),
    "an output shows an object of Python: '(np.float64": OUTPUT.format("(np.float64(0.5), 1)"),
    "the page shows an object of Python: 'It is <function": "<p>It is &lt;function mean&gt;.</p>",
    "an output has a placeholder": OUTPUT.format("'make bench was not run'"),
    "the page has a placeholder": "<p>The result: TODO</p>",
    "an output shows more decimals": OUTPUT.format("0.123456789012"),
    "the page shows more decimals": "<p>The error is 0.30000000000000004 sd.</p>",
    "nothing follows the heading 'Against others'": (
        "<section><h1>a</h1><p>b</p><section><h2>Against others#</h2></section></section>"
    ),
    "holds only '0.000000'": output(table(*[(f"chip {n}", "0.000000") for n in range(4)])),
    "holds only '8.60'": output(table(*[(f"chip {n}", "8.60") for n in range(4)])),
    "holds only '0.0 %'": output(table(*[(f"chip {n}", "0.0 %") for n in range(4)])),
    "has a cell 'nan'": output(table(("chip", "nan"))),
    "has a cell 'None'": "<div>" + table(("chip", "None")) + "</div>",
    "has 45 rows: fold it": output(table(*[(f"chip {n}", n / 8) for n in range(45)])),
}


@pytest.mark.parametrize("what", PLANTED_CONTENT)
def test_the_checker_sees_numbers_and_tables_that_say_nothing(what, tmp_path):
    faults = content_faults(html(PLANTED_CONTENT[what]))
    assert len(faults) == 1, faults
    assert what in faults[0]
    # And as part of the check of a site.
    (tmp_path / "a.html").write_text(str(html(PLANTED_CONTENT[what])), encoding="utf-8")
    assert f"a: {faults[0]}" in check_site(tmp_path, ["a"])


def test_the_checker_leaves_tables_alone_that_say_something():
    good = [
        "<section><h1>a</h1><section><h2>b</h2><p>Run on 0x10 cores.</p></section></section>",
        output(table(*[(f"chip {n}", f"0.{n}") for n in range(4)])),
        output(table(*[(f"chip {n}", "0") for n in range(4)])),  # a seed, a count
        output(table(*[(f"chip {n}", "0.00") for n in range(3)])),
        output(table(*[(f"chip {n}", "1.000") for n in range(4)]), tags="tag_values-agree"),
        output(table(*[(f"chip {n}", n / 8) for n in range(45)]), fold=True),
        output(table(*[("0.12345678", f"{n}.12345678") for n in range(3)])),
        table(*[(f"module {n}", "a nan is none of these") for n in range(45)]),
        '<div class="cell_input"><pre>x = np.float64(0.12345678901234)</pre></div>',
    ]
    for body in good:
        assert content_faults(html(body)) == []


def test_the_checker_reads_footers(tmp_path):
    (tmp_path / "chapters").mkdir()
    page = tmp_path / "chapters" / "12_a.html"
    page.write_text('<footer><p class="run-footer">seed 0, the\n screen</p></footer>', "utf-8")
    known = ["the screen", "the digits"]
    assert footer_faults(tmp_path, "12_a", ["the screen"], known) == []
    assert footer_faults(tmp_path, "12_a", ["the digits"], known) == [
        "chapters/12_a: its footer does not name its data, the digits",
        "chapters/12_a: its footer names data it did not read, the screen",
    ]
