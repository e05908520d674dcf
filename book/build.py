"""The book's one tool: `chapters` executes them, `site` renders and checks, `pdf` prints.

`real` records chapters on real records (`book.real_run`).

Papermill is the one engine that runs chapters; Jupyter Book renders what papermill left and
executes nothing, so no page can come from a stale cache.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nbformat

from book.browser import ADVICE, find_chromium, open_chromium
from book.check import check_site, footer_faults, missing_figures
from book.execute import data_folder, execute
from book.facts import DATA, data_read
from book.pdf import print_book
from book.real_run import CHAPTERS, record
from book.stage import chapters_in_toc, stage
from book.tree import LANES, ROOT, BookError, Tree, toc_pages


def render(tree: Tree) -> None:
    """Turn the executed chapters into the site at `tree.html`, then check every page.

    The site of an earlier build is replaced only by one that rendered without a warning.
    """
    chapters_in_toc(tree)
    stage(tree)
    made = tree.out / "_build"
    shutil.rmtree(made, ignore_errors=True)
    command = [str(Path(sys.executable).parent / "jupyter-book"), "build", str(tree.source)]
    command += ["--path-output", str(tree.out), "-n", "-W", "--keep-going", "--quiet"]
    environment = os.environ | {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERAS_BACKEND": "tensorflow",
        "TF_USE_LEGACY_KERAS": "1",
        "MPLBACKEND": "agg",
        # The docstrings of this very tree, and book.extension.
        "PYTHONPATH": os.pathsep.join([str(tree.root / "src"), str(ROOT)]),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BookError(
            f"Jupyter Book could not render the site without a warning:\n{done.stdout}\n"
            f"{done.stderr}\nIts source, with the pages filled in: {tree.source}"
        )
    shutil.rmtree(tree.html, ignore_errors=True)
    shutil.move(made / "html", tree.html)
    offer_sources(tree)
    if faults := site_faults(tree):
        listed = "\n".join(f"  {fault}" for fault in faults)
        raise BookError(f"the site at {tree.html} has {len(faults)} faults:\n{listed}")


def offer_sources(tree: Tree) -> None:
    """Let the downloads of the site be the chapters as they stand in `chapters/`.

    Without outputs and with the defaults, whatever lane made the pages.
    """
    shutil.rmtree(tree.html / "_sources", ignore_errors=True)
    target = tree.html / "_sources" / "chapters"
    target.mkdir(parents=True)
    for chapter in tree.chapters():
        shutil.copy(tree.notebook(chapter), target)


def print_pdf(tree: Tree, *, if_possible: bool) -> None:
    """Print the rendered site; without a Chromium say so, or fail unless `if_possible`."""
    if not (tree.html / "index.html").is_file():
        raise BookError(f"there is no site to print. Run: make site LANE={tree.lane}")
    chromium = find_chromium()
    if chromium is not None:
        with open_chromium(chromium) as browser:
            print(f"The book as one PDF: {print_book(tree, browser)}")
    elif if_possible:
        print(f"No PDF of the book: {ADVICE}")
    else:
        raise BookError(ADVICE)


def site_faults(tree: Tree) -> list[str]:
    """Everything wrong with the rendered site of this lane."""
    figures, faults = {}, []
    real_records = json.loads(tree.record.read_text(encoding="utf-8"))["real_records"]
    for path in sorted((tree.source / "chapters").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        faults += footer_faults(
            tree.html, path.stem, data_read(notebook, real_records=real_records), DATA
        )
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        figures[path.stem] = sum("image/png" in output.get("data", {}) for output in outputs)
    paths = sorted({str(tree.root.resolve()), sys.prefix})
    faults += check_site(tree.html, toc_pages(tree.source), machine_paths=paths)
    return faults + missing_figures(tree.html, figures)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 if it did all it should."""
    parser = argparse.ArgumentParser(prog="python -m book.build", description=__doc__)
    parser.add_argument("command", choices=("chapters", "site", "pdf", "real"))
    parser.add_argument(
        "chapters", nargs="*", help=f"real: which; by default {', '.join(CHAPTERS)}"
    )
    parser.add_argument("--lane", choices=LANES, default="full", help="which parameters.yml values")
    parser.add_argument("--if-possible", action="store_true", help="pdf: no browser is no error")
    options = parser.parse_args(arguments)
    if options.command != "real" and options.chapters:
        parser.error(f"{options.command} takes no chapters; it does all of them.")
    if options.command == "real" and options.lane != "full":
        parser.error("real records the full lane only.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that kernels are ended, too
    tree = Tree(options.lane)
    try:
        if options.command == "chapters":
            execute(tree, data_folder())
        elif options.command == "real":
            record(Tree("full", folder="real"), options.chapters, data_folder())
        elif options.command == "pdf":
            print_pdf(tree, if_possible=options.if_possible)
        else:
            render(tree)
            print(f"The book is ready. Open {tree.html / 'index.html'}")
    except BookError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
