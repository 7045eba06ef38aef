"""The data points of a journey, and how much of its effect hangs on each.

A site says them in `journeys/NAME.yaml`:

    needs:
      - {kind: event, name: Product Viewed, worth: 0.3, why: what somebody looks at is what he is shown more of}
      - {kind: identifier, name: email, worth: 0.2, why: no e-mail without an address}

The three journeys that come with Edgewise have needs of their own, which a file of the same name replaces.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from edgewise.errors import InputError, SiteError
from hub.site.converting import convert, did_you_mean
from hub.site.documents import read_yaml

Kind = Literal["event", "trait", "identifier", "contact", "item"]
FOLDER: Final = "journeys"


class Need(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One data point."""

    kind: Kind
    """event: something they did; trait: said of them by `identify` or an import; identifier: how they are known;
    contact: a field of the vault; item: an attribute of what can be shown."""
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    worth: Annotated[float, Meta(ge=0, le=1)]
    """The share of the journey's effect that hangs on it: a judgement of whoever wrote the journey, no measurement."""
    why: Annotated[str, Meta(max_length=300)] = ""

    @property
    def words(self) -> str:
        """`event Product Viewed`."""
        return f"{self.kind} {self.name}"


BUILT_IN: Final[dict[str, tuple[Need, ...]]] = {
    "homepage-banner": (
        Need("event", "Product Viewed", 0.30, "recent browsing is what interest is predicted from"),
        Need("event", "Product List Viewed", 0.05, "categories say what somebody compares"),
        Need("event", "Order Completed", 0.15, "what somebody has is not advertised to him again"),
        Need("event", "Promotion Clicked", 0.10, "which banners worked, to learn from"),
        Need("item", "category", 0.15, "interest is in categories more than in single items"),
        Need("item", "brand", 0.05, "interest in brands"),
        Need("identifier", "userId", 0.10, "the same person on telephone and desk"),
        Need("contact", "email", 0.10, "a personal promotion code must reach one person only"),
    ),
    "abandoned-cart": (
        Need("event", "Product Added", 0.25, "a cart begins with it"),
        Need("event", "Checkout Started", 0.10, "how far somebody came tells why he left"),
        Need("event", "Order Completed", 0.15, "nobody is reminded of what he bought"),
        Need("contact", "email", 0.20, "no e-mail without an address"),
        Need("event", "Email Opened", 0.05, "whether e-mails are read at all"),
        Need("event", "Ticket Opened", 0.10, "trouble is a reason that a discount does not mend"),
        Need("event", "Product Viewed", 0.10, "comparing prices is a reason, too"),
        Need("item", "price", 0.05, "what the cart is worth"),
    ),
    "content-hub": (
        Need("event", "Content Viewed", 0.35, "what somebody reads orders what he is offered"),
        Need("event", "Content Clicked", 0.10, "which module worked, to learn from"),
        Need("item", "topic", 0.20, "time is spent on topics"),
        Need("trait", "job_title", 0.10, "career stage swaps modules"),
        Need("event", "Email Clicked", 0.10, "reading begins in the newsletter"),
        Need("identifier", "userId", 0.10, "the same reader on telephone and desk"),
    ),
}


def needs_of(journey: str, site: Path) -> tuple[Need, ...]:
    """What a journey needs, by the site's file, else as built in.

    Raises SiteError for a file that is wrong, InputError for a journey that nobody knows.
    """
    file = site / FOLDER / f"{journey}.yaml"
    if not file.is_file():
        if journey in BUILT_IN:
            return BUILT_IN[journey]
        written = sorted(path.stem for path in (site / FOLDER).glob("*.yaml"))
        known = did_you_mean(journey, {*written, *BUILT_IN})
        raise InputError(f"there is no journey {journey!r} (journeys/{journey}.yaml of the site {site}); {known}")
    told = f"{FOLDER}/{file.name}"
    document, problems = read_yaml(told, file.read_text(encoding="utf-8", errors="replace"))
    if document is None or problems:
        raise SiteError(f"{file} cannot be read", tuple(problems))
    # other keys of the file are other modules' business
    value: Any = document.value.get("needs") if isinstance(document.value, dict) else None
    if not isinstance(value, list) or not value:
        listed = (document.problem(("needs",), "expected a list of data points: {kind, name, worth, why}"),)
        raise SiteError(f"{file} does not say what the journey needs", listed)
    found, wrong = convert(value, list[Need], ("needs",))
    if found is None:
        listed = tuple(document.problem(each.path, each.message) for each in wrong)
        raise SiteError(f"{file} does not say what the journey needs", listed)
    return tuple(found)
