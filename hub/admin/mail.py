"""Mail over HTTP and for Prometheus: the outbox at a glance, and what mail systems report back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import msgspec
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import override

from edgewise.clock import Clock
from hub.admin.openapi import Documented
from hub.admin.problems import problem
from hub.ledger.ledger import Ledger
from hub.mail.bounces import MOST_BYTES, take_message
from hub.mail.overview import MailView, counts, suppressed_counts, view

PATH: Final = "/api/v1/mail"


class Reported(msgspec.Struct, frozen=True):
    """What became of a message that was posted."""

    event: str
    """Segment's name of what it reports; blank: nothing of a mail of ours."""
    suppressed: bool
    """Whether its reader is not written to any more."""


class MailRoutes:
    """Reading the outbox, and taking reports."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    def table(self) -> list[tuple[Documented, Callable[[Request], Awaitable[Response]]]]:
        """Every route with what answers it."""
        return [
            (Documented(PATH, "The outbox: how many of what, and which are uncertain.", MailView), self.get),
            (
                Documented(f"{PATH}/reports", "A bounce or complaint, as mail.", Reported, method="post"),
                self.report,
            ),
        ]

    async def get(self, _: Request) -> Response:
        """The outbox at a glance."""
        return _json(await run_in_threadpool(view, self._ledger))

    async def report(self, request: Request) -> Response:
        """One message, raw."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                return problem(413, f"more than {MOST_BYTES} bytes; expected one message")
        now_ms = self._clock.now_ms()
        found = await run_in_threadpool(lambda: take_message(self._ledger, bytes(body), now_ms=now_ms))
        told = Reported("", suppressed=False) if found is None else Reported(found.event, found.reason is not None)
        return _json(told)


class MailCollector(Collector):
    """Gauges that are read off the ledger when somebody asks."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @override
    def collect(self) -> Iterator[Metric]:
        mails = GaugeMetricFamily(
            "edgewise_mails",
            "Mails of the outbox by what became of them; uncertain ones are never sent again.",
            labels=["journey", "state", "reason"],
        )
        suppressed = GaugeMetricFamily(
            "edgewise_mail_suppressed", "Addresses and people that are not written to.", labels=["reason"]
        )
        with self._ledger.storage.reading() as connection:
            for count in counts(connection):
                mails.add_metric([count.journey, count.state.value, count.reason], count.mails)
            for reason, people in suppressed_counts(connection).items():
                suppressed.add_metric([reason], people)
        yield mails
        yield suppressed


def _json(answer: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")
