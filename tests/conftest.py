"""What all tests share: a quiet TensorFlow, and one run of the chapters for all who look at it."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

# Read by TensorFlow, Keras and matplotlib when a test first imports them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # the tools in `book` are not part of the installed package

from book.build import render  # noqa: E402
from book.execute import execute_chapter, prepare  # noqa: E402
from book.tree import BookError, Tree  # noqa: E402


@dataclass(frozen=True)
class FastRun:
    """The chapters executed with their fast values: the tree, and what went wrong by chapter."""

    tree: Tree
    errors: dict[str, str]


@pytest.fixture(scope="session")
def fast_run() -> FastRun:
    """Execute every chapter once, with the fast values, on simulated data."""
    tree = Tree("fast")
    parameters = prepare(tree)
    errors: dict[str, str] = {}
    for chapter, values in parameters.items():
        if errors:  # a later chapter builds on the earlier ones
            errors[chapter] = f"not run, because {next(iter(errors))} failed"
            continue
        try:
            execute_chapter(tree, chapter, values)
        except BookError as error:
            errors[chapter] = str(error)
    return FastRun(tree, errors)


@pytest.fixture(scope="session")
def fast_site(fast_run: FastRun) -> Tree:
    """Render the fast run's chapters and check the site; a fault fails every test that looks."""
    if fast_run.errors:
        pytest.fail(f"no site without its chapters; failed: {', '.join(fast_run.errors)}")
    try:
        render(fast_run.tree)
    except BookError as error:
        pytest.fail(str(error))
    return fast_run.tree


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium of the system, driven by Playwright; no browser is downloaded."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("no chromium on this machine, and in CI its tests must run")
        pytest.skip("no chromium on this machine: install your system's package")
    with sync_playwright() as playwright:
        root = hasattr(os, "geteuid") and os.geteuid() == 0  # its sandbox refuses root
        chromium = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"] if root else []
        )
        yield chromium
        chromium.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run what needs the chapters last, so that a fault in the package shows within seconds.

    With several processes, which take whole files, it begins first: it is the longest.
    """
    several = hasattr(config, "workerinput")
    slow = {"fast_run", "fast_site"}
    if several:
        items.sort(key=lambda item: item.path.name != "test_book.py")
    else:
        items.sort(key=lambda item: bool(slow & set(getattr(item, "fixturenames", ()))))
