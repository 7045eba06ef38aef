"""The shape of each file of a site. Placements, arms, rules and features are written as policy.json spells them.

site.yaml                 SiteFile
identity.yaml             hub.identity.rules.IdentityFile
retention.yaml            RetentionFile
placements/NAME.yaml      edgewise.bundle.policy.Placement
collections/NAME.yaml     CollectionFile
experiments/KEY.yaml      ExperimentFile
models/NAME.yaml          ModelFile
items/*.yaml              a list of ItemFile
items/*.jsonl             an ItemFile a line
features/*.yaml           a list of edgewise.features.table.Feature
templates/NAME.yaml       hub.site.template_files.TemplateFile, with its sources beside it
journeys/NAME.yaml        hub.site.journey_file.JourneyFile
promotions/NAME.yaml      hub.site.promotion_file.PromotionFile
sources/NAME.yaml         hub.sources.document.SourceDocument, over a preset where it names one
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from edgewise.bundle.catalogue import AttributeValue
from edgewise.bundle.experiments import Condition, Metric, NamespaceRange, Ramp
from edgewise.bundle.facts import MOST_NAMES, FactName
from edgewise.bundle.manifest import Digest
from edgewise.bundle.policy import Complements, LiveFact, Rule
from edgewise.bundle.promotions import PromotionName
from edgewise.bundle.rewards import EVERYBODY, TrafficRules
from edgewise.bundle.schedules import Schedule
from edgewise.bundle.share import Share
from edgewise.consent import Consent
from edgewise.ids import ArmName, ItemId, ModelName, SiteName
from edgewise.money import SITE_CURRENCY
from hub.site.recipes import ItemsRecipe, RankerRecipe, VectorRecipe
from hub.site.score_recipe import ScoreRecipe

NAME_PATTERN = "^[a-z0-9][a-z0-9_-]{0,63}$"
Word = Annotated[str, Meta(pattern=NAME_PATTERN)]
Moment = Annotated[dt.datetime, Meta(tz=True)]
Alias = Literal["champion", "challenger"]


class SiteFile(msgspec.Struct, frozen=True):
    """Whose site it is, and what holds everywhere."""

    name: Annotated[SiteName, Meta(pattern=NAME_PATTERN)]
    salt: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    """Makes random draws of this site its own; the site's name where it is not given."""
    default_consent: Consent = Consent()
    holdout: Share = 0.0
    holdout_salt: Annotated[str, Meta(max_length=200)] = ""
    """Of the holdout alone, so that `salt` can change and nobody is let in or out; made of `salt` without."""
    write_key_sha256: list[Digest] = []
    origins: list[Annotated[str, Meta(pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$")]] = []
    feature_sample_share: Share = 0.01
    vectors: VectorRecipe = VectorRecipe()
    """How content vectors are made; used where an arm retrieves by vectors."""
    complements: Complements = {}
    live_facts: Annotated[dict[FactName, LiveFact], Meta(max_length=MOST_NAMES)] = {}
    """Numeric item attributes that live facts may move, and how far."""
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = SITE_CURRENCY
    """ISO 4217: what prices are in that name no currency. Money in others is never added to it."""
    traffic: TrafficRules = EVERYBODY
    """Who is no visitor."""
    learning_share: Annotated[float, Meta(gt=0, le=1)] | None = None
    """Share of decisions that are kept for learning; all where it is not given."""


class Approval(msgspec.Struct, frozen=True):
    """Who approved which content."""

    by: Annotated[str, Meta(min_length=1, max_length=200)]
    sha256: Digest


class VariantFile(msgspec.Struct, frozen=True):
    """Another copy of an item, for visitors of whom the rule is true."""

    name: Word
    when: Rule
    content: dict[str, Any]
    sentence: Annotated[str, Meta(max_length=200)] = ""
    """For explanations; `Worded in the variant NAME` without."""
    approved: Approval | None = None


class RepresentationFile(msgspec.Struct, frozen=True):
    """What an item is in placements of one format."""

    content: dict[str, Any]
    approved: Approval | None = None


class ItemFile(msgspec.Struct, frozen=True):
    """Something that can be shown."""

    id: Annotated[ItemId, Meta(min_length=1, max_length=200)]
    content: dict[str, Any]
    attributes: dict[str, AttributeValue] = {}
    approved: Approval | None = None
    starts: Moment | None = None
    ends: Moment | None = None
    schedule: Schedule | None = None
    """When it is shown, by the clocks of a place."""
    variants: list[VariantFile] = []
    """Copies, the first whose rule holds is shown; each is approved for itself."""
    representations: dict[Word, RepresentationFile] = {}
    """Format of placements -> what is shown there in place of `content`; each is approved for itself."""
    promotion: PromotionName | None = None
    """Where it is shown, its content gets a personal code of this promotion: `code`, `codeExpires`, `discount`."""


Copy = ItemFile | VariantFile | RepresentationFile
"""What a person approves."""


Tag = Annotated[str, Meta(min_length=1, max_length=200)]


class Tags(msgspec.Struct, frozen=True):
    """Which tags an item must have. Tags are the values of its text attributes."""

    any: list[Tag] = []
    """At least one of these."""
    all: list[Tag] = []
    """All of these."""
    none: list[Tag] = []
    """None of these."""
    of: list[str] = []
    """Only values of these attributes count, as `[topic]`; those of all text attributes where it is not given."""


class CollectionFile(msgspec.Struct, frozen=True):
    """Items that compete for a placement, best first: listed, all of the catalogue, or asked for.

    `tags` and `where` ask; where both are given, both must hold. See `hub.site.collecting`.
    """

    items: list[ItemId] | None = None
    all: bool = False
    tags: Tags | None = None
    where: Rule | None = None
    """A query over `item.ATTRIBUTE`, spelt as a rule of eligibility."""
    order_by: list[Annotated[str, Meta(pattern="^-?[^-]")]] = []
    """Attributes, the first has the first word; `-popularity`: the largest first. Without, as in the items' files."""
    limit: Annotated[int, Meta(ge=1)] | None = None
    """At most so many, the best."""


class ExperimentFile(msgspec.Struct, frozen=True):
    """Who gets which arm, and what it is judged by; fields as of `edgewise.bundle.experiments.Experiment`.

    `weights` follow `arms`; the seed is the experiment's key where it is not given. Written out and not inherited:
    msgspec leaves out a default by its identity, so that the bytes of every site's policy would change.
    """

    arms: Annotated[list[ArmName], Meta(min_length=2)]
    weights: list[Share]
    seed: str | None = None
    coverage: Share = 1.0
    control: ArmName = ArmName("")
    outcome: Metric | None = None
    guardrails: list[Metric] = []
    method: Literal["sequential", "fixed", "bayesian"] = "sequential"
    condition: Condition = {}
    namespace: NamespaceRange | None = None
    hash_version: Literal[1, 2] = 2
    sticky: bool = True
    bucket_version: Annotated[int, Meta(ge=0)] = 0
    min_bucket_version: Annotated[int, Meta(ge=0, le=1_000)] = 0
    training_share: Share = 0.0
    ramp: Ramp | None = None


class ModelFile(msgspec.Struct, frozen=True):
    """Which trained model goes by this name in the placements' arms."""

    model: Annotated[ModelName, Meta(pattern=NAME_PATTERN)] | None = None
    """Its name in `edgewise model list`; the file's own name where it is not given."""
    use: Alias | Annotated[int, Meta(ge=1)] = "champion"
    """The promoted version, the challenger, or a version by number."""
    train: RankerRecipe | None = None
    """How `edgewise train ranker` makes it; None for a model that comes from elsewhere."""
    items: ItemsRecipe | None = None
    """How `edgewise train items` makes it: a model that tells of items and scores nothing."""
    score: ScoreRecipe | None = None
    """How `edgewise train score` makes it, a score of visitors."""


class ModelUse(msgspec.Struct, frozen=True):
    """A registered model, by alias or version."""

    model: ModelName
    use: Alias | int


Days = Annotated[int, Meta(ge=1, le=36_500)]


class RetentionFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`retention.yaml`: what holds for the whole site. None: as long as there is room."""

    events_days: Days | None = None
    """What visitors did, on nodes and in sources that say nothing themselves."""
    decisions_days: Days | None = None
    """What was shown, with what came of it. Models learn from nothing older."""
    contacts_days: Days | None = None
    """Raw fields of people, by when their source last said them."""
    fields: dict[str, Days] = {}
    """Single traits and properties, of all events."""
    rejects_days: Days = 30
    """Files of rows that an import refused: they hold raw values."""
    dead_letters_days: Days = 90
    """Records of nodes that could not be used."""
