"""How much comes in, and flags as rows: the same on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_records import NODE, NOW_MS, decision, decision_id, event

from edgewise.ids import BundleVersion, ItemId, PlacementName, SubjectId
from edgewise.records import Record, encode_record
from hub.ledger.batch import Batch
from hub.ledger.flags import ASKED, FlagClosing, Flagged, FlagState
from hub.ledger.ledger import Ledger, open_ledger

pytestmark = pytest.mark.usefixtures("either_database")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path) as opened:
        yield opened


def test_events_by_stretches_of_time(ledger: Ledger) -> None:
    assert (ledger.newest_event_ms(), ledger.newest_decision_ms()) == (None, None)
    assert ledger.events_by_window(NOW_MS, 10, 2) == [0, 0]
    records: list[Record] = [*(event(seq) for seq in range(5)), decision(5)]  # a second apart
    ledger.store([Batch(NODE, [encode_record(record) for record in records])], NOW_MS)
    # (-1, 1], (1, 3], (3, 5] seconds, the latest first
    assert ledger.events_by_window(NOW_MS + 5_001, 2_000, 3) == [1, 2, 2]
    assert ledger.events_by_window(NOW_MS + 5_001, 2_000, 1) == [1]
    # the end itself is not within
    assert ledger.events_by_window(NOW_MS + 4_000, 1_000, 2) == [1, 1]
    assert (ledger.newest_event_ms(), ledger.newest_decision_ms()) == (NOW_MS + 4_000, NOW_MS + 5_000)


def test_flags_are_asked_until_they_are_answered(ledger: Ledger) -> None:
    def flag(number: int) -> int:
        flagged = Flagged(decision_id(number), SubjectId(""), NOW_MS, PlacementName("home"), ItemId("film-1"), 1, "odd")
        return ledger.add_flag(flagged, "Eve", NOW_MS).number

    assert [flag(1), flag(2), flag(3)] == [1, 2, 3]
    closings = [FlagClosing(1, FlagState.FIXED), FlagClosing(2, FlagState.ANSWERED, "it is right")]
    ledger.close_flags(closings, BundleVersion(4), "Bob", NOW_MS + 1)
    assert [flag.number for flag in ledger.flags(ASKED)] == [1, 3]
    ledger.close_flags([FlagClosing(2, FlagState.FIXED)], BundleVersion(5), "Cleo", NOW_MS + 2)
    (answered,) = ledger.flags(decision_id=decision_id(2))
    assert (answered.state, answered.answered_by, answered.release) == (FlagState.ANSWERED, "Bob", 4)
    assert [(entry.who, entry.what, entry.subject) for entry in ledger.audit()][:2] == [
        ("Bob", "flag answer", "flag 2"),
        ("Bob", "flag answer", "flag 1"),
    ]
