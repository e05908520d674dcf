"""The built site as a reader uses it: in a real browser that reaches no other host."""

import http.server
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import nbformat
import papermill
import pytest
from axe_playwright_python.sync_playwright import Axe
from pypdf import PdfReader

from book.browser import find_chromium, open_chromium
from book.execute import chapter_parameters
from book.layout import layout_faults
from book.pdf import NAME, print_book
from book.tree import ROOT, toc_pages

#: Formulas of a page, those that were rendered, those with an error, and TeX that shows as text.
FORMULAS = r"""() => {
  const all = [...document.querySelectorAll('article .math')];
  const prose = document.querySelector('article').cloneNode(true);
  prose.querySelectorAll('pre, code, script, mjx-container').forEach(node => node.remove());
  return {
    all: all.length,
    rendered: all.filter(node => node.querySelector('mjx-container')).length,
    wrong: document.querySelectorAll('mjx-merror, [data-mjx-error]').length,
    raw: prose.textContent.match(/\\[([]|\$\$|\\(begin|frac|sum|sigma|mathrm)\b/g) || [],
  };
}"""
#: Milliseconds to wait for a page on a busy machine.
PATIENCE_MS = 120_000
#: How far a page sticks out of a phone's screen to the right, and by what.
TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  return [...document.querySelectorAll('article *')]
    .filter(node => node.getBoundingClientRect().right > width + 1)
    .slice(0, 3).map(node => `${node.tagName} ${node.className} ${node.textContent.slice(0, 40)}`);
}"""


@dataclass
class Visit:
    """What a page did when it was opened."""

    console: list[str]
    failed: list[str]
    elsewhere: list[str]
    formulas: dict
    layout: list[str]
    too_wide: list[str]
    violations: dict[str, list[str]]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A static server that keeps its log to itself."""

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def address(fast_site):
    """The site on a static server."""
    handler = partial(Quiet, directory=str(fast_site.html))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def opened(page, url):
    """Open a page and wait until its formulas stand."""
    page.goto(url, wait_until="load")
    page.evaluate("() => window.MathJax ? MathJax.startup.promise : null")


def serious(page, context=None, **options):
    """What axe-core finds on a page that is serious or worse."""
    found = Axe().run(page, context, {"resultTypes": ["violations"], **options})
    return [
        f"{violation['id']}: {node['html'][:120]}"
        for violation in found.response["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


@pytest.fixture(scope="module")
def visits(fast_site, address, browser):
    """Open every page of the site once, in light and then in dark, and note what happens."""
    html = fast_site.html
    pages = [path.relative_to(html).as_posix() for path in sorted(html.rglob("*.html"))]
    skipped = ("_static/", "_print", "index.html")  # the last leads to the first
    pages = [name for name in pages if not name.startswith(skipped)]
    with ThreadPoolExecutor(2) as pool:  # a browser each
        noted = pool.map(partial(visit, address), (pages[::2], pages[1::2]))
        return dict(sorted(item for part in noted for item in part.items()))


def visit(address, pages):
    """Open pages one after the other in a browser of its own."""
    with open_chromium(find_chromium()) as browser:
        context = browser.new_context(
            color_scheme="light", viewport={"width": 1280, "height": 900}, reduced_motion="reduce"
        )
        context.set_default_timeout(PATIENCE_MS)
        return {name: visit_page(context, address, name) for name in pages}


def visit_page(context, address, name):
    """Open one page and note what happens."""
    page = context.new_page()
    noted = Visit([], [], [], {}, [], [], {})
    page.on(
        "console",
        lambda line, to=noted.console: (
            to.append(line.text) if line.type in ("error", "warning") else None
        ),
    )
    page.on("pageerror", lambda error, to=noted.console: to.append(f"error: {error}"))
    page.on("requestfailed", lambda request, to=noted.failed: to.append(request.url))
    page.on(
        "response",
        lambda answer, to=noted.failed: to.append(answer.url) if answer.status >= 400 else None,
    )
    page.on(
        "request",
        lambda request, to=noted.elsewhere: (
            None if request.url.startswith((address, "data:")) else to.append(request.url)
        ),
    )
    opened(page, f"{address}/{name}")
    page.wait_for_load_state("networkidle")
    if page.query_selector("article"):
        noted.formulas = page.evaluate(FORMULAS)
        noted.layout = layout_faults(page)
    # What axe asks for below is not the page's doing.
    noted.console, noted.failed = list(noted.console), list(noted.failed)
    noted.violations["light"] = serious(page)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    # Contrast is all that changes. The code of the programming interface has the colours of
    # the chapters' code, and more of it than can be measured in a minute.
    parts = {"exclude": [["pre"], ["dt.sig"]]} if name.startswith("book/api/") else None
    noted.violations["dark"] = serious(page, parts, runOnly=["color-contrast"])
    page.set_viewport_size({"width": 390, "height": 844})
    noted.too_wide = page.evaluate(TOO_WIDE) if page.query_selector("article") else []
    page.close()
    return noted


def test_every_page_is_opened(visits, fast_site):
    assert {f"{page}.html" for page in toc_pages(fast_site.source)} <= set(visits)
    assert {"search.html", "genindex.html"} <= set(visits)


def test_the_address_alone_leads_to_the_opening_page(page, address):
    page.goto(f"{address}/")
    page.wait_for_url("**/book/index.html")


@pytest.mark.parametrize("what", ["console", "failed", "elsewhere"])
def test_no_page_complains_or_asks_for_what_is_not_there(visits, what):
    assert {
        name: getattr(visit, what) for name, visit in visits.items() if getattr(visit, what)
    } == {}


def test_every_formula_is_rendered(visits, fast_site):
    total = 0
    for name, visit in visits.items():
        if visit.formulas:
            assert visit.formulas["rendered"] == visit.formulas["all"], name
            assert visit.formulas["wrong"] == 0, name
            assert visit.formulas["raw"] == [], name
            total += visit.formulas["all"]
    for chapter in fast_site.chapters():
        if "$$" in fast_site.notebook(chapter).read_text(encoding="utf-8"):
            assert visits[f"chapters/{chapter}.html"].formulas["all"] > 0, chapter
    assert total > 100


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visits, scheme):
    found = {name: visit.violations[scheme] for name, visit in visits.items()}
    assert {name: violations for name, violations in found.items() if violations} == {}


def test_no_table_is_cut_or_fills_many_screens(visits):
    assert {name: visit.layout for name, visit in visits.items() if visit.layout} == {}


WIDE = "<table style='width: 3000px'><tr><td>wide</td></tr></table>"
TALL = "<table>" + "<tr><td>row</td></tr>" * 200 + "</table>"


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        (WIDE, ["is cut"]),
        (f"<div style='overflow-x: hidden'>{WIDE}</div>", ["is cut"]),
        (f"<div style='overflow-x: auto'>{WIDE}</div>", ["is cut"]),
        (
            "<div class='math' style='overflow-x: auto'><p style='width: 3000px'>a</p></div>",
            ["is cut"],
        ),
        ("<div class='cell_output'><table><tr><td>fits</td></tr></table></div>", []),
        (f"<div class='cell_output'>{TALL}</div>", ["px tall and not folded"]),
        (f"<details><summary>x</summary><div class='cell_output'>{TALL}</div></details>", []),
        (f"<div class='cell_output'>{TALL}{WIDE}</div>", ["px tall", "is cut"]),
        (TALL, []),
    ],
)
def test_what_is_cut_or_too_tall_is_seen(page, body, faults):
    page.set_content(f"<article style='width: 800px'>{body}</article>")
    found = layout_faults(page)
    assert len(found) == len(faults), found
    assert all(words in fault for words, fault in zip(faults, found, strict=True))


def test_no_page_is_wider_than_a_phone(visits):
    assert {name: visit.too_wide for name, visit in visits.items() if visit.too_wide} == {}


@pytest.fixture
def page(browser):
    context = browser.new_context(color_scheme="light", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    yield page
    context.close()


def search(page, words):
    """Search as a reader does, from the side bar; the results as they are listed."""
    page.click("button.search-button-field")
    page.fill("#pst-search-dialog input[type=search]", words)
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?*")
    page.wait_for_selector("#search-results ul.search li a")
    page.wait_for_function(
        "!document.querySelector('#search-progress')?.textContent.includes('Searching')"
    )
    return page.locator("#search-results ul.search li > a")


def test_search_finds_membrane_and_opens_the_page(page, address):
    opened(page, f"{address}/book/index.html")
    results = search(page, "membrane")
    found = [link.get_attribute("href") for link in results.all()]
    assert any("chapters/03_conversion.html" in link for link in found), found
    assert any("book/glossary.html" in link for link in found), found
    results.first.click()
    page.wait_for_selector("article")
    assert "membrane" in page.inner_text("article").lower()


def test_a_copy_on_disk_needs_no_server(page, fast_site):
    opened(page, (fast_site.html / "book" / "notation.html").resolve().as_uri())
    formulas = page.evaluate(FORMULAS)
    assert formulas["all"] == formulas["rendered"] > 20
    fonts = page.evaluate(
        "() => document.fonts.ready.then(all => [...all].filter(f => f.family.includes('MJX')"
        " && f.status === 'error').length)"
    )
    assert fonts == 0
    assert search(page, "membrane").count() > 0


def test_dark_mode_switches_and_stays(page, address):
    opened(page, f"{address}/chapters/04_spiking_samples.html")

    def brightness():
        colour = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour.strip("rgba()").split(",")[:3]) / 3

    assert brightness() > 200
    for _ in range(3):  # light, dark, as the system says
        if page.evaluate("() => document.documentElement.dataset.theme") == "dark":
            break
        page.locator("button.theme-switch-button:visible").first.click()
    assert brightness() < 60
    page.reload()
    assert brightness() < 60


def test_the_keyboard_goes_through_a_page_in_its_order(page, address):
    opened(page, f"{address}/chapters/03_conversion.html")
    assert page.locator("[tabindex]").evaluate_all(
        "nodes => nodes.every(node => node.tabIndex <= 0)"
    )
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "Skip to main content"
    page.keyboard.press("Enter")
    assert page.evaluate("() => location.hash") == "#main-content"
    page.evaluate("() => { window.before = document.activeElement; }")
    for _ in range(25):
        page.keyboard.press("Tab")
        forward, seen = page.evaluate(
            """() => {
              const now = document.activeElement, before = window.before;
              window.before = now;
              const style = getComputedStyle(now);
              return [
                before === document.body || Boolean(before.compareDocumentPosition(now) & 4),
                style.outlineStyle !== 'none' || style.boxShadow !== 'none',
              ];
            }"""
        )
        assert forward and seen, page.evaluate(
            "() => document.activeElement.outerHTML.slice(0, 200)"
        )


def test_the_download_button_gives_a_notebook(page, address, tmp_path):
    opened(page, f"{address}/chapters/01_screen.html")
    page.click(".dropdown-download-buttons > button")
    with page.expect_download() as download:
        page.click("a.btn-download-source-button, a.btn-download-notebook-button")
    target = tmp_path / download.value.suggested_filename
    download.value.save_as(target)
    assert target.name == "01_screen.ipynb"
    assert target.read_bytes() == (ROOT / "chapters" / "01_screen.ipynb").read_bytes()


def test_a_downloaded_notebook_runs_alone(fast_site, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND", "TF_USE_LEGACY_KERAS", "MPLBACKEND"):
        monkeypatch.delenv(name, raising=False)  # a reader has not set them
    target = tmp_path / "out.ipynb"
    papermill.execute_notebook(
        str(fast_site.html / "_sources" / "chapters" / "01_screen.ipynb"),
        str(target),
        parameters=chapter_parameters(fast_site)["01_screen"],
        kernel_name="python3",
        progress_bar=False,
    )
    cells = nbformat.read(target, as_version=4).cells
    assert all(cell.execution_count for cell in cells if cell.cell_type == "code")


def test_the_pdf_has_every_chapter_figure_and_formula(fast_site, browser):
    target = print_book(fast_site, browser)
    assert target == fast_site.html / NAME
    assert f"../{NAME}" in (fast_site.html / "book" / "index.html").read_text(encoding="utf-8")
    pdf = PdfReader(target)
    bookmarks = [item.title for item in pdf.outline if not isinstance(item, list)]
    assert len(bookmarks) == len(toc_pages(fast_site.source))
    for number, chapter in enumerate(fast_site.chapters(), start=1):
        title = nbformat.read(fast_site.notebook(chapter), 4).cells[0].source.splitlines()[0]
        assert f"{number}. {title.removeprefix('# ')}" in bookmarks
    images, fonts, links = set(), set(), []
    for page in pdf.pages:
        resources = page["/Resources"]
        for drawn in resources.get("/XObject", {}).values():
            if drawn.get_object()["/Subtype"] == "/Image":
                images.add(drawn.indirect_reference.idnum)
        for font in resources.get("/Font", {}).values():
            if "/FontDescriptor" in font.get_object():
                fonts.add(str(font.get_object()["/FontDescriptor"]["/FontName"]))
        actions = [note.get_object().get("/A", {}) for note in page.get("/Annots", [])]
        links += [str(action["/URI"]) for action in actions if "/URI" in action]
    figures = [
        output
        for chapter in fast_site.chapters()
        for cell in nbformat.read(fast_site.executed / f"{chapter}.ipynb", 4).cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(images) >= len(figures) > 20
    assert any("MathJax_Math" in font for font in fonts)
    assert links and all(link.startswith(("https://", "http://")) for link in links)
    assert not any("127.0.0.1" in link for link in links)
    text = "".join(page.extract_text() for page in pdf.pages[: len(pdf.pages) // 2])
    assert not re.search(r"\\\(|\\frac|\\mathrm", text)
