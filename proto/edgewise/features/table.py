"""features.json: the declared columns of the model's input. One list, the same for serving and training.

Every feature names the purpose of consent that it needs (where that is missing it is absent: NaN) and a sentence
for people. `{item}` and `{value}` in a sentence are filled in.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from edgewise.consent import Purpose
from edgewise.ids import ModelName


class _Feature(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    name: Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,63}$")]
    sentence: str = ""
    purpose: Purpose | None = Purpose.PERSONALISATION
    """None: needs no consent, because it says nothing about a person."""


class NeighbourScore(_Feature, frozen=True, kw_only=True, tag="neighbour_score"):
    """Sum of neighbour weights from the last `last` items of the profile (0: all that it keeps)."""

    last: Annotated[int, Meta(ge=0, le=1_024)] = 0


class NeighbourMax(_Feature, frozen=True, kw_only=True, tag="neighbour_max"):
    """Largest single neighbour weight from the last `last` items (0: all)."""

    last: Annotated[int, Meta(ge=0, le=1_024)] = 0


class ItemAttribute(_Feature, frozen=True, kw_only=True, tag="item_attribute"):
    """A numeric (or true/false) attribute of the candidate; NaN where it has none."""

    attribute: str


class Affinity(_Feature, frozen=True, kw_only=True, tag="affinity"):
    """Mean over the candidate's values of `dimension` of the profile's decayed share of that value, in [0, 1].

    share = decayed weight of the value / decayed weight of all values of the dimension; NaN without history.
    """

    dimension: str
    half_life_days: Annotated[float, Meta(gt=0)]


class AffinityMatch(_Feature, frozen=True, kw_only=True, tag="affinity_max"):
    """As `affinity`, but the largest instead of the mean."""

    dimension: str
    half_life_days: Annotated[float, Meta(gt=0)]


class WindowCount(_Feature, frozen=True, kw_only=True, tag="window_count"):
    """How often the visitor did `kind` in the last `days` calendar days, the same for every candidate."""

    kind: str
    days: Annotated[int, Meta(ge=1, le=400)]


class DaysSinceItem(_Feature, frozen=True, kw_only=True, tag="days_since_item"):
    """Days since the visitor last touched the candidate itself; NaN if never."""


class DaysSinceVisit(_Feature, frozen=True, kw_only=True, tag="days_since_visit"):
    """Days since the visitor was last seen before now; NaN if never."""


class HistoryLength(_Feature, frozen=True, kw_only=True, tag="history_length"):
    """How many different items the profile keeps."""


class Rate(_Feature, frozen=True, kw_only=True, tag="rate"):
    """(times of `kind` + prior_successes) / (times of `per` + prior_trials) in the last `days` calendar days.

    The same for every candidate: how readily the visitor opens e-mails (`email_opened` per `email_delivered`), buys
    what he puts into the cart, sends back what he bought. NaN where nothing was tried and the prior is empty.
    """

    kind: str
    per: str
    days: Annotated[int, Meta(ge=1, le=400)]
    prior_successes: Annotated[float, Meta(ge=0)] = 0.0
    prior_trials: Annotated[float, Meta(ge=0)] = 0.0


class DaysSinceOrder(_Feature, frozen=True, kw_only=True, tag="days_since_order"):
    """Days since the visitor's last order; NaN if never. How often he orders: `window_count` of `order`."""


class Spent(_Feature, frozen=True, kw_only=True, tag="spent"):
    """Money of the last `days` calendar days less refunds, in minor units of the site's currency."""

    days: Annotated[int, Meta(ge=1, le=400)]


class TimeShare(_Feature, frozen=True, kw_only=True, tag="time_share"):
    """Mean over the candidate's topics of the decayed share of the visitor's time, in [0, 1]; NaN without any time."""

    half_life_days: Annotated[float, Meta(gt=0)]


class PriceDistance(_Feature, frozen=True, kw_only=True, tag="price_distance"):
    """How many doublings lie between the candidate's price and the prices that the visitor usually touches.

    0: his usual price; 1: twice or half of it. NaN where either is unknown. `decimals`: of the site's currency.
    """

    attribute: str = "price"
    decimals: Annotated[int, Meta(ge=0, le=4)] = 2


class CartSize(_Feature, frozen=True, kw_only=True, tag="cart_size"):
    """Pieces in the visitor's cart."""


class CartValue(_Feature, frozen=True, kw_only=True, tag="cart_value"):
    """What the cart is worth, in minor units of the site's currency, as far as prices are known."""


class OpenTickets(_Feature, frozen=True, kw_only=True, tag="open_tickets"):
    """Tickets that the visitor waits for."""


class TicketMood(_Feature, frozen=True, kw_only=True, tag="ticket_mood"):
    """Mood of the visitor's last ticket that told one, from -1, angry, to 1, pleased; NaN without any."""


class DistinctCount(_Feature, frozen=True, kw_only=True, tag="distinct_count"):
    """How many different `items`, or values of a dimension (`category`, `brand`, `topic`), were ever touched."""

    of: str


class Visits(_Feature, frozen=True, kw_only=True, tag="visits"):
    """Visits that began in the last `days` calendar days; a pause of half an hour ends one."""

    days: Annotated[int, Meta(ge=1, le=90)]


class ActiveDays(_Feature, frozen=True, kw_only=True, tag="active_days"):
    """On how many of the last `days` calendar days there was a visit."""

    days: Annotated[int, Meta(ge=1, le=90)]


class ContextValue(_Feature, frozen=True, kw_only=True, tag="context_value"):
    """A numeric context attribute (`attributes.NAME`), the same for every candidate."""

    attribute: str


class ContextIs(_Feature, frozen=True, kw_only=True, tag="context_is"):
    """1 if a context field (`device.type`, `locale`, `geo.country`, `page.path`, `attributes.NAME`) is `value`."""

    field: str
    value: str


class ItemIs(_Feature, frozen=True, kw_only=True, tag="item_is"):
    """1 if the candidate's `attribute` is or contains `value`, else 0."""

    attribute: str
    value: str


class Score(_Feature, frozen=True, kw_only=True, tag="score"):
    """What a visitor score of the bundle says, the same for every candidate; of `of_class`, where it has classes.

    NaN where the score could not be computed.
    """

    model: ModelName
    of_class: str = msgspec.field(default="", name="class")


Feature = (
    NeighbourScore
    | NeighbourMax
    | ItemAttribute
    | Affinity
    | AffinityMatch
    | WindowCount
    | DaysSinceItem
    | DaysSinceVisit
    | HistoryLength
    | Rate
    | DaysSinceOrder
    | Spent
    | TimeShare
    | PriceDistance
    | CartSize
    | CartValue
    | OpenTickets
    | TicketMood
    | DistinctCount
    | Visits
    | ActiveDays
    | ContextValue
    | ContextIs
    | ItemIs
    | Score
)


class FeatureTable(msgspec.Struct, frozen=True):
    """Columns in order. Names are unique."""

    features: list[Feature]


_decoder = msgspec.json.Decoder(FeatureTable)
_encoder = msgspec.json.Encoder(order="deterministic")


def decode_features(data: bytes) -> FeatureTable:
    """Raises ValueError (or its subclass `msgspec.ValidationError`) with the path of what is wrong."""
    table = _decoder.decode(data)
    names = [feature.name for feature in table.features]
    for position, name in enumerate(names):
        if name in names[:position]:
            raise ValueError(f"feature {name!r} is declared twice - at `$.features[{position}].name`")
    return table


def encode_features(table: FeatureTable) -> bytes:
    """Canonical bytes."""
    return _encoder.encode(table)
