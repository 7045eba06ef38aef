"""The node's own HTTP server, on a real socket, with an application of the test's own behind it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from edge_world import silent_log
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from edge.worker.admission import Admission
from edge.worker.guard import HEADERS, LINGER_BYTES
from edge.worker.http1.limits import Limits
from edge.worker.http1.server import Server
from edgewise.clock import SystemClock

TIMEOUT_S = 20.0
BODY_BYTES = 100_000
HOST = b"Host: node\r\n"


class App:
    """Answers with what it was asked; holds `/held` until it is let go."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.holding = threading.Event()
        self.let_go = asyncio.Event()
        self.app = Starlette(routes=[Route("/{path:path}", self)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, path = (await receive())["body"], scope["path"]
        if path == "/held":
            self.holding.set()
            await self.let_go.wait()
        if path == "/raises":
            raise RuntimeError("on purpose")
        headers = [(b"x-evil", b"a\r\nset-cookie: b")] if path == "/splits" else []
        if path == "/silent":
            return
        if path == "/streams":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            for part in (b"one", b"two"):
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            return
        told = {
            "method": scope["method"],
            "path": path,
            "query": scope["query_string"].decode(),
            "body": body.decode(),
            "headers": {name.decode(): value.decode() for name, value in scope[HEADERS].items()},
        }
        answer = json.dumps(told).encode()
        if path == "/nothing":
            await send({"type": "http.response.start", "status": 204, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        if path == "/large":
            answer = b"x" * (8 << 20)
        headers = [*headers, (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


class Running:
    """The server in a thread of its own."""

    def __init__(self, **limits: Any) -> None:
        known: dict[str, Any] = {
            "head_ms": 20_000.0,
            "body_ms": 20_000.0,
            "idle_ms": 20_000.0,
            "body_bytes": BODY_BYTES,
            "connections": 100,
        }
        self.limits = Limits(**{**known, **limits})
        self.shed: list[str] = []
        self.admission = Admission(target_ms=1_000.0, most_ms=1_000.0)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listening.getsockname()[1]
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.app = App(self.loop)
        self.server = Server(
            self.app.app,
            limits=self.limits,
            clock=SystemClock(),
            log=silent_log(),
            admission=self.admission,
            shed=self.shed.append,
        )
        self.loop.call_soon(self._ready.set)
        await self.server.serve(self.listening, tls=None, patience_s=TIMEOUT_S)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(TIMEOUT_S)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.server.stop)

    def join(self) -> None:
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def let_go(self) -> None:
        self.loop.call_soon_threadsafe(self.app.let_go.set)

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S) as connection:
            client = Client(connection)
            try:
                yield client
            finally:
                client.close()


class Client:
    """Sends bytes as they are, and reads answers."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._heard = connection.makefile("rb")

    def close(self) -> None:
        self._heard.close()
        self.connection.close()

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def answer(self, *, head_only: bool = False) -> tuple[int, dict[str, str], bytes]:
        line = self._heard.readline()
        assert line.startswith(b"HTTP/1.1 "), line
        headers: dict[str, str] = {}
        while (field := self._heard.readline()) != b"\r\n":
            name, _, value = field.decode().partition(": ")
            headers[name.lower()] = value.strip()
        if "transfer-encoding" in headers:
            body = b""
            while size := int(self._heard.readline(), 16):
                body += self._heard.read(size)
                assert self._heard.read(2) == b"\r\n"
            assert self._heard.readline() == b"\r\n"
        else:
            body = b"" if head_only else self._heard.read(int(headers.get("content-length", 0)))
        return int(line.split()[1]), headers, body

    def told(self) -> dict[str, Any]:
        status, _, body = self.answer()
        assert status == 200, body
        told: dict[str, Any] = json.loads(body)
        return told

    def refused(self, status: int) -> dict[str, Any]:
        """A problem, behind which the connection is closed."""
        found, headers, body = self.answer()
        assert found == status, body
        assert headers["content-type"] == "application/problem+json"
        assert headers["connection"] == "close"
        assert self.is_closed()
        problem: dict[str, Any] = json.loads(body)
        return problem

    def is_closed(self) -> bool:
        """Waits for it; false when something else comes."""
        return self._heard.read(1) == b""


@contextlib.contextmanager
def serving(**limits: Any) -> Iterator[Running]:
    """A server until the block ends, which may also stop and join it itself."""
    made = Running(**limits)
    made.start()
    try:
        yield made
    finally:
        if made.is_alive():
            made.stop()
            made.join()


@pytest.fixture
def running() -> Iterator[Running]:
    with serving() as made:
        yield made


def get(path: str, extra: bytes = b"") -> bytes:
    return b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + extra + b"\r\n"


def post(path: str, body: bytes, extra: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n%b" % (path.encode(), HOST, extra, len(body), body)


# --- what is read -------------------------------------------------------------------------------------------------
def test_requests_follow_each_other_on_one_connection(running: Running) -> None:
    with running.client() as client:
        for number in range(3):
            client.send(post(f"/a%20b?n={number}", b"hello"))
            told = client.told()
            assert (told["method"], told["path"], told["query"], told["body"]) == (
                "POST",
                "/a b",
                f"n={number}",
                "hello",
            )


def test_a_request_may_come_byte_by_byte(running: Running) -> None:
    with running.client() as client:
        client.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in post("/slow", b"hello", b"X-Y: z\r\n"):
            client.send(bytes([byte]))
        told = client.told()
        assert (told["body"], told["headers"]["x-y"]) == ("hello", "z")


def test_requests_sent_ahead_are_answered_in_their_order(running: Running) -> None:
    with running.client() as client:
        client.send(b"".join(post(f"/{number}", str(number).encode()) for number in range(20)))
        assert [client.told()["body"] for _ in range(20)] == [str(number) for number in range(20)]


def test_a_body_in_chunks_is_put_together(running: Running) -> None:
    with running.client() as client:
        client.send(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        client.send(b"1;x=y\r\n!\r\n0\r\n\r\n" + get("/next"))
        assert client.told()["body"] == "hello!"
        assert client.told()["path"] == "/next"


def test_a_large_body_is_read_and_one_too_large_refused_at_its_end(running: Running) -> None:
    with running.client() as client:
        client.send(post("/", b"x" * BODY_BYTES))
        assert len(client.told()["body"]) == BODY_BYTES
        client.send(post("/", b"x" * (BODY_BYTES + 1)))
        assert "at most" in client.refused(413)["detail"]
    with running.client() as client:
        client.send(post("/", b"")[:-4].replace(b": 0", b": %d" % (LINGER_BYTES + 1)) + b"\r\n\r\n")
        client.refused(413)


def test_who_waits_to_be_asked_for_the_body_is_asked(running: Running) -> None:
    with running.client() as client:
        whole = post("/", b"hello", b"Expect: 100-continue\r\n")
        client.send(whole[:-5])
        assert client.connection.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(whole[-5:])
        assert client.told()["body"] == "hello"
        client.send(
            post("/", b"x" * (BODY_BYTES + 1), b"Expect: 100-continue\r\n").partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        )
        client.refused(413)
    with running.client() as client:
        client.send(post("/", b"hello", b"Expect: a-miracle\r\n"))
        client.refused(417)


def test_who_offers_another_protocol_is_answered_in_this_one(running: Running) -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    with running.client() as client:
        client.send(post("/one", b"hello", offer) + get("/two", offer))
        assert client.told()["body"] == "hello"
        assert client.told()["path"] == "/two"
        whole = post("/three", b"hello", offer)
        client.send(whole[:-3])
        client.send(whole[-3:] + get("/four"))
        assert client.told()["body"] == "hello"
        assert client.told()["path"] == "/four"


def test_the_absolute_form_of_a_target_names_the_same_host(running: Running) -> None:
    with running.client() as client:
        client.send(b"GET http://node/a?b HTTP/1.1\r\n" + HOST + b"\r\n")
        told = client.told()
        assert (told["path"], told["query"]) == ("/a", "b")
        client.send(b"GET http://other/a HTTP/1.1\r\n" + HOST + b"\r\n")
        assert "another host" in client.refused(400)["detail"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"CONNECT node:80 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /#a HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (get("/" + "x" * 9_000), 414),
        (get("/", b"X: " + b"y" * 17_000 + b"\r\n"), 431),
        (get("/", b"X: y\r\n" * 101), 431),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: a\r\n\r\n", 400),
        (
            b"POST / HTTP/1.1\r\n"
            + HOST
            + b"Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
    ],
)
def test_what_is_refused_ends_its_connection(running: Running, request_: bytes, status: int) -> None:
    with running.client() as client:
        client.send(request_ + get("/never"))
        client.refused(status)


def test_what_was_asked_before_a_refusal_is_answered_before_it(running: Running) -> None:
    with running.client() as client:
        client.send(get("/held") + get("/second") + b"GARBAGE\r\n\r\n" + get("/never"))
        assert running.app.holding.wait(TIMEOUT_S)
        running.let_go()
        assert [client.told()["path"] for _ in range(2)] == ["/held", "/second"]
        client.refused(400)


def test_too_many_requests_ahead_of_their_answers_are_refused(running: Running) -> None:
    with running.client() as client:
        client.send(get("/held") + get("/a") * 100)
        assert running.app.holding.wait(TIMEOUT_S)
        running.let_go()
        answered = 0
        while (found := client.answer())[0] == 200:
            answered += 1
        assert found[0] == 400
        assert answered < 100
        assert client.is_closed()


# --- what is answered ---------------------------------------------------------------------------------------------
def test_heads_have_no_body_and_nothing_has_no_length(running: Running) -> None:
    with running.client() as client:
        client.send(b"HEAD /a HTTP/1.1\r\n" + HOST + b"\r\n" + get("/nothing") + get("/streams") + get("/last"))
        status, headers, _ = client.answer(head_only=True)
        assert (status, int(headers["content-length"]) > 0) == (200, True)
        status, headers, _ = client.answer()
        assert (status, "content-length" in headers, headers["date"][-3:]) == (204, False, "GMT")
        assert client.answer()[2] == b"onetwo"
        assert client.told()["path"] == "/last"


def test_the_client_says_when_it_was_the_last_request(running: Running) -> None:
    for request_ in (
        get("/", b"Connection: close\r\n") + get("/never"),
        b"GET / HTTP/1.0\r\n" + HOST + b"\r\n" + get("/never"),
    ):
        with running.client() as client:
            client.send(request_)
            status, headers, _ = client.answer()
            assert (status, headers["connection"]) == (200, "close")
            assert client.is_closed()


def test_who_closes_his_half_is_still_answered(running: Running) -> None:
    with running.client() as client:
        client.send(get("/held"))
        client.connection.shutdown(socket.SHUT_WR)
        assert running.app.holding.wait(TIMEOUT_S)
        running.let_go()
        assert client.told()["path"] == "/held"
        assert client.is_closed()


@pytest.mark.parametrize("path", ["/raises", "/splits", "/silent"])
def test_an_application_that_fails_answers_500_and_harms_nobody_else(running: Running, path: str) -> None:
    with running.client() as client, running.client() as other:
        client.send(get(path))
        assert client.answer()[0] == 500
        other.send(get("/fine"))
        assert other.told()["path"] == "/fine"


def test_who_reads_late_gets_all_of_it(running: Running) -> None:
    with running.client() as client:
        client.send(get("/large") * 3 + get("/last"))
        for _ in range(3):
            assert len(client.answer()[2]) == 8 << 20
        assert client.told()["path"] == "/last"


# --- limits -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("sent", "status"),
    [(b"GET / HT", 408), (get("/")[:-2], 408), (post("/", b"hello")[:-1], 408), (b"", None), (get("/first"), None)],
)
def test_who_does_not_go_on_in_time_is_let_go(sent: bytes, status: int | None) -> None:
    with serving(head_ms=200.0, body_ms=200.0, idle_ms=200.0) as running, running.client() as client:
        client.send(sent)
        if status is not None:
            client.refused(status)
        else:
            if sent:
                assert client.told()["path"] == "/first"
            assert client.is_closed()


def test_each_byte_renews_no_limit() -> None:
    with serving(head_ms=300.0) as running, running.client() as client:
        client.send(b"GET / HTTP/1.1\r\n" + HOST + b"X: ")
        client.connection.settimeout(0.02)
        heard = b""
        while not heard:
            with contextlib.suppress(TimeoutError):
                heard = client.connection.recv(12)
            if not heard:
                client.connection.send(b"y")
        assert heard == b"HTTP/1.1 408"


def test_a_client_too_many_is_told_so_and_another_one_may_come_when_one_has_gone() -> None:
    with serving(connections=2) as running, running.client() as first, running.client() as second:
        for client in (first, second):
            client.send(get("/"))
            client.told()
        with running.client() as third:
            status, headers, _ = third.answer()
            assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
            assert third.is_closed()
        assert running.shed == ["connection"]
        first.send(get("/", b"Connection: close\r\n"))
        first.told()
        assert first.is_closed()
        first.close()
        while True:  # until the server has heard of it
            with running.client() as fourth:
                fourth.send(get("/fourth"))
                if fourth.answer()[0] == 200:
                    break


def test_under_overload_the_many_are_refused_and_a_visitor_s_will_is_not() -> None:
    with serving() as running:
        running.admission = running.server.admission = Admission(target_ms=1_000.0, most_ms=-1.0)
        running.admission.level = 3.0
        with running.client() as client:
            for _ in range(3):
                client.send(post("/v1/decide", b"{}"))
                status, headers, body = client.answer()
                assert (status, headers["retry-after"], json.loads(body)["status"]) == (503, "1", 503)
                assert "connection" not in headers, "a new connection would cost more than the refusal"
            client.send(post("/v1/preferences", b"{}") + get("/health/live"))
            assert [client.told()["path"] for _ in range(2)] == ["/v1/preferences", "/health/live"]
            client.send(post("/v1/track", b"{}", b"Connection: close\r\n"))
            client.refused(503)
        assert running.shed == ["refuse"] * 4


def test_a_closed_connection_is_freed_without_a_collector(running: Running) -> None:
    gc.disable()
    try:
        with running.client() as client:
            client.send(get("/"))
            client.told()
            (kept,) = (weakref.ref(connection) for connection in running.server.connections)
        with running.client() as other:
            while kept() is not None:  # the close is heard of in some turn of the server's loop
                other.send(get("/"))
                other.told()
    finally:
        gc.enable()


# --- the end ------------------------------------------------------------------------------------------------------
def test_what_was_accepted_in_the_turn_of_the_stop_is_closed_too() -> None:
    with serving() as running:
        connected, holds = threading.Event(), threading.Event()

        def hold() -> None:
            holds.set()
            assert connected.wait(TIMEOUT_S)
            running.loop.call_soon(running.server.stop)  # runs in the turn in which the connection is accepted

        running.loop.call_soon_threadsafe(hold)
        assert holds.wait(TIMEOUT_S)
        with running.client() as client:
            connected.set()
            assert client.is_closed()
        running.join()


def test_a_server_that_stops_finishes_what_has_begun() -> None:
    with serving() as running, running.client() as idle, running.client() as half, running.client() as held:
        idle.send(get("/"))
        idle.told()
        half.send(post("/half", b"hello")[:-2])
        held.send(get("/held"))
        assert running.app.holding.wait(TIMEOUT_S)
        running.stop()
        assert idle.is_closed()
        with pytest.raises(ConnectionRefusedError), running.client():
            pass
        half.send(b"lo")
        status, headers, _ = half.answer()
        assert (status, headers["connection"]) == (200, "close")
        running.let_go()
        assert held.told()["path"] == "/held"
        assert held.is_closed()
        half.close()
        held.close()
        running.join()
