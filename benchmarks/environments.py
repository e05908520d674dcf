"""Interpreters of their own for other simulators; never dependencies of spikedrop."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LIMIT_S = 900


def make_environment(name: str) -> Path:
    """Return the interpreter that has the pins of ``benchmarks/<name>.txt``; make it on first use.

    It lies in ``.venv-<name>`` of the working folder. Raises `subprocess.SubprocessError` if it
    cannot be made; a second try starts where the first one stopped.
    """
    folder = Path(f".venv-{name.replace('_', '-')}")
    python, ready = folder / "bin" / "python", folder / ".ready"
    if not ready.exists():
        print(f"making the environment {folder}: a minute or more", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        (folder / ".gitignore").write_text("*\n")
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        pins = HERE / f"{name}.txt"
        subprocess.run([python, *install, "-r", pins], check=True, timeout=LIMIT_S)
        ready.touch()
    return python
