"""Journeys over HTTP and as Prometheus reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

import msgspec
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import override

from hub.admin.openapi import Documented
from hub.admin.problems import problem
from hub.journeys.overview import Journeys, ListedJourney, counts_of, listed
from hub.ledger.ledger import Ledger
from hub.ledger.rows import ReleaseRow, ReleaseStatus
from hub.site.journey_file import JourneyFile


class JourneyRoutes:
    """One method a route."""

    def __init__(
        self,
        ledger: Ledger,
        journeys: Callable[[], Mapping[str, JourneyFile]],
        releases: Callable[[], Sequence[ReleaseRow]],
    ) -> None:
        self._ledger = ledger
        self._journeys = journeys
        self._releases = releases

    def table(self) -> list[tuple[Documented, Callable[[Request], Awaitable[Response]]]]:
        """Every documented route with what answers it."""
        return [
            (Documented("/api/v1/journeys", "Journeys, who enabled which, their mails.", Journeys), self.every),
            (Documented("/api/v1/journeys/{name}", "One journey.", ListedJourney, unknown=True), self.one),
        ]

    async def every(self, _: Request) -> Response:
        """Which there are."""
        return _json(await run_in_threadpool(self._now))

    async def one(self, request: Request) -> Response:
        """One of them, by its name."""
        name = request.path_params["name"]
        found = await run_in_threadpool(self._now)
        of = next((each for each in found.journeys if each.name == name), None)
        return problem(404, f"the site has no journey {name[:200]!r}") if of is None else _json(of)

    def _now(self) -> Journeys:
        live = next((row for row in self._releases() if row.status is ReleaseStatus.LIVE), None)
        return listed(self._journeys(), self._ledger.journey_states(), live, counts_of(self._ledger))


class JourneyCollector(Collector):
    """Gauges that are read off the ledger when somebody asks."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @override
    def collect(self) -> Iterator[Metric]:
        states = self._ledger.journey_states()
        counts = counts_of(self._ledger)
        enabled = GaugeMetricFamily("edgewise_journey_enabled", "1: a person enabled it.", labels=["journey"])
        for name, said in sorted(states.items()):
            enabled.add_metric([name], float(said.state.value == "enabled"))
        yield enabled
        runs = GaugeMetricFamily(
            "edgewise_journey_runs",
            "Runs by what became of their mails (the outbox's states); watched: nothing is due yet.",
            labels=["journey", "state"],
        )
        told: Counter[tuple[str, str]] = Counter({(name, "watched"): many for name, many in counts.watched.items()})
        for (journey, state, _), many in counts.mails.items():
            told[journey, state.value] += many
        for (journey, shown), many in sorted(told.items()):
            runs.add_metric([journey, shown], many)
        yield runs


def _json(answer: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")
