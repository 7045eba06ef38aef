"""A real mail server over TCP that answers as it is told, and keeps what it took."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP


class Postman:
    """Answers as it is told at each step, and keeps what it took."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.answers: dict[str, str] = {}
        self.contents: list[bytes] = []
        """Of all that arrived, whatever was answered."""
        self.began = threading.Event()
        """A content has arrived."""
        self.holds: threading.Event | None = None
        """While it is not set, nothing is answered to a content."""

    async def handle_MAIL(self, _server: SMTP, _session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(self, _server: SMTP, _session: Any, envelope: Any, address: str, _: list[str]) -> str:  # noqa: N802
        envelope.rcpt_tos.append(address)
        return self.answers.get("RCPT", "250 OK")

    async def handle_DATA(self, server: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.contents.append(envelope.content)
        self.began.set()
        if self.holds is not None:
            await asyncio.to_thread(self.holds.wait)
        answer = self.answers.get("DATA", "250 OK queued")
        if answer == "hang up":
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            return "451 nobody hears this"
        if answer.startswith("2"):
            self.taken.append(envelope)
        return answer


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(postman: Postman, **options: Any) -> Iterator[int]:
    """Its port."""
    controller = Controller(postman, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()
