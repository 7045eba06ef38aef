"""Runs of sources and the vault: pages, newest wins, order does not matter."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgewise.ids import SubjectId
from hub.ledger import sources
from hub.ledger.ledger import Ledger, open_ledger
from hub.ledger.rows import ContactRow, SourceRun

pytestmark = pytest.mark.usefixtures("either_database")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path) as opened:
        yield opened


def contact(key: str, time_ms: int, first: str = "Ann", source: str = "crm") -> ContactRow:
    return ContactRow(source, key, SubjectId("s"), {"first_name": first, "dob": "1980-01-02"}, time_ms)


def test_the_vault_is_read_page_by_page(ledger: Ledger) -> None:
    rows = [contact(f"{number:05}", number, source=f"s{number % 3}") for number in range(2 * sources.PAGE + 7)]
    assert ledger.keep_contacts(rows) == len(rows)
    assert list(ledger.contacts()) == sorted(rows, key=lambda row: (row.source, row.key))


def test_nothing_is_kept_twice(ledger: Ledger) -> None:
    assert ledger.keep_contacts([]) == 0
    assert ledger.keep_contacts([contact("1", 5)]) == 1
    assert ledger.keep_contacts([contact("1", 5), contact("1", 4, "Anna")]) == 0
    assert ledger.keep_contacts([contact("1", 5, source="shop")]) == 1


_NUMBERS = itertools.count()
_contacts = st.builds(contact, st.sampled_from("abc"), st.integers(0, 3), st.sampled_from(["Ann", "Anna", "Zoë"]))


@given(st.lists(_contacts, min_size=1, max_size=6), st.integers(1, 3))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_of_arrival_does_not_matter(ledger: Ledger, rows: list[ContactRow], size: int) -> None:
    kept = []
    for order in (rows, sorted(rows, key=repr), list(reversed(rows))):
        source = f"s{next(_NUMBERS)}"
        named = [msgspec.structs.replace(row, source=source) for row in order]
        for start in range(0, len(named), size):
            ledger.keep_contacts(named[start : start + size])
        found = [row for row in ledger.contacts() if row.source == source]
        kept.append([msgspec.structs.replace(row, source="crm") for row in found])
    assert kept[0] == kept[1] == kept[2]
    newest = {row.key: max(other.time_ms for other in rows if other.key == row.key) for row in rows}
    assert {row.key: row.time_ms for row in kept[0]} == newest


def test_runs_are_kept_oldest_first_and_once(ledger: Ledger) -> None:
    runs = [SourceRun("crm", started, "0" * 64, started + 1, 10, 8, 1, 1, 5, 9) for started in (30, 10, 20)]
    for run in [*runs, runs[0]]:
        ledger.note_run(run)
    assert ledger.source_runs() == sorted(runs, key=lambda run: run.started_ms)
    ledger.note_run(SourceRun("crm", 10, "0" * 64, 11, 0, 0, 0, 0))
    assert ledger.source_runs()[0].first_ms is None
