"""Gauges that are read off the ledger when somebody asks, beside what `Meters` counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from edgewise.clock import Clock
from hub.ledger.ledger import Ledger
from hub.ledger.rows import AWAY, ReleaseRow


class LedgerCollector(Collector):
    """Fleet, releases and totals, as the ledger has them."""

    def __init__(self, ledger: Ledger, releases: Callable[[], Iterable[ReleaseRow]], clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._releases = releases

    @override
    def collect(self) -> Iterator[Metric]:
        nodes = GaugeMetricFamily(
            "edgewise_nodes", f"Nodes by version and state; {AWAY} is not connected.", labels=["version", "state"]
        )
        now_ms = self._clock.now_ms()
        counted = Counter((str(row.bundle_version), row.at(now_ms).shown_state) for row in self._ledger.nodes())
        for (version, state), count in sorted(counted.items()):
            nodes.add_metric([version, state], count)
        yield nodes
        releases = GaugeMetricFamily(
            "edgewise_release_state", "1 for the state that a release is in.", labels=["version", "state"]
        )
        for row in self._releases():
            releases.add_metric([str(row.version), row.status.value], 1)
        yield releases
        totals = self._ledger.totals()
        stored = CounterMetricFamily("edgewise_ledger_rows", "Rows of the ledger, by table.", labels=["table"])
        for name in totals.__struct_fields__:
            stored.add_metric([name], getattr(totals, name))
        yield stored
