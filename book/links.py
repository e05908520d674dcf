"""Links between the files of the tree: each leads to a file that is there.

    python -m book.links

Whether the pages of the built site hang together, `book.check` sees; here it is the sources, which
are also read where no site is built: README.md, CONTRIBUTING.md, the chapters in an editor.
"""

import re
import sys
from pathlib import Path
from urllib.parse import unquote

import nbformat

from book.check import outside
from book.tree import ROOT

_LINK = re.compile(r"(?<!`)\[[^\]\n]*\]\(([^)\s]+)\)")
#: Pages that are written when the site is built.
MADE = ("book/api/",)


def sources(root: Path) -> dict[Path, str]:
    """Every Markdown text of the tree, those of the notebooks included, without its code."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(root.glob("*.md"))}
    for path in sorted((root / "book").glob("*.md")):
        texts[path] = path.read_text(encoding="utf-8")
    for path in sorted((root / "chapters").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        texts[path] = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return {path: re.sub(r"(?ms)^```.*?^```$", "", text) for path, text in texts.items()}


def dead_links(root: Path) -> list[str]:
    """Links of the sources that lead to no file, one line each."""
    dead = []
    for path, text in sources(root).items():
        for target in _LINK.findall(text):
            where = unquote(target.split("#")[0])
            if outside(target) or not where or "{" in where:
                continue
            found = (path.parent / where).resolve()
            made = any(found.is_relative_to((root / name).resolve()) for name in MADE)
            if not found.exists() and not made:
                dead.append(f"{path.relative_to(root)}: {target} leads to no file")
    return dead


def main() -> int:
    """Print what is dead; 0 if nothing is."""
    dead = dead_links(ROOT)
    for line in dead:
        print(line)
    return 1 if dead else 0


if __name__ == "__main__":
    sys.exit(main())
