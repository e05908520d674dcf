"""What a page must not show although it was rendered well: numbers and tables that say nothing.

Each rule is a function from a page to the faults it finds, one line per fault.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from bs4 import BeautifulSoup, NavigableString, Tag

#: Tag of a notebook cell whose table is to show that values agree.
AGREE = "tag_values-agree"
#: A column of so many rows with a single number says nothing.
FEW_ROWS = 4
#: Rows of an output that a reader sees without unfolding: two screens.
MOST_ROWS = 40
NUMBER = r"[+-]?\d[\d,]*(\.\d+)?(e[+-]?\d+)?\s*%?"
#: What stands where a result should stand.
PLACEHOLDERS = (
    r"\bwas not run\b|\bnot recorded\b|\bnot run yet\b|\b(TODO|TBD|FIXME)\b|[Ll]orem ipsum"
    r"|\bcoming soon\b"
)
#: How Python shows an object to a programmer.
OBJECTS = (
    r"\b0x[0-9a-f]{6,}\b|<[\w.]+ object\b|<function \w|<class '"
    r"|\b(np|numpy)\.(float|int|uint|bool|str)\w*\(|\barray\(\["
)
MISSING = r"nan|NaN|None|<NA>|NaT|[+-]?inf"
CODE = {"pre", "code", "script"}
BLOCKS = {"td", "th", "p", "li", "dt", "dd", "pre"}
#: More digits than anything here is known to.
DIGITS = r"\d\.\d{11,}"
PATTERNS = {
    "shows an object of Python": OBJECTS,
    "has a placeholder for a result": PLACEHOLDERS,
    "shows more decimals than are known": DIGITS,
}


def content_faults(soup: BeautifulSoup) -> list[str]:
    """Return the faults of one page by all rules of this file."""
    article = soup.select_one("article") or soup
    return [fault for rule in RULES for fault in rule(article)]


def texts(article: Tag) -> Iterator[tuple[str, str]]:
    """Yield what a reader reads as results: outputs, signatures, and the prose without code."""
    for output in article.select(".cell_output"):
        shown = (s for s in output.find_all(string=True) if not s.find_parent(class_="text_html"))
        tables = (s for table in output.select("table") for s in table.find_all(string=True))
        yield "an output", joined([*shown, *tables])  # displayed code is not a result
    for signature in article.select("dt.sig"):
        yield "a signature", signature.get_text()
    skip, classes = {"mjx-container", *CODE}, {"cell_output", "math", "sig"}
    prose = (
        string
        for string in article.find_all(string=True)
        if not any(
            tag.name in skip or not classes.isdisjoint(tag.get("class", ()))
            for tag in string.parents
        )
    )
    yield "the page", joined(prose)


def outside_code(article: Tag) -> str:
    """Return the text that is not code."""
    strings = article.find_all(string=True)
    return "".join(s for s in strings if CODE.isdisjoint(tag.name for tag in s.parents))


def joined(strings: Iterable[NavigableString]) -> str:
    """Return a text whose cells and paragraphs do not run into each other."""
    pieces, before = [], None
    for string in strings:
        block = next((tag for tag in string.parents if tag.name in BLOCKS), None)
        pieces += [string] if block is before else [" ", string]
        before = block
    return "".join(pieces)


def shows_patterns(article: Tag) -> Iterator[str]:
    """Find what no result should show, by `PATTERNS`."""
    for where, text in texts(article):
        for what, pattern in PATTERNS.items():
            if found := re.search(pattern, text):
                yield f"{where} {what}: {around(text, found)}"


def has_empty_sections(article: Tag) -> Iterator[str]:
    """Find headings that nothing follows."""
    for section in article.select("section"):
        heading = section.find(re.compile("^h[1-6]$"), recursive=False)
        if heading is None:
            continue
        rest = [child for child in section.children if child is not heading]
        filled = any(
            child.get_text().strip() or child.select_one("img, canvas, object, input, svg")
            if isinstance(child, Tag)
            else child.strip()
            for child in rest
            if not (isinstance(child, Tag) and child.name == "span" and not child.get_text())
        )
        if not filled:
            yield f"nothing follows the heading {heading.get_text().strip('# ¶')!r}"


def has_poor_tables(article: Tag) -> Iterator[str]:
    """Find columns of a single number, missing values, and outputs too long to read unfolded."""
    for table in article.select("table"):
        titles, rows = cells(table)
        name = " ".join(" ".join(titles).split())[:60]
        names = [[cell.get_text().strip() for cell in table.select("tbody th")]]
        for row in [*rows, *names]:
            if missing := [cell for cell in row if re.fullmatch(MISSING, cell)]:
                yield f"the table {name!r} has a cell {missing[0]!r}: {' '.join(row)[:60]!r}"
                break
        agree = table.find_parent(class_=AGREE) is not None
        if len(rows) >= FEW_ROWS and not agree:
            for title, column in zip(titles, zip(*rows, strict=False), strict=False):
                if constant(column):
                    yield f"the column {title!r} of the table {name!r} holds only {column[0]!r}"
        output = table.find_parent(class_="cell_output") is not None
        if output and len(rows) > MOST_ROWS and table.find_parent("details") is None:
            yield f"the table {name!r} has {len(rows)} rows: fold it (cell tag hide-output)"


def constant(column: tuple[str, ...]) -> bool:
    """Whether a column holds one measured number again and again; whole numbers may be settings.

    Examples
    --------
    >>> constant(("0.000", "0.000")), constant(("0", "0")), constant(("0.000", "0.001"))
    (True, False, False)
    """
    fraction = re.fullmatch(NUMBER, column[0]) and not re.fullmatch(r"[+-]?[\d,]+", column[0])
    return bool(fraction) and len(set(column)) == 1


def cells(table: Tag) -> tuple[list[str], list[list[str]]]:
    """Return the titles of a table's columns, and its rows without their names.

    Titles and cells are matched from the right: names of rows may span several rows.
    """
    head = [row.select("th, td") for row in table.select("thead tr")]
    body = [row.select("td") for row in table.select("tbody tr")]
    rows = [[" ".join(cell.get_text().split()) for cell in row] for row in body if row]
    width = max(map(len, rows), default=0)
    titles = [""] * width
    for row in head:
        words = [" ".join(cell.get_text().split()) for cell in row][-width:] if width else []
        words = [""] * (width - len(words)) + words
        titles = [word or title for word, title in zip(words, titles, strict=True)]
    return titles, rows


def around(text: str, found: re.Match[str]) -> str:
    """Return what stands around a match, on one line."""
    start, end = max(0, found.start() - 30), min(len(text), found.end() + 60)
    return repr(" ".join(text[start:end].split()))


RULES: tuple[Callable[[Tag], Iterator[str]], ...] = (
    shows_patterns,
    has_empty_sections,
    has_poor_tables,
)
