"""Lay out the folder that Jupyter Book reads: pages filled in, chapters as executed.

The chapters in `chapters/` hold no outputs, so the site is rendered from a copy of the tree
in which the executed notebooks stand in their places. Links between pages stay the same.
"""

import json
import re
import shutil
from collections.abc import Mapping
from typing import Any

import nbformat
from nbformat import NotebookNode

from book.api import write_api_pages
from book.execute import fingerprint, notebook_defaults
from book.facts import SCREEN, page_values
from book.live import live_values
from book.real_run import real_values
from book.tree import FOLDERS, BookError, Tree, load_yaml
from book.uci import uci_values
from book.values import Figure, Value, derived, fill, glued_values, merge, names_shown


def stage(tree: Tree) -> None:
    """Write `tree.source` afresh from the pages, the executed chapters and the run's record."""
    facts, notebooks = _executed(tree)
    values: dict[str, Value] = merge(
        {name: glued_values(notebook, name) for name, notebook in notebooks.items()}
    )
    titles = {name: _title(notebook, name) for name, notebook in notebooks.items()}
    facts_on_pages = page_values(facts, titles)
    facts_on_pages["run_data_of_pages"] = json.dumps(data_of_pages(tree, facts, notebooks))
    shutil.rmtree(tree.source, ignore_errors=True)
    pages = tree.source / "book"
    (pages / "figures").mkdir(parents=True)
    shutil.copy(tree.root / "_toc.yml", tree.source)
    config = (tree.root / "_config.yml").read_text(encoding="utf-8")
    config = fill(config, facts_on_pages, "_config.yml")
    (tree.source / "_config.yml").write_text(config, encoding="utf-8")
    for name in ("_static", "_templates"):
        shutil.copytree(tree.root / "book" / name, pages / name)
    for path in sorted((tree.root / "book").glob("*.bib")):
        shutil.copy(path, pages)
    facts_on_pages |= write_api_pages(tree.root / "src", pages / "api") | live_values()
    facts_on_pages |= uci_values() | derived(values) | real_values()
    shutil.copytree(tree.live, pages / "_static", dirs_exist_ok=True)
    for path in sorted((tree.root / "book").glob("*.md")):
        text = fill(path.read_text(encoding="utf-8"), values | facts_on_pages, path.name)
        (pages / path.name).write_text(text, encoding="utf-8")
    for name, value in values.items():
        if isinstance(value, Figure):
            (pages / "figures" / f"{name}.png").write_bytes(value.png)
    (tree.source / "chapters").mkdir()
    for name, notebook in notebooks.items():
        _clean(notebook, notebook_defaults(tree.notebook(name)), tree.lane)
        nbformat.write(notebook, tree.source / "chapters" / f"{name}.ipynb")


def _executed(tree: Tree) -> tuple[dict[str, Any], dict[str, NotebookNode]]:
    """The record and the notebooks of a run that is complete and of these very sources."""
    again = f"Run: make chapters LANE={tree.lane}"
    if not tree.record.exists():
        raise BookError(f"the chapters were not executed with the {tree.lane} values. {again}")
    facts = json.loads(tree.record.read_text(encoding="utf-8"))
    notebooks = {}
    for name in tree.chapters():
        if name not in facts["chapters"]:
            raise BookError(f"chapter {name} was not executed to its end. {again}")
        if facts["chapters"][name]["source"] != fingerprint(tree, name):
            raise BookError(f"chapter {name} has changed since it was executed. {again}")
        notebooks[name] = nbformat.read(tree.executed / f"{name}.ipynb", as_version=4)
    if not any(tree.live.iterdir()):
        raise BookError(f"the interactive page's network was not trained. {again}")
    return facts, notebooks


def data_of_pages(
    tree: Tree, facts: Mapping[str, Any], notebooks: Mapping[str, NotebookNode]
) -> dict[str, str]:
    """Return what the numbers of each page rest on, for its footer; pages without are left out.

    Those of a chapter on what it read, those of another page on what the chapters read whose
    values it shows, and those of the interactive page on the simulated screen.
    """
    read = {name: facts["chapters"][name]["data"] for name in notebooks}
    pages = {f"chapters/{name}": kinds for name, kinds in read.items()}
    recorded = {name: set(glued_values(notebook, name)) for name, notebook in notebooks.items()}
    for path in sorted((tree.root / "book").glob("*.md")):
        shown = names_shown(path.read_text(encoding="utf-8"))
        kinds = [kind for name in notebooks if recorded[name] & shown for kind in read[name]]
        pages[f"book/{path.stem}"] = list(dict.fromkeys(kinds))
    pages["book/live"] = [SCREEN[False]]
    return {page: ", ".join(kinds) for page, kinds in pages.items() if kinds}


def _title(notebook: NotebookNode, chapter: str) -> str:
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (found := re.search(r"^# +(.+)$", cell.source, re.M)):
            return found.group(1).strip()
    raise BookError(f"chapter {chapter} has no title: its first cell starts with '# '.")


def _clean(notebook: NotebookNode, defaults: Mapping[str, Any], lane: str) -> None:
    """Drop papermill's bookkeeping, and from the injected cell all that is no news to a reader.

    Folders of the machine that built the site, and values equal to the defaults that the
    parameters cell above already shows, are left out; nothing left means no cell.
    """
    given = notebook.metadata.get("papermill", {}).get("parameters", {})
    notebook.metadata.pop("papermill", None)
    shown = {
        name: value
        for name, value in given.items()
        if name not in FOLDERS and value != defaults[name]
    }
    kept = []
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            if not shown:
                continue
            lines = [f"{name} = {value!r}" for name, value in shown.items()]
            cell.source = "\n".join([f"# the {lane} values of this run", *lines])
        kept.append(cell)
    notebook.cells = kept


def chapters_in_toc(tree: Tree) -> None:
    """Every chapter is in `_toc.yml`, or its page would be built by nobody."""
    toc = json.dumps(load_yaml(tree.root / "_toc.yml"))
    for name in tree.chapters():
        if f'"chapters/{name}"' not in toc:
            raise BookError(f"_toc.yml does not list chapters/{name}.")
