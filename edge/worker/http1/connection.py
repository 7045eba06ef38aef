"""One client's connection: reads requests, lets them be answered one after the other, and says when it is enough.

The parser is llhttp, which is strict where proxies and servers differ: line ends, chunks, spaces, lengths. What it
lets by is refused here. After a refusal nothing that this client sends is looked at any more.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import httptools
from starlette.types import Scope
from typing_extensions import override

from edge.worker.guard import (
    HEADERS,
    LINGER_BYTES,
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MAX_TARGET_BYTES,
    WHOLE,
    body_too_large,
    headers_too_large,
    inspect_headers,
    malformed,
    target_too_long,
)
from edge.worker.http1.cycle import Cycle
from edge.worker.http1.deadlines import Entry
from edge.worker.http1.head import CONTINUE, END_OF_HEAD, body_length, check_expectation, path_of, place_of, target_in
from edge.worker.http1.limits import (
    BODIES_BYTES,
    LINGER_MS,
    MAX_QUEUED,
    SMALL_BODY_BYTES,
    WRITE_BUFFER_BYTES,
    WRITE_MS,
)
from edge.worker.problems import CLOSE, RETRY_AFTER, HttpProblem

if TYPE_CHECKING:
    from edge.worker.http1.server import Server

_IDLE: Final = 0
_HEAD: Final = 1
_BODY: Final = 2
_DEAF: Final = 3
"""Whatever comes in is thrown away: this client was refused, or has said that he is done."""
_ASGI: Final = {"version": "3.0", "spec_version": "2.4"}
_NEVER: Final = math.inf


class Connection(asyncio.Protocol):
    """Made by the server for each client."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._limits = server.limits
        self._phase = _IDLE
        self._parser = httptools.HttpRequestParser(self)
        # A second request in the packet of one that says `Connection: close` is no error of the first.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._waiting: deque[Cycle | bytes] = deque()
        """Requests whose turn to be answered has not come; bytes are a refusal, behind which nothing follows."""
        self._running: Cycle | None = None
        self._is_full = False
        """The kernel takes no more of our answers for now."""
        self._drained: asyncio.Future[None] | None = None
        self._gone: asyncio.Future[None] | None = None
        self.is_lost = False
        self.due_ms = _NEVER
        self.entry: Entry | None = None
        self._thrown_away = 0
        self._is_ended = False
        self._has_heard_all = False
        # Of the request that is being read:
        self._read_ms = 0.0
        self._began_here = False
        self._opens = False
        """What has just come begins with its request line."""
        self._head_bytes = 0
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._body_size = 0
        self._held_bytes = 0
        """Of it, those that count against what all connections may hold."""
        self._bare_left = 0
        """Of a body that the parser does not read, because its request would like to speak another protocol."""
        self._keeps = True
        self._scope: Scope = {}

    # --- the client ---------------------------------------------------------------------------------------------------
    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop's are no subclass
        self._transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        server = self._server
        self._peer = _address(transport.get_extra_info("peername"))
        self._own = _address(transport.get_extra_info("sockname"))
        self._scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        is_full = len(server.connections) >= self._limits.connections
        server.connections.add(self)
        if is_full:
            server.shed("connection")
            self._refuse(server.no_room)
            return
        self._wait_until(server.now_ms() + self._limits.idle_ms)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self._server.forget(self)
        # It holds our methods, and we hold it: nobody collects such cycles soon, where nearly nothing is collected.
        del self._parser
        self._let_go_of_body()
        self.due_ms = _NEVER
        self._waiting.clear()
        for future in (self._drained, self._gone):
            if future is not None and not future.done():
                future.set_result(None)

    @override
    def eof_received(self) -> bool:
        # He has said all; answers that he waits for are still sent, half a request is none.
        if self._phase in {_HEAD, _BODY} or (self._running is None and not self._waiting):
            return False
        self._phase = _DEAF
        self._has_heard_all = True
        return self._scheme == "http"  # TLS cannot be closed by halves

    @override
    def pause_writing(self) -> None:
        self._is_full = True
        self._transport.pause_reading()
        self._wait_until(self._server.now_ms() + WRITE_MS)

    @override
    def resume_writing(self) -> None:
        self._is_full = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if self.is_lost or self._transport.is_closing():
            return
        self._wait_until(self._server.now_ms() + self._limits.idle_ms)
        if self._running is None:
            self._next()

    def expire(self, now_ms: float) -> None:
        """Its time is up: half a request is told so, a slow reader is left, an idle one let go."""
        self.due_ms = _NEVER
        if self._is_full or self._is_ended or self._transport.is_closing():
            self.abort()
        elif self._running is not None or self._waiting:
            self.due_ms = now_ms + self._limits.idle_ms  # it is we who are slow
        elif self._phase == _IDLE:
            self._transport.close()
        else:
            what = "head" if self._phase == _HEAD else "body"
            detail = f"the {what} did not arrive in time"
            self._refuse_problem(HttpProblem(HTTPStatus.REQUEST_TIMEOUT, f"{what}-timeout", detail, headers=[CLOSE]))

    # --- reading ------------------------------------------------------------------------------------------------------
    @override
    def data_received(self, data: bytes) -> None:
        if self._phase == _DEAF:
            self._throw_away(len(data))
            return
        self._read_ms = self._server.turn()
        self._opens = self._phase == _IDLE
        try:
            if len(data) <= MAX_HEADER_BYTES and self._phase == _IDLE:
                try:
                    self._parser.feed_data(data)
                except httptools.HttpParserUpgrade as offered:
                    self._feed(data[offered.args[0] :])
            else:
                self._feed(data)
        except httptools.HttpParserCallbackError as failed:
            self._refuse_problem(_cause(failed))
        except httptools.HttpParserError as wrong:
            if self._opens and not self._target:
                self._target = target_in(data)  # a byte in it is none of HTTP's; it still says who reads the refusal
            self._refuse_problem(malformed(f"not HTTP/1.1: {wrong}"))
        except HttpProblem as refused:
            self._refuse_problem(refused)
        if self._phase == _HEAD:
            self._wait_until(self._began_ms + self._limits.head_ms)

    def _feed(self, data: bytes) -> None:
        """In pieces, while a head may be in them: the parser keeps a header's value until its end, however long."""
        start = 0
        while start < len(data) and self._phase != _DEAF:
            if self._bare_left:
                piece = data[start : start + self._bare_left]
                start += len(piece)
                self._bare_left -= len(piece)
                self.on_body(piece)
                if not self._bare_left:
                    self._complete()
                continue
            piece = data[start:] if self._phase == _BODY else data[start : start + MAX_HEADER_BYTES]
            self._began_here = False
            try:
                self._parser.feed_data(piece)
                start += len(piece)
            except httptools.HttpParserUpgrade as offered:
                start += offered.args[0]
            if self._phase == _HEAD and not self._began_here:
                self._head_bytes += len(piece)
                if self._head_bytes > MAX_HEADER_BYTES:
                    raise headers_too_large(f"more than {MAX_HEADER_BYTES} bytes of headers")

    def on_message_begin(self) -> None:
        """Called by the parser, as are the others."""
        self._phase = _HEAD
        self._began_ms = self._read_ms
        self._began_here = True
        self._head_bytes = 0
        self._target = b""
        self._headers = []

    def on_url(self, piece: bytes) -> None:
        """A part of the target."""
        self._target += piece
        if len(self._target) > MAX_TARGET_BYTES:
            raise target_too_long()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or behind a body in chunks a trailer."""
        if self._phase != _HEAD:
            raise malformed("a trailer; none is read")
        headers = self._headers
        headers.append((name.lower(), value))
        if len(headers) > MAX_HEADERS:
            raise headers_too_large(f"more than {MAX_HEADERS} headers")

    def on_headers_complete(self) -> None:
        """The head is whole."""
        parser, version = self._parser, self._parser.get_http_version()
        if version not in {"1.1", "1.0"}:
            raise malformed(f"HTTP/{version}; 1.1 is spoken here")
        headers = inspect_headers(self._headers)
        method = parser.get_method()
        if method == b"CONNECT":
            raise malformed("CONNECT; this is no proxy")
        place = place_of(self._target, headers[b"host"])
        most_bytes = self._limits.body_bytes
        length = body_length(headers, version, most_bytes=most_bytes)
        waits = check_expectation(headers) and version == "1.1"
        self._scope = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "method": method.decode("ascii"),
            "scheme": self._scheme,
            "path": place.path,
            "raw_path": place.raw_path,
            "query_string": place.query,
            "root_path": "",
            "headers": self._headers,
            "client": self._peer,
            "server": self._own,
            HEADERS: headers,
            WHOLE: True,
        }
        self._keeps = version == "1.1" and parser.should_keep_alive()
        self._phase = _BODY
        if length == 0:
            return
        if parser.should_upgrade():
            # Answered in HTTP/1.1, as RFC 9110, 7.8 lets us. The parser takes what follows for the other protocol, so
            # it is counted here; a client may offer one with each request (Java's does).
            if length is None:
                raise malformed("Upgrade with a body in chunks")
            self._bare_left = length
        if waits:
            if (length or 0) > most_bytes:
                raise body_too_large(most_bytes)
            if self._running is None and not self._waiting:
                self._transport.write(CONTINUE)
        self._wait_until(self._read_ms + self._limits.body_ms)

    def on_body(self, piece: bytes) -> None:
        """A part of the body. What is too large is thrown away and refused at its end, so that the refusal is read."""
        size = self._body_size = self._body_size + len(piece)
        most_bytes = self._limits.body_bytes
        if size > most_bytes:
            if size > LINGER_BYTES:
                raise body_too_large(most_bytes)
            self._let_go_of_body()
            return
        self._body.append(piece)
        if size > SMALL_BODY_BYTES:
            self._server.body_bytes += size - self._held_bytes
            self._held_bytes = size
            if self._server.body_bytes > BODIES_BYTES:
                detail = "too many large bodies at a time; try again"
                raise HttpProblem(HTTPStatus.SERVICE_UNAVAILABLE, "overload", detail, headers=[RETRY_AFTER, CLOSE])

    def on_message_complete(self) -> None:
        """The request is whole, unless the parser leaves its body to us."""
        if not self._bare_left:
            self._complete()

    def _complete(self) -> None:
        if self._body_size > self._limits.body_bytes:
            raise body_too_large(self._limits.body_bytes)
        body = b""
        if self._body_size:
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            self._let_go_of_body()
            self._body_size = 0
        self._phase = _IDLE if self._keeps else _DEAF
        self._target = b""  # what is wrong from here on is not about it
        self._opens = False
        scope = self._scope
        if self._running is None and not self._waiting and self._server.refuses(scope["method"], scope["path"]):
            refusal = self._server.overloaded(scope["path"], closes=not self._keeps)
            if scope["method"] == "HEAD":  # else its body would be taken for the next answer
                refusal = refusal[: refusal.index(END_OF_HEAD) + len(END_OF_HEAD)]
            if self._keeps:
                self._transport.write(refusal)
                self.due_ms = self._read_ms + self._limits.idle_ms
            else:
                self._refuse(refusal)
            return
        cycle = Cycle(self, scope, body, keeps=self._keeps and not self._server.is_leaving)
        if self._running is None and not self._waiting and not self._is_full:
            self._start(cycle)
            return
        if len(self._waiting) >= MAX_QUEUED:
            raise malformed(f"more than {MAX_QUEUED} requests ahead of their answers")
        self._waiting.append(cycle)
        self._transport.pause_reading()

    def _let_go_of_body(self) -> None:
        self._server.body_bytes -= self._held_bytes
        self._held_bytes = 0
        self._body = []

    # --- answering ----------------------------------------------------------------------------------------------------
    def _start(self, cycle: Cycle) -> None:
        self._running = cycle
        self._server.run(cycle)

    def finish(self, cycle: Cycle) -> None:
        """An answer is out: on to the next request, or to the end."""
        self._running = None
        if self.is_lost:
            return
        if self._waiting:
            if not cycle.keeps:
                self._end()
            elif not self._is_full:
                self._next()
        elif not cycle.keeps or self._phase == _DEAF or self._server.is_leaving:
            self._end()
        elif self._phase == _IDLE:
            self.due_ms = self._server.now_ms() + self._limits.idle_ms
        else:
            self._wait_until(self._read_ms + (self._limits.head_ms if self._phase == _HEAD else self._limits.body_ms))

    def _next(self) -> None:
        if self._waiting:
            following = self._waiting.popleft()
            if isinstance(following, bytes):
                self._refuse(following)
                return
            self._start(following)
        if not self._waiting and not self._transport.is_closing():
            self._transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Send a part of the running answer."""
        self._transport.write(data)

    async def drained(self) -> None:
        """Wait until the kernel takes more."""
        if self._is_full and not self.is_lost:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    async def lost(self) -> None:
        """Wait until the client has gone."""
        if not self.is_lost:
            self._gone = self._gone or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._gone)

    @property
    def date(self) -> bytes:
        """The line for an answer's head."""
        return self._server.date

    def failed(self, path: str, error: Exception) -> None:
        """Note that the application raised."""
        self._server.failed(path, error)

    # --- the end ------------------------------------------------------------------------------------------------------
    def refuse_now(self, path: str) -> None:
        """The application has not answered."""
        detail = "an error of ours; it was logged"
        problem = HttpProblem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", detail, headers=[CLOSE])
        self._refuse(self._server.refusal(path, problem))

    def leave(self) -> None:
        """The worker ends: close now, or behind the answer to what has begun."""
        if self._phase == _IDLE and self._running is None and not self._waiting:
            self._transport.close()

    def abort(self) -> None:
        """Close without another word."""
        self._transport.abort()

    def _refuse_problem(self, problem: HttpProblem) -> None:
        self._let_go_of_body()
        refusal = self._server.refusal(path_of(self._target), problem)
        if self._running is None and not self._waiting:
            self._refuse(refusal)
        else:
            # What was asked before is answered before.
            self._phase = _DEAF
            self._waiting.append(refusal)

    def _refuse(self, refusal: bytes) -> None:
        self._waiting.clear()
        self._transport.write(refusal)
        self._end()

    def _end(self) -> None:
        """Say that this was all, and wait until he has read it: with input unread, a close would be a reset."""
        if self._is_ended:
            return
        self._is_ended = True
        self._waiting.clear()
        self._phase = _DEAF
        if self._transport.can_write_eof() and not self._has_heard_all and self._server.may_linger():
            self._transport.write_eof()
            self._transport.resume_reading()
        else:
            self._transport.close()
        self._wait_until(self._server.now_ms() + LINGER_MS)

    def _throw_away(self, size: int) -> None:
        self._thrown_away += size
        if self._thrown_away > LINGER_BYTES:
            self.abort()

    def _wait_until(self, due_ms: float) -> None:
        self.due_ms = due_ms
        self._server.deadlines.watch(self)


def _address(name: object) -> tuple[str, int] | None:
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) else None


def _cause(failed: httptools.HttpParserCallbackError) -> HttpProblem:
    """What a callback of ours raised inside the parser."""
    cause = failed.__context__
    if isinstance(cause, HttpProblem):
        return cause
    raise failed
