"""One node and one hub for all tests of deploy/: starting one takes longer than asking it everything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from contract_nodes import Node, starter_node
from hub_process import hub_process, make_site


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with starter_node(tmp_path_factory.mktemp("deploy-node")) as started:
        yield started


@pytest.fixture(scope="session")
def hub_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the admin API of a hub answers."""
    folder = tmp_path_factory.mktemp("deploy-hub")
    make_site(folder)
    with hub_process(folder) as started:
        yield started.admin
