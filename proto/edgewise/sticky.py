"""Who was assigned once keeps the arm: GrowthBook's sticky buckets, over the first assignments of a profile.

A bucket is an experiment in one bucket version. What a profile remembers of it goes before weights, coverage,
namespace and condition, so that none of these moves anybody who was assigned already; a new bucket version forgets
all of them at once. Source: GrowthBook's SDK specification, "Sticky bucketing", and `stickyBucket` of cases.json 0.8.0.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from edgewise.bundle.experiments import Experiment
from edgewise.ids import ArmName, ExperimentKey
from edgewise.profile.state import Enrolment


class Stuck(NamedTuple):
    """What is remembered of a visitor in one experiment."""

    arm: ArmName | None = None
    """None: nothing that still counts."""
    is_blocked: bool = False
    """He was assigned under a bucket version that may take part no more."""


LOOSE: Final = Stuck()
_BLOCKED: Final = Stuck(is_blocked=True)


class Buckets(NamedTuple):
    """Under which names an experiment's assignments are remembered."""

    current: str
    blocked: Sequence[str] = ()
    """Of the versions that may take part no more."""

    def stuck(self, enrolments: Mapping[str, Enrolment], arms: Collection[ArmName]) -> Stuck:
        """The arm that a visitor keeps. One that the experiment no longer has is none."""
        for bucket in self.blocked:
            if bucket in enrolments:
                return _BLOCKED
        known = enrolments.get(self.current)
        return LOOSE if known is None or known.arm not in arms else Stuck(known.arm)


def buckets_of(key: ExperimentKey, experiment: Experiment) -> Buckets:
    """Spelled as GrowthBook spells them, so that assignments that were made there can be taken over."""
    return Buckets(
        f"{key}__{experiment.bucket_version}",
        tuple(f"{key}__{version}" for version in range(experiment.min_bucket_version)),
    )
