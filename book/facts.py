"""What a reader needs to judge or repeat a run: versions, commit, machine, date."""

import datetime
import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from joblib import cpu_count
from nbformat import NotebookNode

from book.tree import Tree

PACKAGES = (
    ("spikedrop", "this package"),
    ("tensorflow", "runs Keras and NengoDL"),
    ("keras", "the networks that are trained"),
    ("tf_keras", "Keras 2, which NengoDL builds on"),
    ("nengo", "spiking simulator"),
    ("nengo-dl", "Nengo on TensorFlow"),
    ("numpy", "arrays"),
    ("scipy", "statistics"),
    ("pandas", "tables"),
    ("pandera", "checks of tables"),
    ("xarray", "labelled arrays"),
    ("scikit-learn", "splits and baselines"),
    ("matplotlib", "figures"),
    ("seaborn", "figures"),
    ("papermill", "executes the chapters"),
    ("jupyter-book", "renders the site"),
    ("Sphinx", "renders the site"),
)

#: What a chapter that calls a function has read; the screen is simulated or real.
SCREEN = {False: "the simulated screen", True: "real screen records"}
READ_BY = {
    "open_screen": SCREEN,
    "running_example": SCREEN,
    "diabetes_example": "the diabetes records of scikit-learn",
    "digits_example": "the digits of scikit-learn",
}
#: Every kind of data in words.
DATA = {
    word
    for kind in READ_BY.values()
    for word in ([kind] if isinstance(kind, str) else kind.values())
}


def data_read(notebook: NotebookNode, *, real_records: bool) -> list[str]:
    """Return what the code of a notebook reads, in words.

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell, new_notebook
    >>> code = "one = running_example(**settings)\\ntwo = digits_example(work, seed=seed)"
    >>> data_read(new_notebook(cells=[new_code_cell(code)]), real_records=True)
    ['real screen records', 'the digits of scikit-learn']
    """
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    kinds = [kind for name, kind in READ_BY.items() if re.search(rf"\b{name}\(", code)]
    words = [kind if isinstance(kind, str) else kind[real_records] for kind in kinds]
    return list(dict.fromkeys(words))


def git_commit(root: Path) -> tuple[str, bool]:
    """Commit of the checkout at `root`, and whether files differ from it.

    A folder inside some other checkout is not taken for it.
    """

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != root.resolve():
            return "not a git checkout", False
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain"))
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout", False


def cores() -> int:
    """Processor cores this process may use."""
    return cpu_count()


def memory_gib() -> float | None:
    """Memory of the machine in GiB, None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    except (ValueError, OSError, AttributeError):
        return None


def machine() -> str:
    """Return the machine in words, without its name."""
    memory = memory_gib()
    words = f"{platform.system()} {platform.machine()}, {cores()} cores"
    return words + (f", {memory:.0f} GiB of memory" if memory else "")


def run_facts(tree: Tree, data: str) -> dict[str, Any]:
    """Facts at the start of a run; `chapters` is filled in as they finish."""
    commit, changed = git_commit(tree.root)
    return {
        "lane": tree.lane,
        "real_records": bool(data),
        "commit": commit,
        "changed": changed,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": machine(),
        "versions": {name: importlib.metadata.version(name) for name, _ in PACKAGES},
        "chapters": {},
    }


def page_values(facts: Mapping[str, Any], titles: Mapping[str, str]) -> dict[str, str]:
    """The facts as texts for the placeholders `run_...` of the pages."""
    chapters = facts["chapters"]
    seeds = sorted({str(chapter["seed"]) for chapter in chapters.values()})
    total = sum(chapter["seconds"] for chapter in chapters.values())
    versions = ["| package | version | here for |", "|---|---|---|"]
    versions += [f"| {name} | {facts['versions'][name]} | {use} |" for name, use in PACKAGES]
    times = ["| chapter | data | seconds | seed | finished (UTC) |", "|---|---|---:|---:|---|"]
    times += [
        f"| [{titles[name]}](../chapters/{name}.ipynb) | {', '.join(chapter['data'])} "
        f"| {chapter['seconds']:.0f} | {chapter['seed']} "
        f"| {chapter['finished'][:16].replace('T', ' ')} |"
        for name, chapter in chapters.items()
    ]
    return {
        "run_lane": facts["lane"],
        "run_data": SCREEN[facts["real_records"]],
        "run_commit": facts["commit"] + (", with uncommitted changes" if facts["changed"] else ""),
        "run_commit_short": facts["commit"][:10] if facts["commit"].isalnum() else facts["commit"],
        "run_version": facts["versions"]["spikedrop"],
        "run_date": facts["started"][:10],
        "run_python": facts["python"],
        "run_machine": facts["machine"],
        "run_seeds": ", ".join(seeds),
        "run_minutes": f"{total / 60:.1f}",
        "run_versions": "\n".join(versions),
        "run_times": "\n".join(times),
    }
