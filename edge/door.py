"""The node's listening sockets.

The supervisor holds them and workers only use them, so that a worker can be followed by another one without a visitor
at the door being lost.

The port is our own, and each worker has a socket on it (SO_REUSEPORT: the kernel deals visitors out evenly); or the
port is systemd's, and all workers share the one socket that it passed.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Final

from edge.node.claims import reserve_port, share_port
from edgewise.errors import UnavailableError

BACKLOG: Final = 8_192
"""As many visitors as may wait to be taken in."""
_SO_ATTACH_FILTER: Final = 26
_NO_SYN: Final = (
    (0x30, 0, 0, 13),  # load the byte of TCP's flags
    (0x45, 0, 1, 0x02),  # SYN?
    (0x06, 0, 0, 0),  # then drop the packet,
    (0x06, 0, 0, 0xFFFF_FFFF),  # else take all of it
)
"""Classic BPF (Linux, networking/filter.rst): code, jump if true, jump if false, operand."""
_QUEUE_OFFSET: Final = 24
"""Of `tcpi_unacked` in struct tcp_info (linux/tcp.h): for a socket that listens, how many wait to be accepted."""


class Door:
    """Where visitors come in."""

    def __init__(self, host: str, port: int, *, passed: socket.socket | None = None) -> None:
        self.host = host
        self.port = port
        self._passed = passed
        self._own: dict[int, socket.socket] = {}

    def descriptor(self, worker: int) -> int:
        """Of the socket that worker `worker` is to listen on. Raises UnavailableError."""
        if self._passed is not None:
            return self._passed.fileno()
        if worker not in self._own:
            try:
                self._own[worker] = share_port(self.host, self.port)
            except OSError as failed:
                raise UnavailableError(f"cannot listen on {self.host} port {self.port}: {failed.strerror}") from failed
        return self._own[worker].fileno()

    def renew(self, worker: int, *, waits: bool = False) -> None:
        """Put a fresh socket under a descriptor's number, when nobody is left who takes what waits at the old one.

        The kernel sends visitors to the other workers until somebody listens here again; where there are no others,
        `waits` lets visitors wait here rather than be refused. Raises OSError.
        """
        if worker in self._own:
            with share_port(self.host, self.port) as fresh:
                if waits:
                    fresh.listen(BACKLOG)
                os.dup2(fresh.fileno(), self._own[worker].fileno(), inheritable=False)

    def turn_away(self, worker: int) -> None:
        """Let no connection begin at a worker's socket; the client's next attempt, a second later, is another's.

        What has begun goes on. A plain close would reset whoever waits to be taken in. Raises OSError.
        """
        if worker in self._own:
            program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in _NO_SYN))
            described = struct.pack("@HP", len(_NO_SYN), ctypes.addressof(program))
            self._own[worker].setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)

    def is_empty(self, worker: int) -> bool:
        """Whether nobody waits at this worker's own socket to be taken in."""
        if worker not in self._own:
            return True
        told = self._own[worker].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _QUEUE_OFFSET + 4)
        return struct.unpack_from("=I", told, _QUEUE_OFFSET) == (0,)

    def give_up(self, worker: int) -> None:
        """Its worker has the socket alone now, and closes it by leaving."""
        if worker in self._own:
            self._own.pop(worker).close()

    def close(self) -> None:
        """Let nobody wait at a door that will not be opened again; at systemd's, visitors wait for the next start."""
        for own in self._own.values():
            own.close()
        self._own.clear()
        if self._passed is not None:
            self._passed.close()


@contextmanager
def open_door(host: str, port: int, passed: socket.socket | None) -> Iterator[Door]:
    """A door at a port of our own, kept from others meanwhile, or at the socket that was passed.

    Raises:
        UnavailableError: the port is taken, or the address is not one of this machine's.
    """
    with ExitStack() as held:
        if passed is None:
            port = held.enter_context(reserve_port(host, port))
        else:
            host, port = passed.getsockname()[:2]
        yield held.enter_context(closing(Door(host, port, passed=passed)))
