"""What a service says to systemd, and which sockets it takes from it; a whole node does so in tests/process."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from edge.systemd import Notifier, passed_socket
from edgewise.errors import InputError


@pytest.mark.parametrize("is_abstract", [True, False])
def test_both_kinds_of_socket_are_reached_and_a_status_is_one_line(tmp_path: Path, *, is_abstract: bool) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind("" if is_abstract else str(tmp_path / "notify"))
        name = heard.getsockname()
        Notifier({"NOTIFY_SOCKET": f"@{name[1:].decode()}" if is_abstract else name}, 7).tell(
            READY=1, status="two\nlines"
        )
        assert heard.recv(4_096) == b"READY=1\nSTATUS=two lines"


def test_nobody_is_told_where_nobody_listens(tmp_path: Path) -> None:
    for nobody in ("", "vsock:2:1", str(tmp_path / "gone"), "@gone", f"/{'x' * 200}"):
        Notifier({"NOTIFY_SOCKET": nobody}, 7).tell(READY=1)


def test_the_watchdog_is_only_for_whom_it_names() -> None:
    assert Notifier({"WATCHDOG_USEC": "3000000"}, 7).watchdog_ms == 3_000
    assert Notifier({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"}, 7).watchdog_ms == 3_000
    for off in ({}, {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "8"}, {"WATCHDOG_USEC": "soon"}):
        assert Notifier(off, 7).watchdog_ms == 0


def test_a_listening_socket_is_taken_and_kept_from_children() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        given = os.dup(listening.fileno())
        os.set_inheritable(given, True)
        taken = passed_socket({"LISTEN_FDS": "1", "LISTEN_PID": "7"}, 7, first=given)
        assert taken is not None
        with taken:
            assert taken.getsockname() == listening.getsockname()
            assert not taken.get_inheritable()


def test_what_was_passed_to_another_process_is_not_ours() -> None:
    assert passed_socket({}, 7) is None
    assert passed_socket({"LISTEN_FDS": "1", "LISTEN_PID": "8"}, 7) is None


@pytest.mark.parametrize(
    ("kind", "count", "said"),
    [
        ((socket.AF_INET, socket.SOCK_DGRAM), "1", "a socket of type SOCK_DGRAM"),
        ((socket.AF_UNIX, socket.SOCK_STREAM), "1", "a socket of family AF_UNIX"),
        ((socket.AF_INET, socket.SOCK_STREAM), "1", "a socket that does not listen"),
        ((socket.AF_INET, socket.SOCK_STREAM), "2", "2 sockets, expected 1"),
        ((socket.AF_INET, socket.SOCK_STREAM), "", "no sockets, expected 1"),
        (None, "1", "which is no socket"),
    ],
)
def test_what_is_of_no_use_is_refused(tmp_path: Path, kind: tuple[int, int] | None, count: str, said: str) -> None:
    with socket.socket(*kind or (socket.AF_INET,)) as passed:
        given = os.dup(passed.fileno()) if kind else os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(InputError, match=said):
            passed_socket({"LISTEN_FDS": count, "LISTEN_PID": "7"}, 7, first=given)
