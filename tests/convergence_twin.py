"""What must be true of people, computed from the set of what was accepted and nothing else: the slow and obvious twin.

Every question is answered from the beginning: the links of all accepted events, the people among them, each subject's
records folded in order, the parts merged. Nothing is remembered between two questions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from edgewise.ids import SubjectId
from edgewise.profile.merge import merge
from edgewise.profile.preferences import Preferences, encode_preferences, merge_preferences, state
from edgewise.profile.reduce import apply, skip
from edgewise.profile.state import Profile, encode_profile
from edgewise.records import EventRecord, PreferenceRecord
from hub.identity.resolve import Statement, resolve
from hub.identity.rules import DEFAULT_RULES
from hub.ledger.links import links_in

NOTHING = encode_profile(Profile()), encode_preferences(Preferences())


class Accepted(NamedTuple):
    """A record that the hub has stored."""

    at: int
    """When, among all that happened to the hub."""
    record: EventRecord | PreferenceRecord
    counts: bool = True
    """False: its message was stored before."""


class Twin:
    """One history as the hub was told it."""

    def __init__(self) -> None:
        self._now = 0
        self._accepted: list[Accepted] = []
        self._statements: list[Statement] = []
        self._erased: dict[SubjectId, int] = {}

    def accept(self, records: Iterable[EventRecord | PreferenceRecord]) -> None:
        """The hub has stored these, in this order."""
        for record in records:
            known = {
                each.record.message_id
                for each in self._standing()
                if isinstance(each.record, EventRecord) and self._is_whole(each)
            }
            repeats = isinstance(record, EventRecord) and record.message_id in known
            self._accepted.append(Accepted(self._tick(), record, counts=not repeats))

    def state(self, kind: str, left: SubjectId, right: SubjectId) -> None:
        """A person has said so."""
        self._statements.append(Statement(self._tick(), kind, left, right))

    def erase(self, subject: SubjectId) -> None:
        """All of before is forgotten; of others, what `_is_whole` says, and this identifier in the rest."""
        self._erased[subject] = self._tick()

    def people(self, subjects: Iterable[SubjectId]) -> dict[SubjectId, tuple[SubjectId, ...]]:
        """Subject -> all subjects of its person."""
        events = [
            msgspec.structs.replace(each.record, identifiers=self._still_named(each))
            for each in self._standing()
            if isinstance(each.record, EventRecord) and each.counts
        ]
        statements = [
            said
            for said in self._statements
            if self._holds(said.position, said.left) and self._holds(said.position, said.right)
        ]
        groups = resolve(links_in(events).values(), statements, DEFAULT_RULES)
        of_node = {node: group for group in groups for node in group}
        return {subject: of_node.get(subject, (subject,)) for subject in subjects}

    def expected(self, subjects: Iterable[SubjectId]) -> dict[SubjectId, tuple[bytes, bytes]]:
        """Subject -> profile and preferences of its person, as bytes."""
        return {
            subject: self._merged(sorted(members)) for subject, members in self.people(sorted(set(subjects))).items()
        }

    def _merged(self, members: Iterable[SubjectId]) -> tuple[bytes, bytes]:
        profile, preferences = Profile(), Preferences()
        for member in members:
            own, said = self._part(member)
            profile, preferences = merge(profile, own), merge_preferences(preferences, said)
        return encode_profile(profile), encode_preferences(preferences)

    def _part(self, subject: SubjectId) -> tuple[Profile, Preferences]:
        profile, preferences = Profile(), Preferences()
        mine = [each for each in self._standing() if each.record.subject == subject]
        for each in sorted(mine, key=lambda one: (one.record.producer, one.record.seq)):
            match each.record:
                case PreferenceRecord():
                    state(preferences, each.record)
                case EventRecord() if each.counts and self._is_whole(each):
                    apply(profile, msgspec.structs.replace(each.record, identifiers=self._still_named(each)))
                case EventRecord() if each.record.grants.personalisation:
                    skip(profile, each.record)
                case _:
                    pass
        return profile, preferences

    def _is_whole(self, accepted: Accepted) -> bool:
        """False where an event went with somebody whom it names, though it was another subject's.

        That is a user who was erased since, or whoever stood beside a device that named no user.
        """
        record = accepted.record
        if not isinstance(record, EventRecord):
            return True
        kinds = {kind.partition("#")[0] for kind in record.identifiers}
        if "userId" in kinds or record.identifiers.get("anonymousId") != record.subject:
            users = [named for kind, named in record.identifiers.items() if kind.startswith("userId")]
            return all(self._holds(accepted.at, user) for user in users)
        return all(self._holds(accepted.at, named) for named in record.identifiers.values())

    def _still_named(self, accepted: Accepted) -> dict[str, SubjectId]:
        assert isinstance(accepted.record, EventRecord)
        return {kind: named for kind, named in accepted.record.identifiers.items() if self._holds(accepted.at, named)}

    def _standing(self) -> list[Accepted]:
        return [each for each in self._accepted if self._holds(each.at, each.record.subject)]

    def _holds(self, at: int, subject: SubjectId) -> bool:
        return at > self._erased.get(subject, -1)

    def _tick(self) -> int:
        self._now += 1
        return self._now
