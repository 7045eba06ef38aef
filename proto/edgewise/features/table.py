"""features.json: the declared columns of the model's input. One list, the same for serving and training.

Every feature names the purpose of consent that it needs (where that is missing it is absent: NaN) and a sentence
for people. `{item}` and `{value}` in a sentence are filled in.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from edgewise.bundle.learned import UNNAMED, SetRef
from edgewise.features.base import BaseFeature
from edgewise.features.encodings import Code, Cross, Hash, Position, TraitIs, TraitValue
from edgewise.ids import ModelName

__all__ = ["Code", "Cross", "Hash", "Position", "TraitIs", "TraitValue"]


class NeighbourScore(BaseFeature, frozen=True, kw_only=True, tag="neighbour_score", rename={"source": "from"}):
    """Sum of neighbour weights from the last `last` items of the profile (0: all that it keeps).

    `from` names a set of neighbours: `complements`.
    """

    last: Annotated[int, Meta(ge=0, le=1_024)] = 0
    source: SetRef = UNNAMED


class NeighbourMax(BaseFeature, frozen=True, kw_only=True, tag="neighbour_max", rename={"source": "from"}):
    """Largest single neighbour weight from the last `last` items (0: all), of the set that `from` names."""

    last: Annotated[int, Meta(ge=0, le=1_024)] = 0
    source: SetRef = UNNAMED


class SessionScore(BaseFeature, frozen=True, kw_only=True, tag="session_score"):
    """How loud visits like this one speak for the candidate (`edgewise.sessions`); 0 where none does."""


class ItemAttribute(BaseFeature, frozen=True, kw_only=True, tag="item_attribute"):
    """A numeric (or true/false) attribute of the candidate; NaN where it has none."""

    attribute: str


class Affinity(BaseFeature, frozen=True, kw_only=True, tag="affinity"):
    """Mean over the candidate's values of `dimension` of the profile's decayed share of that value, in [0, 1].

    share = decayed weight of the value / decayed weight of all values of the dimension; NaN without history.
    """

    dimension: str
    half_life_days: Annotated[float, Meta(gt=0)]


class AffinityMatch(BaseFeature, frozen=True, kw_only=True, tag="affinity_max"):
    """As `affinity`, but the largest instead of the mean."""

    dimension: str
    half_life_days: Annotated[float, Meta(gt=0)]


class WindowCount(BaseFeature, frozen=True, kw_only=True, tag="window_count"):
    """How often the visitor did `kind` in the last `days` calendar days, the same for every candidate."""

    kind: str
    days: Annotated[int, Meta(ge=1, le=400)]


class DaysSinceItem(BaseFeature, frozen=True, kw_only=True, tag="days_since_item"):
    """Days since the visitor last touched the candidate itself; NaN if never."""


class Touched(BaseFeature, frozen=True, kw_only=True, tag="touched"):
    """1 if the visitor viewed, clicked, added, bought or reviewed the candidate itself in the last `days` days, else 0.

    `days` 0: ever, as far as the profile keeps it. What was read already: a formula that takes it away, or a model,
    moves it down; `exclude_seen` of a placement leaves it out.
    """

    days: Annotated[float, Meta(ge=0)] = 0.0


class Freshness(BaseFeature, frozen=True, kw_only=True, tag="freshness"):
    """How new the candidate is, in (0, 1]: 1 when it was `published`, a half `half_after_days` days later.

    1 / (1 + age / half_after_days): sums and quotients are rounded alike on every machine, which powers are not, and
    what is old stays in order. `attribute` holds a date or a moment as ISO 8601 writes it (without a zone: UTC), or
    milliseconds since 1970; NaN where it holds neither. What is published in the future is as new as can be.
    """

    attribute: str = "published"
    half_after_days: Annotated[float, Meta(gt=0)] = 7.0


class ScoreMatch(BaseFeature, frozen=True, kw_only=True, tag="score_match"):
    """How much a visitor score with classes says for what the candidate's `attribute` is: the largest of its values.

    A predicted trait meets what an item is about: a visitor who is an `explorer` with 0.7 gives 0.7 to an article with
    `reader: [explorer]`. 0 where no value is a class; NaN without any value, or without the score.
    """

    model: ModelName
    attribute: str


class DaysSinceVisit(BaseFeature, frozen=True, kw_only=True, tag="days_since_visit"):
    """Days since the visitor was last seen before now; NaN if never."""


class HistoryLength(BaseFeature, frozen=True, kw_only=True, tag="history_length"):
    """How many different items the profile keeps."""


class Rate(BaseFeature, frozen=True, kw_only=True, tag="rate"):
    """(times of `kind` + prior_successes) / (times of `per` + prior_trials) in the last `days` calendar days.

    The same for every candidate: how readily the visitor opens e-mails (`email_opened` per `email_delivered`), buys
    what he puts into the cart, sends back what he bought. NaN where nothing was tried and the prior is empty.
    """

    kind: str
    per: str
    days: Annotated[int, Meta(ge=1, le=400)]
    prior_successes: Annotated[float, Meta(ge=0)] = 0.0
    prior_trials: Annotated[float, Meta(ge=0)] = 0.0


class DaysSinceOrder(BaseFeature, frozen=True, kw_only=True, tag="days_since_order"):
    """Days since the visitor's last order; NaN if never. How often he orders: `window_count` of `order`."""


class Spent(BaseFeature, frozen=True, kw_only=True, tag="spent"):
    """Money of the last `days` calendar days less refunds, in minor units of the site's currency."""

    days: Annotated[int, Meta(ge=1, le=400)]


class TimeShare(BaseFeature, frozen=True, kw_only=True, tag="time_share"):
    """Mean over the candidate's topics of the decayed share of the visitor's time, in [0, 1]; NaN without any time."""

    half_life_days: Annotated[float, Meta(gt=0)]


class PriceDistance(BaseFeature, frozen=True, kw_only=True, tag="price_distance"):
    """How many doublings lie between the candidate's price and the prices that the visitor usually touches.

    0: his usual price; 1: twice or half of it. NaN where either is unknown. `decimals`: of the site's currency.
    """

    attribute: str = "price"
    decimals: Annotated[int, Meta(ge=0, le=4)] = 2


class CartSize(BaseFeature, frozen=True, kw_only=True, tag="cart_size"):
    """Pieces in the visitor's cart."""


class CartValue(BaseFeature, frozen=True, kw_only=True, tag="cart_value"):
    """What the cart is worth, in minor units of the site's currency, as far as prices are known."""


class OpenTickets(BaseFeature, frozen=True, kw_only=True, tag="open_tickets"):
    """Tickets that the visitor waits for."""


class TicketMood(BaseFeature, frozen=True, kw_only=True, tag="ticket_mood"):
    """Mood of the visitor's last ticket that told one, from -1, angry, to 1, pleased; NaN without any."""


class DistinctCount(BaseFeature, frozen=True, kw_only=True, tag="distinct_count"):
    """How many different `items`, or values of a dimension (`category`, `brand`, `topic`), were ever touched."""

    of: str


class Visits(BaseFeature, frozen=True, kw_only=True, tag="visits"):
    """Visits that began in the last `days` calendar days; a pause of half an hour ends one."""

    days: Annotated[int, Meta(ge=1, le=90)]


class ActiveDays(BaseFeature, frozen=True, kw_only=True, tag="active_days"):
    """On how many of the last `days` calendar days there was a visit."""

    days: Annotated[int, Meta(ge=1, le=90)]


class ContextValue(BaseFeature, frozen=True, kw_only=True, tag="context_value"):
    """A numeric context attribute (`attributes.NAME`), the same for every candidate."""

    attribute: str


class ContextIs(BaseFeature, frozen=True, kw_only=True, tag="context_is"):
    """1 if a context field (`device.type`, `locale`, `geo.country`, `page.path`, `attributes.NAME`) is `value`."""

    field: str
    value: str


class ItemIs(BaseFeature, frozen=True, kw_only=True, tag="item_is"):
    """1 if the candidate's `attribute` is or contains `value`, else 0."""

    attribute: str
    value: str


class AffinitySum(BaseFeature, frozen=True, kw_only=True, tag="affinity_sum"):
    """Sum over the candidate's values of `dimension` of the profile's decayed weight of that value; at least 0.

    What `affinity` says is relative: whoever looked at one thing once likes it as surely as whoever bought ten. This
    is how much there was. NaN where the candidate has no value.
    """

    dimension: str
    half_life_days: Annotated[float, Meta(gt=0)]


class AffinityWindow(BaseFeature, frozen=True, kw_only=True, tag="affinity_window"):
    """As `affinity_sum`, of the last `days` calendar days (UTC), today included, undecayed: a whole number."""

    dimension: str
    days: Annotated[int, Meta(ge=1, le=180)]


class LastMatch(BaseFeature, frozen=True, kw_only=True, tag="last_match"):
    """Share of the last `last` items that the visitor touched which have a value of `dimension` of the candidate's.

    In [0, 1]; with `last: 1`, whether the last one has. Only items that the catalogue knows with a value there count;
    NaN where none does, or the candidate has none.
    """

    dimension: str
    last: Annotated[int, Meta(ge=1, le=64)] = 5


class ContentCosine(BaseFeature, frozen=True, kw_only=True, tag="content_cosine"):
    """Cosine of the candidate's content vector and what the visitor likes, in [-1, 1].

    What he likes is the mean of the vectors of the last `last` items that he touched, each weighed by what a touch says
    and halved every `half_life_days`. NaN where either has no direction.
    """

    half_life_days: Annotated[float, Meta(gt=0)] = 14.0
    last: Annotated[int, Meta(ge=1, le=1_024)] = 100


class DecayedCount(BaseFeature, frozen=True, kw_only=True, tag="decayed_count"):
    """How often the visitor did `kind`, each time halved every `half_life_days`; the same for every candidate."""

    kind: str
    half_life_days: Annotated[float, Meta(gt=0)]


class LocalHour(BaseFeature, frozen=True, kw_only=True, tag="local_hour"):
    """The hour in the visitor's zone, from 0 to 23; NaN where the zone is not known."""


class LocalWeekday(BaseFeature, frozen=True, kw_only=True, tag="local_weekday"):
    """The day of the week in the visitor's zone, 0 is Monday; NaN where the zone is not known."""


class Score(BaseFeature, frozen=True, kw_only=True, tag="score"):
    """What a visitor score of the bundle says, the same for every candidate; of `of_class`, where it has classes.

    NaN where the score could not be computed.
    """

    model: ModelName
    of_class: str = msgspec.field(default="", name="class")


class ValueShare(BaseFeature, frozen=True, kw_only=True, tag="value_share"):
    """The visitor's decayed share of one `value` of `dimension`, in [0, 1], the same for every candidate.

    As the share of `affinity`; NaN without history.
    """

    dimension: str
    value: str
    half_life_days: Annotated[float, Meta(gt=0)]


class RecentShare(BaseFeature, frozen=True, kw_only=True, tag="recent_share"):
    """The share of the last `last` touched items whose `dimension` is or contains `value`, in [0, 1].

    The same for every candidate. Items that the catalogue does not know, or that have no value there, are passed over;
    NaN where none is left. With `last: 1` it says where the visitor has just been, which decayed shares, kept by the
    day, cannot.
    """

    dimension: str
    value: str
    last: Annotated[int, Meta(ge=1, le=1_024)] = 1


class TopicSeconds(BaseFeature, frozen=True, kw_only=True, tag="topic_seconds"):
    """Seconds that the visitor spent on `topic` in the last `days` calendar days, the same for every candidate."""

    topic: str
    days: Annotated[int, Meta(ge=1, le=180)]


Feature = (
    NeighbourScore
    | NeighbourMax
    | SessionScore
    | ItemAttribute
    | Affinity
    | AffinityMatch
    | WindowCount
    | DaysSinceItem
    | Touched
    | Freshness
    | ScoreMatch
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
    | ValueShare
    | RecentShare
    | TopicSeconds
    | ContextValue
    | ContextIs
    | ItemIs
    | AffinitySum
    | AffinityWindow
    | LastMatch
    | ContentCosine
    | DecayedCount
    | LocalHour
    | LocalWeekday
    | Code
    | Hash
    | TraitValue
    | TraitIs
    | Cross
    | Position
    | Score
)

OfDimension = Affinity | AffinityMatch | AffinitySum | AffinityWindow | LastMatch | ValueShare | RecentShare
"""Features that name a dimension of the profile."""


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
