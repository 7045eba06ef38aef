"""What one supervisor holds while it runs: its folder and its port. Both are the kernel's to give back."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.node.layout import NodePaths
from edgewise.errors import UnavailableError


@contextmanager
def hold_folder(paths: NodePaths) -> Iterator[None]:
    """Make the node's folder and hold it against a second supervisor.

    Raises:
        UnavailableError: another one runs on it, or it cannot be made.
    """
    try:
        paths.create()
    except OSError as failed:
        raise UnavailableError(f"{failed.filename}: {failed.strerror}; choose another folder by --data-dir") from failed
    with hold_file(paths.lock, wait=False) as holder:
        if holder is not None:
            raise UnavailableError(
                f"{paths.root} is in use by the edge node with process id {holder}; "
                "stop it first, or choose another folder by --data-dir"
            )
        yield


@contextmanager
def hold_file(lock: Path, *, wait: bool) -> Iterator[str | None]:
    """Hold a lock file; yields None, or, when it is not to `wait`, the process id that holds it instead."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield _noted_pid(descriptor)
            return
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield None
    finally:
        os.close(descriptor)


def holder_of(lock: Path) -> str | None:
    """Process id of who holds a lock file, None when nobody does. Changes nothing."""
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _noted_pid(descriptor)
    finally:
        os.close(descriptor)
    return None


def _noted_pid(descriptor: int) -> str:
    return os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"


@contextmanager
def reserve_port(host: str, port: int) -> Iterator[int]:
    """Keep a TCP port for this node's workers, who bind it with SO_REUSEPORT; yields the real number.

    The socket is bound first and shares afterwards: binding it shared would succeed beside another node's workers,
    and the kernel would deal our visitors out to both.

    Raises:
        UnavailableError: the port is taken, or the address is not one of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as unknown:
        raise UnavailableError(f"--host {host}: {getattr(unknown, 'strerror', 'no host name')}") from unknown
    with socket.socket(family, kind, protocol) as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            reserved.bind(address)
        except OSError as taken:
            raise UnavailableError(
                f"cannot listen on {host} port {port}: {(taken.strerror or '').lower()}; choose another by --port, "
                "0 takes any free one"
            ) from taken
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        yield reserved.getsockname()[1]


def share_port(host: str, port: int) -> socket.socket:
    """A socket on a port that `reserve_port` keeps. Visitors come to it, and to all others there, once it listens.

    Raises:
        OSError: the port is somebody else's.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    shared = socket.socket(family, kind, protocol)
    try:
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        shared.bind(address)
    except OSError:
        shared.close()
        raise
    return shared
