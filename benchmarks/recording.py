"""Write what a long run found into the package, with date, commit, machine and command."""

from __future__ import annotations

import datetime
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from book.facts import git_commit, machine
from book.tree import ROOT


def sources() -> str:
    """Return the commit of these sources; take it before a long run, in which they may change."""
    commit, changed = git_commit(ROOT)
    return commit + (", with uncommitted changes" if changed else "")


def write_recorded(
    file: Path,
    rows: Sequence[Mapping[str, Any]],
    command: Sequence[str],
    *,
    words: str = "",
    commit: str,
) -> None:
    """Write a file that `spikedrop.files.records.read_record` reads, one row per line.

    `words` are about the machine; `commit` is that of the sources that ran, see `sources`.
    """
    facts = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit,
        "machine": machine() + (f"; {words}" if words else ""),
        "command": shlex.join(command),
    }
    head = "".join(f"  {json.dumps(key)}: {json.dumps(value)},\n" for key, value in facts.items())
    lines = ",\n".join(f"    {json.dumps(row)}" for row in rows)
    file.write_text(f'{{\n{head}  "rows": [\n{lines}\n  ]\n}}\n', encoding="utf-8")
