"""What became of decisions, over HTTP and as metrics: made, shown, rewarded, dropped, sampled."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from edgewise.clock import Clock
from hub.rewards.view import RewardsNow, RewardsView

STATES = ("made", "shown", "waiting", "rewarded", "late", "sampled", "learnable")


class RewardsCollector(Collector):
    """Gauges of the view, which is of a window that moves: a counter could not take back what was dropped too early."""

    def __init__(self, now: RewardsNow, clock: Clock) -> None:
        self._now = now
        self._clock = clock

    @override
    def collect(self) -> Iterator[Metric]:
        decisions = GaugeMetricFamily(
            "edgewise_rewards",
            "Decisions of the last two days, by what became of them; at most the latest 10,000.",
            labels=["placement", "state"],
        )
        dropped = GaugeMetricFamily(
            "edgewise_rewards_dropped",
            "Those among them without a row to learn from, by why.",
            labels=["placement", "why"],
        )
        bad = GaugeMetricFamily(
            "edgewise_rewards_bad_inputs",
            "Outcomes and activations that count for nothing, by why.",
            labels=["placement", "why"],
        )
        traffic = GaugeMetricFamily(
            "edgewise_rewards_traffic", "Shown decisions, by whose they were.", labels=["placement", "traffic"]
        )
        for each in self._now.at(self._clock.now_ms()).placements:
            for state in STATES:
                decisions.add_metric([each.placement, state], getattr(each, state))
            for family, counted in ((dropped, each.dropped), (bad, each.bad), (traffic, each.traffic)):
                for label, count in counted.items():
                    family.add_metric([each.placement, label], count)
        yield from (decisions, dropped, bad, traffic)


def only(view: RewardsView, placement: str | None) -> RewardsView | None:
    """The view of one placement; None where there is no such."""
    if placement is None:
        return view
    found = [each for each in view.placements if each.placement == placement]
    return msgspec.structs.replace(view, placements=found) if found else None
