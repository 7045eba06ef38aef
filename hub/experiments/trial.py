"""An experiment as the ledger has it: people, what came of them, and what does not count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from edgewise.bundle.experiments import Metric
from edgewise.errors import InputError
from edgewise.events import ACTIVATIONS
from edgewise.records import ANONYMOUS, EventRecord
from hub.experiments.exposed import Exposed, exposed
from hub.experiments.measures import Measures, names_of, person_among
from hub.experiments.policies import Rules
from hub.ledger.outcomes import Span
from hub.release.ramped import last_step
from hub.rewards.attribution import HOUR_MS
from hub.rewards.exposures import slim
from hub.rewards.join import activations_of
from hub.rewards.traffic import crowd_of

if TYPE_CHECKING:
    from hub.ledger.ledger import Ledger

_NOBODY: Final = Span(0, 0)


@dataclass(frozen=True)
class Trial:
    """Everything that a report needs."""

    rules: Rules
    outcome: Metric
    guardrails: tuple[Metric, ...]
    exposed: Exposed
    measures: Measures
    """Of everybody in an arm."""
    of_holdout: Measures
    since_ms: int
    now_ms: int
    erased: int
    """Subjects that were erased since: they are in no arm."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The outcome first."""
        return (self.outcome, *self.guardrails)


def read_trial(ledger: Ledger, rules: Rules, *, since_ms: int, now_ms: int) -> Trial:
    """Decisions of `since_ms <= time <= now_ms`, and the events around them.

    Raises InputError for an experiment that names no outcome: there is nothing to judge it by.
    """
    outcome, guardrails = rules.experiment.outcome, tuple(rules.experiment.guardrails)
    if outcome is None:
        cure = "write `outcome: {name: orders, event: order}` into the site's experiment, and release it"
        raise InputError(f"the experiment {rules.key!r} names no business outcome; {cure}")
    metrics = (outcome, *guardrails)
    # Whole records are large, and a report holds all of some months.
    decisions = [slim(record) for _, record in ledger.decisions(since_ms=since_ms, until_ms=now_ms + 1)]
    before_ms = round(max(metric.window_hours for metric in metrics) * HOUR_MS)
    said = names_of(metrics)
    if any(record.deferred for record in decisions):
        said |= ACTIVATIONS
    within = Span(since_ms - before_ms, now_ms + 1)
    events = [_slim(event) for event in ledger.outcome_events(said, said_within=within, decided_within=_NOBODY)]
    subjects = {record.subject for record in decisions} - {ANONYMOUS}
    person_of = person_among(ledger.people_of(sorted(subjects)))
    by_id = {record.decision_id: record for record in decisions}
    crowd = crowd_of(ledger, rules.live, since_ms=since_ms, until_ms=now_ms + 1)
    step = last_step(rules.key, rules.experiment, ledger.ramp_steps(rules.key))
    found = exposed(
        decisions,
        activations_of(by_id, events, {}, now_ms),
        rules,
        person_of=person_of,
        standing_of=crowd.standing,
        now_ms=now_ms,
        step_ms=0 if step is None else step.time_ms,
    )
    return Trial(
        rules=rules,
        outcome=outcome,
        guardrails=guardrails,
        exposed=found,
        measures=Measures(found.people, events, metrics, now_ms=now_ms, person_of=person_of),
        of_holdout=Measures(found.holdout, events, metrics, now_ms=now_ms, person_of=person_of),
        since_ms=since_ms,
        now_ms=now_ms,
        erased=ledger.erased_since(since_ms),
    )


def _slim(event: EventRecord) -> EventRecord:
    """Without the call itself, which is for audits."""
    return msgspec.structs.replace(event, body=b"", traits={}, identifiers={})
