"""catalogue.json: the items, their contents, attributes and approvals. Default-deny: no approval, no show."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from edgewise.bundle.policy import Rule
from edgewise.bundle.promotions import PromotionName
from edgewise.bundle.schedules import Schedule
from edgewise.ids import ItemId

AttributeValue = str | float | bool | list[str]


class Variant(msgspec.Struct, frozen=True, omit_defaults=True):
    """Another copy of an item, for whom a rule says so. Shown only when its own content is approved."""

    name: str
    when: Rule
    content: dict[str, Any]
    """What the page renders instead of the item's content."""
    sentence: str = ""
    """For explanations: "Worded for visitors who compare prices"."""
    approved_sha256: str | None = None
    approved_by: str | None = None


class Representation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an item is in placements of one format: the same offer as a banner, as a line of a mail, as a tile."""

    content: dict[str, Any]
    """What is rendered there instead of the item's content."""
    approved_sha256: str | None = None
    """Of this very content: while it is not approved, the item is not shown in placements of the format."""
    approved_by: str | None = None


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that can be shown."""

    id: ItemId
    content: dict[str, Any]
    """What the page renders; free JSON."""
    attributes: dict[str, AttributeValue] = {}
    """Facts for rules and features; `category`, `brand`, `topic` (lists of strings) feed a profile's affinities."""
    approved_sha256: str | None = None
    """Digest of the content that a person approved. Served only while it equals the content's own digest."""
    approved_by: str | None = None
    starts_ms: int | None = None
    ends_ms: int | None = None
    variants: list[Variant] = []
    """The first whose rule holds is shown; the content where none does."""
    schedule: Schedule | None = None
    """When it is shown, within `starts_ms` and `ends_ms`."""
    representations: dict[str, Representation] = {}
    """Format of placements -> what is shown in them. An item without one for a format shows its own content."""
    promotion: PromotionName | None = None
    """Where it is shown, its content gets a personal code of this promotion."""


class Catalogue(msgspec.Struct, frozen=True):
    """All items, in the order that `priority` ranking uses."""

    items: list[Item]


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Catalogue)


def content_sha256(content: dict[str, Any]) -> str:
    """What an approval signs: SHA-256 over the content as JSON with sorted keys."""
    return hashlib.sha256(_encoder.encode(content)).hexdigest()


def decode_catalogue(data: bytes) -> Catalogue:
    """Raises `msgspec.ValidationError` with the path of what is wrong."""
    return _decoder.decode(data)


def encode_catalogue(catalogue: Catalogue) -> bytes:
    """Canonical bytes."""
    return _encoder.encode(catalogue)
