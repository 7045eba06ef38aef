"""The rows in a delivery's body: JSON, or a form as Mandrill and Mailchimp post it. Only read once it is proved."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl

from edgewise.errors import MALFORMED, InputError
from hub.sources.document import SourceDocument
from hub.sources.money import json_number
from hub.sources.translate import rows_of
from hub.sources.webhook_part import Signer, Webhook
from hub.webhooks.signatures import MOST_FIELDS

MOST_ROWS: Final = 10_000
"""Of one delivery; SendGrid sends at most some thousands."""
_EVENTS: Final = "mandrill_events"
_MOST_DEPTH: Final = 8
_STEP: Final = re.compile(r"\[([^\[\]]*)\]")


def rows_in(webhook: Webhook, document: SourceDocument, body: bytes) -> list[Any]:
    """The rows of a body, each as JSON would have it.

    Raises:
        InputError: it is not what this vendor sends.
    """
    match webhook.signed_by:
        case Signer.MANDRILL:
            events = _form(body).get(_EVENTS)
            if events is None:
                raise InputError(f"a form without `{_EVENTS}`, in which Mandrill sends them")
            rows = _json(events)
        case Signer.MAILCHIMP:
            rows = [_nested(_form(body))]
        case _:
            payload = _json(_text(body))
            rows = _calls(payload) if webhook.has_calls else list(rows_of(payload, document))
    if not isinstance(rows, list) or len(rows) > MOST_ROWS:
        raise InputError(f"expected a list of at most {MOST_ROWS:,} rows")
    return rows


def _calls(payload: Any) -> list[Any]:
    """A Segment call, a list of them, or a batch."""
    if isinstance(payload, Mapping) and isinstance(payload.get("batch"), list):
        return list(payload["batch"])
    return payload if isinstance(payload, list) else [payload]


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        raise InputError(f"the body is no UTF-8: {wrong.reason} at byte {wrong.start}") from None


def _json(text: str) -> Any:
    try:
        # decimals as they are written: an amount is money, and an id may be longer than a float
        return json.loads(text, parse_float=json_number, parse_constant=_no_number)
    except MALFORMED as wrong:
        raise InputError(f"no JSON: {wrong}") from None


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _form(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(_text(body), keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError as wrong:
        raise InputError(f"no form: {wrong}") from None


def _nested(form: Mapping[str, str]) -> dict[str, Any]:
    """`data[merges][EMAIL]=…` as objects in objects; a name that is at once a value and an object is the object."""
    found: dict[str, Any] = {}
    for name, value in form.items():
        first, _, rest = name.partition("[")
        steps = [first, *_STEP.findall(f"[{rest}")] if rest else [first]
        if len(steps) > _MOST_DEPTH:
            raise InputError(f"a form's field nested more than {_MOST_DEPTH} deep: {name[:80]!r}")
        inner = found
        for step in steps[:-1]:
            held = inner.get(step)
            if not isinstance(held, dict):
                held = inner[step] = {}
            inner = held
        if not isinstance(inner.get(steps[-1]), dict):
            inner[steps[-1]] = value
    return found
