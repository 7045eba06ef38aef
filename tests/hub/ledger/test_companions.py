"""Whoever was one person with somebody who is erased is news: nodes hold the erased part within his profile."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_records import NODE, NOW_MS, event, preference

from edgewise.ids import SubjectId
from edgewise.records import Record, encode_record
from hub.ledger.batch import Batch
from hub.ledger.ledger import open_ledger
from hub.ledger.rows import Change

LAST = SubjectId("\U0010ffff")


@pytest.mark.parametrize("members", [2, 3, 4])
def test_an_erasure_is_news_for_all_of_the_person(tmp_path: Path, members: int) -> None:
    subjects = [SubjectId(f"{number:032x}") for number in range(1, members + 1)]
    records: list[Record] = [
        *(event(seq, subject=subject) for seq, subject in enumerate(subjects)),
        *(preference(members + seq, subject=subject, dial=1) for seq, subject in enumerate(subjects)),
    ]
    with open_ledger(tmp_path) as ledger:
        ledger.store([Batch(NODE, [encode_record(record) for record in records])], NOW_MS)
        for subject in subjects[1:]:
            ledger.state_merge(subjects[0], subject, who="tester", reason="seen", now_ms=NOW_MS)
        before = ledger.person_profiles(subjects)
        assert len({row.profile for row in before.values()}) == 1
        seen = Change(ledger.revision(), LAST)
        ledger.erase(subjects[-1], NOW_MS)
        assert {change.subject for change in ledger.changed_since(seen)} == set(subjects)
        after = ledger.person_profiles(subjects)
        assert set(after) == set(subjects[:-1])
        assert all(after[subject].profile != before[subject].profile for subject in after)
