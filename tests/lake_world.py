"""A ledger with records of two people, some of them in its lake."""

from __future__ import annotations

from typing import Any, Final

from hub_records import NODE, NOW_MS, decision, decision_id, event, payloads, preference

from edgewise.ids import SubjectId
from hub.ledger.batch import Batch
from hub.ledger.canonical import rebuild
from hub.ledger.lake import Compacted
from hub.ledger.lake_folder import OWNER
from hub.ledger.ledger import Ledger

ANN: Final = SubjectId("a" * 32)
BOB: Final = SubjectId("b" * 32)
EVER: Final = 2**48
DAY_MS: Final = 86_400_000
CANARY: Final = "canary-of-ann-7f3a"


def fill(ledger: Ledger, count: int = 12) -> None:
    """Events, decisions and statements of two people over three months; each tenth record is nobody's."""
    records: list[Any] = []
    for seq in range(count * 2):
        whose = SubjectId("") if seq % 10 == 9 else (ANN, BOB)[seq % 2]
        time_ms = NOW_MS + seq * 5 * DAY_MS
        match seq % 4:
            case 0 | 1:
                body = CANARY.encode() if whose == ANN else b"x"
                records.append(event(seq, subject=whose, time_ms=time_ms, received_ms=time_ms, body=body))
            case 2:
                records.append(decision(seq, subject=whose, time_ms=time_ms))
            case _:
                records.append(preference(seq, subject=whose))
    ledger.store([Batch(NODE, payloads(*records))], NOW_MS)


def told(ledger: Ledger) -> dict[str, Any]:
    """Everything that can be asked about records."""
    with ledger.storage.reading() as connection:
        rebuilt = {whose: rebuild(connection, whose) for whose in (ANN, BOB)}
    return {
        "events": list(ledger.events()),
        "decisions": list(ledger.decisions()),
        "some": list(ledger.decisions(after_position=3, since_ms=NOW_MS + 20 * DAY_MS)),
        "preferences": list(ledger.preferences()),
        "events_of": {whose: list(ledger.events_of(whose)) for whose in (ANN, BOB, SubjectId(""))},
        "records_of": {whose: ledger.records_of(whose, {NODE: 9}) for whose in (ANN, BOB)},
        "decision": [ledger.decision(decision_id(seq)) for seq in range(8)],
        "rebuilt": rebuilt,
        "totals": ledger.totals(),
    }


def compact(ledger: Ledger, *, before_ms: int = EVER, now_ms: int = EVER) -> Compacted:
    return ledger.lake.compact(before_ms=before_ms, now_ms=now_ms, least_records=1)


def files(ledger: Ledger) -> list[str]:
    folder = ledger.storage.shelf.folder
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return [name for name in found if name not in (".lock", OWNER)]
