"""The learning loop as Prometheus reads it: turns that are open, what became of the others, whether it is halted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from hub.ledger.learning import TurnState
from hub.ledger.ledger import Ledger


class LearningCollector(Collector):
    """Gauges that are read off the ledger when somebody asks."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @override
    def collect(self) -> Iterator[Metric]:
        turns = GaugeMetricFamily(
            "edgewise_learning_turns",
            "Turns of the learning loop by state; waiting and ready need a person.",
            labels=["model", "state"],
        )
        counted = Counter((turn.model, turn.state) for turn in self._ledger.turns())
        for model in sorted({model for model, _ in counted}):
            for state in TurnState:
                turns.add_metric([model, state.value], counted[model, state])
        yield turns
        halted = GaugeMetricFamily("edgewise_learning_halted", "1: somebody halted the learning loop.")
        halted.add_metric([], float(self._ledger.switch().halted))
        yield halted
