"""What all tests share: a quiet TensorFlow, and one run of the chapters for all who look at it."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from playwright.sync_api import Browser

# Read by TensorFlow, Keras and matplotlib when a test first imports them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # the tools in `book` are not part of the installed package

from book.browser import ADVICE, find_chromium, open_chromium  # noqa: E402
from book.build import render  # noqa: E402
from book.execute import execute_all  # noqa: E402
from book.tree import BookError, Tree  # noqa: E402

if find_spec("nengo"):
    from spikedrop.engines.nengo_import import nengo

    # Workers that build models of Nengo's own would lock one another out of its cache of decoders.
    nengo.rc["decoder_cache"]["enabled"] = "False"


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--backend NAME``: only the tests that run on this backend."""
    parser.addoption("--backend", help="run only the tests of this backend, such as nengo_dl")


def of_backend(config: pytest.Config, items: list[pytest.Item], backend: str) -> None:
    """Leave out what does not run on the backend that was asked for."""
    specs = {item: getattr(item, "callspec", None) for item in items}
    chosen = [
        item for item, spec in specs.items() if spec and spec.params.get("backend") == backend
    ]
    if not chosen:
        raise pytest.UsageError(f"--backend {backend}: no test runs on a backend of that name.")
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@dataclass(frozen=True)
class FastRun:
    """The chapters executed with their fast values: the tree, and what went wrong by chapter."""

    tree: Tree
    errors: dict[str, str]


def once(run: str, what: str, do: Callable[[], Any]) -> Any:
    """Do something once for all processes of a test run; those that come later read the result."""
    kept = Tree("fast").out / f"tested-{what}.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(kept.with_suffix(".lock")):
        found = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
        if found.get("run") != run:
            found = {"run": run, "result": do()}
            kept.write_text(json.dumps(found), encoding="utf-8")
    return found["result"]


def render_all(tree: Tree) -> str:
    """Render and check the site; what went wrong."""
    try:
        render(tree)
    except BookError as error:
        return str(error)
    return ""


@pytest.fixture(scope="session")
def fast_run(testrun_uid: str) -> FastRun:
    """Execute every chapter once, with the fast values."""
    tree = Tree("fast")
    return FastRun(tree, once(testrun_uid, "chapters", lambda: execute_all(tree)))


@pytest.fixture(scope="session")
def fast_site(fast_run: FastRun, testrun_uid: str) -> Tree:
    """Render the fast run's chapters and check the site; a fault fails every test that looks."""
    if fast_run.errors:
        pytest.fail(f"no site without its chapters; failed: {', '.join(fast_run.errors)}")
    if fault := once(testrun_uid, "site", lambda: render_all(fast_run.tree)):
        pytest.fail(fault)
    return fast_run.tree


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium of this system; it reaches nothing but this machine."""
    path = find_chromium()
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(ADVICE)
    with open_chromium(path) as chromium:
        yield chromium


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run what needs the chapters last, so that a fault in the package shows within seconds.

    With several processes, which take whole files, the run of the chapters begins first, since it
    is the longest. What looks at the site comes when it is there, and many small files after it, so
    that no process waits at the end.
    """
    if backend := config.getoption("--backend"):
        of_backend(config, items, backend)
    several = hasattr(config, "workerinput")
    slow = {"fast_run", "fast_site"}
    places = {"test_book.py": -1, "test_site.py": 1, "test_browser.py": 1}
    small = {"scores", "store", "study", "training"}
    if several:
        items.sort(
            key=lambda item: places.get(
                item.path.name, 2 if small.intersection(item.path.parts) else 0
            )
        )
    else:
        items.sort(key=lambda item: bool(slow & set(getattr(item, "fixturenames", ()))))
