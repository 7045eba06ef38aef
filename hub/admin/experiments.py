"""Experiments over HTTP: which there are, and what each says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from edgewise.clock import Clock
from edgewise.errors import InputError
from edgewise.ids import ExperimentKey
from hub.admin.openapi import Documented
from hub.admin.problems import problem
from hub.experiments.overview import Experiments, ReportsNow
from hub.experiments.report import ExperimentReport


class ExperimentRoutes:
    """One method a route."""

    def __init__(self, reports: ReportsNow, clock: Clock) -> None:
        self._reports = reports
        self._clock = clock

    def table(self) -> list[tuple[Documented, Callable[[Request], Awaitable[Response]]]]:
        """Every documented route with what answers it."""
        one = Documented("/api/v1/experiments/{key}", "What an experiment says.", ExperimentReport, unknown=True)
        return [
            (Documented("/api/v1/experiments", "Experiments of the live release.", Experiments), self.listed),
            (one, self.report),
        ]

    async def listed(self, _: Request) -> Response:
        """Which there are."""
        return _json(await run_in_threadpool(self._reports.listed))

    async def report(self, request: Request) -> Response:
        """One of them, by its key."""
        key = ExperimentKey(request.path_params["key"])
        try:
            found = await run_in_threadpool(self._reports.at, key, self._clock.now_ms())
        except InputError as unknown:
            return problem(404, str(unknown)[:500])
        return _json(found)


def _json(answer: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")
