"""Handing mail to the e-mail platform that a company already has: one signed POST a mail (Standard Webhooks 1.0.0).

The platform sends; what it delivered, and what bounced, it reports itself as Segment's e-mail events. The id of a
delivery is the mail's own, the same at every try, so that a platform which looks at it takes none twice.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any, Final

import msgspec
from typing_extensions import override

from edgewise.errors import InputError
from hub.learning.alerts import signed
from hub.mail.ways import Answer, Handed, NotAtAll, NotNow, Prepared, Unknown, Way

TIMEOUT_S: Final = 20.0
SENT: Final = "Email Sent"
_LEAST_SECRET_BYTES: Final = 24
_BUSY: Final = frozenset({408, 409, 425, 429, 503})
"""Answers that say that nothing was done, and to come again."""


class ByPlatform(Way):
    """POSTs to one URL; any answer of 2xx takes the mail."""

    activation = SENT

    def __init__(self, url: str, secret: bytes) -> None:
        """Raises InputError for a URL or a secret that cannot be used."""
        if not url.startswith(("https://", "http://")):
            raise InputError(f"mail_url: {url!r}, expected smtp://, smtps:// or an https URL")
        if len(secret) < _LEAST_SECRET_BYTES:
            raise InputError(f"the secret of mail_url has {len(secret)} bytes; expected at least {_LEAST_SECRET_BYTES}")
        self._url, self._secret = url, secret

    @override
    def hand(self, mail: Prepared, now_ms: int) -> Answer:
        body = msgspec.json.encode(body_of(mail))
        headers = signed(f"mail-{mail.message_id}", now_ms // 1_000, body, self._secret)
        request = urllib.request.Request(self._url, body, headers=headers)  # noqa: S310  # the operator's own
        opener = urllib.request.build_opener(_NoRedirects)
        try:
            with opener.open(request, timeout=TIMEOUT_S) as answer:
                return Handed(f"{answer.status}")
        except urllib.error.HTTPError as refused:
            with refused:
                return _meant(refused.code)
        except urllib.error.URLError as failed:
            # Only a connection that never came about is certain to have carried nothing.
            if isinstance(failed.reason, ConnectionRefusedError):
                return NotNow("unreachable", str(failed.reason))
            return Unknown(str(failed.reason))
        except OSError as failed:
            return Unknown(str(failed))


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A mail goes to whom the operator named, not to whom he is sent on to."""

    @override
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def body_of(mail: Prepared) -> dict[str, Any]:
    """What a platform gets."""
    letter = mail.letter
    return {
        "type": "mail.send",
        "id": mail.message_id,
        "journey": mail.due.journey,
        "person": mail.due.person,
        "to": mail.to,
        "subject": letter.subject,
        "html": mail.html,
        "text": mail.text,
        "locale": letter.locale,
        "decisionIds": [record.decision_id for record in letter.decisions],
        "notAfterMs": mail.due.not_after_ms,
        "headers": {
            "List-Unsubscribe": f"<{mail.unsubscribe}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    }


def _meant(status: int) -> Answer:
    if status in _BUSY:
        return NotNow("busy", f"{status}")
    if 300 <= status < 500:  # noqa: PLR2004  # redirections and mistakes of ours: nothing was taken
        return NotAtAll("rejected", f"{status}")
    return Unknown(f"{status}")
