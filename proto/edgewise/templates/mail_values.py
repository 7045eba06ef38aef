"""What a mail's template is given: when a mail is written, and before, when a site is checked or looked at.

The template's own variables come from the content of the treatment and have to be as declared. What is given besides
is not the template's to require: what is not as it should be of that is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from edgewise.bundle.templates import ListVariable, Template
from edgewise.ids import ItemId
from edgewise.templates.built_in import fitting
from edgewise.templates.released import GIVEN_MAIL

_PRODUCTS: Final = "products"
_LISTED: Final = GIVEN_MAIL[_PRODUCTS]
assert isinstance(_LISTED, ListVariable)
MOST_PRODUCTS: Final = _LISTED.most
_GIVEN: Final = Template(sources={}, variables=GIVEN_MAIL, kind="mail")
_PRODUCT: Final = Template(sources={}, variables=dict(_LISTED.of), kind="mail")


class Listed(NamedTuple):
    """A product of a mail's list."""

    id: ItemId
    content: Mapping[str, Any]
    why: str = ""


class Around(NamedTuple):
    """What surrounds the content of a mail."""

    locale: str = ""
    name: str = ""
    """Of its reader; blank where it is not known."""
    sender: str = ""
    address: str = ""
    why_link: str = ""
    preferences_link: str = ""
    unsubscribe_link: str = ""


def mail_values(content: Mapping[str, Any], products: Iterable[Listed], around: Around) -> Mapping[str, Any]:
    """Values of all variables; the first `MOST_PRODUCTS` of the products are listed."""
    listed = [_product(product) for product in products][:MOST_PRODUCTS]
    given = {**content, _PRODUCTS: listed, **around._asdict()}
    return dict(fitting(_GIVEN, given))


def _product(product: Listed) -> Mapping[str, Any]:
    said = {**product.content, "id": product.id, "why": product.why}
    return fitting(_PRODUCT, {key: value for key, value in said.items() if key in _PRODUCT.variables})
