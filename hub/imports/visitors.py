"""Of whom an import may keep something: what visitors said, and who was erased."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from edgewise.consent import Consent, Grants, effective
from edgewise.dial import DIAL_NOTHING
from edgewise.ids import SubjectId
from edgewise.profile.preferences import Preferences, decode_preferences
from hub.ledger.ledger import Ledger

_REMEMBERED: Final = 100_000


class _Visitor(NamedTuple):
    """What is known of a visitor before an event of his may be kept."""

    stored: Consent
    opted_out: bool
    erased_ms: int
    """What happened until then stays erased; -1: never erased."""


class Visitors:
    """Looks visitors up in batches, and remembers them."""

    def __init__(self, ledger: Ledger, default_consent: Consent) -> None:
        self._ledger = ledger
        self._default = default_consent
        self._known: dict[SubjectId, _Visitor] = {}
        self._granted: dict[tuple[Consent, bool, Consent], Grants] = {}

    def look_up(self, subjects: Iterable[SubjectId]) -> None:
        """Learn what is stored of these; only they may be asked for until the next call."""
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        unknown = [subject for subject in subjects if subject not in self._known]
        known = self._ledger.person_profiles(unknown)
        erased = self._ledger.erased(unknown)
        for subject in unknown:
            row = known.get(subject)
            said = Preferences() if row is None else decode_preferences(row.preferences)
            opted_out = said.dial.value == DIAL_NOTHING
            self._known[subject] = _Visitor(said.stored_consent, opted_out, erased.get(subject, -1))

    def is_erased(self, subject: SubjectId, time_ms: int) -> bool:
        """Whether what happened then was erased with its visitor."""
        return self._known[subject].erased_ms >= 0 and time_ms <= self._known[subject].erased_ms

    def grants(self, subject: SubjectId, asked: Consent) -> Grants:
        """What may be done with an event that says `asked`; what the visitor said himself wins."""
        visitor = self._known[subject]
        said = (visitor.stored, visitor.opted_out, asked)
        if said not in self._granted:
            self._granted[said] = effective(
                stored=visitor.stored,
                asked=asked,
                default=self._default,
                opted_out=visitor.opted_out,
                global_privacy_control=False,
            )
        return self._granted[said]
