"""Handing mail to a server by SMTP (RFC 5321), one command at a time, so that each answer's meaning is certain.

Until the server has been sent the content, nothing has left: whatever fails there may be tried again. From then on only
an answer counts. A server that says 2xx answers for the mail; one that says 4xx or 5xx has refused it, and it is not
sent again, for there are servers that say 4xx and keep it. One that says nothing leaves it uncertain.
"""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from typing_extensions import override

from edgewise.errors import InputError
from hub.mail.dkim import Signer
from hub.mail.shown import DELIVERED
from hub.mail.ways import Answer, Handed, NotAtAll, NotNow, Prepared, Unknown, Way
from hub.settings import on_loopback

TIMEOUT_S: Final = 20.0
"""For each command; RFC 5321 would wait minutes, but who waits here keeps others' mails waiting."""
_BAD_ADDRESS: Final = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
"""Enhanced codes (RFC 3463) of an address that takes no mail."""
_ENHANCED_CLASS: Final = 5


class SmtpServer(NamedTuple):
    """`smtp://[USER@]HOST[:PORT]` or `smtps://…`."""

    host: str
    port: int
    is_tls: bool
    """TLS from the first byte; else STARTTLS, which must be there unless the server is this machine."""
    user: str = ""
    password: str = ""

    @property
    def place(self) -> str:
        """What messages call it."""
        return f"{self.host}:{self.port}"


def server_of(url: str, password: str = "") -> SmtpServer:
    """Take a URL apart.

    Raises InputError for a URL that is none, or that holds a password: settings are shown and logged.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or parts.query or parts.path not in {"", "/"}:
        shown = url.rpartition("@")[2]
        raise InputError(f"mail_url: {shown!r}, expected smtp://[USER@]HOST[:PORT], smtps://… or https://…")
    if parts.password is not None:
        raise InputError("mail_url: a password does not belong into it; put it into EDGEWISE_MAIL_SECRET or the keys")
    is_tls = parts.scheme == "smtps"
    return SmtpServer(
        parts.hostname,
        port or (465 if is_tls else 587),
        is_tls,
        unquote(parts.username or ""),
        password,
    )


class BySmtp(Way):
    """One connection a mail. Safe for one thread."""

    activation = DELIVERED

    def __init__(
        self, server: SmtpServer, *, signer: Signer | None = None, context: ssl.SSLContext | None = None
    ) -> None:
        """`context`: which certificates are believed; by default those of the system."""
        self._server = server
        self._signer = signer
        self._context = context
        self._is_near = on_loopback(f"[{server.host}]:0" if ":" in server.host else f"{server.host}:0")

    @override
    def hand(self, mail: Prepared, now_ms: int) -> Answer:
        data = mail.data if self._signer is None else self._signer.signed(mail.data)
        try:
            smtp = self._connected()
        except NoTlsError as refused:
            return NotNow("no-tls", str(refused))
        except smtplib.SMTPResponseException as refused:
            return NotNow("turned-away", _said(refused.smtp_code, refused.smtp_error))
        except (OSError, smtplib.SMTPException) as failed:
            return NotNow("unreachable", f"{self._server.place}: {failed}")
        try:
            return self._before(smtp, mail) or self._content(smtp, data)
        finally:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                smtp.quit()
            smtp.close()

    def _connected(self) -> smtplib.SMTP:
        server = self._server
        context = self._context or ssl.create_default_context()
        if server.is_tls:
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=context)
        else:
            smtp = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
        try:
            smtp.ehlo_or_helo_if_needed()
            self._encrypt(smtp, context)
            if server.user:
                smtp.login(server.user, server.password)
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _encrypt(self, smtp: smtplib.SMTP, context: ssl.SSLContext) -> None:
        server = self._server
        if server.is_tls:
            return
        if smtp.has_extn("starttls"):
            smtp.starttls(context=context)
            smtp.ehlo()
        elif server.user or not self._is_near:
            raise NoTlsError(f"{server.place} offers no STARTTLS; mail and passwords do not go there in the clear")

    def _before(self, smtp: smtplib.SMTP, mail: Prepared) -> Answer | None:
        """Everything up to the server's leave to send the content; None: it gave that."""
        try:
            code, words = smtp.mail(mail.sender, [f"size={len(mail.data)}"] if smtp.has_extn("size") else [])
            if code != _OK:
                return NotNow("sender-refused", _said(code, words))
            code, words = smtp.rcpt(mail.to)
            if code not in _RECIPIENT_OK:
                return self._recipient_refused(code, words)
            code, words = smtp.docmd("DATA")
            if code != _GO_ON:
                return _refused(code, words)
        except (OSError, smtplib.SMTPException) as failed:
            return NotNow("broken-off", f"{self._server.place}: {failed}")
        return None

    @staticmethod
    def _recipient_refused(code: int, words: bytes) -> Answer:
        said = _said(code, words)
        if code // 100 != _ENHANCED_CLASS:
            return NotNow("greylisted", said)
        enhanced = words.decode("ascii", "replace").split(" ", 1)[0]
        is_bad = enhanced in _BAD_ADDRESS if "." in enhanced else code == _NO_MAILBOX
        return NotAtAll("rejected", said, is_bad_address=is_bad)

    def _content(self, smtp: smtplib.SMTP, data: bytes) -> Answer:
        try:
            smtp.send(smtplib._quote_periods(data) + b".\r\n")  # type: ignore[attr-defined]  # noqa: SLF001
            code, words = smtp.getreply()
        except (OSError, smtplib.SMTPException) as failed:
            return Unknown(f"{self._server.place}: {failed}")
        if code // 100 == 2:  # noqa: PLR2004  # RFC 5321: completed
            return Handed(_said(code, words))
        if code // 100 in {4, 5}:
            return NotAtAll("content-refused", _said(code, words))
        return Unknown(f"{self._server.place} answered {_said(code, words)}")


class NoTlsError(Exception):
    """The server does not encrypt."""


_OK: Final = 250
_NO_MAILBOX: Final = 550
_RECIPIENT_OK: Final = frozenset({250, 251})
_GO_ON: Final = 354


def _refused(code: int, words: bytes) -> Answer:
    said = _said(code, words)
    return NotAtAll("rejected", said) if code // 100 == _ENHANCED_CLASS else NotNow("greylisted", said)


def _said(code: int, words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return f"{code} {' '.join(text.split())}"
