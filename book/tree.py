"""Where everything lies, and the one error of the book's tools."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from sphinx_external_toc.api import GlobItem
from sphinx_external_toc.parsing import parse_toc_yaml

ROOT = Path(__file__).resolve().parent.parent
LANES = ("fast", "full")
#: Parameters that name folders of this machine: handed in by the run, never by parameters.yml.
FOLDERS = ("data", "work")


class BookError(Exception):
    """What stopped the book, in words a reader can act on; shown without a traceback."""


@dataclass(frozen=True)
class Tree:
    """The folders of one lane: `root` holds the sources, `root/_build/<lane>` what is made.

    Examples
    --------
    >>> tree = Tree("fast", Path("a_clone"))
    >>> tree.executed.as_posix()
    'a_clone/_build/fast/executed'
    >>> Tree("full", Path("a_clone")).html.as_posix()
    'a_clone/_build/html'
    """

    lane: str
    root: Path = ROOT
    folder: str = ""

    @property
    def out(self) -> Path:
        """Everything this lane makes, but for the full lane's site; in `folder` if it is named."""
        return self.root / "_build" / (self.folder or self.lane)

    @property
    def executed(self) -> Path:
        """The executed notebooks."""
        return self.out / "executed"

    @property
    def work(self) -> Path:
        """What chapters share, such as a trained network."""
        return self.out / "work"

    @property
    def live(self) -> Path:
        """What the interactive page computes from, see `book.live`."""
        return self.out / "live"

    @property
    def logs(self) -> Path:
        """What each chapter printed while it ran."""
        return self.out / "logs"

    @property
    def record(self) -> Path:
        """What is known of the run: versions, commit, machine, seconds per chapter."""
        return self.out / "run.json"

    @property
    def source(self) -> Path:
        """The folder Jupyter Book reads: pages filled in, chapters executed."""
        return self.out / "source"

    @property
    def html(self) -> Path:
        """The site. The full lane's lies where Jupyter Book users look for it."""
        return self.root / "_build" / "html" if self.lane == "full" else self.out / "html"

    def chapters(self) -> list[str]:
        """Names of the chapters, in the order of their numbers."""
        return sorted(path.stem for path in (self.root / "chapters").glob("[0-9][0-9]_*.ipynb"))

    def notebook(self, chapter: str) -> Path:
        """The source of a chapter."""
        return self.root / "chapters" / f"{chapter}.ipynb"


def load_yaml(path: Path) -> Any:
    """Read a YAML file; a file that is missing or malformed is named in the error."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise BookError(f"{path}: cannot be read as YAML: {error}") from error


def toc_pages(source: Path) -> list[str]:
    """Every page of `source/_toc.yml`, without suffix; a glob counts what lies in `source`."""
    site = parse_toc_yaml(source / "_toc.yml")

    def pages(name: str) -> Iterator[str]:
        yield name.removesuffix(".md").removesuffix(".ipynb")
        for item in (item for tree in site[name].subtrees for item in tree.items):
            if isinstance(item, GlobItem):
                found = sorted(path for path in source.glob(item) if path.is_file())
                yield from (path.relative_to(source).with_suffix("").as_posix() for path in found)
            else:
                yield from pages(item)

    return list(pages(site.root.docname))
