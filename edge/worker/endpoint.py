"""From ASGI to a handler and back: caller, body, answer, problems, CORS. The one place where a request may fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, Literal, NamedTuple

import msgspec
from starlette.types import Receive, Scope, Send

from edge.worker.desk import Desk
from edge.worker.guard import HEADERS, WAITED_MS, read_body, respond, unpack_body
from edge.worker.identity import Caller
from edge.worker.problems import Answer, Headers, HttpProblem, Telling, answer_of, problem_from, told_plainly

JSON: Final = (b"content-type", b"application/json")
PRIVATE: Final = (b"cache-control", b"private, no-store")
"""For answers about one visitor: no cache between us and him may keep them."""
NO_STORE: Final = (b"cache-control", b"no-store")
_ALLOWED_HEADERS: Final = (
    b"authorization, content-type, edgewise-id, edgewise-visitor, edgewise-consent, edgewise-dial, if-none-match"
)
_PREFLIGHT_AGE_SECONDS: Final = b"600"


class Exchange(NamedTuple):
    """One request, read."""

    caller: Caller
    body: bytes
    headers: Mapping[bytes, bytes]
    path: Mapping[str, str]
    """Parameters of the path."""
    is_secure: bool
    """Came by https, as far as this process can see."""
    started_ms: float
    """Monotonic clock when the request had arrived whole, as far as this process can see: `waited_ms` before now.
    Not when its first byte came: a visitor's slow line must not cost him his deadline."""
    waited_ms: float = 0.0
    """In queues, before anybody looked at it."""
    peer: str = ""
    """Address of the connection; blank where there is none."""
    query: bytes = b""
    """Behind the path's `?`, as it came."""
    is_head: bool = False
    """Only the head of the answer is wanted."""


Handler = Callable[[Exchange], Awaitable[Answer]]
Audience = Literal["public", "page", "tracking", "visitor", "operator", "anybody"]
"""Who may ask; `tracking` is `public` whose key may also stand in the body, `page` is `public` that is never told no: a
refusal is told as content (`edge.worker.refusals`)."""


class Endpoint:
    """An ASGI application for one route."""

    def __init__(
        self, desk: Desk, handlers: Mapping[str, Handler], *, access: Audience, telling: Telling = told_plainly
    ) -> None:
        """`handlers` by method; HEAD is answered as GET, OPTIONS as CORS asks; `telling` says how problems are told.

        `public` and `tracking` need a write key or an allowed origin before a handler sees anything; what visitors and
        operators may do is for their handlers to say.
        """
        self._desk = desk
        self._handlers = handlers
        self._access = access
        self._telling = telling
        self._methods = b", ".join(sorted(method.encode() for method in handlers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        desk = self._desk
        caller = desk.doorman.caller(scope, desk.access, desk.clock.now_ms())
        try:
            answer = await self._answer(scope, receive, caller)
        except ConnectionError:
            return  # there is nobody left to be answered
        except Exception as failed:  # whatever it is, the caller gets a problem and no traceback
            problem = problem_from(failed)
            if problem.status is HTTPStatus.INTERNAL_SERVER_ERROR:
                desk.counts.failed("request")
                desk.log.exception("a request failed", path=scope["path"])
            answer = self._telling(scope["path"], problem) or answer_of(problem)
        if caller.origin is not None:
            answer.headers.extend(_cors(caller.origin))
        await respond(send, answer)

    async def _answer(self, scope: Scope, receive: Receive, caller: Caller) -> Answer:
        desk, method = self._desk, scope["method"]
        if method == "OPTIONS":
            return self._preflight(caller)
        handler = self._handlers.get("GET" if method == "HEAD" else method)
        if handler is None:
            detail = f"{method} is not understood here; {self._methods.decode()} is"
            allow = [(b"allow", self._methods)]
            raise HttpProblem(HTTPStatus.METHOD_NOT_ALLOWED, "method", detail, headers=allow)
        if self._access in {"public", "page"}:
            caller.require_public()
        body = b""
        if method in {"POST", "PUT"}:
            most_bytes, timeout_ms = desk.settings.body_most_bytes, desk.settings.body_timeout_ms
            body = await read_body(scope, receive, most_bytes=most_bytes, timeout_ms=timeout_ms)
            body = unpack_body(scope, body, most_bytes=most_bytes)
        if self._access == "tracking":
            desk.doorman.require_write_key(caller, desk.access, body)
        return await handler(
            Exchange(
                caller=caller,
                body=body,
                headers=scope[HEADERS],
                path=scope.get("path_params", {}),
                is_secure=scope.get("scheme") == "https",
                started_ms=desk.clock.monotonic_ms() - scope.get(WAITED_MS, 0.0),
                waited_ms=scope.get(WAITED_MS, 0.0),
                peer=(scope.get("client") or ("",))[0],
                query=scope.get("query_string", b""),
                is_head=method == "HEAD",
            )
        )

    def _preflight(self, caller: Caller) -> Answer:
        if caller.origin is None:
            raise HttpProblem(HTTPStatus.FORBIDDEN, "origin", "this origin is not on the site's list")
        headers: Headers = [
            (b"access-control-allow-methods", self._methods),
            (b"access-control-allow-headers", _ALLOWED_HEADERS),
            (b"access-control-max-age", _PREFLIGHT_AGE_SECONDS),
        ]
        return Answer(HTTPStatus.NO_CONTENT.value, b"", headers)


def _cors(origin: str) -> Headers:
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"etag"),
        (b"vary", b"origin"),
    ]


_json = msgspec.json.Encoder()


def json_answer(value: Any, *, status: HTTPStatus = HTTPStatus.OK, headers: Headers | None = None) -> Answer:
    """An answer as JSON."""
    return Answer(status.value, _json.encode(value), [JSON, *(headers if headers is not None else [NO_STORE])])
