"""Continuous integration: which interpreters it runs on, and what it says of the second one."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib

import pytest
import yaml

from book.tree import ROOT

VERSIONS = ("3.11", "3.12", "3.13")
OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"
OTHERS = [version for version in reversed(VERSIONS) if version != OWN]
CLOSING = "===== 2163 passed, 1 skipped in 9.00s ====="


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def interpreter(path, version, lacks="pass"):
    """What passes for a Python of that version: this one, which says that it is another."""
    patch = (
        "import sys, types; code = sys.argv.pop(1); "
        f"sys.version_info = (*map(int, '{version}'.split('.')), 0, 'final', 0); "
        f"sys.executable = {str(path)!r}; {lacks}; exec(code)"
    )
    return script(path, f'shift; exec {sys.executable} -c "{patch}" "$@"')


def another(tmp_path):
    """Run the search with nothing but the scripts of `tmp_path` and the system's basic tools."""
    shutil.copytree(ROOT / ".ci", tmp_path / "clone" / ".ci", dirs_exist_ok=True)
    tools = tmp_path / "tools"
    tools.mkdir(exist_ok=True)
    for name in ("bash", "dirname", "grep", "sort", "env"):
        if not (tools / name).exists():
            (tools / name).symlink_to(shutil.which(name))
    done = subprocess.run(
        [tmp_path / "clone" / ".ci" / "another-python", sys.executable],
        env={
            "PATH": f"{tmp_path / 'bin'}:{tmp_path / 'later'}:{tools}",
            "HOME": str(tmp_path / "home"),
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.strip(), done.returncode


def test_a_machine_with_one_python_has_no_second(tmp_path):
    interpreter(tmp_path / "bin" / f"python{OWN}", OWN)
    interpreter(tmp_path / "bin" / "python3.10", "3.10")
    assert another(tmp_path) == ("", 1)


def test_the_newest_other_python_on_the_path_is_taken(tmp_path):
    for version in VERSIONS:
        interpreter(tmp_path / "bin" / f"python{version}", version)
    assert another(tmp_path) == (str(tmp_path / "bin" / f"python{OTHERS[0]}"), 0)


@pytest.mark.parametrize("fault", ["a shim that fails", "another version", "no venv module"])
def test_a_python_that_does_not_work_is_passed_over(fault, tmp_path):
    broken = tmp_path / "bin" / f"python{OTHERS[0]}"
    if fault == "a shim that fails":
        script(broken, "echo pyenv: command not found >&2; exit 127")
    else:
        version = OWN if fault == "another version" else OTHERS[0]
        lacks = "sys.modules['ensurepip'] = None" if fault == "no venv module" else "pass"
        interpreter(broken, version, lacks)
    assert another(tmp_path) == ("", 1)
    works = interpreter(tmp_path / "later" / f"python{OTHERS[0]}", OTHERS[0])
    assert another(tmp_path) == (str(works), 0)


@pytest.mark.parametrize("pyenv", ["bin/pyenv", "home/.pyenv/bin/pyenv"])
def test_what_pyenv_has_behind_a_shim_is_found(pyenv, tmp_path):
    """The shim fails, because another version is chosen; pyenv knows where the interpreter is."""
    wanted = OTHERS[0]
    script(tmp_path / "bin" / f"python{wanted}", "exit 127")
    real = interpreter(tmp_path / "versions" / f"{wanted}.4" / f"python{wanted}", wanted)
    versions = rf"3.9.18\n{OWN}.1\n{wanted}.2\n{wanted}.4\n{wanted}.4/envs/mine\n3.14.0"
    script(
        tmp_path / pyenv,
        f'case "$1" in\n'
        f'  versions) printf "{versions}\\n" ;;\n'
        f"  which) [ $PYENV_VERSION = {wanted}.4 ] && echo {real} ;;\n"
        f"esac",
    )
    assert another(tmp_path) == (str(real), 0)


def test_what_uv_has_is_found_and_nothing_is_downloaded(tmp_path):
    wanted = OTHERS[-1]
    real = interpreter(tmp_path / "managed" / "python", wanted)
    script(
        tmp_path / "bin" / "uv",
        f'[ "$UV_PYTHON_DOWNLOADS $*" = "never python find --system --no-project {wanted}" ] '
        f"&& echo {real}",
    )
    assert another(tmp_path) == (str(real), 0)


def run(tmp_path, *, second, fails="", records=True):
    """Run `.ci/run` in a folder where `make` writes down what it was asked for."""
    clone = tmp_path / "clone"
    for name in ("run", "browser", "another-python"):
        script(clone / ".ci" / name, "exit 0")
    shutil.copy(ROOT / ".ci" / "run", clone / ".ci" / "run")
    script(clone / ".ci" / "another-python", f"echo {second}" if second else "exit 1")
    if records:
        (tmp_path / "shared" / "data" / "almanac").mkdir(parents=True)
    script(
        tmp_path / "bin" / "make",
        f'echo "$*|data=$SPIKEDROP_DATA" >> {tmp_path / "asked"}\n'
        f'case "$*" in\n'
        f'  test) echo "{CLOSING}" ;;\n'
        f'  *test-backends*) echo "===== 180 passed in 3.00s =====" ;;\n'
        f"esac\n"
        f'case "$*" in *{fails or "nothing"}*) exit 2 ;; esac',
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("SPIKEDROP_DATA", "REAL_LANE")}
    environment["PATH"] = f"{tmp_path / 'bin'}:{environment['PATH']}"
    done = subprocess.run(
        [clone / ".ci" / "run"], env=environment, capture_output=True, text=True, check=False
    )
    asked = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
    return done.returncode, done.stdout, asked


@pytest.mark.parametrize("records", [True, False])
def test_the_second_python_runs_backends_and_chapters_and_the_first_ones_tests_close(
    records, tmp_path
):
    code, said, asked = run(tmp_path, second=sys.executable, records=records)
    on = f"VENV=.venv-{OWN} PYTHON={sys.executable}"
    data = "../shared/data/almanac" if records else ""
    assert asked[:2] == ["test|data=", f"{on} env|data="]
    assert set(asked[2:]) == {
        f"{on} test-backends|data=",
        f"{on} chapters LANE=fast|data={data}",
    }
    lines = said.splitlines()
    assert lines[-1] == CLOSING and lines[-2] == "===== 180 passed in 3.00s ====="
    assert any(line.startswith(f"== on Python {OWN}: backends, masks") for line in lines)
    assert code == 0


@pytest.mark.parametrize("fails", ["env", "test-backends", "chapters"])
def test_a_failure_on_the_second_python_fails_the_run(fails, tmp_path):
    code, said, _ = run(tmp_path, second=sys.executable, fails=fails)
    assert code == 1
    lines = said.splitlines()
    assert lines[-2:] == [f"== Python {OWN} failed, see above", CLOSING]
    assert fails == "env" or "===== 180 passed in 3.00s =====" in lines


def test_without_a_second_python_the_run_says_so_and_the_first_has_the_records(tmp_path):
    code, said, asked = run(tmp_path, second="")
    assert asked == ["test|data=", "chapters LANE=fast|data=../shared/data/almanac"]
    assert "== no second Python (3.11, 3.12 or 3.13) on this machine" in said
    assert said.splitlines()[-1] == CLOSING
    assert code == 0


def test_failing_tests_stop_the_run(tmp_path):
    code, _, asked = run(tmp_path, second=sys.executable, fails="test")
    assert asked == ["test|data="]
    assert code != 0


def test_the_workflow_tests_and_builds_on_every_promised_python():
    """Both commands, each on the versions that README and package name, and no other."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11,<3.14"
    for page in ("README.md", "book/reading.md"):
        assert "Python 3.11, 3.12 or 3.13" in (ROOT / page).read_text(encoding="utf-8")
    workflow = yaml.safe_load((ROOT / ".github/workflows/book.yml").read_text(encoding="utf-8"))
    for name, command in (("test", r"^\.ci/run$"), ("site", r"^make book\b")):
        job = workflow["jobs"][name]
        assert job["strategy"]["matrix"]["python"] == list(VERSIONS)
        steps = {step.get("uses", "").split("@")[0]: step for step in job["steps"]}
        assert steps["actions/setup-python"]["with"]["python-version"] == "${{ matrix.python }}"
        assert any(re.search(command, step.get("run", "")) for step in job["steps"])
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in makefile
