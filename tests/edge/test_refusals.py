"""How refusals are told over a real socket: by content under `/v1/fragment/`, in OFREP's words under `/ofrep/`."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Sequence
from pathlib import Path

from edge_world import bundle_files, install, open_desk, silent_log
from world import HERO

from edge.node.layout import NodePaths
from edge.worker.admission import Admission
from edge.worker.app import make_app
from edge.worker.http1.limits import Limits
from edge.worker.http1.server import Server
from edge.worker.refusals import Refusals
from edgewise.clock import SystemClock

Answer = tuple[int, dict[str, str], str]
END = " HTTP/1.1\r\nhost: a\r\n\r\n"
FRAGMENT = f"GET /v1/fragment/{HERO}"
FLAG = "POST /ofrep/v1/evaluate/flags/hero"


class Overloaded(Admission):
    """There is no time for anybody."""

    def __init__(self) -> None:
        super().__init__(target_ms=1.0, most_ms=-1.0)


def told(folder: Path, *connections: Sequence[str], admission: Admission | None = None) -> list[list[Answer]]:
    """What a node answers to each piece that is sent on a connection; heads may take 100 ms."""
    install(NodePaths(folder), bundle_files())
    desk = open_desk(folder)

    async def run() -> list[list[Answer]]:
        server = Server(
            make_app(desk),
            limits=Limits(head_ms=100.0, body_ms=20_000.0, idle_ms=20_000.0, body_bytes=10_000, connections=10),
            clock=SystemClock(),
            log=silent_log(),
            admission=admission or Admission(target_ms=1_000.0, most_ms=1_000.0),
            shed=desk.counts.shed_at,
            telling=Refusals(desk),
        )
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setblocking(False)
        port = listening.getsockname()[1]
        serving = asyncio.create_task(server.serve(listening, tls=None, patience_s=20))
        answers = [await asyncio.wait_for(_talk(port, pieces), 20) for pieces in connections]
        server.stop()
        await serving
        return answers

    return asyncio.run(run())


async def _talk(port: int, pieces: Sequence[str]) -> list[Answer]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = []
    for piece in pieces:
        writer.write(piece.encode("latin-1"))
        line = (await reader.readline()).decode()
        headers: dict[str, str] = {}
        while (field := (await reader.readline()).decode().strip()) != "":
            name, _, value = field.partition(": ")
            headers[name.lower()] = value
        length = 0 if piece.startswith("HEAD ") else int(headers["content-length"])
        body = await reader.readexactly(length)
        answers.append((int(line.split()[1]), headers, body.decode()))
    writer.close()
    return answers


def test_a_fragment_that_is_refused_before_anybody_looks_at_it_is_the_fallback(tmp_path: Path) -> None:
    """Each on a connection of its own, which ends behind it; the last one never finishes its head."""
    wrong = {
        "target-too-long": f"{FRAGMENT}?path={'a' * 9_000}{END}",
        "headers-too-large": f"{FRAGMENT} HTTP/1.1\r\nhost: a\r\nx: {'a' * 17_000}\r\n\r\n",
        "malformed-request": f"{FRAGMENT} HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "expectation": f"{FRAGMENT} HTTP/1.1\r\nhost: a\r\nexpect: tea\r\n\r\n",
        "too-large": f"{FRAGMENT} HTTP/1.1\r\nhost: a\r\ncontent-length: {1 << 40}\r\n\r\n",
        "head-timeout": f"{FRAGMENT} HTTP/1.1\r\nhost: a\r\n",
    }
    for why, ((status, headers, body),) in zip(
        wrong, told(tmp_path, *([sent] for sent in wrong.values())), strict=True
    ):
        assert (status, headers["edgewise-fallback"], headers["connection"]) == (200, why, "close")
        assert headers["cache-control"] == "private, no-store"
        assert f'data-edgewise-placement="{HERO}"><div data-edgewise-item="film-20">' in body


def test_a_byte_that_a_target_may_not_have_makes_no_error_page_of_a_fragment(tmp_path: Path) -> None:
    """As a proxy sends it that passes a page's address on undone: `käse` in UTF-8."""
    query = f"\r\n{FRAGMENT}?path=/k\xc3\xa4se{END}"
    name = f"GET /v1/fragment/k\xc3\xa4se{END}"
    flag = f"POST /ofrep/v1/evaluate/flags/k\xc3\xa4se{END}"
    ((asked,), (nobody,), (nothing,), (behind, page)) = told(tmp_path, [query], [name], [flag], [FRAGMENT + END, name])
    assert (asked[0], asked[1]["edgewise-fallback"]) == (200, "malformed-request")
    assert 'data-edgewise-item="film-20"' in asked[2]
    assert (nobody[0], nobody[1]["content-type"]) == (200, "text/html; charset=utf-8")
    assert (nothing[0], json.loads(nothing[2])["errorCode"]) == (400, "GENERAL")
    assert (behind[0], page[0]) == (200, 200)


def test_what_is_wrong_behind_a_fragment_is_no_fragment(tmp_path: Path) -> None:
    ((fragment, garbage),) = told(tmp_path, [FRAGMENT + END, "what is this\r\n\r\n"])
    assert (fragment[0], fragment[1]["content-type"]) == (200, "text/html; charset=utf-8")
    assert (garbage[0], garbage[1]["content-type"]) == (400, "application/problem+json")


def test_an_overloaded_node_answers_fragments_with_the_fallback_and_flags_in_their_words(tmp_path: Path) -> None:
    decide = "POST /v1/decide HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}"
    head = FRAGMENT.replace("GET", "HEAD")
    ((fragment, _, again, flag, plain),) = told(
        tmp_path, [FRAGMENT + END, head + END, FRAGMENT + END, FLAG + END, decide], admission=Overloaded()
    )
    for status, headers, body in (fragment, again):
        assert (status, headers["edgewise-fallback"], "connection" in headers) == (200, "overload", False)
        assert 'data-edgewise-item="film-20"' in body
    assert (flag[0], flag[1]["retry-after"]) == (503, "1")
    assert json.loads(flag[2]).keys() == {"key", "errorCode", "errorDetails"}
    assert (plain[0], plain[1]["content-type"]) == (503, "application/problem+json")
