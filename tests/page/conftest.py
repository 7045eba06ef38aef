"""One browser and one node for a module of tests of what runs in pages: starting them takes longer than most tests.

Not for the session: Playwright keeps an event loop running in this thread, in which other tests start their own.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser import running_chromium
from page_world import LiveNode, live_node
from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveNode]:
    with live_node(tmp_path_factory.mktemp("node")) as running:
        yield running
