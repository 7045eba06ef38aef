"""An OpenFeature evaluation context as a decide request: who is asked about, from which page, and whether it counts.

    {"targetingKey": "a-81f3", "locale": "en-GB", "page": {"path": "/"}, "plan": "pro", "exposure": "deferred"}

`targetingKey` is the visitor's anonymous id (`userId` beside it counts with a server key only). `page`, `device`,
`geo`, `network`, `locale` and `timezone` are those of `POST /v1/decide`, whole or as `page.path`; `consent` is, too.
Whatever else is a text, a number, a truth or a list of texts is an attribute of the page, which rules and conditions
may ask.

Asking does not show anything: nothing is recorded, no code is promised, no cap is used up. `exposure` says otherwise:
`true`, the flag is shown now; `"deferred"`, it will be when `Promotion Viewed` or `Content Viewed` arrives with the
`decisionId` of the flag's metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec

from edge.worker.problems import HttpProblem
from edgewise.attributes import CONTEXT_FIELDS
from edgewise.consent import Consent
from edgewise.request import Context

_OWN: Final = frozenset(field.partition(".")[0] for field in CONTEXT_FIELDS)
_MOST_ID: Final = 200


class Exposing(NamedTuple):
    """Whether asking for a flag shows it."""

    is_recorded: bool
    is_deferred: bool


ASKED_ONLY: Final = Exposing(is_recorded=False, is_deferred=False)
DEFERRED: Final = Exposing(is_recorded=True, is_deferred=True)
SHOWN: Final = Exposing(is_recorded=True, is_deferred=False)


class FlagContext(NamedTuple):
    """An evaluation context, understood."""

    targeting_key: str | None
    user_id: str | None
    context: Context
    consent: Consent
    exposing: Exposing


def flag_context(said: Mapping[str, Any]) -> FlagContext:
    """Raises HttpProblem, with what OFREP calls INVALID_CONTEXT."""
    tree: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    for name, value in said.items():
        outer, _, inner = name.partition(".")
        if inner and name in CONTEXT_FIELDS:
            inside = tree.setdefault(outer, {})
            if not isinstance(inside, dict):
                raise _invalid(f"{outer}: expected an object, got {inside!r}")
            inside[inner] = value
        elif name in _OWN:
            known = tree.get(name, {})
            tree[name] = {**known, **value} if isinstance(value, Mapping) else value
        elif name not in {"targetingKey", "userId", "consent", "exposure"} and _is_attribute(value):
            attributes[name] = value
    try:
        context = msgspec.convert({**tree, "attributes": attributes}, Context)
        consent = msgspec.convert(said.get("consent") or {}, Consent)
    except msgspec.ValidationError as wrong:
        raise _invalid(str(wrong)) from None
    return FlagContext(
        _id(said, "targetingKey"), _id(said, "userId"), context, consent, _exposing(said.get("exposure", False))
    )


def _is_attribute(value: Any) -> bool:
    """What rules can ask; a context may hold anything, and what they cannot ask is passed over."""
    if isinstance(value, list):
        return all(isinstance(each, str) for each in value)
    return value is None or isinstance(value, (str, bool, int, float))


def _id(said: Mapping[str, Any], name: str) -> str | None:
    value = said.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > _MOST_ID:
        raise _invalid(f"{name}: expected a text of at most {_MOST_ID} characters")
    return value


def _exposing(value: Any) -> Exposing:
    if value == "deferred":
        return DEFERRED
    if isinstance(value, bool):
        return SHOWN if value else ASKED_ONLY
    raise _invalid(f"exposure: expected true, false or 'deferred', got {value!r}")


def _invalid(detail: str) -> HttpProblem:
    return HttpProblem(HTTPStatus.BAD_REQUEST, "context", detail)
