"""A node under systemd, whose part the test plays: a datagram socket that is told things, a listening one passed on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from processes import Started, edgewise, listening_pids, until

from edge.systemd import VARIABLES

pytestmark = pytest.mark.process


def words(folder: Path) -> tuple[str, ...]:
    return (
        "edge",
        "serve",
        "--workers",
        "1",
        "--data-dir",
        str(folder / "node"),
        "--config",
        str(folder / "edge.toml"),
    )


@contextmanager
def hearing(name: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(name)
        bound.settimeout(60)
        yield bound


def message(heard: socket.socket, variable: str) -> dict[str, str]:
    """The next one with this variable."""
    while True:
        told = dict(line.split("=", 1) for line in heard.recv(4_096).decode().splitlines())
        if variable in told:
            return told


def test_systemd_is_told_of_every_turn(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text("port = 0")
    address = str(tmp_path / "notify")
    environment = {**os.environ, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "60000"}
    with hearing(address) as heard, edgewise(*words(tmp_path), log=tmp_path / "log", env=environment) as node:
        ready = message(heard, "READY")
        assert ready == {"READY": "1", "STATUS": f"Serving {node.said['url']} with 1 workers"}
        for _ in range(3):
            assert message(heard, "WATCHDOG") == {"WATCHDOG": "1"}

        node.process.send_signal(signal.SIGHUP)
        reloading = message(heard, "RELOADING")
        assert (reloading["RELOADING"], int(reloading["MONOTONIC_USEC"]) > 0) == ("1", True)
        assert message(heard, "READY") == ready
        (tmp_path / "edge.toml").write_text("port = 1")
        node.process.send_signal(signal.SIGHUP)
        assert message(heard, "RELOADING")
        assert "; not reloaded: port cannot change" in message(heard, "READY")["STATUS"]

        assert not VARIABLES & {name for child in node.children() for name in environment_of(child)}
        node.process.send_signal(signal.SIGTERM)
        assert message(heard, "STOPPING")["STOPPING"] == "1"
        assert node.process.wait(60) == 0


def environment_of(pid: int) -> list[str]:
    content = Path(f"/proc/{pid}/environ").read_bytes()
    return [entry.partition(b"=")[0].decode() for entry in content.split(b"\0")]


def passing(descriptor: int) -> list[str]:
    """A command that becomes another one, to which a socket was passed as systemd does."""
    program = (
        f"import os, sys; os.dup2({descriptor}, 3); "
        f"os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid())); os.execv(sys.argv[1], sys.argv[1:])"
    )
    return [sys.executable, "-c", program]


def request(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.sendall(b"GET /health/ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    return connection


def test_a_passed_socket_is_listened_to_by_all_workers_and_outlives_them(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text('port = 1\nhost = "192.0.2.1"')
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listening.getsockname()[1]

        def start() -> Started:
            options: dict[str, Any] = {"through": passing(listening.fileno()), "pass_fds": [listening.fileno()]}
            return stack.enter_context(edgewise(*words(tmp_path), "--workers", "2", log=tmp_path / "log", **options))

        early = request(port)
        node = start()
        assert node.said["url"] == f"http://127.0.0.1:{port}"
        assert early.recv(12) == b"HTTP/1.1 200"
        early.close()

        # A worker that is killed leaves the socket to the other one, and its place is filled again.
        before = listening_pids(node)
        os.kill(before[0], signal.SIGKILL)
        until(lambda: before[0] not in (now := listening_pids(node)) and len(now) == 2)
        before = listening_pids(node)
        node.process.send_signal(signal.SIGHUP)
        until(lambda: '"reloaded"' in node.log.read_text())
        assert not set(before) & set(listening_pids(node))

        # A visitor who comes in between waits for the next start.
        assert node.stop() == 0
        between = request(port)
        node = start()
        assert between.recv(12) == b"HTTP/1.1 200"
        between.close()
        assert node.stop() == 0


def test_a_socket_that_is_of_no_use_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text("")
    command = [sys.executable, "-c", "from edgewise.cli import main; main()", *words(tmp_path)]
    with socket.socket() as deaf:
        ended = subprocess.run(
            [*passing(deaf.fileno()), *command],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            pass_fds=[deaf.fileno()],
        )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "systemd passed a socket that does not listen" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
