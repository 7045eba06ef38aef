"""Two nodes for all tests of the contract: starting one takes longer than asking it everything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from contract_nodes import Node, shop_node, starter_node


@pytest.fixture(scope="session")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with starter_node(tmp_path_factory.mktemp("starter")) as node:
        yield node


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with shop_node(tmp_path_factory.mktemp("shop")) as node:
        yield node
