"""What a page asks: the body of `POST /v1/decide`, decoded and bounded (JSON or MessagePack).

The wire spells camelCase; unknown fields are passed over, so that newer pages can ask older nodes.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from edgewise.consent import Consent
from edgewise.dial import DIAL_EVERYTHING, DIAL_NOTHING
from edgewise.ids import ItemId, PlacementName

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=2_000)]
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""JSON knows longer ones; the codec of records does not."""
Scalar = str | Integer | float | bool | None
Attributes = dict[Annotated[str, Meta(max_length=200)], Scalar | list[str]]


class Candidate(msgspec.Struct, frozen=True, rename="camel"):
    """An item that the caller brings along; it competes instead of the placement's collection."""

    id: Annotated[ItemId, Meta(min_length=1, max_length=200)]
    attributes: Attributes = {}


class PlacementRequest(msgspec.Struct, frozen=True, rename="camel"):
    """One placement of a page. `count` defaults to what the placement says."""

    name: Annotated[PlacementName, Meta(min_length=1, max_length=200)]
    count: Annotated[int, Meta(ge=1, le=100)] | None = None
    exclude: Annotated[list[ItemId], Meta(max_length=1_000)] = []
    candidates: Annotated[list[Candidate], Meta(max_length=1_000)] | None = None


class Page(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Where the visitor is."""

    path: Text = ""
    referrer: Text = ""
    url: Text = ""
    title: Text = ""


class Device(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """`type` is `mobile`, `tablet`, `desktop` or what the site uses."""

    type: Text = ""


class Geo(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Coarse on purpose: never finer than a country."""

    country: Text = ""


class Network(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """`type`: how the visitor is connected, as coarse as `mobile`, `home`, `business`, `hosting`, `satellite`."""

    type: Text = ""


class Context(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What is known of the page view itself, without any profile."""

    page: Page = Page()
    device: Device = Device()
    locale: Text = ""
    timezone: Text = ""
    geo: Geo = Geo()
    attributes: Attributes = {}
    network: Network = Network()
    utc_offset_minutes: Annotated[int, Meta(ge=-1_080, le=1_080)] | None = None
    """How far the visitor's clock is ahead of UTC; where the page does not say, a node takes it from `timezone`."""


class Options(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """`force` needs an operator: a placement -> its arm's name, or a list of item ids.

    With `render` each placement of the answer has its HTML, and a name that this bundle does not know is left out: a
    page that is a release ahead must not lose its other placements.
    """

    explain: bool = False
    deadline_ms: Annotated[float, Meta(gt=0, le=10_000)] | msgspec.UnsetType = msgspec.UNSET
    """Where it is not said, the node's own `deadline_ms`: 10 unless an operator has set another."""
    defer_activation: bool = False
    force: dict[PlacementName, str | list[ItemId]] = {}
    dry_run: bool = False
    debug: bool = False
    render: bool = False
    dial: Annotated[int, Meta(ge=DIAL_NOTHING, le=DIAL_EVERYTHING)] | None = None
    """What the visitor has set where no cookie can prove him: with this request the stricter of it and what he has
    stated holds."""


class DecideRequest(msgspec.Struct, frozen=True, rename="camel"):
    """The whole question. `events` are Segment envelopes that are applied before deciding."""

    placements: Annotated[list[PlacementRequest], Meta(min_length=1, max_length=50)]
    anonymous_id: Annotated[str, Meta(max_length=200)] | None = None
    user_id: Annotated[str, Meta(max_length=200)] | None = None
    context: Context = Context()
    consent: Consent = Consent()
    events: Annotated[list[msgspec.Raw], Meta(max_length=100)] = []
    options: Options = Options()
