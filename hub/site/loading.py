"""A site's folder, read as a whole, in the form that bundles hold."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from edgewise.bundle.catalogue import Catalogue, Item, Representation, Variant
from edgewise.bundle.manifest import ModelEntry
from edgewise.bundle.policy import Policy, Site
from edgewise.bundle.promotions import Promotion
from edgewise.bundle.templates import Templates
from edgewise.features.table import FeatureTable
from edgewise.ids import ItemId, ModelName
from edgewise.scores import Score
from hub.identity.rules import IdentityFile
from hub.site.as_if import as_if_approved
from hub.site.checking import check, waits
from hub.site.checking_experiments import experiment_of
from hub.site.checking_schedules import clock_notes, schedules_of
from hub.site.checking_templates import templates_of
from hub.site.collecting import members
from hub.site.files import ItemFile, ModelUse, RetentionFile
from hub.site.journey_file import JourneyFile
from hub.site.promotion_file import PromotionFile
from hub.site.reading import Files, raise_if_any, read_files
from hub.site.recipes import ItemsRecipe, RankerRecipe, VectorRecipe
from hub.site.score_recipe import ScoreRecipe
from hub.site.zones import tables_of
from hub.sources.document import SourceDocument, SourceName


class SiteScores(NamedTuple):
    """Trained visitor scores of a site, for whoever replays its visitors (`hub.train.site_scores`)."""

    entries: Mapping[ModelName, ModelEntry] = {}
    """As a bundle would have them."""
    score: Score | None = None
    """Asks them."""
    versions: Mapping[ModelName, str] = {}
    """Name in the site -> `MODEL@VERSION`."""


class SiteContents(NamedTuple):
    """What a site says."""

    policy: Policy
    catalogue: Catalogue
    features: FeatureTable
    models: dict[ModelName, ModelUse]
    """Name in the arms -> the registered model that is meant."""
    waiting: tuple[ItemId, ...] = ()
    """Items with content, in whichever copy, that nobody has approved yet: it is in no answer until then."""
    recipes: Mapping[ModelName, RankerRecipe] = {}
    """Name in the arms -> how that model is trained."""
    item_recipes: Mapping[ModelName, ItemsRecipe] = {}
    """Name in the arms -> what that model learns of items alone."""
    score_recipes: Mapping[ModelName, ScoreRecipe] = {}
    """Name of a score of visitors -> how it is trained."""
    vectors: VectorRecipe = VectorRecipe()
    """How content vectors are made, where an arm asks for them."""
    identity: IdentityFile | None = None
    """What may join people; None: the built-in rules. `edgewise profile rules --site` puts it in force."""
    retention: RetentionFile | None = None
    """How long what is kept; `edgewise data retain --site` puts it in force."""
    sources: Mapping[SourceName, SourceDocument] = {}
    """How the rows of business systems are read; nothing of them is released to nodes."""
    journeys: Mapping[str, JourneyFile] = {}
    """What each journey needs to know; nothing of them is released to nodes."""
    notes: tuple[str, ...] = ()
    """What is in order and may still surprise, for people to read."""
    templates: Templates = Templates({})
    """How items and mails look; what nobody approved is in no release."""
    scores: SiteScores = SiteScores()
    """Visitor scores that rows of training look at; none as the site is read."""


def load_site(folder: Path, *, as_if_all_approved: bool = False) -> SiteContents:
    """Read and check a site's folder.

    `as_if_all_approved` is for looking at what waits for an approval: nothing that was read so may be released.

    Raises:
        SiteError: everything that is wrong, with file and line.
    """
    files = read_files(folder)
    if as_if_all_approved:
        files = as_if_approved(files)
    raise_if_any(folder, check(files, folder))
    return _contents(files)


def _contents(files: Files) -> SiteContents:
    said = files.site
    items = {item_id: item for item_id, (item, _) in files.items.items()}
    policy = Policy(
        site=Site(
            name=said.name,
            salt=said.salt or said.name,
            default_consent=said.default_consent,
            holdout=said.holdout,
            holdout_salt=said.holdout_salt,
            zones=tables_of(schedule.timezone for schedule, _ in schedules_of(files)),
            write_key_sha256=said.write_key_sha256,
            origins=said.origins,
            feature_sample_share=said.feature_sample_share,
            live_facts=said.live_facts,
            complements=said.complements,
            currency=said.currency,
            traffic=said.traffic,
            learning_share=said.learning_share,
        ),
        placements={name: placement for name, (placement, _) in files.placements.items()},
        collections={name: members(items, collection) for name, (collection, _) in files.collections.items()},
        experiments={key: experiment_of(key, experiment) for key, (experiment, _) in files.experiments.items()},
        promotions={name: _promotion(promotion) for name, (promotion, _) in files.promotions.items()} or msgspec.UNSET,
    )
    return SiteContents(
        policy=policy,
        catalogue=Catalogue([_item(item) for item, _ in files.items.values()]),
        features=FeatureTable([feature for feature, _ in files.features]),
        models={name: ModelUse(model.model or name, model.use) for name, (model, _) in files.models.items()},
        waiting=tuple(item.id for item, _ in files.items.values() if waits(item)),
        recipes={name: model.train for name, (model, _) in files.models.items() if model.train is not None},
        item_recipes={name: model.items for name, (model, _) in files.models.items() if model.items is not None},
        score_recipes={name: model.score for name, (model, _) in files.models.items() if model.score is not None},
        vectors=said.vectors,
        identity=None if files.identity is None else files.identity[0],
        retention=None if files.retention is None else files.retention[0],
        journeys={name: journey for name, (journey, _) in files.journeys.items()},
        notes=tuple(clock_notes(files)),
        templates=Templates(templates_of(files)),
        sources={name: document for name, (document, _) in files.sources.items()},
    )


def _item(item: ItemFile) -> Item:
    return Item(
        id=item.id,
        content=item.content,
        attributes=item.attributes,
        approved_sha256=None if item.approved is None else item.approved.sha256,
        approved_by=None if item.approved is None else item.approved.by,
        starts_ms=_milliseconds(item.starts),
        ends_ms=_milliseconds(item.ends),
        schedule=item.schedule,
        variants=[
            Variant(
                name=variant.name,
                when=variant.when,
                content=variant.content,
                sentence=variant.sentence,
                approved_sha256=None if variant.approved is None else variant.approved.sha256,
                approved_by=None if variant.approved is None else variant.approved.by,
            )
            for variant in item.variants
        ],
        representations={
            name: Representation(
                content=known.content,
                approved_sha256=None if known.approved is None else known.approved.sha256,
                approved_by=None if known.approved is None else known.approved.by,
            )
            for name, known in item.representations.items()
        },
        promotion=item.promotion,
    )


def _promotion(said: PromotionFile) -> Promotion:
    return Promotion(
        discount=said.discount,
        total=said.total,
        per_person=said.per_person,
        valid_days=said.valid_days,
        starts_ms=_milliseconds(said.starts),
        ends_ms=_milliseconds(said.ends),
        minimum_order=said.minimum_order,
        collection=said.collection,
        when_out=said.when_out,
        generation=said.generation,
    )


def _milliseconds(moment: dt.datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1_000)
