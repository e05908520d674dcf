"""Look at the built site as a reader would: every page there, nothing broken, nothing leaked."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote, urldefrag

from bs4 import BeautifulSoup

from book.content import around, content_faults, outside_code

#: What no reader should meet anywhere on a page, code cells and prose included.
LEAKS = {
    "a log line of TensorFlow": r"(?m)^\s*[IWEF]\d{4} \d\d:\d\d:\d+\.\d+",
    "a log line with a time stamp": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.,]\d+: [IWEF] ",
    "a log line of absl": r"All log messages before absl::InitializeLog",
    "a logger's line": r"(?m)^\s*(DEBUG|INFO|WARNING|ERROR|CRITICAL):[\w.]+:",
    "a message about missing accelerators": r"Could not find cuda|oneDNN custom operations",
    "a progress bar": r"\d+%\|[^|\n]*\||[█▏▎▍▌▋▊▉]{2}|━━━|\d\s?(it|cell|batch)/s\b|ms/step",
    "a progress bar of Keras": r"(?m)^\s*Epoch \d+/\d+\s*$",
}
#: What code may mention but no output may show.
LEAKS_IN_OUTPUTS = {
    "a progress bar of Nengo": r"Build(ing)? (finished|network)|Simulat(ing|ion) finished",
    "a traceback": r"Traceback \(most recent call last\)",
    "a warning": r"\b[A-Z]\w*Warning:",
    "a warning of a logger": r"(?m)^\s*WARNING\b",
}
#: What a browser fetches with a page: all of it comes from the site itself.
FETCHED = (
    ("script", "src"),
    ("link:not([rel=canonical])", "href"),
    ("img, iframe, source, video, audio, embed", "src"),
    ("object", "data"),
)
#: Markup that was not understood and so shows as text.
UNRENDERED = r"\{\{\s*\w+|\{(glue|cite|numref|ref|doc|term|eq)[:}]|\{glue:"


def check_site(html: Path, pages: Sequence[str], *, machine_paths: Sequence[str] = ()) -> list[str]:
    """Everything wrong with the site at `html`, one line a fault; empty when all is well.

    `pages` are the pages the table of contents promises, without suffix. `machine_paths` are
    folders of the machine that built the site, which no page may name.
    """
    faults = [
        f"{page}: the table of contents lists it, but {page}.html was not built"
        for page in pages
        if not (html / f"{page}.html").is_file()
    ]
    built = [html / f"{page}.html" for page in pages if (html / f"{page}.html").is_file()]
    ids: dict[Path, set[str]] = {}
    for path in built:
        name = path.relative_to(html).with_suffix("").as_posix()
        soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        faults += [f"{name}: {fault}" for fault in page_faults(soup, machine_paths=machine_paths)]
        faults += [f"{name}: {fault}" for fault in _file_faults(soup, path, ids)]
        faults += [f"{name}: {fault}" for fault in structure_faults(soup)]
        faults += [f"{name}: {fault}" for fault in content_faults(soup)]
    return faults


def page_faults(soup: BeautifulSoup, *, machine_paths: Iterable[str] = ()) -> list[str]:
    """Faults of one page that show in its text and markup alone."""
    article = soup.select_one("article") or soup
    faults = []
    text = article.get_text()
    for what, pattern in LEAKS.items():
        if found := re.search(pattern, text):
            faults.append(f"shows {what}: {around(text, found)}")
    for output in article.select(".cell_output"):
        shown = output.get_text()
        for what, pattern in LEAKS_IN_OUTPUTS.items():
            if found := re.search(pattern, shown):
                faults.append(f"an output shows {what}: {around(shown, found)}")
    for stderr in article.select(".stderr"):
        faults.append(f"shows what was written to stderr: {stderr.get_text().strip()[:120]}")
    for message in article.select(".system-message, .problematic"):
        faults.append(f"shows a message of Sphinx: {message.get_text().strip()[:120]}")
    faults += [
        f"names a folder of the machine that built it: {folder}"
        for folder in machine_paths
        if folder in text
    ]
    prose = outside_code(article)
    if found := re.search(UNRENDERED, prose):
        faults.append(f"shows markup instead of its meaning: {around(prose, found)}")
    for image in article.select("img"):
        alt = str(image.get("alt", "")).strip()
        source = str(image.get("src", ""))
        if len(alt) < 10 or Path(alt).name == Path(source).name or alt.startswith("../"):
            faults.append(f"the image {source[:80]} has no alt text (alt={alt!r})")
    return faults


def structure_faults(soup: BeautifulSoup) -> list[str]:
    """What keeps a page from being read without a network, by ear, or by somebody who cites it."""
    faults = [
        f"asks another host for {tag[attribute]}"
        for selector, attribute in FETCHED
        for tag in soup.select(selector)
        if re.match(r"(https?:)?//", str(tag.get(attribute, "")))
    ]
    article = soup.select_one("article") or soup
    levels = [int(heading.name[1]) for heading in article.select("h1, h2, h3, h4, h5, h6")]
    if levels.count(1) != 1:
        faults.append(f"has {levels.count(1)} headings of the first level, not one")
    faults += [
        f"its heading number {number} skips from level {before} to level {after}"
        for number, (before, after) in enumerate(zip([0, *levels], levels, strict=False), start=1)
        if after > before + 1
    ]
    for table in article.select("table"):
        if not table.select_one("th"):
            faults.append(f"a table has no headers: {' '.join(table.get_text().split())[:60]!r}")
    return faults


def _file_faults(soup: BeautifulSoup, page: Path, ids: dict[Path, set[str]]) -> list[str]:
    """Images and links of a page that lead to no file, or to no place in it."""
    faults = []
    for image in soup.select("img"):
        source = str(image.get("src", ""))
        if not outside(source):
            target = page.parent / unquote(source.split("?")[0])
            if not source or not target.is_file() or target.stat().st_size == 0:
                faults.append(f"the image {source!r} is missing")
    for link in (soup.select_one("article") or soup).select("a[href]"):
        href = str(link["href"])
        if outside(href):
            continue
        where, fragment = urldefrag(href)
        target = (page.parent / unquote(where.split("?")[0])).resolve() if where else page.resolve()
        if not target.is_file():
            faults.append(f"the link {href!r} leads nowhere")
        elif fragment and target.suffix == ".html" and fragment not in _ids(target, ids):
            faults.append(f"the link {href!r} leads to no place on that page")
    return faults


def outside(reference: str) -> bool:
    """Whether a reference leaves the site.

    Examples
    --------
    >>> outside("https://doi.org/10.1038/1"), outside("../book/index.html#here")
    (True, False)
    """
    return bool(re.match(r"[a-z][a-z0-9+.-]*:|//", reference))


def _ids(path: Path, known: dict[Path, set[str]]) -> set[str]:
    if path not in known:
        known[path] = set(re.findall(r'\sid="([^"]+)"', path.read_text(encoding="utf-8")))
    return known[path]


def missing_figures(html: Path, figures: dict[str, int]) -> list[str]:
    """Chapters whose page shows fewer images than its notebook drew; `figures` counts those."""
    faults = []
    for chapter, drawn in figures.items():
        path = html / "chapters" / f"{chapter}.html"
        if not path.is_file():
            continue  # already told by check_site
        soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        shown = len((soup.select_one("article") or soup).select(".cell_output img"))
        if shown < drawn:
            faults.append(f"chapters/{chapter}: shows {shown} of {drawn} figures")
    return faults


def footer_faults(html: Path, chapter: str, read: Sequence[str], known: Iterable[str]) -> list[str]:
    """Words for data in the footer of a chapter that are not those of the data it has read.

    `known` are the words for all data of the book.
    """
    path = html / "chapters" / f"{chapter}.html"
    if not path.is_file():
        return []  # already told by check_site
    soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    footer = " ".join(" ".join(tag.get_text() for tag in soup.select(".run-footer")).split())
    missing = [words for words in read if words not in footer]
    wrong = [words for words in sorted(known) if words in footer and words not in read]
    faults = [f"chapters/{chapter}: its footer does not name its data, {w}" for w in missing]
    return faults + [
        f"chapters/{chapter}: its footer names data it did not read, {w}" for w in wrong
    ]
