"""History in: good events stored once and in order, bad ones set aside, consent and erasure kept."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hub_records import NODE, NOW_MS, payloads, preference
from hypothesis import given
from hypothesis import strategies as st

from edgewise.bundle.catalogue import AttributeValue
from edgewise.clock import ManualClock
from edgewise.consent import Consent, ConsentState
from edgewise.errors import InputError
from edgewise.events import Kind
from edgewise.ids import ItemId, SubjectId
from edgewise.profile.state import decode_profile
from edgewise.subjects import subject_of
from hub.imports.events import AT_ONCE, ImportedEvents, Intake, import_events
from hub.imports.lines import read_lines
from hub.imports.sorted_runs import SortedRuns
from hub.imports.stated_consent import StatedConsent
from hub.ledger.batch import Batch
from hub.ledger.ledger import Ledger, open_ledger

KEY = b"k" * 32
ANN = subject_of(KEY, "anonymousId", "ann")
GRANTED = StatedConsent.GRANTED.default(Consent())


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path / "hub") as opened:
        yield opened


def call(hour: int, **changes: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "event": "Product Viewed",
        "messageId": f"m-{hour}",
        "anonymousId": "ann",
        "timestamp": f"2024-03-01T{hour:02}:00:00Z",
        "properties": {"product_id": f"p-{hour}"},
        **changes,
    }


def written(path: Path, *calls: dict[str, Any] | str) -> Path:
    text = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in calls) + "\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def run(ledger: Ledger, path: Path, *, consent: Consent = GRANTED, name: str | None = None) -> ImportedEvents:
    attributes: dict[ItemId, Mapping[str, AttributeValue]] = {ItemId("p-1"): {"category": ["tea"], "brand": "Kettle"}}
    intake = Intake(KEY, consent, attributes.get)
    return import_events(
        path, ledger, intake, data_dir=path.parent / "hub", clock=ManualClock(NOW_MS + 10**10), name=name
    )


@pytest.mark.parametrize("file", ["history.jsonl", "history.jsonl.gz"])
def test_events_are_numbered_by_time_and_folded(ledger: Ledger, tmp_path: Path, file: str) -> None:
    path = written(tmp_path / file, call(3), call(1), call(2, messageId="m-2b"), call(2))
    imported = run(ledger, path)
    assert (imported.name, imported.lines, imported.stored, imported.profiles) == ("history", 4, 4, 1)
    stored = list(ledger.events_of(ANN))
    assert [(record.producer, record.seq, record.message_id) for record in stored] == [
        ("import/history", 0, "m-1"),
        ("import/history", 1, "m-2b"),  # at the same moment the order of the file decides
        ("import/history", 2, "m-2"),
        ("import/history", 3, "m-3"),
    ]
    row = ledger.profile(ANN)
    assert row is not None
    profile = decode_profile(row.profile)
    assert profile.counts[Kind.VIEW][0][1] == 4
    assert set(profile.affinity) == {"category", "brand"}
    assert not (tmp_path / "hub" / "events" / "rejects" / "history.csv").exists()


def test_a_file_imported_again_changes_nothing_and_one_that_grew_adds_what_is_new(
    ledger: Ledger, tmp_path: Path
) -> None:
    without_id = call(4)
    del without_id["messageId"]
    path = written(tmp_path / "history.jsonl", call(1), call(3), without_id)
    first = run(ledger, path)
    before = (ledger.totals(), ledger.profile(ANN), ledger.producers())
    again = run(ledger, path)
    other_name = run(ledger, path, name="other")
    assert (first.stored, again.stored, again.known, other_name.known) == (3, 0, 3, 3)
    assert (ledger.totals(), ledger.profile(ANN), ledger.producers()) == before
    grown = run(ledger, written(path, call(1), call(2), call(3), without_id))
    assert (grown.stored, grown.known) == (1, 3)
    assert [record.seq for record in ledger.events_of(ANN)] == [0, 1, 2, 3]


def test_bad_lines_are_set_aside_with_line_path_and_what_was_expected(ledger: Ledger, tmp_path: Path) -> None:
    path = written(
        tmp_path / "history.jsonl",
        call(1),
        "",
        "{not json",
        call(2, timestamp=None),
        call(3, anonymousId=None),
        call(4, properties={"product_id": "p", "price": "cheap"}),
        call(5, timestamp="yesterday"),
        call(6, type="trak"),
        json.dumps(call(7))[:-1] + ', "context": {"pad": "' + "x" * 40_000 + '"}}',
        "[]",
        call(8),
    )
    imported = run(ledger, path)
    assert (imported.lines, imported.stored, imported.rejected) == (10, 2, 8)
    assert imported.rejects_file is not None
    with Path(imported.rejects_file).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["line"]), row["path"]) for row in rows] == [
        (3, "$"),
        (4, "$.timestamp"),
        (5, "$.anonymousId"),
        (6, "$.properties.price"),
        (7, "$.timestamp"),
        (8, "$.type"),
        (9, "$"),
        (10, "$"),
    ]
    by_line = {int(row["line"]): row for row in rows}
    assert by_line[4]["expected"] == "expected when it happened, got nothing"
    assert "'cheap'" in by_line[6]["expected"]
    assert "32768 bytes" in by_line[9]["expected"]
    assert len(by_line[9]["value"]) == 200
    mended = run(ledger, written(path, call(1), call(2), call(8)))
    assert (mended.rejects_file, Path(imported.rejects_file).exists()) == (None, False)


@pytest.mark.parametrize(
    "stated", ["2199-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "1969-12-31T23:59:59"]
)
def test_an_impossible_time_is_refused_and_not_put_right(ledger: Ledger, tmp_path: Path, stated: str) -> None:
    imported = run(ledger, written(tmp_path / "history.jsonl", call(1), call(2, timestamp=stated)))
    assert (imported.stored, imported.rejected) == (1, 1)
    with Path(imported.rejects_file or "").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["line"], row["path"]) == ("2", "$.timestamp")
    assert row["expected"] == f"expected between 1970 and now, got {stated.replace('Z', '+00:00')}"


@pytest.mark.parametrize("changes", [{"messageId": "m\0"}, {"event": "a\0b"}])
def test_what_no_database_holds_is_refused_alone(ledger: Ledger, tmp_path: Path, changes: dict[str, Any]) -> None:
    imported = run(ledger, written(tmp_path / "x.jsonl", call(1), call(2, **changes)))
    assert (imported.stored, imported.rejected) == (1, 1)


def test_the_first_and_the_last_possible_time_are_kept(ledger: Ledger, tmp_path: Path) -> None:
    now = dt.datetime.fromtimestamp((NOW_MS + 10**10) / 1_000, dt.UTC).isoformat()
    path = written(tmp_path / "history.jsonl", call(1, timestamp="1970-01-01T00:00:01Z"), call(2, timestamp=now))
    assert (run(ledger, path).rejects_file, [record.time_ms for record in ledger.events_of(ANN)]) == (
        None,
        [1_000, NOW_MS + 10**10],
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"\n \n", "an empty file"),
        (b"nonsense\n{}\n", "no event could be used, 2 refused"),
        (b'\xff\xfe{"\x00', "no event could be used, 1 refused"),
    ],
)
def test_a_file_without_events_is_refused(ledger: Ledger, tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        run(ledger, path)
    assert ledger.totals().events == 0


def test_a_file_that_cannot_be_read_is_named_and_nothing_of_it_is_stored(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        run(ledger, tmp_path / "absent.jsonl")
    whole = gzip.compress("\n".join(json.dumps(call(hour)) for hour in range(24)).encode())
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(whole[:-20])
    with pytest.raises(InputError, match="damaged gzip"):
        run(ledger, cut)
    no_gzip = tmp_path / "plain.jsonl.gz"
    no_gzip.write_bytes(b"{}")
    with pytest.raises(InputError, match="damaged gzip"):
        run(ledger, no_gzip)
    assert ledger.totals().events == 0
    with pytest.raises(InputError, match="cannot name an import"):
        run(ledger, cut, name="../up")


def test_what_nobody_granted_is_not_kept(ledger: Ledger, tmp_path: Path) -> None:
    granted = {"consent": {"categoryPreferences": {"personalisation": True}}}
    denied = {"consent": {"categoryPreferences": {"personalisation": False, "analytics": False}}}
    path = written(tmp_path / "history.jsonl", call(1), call(2, context=granted), call(3, context=denied))
    silent = run(ledger, path, consent=Consent())
    assert (silent.stored, silent.without_consent) == (1, 2)
    stated = run(ledger, path)
    assert (stated.stored, stated.known, stated.without_consent) == (1, 1, 1)


def test_a_visitors_own_denial_wins_over_the_importer(ledger: Ledger, tmp_path: Path) -> None:
    denied = Consent(personalisation=ConsentState.DENIED, analytics=ConsentState.DENIED)
    said = preference(0, subject=ANN, dial=3, consent=denied)
    turned_off = preference(1, subject=subject_of(KEY, "anonymousId", "bo"), dial=0)
    ledger.store([Batch(NODE, payloads(said, turned_off))], NOW_MS)
    path = written(tmp_path / "history.jsonl", call(1), call(2, anonymousId="bo"), call(3, anonymousId="cy"))
    imported = run(ledger, path)
    assert (imported.stored, imported.without_consent) == (1, 2)


def test_what_was_erased_stays_erased(ledger: Ledger, tmp_path: Path) -> None:
    path = written(tmp_path / "history.jsonl", call(1), call(5))
    run(ledger, path)
    three_o_clock_ms = 1_709_262_000_000
    ledger.erase(ANN, three_o_clock_ms)
    again = run(ledger, path)
    assert (again.erased, again.stored) == (1, 1)
    assert [record.message_id for record in ledger.events_of(ANN)] == ["m-5"]


def test_more_events_than_one_transaction_holds(ledger: Ledger, tmp_path: Path) -> None:
    count = AT_ONCE + 50
    calls = [call(1, messageId=f"m-{number}", anonymousId=f"v-{number % 90}") for number in range(count)]
    imported = run(ledger, written(tmp_path / "history.jsonl", *calls))
    assert (imported.stored, imported.profiles) == (count, 90)
    assert ledger.stored_seq(ledger.producers()[0].producer) == count - 1


@given(
    keys=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 1_000)), unique_by=lambda key: key[1]),
    run_bytes=st.integers(1, 2_000),
)
def test_sorted_runs_equal_a_sort_however_little_fits_into_memory(keys: list[tuple[int, int]], run_bytes: int) -> None:
    with SortedRuns(Path("/tmp"), run_bytes) as runs:
        for time_ms, line in keys:
            runs.add((time_ms, line), f"{time_ms}/{line}".encode())
        expected = [(key, f"{key[0]}/{key[1]}".encode()) for key in sorted(keys)]
        assert list(runs) == expected
        assert list(runs) == expected
        assert runs.count == len(keys)


@given(
    lines=st.lists(st.binary(max_size=30).filter(lambda line: not set(line) & set(b"\r\n"))),
    most_bytes=st.integers(1, 20),
)
def test_lines_are_bounded_and_keep_their_numbers(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], most_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("lines") / "file"
    path.write_bytes(b"".join(line + b"\r\n" for line in lines))
    found = [tuple(line) for line in read_lines(path, most_bytes, lambda _done: None)]
    assert found == [
        (number, line[:most_bytes], len(line) > most_bytes)
        for number, line in enumerate(lines, 1)
        if line[: most_bytes + 2].strip()
    ]


def test_a_subject_is_hashed_and_no_identifier_is_stored(ledger: Ledger, tmp_path: Path) -> None:
    path = written(tmp_path / "history.jsonl", call(1, userId="canary-user", anonymousId="canary-visitor"))
    run(ledger, path)
    ledger.close()
    stored = b"".join(file.read_bytes() for file in (tmp_path / "hub").rglob("*") if file.is_file())
    assert b"canary" not in stored
    assert SubjectId(ANN).encode() not in stored
