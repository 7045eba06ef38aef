"""A real browser for tests: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from needs import lacking
from playwright.sync_api import Browser, Page, sync_playwright

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""Chromium refuses to run as root in its sandbox, would call home (nothing here leaves loopback), and takes a small
/dev/shm for a full one."""


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """A browser until the block ends; starting it takes longer than most tests of a page."""
    chromium = shutil.which("chromium")
    if chromium is None:
        lacking("no chromium on PATH; `make tools` installs Debian's")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(QUIET))
        yield browser
        browser.close()


@contextmanager
def browser_page(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    """A page that knows nobody, and what went wrong in it so far: errors of scripts and console, refused requests."""
    with browser.new_page() as page:
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("requestfailed", lambda request: wrong.append(f"{request.url}: {request.failure}"))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        yield page, wrong
