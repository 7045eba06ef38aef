"""Whose decision it was: a visitor's, a bot's, our own, or one that an experiment set apart to be learned from.

No node keeps a user agent, so that a bot is told by what it does, or by what the page knows of it: more decisions or
events in a minute than the site's rules allow, or `context.attributes.bot`. Ours is what an operator forced,
`context.attributes.internal`, and whom the site's rules name, or a trait. Rules judge a subject as a whole within the
window that is joined: half of a bot's visit is no visitor's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from edgewise.assign import traffic_of
from edgewise.bundle.experiments import Experiment
from edgewise.bundle.policy import Policy
from edgewise.bundle.rewards import EVERYBODY, TrafficRules
from edgewise.ids import ExperimentKey, SubjectId
from hub.rewards.exposures import Exposure
from hub.rewards.joined import Traffic

if TYPE_CHECKING:
    from hub.ledger.ledger import Ledger

BOT: Final = "bot"
INTERNAL: Final = "internal"


class Standing(NamedTuple):
    """How a decision is to be counted."""

    traffic: Traffic
    is_measured_only: bool = False
    """Of a unit that an experiment with training traffic measures: it is not learned from."""


class Crowd:
    """Judges exposures. Made once a join."""

    def __init__(
        self,
        *,
        busy: Collection[SubjectId] = (),
        internal: Collection[SubjectId] = (),
        experiments: Mapping[ExperimentKey, Experiment] | None = None,
    ) -> None:
        self._busy = frozenset(busy)
        self._internal = frozenset(internal)
        self._experiments = dict(experiments or {})

    def standing(self, exposure: Exposure) -> Standing:
        """Internal goes before bot: a load test of our own is no attack."""
        record = exposure.record
        marks = record.context.attributes
        if exposure.is_forced or record.subject in self._internal or marks.get(INTERNAL) in _YES:
            return Standing(Traffic.INTERNAL)
        if record.subject in self._busy or marks.get(BOT) in _YES:
            return Standing(Traffic.BOT)
        experiment = None if exposure.experiment is None else self._experiments.get(exposure.experiment)
        if experiment is None or not experiment.training_share:
            return Standing(Traffic.VISITOR)
        if traffic_of(experiment, record.unit) == "training":
            return Standing(Traffic.TRAINING)
        return Standing(Traffic.VISITOR, is_measured_only=True)


_YES: Final = (True, "true")


def crowd_of(ledger: Ledger, policy: Policy | None, *, since_ms: int, until_ms: int) -> Crowd:
    """Who stands out in `since_ms <= time < until_ms`, by the policy's rules."""
    rules: TrafficRules = EVERYBODY if policy is None else policy.site.traffic
    named = set(rules.internal_subjects) | ledger.stating(rules.internal_traits)
    people = ledger.people_of(sorted(named)) if named else {}
    return Crowd(
        busy=ledger.busy(rules.most_per_minute, since_ms=since_ms, until_ms=until_ms),
        internal={member for members in people.values() for member in members},
        experiments=None if policy is None else policy.experiments,
    )
