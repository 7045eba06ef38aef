"""The probes' end of a connection: sends bytes as they are, and tells what came back."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Iterable
from typing import Final, NamedTuple, Self
from urllib.parse import urlsplit

from edgewise.errors import InputError

_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
_CONTINUE: Final = 100
_BODILESS: Final = {204, 304}
_READ_BYTES: Final = 64 << 10
_CONNECT_S: Final = 30.0


class Target(NamedTuple):
    """The node that is probed."""

    host: str
    port: int
    is_tls: bool

    @classmethod
    def parse(cls, url: str) -> Self:
        """From `http://HOST:PORT` or https.

        Raises:
            InputError: it is no such address.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as wrong:
            raise InputError(f"{url!r} is no URL: {wrong}") from wrong
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InputError(f"{url!r} is no URL of a node, expected http://HOST:PORT or https://HOST:PORT")
        is_tls = parts.scheme == "https"
        return cls(parts.hostname, port or (443 if is_tls else 80), is_tls)

    @property
    def authority(self) -> bytes:
        """For the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}".encode()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection. Raises OSError."""
        async with asyncio.timeout(_CONNECT_S):
            return await asyncio.open_connection(self.host, self.port, ssl=_any_certificate() if self.is_tls else None)


class Seen(NamedTuple):
    """What came back on one connection."""

    statuses: tuple[int, ...]
    """Of each final answer, in order."""
    is_closed: bool
    """By the node."""
    sent_bytes: int
    """As far as our side of the connection took them."""
    seconds: float
    """Until it was closed, or until we gave up."""


async def exchange(target: Target, parts: Iterable[bytes], *, patience_s: float, settles_s: float) -> Seen:
    """Send all `parts`, as far as the node lets us, and listen until it closes or says nothing more.

    `patience_s` is how long it may say nothing at first, `settles_s` how long after it has said something.

    Raises:
        OSError: there was no connection.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    reader, writer = await target.connect()
    sent = _Sent()
    sending = asyncio.create_task(_send(writer, parts, sent))
    heard = bytearray()
    is_closed = False
    try:
        while True:
            async with asyncio.timeout(settles_s if heard else patience_s):
                piece = await reader.read(_READ_BYTES)
            if not piece:
                is_closed = True
                break
            heard += piece
    except TimeoutError:
        pass
    except OSError:
        is_closed = True
    finally:
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await sending
        writer.transport.abort()
    return Seen(tuple(statuses(bytes(heard))), is_closed, sent.count, loop.time() - began)


class _Sent:
    count = 0


async def _send(writer: asyncio.StreamWriter, parts: Iterable[bytes], sent: _Sent) -> None:
    with contextlib.suppress(OSError):  # the node has closed: the reading side tells it
        for part in parts:
            writer.write(part)
            await writer.drain()
            sent.count += len(part)


def statuses(heard: bytes) -> list[int]:
    """The status of each final answer that begins in `heard`."""
    found: list[int] = []
    position = 0
    while (line := _STATUS.match(heard, position)) is not None:
        status = int(line.group(1))
        if status != _CONTINUE:
            found.append(status)
        end = heard.find(b"\r\n\r\n", position)
        if end < 0:
            break
        position = _after_body(heard, heard[position : end + 2], end + 4, status)
    return found


def _after_body(heard: bytes, head: bytes, start: int, status: int) -> int:
    """Where the next answer begins."""
    if status == _CONTINUE or status in _BODILESS:
        return start
    if _CHUNKED.search(head):
        end = heard.find(b"0\r\n\r\n", start)
        return len(heard) if end < 0 else end + 5
    length = _LENGTH.search(head)
    return start + int(length.group(1)) if length else len(heard)


def _any_certificate() -> ssl.SSLContext:
    """A probe is no visitor: it looks at how the port behaves, not at whose it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
