"""The sockets that workers listen on, held by somebody else: nobody at the door is lost, and nobody waits in vain."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest
from processes import until

from edge.door import Door, open_door
from edgewise.errors import UnavailableError


@pytest.fixture
def door() -> Iterator[Door]:
    with open_door("127.0.0.1", 0, None) as opened:
        yield opened


def worker(door: Door, number: int) -> socket.socket:
    """What a worker process does with the descriptor that it inherits."""
    listening = socket.socket(fileno=os.dup(door.descriptor(number)))
    listening.listen()
    listening.settimeout(20)
    return listening


def visit(door: Door) -> socket.socket:
    return socket.create_connection((door.host, door.port), timeout=20)


def test_a_successor_takes_in_who_was_waiting(door: Door) -> None:
    first = worker(door, 0)
    with visit(door) as visitor:
        visitor.sendall(b"hello")
        assert not door.is_empty(0)
        second = worker(door, 0)
        first.close()
        with second, second.accept()[0] as taken_in:
            assert taken_in.recv(5) == b"hello"
        assert door.is_empty(0)


def test_the_socket_of_a_worker_that_is_gone_is_sent_nobody(door: Door) -> None:
    dead, number = worker(door, 0), door.descriptor(0)
    with worker(door, 1) as other:
        dead.close()
        door.renew(0)
        assert door.descriptor(0) == number
        for _ in range(20):  # the kernel would deal half of them out to the one that nobody listens at
            with visit(door):
                other.accept()[0].close()
        with worker(door, 0) as again:
            other.close()
            door.give_up(1)
            with visit(door):
                again.accept()[0].close()


def test_who_is_turned_away_comes_in_by_another_worker(door: Door) -> None:
    with worker(door, 0) as leaving, worker(door, 1), ExitStack() as stack:
        while door.is_empty(0):  # until the kernel has chosen it once
            stack.enter_context(visit(door))
        door.turn_away(0)
        visitors = [stack.enter_context(socket.socket()) for _ in range(8)]
        for visitor in visitors:
            visitor.setblocking(False)
            visitor.connect_ex((door.host, door.port))
        leaving.accept()[0].close()  # who was there before is still taken in
        assert door.is_empty(0)
        leaving.close()
        door.give_up(0)
        for visitor in visitors:
            until(partial(is_connected, visitor))


def is_connected(visitor: socket.socket) -> bool:
    try:
        visitor.getpeername()
    except OSError:
        return False
    return True


def test_a_closed_door_is_closed_to_all(door: Door) -> None:
    worker(door, 0).close()
    door.close()
    assert door.is_empty(0)
    door.renew(0)
    door.turn_away(0)
    with pytest.raises(ConnectionRefusedError):
        visit(door)
    with pytest.raises(UnavailableError, match=r"cannot listen on 192\.0\.2\.1 port 1"):
        Door("192.0.2.1", 1).descriptor(0)


def test_a_passed_socket_is_everybodys_and_never_replaced() -> None:
    passed = socket.create_server(("127.0.0.1", 0))
    with open_door("192.0.2.1", 1, passed) as door:
        assert (door.host, door.port) == passed.getsockname()
        assert door.descriptor(0) == door.descriptor(7) == passed.fileno()
        door.renew(0)
        door.turn_away(0)
        door.give_up(0)
        with worker(door, 0) as listening, visit(door):
            listening.accept()[0].close()
    assert passed.fileno() == -1
