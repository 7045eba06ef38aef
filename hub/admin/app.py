"""The admin application: its routes in one table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edgewise.clock import Clock
from edgewise.errors import EdgewiseError
from edgewise.ids import DecisionId, SiteName
from hub.admin import answers, views
from hub.admin.codes import CodeRoutes, CodesCollector
from hub.admin.experiments import ExperimentRoutes
from hub.admin.facts import FactsRoutes
from hub.admin.guard import Guard
from hub.admin.journeys import JourneyRoutes
from hub.admin.mail import MailCollector, MailRoutes
from hub.admin.metrics import LedgerCollector
from hub.admin.openapi import Documented, openapi
from hub.admin.problems import problem
from hub.admin.rewards import RewardsCollector, only
from hub.admin.webhooks import PATH as WEBHOOK
from hub.admin.webhooks import WebhookRoutes
from hub.codes.redeeming import Redeemer
from hub.experiments.overview import ReportsNow
from hub.experiments.policies import PolicyOf
from hub.facts.board import FactsBoard
from hub.ledger.ledger import Ledger
from hub.ledger.rows import ReleaseRow
from hub.log import Log
from hub.meters import Meters
from hub.rewards.view import PolicyNow, RewardsNow, RewardsView
from hub.settings import HubSettings, on_loopback
from hub.site.journey_file import JourneyFile
from hub.webhooks.receiving import Hooks


@dataclass(frozen=True, slots=True)
class Admin:
    """What the routes read."""

    ledger: Ledger
    meters: Meters
    incarnation: str
    site: SiteName
    releases: Callable[[], Sequence[ReleaseRow]]
    """Every release with its true status, newest first."""
    not_ready: Callable[[], str]
    """Why the hub is not ready, or ""."""
    clock: Clock
    log: Log
    facts: FactsBoard
    hooks: Hooks | None = None
    """What vendors deliver; None: there are no sources here."""
    policy: PolicyNow = lambda: None
    """The live release's."""
    policy_of: PolicyOf = lambda _: None
    """Any release's that is kept."""
    journeys: Callable[[], Mapping[str, JourneyFile]] = dict
    """As the site was applied last."""
    redeemer: Redeemer | None = None
    """What redeems promotion codes; None: nobody does here."""


def admin_app(admin: Admin, settings: HubSettings) -> Guard:
    """The guarded application."""
    admin.meters.registry.register(LedgerCollector(admin.ledger, admin.releases, admin.clock))
    admin.meters.registry.register(MailCollector(admin.ledger))
    admin.meters.registry.register(CodesCollector(admin.ledger))
    routes = _Routes(admin)
    admin.meters.registry.register(RewardsCollector(routes.rewards_now, admin.clock))
    app = Starlette(
        routes=[Route(route.path, endpoint, methods=[route.method.upper()]) for route, endpoint in routes.table()]
        + [
            Route("/openapi.json", routes.document, methods=["GET"]),
            Route(WEBHOOK, routes.webhooks.get, methods=["GET"]),
        ],
        exception_handlers={HTTPException: routes.refused, EdgewiseError: routes.failed, Exception: routes.failed},
    )
    guard = Guard(
        app,
        holders=settings.key_holders(),
        hosts=[settings.admin.rpartition(":")[0], *settings.admin_hosts],
        loopback_only=on_loopback(settings.admin),
    )
    routes.reading = guard.reading
    return guard


class _Routes:
    """One method a route."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self.webhooks = WebhookRoutes(admin.hooks, admin.clock)
        self.rewards_now = RewardsNow(admin.ledger, admin.policy)
        reports = ReportsNow(admin.ledger, admin.policy, admin.policy_of)
        self.experiments = ExperimentRoutes(reports, admin.clock)
        self.journeys = JourneyRoutes(admin.ledger, admin.journeys, admin.releases)
        self.reading = ""

    def table(self) -> list[tuple[Documented, Callable[[Request], Awaitable[Response]]]]:
        """Every documented route with what answers it."""
        return [
            (Documented("/health/live", "Whether the process runs.", answers.Health), self.live),
            (Documented("/health/ready", "Whether it serves nodes; 503 when not.", answers.Health), self.ready),
            (Documented("/api/v1/summary", "The hub at a glance.", answers.Summary), self.summary),
            (Documented("/api/v1/nodes", "Nodes, what they run and refused.", answers.Nodes), self.nodes),
            (Documented("/api/v1/releases", "Releases, how far they have come.", answers.Releases), self.releases),
            (Documented("/api/v1/models", "Models and their cards.", answers.Models), self.models),
            (
                Documented("/api/v1/decisions/{id}", "A decision, its outcomes.", answers.LoggedDecision, unknown=True),
                self.decision,
            ),
            (
                Documented(
                    "/api/v1/rewards", "What became of decisions.", RewardsView, unknown=True, query=("placement",)
                ),
                self.rewards,
            ),
            *self.experiments.table(),
            *self.journeys.table(),
            *FactsRoutes(self._admin.facts).table(),
            *([] if self._admin.redeemer is None else self._codes(self._admin.redeemer)),
            *MailRoutes(self._admin.ledger, self._admin.clock).table(),
            *self.webhooks.table(),
            (Documented("/metrics", "Prometheus metrics.", None), self.metrics),
        ]

    def _codes(self, redeemer: Redeemer) -> list[tuple[Documented, Callable[[Request], Awaitable[Response]]]]:
        return CodeRoutes(self._admin.ledger, redeemer, self._admin.clock).table()

    async def live(self, _: Request) -> Response:
        return _json(answers.Health("LIVE"))

    async def ready(self, _: Request) -> Response:
        reason = self._admin.not_ready()
        return _json(answers.Health("NOT_READY", reason), 503) if reason else _json(answers.Health("READY"))

    async def summary(self, _: Request) -> Response:
        def make() -> answers.Summary:
            return views.summary(
                self._admin.ledger,
                self._admin.releases(),
                site=self._admin.site,
                incarnation=self._admin.incarnation,
                now_ms=self._admin.clock.now_ms(),
                reading=self.reading,
            )

        return _json(await run_in_threadpool(make))

    async def nodes(self, _: Request) -> Response:
        return _json(await run_in_threadpool(views.nodes, self._admin.ledger, self._admin.clock.now_ms()))

    async def releases(self, _: Request) -> Response:
        return _json(await run_in_threadpool(lambda: views.releases(self._admin.releases())))

    async def models(self, _: Request) -> Response:
        return _json(await run_in_threadpool(views.models, self._admin.ledger))

    async def decision(self, request: Request) -> Response:
        decision_id = DecisionId(request.path_params["id"])
        found = await run_in_threadpool(views.logged_decision, self._admin.ledger, decision_id)
        if found is None:
            return problem(404, f"no decision {decision_id[:200]!r} has arrived here")
        return _json(found)

    async def rewards(self, request: Request) -> Response:
        placement = request.query_params.get("placement")
        view = await run_in_threadpool(self.rewards_now.at, self._admin.clock.now_ms())
        found = only(view, placement)
        if found is None:
            return problem(404, f"no placement {(placement or '')[:200]!r}; GET /api/v1/rewards names them all")
        return _json(found)

    async def metrics(self, _: Request) -> Response:
        text = await run_in_threadpool(generate_latest, self._admin.meters.registry)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def document(self, _: Request) -> Response:
        return _json(openapi([route for route, _ in self.table()]))

    async def failed(self, _: Request, error: Exception) -> Response:
        if isinstance(error, EdgewiseError):
            return problem(503, str(error))
        self._admin.log.error("a request failed", exc_info=error)
        return problem(500, "the hub failed; its log says how")

    async def refused(self, _: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return problem(error.status_code, str(error.detail), error.headers)


def _json(answer: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(answer), status, media_type="application/json")
