"""What the hub knows of one person, and how it came to know it: facts and a timeline, each with who says so.

A person is the view over his parts (`hub.ledger.people`): what is told of him is the merged profile, and every fact
names the source that reported it and the identifier under which it did.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from edgewise.decision import Decision
from edgewise.errors import InputError
from edgewise.events import Kind, kind_of
from edgewise.identifiers import ANONYMOUS_ID, EMAIL, PHONE, PREVIOUS, USER, base_kind, normalised
from edgewise.ids import DecisionId, ItemId, Producer, SubjectId
from edgewise.money import digits_of
from edgewise.profile.preferences import Preferences, Stamp, decode_preferences
from edgewise.profile.read import history, shares
from edgewise.profile.state import Profile, decode_profile
from edgewise.records import DecisionRecord, EventRecord, PreferenceRecord
from edgewise.subjects import subject_of
from hub.identity.resolve import MERGE, Link, standing
from hub.ledger.batch import parts_of
from hub.ledger.canonical import Folding
from hub.ledger.ledger import Ledger
from hub.profile_now import Now, now_of

SHARE_HALF_LIFE_DAYS: Final = 30.0
"""Half-life of the shares that are shown; the features of a site have their own."""
LAST_ITEMS: Final = 10
SHOWN_DIGITS: Final = 8
"""Of a subject, where people read it."""
_SUBJECT: Final = re.compile(r"[0-9a-f]{32}")
_FIRST_KINDS: Final = (ANONYMOUS_ID, USER, EMAIL, PHONE)
_LEAST_DIGITS: Final = 5
"""Of a telephone number; fewer are somebody's id."""


class Moment(msgspec.Struct, frozen=True):
    """One thing that happened."""

    time_ms: int
    what: str
    """`Product Viewed`, `preferences`, `decision`."""
    about: str
    """Items, or what was said."""
    source: Producer
    """Who reported it: `NODE/EPOCH/WORKER`, `import/NAME` or `hook/NAME`."""
    seq: int
    decision_id: DecisionId | None = None
    says: str = ""
    """The source in words: `node edge-1`, `import crm`."""
    identifier: str = ""
    """Under which of his identifiers: `userId 3f2a0b91`."""


class Part(msgspec.Struct, frozen=True):
    """One of a person's subjects."""

    subject: SubjectId
    kind: str
    """Kind of identifier; `subject` where no record told."""
    has_profile: bool
    first_ms: int = 0
    last_ms: int = 0
    sources: list[str] = []
    """In words."""


class Joint(msgspec.Struct, frozen=True):
    """Why two of a person's subjects are one person."""

    left: SubjectId
    right: SubjectId
    since_ms: int
    says: str
    """`import crm: named with email`, `ann merged them: same address`."""


class Fact(msgspec.Struct, frozen=True):
    """A value, who stated it, when, and under which identifier."""

    value: str | int | float | bool | None
    says: str
    time_ms: int
    identifier: str = ""


class Story(msgspec.Struct, frozen=True):
    """A person. Times in milliseconds."""

    subject: SubjectId
    """By which he was asked for."""
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
    person: SubjectId = SubjectId("")
    """What the person is called: one of his subjects."""
    parts: list[Part] = []
    joints: list[Joint] = []
    facts: dict[str, Fact] = {}
    """`trait plan`, `dial`, `consent marketing`, `experiment hero__0`: the statement that holds, with who made it."""
    counted_by: dict[Kind, list[str]] = {}
    """Kind -> the identifiers under which it was counted, with their sources: `userId 3f2a0b91 (import crm)`."""
    now: Now = Now()
    timeline: list[Moment] | None = None


class _Read(NamedTuple):
    """One part as it is stored."""

    label: str
    profile: Profile
    preferences: Preferences


def in_words(producer: Producer) -> str:
    """A source as people call it: `node edge-1`, `import crm`, `hook shop`."""
    parts = parts_of(producer)
    if parts.epoch is not None:
        return f"node {parts.node}"
    return producer.replace("/", " ", 1)


def subject_named(ledger: Ledger, subject_key: bytes, name: str) -> SubjectId:
    """The subject that a person means, whichever is known here.

    A subject id, an anonymousId, a userId, an e-mail address, a telephone number, or an identifier of any kind that the
    ledger or the site's rules know; `KIND:VALUE` says which.

    Raises InputError when none is known.
    """
    meant = [subject_of(subject_key, kind, value) for kind, value in _spellings(ledger, name)]
    if _SUBJECT.fullmatch(name):
        meant.insert(0, SubjectId(name))
    known = ledger.person_profiles(meant)
    for subject in meant:
        if subject in known:
            return subject
    raise InputError(
        f"nothing is known of {name!r}: it is no subject, anonymousId, userId, e-mail address, telephone number or "
        "other identifier of anybody with a profile here"
    )


def story_of(ledger: Ledger, subject: SubjectId, *, now_ms: int, timeline: bool) -> Story:
    """What the profile of a subject's person says at `now_ms`; with `timeline` also every stored record, oldest first.

    Raises InputError when there is no profile.
    """
    row = ledger.person_profiles([subject]).get(subject)
    if row is None:
        raise InputError(f"no profile of subject {subject}")
    profile, said = decode_profile(row.profile), decode_preferences(row.preferences)
    members = ledger.members_of(subject)
    links = [
        link for link in ledger.component_of(subject).links if link.subject in members and link.identifier in members
    ]
    stored = ledger.profiles(members)
    kinds = _kinds(members, links, profile)
    labels = {each: f"{kinds[each]} {each[:SHOWN_DIGITS]}" for each in members}
    read = {
        each: _Read(labels[each], decode_profile(part.profile), decode_preferences(part.preferences))
        for each, part in sorted(stored.items())
    }
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
        identifiers=_identifiers(profile),
        dial=said.dial.value,
        mute=said.mute.value,
        consent={purpose.value: stated.value.value for purpose, stated in sorted(said.consent.items())},
        sources=dict(sorted(profile.applied.items())),
        person=ledger.person_of(subject),
        parts=[_part(each, kinds[each], read.get(each)) for each in members],
        joints=_joints(ledger, members, links),
        facts=_facts(profile, said, list(read.values())),
        counted_by=_counted_by(profile, list(read.values())),
        now=now_of(profile, now_ms),
        timeline=_timeline(ledger, labels) if timeline else None,
    )


def _spellings(ledger: Ledger, name: str) -> list[tuple[str, str]]:
    """(kind, value) of all that a name may mean, in the order in which it is looked up."""
    kinds = [*_FIRST_KINDS, *ledger.link_kinds(), *(each.kind for each in ledger.identity_rules().kinds)]
    kinds = [kind for kind in dict.fromkeys(kinds) if kind != PREVIOUS]
    stated, _, value = name.partition(":")
    if value and stated in kinds:
        return [(stated, normalised(stated, value))]
    meant = [(kind, normalised(kind, name)) for kind in kinds]
    return [(kind, value) for kind, value in meant if value and (kind != PHONE or len(value) >= _LEAST_DIGITS)]


def _kinds(members: Sequence[SubjectId], links: Iterable[Link], profile: Profile) -> dict[SubjectId, str]:
    """Subject -> kind of identifier, as links tell, or the person's own identifiers."""
    kinds = dict.fromkeys(members, "subject")
    for name, hashes in profile.identifiers.items():
        kinds.update((each, base_kind(name)) for each in hashes if each in kinds)
    for link in links:
        kinds[link.identifier] = USER if link.kind == PREVIOUS else link.kind
        if link.subject_kind:
            kinds[link.subject] = link.subject_kind
    return kinds


def _part(subject: SubjectId, kind: str, read: _Read | None) -> Part:
    if read is None:
        return Part(subject, kind, has_profile=False)
    return Part(
        subject,
        kind,
        has_profile=True,
        first_ms=read.profile.first_ms,
        last_ms=read.profile.last_ms,
        sources=_sources([read]),
    )


def _joints(ledger: Ledger, members: Sequence[SubjectId], links: Iterable[Link]) -> list[Joint]:
    """Statements that hold, then links, oldest first; also those that only confirm what others had joined."""
    component = ledger.component_of(members[0])
    together = {pair for pair in standing(component.statements).together if {*pair} <= {*members}}
    stated = {
        (row.left, row.right): Joint(
            row.left, row.right, row.time_ms, f"{row.who} merged them" + (f": {row.reason}" if row.reason else "")
        )
        for row in ledger.statements(members)
        if row.kind == MERGE and (row.left, row.right) in together
    }
    linked = [
        Joint(
            link.subject, link.identifier, link.first_ms, f"{in_words(Producer(link.source))}: named with {link.kind}"
        )
        for link in links
    ]
    return [*stated.values(), *sorted(linked, key=lambda joint: (joint.since_ms, joint.left, joint.right))]


def _facts(profile: Profile, said: Preferences, parts: Sequence[_Read]) -> dict[str, Fact]:
    facts: dict[str, Fact] = {}
    for name, trait in sorted(profile.traits.items()):
        where = next((part.label for part in parts if part.profile.traits.get(name) == trait), "")
        facts[f"trait {name}"] = Fact(trait.value, in_words(trait.producer), trait.time_ms, where)
    for bucket, enrolment in sorted(profile.enrolments.items()):
        where = next((part.label for part in parts if part.profile.enrolments.get(bucket) == enrolment), "")
        facts[f"experiment {bucket}"] = Fact(enrolment.arm, "assigned for the first time", enrolment.time_ms, where)
    statements: dict[str, tuple[Stamp, str | int]] = {
        "dial": (said.dial.stamp, said.dial.value),
        **{f"mutes {kind}": (said.mute.stamp, ", ".join(values)) for kind, values in sorted(said.mute.value.items())},
        **({} if said.mail is msgspec.UNSET else {"days between mails": (said.mail.stamp, said.mail.value)}),
        **{
            f"consent {purpose.value}": (stated.stamp, stated.value.value)
            for purpose, stated in sorted(said.consent.items())
        },
    }
    for name, (stamp, value) in statements.items():
        time_ms, _, producer, seq = stamp
        if not producer:
            continue  # nobody ever said anything: it is what holds by default
        where = next((part.label for part in parts if seq <= part.preferences.applied.get(producer, -1)), "")
        facts[name] = Fact(value, in_words(producer), time_ms, where)
    return facts


def _counted_by(profile: Profile, parts: Sequence[_Read]) -> dict[Kind, list[str]]:
    return {
        kind: [f"{part.label} ({', '.join(_sources([part]))})" for part in parts if part.profile.counts.get(kind)]
        for kind, days in sorted(profile.counts.items())
        if days
    }


def _sources(parts: Iterable[_Read]) -> list[str]:
    producers = {name for part in parts for name in (*part.profile.applied, *part.preferences.applied)}
    return sorted({in_words(name) for name in producers})


def _identifiers(profile: Profile) -> dict[str, int]:
    found: dict[str, set[SubjectId]] = {}
    for name, hashes in sorted(profile.identifiers.items()):
        found.setdefault(base_kind(name), set()).update(hashes)
    return {kind: len(hashes) for kind, hashes in found.items()}


def _timeline(ledger: Ledger, labels: Mapping[SubjectId, str]) -> list[Moment]:
    moments = [_moment(record, label) for subject, label in labels.items() for record in ledger.records_of(subject)]
    return sorted(moments, key=lambda moment: (moment.time_ms, moment.source, moment.seq))


def _moment(record: Folding, label: str) -> Moment:
    what = about = ""
    decision_id: DecisionId | None = None
    match record:
        case EventRecord():
            about = _about(record)
            is_page = kind_of(record.type, record.name) is Kind.PAGE
            what = (f"{record.type} {record.name}" if is_page else record.name) or record.type
            decision_id = record.decision_id
        case DecisionRecord():
            what = "decision"
            about = "; ".join(
                f"{placement}: {', '.join(item.id for item in shown.items)}"
                for placement, shown in msgspec.json.decode(record.decision, type=Decision).placements.items()
            )
            decision_id = record.decision_id
        case PreferenceRecord():
            what, about = "preferences", _said(record)
    source = record.producer
    says = in_words(source)
    return Moment(record.time_ms, what, about, source, record.seq, decision_id, says, label)


def _about(event: EventRecord) -> str:
    """What an event was about, as far as its record says: items, what they cost together, a ticket and its topics."""
    things = [f"{touch.quantity} x {touch.item}" if touch.quantity != 1 else touch.item for touch in event.touches]
    minor = sum(touch.value_minor * touch.quantity for touch in event.touches)
    if minor and kind_of(event.type, event.name) in (Kind.ORDER, Kind.REFUND):
        digits = digits_of(event.currency)
        things.append(f"{minor / 10**digits:,.{digits}f} {event.currency}".rstrip())
    if event.ticket:
        things.append(f"ticket {event.ticket}")
    return ", ".join([*things, *event.topics])


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
