"""The browser that prints the book and tries the site: a Chromium that the system has."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

#: Where a Chromium may lie: by name on the search path, or where macOS keeps it.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MACOS = (
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
)
ADVICE = "no Chromium found. On Debian or Ubuntu: apt-get install chromium"


def find_chromium() -> str | None:
    """Path of a Chromium or Chrome of this system, None if there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return found or next((str(path) for path in MACOS if path.exists()), None)


@contextmanager
def open_chromium(path: str) -> Iterator[Browser]:
    """Start the browser at `path` without a window; it is gone at the end.

    It reaches this machine alone: every other name leads nowhere.
    """
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        arguments = [
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--disable-dev-shm-usage",  # a container's shared memory is small
        ]
        if root:
            arguments.append("--no-sandbox")  # which Chromium refuses to root
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()
