"""What the hub knows of one visitor, and how it came to know it: facts, and a timeline with the source of each."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from edgewise.decision import Decision
from edgewise.errors import InputError
from edgewise.events import Kind, kind_of
from edgewise.ids import DecisionId, ItemId, Producer, SubjectId
from edgewise.profile.preferences import decode_preferences
from edgewise.profile.read import history, shares
from edgewise.profile.state import decode_profile
from edgewise.records import DecisionRecord, EventRecord, PreferenceRecord
from edgewise.subjects import subject_of
from hub.ledger.canonical import Folding
from hub.ledger.ledger import Ledger

SHARE_HALF_LIFE_DAYS: Final = 30.0
"""Half-life of the shares that are shown; the features of a site have their own."""
LAST_ITEMS: Final = 10
_SUBJECT: Final = re.compile(r"[0-9a-f]{32}")
_IDENTIFIER_KINDS: Final = ("anonymousId", "userId")


class Moment(msgspec.Struct, frozen=True):
    """One thing that happened."""

    time_ms: int
    what: str
    """`Product Viewed`, `preferences`, `decision`."""
    about: str
    """Items, or what was said."""
    source: Producer
    """Who reported it: `NODE/EPOCH/WORKER`, or `import/NAME`."""
    seq: int
    decision_id: DecisionId | None = None


class Story(msgspec.Struct, frozen=True):
    """A visitor. Times in milliseconds."""

    subject: SubjectId
    first_ms: int
    last_ms: int
    counts: dict[Kind, int]
    """How often, within the horizon that a profile keeps."""
    shares: dict[str, dict[str, float]]
    """Dimension -> value -> share in [0, 1], largest first."""
    last_items: list[ItemId]
    spent_minor: int
    traits: dict[str, str | int | float | bool | None]
    identifiers: dict[str, int]
    """Kind -> how many are linked; only their hashes are known here."""
    dial: int
    mute: dict[str, tuple[str, ...]]
    consent: dict[str, str]
    """What he said himself, by purpose."""
    sources: dict[Producer, int]
    """Who reported on him, and up to which sequence."""
    timeline: list[Moment] | None = None


def subject_named(ledger: Ledger, subject_key: bytes, name: str) -> SubjectId:
    """The subject that a person means: a subject id, an anonymousId or a userId, whichever has a profile.

    Raises InputError when none has.
    """
    meant = [subject_of(subject_key, kind, name) for kind in _IDENTIFIER_KINDS]
    if _SUBJECT.fullmatch(name):
        meant.insert(0, SubjectId(name))
    known = ledger.profiles(meant)
    for subject in meant:
        if subject in known:
            return subject
    raise InputError(f"nothing is known of {name!r}: it is no subject, anonymousId or userId with a profile here")


def story_of(ledger: Ledger, subject: SubjectId, *, now_ms: int, timeline: bool) -> Story:
    """What the canonical profile says at `now_ms`; with `timeline` also every stored record, oldest first.

    Raises InputError when there is no profile.
    """
    row = ledger.profile(subject)
    if row is None:
        raise InputError(f"no profile of subject {subject}")
    profile, said = decode_profile(row.profile), decode_preferences(row.preferences)
    return Story(
        subject=subject,
        first_ms=profile.first_ms,
        last_ms=profile.last_ms,
        counts={kind: sum(count for _, count in days) for kind, days in sorted(profile.counts.items()) if days},
        shares={
            dimension: dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))
            for dimension in sorted(profile.affinity)
            if (found := shares(profile, dimension, now_ms, SHARE_HALF_LIFE_DAYS))
        },
        last_items=history(profile, LAST_ITEMS),
        spent_minor=sum(amount for _, amount in profile.spent_minor),
        traits={name: trait.value for name, trait in sorted(profile.traits.items())},
        identifiers={kind: len(hashes) for kind, hashes in sorted(profile.identifiers.items())},
        dial=said.dial.value,
        mute=said.mute.value,
        consent={purpose.value: stated.value.value for purpose, stated in sorted(said.consent.items())},
        sources=dict(sorted(profile.applied.items())),
        timeline=_timeline(ledger, subject) if timeline else None,
    )


def _timeline(ledger: Ledger, subject: SubjectId) -> list[Moment]:
    moments = [_moment(record) for record in ledger.records_of(subject)]
    return sorted(moments, key=lambda moment: (moment.time_ms, moment.source, moment.seq))


def _moment(record: Folding) -> Moment:
    match record:
        case EventRecord():
            items = ", ".join(
                f"{touch.quantity} x {touch.item}" if touch.quantity != 1 else touch.item for touch in record.touches
            )
            what = record.name if kind_of(record.type, record.name) is not Kind.PAGE else f"{record.type} {record.name}"
            return Moment(record.time_ms, what or record.type, items, record.producer, record.seq, record.decision_id)
        case DecisionRecord():
            about = "; ".join(
                f"{placement}: {', '.join(item.id for item in shown.items)}"
                for placement, shown in msgspec.json.decode(record.decision, type=Decision).placements.items()
            )
            return Moment(record.time_ms, "decision", about, record.producer, record.seq, record.decision_id)
        case PreferenceRecord():
            return Moment(record.time_ms, "preferences", _said(record), record.producer, record.seq)


def _said(record: PreferenceRecord) -> str:
    consent = msgspec.to_builtins(record.consent)
    parts = [
        *([f"dial {record.dial}"] if record.dial is not None else []),
        *([f"mute {kind}: {', '.join(values)}" for kind, values in (record.mute or {}).items()]),
        *([f"{purpose} {state}" for purpose, state in consent.items()]),
        *([f"more {', '.join(record.more)}"] if record.more else []),
        *([f"less {', '.join(record.less)}"] if record.less else []),
    ]
    return "; ".join(parts)
