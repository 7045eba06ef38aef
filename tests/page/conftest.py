"""One browser and one node for all tests of what runs in pages: starting them takes longer than most of the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser import running_chromium
from page_world import LiveNode, live_node
from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveNode]:
    with live_node(tmp_path_factory.mktemp("node")) as running:
        yield running
