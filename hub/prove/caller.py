"""One kept-alive connection to a node, as a visitor's browser or a shop's server holds it."""

from __future__ import annotations

import base64
import contextlib
import http.client
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import msgspec

from edgewise.errors import MALFORMED, UnavailableError


class Unanswered(UnavailableError):  # noqa: N818  # what happened, not a mistake of anybody
    """The connection broke, or nobody is at the door: whether the request was heard is not known."""


class Reply(NamedTuple):
    """An answer."""

    status: int
    content: bytes

    @property
    def is_ok(self) -> bool:
        """Whether it says 200."""
        return self.status == http.HTTPStatus.OK

    def json(self) -> Any:
        """Its body. Raises UnavailableError when that is no JSON."""
        try:
            return msgspec.json.decode(self.content)
        except MALFORMED as wrong:
            raise UnavailableError(f"no JSON came back: {self.content[:200]!r}") from wrong


class Caller:
    """Belongs to one thread."""

    def __init__(self, url: str, write_key: str, *, timeout_s: float = 10.0) -> None:
        self.url = url
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
        key = base64.b64encode(f"{write_key}:".encode()).decode()
        self._headers = {"content-type": "application/json", "authorization": f"Basic {key}"}

    def ask(self, method: str, path: str, body: Any = None) -> Reply:
        """One request, tried once.

        Raises:
            Unanswered: no whole answer came.
        """
        encoded = None if body is None else msgspec.json.encode(body)
        try:
            self._connection.request(method, path, encoded, self._headers)
            answer = self._connection.getresponse()
            return Reply(answer.status, answer.read())
        except (http.client.HTTPException, OSError) as broken:
            self._connection.close()
            said = str(broken) or type(broken).__name__
            raise Unanswered(f"{method} {self.url}{path}: no whole answer: {said}") from broken

    def post(self, path: str, body: Any) -> Any:
        """Say something; what the node answers.

        Raises:
            Unanswered: as `ask`.
            UnavailableError: another answer than 200 with JSON came.
        """
        reply = self.ask("POST", path, body)
        if not reply.is_ok:
            raise UnavailableError(f"{self.url}{path}: {reply.status}: {reply.content[:200]!r}")
        return reply.json()

    def shown(self, visitor: str, placement: str, **options: bool) -> list[str]:
        """The items that a placement shows a visitor.

        Raises:
            UnavailableError: as `post`.
        """
        body = {"anonymousId": visitor, "placements": [{"name": placement}], "options": options}
        return [item["id"] for item in self.post("/v1/decide", body)["placements"][placement]["items"]]

    def status(self) -> dict[str, Any]:
        """The node's own account.

        Raises:
            Unanswered: as `ask`.
            UnavailableError: the node answered something else.
        """
        reply = self.ask("GET", "/status")
        told = reply.json()
        if not reply.is_ok or not isinstance(told, dict):
            raise UnavailableError(f"/status answered {reply.status}: {reply.content[:200]!r}")
        return told

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._connection.close()
