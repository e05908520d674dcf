"""The built site as files: whole without a network, linked to its words, honest about its run."""

import copy
import json
import re

import nbformat
import pytest
from bs4 import BeautifulSoup

from book.check import structure_faults
from book.commands import commands
from book.execute import notebook_defaults
from book.extension import term_of, term_pattern
from book.tree import ROOT, toc_pages

#: What is no prose of a page.
SKIPPED = (
    "h1, h2, h3, h4, h5, h6, pre, code, cite, .math, dt.sig, p.rubric, script, noscript, #live,"
    ".cell_output .text_html, dl.field-list strong, a:not([href*='#term-'])"
)


@pytest.fixture(scope="module")
def soups(fast_site):
    """Every page of the table of contents, parsed."""
    return {
        page: BeautifulSoup((fast_site.html / f"{page}.html").read_text("utf-8"), "html.parser")
        for page in toc_pages(fast_site.source)
    }


def test_every_footer_tells_version_commit_seed_date_and_lane(fast_site, soups):
    record = json.loads(fast_site.record.read_text(encoding="utf-8"))
    commit = record["commit"]
    told = [
        f"spikedrop {record['versions']['spikedrop']}",
        f"commit {commit[:10] if commit.isalnum() else commit}",
        "seed 0",
        record["started"][:10],
        "fast values",
    ]
    for page, soup in soups.items():
        footer = soup.select_one("footer .run-footer")
        assert footer is not None, page
        for words in told:
            assert words in " ".join(footer.get_text().split()), page
        assert footer.select_one("a")["href"].endswith("status.html") or page == "book/status"


def test_every_footer_names_the_data_its_page_rests_on(soups):
    told = {
        page: " ".join(soup.select_one("footer .run-footer").get_text().split())
        for page, soup in soups.items()
    }
    own = {
        "chapters/12_your_model": "the diabetes records of scikit-learn",
        "chapters/13_digits": "the digits of scikit-learn",
    }
    for page, words in told.items():
        if page in own:
            assert own[page] in words
            assert "screen" not in words
        elif page.startswith("chapters/") or page in ("book/index", "book/live", "book/status"):
            assert "the simulated screen" in words, page
            assert "scikit-learn" not in words, page
        else:  # no number of these pages comes from data
            assert words.endswith("values. Status of this run"), page


def test_commands_are_described_as_their_help_describes_them(soups):
    page = next(soup for name, soup in soups.items() if name.endswith("_cli"))
    text = " ".join(page.select_one("article").get_text().split())
    assert "spikedrop sample [OPTIONS]" in text
    assert "One set of masks a draw for all rows, or one for each row. [default: draw]" in text
    assert "OptionInfo" not in text
    named = {heading["id"] for heading in page.select("section[id^=spikedrop-]")}
    assert {f"spikedrop-{name}" for name, _ in commands()} <= named


def test_no_style_sheet_asks_another_host(fast_site):
    sheets = sorted(fast_site.html.rglob("*.css"))
    assert len(sheets) > 5
    for sheet in sheets:
        found = re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", sheet.read_text("utf-8"))
        assert found is None, sheet


def test_every_download_is_the_chapter_itself(fast_site, soups):
    offered = 0
    for page, soup in soups.items():
        links = soup.select("a.btn-download-source-button, a.btn-download-notebook-button")
        assert len(links) == page.startswith("chapters/"), page
        for link in links:
            offered += 1
            target = (fast_site.html / f"{page}.html").parent / link["href"]
            assert target.resolve().read_bytes() == (ROOT / f"{page}.ipynb").read_bytes()
            nbformat.validate(nbformat.read(target, as_version=4))
            assert notebook_defaults(target)["data"] == ""
    assert offered == len(fast_site.chapters())


def test_first_use_of_each_word_of_the_glossary_is_a_link(soups):
    terms = {
        " ".join(term.find(string=True).split()): term["id"]
        for term in soups["book/glossary"].select("dl.glossary > dt[id]")
    }
    assert len(terms) > 40
    linked = 0
    for page, soup in soups.items():
        if page == "book/glossary":
            continue
        article = copy.copy(soup.select_one("article"))
        for skipped in article.select(SKIPPED):
            skipped.replace_with("\0")
        for line_end in article.select("p, li, td, th, dt, dd, figcaption, div"):
            line_end.append("\0")
        seen = set()
        for text in list(article.find_all(string=True)):
            link = text.find_parent("a")
            if link is not None:
                seen.add(link["href"].split("#")[1])
                linked += 1
                continue
            for match in term_pattern(terms).finditer(text):
                term = term_of(match.group(), terms)
                assert terms[term] in seen, f"{page}: {term!r} does not lead to the glossary"
    assert linked > 50


def test_words_are_found_as_they_are_written():
    terms = ["draw", "dropout", "permanent dropout", "epistemic uncertainty", "ANN", "MMD"]
    find = term_pattern(terms).finditer
    text = "Draws and withdraws, a draw-by-draw Permanent\n dropout, epistemic uncertainties, ann"
    found = [term_of(match.group(), terms) for match in find(text)]
    assert found == ["draw", "permanent dropout", "epistemic uncertainty"]
    assert [match.group() for match in find("ANNs, the MMD, dropout's")] == [
        "ANNs",
        "MMD",
        "dropout",
    ]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<h1>a</h1><script src="https://cdn.example.org/x.js"></script>', "asks another host"),
        ('<h1>a</h1><link rel="stylesheet" href="//cdn.example.org/x.css">', "asks another host"),
        ("<h1>a</h1><h3>b</h3>", "skips from level 1 to level 3"),
        ("<h2>b</h2>", "headings of the first level"),
        ("<h1>a</h1><table><tr><td>1</td></tr></table>", "has no headers"),
    ],
)
def test_the_checker_sees_what_keeps_a_page_from_being_read(body, fault):
    page = BeautifulSoup(f"<article>{body}</article>", "html.parser")
    assert any(fault in found for found in structure_faults(page))


def test_the_checker_leaves_a_readable_page_alone():
    page = BeautifulSoup(
        '<article><h1>a</h1><h2>b</h2><h3>c</h3><h2>d</h2><a href="https://example.org">far</a>'
        '<table><tr><th>n</th></tr><tr><td>1</td></tr></table><script src="x.js"></script>'
        "</article>",
        "html.parser",
    )
    assert structure_faults(page) == []
