"""A hub moves old records by itself: always in SQLite, in PostgreSQL where a setting says so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_records import NODE, NOW_MS, event, payloads
from lake_world import DAY_MS

from edgewise.clock import ManualClock
from hub.ledger import lake
from hub.ledger.batch import Batch
from hub.ledger.ledger import Ledger, open_ledger
from hub.log import start_log
from hub.serve import _settle
from hub.settings import HubSettings

pytestmark = pytest.mark.usefixtures("either_database")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path) as opened:
        opened.store([Batch(NODE, payloads(*(event(seq, received_ms=NOW_MS) for seq in range(20))))], NOW_MS)
        yield opened


async def settled(ledger: Ledger, settings: HubSettings) -> int:
    """Run until everything that may move has moved, or nothing will; the number of partitions."""
    clock = ManualClock(NOW_MS + 31 * DAY_MS)
    task = asyncio.create_task(_settle(ledger, settings, clock, start_log("error")))
    try:
        async with asyncio.timeout(30):
            while not task.done() and sum(row.records for row in ledger.lake.partitions()) < 20:  # noqa: ASYNC110  # as seen from outside
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return len(ledger.lake.partitions())


def test_turns_that_come_back_full_follow_each_other(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake, "MOST_RECORDS", 5)
    monkeypatch.setattr("hub.serve._BETWEEN_TURNS_S", 0.0)
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def counted(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(min(seconds, 0.01))

    monkeypatch.setattr("hub.serve.asyncio.sleep", counted)
    assert asyncio.run(settled(ledger, HubSettings(lake_after_days=30, lake_every_ms=60_000))) == 4
    assert [pause for pause in pauses if pause != 0.01][:4] == [60.0, 0.0, 0.0, 0.0]


def test_only_a_file_has_its_old_records_beside_it_unasked(ledger: Ledger, either_database: str) -> None:
    lasting = HubSettings(lake_every_ms=100)
    if either_database == "postgresql":
        assert asyncio.run(settled(ledger, lasting)) == 0
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lake, "MOST_RECORDS", 20)
            assert asyncio.run(settled(ledger, lasting)) == 1
