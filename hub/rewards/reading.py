"""What a join needs of the ledger: decisions, events, who belongs together, and who is no visitor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from edgewise.bundle.policy import Policy
from edgewise.bundle.rewards import RewardDefinition
from edgewise.events import ACTIVATIONS
from edgewise.ids import DecisionId, SubjectId
from edgewise.records import ANONYMOUS, DecisionRecord, EventRecord
from hub.ledger.outcomes import Span
from hub.rewards.attribution import HOUR_MS, PersonOf
from hub.rewards.definition import weighs_refunds
from hub.rewards.exposures import slim
from hub.rewards.traffic import Crowd, crowd_of

if TYPE_CHECKING:
    from hub.ledger.ledger import Ledger


class Records(NamedTuple):
    """Enough for a join of any placement by any of the definitions."""

    decisions: Sequence[DecisionRecord]
    """Of the window and of so long after it as an outcome may be looked for, and those that outcomes name."""
    events: Sequence[EventRecord]
    person_of: PersonOf
    crowd: Crowd
    repeats: Mapping[DecisionId, int]


def read_records(
    ledger: Ledger,
    definitions: Sequence[RewardDefinition],
    policy: Policy | None,
    *,
    since_ms: int,
    until_ms: int,
    after_position: int = 0,
) -> Records:
    """For joins of decisions of `since_ms <= time < until_ms`.

    With `after_position` only what was stored after it: for whoever shows the latest and must not read it all.
    """
    reach_ms = round(max(definition.window_hours for definition in definitions) * HOUR_MS)
    # A refund goes where its order went, which may be as long before it as anything is waited for.
    waits = [definition.wait_hours for definition in definitions if weighs_refunds(definition)]
    further_ms = round(max(waits, default=0.0) * HOUR_MS)
    decisions = {
        record.decision_id: slim(record)
        for _, record in ledger.decisions(
            after_position=after_position, since_ms=since_ms, until_ms=until_ms + reach_ms
        )
    }
    events = list(
        ledger.outcome_events(
            {said for definition in definitions for said in definition.events} | ACTIVATIONS,
            said_within=Span(since_ms - further_ms, until_ms + max(reach_ms, further_ms) + 1),
            decided_within=Span(since_ms, until_ms),
            after_position=after_position,
        )
    )
    named = {event.decision_id for event in events if event.decision_id is not None} - decisions.keys()
    repeats = ledger.repeated(list(decisions))
    elsewhere = {record.decision_id: slim(record) for record in ledger.decisions_of(sorted(named))}
    if after_position:
        # of the decisions before it, only those that something came of are known here, which would not be all of them
        events = [event for event in events if event.decision_id not in elsewhere]
    else:
        decisions |= elsewhere
    return Records(
        decisions=list(decisions.values()),
        events=events,
        person_of=_people(ledger, events),
        crowd=crowd_of(ledger, policy, since_ms=since_ms, until_ms=until_ms),
        repeats=repeats,
    )


def _people(ledger: Ledger, events: Iterable[EventRecord]) -> PersonOf:
    """Only those of whom something is told: nobody else's exposures are looked up."""
    subjects = {event.subject for event in events} - {ANONYMOUS}
    first: dict[SubjectId, SubjectId] = {
        member: members[0] for members in ledger.people_of(sorted(subjects)).values() for member in members
    }
    return lambda subject: first.get(subject, subject)
