"""What Sphinx does for this site beyond Jupyter Book: whole offline, linked to its words, readable.

Sphinx loads this module by the name `book.extension`, see `_config.yml`.
"""

import importlib.util
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

from book.content import DIGITS, OBJECTS

#: What a page with formulas asks for; the rest of the package are other builds of the same.
MATHJAX = ("tex-chtml.js", "output/chtml/fonts", "input/tex/extensions", "a11y", "sre")
#: Text that is no prose, or that leads somewhere already. A heading is no place for a link.
NO_PROSE = (
    nodes.title,
    nodes.rubric,
    nodes.reference,
    nodes.FixedTextElement,  # code and what it printed
    nodes.literal,
    nodes.title_reference,  # a name of the package in a docstring
    nodes.math,
    nodes.math_block,
    nodes.raw,
    nodes.field_name,
    addnodes.desc_signature,
    addnodes.literal_strong,
    addnodes.toctree,
)
GLOSSARY = "book/glossary"
#: Characters of a constant's value that a signature shows.
LONGEST_VALUE = 200


def term_pattern(terms: Iterable[str]) -> re.Pattern[str]:
    """Find each term in a text, in the singular and the plural; of two that overlap, the longer.

    An abbreviation in capitals is found in capitals only.

    Examples
    --------
    >>> find = term_pattern(["dropout", "permanent dropout", "ANN", "mask"]).finditer
    >>> [match.group() for match in find("Masks of permanent dropout in an ANN, Ann.")]
    ['Masks', 'permanent dropout', 'ANN']
    """
    words = []
    for term in sorted(terms, key=lambda term: (-len(term), term)):
        word = r"\s+".join(re.escape(part) for part in term.split())
        word = word[:-1] + "(?:y|ies)" if word.endswith("y") else word + "s?"
        words.append(word if term.isupper() else f"(?i:{word})")
    return re.compile(rf"(?<![\w-])(?:{'|'.join(words)})(?![\w-])")


def term_of(found: str, terms: Iterable[str]) -> str:
    """Give the term that a match of `term_pattern` stands for.

    Examples
    --------
    >>> term_of("Conformal  intervals", ["conformal interval", "mask"])
    'conformal interval'
    """
    word = " ".join(found.lower().split())
    singular = {word, word.removesuffix("s"), re.sub("ies$", "y", word)}
    return next(term for term in terms if term.lower() in singular)


class LinkTerms(SphinxPostTransform):
    """Link the first use of each word of the glossary on a page to its entry."""

    default_priority = 20  # after references and citations have become links

    def run(self, **kwargs: Any) -> None:
        """Walk through the page's prose once."""
        page = self.env.docname
        domain = self.env.get_domain("std")
        entries = {
            name: (document, anchor)
            for name, _, kind, document, anchor, _ in domain.get_objects()
            if kind == "term"
        }
        if page == GLOSSARY or not entries:
            return
        pattern = term_pattern(entries)
        linked: set[str] = set()
        for text in list(self.document.findall(nodes.Text)):
            if text.parent is None or _is_no_prose(text):
                continue
            written = str(text)
            pieces: list[nodes.Node] = []
            position = 0
            for match in pattern.finditer(written):
                term = term_of(match.group(), entries)
                if term in linked:
                    continue
                linked.add(term)
                document, anchor = entries[term]
                link = make_refnode(
                    self.app.builder, page, document, anchor, nodes.Text(match.group())
                )
                link["classes"].append("glossary-term")
                pieces += [nodes.Text(written[position : match.start()]), link]
                position = match.end()
            if pieces:
                text.parent.replace(text, [*pieces, nodes.Text(written[position:])])


def _is_no_prose(text: nodes.Text) -> bool:
    above = []
    node: nodes.Node | None = text.parent
    while node is not None:
        above.append(node)
        node = node.parent
    if any(isinstance(node, NO_PROSE) for node in above):
        return True
    # "**draws** (int)": the name of an argument, in bold among the fields of a docstring.
    kinds = [nodes.strong, nodes.field_body]
    return all(any(isinstance(node, kind) for node in above) for kind in kinds)


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Put MathJax and its fonts among the site's own files."""
    if error is not None or app.builder.format != "html":
        return
    found = importlib.util.find_spec("sphinx-mathjax-offline")
    assert found is not None and found.origin is not None, "requirements.txt has it"
    source = Path(found.origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    for name in MATHJAX:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, target / name)


def offer_notebooks_alone(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.Node | None
) -> None:
    """Keep the menu of downloads where there is a notebook to download.

    The source of another page is of no use without the book's tools.
    """
    if not str(context.get("page_source_suffix", "")).endswith(".ipynb"):
        context["header_buttons"] = [
            button
            for button in context.get("header_buttons", [])
            if button.get("label") != "download-buttons"
        ]


def leave_out_values(app: Sphinx, domain: str, kind: str, content: nodes.Element) -> None:
    """Take values out of signatures that would show objects of Python, or fill many lines."""
    for signature in content.parent.findall(addnodes.desc_signature):
        for annotation in list(signature.findall(addnodes.desc_annotation)):
            value = annotation.astext()
            if value.lstrip().startswith("=") and (
                len(value) > LONGEST_VALUE or re.search(f"{OBJECTS}|{DIGITS}", value)
            ):
                annotation.parent.remove(annotation)


def mend_lists(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.Node | None
) -> None:
    """Name two kinds of list as screen readers know them.

    A signature over several lines is a definition list without a term, and the references are a
    list whose items have another role.
    """
    body = context.get("body", "")
    body = re.sub(r'<dl>(?=\s*<dd><em class="sig-param">)', '<dl role="presentation">', body)
    context["body"] = body.replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect all of the above."""
    app.add_post_transform(LinkTerms)
    app.connect("html-page-context", offer_notebooks_alone, priority=900)  # after the theme
    app.connect("html-page-context", mend_lists)
    app.connect("object-description-transform", leave_out_values)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
