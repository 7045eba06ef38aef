"""policy.json: what people decided. Placements, arms, experiments, rules, keys, consent defaults."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edgewise.bundle.content_limits import ContentLimit
from edgewise.bundle.experiments import Experiment
from edgewise.bundle.exploration import Exploration, Greedy
from edgewise.bundle.facts import MOST_NAMES, FactName
from edgewise.bundle.learned import UNNAMED, SetRef
from edgewise.bundle.promotions import Promotion, PromotionName
from edgewise.bundle.rewards import EVERYBODY, RewardDefinition, TrafficRules
from edgewise.bundle.schedules import Schedule, Zone, ZoneName
from edgewise.bundle.share import Share
from edgewise.consent import Consent
from edgewise.ids import (
    ArmName,
    CollectionName,
    ExperimentKey,
    ItemId,
    ModelName,
    PlacementName,
    SiteName,
    TemplateName,
)
from edgewise.money import SITE_CURRENCY


# --- ranking: how an arm orders its candidates -----------------------------------------------------------------
class ByPriority(msgspec.Struct, frozen=True, tag="priority", tag_field="method"):
    """The collection's own order, first is best."""


class ByAttribute(msgspec.Struct, frozen=True, tag="attribute", tag_field="method"):
    """Highest (or lowest) value of a numeric item attribute; popularity rules are written like this."""

    attribute: str
    descending: bool = True


class ByModel(msgspec.Struct, frozen=True, tag="model", tag_field="method"):
    """The scores of an ONNX model of this bundle."""

    model: ModelName


class OfNumber(msgspec.Struct, frozen=True, tag="number", tag_field="term"):
    """A number."""

    value: float


class OfItem(msgspec.Struct, frozen=True, tag="item", tag_field="term", omit_defaults=True):
    """A numeric attribute of the candidate; `missing` where it has none, else the whole formula has no value."""

    attribute: str
    missing: float | None = None


class OfScore(msgspec.Struct, frozen=True, tag="score", tag_field="term", omit_defaults=True):
    """What a visitor score says, the same for every candidate; `missing` where it could not be computed."""

    model: ModelName
    of_class: str = msgspec.field(default="", name="class")
    missing: float | None = None


class OfFeature(msgspec.Struct, frozen=True, tag="feature", tag_field="term", omit_defaults=True):
    """A declared feature of the candidate, as a model would see it; `missing` where it is not known.

    So people can weigh what is known of a visitor before there is a model: time spent on a topic, freshness, a
    predicted trait, and what was read already with a minus.
    """

    name: str
    missing: float | None = None


class OfModel(msgspec.Struct, frozen=True, tag="model", tag_field="term"):
    """What a ranking model says of the candidate. A formula may ask one model."""

    model: ModelName


class Sum(msgspec.Struct, frozen=True, tag="sum", tag_field="term"):
    """Of its terms."""

    of: Annotated[list[Term], Meta(min_length=1)]


class Product(msgspec.Struct, frozen=True, tag="product", tag_field="term"):
    """Of its terms."""

    of: Annotated[list[Term], Meta(min_length=1)]


class Power(msgspec.Struct, frozen=True, tag="power", tag_field="term"):
    """A term to a power that is a multiple of a quarter: 0.5 is its root, -1 its inverse. Without value where none is.

    By these steps it is the same on every machine (`edgewise.formula`).
    """

    of: Term
    to: Annotated[float, Meta(ge=-8, le=8, multiple_of=0.25)]


Term = OfNumber | OfItem | OfScore | OfFeature | OfModel | Sum | Product | Power


class ByFormula(msgspec.Struct, frozen=True, tag="formula", tag_field="method", omit_defaults=True):
    """The largest value of a formula that people wrote; what has no value stands below everything that has one."""

    formula: Term
    sentence: str = ""
    """For explanations: "Cheap, because you may be leaving us"."""


class ByRetrieval(msgspec.Struct, frozen=True, tag="retrieval", tag_field="method"):
    """The order in which retrieval found them: an arm that needs no model."""


class External(msgspec.Struct, frozen=True, tag="external", tag_field="method"):
    """Nothing of ours: the page keeps the content that it has, and the decision says only who was in which arm.

    So a champion that lives in the page, or in another product, is measured against a challenger as it stands.
    """


Ranking = ByPriority | ByAttribute | ByModel | ByRetrieval | ByFormula | External


# --- retrieval: which of a large collection are scored ------------------------------------------------------------
class Everything(msgspec.Struct, frozen=True, tag="all", tag_field="method"):
    """All eligible items of the collection, at most `limit`, in its order."""

    limit: Annotated[int, Meta(ge=1, le=1_000)] = 500


class ByNeighbours(
    msgspec.Struct, frozen=True, tag="neighbours", tag_field="method", omit_defaults=True, rename={"source": "from"}
):
    """The `limit` best by neighbour score of the visitor's history, filled up by `fill_attribute`, descending.

    `from` names a set of neighbours; `last`: only his latest items speak (0: all).
    """

    fill_attribute: str
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 200
    source: SetRef = UNNAMED
    last: Annotated[int, Meta(ge=0, le=1_024)] = 0


class BySessions(msgspec.Struct, frozen=True, tag="sessions", tag_field="method", omit_defaults=True):
    """The `limit` items that visits like this one went on to, filled up by `fill_attribute`, descending."""

    fill_attribute: str
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 200


class ByVectors(
    msgspec.Struct, frozen=True, tag="vectors", tag_field="method", omit_defaults=True, rename={"source": "from"}
):
    """The `limit` items that are most about what the visitor likes, filled up by `fill_attribute`, descending.

    What he likes is the mean of the vectors of the last `last` items that he touched, each halved every
    `half_life_days`: vectors of content, or of the set that `from` names. Exact up to 50,000 items of a collection; of
    a larger one the lists that fit best are read.
    """

    fill_attribute: str
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 200
    half_life_days: Annotated[float, Meta(gt=0)] = 14.0
    last: Annotated[int, Meta(ge=1, le=1_024)] = 100
    source: SetRef = UNNAMED


Retrieval = Everything | ByNeighbours | BySessions | ByVectors


# --- rules: a tiny typed tree, never an eval ----------------------------------------------------------------------
Operand = str | float | bool | list[str | float]


class Compare(msgspec.Struct, frozen=True, tag="compare", tag_field="match"):
    """Compares one value. `of` is `item.NAME`, `context.NAME` or `profile.NAME`; a missing value is never equal.

    Visitor scores are `profile.score.NAME`, `profile.score.NAME.CLASS` and `profile.class.NAME`; what is derived from
    recent browsing `profile.likely.DIMENSION` and `profile.complement.DIMENSION` (`edgewise.derived`).

    `op`: eq ne lt le gt ge in not_in contains exists. `to` may name another value with a leading `$`.
    """

    of: str
    op: str
    to: Operand | None = None


class Every(msgspec.Struct, frozen=True, tag="all", tag_field="match"):
    """True when every rule is (also for none)."""

    rules: list[Rule]


class Some(msgspec.Struct, frozen=True, tag="any", tag_field="match"):
    """True when some rule is."""

    rules: list[Rule]


class Not(msgspec.Struct, frozen=True, tag="not", tag_field="match"):
    """True when its rule is not."""

    rule: Rule


Rule = Compare | Every | Some | Not


class Cap(msgspec.Struct, frozen=True):
    """An item is shown to a visitor at most `impressions` times in the last `days` calendar days (UTC)."""

    impressions: Annotated[int, Meta(ge=1)]
    days: Annotated[int, Meta(ge=1, le=7)]


# --- placements -------------------------------------------------------------------------------------------------------
class Nothing(msgspec.Struct, frozen=True):
    """To show nothing, as a candidate of every slot: it competes with `score`, in the units of the arm's scores.

    Where it is chosen the slate ends. An item of the same score comes first.
    """

    score: float


class Arm(msgspec.Struct, frozen=True):
    """One way to fill a placement."""

    ranking: Ranking
    exploration: Exploration = Greedy()
    retrieval: Retrieval = Everything()
    nothing: Nothing | msgspec.UnsetType = msgspec.UNSET
    """Only where the placement `may_be_empty`. Left out of the bytes where it is not, as before there was one."""


class Diversity(msgspec.Struct, frozen=True):
    """At most `most` items of a slate share a value of a text attribute; who has none of it is never left out.

    Whoever cannot be chosen any more is left out before the draw, so a slate may end early.
    """

    attribute: str
    most: Annotated[int, Meta(ge=1)] = 1


class Shared(msgspec.Struct, frozen=True, omit_defaults=True):
    """A placement whose fragment may be the same for many visitors, so that proxies may keep it.

    Decided as for somebody of whom nothing is known, by the fields of the context in `vary` alone (`locale`,
    `device.type`, `attributes.NAME`): no profile is read, no experiment asked, nothing explored.
    """

    vary: Annotated[list[str], Meta(max_length=10)] = []
    max_age_s: Annotated[int, Meta(ge=1, le=86_400)] = 60
    """Seconds for which a proxy may keep it, whatever happens meanwhile, unless it is told (`purge_url` of a node)."""


Learning = Literal["online", "apprentice", "logging-only"]
"""`online`: as the arms say. `apprentice`: the arm serves, and what the `challenger` would have shown is logged.
`logging-only`: rules serve, nothing is explored, and the features of what was shown are logged, for a first model."""


class Placement(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place on a page.

    `arm` serves when no experiment runs. `fallback` is mandatory: shown when nothing else can be.
    """

    collection: CollectionName
    arms: dict[ArmName, Arm]
    arm: ArmName
    opted_out_arm: ArmName
    """Ranks by rule only; serves opted-out visitors and the holdout."""
    fallback: Annotated[list[ItemId], Meta(min_length=1)]
    count: Annotated[int, Meta(ge=1, le=100)] = 1
    experiment: ExperimentKey | None = None
    eligibility: list[Rule] = []
    exclude_seen: bool = False
    """Leave out items that the profile has already interacted with."""
    cap: Cap | None = None
    safe: bool = False
    """Never explored on."""
    may_be_empty: bool = False
    """Whether the page may be left alone: arms may say `nothing`."""
    diversity: Diversity | None = None
    exploration_budget: Share = 1.0
    """At most this share of the filled slots is expected not to be the greedy choice, whatever the arm says."""
    learning: Learning = "online"
    challenger: ArmName | None = None
    """The arm that is asked in the shadow of the one that serves; of an `apprentice`, and only there."""
    reward: RewardDefinition | None = None
    """None: a click is worth 1, once (`hub.rewards.definition.CLICKED`)."""
    template: TemplateName = TemplateName("")
    """Shows its items where a page asks for HTML; the built-in one does where none is named."""
    format: str = ""
    """Items show their representation of this name here; blank: their own content."""
    schedule: Schedule | None = None
    """When anything is chosen for it; at other times the fallback is shown."""
    limits: dict[str, ContentLimit] = {}
    """Field of the contents -> how long or large it may be; for `site check`, nodes pass over it."""
    shared: Shared | None = None
    """None: every fragment of it is one visitor's own."""


Complements = Annotated[
    dict[str, dict[str, Annotated[list[str], Meta(min_length=1, max_length=100)]]], Meta(max_length=3)
]
"""What goes with what, by dimension of profiles: whoever looks for laptops needs laptop accessories."""


class LiveFact(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far the live value of a numeric item attribute may go; beyond, it is taken as the limit itself.

    One that contents show is not taken at all then: the released number stays. Without any limit every one is taken.
    """

    min: float | None = None
    max: float | None = None
    most_change: Annotated[float, Meta(ge=0)] | None = None
    """At most this share away from the released number, 0.5 is half of it. An item without one keeps none."""
    shown: bool = False
    """Whether contents show it: where an item's content holds its released number of this name as a number, pages and
    mails get the live one. Text stays as it was approved."""


class Site(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whose policy this is."""

    name: SiteName
    salt: str
    """Makes draws of this site its own; not a secret."""
    default_consent: Consent = Consent()
    holdout: Share = 0.0
    """Share of visitors who are never personalised, in any placement or journey."""
    write_key_sha256: list[str] = []
    origins: list[str] = []
    """CORS: exact origins."""
    feature_sample_share: Share = 0.01
    """Share of decisions whose whole feature matrix is logged."""
    live_facts: Annotated[dict[FactName, LiveFact], Meta(max_length=MOST_NAMES)] = {}
    """Numeric item attributes that live facts may move, and how far. What is sold out needs no entry."""
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = SITE_CURRENCY
    """ISO 4217: what prices are in that name no currency. Money in others is never added to it."""
    traffic: TrafficRules = EVERYBODY
    learning_share: Annotated[float, Meta(gt=0, le=1)] | None = None
    """Share of decisions that are kept for learning, drawn by their id; None: all. Every decision is logged, only these
    with feature rows, and each of them counts one over the share."""
    complements: Complements = {}
    """Dimension -> value -> values of what goes with it: `{category: {laptops: [laptop-accessories]}}`."""
    holdout_salt: str = ""
    """Of the holdout alone; empty: made of `salt`. Who is held out changes with it."""
    zones: dict[ZoneName, Zone] = {}
    """The clocks of the time zones that schedules name."""

    @property
    def shown_facts(self) -> list[FactName]:
        """Live facts that contents show."""
        return [name for name, fact in self.live_facts.items() if fact.shown]


class Policy(msgspec.Struct, frozen=True):
    """The whole resource."""

    site: Site
    placements: dict[PlacementName, Placement]
    collections: dict[CollectionName, list[ItemId]]
    experiments: dict[ExperimentKey, Experiment] = {}
    promotions: dict[PromotionName, Promotion] | msgspec.UnsetType = msgspec.UNSET
    """Left out of the bytes where there is none, as before there were any: `offers` is how to ask."""

    @property
    def offers(self) -> dict[PromotionName, Promotion]:
        """The promotions, none where nothing is said."""
        return {} if isinstance(self.promotions, msgspec.UnsetType) else self.promotions


_decoder = msgspec.json.Decoder(Policy)
_encoder = msgspec.json.Encoder(order="deterministic")


def decode_policy(data: bytes) -> Policy:
    """Raises `msgspec.ValidationError` with the path of what is wrong."""
    return _decoder.decode(data)


def encode_policy(policy: Policy) -> bytes:
    """Canonical bytes."""
    return _encoder.encode(policy)
