"""A visitor sends the same message until a node has it, and writes down what he was told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NoReturn

import pytest
from processes import until
from typing_extensions import override

from edgewise.clock import SystemClock
from edgewise.errors import UnavailableError
from hub.prove.journal import Journal
from hub.prove.visitors import visiting

Answer = Callable[[str, Any], tuple[int, Any] | None]
"""From path and body: status and body, or None to break the connection."""


@contextmanager
def node(answer: Answer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            told = answer(self.path, json.loads(self.rfile.read(int(self.headers["content-length"]))))
            if told is None:
                self.close_connection = True
                return
            content = json.dumps(told[1]).encode()
            self.send_response(told[0])
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        @override
        def log_message(self, format: str, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def visit(answer: Answer, kind: str, enough: threading.Event) -> Journal:
    journal = Journal()
    with node(answer) as url, visiting(url, "key", journal, SystemClock(), seed=1, kinds=(kind,)):
        assert enough.wait(20.0)
    return journal


def test_what_breaks_or_is_refused_is_sent_again_under_the_same_id() -> None:
    heard: list[str] = []
    enough = threading.Event()

    def answer(path: str, body: Any) -> tuple[int, Any] | None:
        assert path == "/v1/track"
        heard.append(body["messageId"])
        if len(heard) == 1:
            return None
        if len(heard) == 2:
            return 503, {}
        enough.set()
        return 200, {"success": True}

    journal = visit(answer, "track", enough)
    assert heard[0] == heard[1] == heard[2]
    assert list(journal.acknowledged) == list(dict.fromkeys(heard))
    assert set(journal.acknowledged.values()) == {"visitor-1-0"}
    assert (journal.retries["track"], journal.offered_again, journal.unknown) == (2, 2, {})
    assert not journal.wrong


def test_who_is_sent_home_does_not_insist() -> None:
    journal = Journal()

    def bad_end(url: str) -> NoReturn:
        with visiting(url, "key", journal, SystemClock(), seed=1, kinds=("track",)):
            until(lambda: journal.retries["track"])
            raise UnavailableError("the hub did not start")

    with node(lambda *_: None) as url, pytest.raises(UnavailableError, match="the hub did not start"):
        bad_end(url)
    assert len(journal.unknown) == 1


def test_of_a_batch_what_was_rejected_is_not_acknowledged() -> None:
    heard: list[list[str]] = []
    enough = threading.Event()

    def answer(_: str, body: Any) -> tuple[int, Any]:
        heard.append([call["messageId"] for call in body["batch"]])
        enough.set()
        return 200, {"success": True, "rejected": [{"index": 2, "path": "$", "message": "no"}]}

    journal = visit(answer, "batch", enough)
    assert heard[0][2] in journal.unknown
    assert heard[0][2] not in journal.acknowledged
    assert set(heard[0]) - {heard[0][2]} <= set(journal.acknowledged)
    assert journal.wrong["a valid event was rejected: no"] == len(heard)


def test_a_decision_is_written_down_by_its_id_and_an_error_as_one() -> None:
    asked = 0
    enough = threading.Event()

    def answer(path: str, _: Any) -> tuple[int, Any]:
        nonlocal asked
        assert path == "/v1/decide"
        asked += 1
        if asked == 1:
            return 200, {"decisionId": "d-1"}
        enough.set()
        return 500, {"title": "no"}

    journal = visit(answer, "decide", enough)
    assert journal.decided == {"d-1"}
    assert list(journal.acknowledged) == ["visitor-1-0-1"]
    assert journal.wrong["/v1/decide answered 500"] == asked - 1
