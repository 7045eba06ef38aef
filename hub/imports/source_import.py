"""A business system's file into the ledger and the profiles, as `sources/NAME.yaml` says: `edgewise import source`.

An import is a producer like a node: `import/NAME`, numbered in the order of time. What is stored already is known by
its message id, so the same file changes nothing, and a file that grew adds what is new.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from edgewise.clock import Clock
from edgewise.consent import Consent, Grants
from edgewise.errors import InputError
from edgewise.ids import Producer
from edgewise.intake import Call, decode_call, record_of
from edgewise.naming import subject_of_call
from edgewise.records import ANONYMOUS, EventRecord
from edgewise.subjects import KEY_BYTES
from hub.imports.events import AT_ONCE, Intake
from hub.imports.sorted_runs import SortedRuns
from hub.imports.source_calls import MOST_LINES, Calls, RowCall
from hub.imports.source_rejects import SHOWN, SourceRejects
from hub.imports.source_rows import SourceRows
from hub.imports.source_storing import Storing, carried
from hub.imports.visitors import Visitors
from hub.ledger.batch import fault_of
from hub.ledger.ledger import Ledger
from hub.ledger.rows import SourceRun
from hub.sources.document import SourceDocument
from hub.sources.fault import UNFORESEEN, Fault, as_fault
from hub.sources.identifying import is_nobody
from hub.sources.moments import written
from hub.sources.stating import stated_with
from hub.sources.translate import Translator
from hub.topics.tickets import Topics, without_texts

MOST_CALL_BYTES: Final = 4 << 20
"""Of one call that many rows make; nobody waits for it as for one of a visitor."""
PREVIEWED: Final = 10
_BLOCK_BYTES: Final = 1 << 20
_PLACES: Final = 1 << 12
"""Calls of one row that keep their order."""
_NOBODY: Final = "nobody"
_GRANTED: Final = Grants(personalisation=True, analytics=True, marketing=True)
_UNKEYED: Final = Intake(b"\0" * KEY_BYTES, Consent(), lambda _: None)
"""Good enough to see whether a record can be made; it is thrown away."""
_encode_call = msgspec.json.Encoder().encode

Progress = Callable[[str, int, int], None]
"""What is being done, how much of it is done, how much there is."""


class ImportedSource(msgspec.Struct, kw_only=True):
    """What `edgewise import source` reports. `stored`, `known`, `without_consent` and `erased` add up to `events`."""

    name: str
    kind: str
    file: str
    format: str
    encoding: str | None
    dry_run: bool
    rows: int = 0
    events: int = 0
    """Calls that the rows make, but for refused ones."""
    stored: int = 0
    known: int = 0
    """Stored before, or repeated in the file, by their message id."""
    rejected: int = 0
    """Rows that were refused."""
    passed_over: int = 0
    """Rows that no rule is for."""
    robots: int = 0
    """Rows of robots, by their user agent."""
    without_consent: int = 0
    """Nothing was granted, so nothing was kept."""
    erased: int = 0
    """From before a person was erased: it stays erased."""
    nobody: int = 0
    """Of the events, those that name no person; only their items are counted."""
    contacts: int = 0
    """Entries of the vault that are new or newer."""
    profiles: int = 0
    """Profiles that changed."""
    first: str | None = None
    last: str | None = None
    """Times of the earliest and the latest event."""
    absent: list[str] = []
    """Columns that the source names and the file lacks."""
    notes: list[str] = []
    reasons: dict[str, int] = {}
    """Why rows were refused: column and reason -> rows, most first."""
    rejects_file: str | None = None
    preview: list[dict[str, Any]] = []
    """A dry run's first calls."""


def preview_source(
    path: Path, name: str, document: SourceDocument, *, clock: Clock, progress: Progress = lambda *_: None
) -> tuple[ImportedSource, SourceRejects]:
    """Read a whole file as an import would, without a ledger and without storing anything.

    Raises what `import_source` raises for a file that cannot be read.
    """
    with SourceRejects(None) as rejects:
        translator, folder = Translator(document, name), Path(tempfile.gettempdir())
        reading = _Reading(path, translator, rejects, clock.now_ms(), folder=folder, progress=progress)
        imported = reading.imported
        for row_call, call in reading.calls():
            record = reading.record(row_call, call, _UNKEYED, _GRANTED)
            if record is None:
                continue
            reading.count(record)
            if len(imported.preview) < PREVIEWED:
                imported.preview.append({"row": row_call.rows[0], "rows": len(row_call.rows), **row_call.call})
        imported.dry_run = True
        return reading.done(), rejects


def import_source(
    path: Path,
    name: str,
    document: SourceDocument,
    ledger: Ledger,
    intake: Intake,
    *,
    data_dir: Path,
    clock: Clock,
    progress: Progress = lambda *_: None,
) -> ImportedSource:
    """Store a file's events under `import/NAME` and fold them into canonical profiles.

    Refused rows are written to `<data-dir>/sources/rejects/NAME.csv`; the file is read whole before anything is stored.

    Raises:
        InputError: the file cannot be read, or no row of it can be used; nothing was stored.
        UnavailableError: the ledger or the data folder cannot be written.
    """
    started_ms = clock.now_ms()
    digest = _digest(path)
    with SourceRejects(data_dir / "sources" / "rejects" / f"{name}.csv") as rejects:
        assert rejects.path is not None
        folder = rejects.path.parent
        reading = _Reading(path, Translator(document, name), rejects, started_ms, folder=folder, progress=progress)
        with SortedRuns(folder) as runs, Topics(data_dir) as topics:
            reading.topics = topics
            _sort(reading, Visitors(ledger, intake.default_consent), intake, runs)
            if rejects.count and rejects.count == reading.counts.rows:
                raise InputError(
                    f"{path}: no row could be used, {rejects.count:,} refused; nothing was imported", rejects.problems()
                )
            storing = Storing(ledger, name, rejects, clock)
            storing.all(runs, lambda done: progress("storing", done, runs.count))
        imported = reading.done()
    imported.stored, imported.known = storing.stored, storing.known
    imported.events -= storing.differing
    imported.contacts, imported.profiles = storing.contacts, len(storing.changed)
    ledger.note_run(
        SourceRun(
            source=name,
            started_ms=started_ms,
            file_sha256=digest,
            finished_ms=clock.now_ms(),
            rows=imported.rows,
            stored=imported.stored,
            known=imported.known,
            rejected=imported.rejected,
            first_ms=reading.first_ms,
            last_ms=reading.last_ms,
        )
    )
    return imported


class _Reading:
    """First pass over a file: its calls, judged, and what is counted on the way."""

    def __init__(
        self,
        path: Path,
        translator: Translator,
        rejects: SourceRejects,
        now_ms: int,
        *,
        folder: Path,
        progress: Progress,
    ) -> None:
        document = translator.document
        self.now_ms = now_ms
        self._rejects = rejects
        self._rows = SourceRows(path, document, translator.columns, lambda done, of: progress("reading", done, of))
        self._calls = Calls(translator, rejects, now_ms, folder)
        self.counts = self._calls.counts
        self.topics: Topics | None = None
        """What reads texts; None: they are only taken out."""
        self._topic = document.topic
        self.first_ms: int | None = None
        self.last_ms: int | None = None
        self.imported = ImportedSource(
            name=translator.name,
            kind=document.kind,
            file=str(path),
            format=self._rows.format,
            encoding=None,
            dry_run=False,
        )

    def calls(self) -> Iterator[tuple[RowCall, Call]]:
        """Every call that is one for intake, too; the rows of others are refused."""
        for row_call in self._with_topics():
            try:
                raw = _encode_call(row_call.call)
                named = _NOBODY if is_nobody(row_call.call) else None
                call = decode_call(raw, type=None, fallback_id=named, most_bytes=MOST_CALL_BYTES)
            except InputError as wrong:
                self._refuse(row_call, wrong)
            except UNFORESEEN as wrong:
                self._refuse(row_call, as_fault(wrong))
            else:
                yield row_call, call

    def _with_topics(self) -> Iterator[RowCall]:
        row_calls = self._calls.of(self._rows)
        if self._topic is None:
            yield from row_calls
            return
        while some := list(islice(row_calls, AT_ONCE)):
            if self.topics is not None:
                self.topics.write(self._topic, [one.call for one in some])
            else:
                without_texts(self._topic, [one.call for one in some])
            yield from some

    def record(self, row_call: RowCall, call: Call, intake: Intake, grants: Grants) -> EventRecord | None:
        """The record of a call, without its number; None, and its rows refused, where intake refuses it."""
        assert call.message_id is not None
        try:
            record = record_of(
                call,
                producer=Producer(""),
                seq=0,
                message_id=call.message_id,
                subject_key=intake.subject_key,
                grants=Grants() if is_nobody(row_call.call) else grants,
                received_ms=self.now_ms,
                attributes_of=intake.attributes_of,
                site_currency=intake.site_currency,
                most_products=MOST_LINES,
                vouched=True,
            )
        except InputError as wrong:
            self._refuse(row_call, wrong)
            return None
        except UNFORESEEN as wrong:
            self._refuse(row_call, as_fault(wrong))
            return None
        if unstorable := fault_of(record):
            self._refuse(row_call, Fault("", None, "cannot be stored", unstorable))
            return None
        return record

    def count(self, record: EventRecord) -> None:
        """Take an event into the report."""
        self.imported.events += 1
        self.imported.nobody += record.subject == ANONYMOUS
        self.first_ms = record.time_ms if self.first_ms is None else min(self.first_ms, record.time_ms)
        self.last_ms = record.time_ms if self.last_ms is None else max(self.last_ms, record.time_ms)

    def done(self) -> ImportedSource:
        """The report, as far as reading goes."""
        counts, imported, rejects = self.counts, self.imported, self._rejects
        if not counts.rows:
            raise InputError(f"{imported.file}: a header, but no rows")
        imported.rows, imported.passed_over, imported.robots = counts.rows, counts.passed_over, counts.robots
        imported.rejected = rejects.count
        imported.reasons = dict(rejects.reasons.most_common(SHOWN))
        imported.rejects_file = str(rejects.path) if rejects.path is not None and rejects.count else None
        imported.absent = self._rows.absent()
        imported.first = None if self.first_ms is None else written(self.first_ms)
        imported.last = None if self.last_ms is None else written(self.last_ms)
        if self._rows.encoding is not None:
            imported.encoding = self._rows.encoding.name
            imported.notes = [self._rows.encoding.note] if self._rows.encoding.note else []
        return imported

    def _refuse(self, row_call: RowCall, wrong: InputError) -> None:
        if not isinstance(wrong, Fault):
            path, message = wrong.problems[0]
            wrong = Fault(path, None, "refused by intake", message)
        for number in row_call.rows:
            self._rejects.add(number, wrong)


def _sort(reading: _Reading, visitors: Visitors, intake: Intake, runs: SortedRuns) -> None:
    """Put what may be kept into `runs`, by time and row."""
    calls = reading.calls()
    position = 0
    while some := list(islice(calls, AT_ONCE)):
        subjects = [subject_of_call(call, intake.subject_key, vouched=True) for _, call in some]
        visitors.look_up(set(subjects))
        for (row_call, call), subject in zip(some, subjects, strict=True):
            grants = visitors.grants(subject, call.consent)
            nobody = is_nobody(row_call.call)
            said = None if nobody else stated_with(call, subject, reading.now_ms, row_call.consent_ms)
            # what a person stated is kept also where nothing else may be; its event names nobody then
            is_kept = grants.personalisation or grants.analytics or nobody or said is not None
            record = reading.record(row_call, call, intake, grants if is_kept else _GRANTED)
            if record is None:
                continue
            reading.count(record)
            if visitors.is_erased(subject, record.time_ms):
                reading.imported.erased += 1
            elif not is_kept:
                reading.imported.without_consent += 1
            else:
                position += 1
                runs.add(
                    (record.time_ms, row_call.rows[0] * _PLACES + position % _PLACES), carried(record, row_call, said)
                )


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as refused:
        raise InputError(f"{path}: cannot be read: {refused.strerror}") from None
    return digest.hexdigest()
