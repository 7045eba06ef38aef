"""Business files in: orders whole or not at all, twice the same as once, faults with row, column and reason."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hub_records import NODE, payloads, preference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sources_world import CONTACTS, KEY, LINES, NOW_MS, RECEIPTS, document, imported, written

from edgewise.clock import ManualClock
from edgewise.consent import Consent, ConsentState
from edgewise.errors import InputError
from edgewise.ids import MessageId, SubjectId
from edgewise.profile.preferences import decode_preferences
from edgewise.records import ANONYMOUS, EventRecord
from edgewise.subjects import subject_of
from hub.imports.source_import import preview_source
from hub.ledger.batch import Batch
from hub.ledger.ledger import Ledger, open_ledger

_NUMBERS = itertools.count()
CUSTOMER = subject_of(KEY, "userId", "17850")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path / "hub") as opened:
        yield opened


def rejects(tmp_path: Path, name: str = "till") -> list[dict[str, str]]:
    path = tmp_path / "hub" / "sources" / "rejects" / f"{name}.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def said(events: list[EventRecord]) -> list[tuple[str, list[tuple[str, int, int]]]]:
    return [
        (event.name, [(touch.item, touch.quantity, touch.value_minor) for touch in event.touches]) for event in events
    ]


WHOLE = [
    ("Offline Purchase", [("tea", 2, 255), ("tea", 2, 255), ("pot", 1, 1000)]),
    ("Offline Purchase", [("cup", 1, 123450)]),
    ("Order Refunded", [("cup", -1, 123450)]),
]


def test_lines_become_orders_in_the_order_of_time(ledger: Ledger, tmp_path: Path) -> None:
    report = imported(ledger, written(tmp_path / "x.csv", LINES), document(RECEIPTS))
    assert (report.rows, report.events, report.stored, report.known, report.rejected) == (5, 3, 3, 0, 0)
    assert (report.profiles, report.first, report.last) == (1, "2025-03-01T09:00:00.000Z", "2025-07-02T11:00:00.000Z")
    stored = list(ledger.events_of(CUSTOMER))
    assert said(stored) == WHOLE
    assert [(event.producer, event.seq) for event in stored] == [
        ("import/till", 0),
        ("import/till", 1),
        ("import/till", 2),
    ]
    (run,) = ledger.source_runs()
    assert (run.source, run.rows, run.stored, run.known, run.rejected) == ("till", 5, 3, 0, 0)
    assert len(run.file_sha256) == 64


def test_the_same_file_again_changes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", LINES)
    imported(ledger, path, document(RECEIPTS))
    before = ledger.profiles([CUSTOMER])
    report = imported(ledger, path, document(RECEIPTS), now_ms=NOW_MS + 1)
    assert (report.stored, report.known, report.profiles, report.rejected) == (0, 3, 0, 0)
    assert ledger.profiles([CUSTOMER]) == before
    assert len(ledger.source_runs()) == 2


@given(order=st.permutations(LINES.splitlines()[1:]))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_of_rows_does_not_matter(ledger: Ledger, tmp_path: Path, order: list[str]) -> None:
    name = f"till{next(_NUMBERS)}"
    path = written(tmp_path / "x.csv", "\n".join([LINES.splitlines()[0], *order]) + "\n")
    imported(ledger, path, document(RECEIPTS), name=name)
    stored = said([event for event in ledger.events_of(CUSTOMER) if event.producer == f"import/{name}"])
    assert [(name, sorted(items)) for name, items in stored] == [(name, sorted(items)) for name, items in WHOLE]


def test_an_order_with_a_broken_line_waits_until_it_is_whole(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    report = imported(ledger, written(path, LINES.replace("pot,1,10", 'pot,1,"10,00"')), document(RECEIPTS))
    assert (report.stored, report.rejected) == (2, 3)
    assert sorted((row["row"], row["column"], row["value"], row["reason"]) for row in rejects(tmp_path)) == [
        ("2", "", "row 5", "its group has a refused row"),
        ("3", "", "row 5", "its group has a refused row"),
        ("5", "price", "10,00", "no number"),
    ]
    report = imported(ledger, written(path, LINES), document(RECEIPTS))
    assert (report.stored, report.known, report.rejected) == (1, 2, 0)
    assert sorted(said(list(ledger.events_of(CUSTOMER)))) == sorted(WHOLE)
    assert rejects(tmp_path) == [], "the file of an import without rejects goes away"


BAD_ROWS = [
    ("b1,2025-13-01 09:00,1,tea,1,1", "when", "no date"),
    ("b2,2031-01-01 09:00,1,tea,1,1", "when", "in the future"),
    ("b3,2038-01-19 03:14:08,1,tea,1,1", "when", "in the future"),
    ("b4,1969-12-31 09:00,1,tea,1,1", "when", "too early"),
    ("b5,2025-01-01 09:00,,tea,1,1", "customer", "names nobody"),
    ("b6,2025-01-01 09:00,00000000-0000-0000-0000-000000000000,tea,1,1", "customer", "names nobody"),
    ("b7,2025-01-01 09:00,1,tea,1,$x", "price", "no number"),
    ("b8,2025-01-01 09:00,1,tea,1,€2", "price", "another currency"),
    ("b9,2025-01-01 09:00,1,tea,1.5,1", "pieces", "not whole"),
    ("b10,2025-01-01 09:00,a\0b,tea,1,1", "customer", "unprintable"),
    ("b11,2025-01-01 09:00,\x1b[31m,tea,1,1", "customer", "unprintable"),
    ("b12,2025-01-01 09:00,\u202eann,tea,1,1", "customer", "unprintable"),
    (f"b13,2025-01-01 09:00,{'9' * 201},tea,1,1", "customer", "201 characters"),
    ("b14,2025-01-01 09:00,1,tea,1,100000000000000", "$.properties.products[0].price", "refused by intake"),
    ("b15,2025-01-01 09:00,1,tea,1", "", "does not fit the header"),
]
"""(row, column, reason)."""


def test_bad_rows_are_set_aside_with_row_column_and_reason(ledger: Ledger, tmp_path: Path) -> None:
    text = LINES + "".join(f"{row}\n" for row, _, _ in BAD_ROWS)
    report = imported(ledger, written(tmp_path / "x.csv", text), document(RECEIPTS))
    assert (report.stored, report.rejected) == (3, len(BAD_ROWS))
    aside = sorted(rejects(tmp_path), key=lambda reject: int(reject["row"]))
    assert [(reject["row"], reject["column"], reject["reason"]) for reject in aside] == [
        (str(number), column, reason) for number, (_, column, reason) in enumerate(BAD_ROWS, 7)
    ]
    assert all(reject["expected"] for reject in aside)
    assert all(text.isprintable() for reject in aside for text in reject.values())
    assert report.reasons["customer: unprintable"] == 3
    assert sum(report.reasons.values()) == report.rejected


def test_rejects_run_in_no_spreadsheet(ledger: Ledger, tmp_path: Path) -> None:
    imported(ledger, written(tmp_path / "x.csv", LINES + "r9,=HYPERLINK(1),1,tea,1,1\n"), document(RECEIPTS))
    assert rejects(tmp_path)[0]["value"] == "'=HYPERLINK(1)"


def test_a_file_of_nothing_but_rejects_is_an_error_with_places(ledger: Ledger, tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", LINES.replace("2025", "never"))
    with pytest.raises(InputError) as refused:
        imported(ledger, path, document(RECEIPTS))
    assert "no row could be used, 5 refused" in str(refused.value)
    assert refused.value.problems[0].path == "row 2, column when"
    assert not ledger.source_runs()
    with pytest.raises(InputError, match="no rows"):
        imported(ledger, written(path, LINES.splitlines()[0]), document(RECEIPTS))


def test_future_times_are_clamped_where_the_source_says_so(ledger: Ledger, tmp_path: Path) -> None:
    late = LINES + "r9,2031-01-01 09:00,17850,tea,1,1\n"
    report = imported(ledger, written(tmp_path / "x.csv", late), document(RECEIPTS, future="clamp"))
    assert (report.stored, report.last) == (4, "2026-01-01T00:00:00.000Z")
    near = LINES + "r10,2026-01-01 00:09,17850,tea,1,1\n"
    report = imported(ledger, written(tmp_path / "x.csv", near), document(RECEIPTS))
    assert (report.stored, report.rejected) == (1, 0), "within the tolerance it counts as of now"
    assert [event.time_ms for event in ledger.events_of(CUSTOMER)][-2:] == [NOW_MS, NOW_MS]


def test_an_event_behind_2038_is_one_like_any_other(ledger: Ledger, tmp_path: Path) -> None:
    late = LINES + "r9,2038-01-19 03:14:08,17850,tea,1,1\nr10,2106-02-07 06:28:17,17850,tea,1,1\n"
    report = imported(ledger, written(tmp_path / "x.csv", late), document(RECEIPTS), now_ms=5_000_000_000_000)
    assert (report.stored, report.rejected, report.last) == (5, 0, "2106-02-07T06:28:17.000Z")
    assert [event.time_ms for event in ledger.events_of(CUSTOMER)][-2:] == [2**31 * 1_000, (2**32 + 1) * 1_000]


def test_receipts_without_a_customer_count_for_nobody(ledger: Ledger, tmp_path: Path) -> None:
    lines = LINES + "r9,2025-01-01 09:00,,tea,1,1\n"
    path = written(tmp_path / "x.csv", lines)
    report = imported(ledger, path, document(RECEIPTS, nobody="count"))
    assert (report.stored, report.nobody, report.profiles) == (4, 1, 1)
    (event,) = ledger.events_of(ANONYMOUS)
    assert said([event]) == [("Offline Purchase", [("tea", 1, 100)])]
    assert event.identifiers == {}
    assert imported(ledger, path, document(RECEIPTS, nobody="count")).known == 4
    assert imported(ledger, path, document(RECEIPTS, nobody="skip")).passed_over == 1


def test_a_key_that_says_something_else_is_refused_not_counted_twice(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    imported(ledger, written(path, LINES), document(RECEIPTS))
    before = ledger.profiles([CUSTOMER])
    report = imported(ledger, written(path, LINES.replace("pot,1,10", "pot,1,11")), document(RECEIPTS))
    assert (report.stored, report.known, report.rejected) == (0, 2, 3)
    assert {row["reason"] for row in rejects(tmp_path)} == {"known by its key, with other content"}
    assert ledger.profiles([CUSTOMER]) == before


HITS: dict[str, Any] = {
    "kind": "analytics",
    "key": ["id"],
    "consent": "granted",
    "time": "at",
    "user_agent": "agent",
    "identifiers": {"anonymousId": "visitor"},
    "records": [{"type": "page", "name": "title"}],
}


def test_a_key_twice_in_a_file_counts_once_and_is_told_where_it_differs(ledger: Ledger, tmp_path: Path) -> None:
    hit = {"id": 1, "at": "2025-01-01", "visitor": "v", "title": "Home"}
    path = written(tmp_path / "x.jsonl", [hit, {**hit, "id": 2}, hit, {**hit, "title": "Other", "at": "2025-01-02"}])
    report = imported(ledger, path, document(HITS), name="web")
    assert (report.stored, report.known, report.rejected) == (2, 1, 1)
    assert [row["row"] for row in rejects(tmp_path, "web")] == ["4"]


def test_robots_are_dropped_and_counted(ledger: Ledger, tmp_path: Path) -> None:
    hit = {"at": "2025-01-01", "visitor": "v", "title": "Home"}
    agents = ["Googlebot/2.1", "Mozilla/5.0 (Windows NT 10.0) Chrome/120.0 Safari/537.36", None]
    path = written(tmp_path / "x.jsonl", [{**hit, "id": n, "agent": agent} for n, agent in enumerate(agents)])
    report = imported(ledger, path, document(HITS), name="web")
    assert (report.rows, report.robots, report.stored) == (3, 1, 2)


def test_signed_64_bit_ids_reach_the_subject(ledger: Ledger, tmp_path: Path) -> None:
    for number in (2**63 - 1, -(2**63)):
        hit = {"id": number, "at": "2025-01-01", "visitor": number, "title": "Home"}
        imported(ledger, written(tmp_path / "x.jsonl", [hit]), document(HITS), name="web")
        assert len(list(ledger.events_of(subject_of(KEY, "anonymousId", str(number))))) == 1


def test_who_is_known_by_an_address_only_is_one_however_it_is_spelled(ledger: Ledger, tmp_path: Path) -> None:
    said = document(HITS, identifiers={"email": "visitor"}, records=[{"event": "Email Opened"}])
    spelled = ["Ann@X.org", " ann@x.org ", "ANN@x.ORG"]
    hits = [{"id": number, "at": "2025-01-01", "visitor": address} for number, address in enumerate(spelled)]
    report = imported(ledger, written(tmp_path / "x.jsonl", hits), said, name="mail")
    assert (report.stored, report.profiles) == (3, 1)
    assert len(list(ledger.events_of(subject_of(KEY, "email", "ann@x.org")))) == 3


def test_hostile_text_is_kept_disarmed(ledger: Ledger, tmp_path: Path) -> None:
    hit = {"id": 1, "at": "2025-01-01", "visitor": "v", "title": "a\0b\x1b[2J\ud800\u202e"}
    imported(ledger, written(tmp_path / "x.jsonl", [hit]), document(HITS), name="web")
    (event,) = ledger.events_of(subject_of(KEY, "anonymousId", "v"))
    assert event.name == "ab[2J\ufffd\u202e"


CONTACT = {"id": "17850", "mail": "Ann@X.org", "changed": "2025-01-01", "city": "Leeds", "first": "Ann"}


def test_contacts_fill_the_vault_and_nothing_else_keeps_their_words(ledger: Ledger, tmp_path: Path) -> None:
    report = imported(ledger, written(tmp_path / "x.jsonl", [CONTACT]), document(CONTACTS), name="crm")
    assert (report.stored, report.contacts) == (1, 1)
    (row,) = ledger.contacts()
    assert (row.source, row.subject, row.fields) == ("crm", CUSTOMER, {"first_name": "Ann", "email": "Ann@X.org"})
    (event,) = ledger.events_of(CUSTOMER)
    assert event.traits == {"city": "Leeds"}
    assert event.identifiers["email"] == subject_of(KEY, "email", "ann@x.org")
    assert b"ann" not in repr(event).lower().encode()


def test_the_vault_keeps_what_is_newest_in_any_order(ledger: Ledger, tmp_path: Path) -> None:
    rows = [CONTACT, {**CONTACT, "changed": "2025-03-01", "first": "Anna"}, {**CONTACT, "changed": "2025-02-01"}]
    for row in (rows[1], rows[0], rows[2]):
        imported(ledger, written(tmp_path / "x.jsonl", [row]), document(CONTACTS), name="crm")
    (kept,) = ledger.contacts()
    assert kept.fields["first_name"] == "Anna"
    assert imported(ledger, written(tmp_path / "x.jsonl", rows), document(CONTACTS), name="crm").contacts == 0


def test_without_consent_nothing_is_kept_of_a_contact(ledger: Ledger, tmp_path: Path) -> None:
    report = imported(ledger, written(tmp_path / "x.jsonl", [CONTACT]), document(CONTACTS, consent="site-default"))
    assert (report.events, report.stored, report.without_consent, report.contacts) == (1, 0, 1, 0)
    assert list(ledger.contacts()) == []
    said = document(CONTACTS, consent={"personalisation": {"column": "opt", "type": "boolean"}})
    rows = [{**CONTACT, "opt": "yes"}, {**CONTACT, "id": "2", "opt": "no"}]
    report = imported(ledger, written(tmp_path / "y.jsonl", rows), said, name="crm")
    assert report.contacts == 1, "a denial is kept, the words of who denied are not"
    assert [contact.subject for contact in ledger.contacts()] == [CUSTOMER]
    assert list(ledger.events_of(subject_of(KEY, "userId", "2"))) == []


def test_a_persons_own_denial_wins_over_the_source(ledger: Ledger, tmp_path: Path) -> None:
    denied = Consent(personalisation=ConsentState.DENIED, analytics=ConsentState.DENIED)
    ledger.store([Batch(NODE, payloads(preference(0, subject=CUSTOMER, dial=3, consent=denied)))], NOW_MS)
    report = imported(ledger, written(tmp_path / "x.csv", LINES), document(RECEIPTS))
    assert (report.events, report.stored, report.without_consent) == (3, 0, 3)
    report = imported(ledger, written(tmp_path / "y.jsonl", [CONTACT]), document(CONTACTS), name="crm")
    assert (report.without_consent, list(ledger.contacts())) == (1, [])


def test_who_was_erased_stays_erased(ledger: Ledger, tmp_path: Path) -> None:
    path = written(tmp_path / "x.jsonl", [CONTACT])
    ledger.erase(CUSTOMER, NOW_MS)
    report = imported(ledger, path, document(CONTACTS), name="crm")
    assert (report.stored, report.contacts) == (0, 0)
    assert list(ledger.contacts()) == []
    assert list(ledger.events_of(CUSTOMER)) == []


def test_a_row_that_lost_an_erased_address_is_still_the_same_row(ledger: Ledger, tmp_path: Path) -> None:
    path = written(tmp_path / "x.jsonl", [CONTACT])
    imported(ledger, path, document(CONTACTS), name="crm")
    ledger.erase(subject_of(KEY, "email", "ann@x.org"), NOW_MS)
    (event,) = ledger.events_of(CUSTOMER)
    assert set(event.identifiers) == {"userId"}
    report = imported(ledger, path, document(CONTACTS), name="crm")
    assert (report.stored, report.known, report.rejected) == (0, 1, 0)


def test_a_dry_run_says_the_same_and_stores_nothing(ledger: Ledger, tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", LINES + "r9,soon,1,tea,1,1\n")
    report, refused = preview_source(path, "till", document(RECEIPTS), clock=ManualClock(NOW_MS))
    assert report.dry_run
    assert (report.rows, report.events, report.rejected) == (6, 3, 1)
    assert sorted((call["row"], call["rows"], call["event"]) for call in report.preview) == [
        (2, 3, "Offline Purchase"),
        (4, 1, "Offline Purchase"),
        (6, 1, "Order Refunded"),
    ]
    assert [(row, fault.column) for row, fault in refused.first] == [(7, "when")]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["hub", "x.csv"]
    assert ledger.source_runs() == []
    stored = imported(ledger, path, document(RECEIPTS))
    assert (stored.events, stored.rejected, stored.first, stored.last) == (3, 1, report.first, report.last)


def test_a_thousand_lines_are_one_order(ledger: Ledger, tmp_path: Path) -> None:
    rows = [
        {"receipt": 1, "when": "2025-01-01", "customer": 1, "article": f"a{n}", "pieces": 1, "price": 1}
        for n in range(1_200)
    ]
    report = imported(ledger, written(tmp_path / "x.jsonl", rows), document(RECEIPTS))
    assert (report.rows, report.stored) == (1_200, 1)
    (event,) = ledger.events_of(subject_of(KEY, "userId", "1"))
    assert [touch.item for touch in event.touches] == [f"a{n}" for n in range(1_200)]


def test_named_events_are_found(ledger: Ledger, tmp_path: Path) -> None:
    imported(ledger, written(tmp_path / "x.csv", LINES), document(RECEIPTS))
    ids = [event.message_id for event in ledger.events_of(SubjectId(CUSTOMER))]
    found = ledger.events_named([*ids, MessageId("none")])
    assert set(found) == set(ids)


def marketing_of(ledger: Ledger, subject: SubjectId) -> ConsentState | None:
    return decode_preferences(ledger.profiles([subject])[subject].preferences).stored_consent.marketing


def test_an_edited_contact_grants_nothing_that_the_person_denied_in_between(ledger: Ledger, tmp_path: Path) -> None:
    opt = {"marketing": {"column": "opt", "type": "boolean"}}
    said = document(CONTACTS, consent={**opt, "personalisation": {"value": True}})
    row = {**CONTACT, "opt": True, "changed": "2025-01-10T00:00:00Z"}
    imported(ledger, written(tmp_path / "a.jsonl", [row]), said)
    denied = Consent(marketing=ConsentState.DENIED)
    by_himself = msgspec.structs.replace(preference(0, subject=CUSTOMER, consent=denied), time_ms=1_748_736_000_000)
    ledger.store([Batch(NODE, payloads(by_himself))], NOW_MS)
    edited = {**row, "city": "York", "changed": "2025-12-10T00:00:00Z", "opted": "2025-01-10T00:00:00Z"}
    imported(ledger, written(tmp_path / "b.jsonl", [edited]), said)
    assert marketing_of(ledger, CUSTOMER) is ConsentState.DENIED
    timed = document(CONTACTS, consent=said.consent, consent_time="opted")
    edited["city"] = "Leeds"
    imported(ledger, written(tmp_path / "c.jsonl", [edited]), timed)
    assert marketing_of(ledger, CUSTOMER) is ConsentState.DENIED
    again = {**edited, "city": "Hull", "opted": "2025-12-20T00:00:00Z"}
    imported(ledger, written(tmp_path / "d.jsonl", [again]), timed)
    assert marketing_of(ledger, CUSTOMER) is ConsentState.GRANTED, "he opted in again, and the source says when"


ODD: dict[str, Any] = {
    "kind": "analytics",
    "key": ["id"],
    "consent": "granted",
    "time": "at",
    "timezone": "Europe/Berlin",
    "dates": ["iso", "epoch"],
    "identifiers": {"anonymousId": "visitor"},
    "records": [{"event": "Seen", "properties": {"what": "what"}}],
}


@pytest.mark.parametrize(
    "row",
    [
        {"at": "0001-01-01T00:00:00"},
        {"at": -99999999999},
        {"what": json.loads("[" * 700 + "]" * 700)},
        {"what": 10**30},
        {"what": 10**4000},
        {"visitor": "v\0"},
        {"visitor": json.loads("[" * 700 + "]" * 700)},
    ],
    ids=["year 1", "long before", "deep", "big", "huge", "nul", "deep id"],
)
@pytest.mark.parametrize("group", [[], ["id"]])
def test_no_row_ends_an_import(ledger: Ledger, tmp_path: Path, row: dict[str, Any], group: list[str]) -> None:
    sound = {"id": 1, "at": "2025-01-01", "visitor": "v", "what": 1}
    path = written(tmp_path / "x.jsonl", [{**sound, "id": 2, **row}, sound])
    said = document({**ODD, "records": [{**ODD["records"][0], "group": group}]})
    report = imported(ledger, path, said, name="web")
    assert (report.stored, report.rejected) == (1, 1)
    (reject,) = rejects(tmp_path, "web")
    assert reject["row"] == "1"
    assert reject["reason"]
    assert reject["expected"]


def test_half_a_character_in_a_nested_name_is_replaced_as_in_a_text(ledger: Ledger, tmp_path: Path) -> None:
    row = {"id": 1, "at": "2025-01-01", "visitor": "v", "what": {"a\ud800": "b\ud800"}}
    report = imported(ledger, written(tmp_path / "x.jsonl", [row]), document(ODD), name="web")
    assert (report.stored, report.rejected) == (1, 0)


def test_what_was_said_before_something_else_is_said_anew(ledger: Ledger, tmp_path: Path) -> None:
    said = document({key: value for key, value in CONTACTS.items() if key != "time"})

    def stored(*cities: str) -> int:
        rows = [{**CONTACT, "city": city} for city in cities]
        before = ledger.profiles([CUSTOMER])
        report = imported(ledger, written(tmp_path / "x.jsonl", rows), said)
        assert (report.stored + report.known, report.rejected) == (len(cities), 0)
        assert report.stored > 0 or ledger.profiles([CUSTOMER]) == before
        return report.stored

    assert [stored("York"), stored("Hull"), stored("York"), stored("York")] == [1, 1, 1, 0]
    assert [stored("Leeds", "York"), stored("Leeds", "York"), stored("York", "Hull")] == [2, 0, 1]
    assert said_cities(ledger) == ["York", "Hull", "York", "Leeds", "York", "Hull"]


def said_cities(ledger: Ledger) -> list[str]:
    return [str(event.traits["city"]) for event in ledger.events_of(CUSTOMER)]
