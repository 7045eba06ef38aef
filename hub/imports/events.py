"""History in Segment's envelope, one call a line: `edgewise import events`.

An import is a producer like a node: `import/NAME`, numbered in the order of (time, line). What is stored already is
known by its message id, so the same file changes nothing, and a file that grew adds what is new.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from edgewise.bundle.catalogue import AttributeValue
from edgewise.clock import Clock
from edgewise.consent import Consent
from edgewise.errors import InputError, Problem
from edgewise.ids import ItemId, MessageId, Producer, SubjectId
from edgewise.intake import MAX_CALL_BYTES, Call, event_time_ms, record_of
from edgewise.money import SITE_CURRENCY
from edgewise.naming import subject_of_call
from edgewise.records import EventRecord, encode_record
from hub.imports.event_rejects import EventRejects
from hub.imports.lines import Line, read_lines
from hub.imports.past_calls import past_call
from hub.imports.sorted_runs import SortedRuns
from hub.imports.visitors import Visitors
from hub.ledger.batch import fault_of
from hub.ledger.ledger import Ledger

AT_ONCE: Final = 2_000
"""Events in one transaction. A live hub on the same ledger stores its own between two of them."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_event = msgspec.msgpack.Decoder(EventRecord)

Progress = Callable[[str, int, int], None]
"""What is being done, how much of it is done, how much there is."""
AttributesOf = Callable[[ItemId], Mapping[str, AttributeValue] | None]


class ImportedEvents(msgspec.Struct, frozen=True, kw_only=True):
    """What `edgewise import events` reports. The counts of lines add up to `lines`."""

    name: str
    lines: int
    stored: int
    known: int
    """Stored before, or repeated in the file, by their message id."""
    rejected: int
    without_consent: int
    """Nothing was granted, so nothing was kept."""
    erased: int
    """From before a visitor was erased: it stays erased."""
    profiles: int
    """Canonical profiles that changed."""
    rejects_file: str | None


class Intake(NamedTuple):
    """What turns a site's calls into records."""

    subject_key: bytes
    default_consent: Consent
    attributes_of: AttributesOf
    site_currency: str = SITE_CURRENCY


def default_name(path: Path) -> str:
    """A file's name without its endings: `week-12` of `logs/week-12.jsonl.gz`."""
    return path.name.partition(".")[0]


def import_events(
    path: Path,
    ledger: Ledger,
    intake: Intake,
    *,
    data_dir: Path,
    clock: Clock,
    name: str | None = None,
    progress: Progress = lambda _what, _done, _of: None,
) -> ImportedEvents:
    """Store a file's events under `import/NAME` and fold them into canonical profiles.

    Bad lines are written to `<data-dir>/events/rejects/NAME.csv`; the file is read whole before anything is stored.
    An event must say when it happened, between 1970 and now; without a `messageId` it is named by its line's digest.

    Raises:
        InputError: the file cannot be read, or no line of it can be used; nothing was stored.
        UnavailableError: the ledger or the data folder cannot be written.
    """
    name = default_name(path) if name is None else name
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} cannot name an import; expected letters, digits or `._-`, up to 100")
    reader = _Reader(path, ledger, intake, clock.now_ms(), progress)
    rejects = EventRejects(data_dir / "events" / "rejects" / f"{name}.csv")
    with rejects, SortedRuns(rejects.path.parent) as runs:
        reader.read(runs, rejects)
        if not reader.lines:
            raise InputError(f"{path}: an empty file")
        if rejects.count == reader.lines:
            raise InputError(
                f"{path}: no event could be used, {rejects.count:,} refused; nothing was imported", tuple(rejects.first)
            )
        stored, known, changed = _store(ledger, Producer(f"import/{name}"), runs, clock, progress)
    return ImportedEvents(
        name=name,
        lines=reader.lines,
        stored=stored,
        known=known,
        rejected=rejects.count,
        without_consent=reader.without_consent,
        erased=reader.erased,
        profiles=changed,
        rejects_file=str(rejects.path) if rejects.count else None,
    )


class _Reader:
    """First pass: every line decoded, judged, and made a record that only lacks its number."""

    def __init__(self, path: Path, ledger: Ledger, intake: Intake, now_ms: int, progress: Progress) -> None:
        self._path = path
        self._intake = intake
        self._now_ms = now_ms
        self._progress = progress
        self._visitors = Visitors(ledger, intake.default_consent)
        self.lines = 0
        self.without_consent = 0
        self.erased = 0

    def read(self, runs: SortedRuns, rejects: EventRejects) -> None:
        """Sort the usable events into `runs`, the others into `rejects`."""
        size = self._path.stat().st_size if self._path.is_file() else 0
        lines = read_lines(self._path, MAX_CALL_BYTES, lambda done: self._progress("reading", done, size))
        while some := list(islice(lines, AT_ONCE)):
            self.lines += len(some)
            refused: list[tuple[Line, Problem]] = []
            calls = list(self._calls(some, refused))
            self._visitors.look_up({subject for _, _, subject in calls})
            for line, call, subject in calls:
                try:
                    record = self._record(line, call, subject)
                except InputError as wrong:
                    refused.append((line, wrong.problems[0]))
                    continue
                if record is not None:
                    runs.add((record.time_ms, line.number), encode_record(record))
            for line, problem in sorted(refused):
                rejects.add(line.number, problem, line.content)

    def _calls(
        self, lines: Iterable[Line], refused: list[tuple[Line, Problem]]
    ) -> Iterator[tuple[Line, Call, SubjectId]]:
        for line in lines:
            try:
                call = past_call(line, self._now_ms)
                yield line, call, subject_of_call(call, self._intake.subject_key, vouched=True)
            except InputError as wrong:
                refused.append((line, wrong.problems[0]))

    def _record(self, line: Line, call: Call, subject: SubjectId) -> EventRecord | None:
        if self._visitors.is_erased(subject, event_time_ms(call, self._now_ms)):
            self.erased += 1
            return None
        grants = self._visitors.grants(subject, call.consent)
        if not (grants.personalisation or grants.analytics):
            self.without_consent += 1
            return None
        named = call.message_id or MessageId(f"line-{hashlib.sha256(line.content).hexdigest()[:32]}")
        record = record_of(
            call,
            producer=Producer(""),
            seq=0,
            message_id=named,
            subject_key=self._intake.subject_key,
            grants=grants,
            received_ms=self._now_ms,
            attributes_of=self._intake.attributes_of,
            vouched=True,
            site_currency=self._intake.site_currency,
        )
        if unstorable := fault_of(record):
            raise InputError(unstorable, (Problem("$", f"cannot be stored: {unstorable}"),))
        return record


def _store(
    ledger: Ledger, producer: Producer, runs: SortedRuns, clock: Clock, progress: Progress
) -> tuple[int, int, int]:
    """Second pass: number and store; returns (stored, known, profiles changed)."""
    stored = known = 0
    changed: set[SubjectId] = set()
    ordered = iter(runs)
    while some := [_event.decode(payload) for _, payload in islice(ordered, AT_ONCE)]:
        done, repeated = ledger.append(producer, some, clock.now_ms())
        stored += len(some) - repeated
        known += repeated
        changed |= done.changed
        progress("storing", stored + known, runs.count)
    return stored, known, len(changed)
