"""Record chapters on real records: ``SPIKEDROP_DATA=folder python -m book.build real``.

The chapters (by default those of which pages show recorded values) run with the full values, in
`_build/real`. What they record goes into the package, `src/spikedrop/study/real_run.json`, from
where pages and chapters show it beside their own run. Chapters that are not named keep their
record.
"""

import datetime
import json

import nbformat

from book.execute import execute_chapter, prepare
from book.facts import git_commit, machine
from book.tree import ROOT, BookError, Tree
from book.values import Figure, Value, derived, glued_values
from spikedrop.files.records import write_json
from spikedrop.study.real_run import read_real_runs

RECORDED = ROOT / "src" / "spikedrop" / "study" / "real_run.json"
CHAPTERS = ("02_permanent_dropout", "05_comparison", "07_calibration")
COMMAND = "SPIKEDROP_DATA=FOLDER python -m book.build real"


def record(tree: Tree, chapters: list[str], data: str) -> None:
    """Execute the chapters on the records in `data` and write down what each recorded."""
    if not data:
        raise BookError("SPIKEDROP_DATA is not set: name the folder of the real records.")
    commit, changed = git_commit(tree.root)
    if changed:
        raise BookError("files differ from the commit: commit them first, or the record is false.")
    parameters = prepare(tree, data)
    if unknown := sorted(set(chapters) - set(parameters)):
        raise BookError(f"no chapter {unknown[0]!r}; the chapters are {sorted(parameters)}.")
    for chapter in chapters or CHAPTERS:
        execute_chapter(tree, chapter, parameters[chapter])
        notebook = nbformat.read(tree.executed / f"{chapter}.ipynb", as_version=4)
        runs = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.exists() else {}
        runs[chapter] = {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "commit": commit,
            "machine": machine(),
            "command": f"{COMMAND} {chapter}",
            "results": {
                name: None if value != value else value  # NaN, which JSON does not have
                for name, value in glued_values(notebook, chapter).items()
                if not isinstance(value, Figure) and "\n" not in str(value)
            },
        }
        write_json(RECORDED, dict(sorted(runs.items())))
        print(f"{chapter}: {len(runs[chapter]['results'])} values recorded", flush=True)


def real_values() -> dict[str, Value]:
    """Return what was recorded as values ``real_NAME`` for the pages, and where it comes from.

    ``real_runs`` says when and at which commit, ``real_times`` the same for each chapter as a
    table, ``real_machine`` where, and ``real_command`` how to do it again.

    Examples
    --------
    >>> real_values()["real_verdict_paired"]
    'equivalent'
    """
    runs = list(read_real_runs().values())
    values = {name: value for run in runs for name, value in run.results.items()}
    values |= derived(values)
    dates = dict.fromkeys((run.date, run.commit[:10]) for run in runs)
    said = "; ".join(f"{date}, commit {commit}" for date, commit in dates)
    lines = ["| chapter | date | commit |", "|---|---|---|"]
    lines += [f"| {run.chapter} | {run.date} | {run.commit[:10]} |" for run in runs]
    machines = "; ".join(dict.fromkeys(run.machine for run in runs))
    where = {"real_runs": said, "real_times": "\n".join(lines), "real_command": COMMAND}
    where["real_machine"] = machines
    return {f"real_{name}": value for name, value in values.items()} | where
