"""What the address of a fragment asks, as a decide request.

    /v1/fragment/home_hero?count=2&locale=en-GB&path=/sale&attributes.weather=sunny&exclude=item-3&defer=1

Names are those of the context (`edgewise.attributes.CONTEXT_FIELDS`, the page's also without `page.`, and
`attributes.NAME`). What is said nowhere is taken from headers that a proxy passes on or adds: the locale from
`Accept-Language`, the page from `Edgewise-Page`. Parameters of other names are passed over: campaigns add theirs to
any address.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from edge.worker.consent_header import consent_of
from edgewise.attributes import ATTRIBUTE_PREFIX, CONTEXT_FIELDS
from edgewise.consent import Consent, ConsentState
from edgewise.errors import InputError, Problem, problem_of
from edgewise.request import DecideRequest

MOST_PARAMETERS: Final = 100
_TAG: Final = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8}){0,6}")
_SHORT: Final = {
    **{field.removeprefix("page."): field for field in CONTEXT_FIELDS if field.startswith("page.")},
    "device": "device.type",
    "country": "geo.country",
    "network": "network.type",
}
PARAMETERS: Final = (
    ("count", "How many items at most; without, what the placement says"),
    ("exclude", "Ids of items that are not to be shown, with commas between"),
    ("locale", "BCP 47; without, what Accept-Language prefers"),
    ("path", "Of the page; without, the header Edgewise-Page, but of a shared fragment the address alone"),
    ("device", "Type of the device: mobile, tablet, desktop, or the site's own word"),
    ("country", "ISO 3166 code"),
    ("timezone", "IANA name"),
    ("attributes.NAME", "An attribute of the page; numbers and truths as JSON writes them, anything else as text"),
    ("defer", "1: counts as shown when Promotion Viewed or Content Viewed with the decision's id arrives"),
    ("explain", "1: with a sentence why, linked to the page that says more"),
    ("shared", "1: the fragment that is the same for everybody, where the site shares this placement"),
    ("deadlineMs", "Milliseconds after which less is looked at"),
)
"""For people and OpenAPI; every other field of the context is understood as well."""
_YES: Final = frozenset({"1", "true", "yes", ""})
_NO: Final = frozenset({"0", "false", "no"})
NOBODY: Final = Consent(ConsentState.DENIED, ConsentState.DENIED, ConsentState.DENIED)
"""The consent of a shared fragment: it is about nobody, whoever asks."""


class Asked(NamedTuple):
    """One fragment's request."""

    request: DecideRequest
    locale_from_header: bool = False
    """The locale is not in the address, so that `Accept-Language` tells it, also by not being there."""


def asks_shared(query: bytes) -> bool:
    """Whether an address asks for the shared fragment; proxies look for the same word."""
    return _flag(_parameters(query), "shared")


def asked_by(
    placement: str,
    query: bytes,
    headers: Mapping[bytes, bytes],
    *,
    is_head: bool = False,
    vary: Collection[str] | None = None,
) -> Asked:
    """The decide request for a fragment.

    `vary` is given for a shared one: the fields of the context that may tell two of them apart, and nothing else of
    the request is looked at. A `HEAD` is a dry run, and what a browser fetches before anybody wants to see it counts
    as shown only when it was seen.

    Raises:
        InputError: the address, or a header, says something that cannot be.
    """
    said = _parameters(query)
    fields = {
        _SHORT.get(name, name): value
        for name, value in said.items()
        if _SHORT.get(name, name) in CONTEXT_FIELDS or name.startswith(ATTRIBUTE_PREFIX)
    }
    asks_header = not fields.get("locale") and (vary is None or "locale" in vary)
    language = preferred_language(headers.get(b"accept-language", b"")) if asks_header else ""
    if language:
        fields["locale"] = language
    # A proxy adds it to what it asks and does not know it when it keeps the answer: never of a shared fragment.
    page = headers.get(b"edgewise-page") if vary is None else None
    if page is not None and not fields.get("page.path"):
        fields["page.path"] = page.decode("utf-8", "replace").partition("?")[0]
    if vary is not None:
        fields = {name: value for name, value in fields.items() if name in vary}
    is_prefetched = headers.get(b"sec-purpose", headers.get(b"purpose", b"")).strip().startswith(b"prefetch")
    body = {
        "placements": [
            {
                "name": placement,
                **({"count": said["count"]} if said.get("count") else {}),
                "exclude": [item for item in said.get("exclude", "").split(",") if item],
            }
        ],
        "context": _context(fields),
        "options": {
            "deferActivation": vary is not None or is_prefetched or _flag(said, "defer"),
            "explain": vary is None and _flag(said, "explain"),
            "dryRun": is_head,
            "render": True,
            **({"deadlineMs": said["deadlineMs"]} if said.get("deadlineMs") else {}),
        },
    }
    try:
        request = msgspec.convert(body, DecideRequest, strict=False)
    except msgspec.ValidationError as wrong:
        problem = problem_of(str(wrong))
        raise InputError(problem.message, (problem,)) from None
    consent = NOBODY if vary is not None else consent_of(headers)
    return Asked(
        msgspec.structs.replace(request, consent=consent),
        locale_from_header=asks_header,
    )


def preferred_language(header: bytes) -> str:
    """The language of `Accept-Language` (RFC 9110, 12.5.4) that is wanted most; blank where none is named.

    >>> preferred_language(b"da;q=0.5, en-GB;q=0.8, *;q=0.1")
    'en-GB'
    """
    best, weight = "", 0.0
    for part in header.decode("latin-1").split(",")[:MOST_PARAMETERS]:
        tag, _, parameter = part.partition(";")
        name, _, value = parameter.partition("=")
        try:
            quality = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            continue
        if weight < quality <= 1.0 and _TAG.fullmatch(tag.strip()):
            best, weight = tag.strip(), quality
    return best


def _parameters(query: bytes) -> dict[str, str]:
    """Each parameter once: of a repeated one the last.

    Raises:
        InputError: there are too many.
    """
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError:
        message = f"more than {MOST_PARAMETERS} parameters"
        raise InputError(message, (Problem("$.query", message),)) from None
    return dict(pairs)


def _flag(said: Mapping[str, str], name: str) -> bool:
    value = said.get(name)
    if value is None or value.lower() in _NO:
        return False
    if value.lower() in _YES:
        return True
    message = f"expected 1 or 0, got {value!r}"
    raise InputError(message, (Problem(f"$.query.{name}", message),))


def _context(fields: Mapping[str, str]) -> dict[str, Any]:
    """Fields by their dotted names as the tree that a decide request has."""
    context: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    for name, value in fields.items():
        if name.startswith(ATTRIBUTE_PREFIX):
            attributes[name.removeprefix(ATTRIBUTE_PREFIX)] = _scalar(value)
            continue
        outer, _, inner = name.partition(".")
        if inner:
            context.setdefault(outer, {})[inner] = value
        else:
            context[outer] = value
    return {**context, "attributes": attributes}


def _scalar(value: str) -> str | float | bool:
    """An attribute: a number or a truth as JSON writes it, anything else as text (`007` is no number of JSON's)."""
    if value in {"true", "false"}:
        return value == "true"
    try:
        number = msgspec.json.decode(value.encode("utf-8", "replace"), type=float)
    except (msgspec.DecodeError, ValueError):
        return value
    return number
