"""How a ranker is trained (`train` in a site's models/NAME.yaml), and what content vectors are made of (site.yaml).

Everything has a default but the outcome.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edgewise.bundle.learned import SetName
from edgewise.bundle.sessions import MOST_LAST, Walk
from edgewise.events import Kind
from edgewise.ids import ModelName, PlacementName

Positive = Annotated[float, Meta(gt=0)]
Part = Annotated[float, Meta(gt=0, lt=1)]


class Outcome(msgspec.Struct, frozen=True):
    """What a visitor does with an item that was wanted: an event of this kind, a review with enough stars."""

    kind: Literal["view", "click", "add", "order", "review"]
    at_least: Annotated[float, Meta(ge=0, le=5)] | None = None
    """Stars; only reviews have any."""

    def counts(self, kind: Kind, rating: float | None) -> bool:
        """Whether an event of `kind` with `rating` stars is the outcome."""
        enough = self.at_least is None or (rating is not None and rating >= self.at_least)
        return kind == self.kind and enough


class Popularity(msgspec.Struct, frozen=True, tag="popularity", tag_field="statistic"):
    """The share of visitors who touched the item, in [0, 1]; of those of the last `days` days where they are given."""

    days: Annotated[int, Meta(ge=1)] | None = None


class MeanRating(msgspec.Struct, frozen=True, tag="mean_rating", tag_field="statistic"):
    """Mean stars of its reviews, drawn towards the mean of all reviews as if `weight` of these were its own."""

    weight: Positive = 5.0


Statistic = Popularity | MeanRating


class NeighbourRecipe(msgspec.Struct, frozen=True, rename={"l2": "lambda"}):
    """Which items speak for which: EASE, and beside it broad tastes and what visitors use shortly after one another.

    `edgewise train recommend --method blend` says which settings suit a history: those of the same names.
    """

    l2: Positive = 300.0
    """EASE's lambda."""
    dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    user_power: Annotated[float, Meta(ge=0, le=1)] = 0.0
    item_power: Annotated[float, Meta(ge=-1, le=1)] = 0.0
    """All three as `hub.recommend.ease` has them; 0: EASE alone."""
    tastes: Annotated[float, Meta(ge=0, le=10)] = 0.0
    """Share of a low-pass filter of `rank` tastes (`hub.recommend.low_pass`) beside EASE; 0: none."""
    rank: Annotated[int, Meta(ge=1, le=256)] = 16
    closeness: Annotated[float, Meta(ge=0)] = 0.0
    """Weight of proximity (`hub.recommend.proximity`) beside EASE; 0: EASE alone."""
    window: Annotated[int, Meta(ge=1, le=200)] = 20
    shrink: Positive = 30.0
    per_item: Annotated[int, Meta(ge=1, le=1_000)] = 200
    most_items: Annotated[int, Meta(ge=2, le=20_000)] = 5_000
    """Only the items that most visitors touched take part: EASE inverts a matrix of items x items."""
    content_below: Annotated[int, Meta(ge=0)] = 0
    """Items that fewer visitors touched get neighbours by content (`vectors` of the site); 0: they get none."""


class EaseRecipe(NeighbourRecipe, frozen=True, tag="ease", tag_field="method"):
    """A named set made as the one without a name is."""


class ContentRecipe(msgspec.Struct, frozen=True, tag="content", tag_field="method"):
    """What is alike by content, as `vectors` of the site tell it; a weight is a cosine."""

    per_item: Annotated[int, Meta(ge=1, le=1_000)] = 50


class ComplementRecipe(msgspec.Struct, frozen=True, tag="complements", tag_field="method"):
    """What is bought with an item more often than its popularity explains: orders alone count."""

    days: Annotated[int, Meta(ge=0, le=365)] = 0
    """Orders of the same visitor within so many days count as well; 0: the same order alone."""
    shrink: Positive = 20.0
    """So many orders more of which nothing special is known."""
    fewest_together: Annotated[int, Meta(ge=1)] = 3
    apart: Annotated[str, Meta(min_length=1)] | None = None
    """An attribute of which two items may share no value: `category`, so that no laptop goes with a laptop."""
    per_item: Annotated[int, Meta(ge=1, le=1_000)] = 50


NeighbourSet = EaseRecipe | ContentRecipe | ComplementRecipe
"""How a named set of neighbours is made."""


class FactorRecipe(msgspec.Struct, frozen=True):
    """Item vectors of ALS, for retrieval by vectors: who was touched by the same visitors points the same way."""

    factors: Annotated[int, Meta(ge=2, le=256)] = 32
    """Components of a vector."""
    alpha: Positive = 10.0
    """A touched item counts 1 + alpha, any other 1."""
    regularisation: Annotated[float, Meta(ge=0)] = 0.1
    iterations: Annotated[int, Meta(ge=1, le=100)] = 15
    most_items: Annotated[int, Meta(ge=2, le=1_000_000)] = 100_000
    """Only the items that most visitors touched."""
    seed: Annotated[int, Meta(ge=0, lt=1 << 32)] = 0


class SessionRecipe(msgspec.Struct, frozen=True):
    """Visits of others, for retrieval by sessions: what travels to nodes, and how they search it (VMIS-kNN)."""

    fewest_visitors: Annotated[int, Meta(ge=1)] = 5
    """Items that fewer visitors touched are left out of all visits."""
    most_recent: Annotated[int, Meta(ge=1, le=5_000)] = 500
    neighbours: Annotated[int, Meta(ge=1, le=1_000)] = 50
    last: Annotated[int, Meta(ge=1, le=MOST_LAST)] = 2
    """So many of the visitor's latest items are compared with the visits."""
    pause_minutes: Annotated[int, Meta(ge=1, le=525_600)] = 30
    """A pause as long as this begins another visit."""
    most_visits: Annotated[int, Meta(ge=1, le=1_000_000)] = 200_000
    """Only the most recent ones."""
    longest_percentile: Annotated[float, Meta(gt=0, le=100)] = 99.5
    """Visits with more touches than this percentile are left out: machines touch so much."""

    @property
    def walk(self) -> Walk:
        """How a node searches them."""
        return Walk(self.most_recent, self.neighbours, self.last, self.pause_minutes)


class VectorRecipe(msgspec.Struct, frozen=True):
    """What content vectors are made of: `vectors` in site.yaml, for arms that retrieve by vectors."""

    text: tuple[str, ...] = ("title", "subtitle", "description")
    """Fields of the content, or attributes, that are read word by word."""
    labels: tuple[str, ...] = ("category", "brand", "topic")
    """Attributes whose values count whole."""
    width: Annotated[int, Meta(ge=2, le=256)] = 32
    """Components of a vector. More tell more apart, and cost an edge time and memory in proportion."""
    seed: Annotated[int, Meta(ge=0, lt=1 << 32)] = 0


class TreeRecipe(msgspec.Struct, frozen=True):
    """LightGBM's settings, under its own names."""

    objective: Literal["binary", "lambdarank"] = "binary"
    rounds: Annotated[int, Meta(ge=1, le=2_000)] = 100
    num_leaves: Annotated[int, Meta(ge=2, le=255)] = 15
    learning_rate: Annotated[float, Meta(gt=0, le=1)] = 0.08
    min_data_in_leaf: Annotated[int, Meta(ge=1)] = 50
    feature_fraction: Annotated[float, Meta(gt=0, le=1)] = 0.8
    lambda_l2: Annotated[float, Meta(ge=0)] = 0.0


class LinearRecipe(msgspec.Struct, frozen=True):
    """A line instead of trees (`hub.train.linear`): fitted in one step, so that it can be fitted anew every hour.

    It knows of no pair of columns that nobody named.
    """

    interactions: list[tuple[list[str], list[str]]] = []
    """Groups of features: each of the one is multiplied with each of the other. `[[persona, device], [item, category]]`
    lets every persona have a taste of its own for every item and category."""
    l2: Positive = 8.0
    """So many rows that say "nothing special" stand against each weight."""
    most_codes: Annotated[int, Meta(ge=1, le=1_000)] = 64
    """Of a code or a hash, the commonest; the others are like none at all."""


Rewarded = Literal["view", "click", "add", "order", "review", "refund"]


class DecisionRecipe(msgspec.Struct, frozen=True):
    """Learn from what nodes showed in the placement and what came of it, in place of the replayed history.

    What came of it is the placement's `reward`, where it defines one, once its wait is over; else the recipe's outcome
    and rewards, whenever they came.

    People look at the first slots whatever stands there, so that a click says of a slot what it seems to say of an
    item. Either way to take that out works with the slots that the decisions logged.
    """

    position: Literal["feature", "inverse_propensity"] = "inverse_propensity"
    """`feature`: the model's `position` feature is the slot at training, and the same for all at serving.
    `inverse_propensity`: what was wanted in a slot counts as often as one over the chance that the slot was looked at
    (`hub.train.positions`)."""
    days: Annotated[int, Meta(ge=1, le=400)] = 90
    """How old a decision may be."""
    most_weight: Annotated[float, Meta(ge=1)] = 10.0
    """So often something counts at most, where a slot is hardly looked at."""
    half_life_days: Positive | None = None
    """After so many days a decision counts half, because tastes drift; None: all count alike."""


class UncertaintyRecipe(msgspec.Struct, frozen=True):
    """How sure a model is of each score, for Thompson's policy: several boosters, each on visitors drawn anew.

    The model says their mean and their standard deviation, which is the bootstrap's estimate of the standard error of
    one of them (Efron, Bootstrap methods: another look at the jackknife, 1979).
    """

    bags: Annotated[int, Meta(ge=4, le=64)] = 10
    """How many boosters."""
    rounds: Annotated[int, Meta(ge=5, le=200)] = 30
    """Trees of each, in place of `trees.rounds`; the learning rate grows as they are fewer, up to 0.3. Every tree costs
    each decision."""


class IncrementalRecipe(msgspec.Struct, frozen=True):
    """How a new day is added to a trained model (`edgewise train ranker NAME --incremental`)."""

    rounds: Annotated[int, Meta(ge=1, le=200)] = 10
    """Trees that are added."""
    fewest_outcomes: Annotated[int, Meta(ge=1)] = 20
    """Fewer new outcomes are no reason to add trees."""
    most_trees: Annotated[int, Meta(ge=1, le=5_000)] = 500
    """A model that would have more must be trained in full: every tree costs each decision."""


class ItemsRecipe(msgspec.Struct, frozen=True):
    """What is learned about items alone, for arms that rank by retrieval, or by a ranker that is trained elsewhere."""

    neighbours: NeighbourRecipe | None = None
    sets: dict[SetName, NeighbourSet] = {}
    sessions: SessionRecipe | None = None
    vectors: dict[SetName, FactorRecipe] = {}
    statistics: dict[str, Statistic] = {}


class RankerRecipe(msgspec.Struct, frozen=True):
    """The whole recipe."""

    outcome: Outcome
    rewards: dict[Rewarded, float] = {}
    """What kinds of events are worth, with the outcome among them: `{click: 1, order: 10, refund: -10}`. A kind without
    a weight above 0 is not learned from; `refund` is added to the order that came back. Empty: the outcome alone."""
    placement: PlacementName | None = None
    """Where it ranks; not needed when one placement alone asks this model."""
    features: list[str] | None = None
    """Columns of the feature table that it takes; all of them where they are not named."""
    items_of: ModelName | None = None
    """A model of the site that already knows the items: its neighbours, sets and statistics, as they are registered,
    are looked at, and none are learned here (what follows is not read). So several rankers of a site share them."""
    neighbours: NeighbourRecipe | None = NeighbourRecipe()
    sets: dict[SetName, NeighbourSet] = {}
    """More sets of neighbours, for features and retrieval that say `from: NAME`."""
    sessions: SessionRecipe | None = None
    vectors: dict[SetName, FactorRecipe] = {}
    """Sets of item vectors, for retrieval by vectors that says `from: NAME`."""
    statistics: dict[str, Statistic] = {}
    """Item attributes that training computes; a bundle's catalogue holds them in place of what item files say."""
    fit_share: Part = 0.625
    """Share of the history, in its order, that neighbours and statistics of the training rows are fitted on. Rows are
    made from the rest, so that no row contains its own outcome."""
    refits: Annotated[int, Meta(ge=1, le=50)] = 1
    """How often, in the rest of the history, they are fitted again on everything before: rows then know items about as
    freshly as nodes do, and the model learns what fresh numbers are worth."""
    validation_share: Part = 0.33
    """Share of the outcomes in that rest, the latest ones, that the model is judged on."""
    negatives: Annotated[int, Meta(ge=1, le=1_000)] = 20
    """Candidates that were not wanted, drawn for each outcome."""
    most_outcomes: Annotated[int, Meta(ge=100)] = 20_000
    """Only the latest outcomes make rows."""
    trees: TreeRecipe = TreeRecipe()
    linear: LinearRecipe | None = None
    """In place of trees. It knows how sure it is by itself: with `uncertainty: {}` it says so, without any bags."""
    decisions: DecisionRecipe | None = None
    uncertainty: UncertaintyRecipe | None = None
    """Whether the model says how sure it is of a score; then it is trained in full each time."""
    incremental: IncrementalRecipe = IncrementalRecipe()
