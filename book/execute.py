"""Execute the chapters with papermill: one kernel after another, in the order of their numbers."""

import ast
import contextlib
import datetime
import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import papermill

from book.facts import data_read, run_facts
from book.tree import FOLDERS, LANES, BookError, Tree, load_yaml
from book.values import glued_values, table_of_values

#: One cell may train a network or run a spiking simulation, but none may hang for ever.
CELL_SECONDS = 1800
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class _Lines:
    """A stream for logs and pipes: each state of the progress on a line of its own."""

    def write(self, text: str) -> None:
        """Print what is left once carriage returns and blanks are gone."""
        if stripped := text.strip():
            print(stripped, flush=True)

    def flush(self) -> None:
        """Nothing is held back."""


def chapter_parameters(tree: Tree) -> dict[str, dict[str, Any]]:
    """Values of each chapter in this lane, checked against the notebooks before anything runs.

    Papermill passes over a name that the notebook does not have and reports success, so a
    misspelt name would silently run the full values.
    """
    path = tree.root / "chapters" / "parameters.yml"
    lanes = load_yaml(path) or {}
    if set(lanes) != set(LANES):
        raise BookError(f"{path}: needs exactly the keys {', '.join(LANES)}, has {sorted(lanes)}.")
    chapters = tree.chapters()
    for lane in LANES:
        named = set(lanes[lane] or {})
        if named != set(chapters):
            raise BookError(
                f"{path}, {lane}: names {sorted(named)}, but the chapters are {chapters}. "
                "Give each chapter an entry, {} if it has nothing to set."
            )
        for chapter in chapters:
            _check_parameters(tree, path, lane, chapter, lanes[lane][chapter] or {})
    return {chapter: dict(lanes[tree.lane][chapter] or {}) for chapter in chapters}


def _check_parameters(
    tree: Tree, path: Path, lane: str, chapter: str, given: dict[str, Any]
) -> None:
    defaults = notebook_defaults(tree.notebook(chapter))
    settable = sorted(set(defaults) - set(FOLDERS))
    for name in sorted(set(given) - set(settable)):
        raise BookError(
            f"{path}, {lane}, {chapter}: no parameter {name!r} to set. "
            f"The notebook's parameters cell has {settable}."
        )
    if lane != "full":
        return
    if missing := sorted(set(settable) - set(given)):
        raise BookError(f"{path}, full, {chapter}: {missing} missing; full lists every parameter.")
    for name in settable:
        if given[name] != defaults[name]:
            raise BookError(
                f"{path}, full, {chapter}: {name} = {given[name]!r}, but the notebook's default "
                f"is {defaults[name]!r}. The two must be equal: change one."
            )


def notebook_defaults(path: Path) -> dict[str, Any]:
    """Name and default of each parameter of a notebook, as papermill sees them."""
    cells = nbformat.read(path, as_version=4).cells
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise BookError(f"{path}: needs one cell tagged 'parameters', has {len(tagged)}.")
    try:
        parameters = papermill.inspect_notebook(str(path))
    except ValueError as error:  # no kernelspec
        raise BookError(f"{path}: {error} Its metadata must name the kernel python3.") from error
    defaults = {}
    for name, parameter in parameters.items():
        try:
            defaults[name] = ast.literal_eval(parameter["default"])
        except (ValueError, SyntaxError) as error:
            raise BookError(
                f"{path}: parameter {name} = {parameter['default']} is not a literal value."
            ) from error
    for name in FOLDERS:
        if name not in defaults:
            raise BookError(f"{path}: the parameters cell lacks {name!r}.")
    return defaults


def data_folder() -> str:
    """The folder of real records named by SPIKEDROP_DATA, absolute; "" when unset."""
    named = os.environ.get("SPIKEDROP_DATA", "")
    if named and not Path(named).is_dir():
        raise BookError(f"SPIKEDROP_DATA={named}: no such folder. Unset it to use simulated data.")
    return str(Path(named).resolve()) if named else ""


@contextlib.contextmanager
def _kernel_environment(tree: Tree) -> Iterator[None]:
    """Variables a kernel starts with; the caller's own settings come back afterwards.

    PYTHONWARNINGS is unset because a chapter that warns shall be seen to warn, IPYTHONDIR is
    a fresh folder so that a reader's own start-up files change nothing, and the kernel of
    this environment goes before one of the same name in the reader's home.
    """
    wanted = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERAS_BACKEND": "tensorflow",
        "TF_USE_LEGACY_KERAS": "1",
        "PYTHONHASHSEED": "0",
        "JUPYTER_PREFER_ENV_PATH": "1",
        "IPYTHONDIR": str(tree.out / "ipython"),
    }
    saved = dict(os.environ)
    os.environ.update(wanted)
    for name in ("PYTHONWARNINGS", "MPLBACKEND"):
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


def prepare(tree: Tree, data: str = "") -> dict[str, dict[str, Any]]:
    """Check every parameter, empty the lane's folders, record the facts of the run.

    Returns the parameters of each chapter, folders included.
    """
    parameters = chapter_parameters(tree)
    if not parameters:
        raise BookError(f"{tree.root / 'chapters'}: no chapter NN_name.ipynb.")
    for folder in (tree.executed, tree.work):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    tree.record.write_text(json.dumps(run_facts(tree, data), indent=2), encoding="utf-8")
    folders = {"data": data, "work": str(tree.work.resolve())}
    return {chapter: values | folders for chapter, values in parameters.items()}


def execute_chapter(tree: Tree, chapter: str, parameters: dict[str, Any]) -> float:
    """Run one chapter, keep the executed notebook, return the seconds it took."""
    target = tree.executed / f"{chapter}.ipynb"
    terminal = sys.stderr.isatty()
    progress = {
        "desc": chapter,
        "bar_format": "{desc}: cell {n_fmt} of {total_fmt}, {elapsed}",
        "file": sys.stderr if terminal else _Lines(),
        "mininterval": 0.5 if terminal else 20,
        "miniters": 1,
    }
    started = time.monotonic()
    try:
        with _kernel_environment(tree):
            papermill.execute_notebook(
                str(tree.notebook(chapter)),
                str(target),
                parameters=parameters,
                kernel_name="python3",
                cwd=str(tree.root),
                progress_bar=progress,
                extra_arguments=["--log-level=ERROR"],  # the kernel's own notes, not the chapter's
                execution_timeout=CELL_SECONDS,
                start_timeout=120,
            )
    except papermill.PapermillExecutionError as error:
        raise BookError(
            _failure(chapter, target, f"In [{error.exec_count}]", error.source, error.traceback)
        ) from error
    except Exception as error:  # a dead kernel or a time-out comes as whatever nbclient raises
        number, source = _last_cell(target)
        raise BookError(
            _failure(chapter, target, number, source, [f"{type(error).__name__}: {error}"])
        ) from error
    seconds = time.monotonic() - started
    record = json.loads(tree.record.read_text(encoding="utf-8"))
    notebook = nbformat.read(target, as_version=4)
    record["chapters"][chapter] = {
        "seconds": round(seconds, 1),
        "seed": (notebook_defaults(tree.notebook(chapter)) | parameters).get("seed"),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "source": fingerprint(tree, chapter),
        "data": data_read(notebook, real_records=bool(parameters.get("data"))),
    }
    tree.record.write_text(json.dumps(record, indent=2), encoding="utf-8")
    return seconds


def _last_cell(path: Path) -> tuple[str, str]:
    """Number and source of the cell that was running when the kernel went away.

    Papermill then marks every cell completed, but only those that were begun have a start time.
    """
    cells = nbformat.read(path, as_version=4).cells if path.exists() else []
    begun = [
        (f"number {number}", cell.source)
        for number, cell in enumerate(cells, start=1)
        if cell.metadata.get("papermill", {}).get("start_time")
    ]
    return begun[-1] if begun else ("none", "(the kernel did not start)")


def _failure(chapter: str, kept: Path, number: str, source: str, traceback: list[str]) -> str:
    rule = "-" * 78
    lines = _COLOURS.sub("", "\n".join(traceback))
    return (
        f"chapter {chapter} failed in cell {number}:\n{rule}\n{source}\n{rule}\n{lines}\n{rule}\n"
        f"executed notebook, with what the cells before it showed: {kept}"
    )


def fingerprint(tree: Tree, chapter: str) -> str:
    """Hash of a chapter's source, so that an executed notebook never outlives its source."""
    return hashlib.sha256(tree.notebook(chapter).read_bytes()).hexdigest()


def execute(tree: Tree, data: str = "") -> None:
    """Run every chapter of the lane in turn; stop at the first that fails."""
    parameters = prepare(tree, data)
    where = data or "simulated"
    print(f"{len(parameters)} chapters, {tree.lane} values, data: {where}", flush=True)
    for chapter, values in parameters.items():
        seconds = execute_chapter(tree, chapter, values)
        print(f"{chapter}: done in {seconds:.0f} s", flush=True)
        notebook = nbformat.read(tree.executed / f"{chapter}.ipynb", as_version=4)
        if table := table_of_values(glued_values(notebook, chapter)):
            print(table, flush=True)


def strip(tree: Tree) -> list[str]:
    """Take outputs and execution counts out of the chapters; return those that held any."""
    stripped = []
    for chapter in tree.chapters():
        notebook = nbformat.read(tree.notebook(chapter), as_version=4)
        before = json.dumps(notebook)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
            cell.metadata.pop("execution", None)
        if json.dumps(notebook) != before:
            nbformat.write(notebook, tree.notebook(chapter))
            stripped.append(chapter)
    return stripped
