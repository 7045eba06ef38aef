"""What no single file can tell: references between files, and what an edge could not evaluate or must never show."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgewise.attributes import number_of
from edgewise.bundle.catalogue import content_sha256
from edgewise.bundle.facts import STOCK
from edgewise.bundle.policy import (
    Arm,
    ByAttribute,
    ByFormula,
    ByModel,
    ByNeighbours,
    BySessions,
    ByVectors,
    Everything,
    OfFeature,
    OfItem,
    OfModel,
    OfNumber,
    OfScore,
    Placement,
    Power,
    Product,
    Sum,
    Term,
)
from edgewise.errors import Problem
from edgewise.formula import is_impersonal
from edgewise.ids import CollectionName, ItemId, ModelName, PlacementName
from hub.site.checking_complements import check_complements
from hub.site.checking_contents import check_contents
from hub.site.checking_experiments import check_experiments, check_placement_experiment
from hub.site.checking_exploration import check_exploration
from hub.site.checking_facts import check_facts
from hub.site.checking_features import check_features
from hub.site.checking_identity import check_identity
from hub.site.checking_journeys import check_journeys
from hub.site.checking_promotions import check_promotions
from hub.site.checking_recipes import check_recipes, check_source, statistics_of
from hub.site.checking_rewards import check_rewards
from hub.site.checking_rules import check_rule
from hub.site.checking_schedules import check_schedules
from hub.site.checking_scores import check_score_recipes
from hub.site.checking_shared import check_shared
from hub.site.checking_sources import check_sources
from hub.site.checking_templates import check_templates
from hub.site.collecting import check_collection, members
from hub.site.converting import did_you_mean
from hub.site.copies import contents, copies
from hub.site.documents import Say, Steps
from hub.site.files import CollectionFile, Copy, ItemFile
from hub.site.reading import Files, Place


def check(files: Files, folder: Path) -> list[Problem]:
    """Everything that is wrong between the files of a site, `folder`, and with the pictures in it."""
    catalogue = {item_id: item for item_id, (item, _) in files.items.items()}
    collections: list[Problem] = []
    candidates: dict[CollectionName, list[ItemId]] = {}
    for collection_name, (collection, place) in files.collections.items():
        wrong = list(_collection(files, catalogue, collection, place))
        collections += wrong
        # Of what cannot be asked for nothing more is said.
        candidates[collection_name] = [] if wrong and collection.items is None else members(catalogue, collection)
    return [
        *_items(files),
        *check_complements(files),
        *collections,
        *check_contents(
            files,
            folder,
            {
                name: [*candidates.get(placement.collection, []), *placement.fallback]
                for name, (placement, _) in files.placements.items()
            },
        ),
        *check_experiments(files),
        *check_facts(files),
        *(problem for name in files.placements for problem in _placement(files, name, candidates)),
        *check_features(files),
        *check_identity(files),
        *check_journeys(files),
        *check_promotions(files),
        *check_recipes(files),
        *check_rewards(files),
        *check_schedules(files),
        *check_score_recipes(files),
        *check_sources(files),
        *check_templates(files, candidates),
    ]


def is_approved(item: Copy) -> bool:
    """Whether a person approved the content that the item has now."""
    return item.approved is not None and item.approved.sha256 == content_sha256(item.content)


def waits(item: ItemFile) -> bool:
    """Whether some content of an item waits for an approval: its own, a variant's or a representation's."""
    return not all(is_approved(copy) for _, copy in copies(item))


def _items(files: Files) -> Iterator[Problem]:
    for item, place in files.items.values():
        for path, content in contents(item):
            yield from _not_json(content, path, place.problem)
        if item.starts is not None and item.ends is not None and item.ends <= item.starts:
            yield place.problem(("ends",), f"ends {item.ends} before it starts ({item.starts}); exchange them")
        for position, variant in enumerate(item.variants):
            at = ("variants", position)
            yield from check_rule(variant.when, files.models, (*at, "when"), place.problem)
            if variant.name in {earlier.name for earlier in item.variants[:position]}:
                yield place.problem((*at, "name"), f"the variant {variant.name!r} is there twice; rename one")


def _not_json(value: Any, path: Steps, say: Say) -> Iterator[Problem]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _not_json(part, (*path, key), say)
    elif isinstance(value, list):
        for position, part in enumerate(value):
            yield from _not_json(part, (*path, position), say)
    elif isinstance(value, dt.date):
        yield say(path, f"{value} is a date, which a page cannot receive; put it in quotes")


def _collection(
    files: Files, catalogue: Mapping[ItemId, ItemFile], collection: CollectionFile, place: Place
) -> Iterator[Problem]:
    wrong = list(check_collection(catalogue, collection, place.problem))
    yield from wrong
    listed = collection.items or []
    for position, item in enumerate(listed):
        if item not in files.items:
            yield place.problem(("items", position), f"no item {item!r}; {did_you_mean_item(item, files)}")
        if item in listed[:position]:
            yield place.problem(("items", position), f"the item {item!r} is listed twice; remove one")
    if not wrong and not members(catalogue, collection):
        asks = collection.tags is not None or collection.where is not None
        yield place.problem((), f"the collection has no item; {'ask for less' if asks else 'list some'}")


def did_you_mean_item(item: str, files: Files) -> str:
    """As `did_you_mean`, but short where there are thousands."""
    said = did_you_mean(item, files.items)
    return said if said.startswith("did you") or len(said) < 200 else "add it under items/, or remove it here"  # noqa: PLR2004


def _placement(
    files: Files, name: PlacementName, members_of: Mapping[CollectionName, list[ItemId]]
) -> Iterator[Problem]:
    placement, place = files.placements[name]
    say = place.problem
    if not placement.arms:
        yield say(("arms",), "there is no arm; write at least one")
        return
    if placement.collection not in files.collections:
        cure = did_you_mean(placement.collection, files.collections)
        yield say(("collection",), f"no collection {placement.collection!r}; {cure}")
    candidates = members_of.get(placement.collection, [])
    for arm_name, arm in placement.arms.items():
        yield from _arm(files, arm, candidates, ("arms", arm_name), say)
    yield from check_exploration(files, placement, candidates, say)
    yield from check_shared(placement, say)
    for key in ("arm", "opted_out_arm"):
        chosen = getattr(placement, key)
        if chosen not in placement.arms:
            yield say((key,), f"no arm {chosen!r}; {did_you_mean(chosen, placement.arms)}")
    yield from _format(files, placement, candidates, say)
    yield from _impersonal(placement, say)
    yield from _fallback(files, placement, say)
    yield from check_placement_experiment(files, placement, say)
    for position, rule in enumerate(placement.eligibility):
        yield from check_rule(rule, files.models, ("eligibility", position), say)


def _arm(files: Files, arm: Arm, candidates: list[ItemId], path: tuple[str, ...], say: Say) -> Iterator[Problem]:
    match arm.ranking:
        case ByModel(model):
            yield from _model(files, model, (*path, "ranking", "model"), say)
        case ByFormula(formula):
            yield from _formula(files, formula, candidates, (*path, "ranking", "formula"), say)
        case ByAttribute(attribute):
            yield from _numeric(files, attribute, candidates, (*path, "ranking", "attribute"), say)
        case _:
            pass
    match arm.retrieval:
        case ByVectors(fill_attribute) | ByNeighbours(fill_attribute) | BySessions(fill_attribute):
            yield from _numeric(files, fill_attribute, candidates, (*path, "retrieval", "fill_attribute"), say)
            yield from check_source(files, arm.retrieval, (*path, "retrieval"), say)
        case _:
            pass


def _model(files: Files, model: ModelName, path: tuple[str | int, ...], say: Say) -> Iterator[Problem]:
    if model not in files.models:
        cure = did_you_mean(model, files.models) if files.models else f"say which one in models/{model}.yaml"
        yield say(path, f"no model {model!r}; {cure}")


def _formula(
    files: Files, formula: Term, candidates: list[ItemId], path: tuple[str | int, ...], say: Say
) -> Iterator[Problem]:
    """Terms are checked one by one, and told by their place in the formula."""
    match formula:
        case Sum(of=of) | Product(of=of):
            for position, part in enumerate(of):
                yield from _formula(files, part, candidates, (*path, "of", position), say)
        case Power(of=part):
            yield from _formula(files, part, candidates, (*path, "of"), say)
        case OfItem(attribute=attribute):
            yield from _numeric(files, attribute, candidates, (*path, "attribute"), say)
        case OfScore(model=model) | OfModel(model=model):
            yield from _model(files, model, (*path, "model"), say)
        case OfFeature(name=name):
            columns = {feature.name for feature, _ in files.features}
            if name not in columns:
                yield say((*path, "name"), f"no feature {name!r}; {did_you_mean(name, columns)}")
        case OfNumber():
            pass


def _numeric(
    files: Files, attribute: str, candidates: list[ItemId], path: tuple[str | int, ...], say: Say
) -> Iterator[Problem]:
    if attribute in statistics_of(files) or attribute in files.site.live_facts:
        return
    values = [files.items[item][0].attributes.get(attribute) for item in candidates if item in files.items]
    if candidates and not any(isinstance(value, float) for value in values):
        known = {
            name
            for item in candidates
            if item in files.items
            for name, value in files.items[item][0].attributes.items()
            if isinstance(value, float)
        }
        cure = did_you_mean(attribute, known) if known else "give the items one"
        yield say(path, f"no item of the collection has a number {attribute!r}; {cure}")


def _impersonal(placement: Placement, say: Say) -> Iterator[Problem]:
    """Visitors who opted out are answered by page context alone."""
    arm = placement.arms.get(placement.opted_out_arm)
    if arm is None:
        return
    by_formula = isinstance(arm.ranking, ByFormula) and not is_impersonal(arm.ranking.formula)
    by_model = isinstance(arm.ranking, ByModel) or by_formula
    if by_model or not isinstance(arm.retrieval, Everything):
        by = "a model" if by_model else "the visitor's history"
        message = f"the arm {placement.opted_out_arm!r} asks {by}, but it serves visitors who opted out; choose an arm"
        yield say(("opted_out_arm",), f"{message} that ranks `all` candidates by priority or attribute")


def _format(files: Files, placement: Placement, candidates: list[ItemId], say: Say) -> Iterator[Problem]:
    known = {name for item in candidates if item in files.items for name in files.items[item][0].representations}
    if placement.format and candidates and placement.format not in known:
        cure = did_you_mean(placement.format, known) if known else "give the items one under `representations`"
        yield say(("format",), f"no item of the collection has a representation {placement.format!r}; {cure}")


def _fallback(files: Files, placement: Placement, say: Say) -> Iterator[Problem]:
    for position, item_id in enumerate(placement.fallback):
        path = ("fallback", position)
        if item_id not in files.items:
            yield say(path, f"no item {item_id!r}; {did_you_mean_item(item_id, files)}")
            continue
        item = files.items[item_id][0]
        if item.approved is None:
            yield say(path, f"nobody approved {item_id!r}; `edgewise site approve DIR --by NAME {item_id}`")
        elif not is_approved(item):
            message = f"the content of {item_id!r} changed since {item.approved.by} approved it"
            yield say(path, f"{message}; `edgewise site approve DIR --by NAME {item_id}`")
        elif (known := item.representations.get(placement.format)) is not None and not is_approved(known):
            message = f"nobody approved what {item_id!r} shows in the format {placement.format!r}"
            yield say(path, f"{message}; `edgewise site approve DIR --by NAME {item_id}`")
        stock = number_of(item.attributes.get(STOCK))
        if stock <= 0:
            yield say(path, f"{item_id!r} is sold out (stock {stock:g}); choose an item that is there")
        if not (item.starts is None and item.ends is None and item.schedule is None):
            yield say(path, f"{item_id!r} is not always there (starts, ends, schedule); choose an item that is")
