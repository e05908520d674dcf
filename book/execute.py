"""Execute the chapters with papermill: two at a time, timed ones by themselves at the end.

A chapter needs none that another has left: a network that two of them train is trained by one, and
the other waits for it (`spikedrop.training.keras.train`).
"""

import ast
import datetime
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import nbformat
import papermill
import yaml

from book.facts import data_read, run_facts
from book.tree import FOLDERS, LANES, ROOT, BookError, Tree, load_yaml
from book.values import glued_values, table_of_values

#: One cell may train a network or run a spiking simulation, but none may hang for ever.
CELL_SECONDS = 1800
#: Chapters at a time; each takes about one processor and a few GB of memory.
SIDE_BY_SIDE = 2
#: Begun first, because they take longest; the others follow in the order of their numbers.
LONGEST = ("05_comparison", "02_permanent_dropout", "08_decisions", "07_calibration")
#: Tag of a cell that measures time: its chapter runs when the others are done, by itself.
TIMED = "timed"
#: The interactive page's network, trained and sampled beside the chapters.
LIVE = "live"
PROGRESS_SECONDS = 20
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


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


@dataclass(frozen=True)
class Job:
    """A chapter, or what the live page needs, in a process of its own."""

    name: str
    parameters: dict[str, Any]
    process: subprocess.Popen
    log: Path
    started: float


def environment(tree: Tree, threads: int) -> dict[str, str]:
    """Variables a kernel starts with; Numba has `threads` unless the caller has set another number.

    TensorFlow keeps its own number, on which the weights of a convolution that is trained depend.
    PYTHONWARNINGS is unset because a chapter that warns shall be seen to warn, IPYTHONDIR is
    a fresh folder so that a reader's own start-up files change nothing, and the kernel of
    this environment goes before one of the same name in the reader's home.
    """
    variables = {"NUMBA_NUM_THREADS": str(threads)} | os.environ
    for name in ("PYTHONWARNINGS", "MPLBACKEND"):
        variables.pop(name, None)
    return variables | {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERAS_BACKEND": "tensorflow",
        "TF_USE_LEGACY_KERAS": "1",
        "PYTHONHASHSEED": "0",
        "JUPYTER_PREFER_ENV_PATH": "1",
        "IPYTHONDIR": str(tree.out / "ipython"),
    }


def prepare(tree: Tree, data: str = "") -> dict[str, dict[str, Any]]:
    """Check every parameter, empty the lane's folders, record the facts of the run.

    Returns the parameters of each chapter, folders included.
    """
    parameters = chapter_parameters(tree)
    if not parameters:
        raise BookError(f"{tree.root / 'chapters'}: no chapter NN_name.ipynb.")
    for folder in (tree.executed, tree.work, tree.logs, tree.live):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    tree.record.write_text(json.dumps(run_facts(tree, data), indent=2), encoding="utf-8")
    folders = {"data": data, "work": str(tree.work.resolve())}
    return {chapter: values | folders for chapter, values in parameters.items()}


def start(tree: Tree, name: str, parameters: dict[str, Any], threads: int) -> Job:
    """Begin a chapter, or the work for the live page; what it prints goes to its log."""
    if name == LIVE:
        command = ["book.live", str(tree.work), str(tree.live)]
    else:
        command = ["papermill", str(tree.notebook(name)), str(tree.executed / f"{name}.ipynb")]
        command += ["--kernel", "python3", "--cwd", str(tree.root)]
        command += ["--parameters_yaml", yaml.safe_dump(parameters)]
        command += ["--execution-timeout", str(CELL_SECONDS), "--start-timeout", "120"]
        command += ["--log-output", "--no-progress-bar"]
    tree.logs.mkdir(parents=True, exist_ok=True)
    log = tree.logs / f"{name}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=environment(tree, threads),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
        )
    return Job(name, parameters, process, log, time.monotonic())


def stop(jobs: Sequence[Job]) -> None:
    """End the processes that still run; papermill takes its kernel with it."""
    for job in jobs:
        job.process.terminate()
    for job in jobs:
        job.process.wait()


def finish(tree: Tree, job: Job) -> float:
    """Wait for a job, record a chapter that ran to its end, return the seconds it took."""
    status = job.process.wait()
    seconds = time.monotonic() - job.started
    if status != 0:
        raise BookError(_failure(tree, job))
    if job.name != LIVE:
        record = json.loads(tree.record.read_text(encoding="utf-8"))
        notebook = nbformat.read(tree.executed / f"{job.name}.ipynb", as_version=4)
        record["chapters"][job.name] = {
            "seconds": round(seconds, 1),
            "seed": (notebook_defaults(tree.notebook(job.name)) | job.parameters).get("seed"),
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "source": fingerprint(tree, job.name),
            "data": data_read(notebook, real_records=bool(job.parameters.get("data"))),
        }
        record["chapters"] = dict(sorted(record["chapters"].items()))
        tree.record.write_text(json.dumps(record, indent=2), encoding="utf-8")
    return seconds


def _failure(tree: Tree, job: Job) -> str:
    """Return the cell that failed, or that was running when the kernel went away, and why."""
    rule = "-" * 78
    reason = "\n".join(job.log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
    kept = tree.executed / f"{job.name}.ipynb"
    number, source = "none", "(no cell was begun)"
    cells = nbformat.read(kept, as_version=4).cells if kept.exists() else []
    for position, cell in enumerate(cells, start=1):
        # Papermill marks every cell completed, but only those that were begun have a start time.
        if cell.metadata.get("papermill", {}).get("start_time"):
            number, source = f"number {position}", cell.source
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                number, source = f"In [{cell.execution_count}]", cell.source
                reason = "\n".join(output.traceback)
    return (
        f"chapter {job.name} failed in cell {number}:\n{rule}\n{source}\n{rule}\n"
        f"{_COLOURS.sub('', reason)}\n{rule}\n"
        f"executed notebook, with what the cells before it showed: {kept}"
    )


def fingerprint(tree: Tree, chapter: str) -> str:
    """Hash of a chapter's source, so that an executed notebook never outlives its source."""
    return hashlib.sha256(tree.notebook(chapter).read_bytes()).hexdigest()


def execute_chapter(tree: Tree, chapter: str, parameters: dict[str, Any]) -> float:
    """Run one chapter, keep the executed notebook, return the seconds it took."""
    job = start(tree, chapter, parameters, joblib.cpu_count())
    try:
        return finish(tree, job)
    finally:
        stop([job])


def execute(tree: Tree, data: str = "") -> None:
    """Run every chapter of the lane; raise `BookError` with all that failed."""
    if errors := execute_all(tree, data):
        raise BookError("\n\n".join(errors.values()))


def execute_all(tree: Tree, data: str = "") -> dict[str, str]:
    """Run every chapter of the lane and the work for the live page; what went wrong, by name.

    After a failure nothing more is begun; what runs beside it comes to its end.
    """
    parameters = prepare(tree, data)
    where = f"data: {data or 'simulated'}, logs: {tree.logs}"
    print(f"{len(parameters)} chapters, {tree.lane} values, {where}", flush=True)
    if (tree.root / "book" / "live.md").exists():
        parameters[LIVE] = {}
    alone = {chapter for chapter in tree.chapters() if _measures_time(tree, chapter)}
    waiting = [name for name in (*LONGEST, *parameters) if name in parameters]
    waiting = sorted(dict.fromkeys(waiting), key=alone.__contains__)
    cores = joblib.cpu_count()
    side_by_side = min(SIDE_BY_SIDE, cores)
    running: list[Job] = []
    errors: dict[str, str] = {}
    last = time.monotonic()
    try:
        while running or (waiting and not errors):
            for job in [job for job in running if job.process.poll() is not None]:
                running.remove(job)
                if error := _ended(tree, job):
                    errors[job.name] = error
            while waiting and not errors:
                room = 1 if waiting[0] in alone else side_by_side
                if len(running) >= room:
                    break
                name = waiting.pop(0)
                running.append(start(tree, name, parameters[name], cores // room))
            if time.monotonic() - last > PROGRESS_SECONDS:
                last = time.monotonic()
                for job in running:
                    print(f"{job.name}: {_reached(job)}{last - job.started:.0f} s", flush=True)
            time.sleep(0.1)
    finally:
        stop(running)
    first = next(iter(errors), None)
    return errors | {name: f"{name} was not run, because {first} failed." for name in waiting}


def _measures_time(tree: Tree, chapter: str) -> bool:
    cells = nbformat.read(tree.notebook(chapter), as_version=4).cells
    return any(TIMED in cell.metadata.get("tags", []) for cell in cells)


def _reached(job: Job) -> str:
    cells = re.findall(r"^Executing Cell (\d+)", job.log.read_text("utf-8", "replace"), re.M)
    return f"cell {cells[-1]}, " if cells else ""


def _ended(tree: Tree, job: Job) -> str:
    """Print what a job recorded; return what went wrong."""
    try:
        seconds = finish(tree, job)
    except BookError as error:
        print(f"{job.name}: failed", flush=True)
        return str(error)
    print(f"{job.name}: done in {seconds:.0f} s", flush=True)
    if job.name != LIVE:
        notebook = nbformat.read(tree.executed / f"{job.name}.ipynb", as_version=4)
        if table := table_of_values(glued_values(notebook, job.name)):
            print(table, flush=True)
    return ""
