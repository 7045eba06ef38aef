"""Real worker processes behind one port: what one has taken, every other knows; whatever way one ends."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from edge_world import KEYS, VISITOR, bundle_files, install, viewed
from spool_world import records_of
from world import HERO, LIST

from edge.node.claims import reserve_port
from edge.node.keys import replace_site_keys
from edge.node.layout import NodePaths
from edge.node.status import WorkerStatus, read_status
from edge.settings import EdgeSettings, encode_settings
from edgewise.records import EventRecord

pytestmark = pytest.mark.process

BASIC = "Basic " + base64.b64encode(b"demo:").decode()
DEADLINE_S = 20.0


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


class Node:
    """Some workers on one folder."""

    def __init__(self, folder: Path, port: int, workers: int, **settings: Any) -> None:
        known: dict[str, Any] = {"profile_map_bytes": 32 << 20, "log_level": "error"}
        self.paths = NodePaths(folder)
        self.port = port
        self.settings = EdgeSettings(data_dir=str(folder), port=port, workers=workers, **{**known, **settings})
        self.processes: list[subprocess.Popen[bytes]] = [self._start(index) for index in range(workers)]
        for index in range(workers):
            self.wait(index)

    def _start(self, index: int) -> subprocess.Popen[bytes]:
        command = ["-m", "edge.worker.run", "--index", str(index), "--settings", encode_settings(self.settings)]
        return subprocess.Popen([sys.executable, *command])

    def restart(self, index: int) -> None:
        self.processes[index] = self._start(index)
        self.wait(index)

    def wait(self, index: int) -> None:
        def listens() -> bool:
            assert self.processes[index].poll() is None, f"worker {index} ended"
            told = read_status(self.paths.worker_status(index), WorkerStatus)
            return told is not None and told.listening and told.pid == self.processes[index].pid

        until(listens, f"worker {index} does not listen")

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, http.client.HTTPMessage]:
        """One request on a connection of its own, so that the kernel picks the worker."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {"authorization": BASIC, **headers})
        with contextlib.closing(connection), connection.getresponse() as answer:
            return answer.status, json.loads(answer.read() or b"null"), answer.headers

    def decide(self, *placements: str, **fields: Any) -> dict[str, Any]:
        body = {"anonymousId": VISITOR, "placements": [{"name": name} for name in placements or (HERO,)], **fields}
        status, told, _ = self.ask("POST", "/v1/decide", body)
        assert status == 200, told
        answer: dict[str, Any] = told
        return answer

    def stop(self) -> list[int]:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        return [process.wait(DEADLINE_S) for process in self.processes]


@contextlib.contextmanager
def running(folder: Path, *, workers: int = 2, **settings: Any) -> Iterator[Node]:
    paths = NodePaths(folder)
    install(paths, bundle_files())
    replace_site_keys(paths, KEYS)
    with reserve_port("127.0.0.1", 0) as port:
        node = Node(folder, port, workers, **settings)
        try:
            yield node
        finally:
            for process in node.processes:
                process.kill()
                process.wait()


def test_two_workers_answer_as_one_node(tmp_path: Path) -> None:
    with running(tmp_path) as node:
        # Decisions are dealt out to both.
        def both() -> bool:
            node.decide()
            status, told, _ = node.ask("GET", "/status")
            assert status == 200
            return all(worker["decisions"] > 0 for worker in told["workers"])

        until(both, "one worker never decides")

        # A click counts at the next request, whoever answers it.
        for film in ("film-1", "film-2", "film-3", "film-5", "film-8"):
            body = {**viewed(film), "anonymousId": VISITOR}
            assert node.ask("POST", "/v1/track", body)[0] == 200
            for _ in range(4):
                shown = node.decide(LIST)["placements"][LIST]["items"]
                assert film not in {item["id"] for item in shown}

        # The same message is counted once, whoever hears it.
        for _ in range(12):
            body = {**viewed("film-9", "only-once"), "anonymousId": VISITOR}
            assert node.ask("POST", "/v1/track", body)[0] == 200
        once = [r for r in records_of(node.paths.spool) if isinstance(r, EventRecord) and r.message_id == "only-once"]
        assert len(once) == 1

        # Any worker can say why, at once.
        for _ in range(6):
            told = node.decide(HERO)
            status, why, _ = node.ask("GET", f"/v1/why/{told['decisionId']}")
            assert status == 200
            assert why["placements"][HERO]["items"][0]["id"] == told["placements"][HERO]["items"][0]["id"]

        # A visitor's will holds at the next request, whoever answers it.
        status, _, headers = node.ask("POST", "/v1/decide", {"placements": [{"name": LIST}]})
        cookie = str(headers["set-cookie"]).partition(";")[0]
        for dial, opted_out in ((0, True), (3, False), (0, True)):
            assert node.ask("PUT", "/v1/preferences", {"dial": dial}, cookie=cookie)[0] == 200
            for _ in range(6):
                _, told, _ = node.ask("POST", "/v1/decide", {"placements": [{"name": LIST}]}, cookie=cookie)
                assert (told["placements"][LIST]["reason"] == "OPTED_OUT") is opted_out

        created = node.ask("GET", "/status")[1]["spool"]["created"]
        assert node.stop() == [0, 0]
        assert len(records_of(node.paths.spool)) >= created


def test_no_acknowledged_event_is_lost_when_workers_are_killed(tmp_path: Path) -> None:
    with running(tmp_path) as node:
        acknowledged: set[str] = set()
        stopping = threading.Event()

        def click(sender: int) -> None:
            number = 0
            many = 150 if sender % 2 else 1  # a batch is taken in turns, and a kill may fall between two of them
            while not stopping.is_set():
                number += 1
                ids = [f"{sender}-{number}-{part}" for part in range(many)]
                calls = [{**viewed("film-1", message_id), "anonymousId": f"v-{sender}"} for message_id in ids]
                with contextlib.suppress(OSError, http.client.HTTPException):
                    sent = ("/v1/track", calls[0]) if many == 1 else ("/v1/batch", {"batch": calls})
                    if node.ask("POST", *sent)[0] == 200:
                        acknowledged.update(ids)

        senders = [threading.Thread(target=click, args=(sender,), daemon=True) for sender in range(4)]
        for sender in senders:
            sender.start()
        for kill in range(4):
            before = len(acknowledged)
            until(lambda before=before: len(acknowledged) > before + 500, "nothing is acknowledged")  # type: ignore[misc]
            node.processes[kill % 2].kill()
            node.processes[kill % 2].wait()
            node.restart(kill % 2)
        stopping.set()
        for sender in senders:
            sender.join()
        status, told, _ = node.ask("GET", "/status")
        assert status == 200
        assert node.stop() == [0, 0]
        records = [record for record in records_of(node.paths.spool) if isinstance(record, EventRecord)]
        stored = [record.message_id for record in records]
        assert acknowledged <= set(stored)
        assert len(stored) == len(set(stored))
        assert told["spool"]["created"] <= len(records_of(node.paths.spool))
        producers: dict[str, list[int]] = {}
        for record in records_of(node.paths.spool):
            producers.setdefault(record.producer, []).append(record.seq)
        # Six processes ran; the last to start may have been asked nothing before the end.
        assert 2 <= len(producers) <= 6
        assert all(seqs == list(range(len(seqs))) for seqs in producers.values())


def test_a_new_bundle_is_served_by_all_without_a_failed_request(tmp_path: Path) -> None:
    with running(tmp_path) as node:
        versions: set[int] = set()
        failures: list[int] = []
        stopping = threading.Event()

        def ask() -> None:
            while not stopping.is_set():
                status, told, _ = node.ask("POST", "/v1/decide", {"placements": [{"name": HERO}]})
                if status != 200:
                    failures.append(status)
                else:
                    versions.add(told["bundle"]["version"])

        asking = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
        for thread in asking:
            thread.start()
        for version in (8, 9, 10):
            digest = install(node.paths, bundle_files(), version=version)

            def swapped(digest: str = digest) -> bool:
                told = [read_status(node.paths.worker_status(index), WorkerStatus) for index in range(2)]
                return all(worker is not None and worker.bundle_digest == digest for worker in told)

            until(swapped, f"version {version} is not served")
        stopping.set()
        for thread in asking:
            thread.join()
        assert not failures
        assert {7, 10} <= versions


@pytest.mark.parametrize("server", ["edgewise", pytest.param("granian", marks=pytest.mark.slow)])
def test_either_server_answers_limits_and_drains(tmp_path: Path, server: str) -> None:
    with running(tmp_path, workers=1, server=server, body_timeout_ms=1_500, header_timeout_ms=500) as node:
        assert node.decide()["placements"][HERO]["items"]
        assert node.ask("POST", "/v1/decide", {"x": "y" * (2 << 20)})[0] == 413
        head = f"POST /v1/decide HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {BASIC}\r\n"
        for request, answers in (
            (head + "Content-Length: 100\r\n\r\n{", (b"HTTP/1.1 408",)),
            (head + "Host: other\r\nContent-Length: 2\r\n\r\n{}", (b"HTTP/1.1 400",)),
            (head + "X: y\r\n" * 200 + "Content-Length: 2\r\n\r\n{}", (b"HTTP/1.1 431",)),
            (head + f"X: {'y' * 20_000}\r\nContent-Length: 2\r\n\r\n{{}}", (b"HTTP/1.1 431", b"HTTP/1.1 400")),
        ):
            with socket.create_connection(("127.0.0.1", node.port), timeout=DEADLINE_S) as sent:
                sent.sendall(request.encode())
                assert sent.recv(12) in answers
        assert node.decide()["placements"][HERO]["items"]
        assert node.stop() == [0]


def test_more_connections_than_servers_allow_by_default_are_served(tmp_path: Path) -> None:
    with running(tmp_path, workers=1) as node, contextlib.ExitStack() as stack:
        held = [
            stack.enter_context(socket.create_connection(("127.0.0.1", node.port), timeout=DEADLINE_S))
            for _ in range(_most_connections())
        ]
        request = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        for connection in held:
            connection.sendall(request)
        for connection in held:
            assert connection.recv(12) == b"HTTP/1.1 200"
        assert node.decide()["placements"][HERO]["items"]


def _most_connections() -> int:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1_500
    if soft < wanted + 200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted + 200), hard))
    return wanted


def test_a_worker_whose_folder_is_broken_says_so_and_ends(tmp_path: Path) -> None:
    paths = NodePaths(tmp_path)
    paths.create()
    paths.node.write_text("nonsense")
    settings = encode_settings(EdgeSettings(data_dir=str(tmp_path), port=0))
    command = [sys.executable, "-m", "edge.worker.run", "--index", "0", "--settings", settings]
    ended = subprocess.run(command, capture_output=True, check=False, timeout=DEADLINE_S, env=os.environ)
    assert ended.returncode == 1
    assert b"node.json" in ended.stderr
    assert b"Traceback" not in ended.stderr
