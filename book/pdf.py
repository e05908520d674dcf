"""The whole book as one PDF: the pages of the site behind one another, printed by Chromium.

The pages become one document first, so that links between them lead to a page of the PDF.
"""

import logging
import posixpath
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urldefrag

from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Browser
from pypdf import PdfWriter
from pypdf.generic import NameObject, TextStringObject

from book.check import outside
from book.tree import BookError, Tree, load_yaml, toc_pages

NAME = "spikedrop.pdf"
LOADING_SECONDS = 600
#: Where the opening page offers the PDF once there is one.
MARK = "<!-- the link to the PDF -->"
LINK = f'<p id="pdf"><a href="../{NAME}" download>The whole book as one PDF</a></p>'
STYLES = (
    "styles/theme.css",
    "styles/pydata-sphinx-theme.css",
    "pygments.css",
    "styles/sphinx-book-theme.css",
    "sphinx-design.min.css",
    "book.css",
    "print.css",
)
FOOTER = """<div style="font: 8px sans-serif; color: #555; width: 100%; margin: 0 15mm;
display: flex; justify-content: space-between"><span>{run}</span><span class="pageNumber"></span>
</div>"""


def print_book(tree: Tree, browser: Browser) -> Path:
    """Write the PDF into the site of `tree` and offer it on the opening page."""
    pages = toc_pages(tree.source)
    document = tree.html / "_print.html"
    document.write_text(one_document(tree.html, pages), encoding="utf-8")
    context = load_yaml(tree.source / "_config.yml")["sphinx"]["config"]["html_context"]
    target = tree.html / NAME
    page = browser.new_page()
    try:
        # All pages at once, formulas included: on a busy machine more than the usual half minute.
        page.goto(document.resolve().as_uri(), timeout=1000 * LOADING_SECONDS)
        page.evaluate("() => MathJax.startup.promise")
        headings = page.evaluate(
            "() => [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')]"
            ".map(heading => heading.textContent.trim())"
        )
        page.pdf(
            path=target,
            format="A4",
            margin={"top": "18mm", "bottom": "18mm", "left": "18mm", "right": "18mm"},
            outline=True,
            tagged=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOTER.format(run=context["run_of_this_site"]),
        )
    finally:
        page.close()
        document.unlink()
    _name_bookmarks(target, headings)
    opening = tree.html / f"{pages[0]}.html"
    text = opening.read_text(encoding="utf-8")
    opening.write_text(text.replace(MARK, LINK), encoding="utf-8")
    return target


def _name_bookmarks(pdf: Path, headings: Sequence[str]) -> None:
    """Give the bookmarks the headings' texts; Chromium repeats those that begin a page."""
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # Chromium counts its objects otherwise
    writer = PdfWriter(clone_from=pdf)
    bookmarks: list[dict] = []

    def walk(bookmark: dict | None) -> None:
        while bookmark is not None:
            bookmarks.append(bookmark)
            walk(_object(bookmark, "/First"))
            bookmark = _object(bookmark, "/Next")

    walk(_object(_object(writer.root_object, "/Outlines") or {}, "/First"))
    if len(bookmarks) != len(headings):
        raise BookError(f"{pdf}: {len(bookmarks)} bookmarks for {len(headings)} headings.")
    for bookmark, heading in zip(bookmarks, headings, strict=True):
        bookmark[NameObject("/Title")] = TextStringObject(heading)
    writer.add_metadata({"/Creator": "spikedrop"})
    writer.write(pdf)


def _object(dictionary: dict, key: str) -> dict | None:
    return dictionary[key].get_object() if key in dictionary else None


def one_document(html: Path, pages: Sequence[str]) -> str:
    """Put the articles of all pages into one page, whose links lead to places in itself."""
    numbers = {f"{page}.html": number for number, page in enumerate(pages)}
    soups = [
        BeautifulSoup((html / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
        for page in pages
    ]
    first = soups[0]
    settings = next(
        (str(tag) for soup in soups for tag in soup.select("script") if _sets_mathjax(tag)), ""
    )
    links = "".join(f'<link rel="stylesheet" href="_static/{name}">' for name in STYLES)
    articles = "".join(
        str(_article(soup, page, number, numbers))
        for number, (page, soup) in enumerate(zip(pages, soups, strict=True))
    )
    title = first.select_one("h1")
    assert title is not None, "the opening page has a title"
    name = title.get_text().rstrip("#")
    return (
        f'<!DOCTYPE html><html lang="en" data-theme="light"><head><meta charset="utf-8">'
        f"<title>{name}</title>{links}{settings}"
        f'<script src="_static/mathjax/tex-chtml.js"></script></head><body>'
        f'<main class="bd-content printed">{articles}</main></body></html>'
    )


def _sets_mathjax(tag: Tag) -> bool:
    return (tag.string or "").startswith("window.MathJax")


def _article(soup: BeautifulSoup, page: str, number: int, numbers: dict[str, int]) -> Tag:
    """Give the article of a page, its places and links renamed for the one document."""
    article = soup.select_one("article")
    assert article is not None, f"{page} has no article"
    folder = posixpath.dirname(page)
    for tag in article.select("script, a.headerlink, .d-print-none"):
        tag.decompose()
    for tag in article.select("noscript"):  # what a page shows where it cannot move
        tag.unwrap()
    for tag in article.select("[id]"):
        tag["id"] = f"p{number}-{tag['id']}"
    for image in article.select("img"):
        image["src"] = posixpath.normpath(posixpath.join(folder, str(image["src"])))
    for link in article.select("a[href]"):
        where, place = urldefrag(str(link["href"]))
        target = posixpath.normpath(posixpath.join(folder, where)) if where else f"{page}.html"
        if outside(str(link["href"])):
            continue
        if target in numbers:
            link["href"] = f"#p{numbers[target]}" + (f"-{place}" if place else "")
        else:
            link.unwrap()
    article["id"] = f"p{number}"
    return article
