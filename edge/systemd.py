"""What systemd and a service say to each other: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3).

Plain datagrams and environment variables, so no library: without systemd every part of it is silent.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from typing import Final

from edgewise.errors import InputError

VARIABLES: Final = frozenset(
    {"LISTEN_FDNAMES", "LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"}
)
"""Meant for one process alone; its children are not to inherit them."""
FIRST_DESCRIPTOR: Final = 3
"""SD_LISTEN_FDS_START."""
_PATIENCE_S: Final = 1.0
"""systemd reads at once; if it does not, the node goes on without having been heard."""


class Notifier:
    """Tells systemd how the service is; silent where nobody listens."""

    def __init__(self, environment: Mapping[str, str], pid: int) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the zero byte of an abstract socket. Of other families (vsock) there is no use here.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address if address.startswith("/") else ""
        microseconds = environment.get("WATCHDOG_USEC", "")
        is_ours = environment.get("WATCHDOG_PID", str(pid)) == str(pid)
        self.watchdog_ms: Final = int(microseconds) / 1_000 if microseconds.isdigit() and is_ours else 0.0
        """The service is taken for hung when it is silent for so long; 0: nobody watches."""

    def tell(self, *, status: str = "", **variables: str | int) -> None:
        """Send `status` and variables such as READY=1 in one message. A message that cannot be sent is lost."""
        if not self._address:
            return
        lines = [f"{name}={value}" for name, value in variables.items()]
        if status:
            lines.append(f"STATUS={' '.join(status.split())}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(_PATIENCE_S)
            try:
                sender.sendto("\n".join(lines).encode(), self._address)
            except OSError:
                return


def passed_socket(environment: Mapping[str, str], pid: int, *, first: int = FIRST_DESCRIPTOR) -> socket.socket | None:
    """The listening socket of a `.socket` unit, None where there is none for this process.

    Raises:
        InputError: what was passed is not exactly one listening TCP socket.
    """
    if environment.get("LISTEN_PID") != str(pid):
        return None
    count = environment.get("LISTEN_FDS", "")
    if count != "1":
        raise InputError(f"systemd passed {count or 'no'} sockets, expected 1: a node listens at one address")
    try:
        passed = socket.socket(fileno=first)
    except OSError as wrong:
        raise InputError(f"systemd passed descriptor {first}, which is no socket: {wrong.strerror}") from wrong
    flaw = next(_flaws(passed), None)
    if flaw is not None:
        passed.close()
        raise InputError(f"systemd passed {flaw}, expected a listening TCP socket (ListenStream=PORT, Accept=no)")
    passed.setblocking(False)
    os.set_inheritable(passed.fileno(), False)
    return passed


def _flaws(passed: socket.socket) -> Iterator[str]:
    if passed.family not in {socket.AF_INET, socket.AF_INET6}:
        yield f"a socket of family {socket.AddressFamily(passed.family).name}"
    if passed.type != socket.SOCK_STREAM:
        yield f"a socket of type {socket.SocketKind(passed.type).name}"
    if not passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        yield "a socket that does not listen"
