"""What an analysis needs of an experiment, however it was brought: counts, and a summary for each metric and arm."""

from __future__ import annotations

from dataclasses import dataclass, field

from hub.statistics.balance import Exposures
from hub.statistics.summary import EMPTY, Summary

ByArm = dict[str, Summary]


@dataclass(frozen=True)
class Evidence:
    """An experiment without its rows."""

    counts: dict[str, int]
    """Units of each arm that were assigned, in the order in which arms are shown; arms without units have 0."""
    summaries: dict[str, ByArm]
    """By the metric's name; an arm that is absent had no unit with a value."""
    excluded: dict[str, int] = field(default_factory=dict)
    """By the metric's name: units without a value that counts."""
    exposures: Exposures | None = None
    """None where units are not named."""
    warnings: tuple[str, ...] = ()

    def of(self, metric: str, arm: str) -> Summary:
        """An arm's summary, that of no unit where there is none."""
        return self.summaries[metric].get(arm, EMPTY)
