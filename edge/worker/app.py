"""The routes of an edge node, and nothing else: what each does is in `edge.worker.routes`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from edge.worker.answers import DecideAnswer
from edge.worker.desk import Desk
from edge.worker.endpoint import Endpoint
from edge.worker.flags import Evaluated
from edge.worker.fragment_query import PARAMETERS
from edge.worker.guard import Guard, respond
from edge.worker.openapi import Operation, RouteSpec, document
from edge.worker.problems import HttpProblem, answer_of
from edge.worker.reception import Reception
from edge.worker.refusals import FlagFailure, Refusals
from edge.worker.routes.browser import JAVASCRIPT, BrowserRoutes
from edge.worker.routes.codes import CodeRoutes
from edge.worker.routes.decide import MSGPACK, DecideRoute
from edge.worker.routes.fragment import FragmentRoute
from edge.worker.routes.health import Health, HealthRoutes
from edge.worker.routes.mail import MailRoutes
from edge.worker.routes.ofrep import EvaluationAnswer, EvaluationRequest, FlagRoutes
from edge.worker.routes.operator import PROMETHEUS, OperatorRoutes
from edge.worker.routes.preferences import PreferencesAnswer, PreferencesBody, PreferencesRoute
from edge.worker.routes.privacy import ErasureAnswer, ErasureBody, ExportAnswer, PrivacyRoutes
from edge.worker.routes.tracking import CALL_TYPES, Batch, BatchAnswer, Success, TrackingRoutes
from edge.worker.routes.why import WhyRoute
from edge.worker.status import StatusAnswer
from edge.worker.upkeep import Upkeep
from edge.worker.why import WhyAnswer
from edgewise.intake import BATCHES, Envelope
from edgewise.request import DecideRequest

CONSENT: Final = ("Edgewise-Consent", "What the visitor allows, as personalisation=granted, analytics=denied")
UNCHANGED: Final = ("If-None-Match", "The tag of the answer that is known")


def routes(desk: Desk) -> list[RouteSpec]:
    """All paths, who may ask them, and what they take and give."""
    reception = Reception(desk)
    decide, tracking, why = DecideRoute(desk, reception), TrackingRoutes(desk, reception), WhyRoute(desk)
    preferences, privacy, health = PreferencesRoute(desk), PrivacyRoutes(desk), HealthRoutes(desk)
    browser = BrowserRoutes()
    fragment, flags = FragmentRoute(desk, reception), FlagRoutes(desk, reception)
    operator = OperatorRoutes(desk, lambda: document(specs))
    specs = [
        RouteSpec(
            "/v1/decide",
            "public",
            (
                Operation(
                    "POST",
                    decide.post,
                    "What each placement shows this visitor",
                    DecideAnswer,
                    DecideRequest,
                    problems=(403, 404, 503),
                    also=(MSGPACK.decode(),),
                ),
            ),
        ),
        RouteSpec(
            "/v1/fragment/{placement}",
            "page",
            (
                Operation(
                    "GET",
                    fragment.get,
                    "A placement as HTML; whatever is wrong, its fallback",
                    "text/html",
                    query=PARAMETERS,
                    headers=(CONSENT,),
                ),
            ),
        ),
        *(
            RouteSpec(
                f"/v1/{path}",
                "tracking",
                (Operation("POST", tracking.post(name), f"Segment's {name}", Success, Envelope, problems=(503,)),),
            )
            for name in CALL_TYPES
            for path in (name, name[0])  # analytics.js, in the browser, says /v1/t for /v1/track
        ),
        *(
            RouteSpec(
                f"/v1/{path}",
                "tracking",
                (Operation("POST", tracking.post_batch, "Several calls", BatchAnswer, Batch, problems=(503,)),),
            )
            for path in BATCHES
        ),
        RouteSpec(
            "/v1/why/{decision_id}",
            "visitor",
            (Operation("GET", why.get, "Why this was shown", WhyAnswer, problems=(400, 404), as_page=True),),
        ),
        RouteSpec(
            "/v1/preferences",
            "visitor",
            (
                Operation("GET", preferences.get, "The visitor's dial and mutes", PreferencesAnswer),
                Operation(
                    "PUT",
                    preferences.put,
                    "State them; holds from the next request on",
                    PreferencesAnswer,
                    PreferencesBody,
                    problems=(503,),
                ),
            ),
        ),
        RouteSpec(
            "/v1/privacy/erase",
            "visitor",
            (
                Operation(
                    "POST",
                    privacy.erase,
                    "Forget the visitor: here at once, then everywhere",
                    ErasureAnswer,
                    ErasureBody,
                    problems=(403, 503),
                    status=202,
                    is_body_optional=True,
                ),
            ),
        ),
        RouteSpec(
            "/v1/privacy/export",
            "visitor",
            (Operation("GET", privacy.export, "What this node holds of the visitor", ExportAnswer),),
        ),
        RouteSpec(
            "/edgewise.js",
            "anybody",
            (Operation("GET", browser.client, "What every page loads", JAVASCRIPT),),
        ),
        RouteSpec(
            "/edgewise-debug.js",
            "anybody",
            (Operation("GET", browser.overlay, "What developers load beside it", JAVASCRIPT),),
        ),
        *MailRoutes(desk).table(),
        *CodeRoutes(desk, reception).table(),
        RouteSpec(
            "/ofrep/v1/evaluate/flags",
            "public",
            (
                Operation(
                    "POST",
                    flags.post_all,
                    "All experiments and placements as OpenFeature flags; errors as OFREP has them",
                    EvaluationAnswer,
                    EvaluationRequest,
                    failure=FlagFailure,
                    problems=(503,),
                    is_body_optional=True,
                    headers=(CONSENT, UNCHANGED),
                    is_cached=True,
                ),
            ),
        ),
        RouteSpec(
            "/ofrep/v1/evaluate/flags/{key}",
            "public",
            (
                Operation(
                    "POST",
                    flags.post,
                    "One of them",
                    Evaluated,
                    EvaluationRequest,
                    failure=FlagFailure,
                    problems=(404, 503),
                    is_body_optional=True,
                    headers=(CONSENT,),
                ),
            ),
        ),
        RouteSpec("/health/live", "anybody", (Operation("GET", health.live, "Whether the process answers", Health),)),
        RouteSpec(
            "/health/ready",
            "anybody",
            (Operation("GET", health.ready, "Whether there is anything to answer with", Health, unready=True),),
        ),
        RouteSpec("/status", "operator", (Operation("GET", operator.status, "The whole node, merged", StatusAnswer),)),
        RouteSpec("/metrics", "operator", (Operation("GET", operator.metrics, "For Prometheus", PROMETHEUS),)),
        RouteSpec("/openapi.json", "anybody", (Operation("GET", operator.openapi, "This", "application/json"),)),
    ]
    return specs


def make_app(desk: Desk) -> Starlette:
    """The ASGI application of one worker. It owns the desk: upkeep runs, and ends, with it."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        upkeep = asyncio.create_task(Upkeep(desk).run(), name="upkeep")
        upkeep.add_done_callback(ended)
        desk.is_listening = True
        with contextlib.suppress(OSError):  # a full disk; upkeep says it again, and again
            desk.tell()
        yield
        desk.is_listening = False
        upkeep.remove_done_callback(ended)
        upkeep.cancel()
        await asyncio.wait([upkeep])
        with contextlib.suppress(OSError):
            desk.tell()
        await desk.close()

    def ended(upkeep: asyncio.Task[None]) -> None:
        # Without it nothing becomes durable: end, and be started again.
        desk.log.critical("upkeep ended", exc_info=upkeep.exception() if not upkeep.cancelled() else None)
        os.kill(os.getpid(), signal.SIGTERM)

    refusals = Refusals(desk)
    app = Starlette(
        routes=[
            Route(
                spec.path,
                Endpoint(
                    desk,
                    {operation.method: operation.handler for operation in spec.operations},
                    access=spec.access,
                    telling=refusals,
                ),
            )
            for spec in routes(desk)
        ],
        middleware=[Middleware(Guard, telling=refusals)],
        lifespan=lifespan,
    )
    # No redirects to a path without its slash: they would repeat whatever Host a caller has sent.
    app.router.redirect_slashes = False
    app.router.default = _nothing_here(refusals)
    return app


def _nothing_here(telling: Refusals) -> ASGIApp:
    """What answers where no route is; also below fragments and flags, whose names have no slash."""

    async def answer(scope: Scope, _: Receive, send: Send) -> None:
        problem = HttpProblem(HTTPStatus.NOT_FOUND, "not-found", f"there is nothing under {scope['path']}")
        await respond(send, telling(scope["path"], problem) or answer_of(problem))

    return answer
