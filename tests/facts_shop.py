"""The invented shop with live facts, as its hub and a node's own TUF client see them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hub_records import NOW_MS
from release_world import Client, Shop, write_without_sync

from edgewise.bundle.facts import FACTS_TARGET, FactSheet, decode_facts
from edgewise.clock import ManualClock
from edgewise.ids import ItemId
from hub.facts.board import FactsBoard
from hub.release.repository import Repository

TEA: Final = ItemId("earl-grey")


class FactsShop:
    """The invented shop, live, with its facts and a node's client."""

    def __init__(self, folder: Path) -> None:
        self.shop = Shop(folder)
        self.shop.live()
        self.clock = ManualClock(NOW_MS)
        self.repository = Repository(self.shop.data_dir, write=write_without_sync)
        self.board = FactsBoard(self.shop.ledger, self.repository, self.clock)
        self.client = Client(folder / "client", self.repository)

    def signed(self) -> FactSheet | None:
        """What a node gets."""
        data = self.client.target(FACTS_TARGET)
        return None if data is None else decode_facts(data)

    def version(self) -> int:
        sheet = self.signed()
        return 0 if sheet is None else sheet.version
