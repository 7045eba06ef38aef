"""A mail by the site's own template: subject, text and HTML of one that a person approved.

Where there is none, or what was decided does not fit it, the caller composes the mail without it: a mail that is due is
not kept back by a template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from edgewise.admission.load import Bundle
from edgewise.bundle.templates import ListVariable, Template
from edgewise.rendering import Links, ShownItem
from edgewise.templates.built_in import fitting
from edgewise.templates.flaws import Unrenderable
from edgewise.templates.released import GIVEN_MAIL
from hub.mail.composing import PREFERENCES, UNSUBSCRIBE

_NAMES: Final = ("name", "first_name")
"""Fields of the vault, the first that is there."""
_PRODUCTS: Final = "products"


class Voice(NamedTuple):
    """Who writes: the same in every mail."""

    links: Links = Links()
    sender: str = ""
    address: str = ""


class Worded(NamedTuple):
    """The parts of a mail."""

    subject: str
    text: str
    html: str


def worded(
    bundle: Bundle,
    name: str,
    locale: str,
    treatment: ShownItem,
    products: Sequence[tuple[ShownItem, str]],
    *,
    contact: Mapping[str, Any],
    decision_id: str,
    voice: Voice,
) -> Worded | None:
    """The parts of a mail by the template `name` of the release; None: without it.

    `products` come each with why it is there. Links of its reader's own stand as `hub.mail.composing` finds them.
    """
    parts = bundle.templates.mail(name, locale)
    if parts is None:
        return None
    base = voice.links.why_base.rstrip("/")
    given = {
        **(treatment.content or {}),
        "locale": locale,
        "name": next((contact[key] for key in _NAMES if isinstance(contact.get(key), str)), ""),
        _PRODUCTS: [_product(item, why) for item, why in products],
        "sender": voice.sender,
        "address": voice.address,
        "why_link": Links(base).why(decision_id),
        "preferences_link": f"{base}{PREFERENCES}",
        "unsubscribe_link": f"{base}{UNSUBSCRIBE}",
    }
    given = dict(fitting(_GIVEN, given))
    try:
        said = Worded(parts.subject.render(given).strip(), parts.text.render(given), parts.html.render(given))
    except Unrenderable:
        return None
    return said if said.subject and said.html.strip() else None


_LISTED: Final = GIVEN_MAIL[_PRODUCTS]
assert isinstance(_LISTED, ListVariable)
_GIVEN: Final = Template(sources={}, variables=GIVEN_MAIL, kind="mail")
_PRODUCT: Final = Template(sources={}, variables=dict(_LISTED.of), kind="mail")
"""What is given is not the template's to require: what is not as it is declared is left out."""


def _product(item: ShownItem, why: str) -> Mapping[str, Any]:
    said = {**(item.content or {}), "id": item.id, "why": why}
    return fitting(_PRODUCT, {key: value for key, value in said.items() if key in _PRODUCT.variables})
