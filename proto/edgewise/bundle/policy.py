"""policy.json: what people decided. Placements, arms, experiments, rules, keys, consent defaults."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from edgewise.bundle.facts import MOST_NAMES, FactName
from edgewise.bundle.learned import UNNAMED, SetRef
from edgewise.consent import Consent
from edgewise.ids import ArmName, CollectionName, ExperimentKey, ItemId, ModelName, PlacementName, SiteName, SubjectId
from edgewise.money import SITE_CURRENCY

Share = Annotated[float, Meta(ge=0, le=1)]


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


Term = OfNumber | OfItem | OfScore | OfModel | Sum | Product | Power


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


# --- exploration: how scores become probabilities ----------------------------------------------------------------
class Greedy(msgspec.Struct, frozen=True, tag="greedy", tag_field="policy"):
    """Always the best."""


class EpsilonGreedy(msgspec.Struct, frozen=True, tag="epsilon-greedy", tag_field="policy"):
    """The best with probability 1 - epsilon, else any candidate alike (the best among them).

    Its floor is epsilon itself: nobody's probability is below epsilon / K.
    """

    epsilon: Share


class SquareCB(msgspec.Struct, frozen=True, tag="squarecb", tag_field="policy"):
    """Inverse gap weighting (Foster & Rakhlin 2020, arXiv 2002.04926) with an additive probability floor.

    With K candidates: p = 1 / (K + gamma * gap) for all but the best, which takes the rest; then
    p = floor / K + (1 - floor) * p.
    """

    gamma: Annotated[float, Meta(gt=0)]
    floor: Share = 0.0


class Softmax(msgspec.Struct, frozen=True, tag="softmax", tag_field="policy"):
    """The more probable the higher the score: p proportional to exp(score / temperature), with a floor as above.

    The temperature has the units of the scores: a candidate that is worse by one temperature is 2.7 times rarer.
    """

    temperature: Annotated[float, Meta(gt=0)]
    floor: Share = 0.0


class Thompson(msgspec.Struct, frozen=True, tag="thompson", tag_field="policy"):
    """Each candidate with the probability that it is the best of all, by a model that knows its own standard error.

    Thompson (1933) draws one value a candidate and shows the largest; the probability of that choice is computed here
    and drawn from (`edgewise.uncertain`), so that what is logged is what was done. `scale` multiplies every standard
    error: below 1 explores less. A floor as above.
    """

    scale: Annotated[float, Meta(gt=0)] = 1.0
    floor: Share = 0.0


Exploration = Greedy | EpsilonGreedy | SquareCB | Softmax | Thompson


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

    Visitor scores are `profile.score.NAME`, `profile.score.NAME.CLASS` and `profile.class.NAME`.

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


# --- rewards: what it is worth that something came of what was shown ----------------------------------------------
Hours = Annotated[float, Meta(gt=0, le=24 * 400)]
Finite = Annotated[float, Meta(ge=-1e12, le=1e12)]


class Worth(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one outcome is worth: `each` + `per_minor` * the money of the item, in minor units of the site's currency.

    A review with fewer than `at_least` stars, or none, is worth nothing.
    """

    each: Finite = 0.0
    per_minor: Finite = 0.0
    at_least: Annotated[float, Meta(ge=0, le=5)] | None = None


class RewardDefinition(msgspec.Struct, frozen=True, omit_defaults=True):
    """How outcomes become one number a shown item: `events: {click: 1, order: {per_minor: 0.01}, refund: -10}`.

    It travels with the bundle, so that it has a version, and a decision can tell which one was in force.
    """

    events: Annotated[dict[str, Finite | Worth], Meta(min_length=1)]
    """A kind of event (`edgewise.events.Kind`) or an event's own name -> what one is worth; the name is looked up
    first. A number alone is `each`."""
    wait_hours: Hours = 24.0
    """So long after it was shown something counts. What comes later is kept, and not learned from."""
    default: Finite = 0.0
    """Where nothing came."""
    aggregate: Literal["sum", "earliest", "latest", "max", "mean"] = "sum"
    """Of several outcomes of one shown item."""
    window_hours: Hours = 24.0
    """An outcome that names no decision belongs to the last time that the item was shown to the visitor, in whichever
    placement, or in the one that it names, if that was at most so long ago."""


class TrafficRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who is no visitor: neither learned from nor counted in a lift."""

    most_per_minute: Annotated[int, Meta(ge=1)] = 240
    """Whoever asks for more decisions, or does more, in one minute is a bot."""
    internal_subjects: list[SubjectId] = []
    """Staff and testers, as `edgewise profile show` names them, with all their other subjects."""
    internal_traits: list[str] = []
    """Whoever states one of these traits as true is internal."""


EVERYBODY: Final = TrafficRules()
"""Where a site says nothing. One object, so that policies leave it out."""


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


# --- experiments ------------------------------------------------------------------------------------------------------
Word = Annotated[str, Meta(min_length=1, max_length=200)]
Condition = dict[str, Any]
"""A condition in GrowthBook's language (`edgewise.conditions`)."""


class Metric(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an experiment is judged by: what a unit does within a window behind its first exposure."""

    name: Word
    event: Word
    """A kind of event (`order`, `add`, `click`, `refund`: `edgewise.events.Kind`), or an event's name to the letter."""
    value: Literal["any", "count", "revenue", "ratio"] = "any"
    """A number a unit: 1 if it happened at all (a proportion), how often, how much money in the site's currency (minor
    units), or, summed over units, how often for each time of `denominator`."""
    denominator: str = ""
    """Of a ratio: a kind or a name, as `event`."""
    window_hours: Annotated[float, Meta(gt=0, le=24 * 400)] = 168.0
    better: Literal["higher", "lower"] = "higher"
    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """Of a guardrail: the worst relative change that is tolerated, in the direction that is not better. 0.02: 2 %."""
    business: bool | None = None
    """Whether the site lives on it. Unsaid: views, clicks and what is only shown are no business, the rest is."""


class RampStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """A coverage, and what must have been seen at it before the next one may follow."""

    coverage: Annotated[float, Meta(gt=0, le=1)]
    after_hours: Annotated[float, Meta(ge=0)] = 0.0
    """How long at least."""
    min_units: Annotated[int, Meta(ge=0)] = 0
    """How many exposed units at least."""


class Ramp(msgspec.Struct, frozen=True):
    """Coverage raised step by step. No step follows while a guardrail is broken, and each is a release of its own."""

    steps: Annotated[list[RampStep], Meta(min_length=1)]


class NamespaceRange(msgspec.Struct, frozen=True):
    """The part of a namespace, from `start` to below `end`, that an experiment takes; disjoint parts share no unit."""

    name: Word
    start: Share
    end: Share


class Experiment(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who gets which arm: GrowthBook's hashing of `seed` and the unit. Weights follow `arms`' order."""

    arms: Annotated[list[ArmName], Meta(min_length=2)]
    weights: list[Share]
    seed: str
    coverage: Share = 1.0
    control: ArmName = ArmName("")
    """The arm that others are compared with; empty: the first."""
    outcome: Metric | None = None
    """The business outcome that the verdict is about."""
    guardrails: list[Metric] = []
    """What must not get worse than each says."""
    method: Literal["sequential", "fixed", "bayesian"] = "sequential"
    """How it is judged, said before it starts. Sequential may be looked at every day."""
    condition: Condition = {}
    """Who takes part at all; empty: everybody."""
    namespace: NamespaceRange | None = None
    hash_version: Literal[1, 2] = 2
    """1 is for experiments that began elsewhere with it."""
    sticky: bool = True
    """Who was assigned once keeps the arm when weights or coverage change."""
    bucket_version: Annotated[int, Meta(ge=0)] = 0
    """A new one assigns everybody anew."""
    min_bucket_version: Annotated[int, Meta(ge=0, le=1_000)] = 0
    """Who was assigned under an older version than this takes part no more."""
    training_share: Share = 0.0
    """Share of units that are learned from while it runs and count in no lift; the others are only measured."""
    ramp: Ramp | None = None

    @property
    def control_arm(self) -> ArmName:
        """The arm that others are compared with."""
        return self.control or self.arms[0]


class LiveFact(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far the live value of a numeric item attribute may go; beyond, it is taken as the limit itself.

    Without any limit every number is taken.
    """

    min: float | None = None
    max: float | None = None
    most_change: Annotated[float, Meta(ge=0)] | None = None
    """At most this share away from the released number, 0.5 is half of it. An item without one keeps none."""


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
    holdout_salt: str = ""
    """Of the holdout alone; empty: made of `salt`. Who is held out changes with it."""


class Policy(msgspec.Struct, frozen=True):
    """The whole resource."""

    site: Site
    placements: dict[PlacementName, Placement]
    collections: dict[CollectionName, list[ItemId]]
    experiments: dict[ExperimentKey, Experiment] = {}


_decoder = msgspec.json.Decoder(Policy)
_encoder = msgspec.json.Encoder(order="deterministic")


def decode_policy(data: bytes) -> Policy:
    """Raises `msgspec.ValidationError` with the path of what is wrong."""
    return _decoder.decode(data)


def encode_policy(policy: Policy) -> bytes:
    """Canonical bytes."""
    return _encoder.encode(policy)
