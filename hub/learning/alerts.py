"""Tells people that one of them is needed: by a signed webhook, by mail, or both; each once, and again where it failed.

A webhook is signed as Standard Webhooks says (standardwebhooks.com, specification 1.0.0): `webhook-id` is the same at
every try, so that a receiver can tell a repetition; `webhook-signature` is `v1,` and the base64 of HMAC-SHA256 over
`id.timestamp.body`. Nothing in an alert is about a visitor.
"""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

import msgspec

from edgewise.errors import InputError, UnavailableError
from hub.ledger.learning import Step, StepName, StepState, Turn, TurnState
from hub.ledger.ledger import Ledger

TIMEOUT_S: Final = 10.0
MOST_TRIES: Final = 10
"""Of one alert by one way; then only the history tells of it."""
WHO: Final = "learning loop"
_LEAST_SECRET_BYTES: Final = 24


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """What a person should know; the body of a webhook."""

    id: str
    """The same at every try."""
    type: str
    """`learning.approval`, `learning.promotion`, `learning.stopped`, `learning.failed`."""
    time_ms: int
    turn: int
    model: str
    placement: str
    state: str
    release: int | None
    text: str
    """In words, with what to run."""


class Told(msgspec.Struct, frozen=True):
    """Whether somebody was told."""

    turn: int
    type: str
    way: str
    """`webhook`, `mail`."""
    error: str = ""
    """Why not."""


Way = Callable[[Alert], None]
"""Raises UnavailableError where nobody took it."""


class Alerts:
    """The ways of one site."""

    def __init__(self, ways: dict[str, Way]) -> None:
        self._ways = ways

    def about(self, turn: Turn, ledger: Ledger, *, now_ms: int) -> list[Told]:
        """Tell what a turn needs a person for, by every way by which that was not told yet."""
        steps = ledger.steps(turn.number)
        kind = need_of(turn, steps)
        if kind is None:
            return []
        alert = Alert(
            id=f"turn-{turn.number}-{kind}-{turn.changed_ms}",
            type=f"learning.{kind}",
            time_ms=now_ms,
            turn=turn.number,
            model=turn.model,
            placement=turn.placement,
            state=turn.state.value,
            release=turn.release,
            text=f"turn {turn.number} of {turn.model} in {turn.placement} is {turn.state}: {turn.reason}",
        )
        told = []
        for name, way in self._ways.items():
            tries = [
                step
                for step in steps
                if step.name is StepName.ALERT and (step.inputs["type"], step.inputs["way"]) == (alert.type, name)
            ]
            if any(step.state is StepState.DONE for step in tries) or len(tries) >= MOST_TRIES:
                continue
            again = msgspec.structs.replace(alert, id=tries[0].inputs["id"]) if tries else alert
            told.append(_try(name, way, again, ledger, now_ms))
        return told


def need_of(turn: Turn, steps: Sequence[Step]) -> str | None:
    """What a person is needed for, in one word; None: for nothing."""
    match turn.state:
        case TurnState.WAITING:
            return "approval"
        case TurnState.READY:
            return "promotion"
        case TurnState.STOPPED:
            last = next((step for step in reversed(steps) if step.name is not StepName.ALERT), None)
            if last is not None and last.state is StepState.FAILED:
                return "failed"
            # What people had approved and the loop took back; what they turned down themselves they know.
            return "stopped" if last is not None and last.name is StepName.WATCH else None
        case _:
            return None


def by_webhook(url: str, secret: bytes) -> Way:
    """POST to `url`; any answer of 2xx is one. Raises InputError for a URL or a secret that cannot be used."""
    if not url.startswith(("https://", "http://")):
        raise InputError(f"learn_webhook: {url!r}, expected an http or https URL")
    if len(secret) < _LEAST_SECRET_BYTES:
        raise InputError(
            f"the secret of learn_webhook has {len(secret)} bytes; expected at least {_LEAST_SECRET_BYTES}"
        )

    def send(alert: Alert) -> None:
        body = msgspec.json.encode(alert)
        request = urllib.request.Request(url, body, headers=signed(alert.id, alert.time_ms // 1_000, body, secret))  # noqa: S310  # the operator's own
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310  # as above
                answer.read(1)
        except urllib.error.HTTPError as refused:
            raise UnavailableError(f"{url} answered {refused.code}") from refused
        except (OSError, ValueError) as failed:
            raise UnavailableError(f"{url} cannot be reached: {failed}") from failed

    return send


def signed(identifier: str, time_s: int, body: bytes, secret: bytes) -> dict[str, str]:
    """The headers of one delivery."""
    content = f"{identifier}.{time_s}.".encode() + body
    signature = base64.b64encode(hmac.new(secret, content, "sha256").digest()).decode()
    return {
        "content-type": "application/json",
        "user-agent": "edgewise",
        "webhook-id": identifier,
        "webhook-timestamp": str(time_s),
        "webhook-signature": f"v1,{signature}",
    }


def by_mail(
    server: tuple[str, int], sender: str, receivers: Sequence[str], *, login: tuple[str, str] | None, starttls: bool
) -> Way:
    """Through an SMTP server. A password is only ever sent over TLS.

    Raises InputError for addresses that are none, or a login without TLS.
    """
    for address in (sender, *receivers):
        if "@" not in address or any(mark in address for mark in "\r\n"):
            raise InputError(f"{address!r} is no mail address")
    if login is not None and not starttls:
        raise InputError("a mail login goes only over TLS; set learn_smtp_starttls")
    host, port = server

    def send(alert: Alert) -> None:
        message = EmailMessage()
        message["From"], message["To"] = sender, ", ".join(receivers)
        message["Subject"] = f"Edgewise: {alert.model} in {alert.placement}: {alert.type.partition('.')[2]}"
        message["Message-ID"] = f"<{alert.id}@{sender.rpartition('@')[2]}>"
        message["Date"] = format_datetime(dt.datetime.fromtimestamp(alert.time_ms / 1_000, dt.UTC))
        message.set_content(f"{alert.text}\n")
        try:
            with smtplib.SMTP(host, port, timeout=TIMEOUT_S) as smtp:
                if starttls:
                    smtp.starttls(context=ssl.create_default_context())
                if login is not None:
                    smtp.login(*login)
                smtp.send_message(message)
        except (OSError, smtplib.SMTPException) as failed:
            raise UnavailableError(f"the mail server {host}:{port} did not take it: {failed}") from failed

    return send


def _try(name: str, way: Way, alert: Alert, ledger: Ledger, now_ms: int) -> Told:
    error = ""
    try:
        way(alert)
    except UnavailableError as failed:
        error = str(failed)
    step = Step(
        turn=alert.turn,
        number=0,
        name=StepName.ALERT,
        state=StepState.FAILED if error else StepState.DONE,
        time_ms=now_ms,
        who=WHO,
        inputs={"id": alert.id, "type": alert.type, "way": name},
        reasons=(error,) if error else (),
    )
    ledger.add_alert(step)
    return Told(alert.turn, alert.type, name, error)
