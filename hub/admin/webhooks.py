"""`/api/v1/sources/NAME/webhook`: open to vendors, who prove each delivery by its signature instead of a bearer key."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from edgewise.clock import Clock
from hub.admin.openapi import Documented
from hub.admin.problems import problem
from hub.sources.document import SourceDocument
from hub.webhooks.receiving import Hooks, Received, Refusal
from hub.webhooks.signatures import Delivery

PATH: Final = "/api/v1/sources/{name}/webhook"
_PATHS: Final = re.compile(r"/api/v1/sources/[a-z0-9][a-z0-9_-]{0,63}/webhook")
MOST_HELD_BYTES: Final = 64 << 20
"""Of all bodies that are being read or stored."""
BODY_TIMEOUT_S: Final = 10.0
_AGAIN: Final = {"Retry-After": "5"}
_Route = tuple[Documented, Callable[[Request], Awaitable[Response]]]


def is_webhook(path: str) -> bool:
    """Whether a path is one that proves its sender itself."""
    return _PATHS.fullmatch(path) is not None


class WebhookAnswer(msgspec.Struct, frozen=True):
    """To whoever looks whether there is a webhook, as Mailchimp does before it takes an address."""

    source: str


class WebhookRoutes:
    """Takes deliveries, each within its bounds."""

    def __init__(self, hooks: Hooks | None, clock: Clock) -> None:
        self._hooks = hooks
        self._clock = clock
        self._held_bytes = 0

    def table(self) -> list[_Route]:
        """Every documented route with what answers it."""
        return [
            (
                Documented(
                    PATH,
                    "A vendor's delivery, proved by its signature.",
                    Received,
                    unknown=True,
                    method="post",
                    raw=True,
                ),
                self.post,
            ),
        ]

    async def get(self, request: Request) -> Response:
        """Mailchimp and Mandrill look before they save an address, and sign nothing then. Nobody else does."""
        name = request.path_params["name"]
        if self._source(name) is None:
            return _unknown(name)
        return _json(WebhookAnswer(name))

    async def post(self, request: Request) -> Response:
        """Read within bounds, then prove, then everything else."""
        name = request.path_params["name"]
        document = self._source(name)
        if document is None or self._hooks is None or document.webhook is None:
            return _unknown(name)
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                await self._read(request, body, document.webhook.most_bytes)
            delivery = Delivery(
                headers=dict(request.headers),
                query=dict(request.query_params),
                body=bytes(body),
                received_ms=self._clock.now_ms(),
            )
            answer = await self._hooks.take(name, document, delivery)
        except TimeoutError:
            raise HTTPException(408, f"the body did not come within {BODY_TIMEOUT_S:g} s") from None
        except ClientDisconnect:
            raise HTTPException(400, "the connection ended before the body did") from None
        finally:
            self._held_bytes -= len(body)
        if isinstance(answer, Refusal):
            headers = _AGAIN if answer.status == HTTPStatus.SERVICE_UNAVAILABLE else None
            raise HTTPException(answer.status, answer.detail, headers)
        return _json(answer)

    async def _read(self, request: Request, body: bytearray, most: int) -> None:
        async for chunk in request.stream():
            if len(body) + len(chunk) > most:
                raise HTTPException(413, f"more than {most:,} bytes, the bound of this source")
            if self._held_bytes + len(chunk) > MOST_HELD_BYTES:
                raise HTTPException(503, "this hub holds as many deliveries as it can; send it again", _AGAIN)
            body += chunk
            self._held_bytes += len(chunk)

    def _source(self, name: str) -> SourceDocument | None:
        return None if self._hooks is None else self._hooks.source(name)


def _unknown(name: str) -> Response:
    return problem(404, f"no source {name[:80]!r} takes deliveries here; its document needs a `webhook` part")


def _json(answer: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")
