"""Signals: SIGHUP changes what can change and fails no request, SIGTERM answers what it was asked, on both servers."""

from __future__ import annotations

import http.client
import json
import os
import pty
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from processes import Started, ask, edgewise, listening_pids, until

from edge.node.layout import NodePaths

pytestmark = pytest.mark.process

BODY = json.dumps({"anonymousId": "ann", "placements": [{"name": "home_hero"}]}).encode()
SERVERS = pytest.mark.parametrize("server", ["edgewise", "granian"])
PATIENT = {"drain_timeout_ms": 120_000, "farewell_ms": 60_000}
"""Nobody is hurried, so that what a worker waits for decides, and not how busy the machine is."""


def write(file: Path, **settings: Any) -> None:
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()))


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[Started]:
    write(folder / "edge.toml", **settings)
    words = ("edge", "serve", "--port", "0", "--data-dir", str(folder / "node"), "--config", str(folder / "edge.toml"))
    with edgewise(*words, log=folder / "log") as node:
        yield node


def connect(node: Started) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", int(node.said["url"].rpartition(":")[2]), timeout=60)


def decide(connection: http.client.HTTPConnection) -> bool:
    """Whether the server keeps the connection."""
    connection.request("POST", "/v1/decide", BODY)
    with connection.getresponse() as answer:
        assert answer.status == 200
        assert json.loads(answer.read())["placements"]["home_hero"]["items"]
        return answer.getheader("connection") != "close"


def reload(node: Started, *, logged: str) -> None:
    before = node.log.read_text().count(logged)
    node.process.send_signal(signal.SIGHUP)
    until(lambda: node.log.read_text().count(logged) > before, most_s=90)


@SERVERS
def test_a_reload_replaces_all_workers_and_no_request_fails(tmp_path: Path, server: str) -> None:
    with serving(tmp_path, workers=2, server=server, **PATIENT) as node:
        before, failures, decided, stopping = listening_pids(node), list[BaseException](), [0, 0], threading.Event()

        def visit(number: int) -> None:
            """One keeps its connection for as long as it may, one comes on a new one each time."""
            connection = connect(node)
            try:
                while not stopping.is_set():
                    is_kept = decide(connection)
                    decided[number] += 1
                    if number or not is_kept:
                        connection.close()
            except (OSError, http.client.HTTPException, AssertionError) as failed:
                failures.append(failed)
            finally:
                connection.close()

        visitors = [threading.Thread(target=visit, args=(number,)) for number in range(len(decided))]
        for visitor in visitors:
            visitor.start()
        until(lambda: all(decided))
        write(tmp_path / "edge.toml", workers=1, server=server, body_most_bytes=1_024, **PATIENT)
        reload(node, logged='"reloaded"')
        stopping.set()
        for visitor in visitors:
            visitor.join()
        assert not failures
        after = listening_pids(node)
        assert len(after) == 1
        assert not set(before) & set(after)

        # Every process has counted what it did, and nothing is counted twice.
        told = ask(f"{node.said['url']}/status")["spool"]
        assert (told["created"], told["dropped"]) == (sum(decided), 0)
        with closing(connect(node)) as connection:
            connection.request("POST", "/v1/decide", BODY + b" " * 1_024)
            assert connection.getresponse().status == 413
        assert node.stop() == 0
    assert "a worker ended" not in node.log.read_text()


def test_what_cannot_change_or_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    with serving(tmp_path, workers=1) as node:
        before = listening_pids(node)
        for change, said in (
            ({"log_to": "files", "workers": 2}, "log_to cannot change while the node runs: restart it"),
            ({"hub": "127.0.0.1:1"}, "hub cannot change"),
            ({"workers": 0}, "$.workers: Expected `int` >= 1"),
            ({"tls_key": "nowhere.pem"}, "tls_key without tls_certificate"),
        ):
            write(tmp_path / "edge.toml", **change)
            reload(node, logged=said)
        (tmp_path / "edge.toml").write_text("workers =")
        reload(node, logged="is not TOML")
        (tmp_path / "edge.toml").unlink()
        reload(node, logged="edge.toml: No such file")
        assert listening_pids(node) == before
        log = node.log.read_text()
        assert log.count("not reloaded: the settings stay as they were") == 6
        assert "Traceback" not in log
        write(tmp_path / "edge.toml", workers=2)
        reload(node, logged='"reloaded"')
        assert len(listening_pids(node)) == 2
        assert not set(before) & set(listening_pids(node))
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", connect(node).port))
        assert node.stop() == 0


def test_a_successor_that_does_not_start_leaves_the_old_workers_serving(tmp_path: Path) -> None:
    epoch = NodePaths(tmp_path / "node").epoch
    with serving(tmp_path, workers=1) as node:
        before, sound = listening_pids(node), epoch.read_bytes()
        epoch.write_bytes(b"17")
        reload(node, logged="worker-0 does not start: it ended 2 times")
        assert listening_pids(node) == before
        epoch.write_bytes(sound)
        reload(node, logged='"reloaded"')
        assert not set(listening_pids(node)) & set(before)
        # And again: the seat of the one that was before is free.
        between = listening_pids(node)
        reload(node, logged='"reloaded"')
        assert not set(listening_pids(node)) & set(between)
        assert node.stop() == 0


def test_the_agent_is_replaced_with_its_settings_and_only_then(tmp_path: Path) -> None:
    """Its hub is away, which a node bears; the workers are new at every reload, because files may have changed."""
    away = {"workers": 1, "hub": "127.0.0.1:1"}
    with serving(tmp_path, **away) as node:
        worker = listening_pids(node)[0]
        (agent,) = set(node.children()) - {worker}
        reload(node, logged='"reloaded"')
        assert agent in node.children()
        assert worker not in node.children()
        write(tmp_path / "edge.toml", **away, enrol_token="a-secret", heartbeat_ms=250)
        reload(node, logged='"reloaded"')
        assert agent not in node.children()
        # Its successor may still be on its way, and until it runs its own program it shows that of who began it.
        until(lambda: sum('"heartbeat_ms":250' in shown for shown in node.arguments_of_children()) == 2)
        shown = node.arguments_of_children()
        assert len(shown) == 2
        assert "a-secret" not in "".join(shown)
        assert node.stop() == 0


def half_a_request(connection: http.client.HTTPConnection) -> None:
    connection.putrequest("POST", "/v1/decide")
    connection.putheader("Content-Length", str(len(BODY)))
    connection.endheaders(BODY[:7])


@SERVERS
def test_who_is_told_to_stop_answers_what_was_begun_and_says_good_bye(tmp_path: Path, server: str) -> None:
    with serving(tmp_path, workers=1, server=server, body_timeout_ms=60_000, **PATIENT) as node:
        kept, slow = connect(node), connect(node)
        assert decide(kept)
        half_a_request(slow)
        node.process.send_signal(signal.SIGTERM)
        while decide(kept):
            assert node.process.poll() is None
        # It was the last answer, and it said so.
        assert kept.sock is None
        slow.send(BODY[7:])
        with slow.getresponse() as answer:
            assert (answer.status, bool(json.loads(answer.read())["placements"])) == (200, True)
        slow.close()
        assert node.process.wait(60) == 0
        with pytest.raises(ConnectionRefusedError):
            connect(node).connect()
    assert "killed" not in node.log.read_text()


@SERVERS
def test_idle_connections_do_not_keep_a_node_from_stopping(tmp_path: Path, server: str) -> None:
    with serving(tmp_path, workers=1, server=server, farewell_ms=0, body_timeout_ms=60_000) as node:
        idle, slow = connect(node), connect(node)
        assert decide(idle)
        half_a_request(slow)
        assert idle.sock is not None
        node.process.send_signal(signal.SIGTERM)
        assert idle.sock.recv(1) == b""  # closed in order, not reset
        idle.close()
        slow.send(BODY[7:])
        with slow.getresponse() as answer:
            assert answer.status == 200
        slow.close()
        assert node.process.wait(60) == 0


def test_a_node_ends_with_its_terminal_but_not_by_a_hang_up_alone(tmp_path: Path) -> None:
    ours, its = pty.openpty()
    words = ("edge", "serve", "--port", "0", "--workers", "1", "--data-dir", str(tmp_path / "node"))
    with edgewise(*words, log=tmp_path / "log", stdin=its) as node:
        os.close(its)
        reload(node, logged='"reloaded"')
        os.close(ours)
        assert node.stop(number=signal.SIGHUP, most_s=60) == 0
