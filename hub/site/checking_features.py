"""The feature table: names once, and every attribute, dimension, event and field exists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgewise.attributes import ATTRIBUTE_PREFIX, CONTEXT_FIELDS, is_context_field
from edgewise.errors import Problem
from edgewise.events import DIMENSIONS, Kind
from edgewise.features import table as declared
from edgewise.features.encodings import CONTEXT, ITEM, TRAITS, is_source, wrong_cross
from edgewise.features.table import Feature
from edgewise.profile.habits import COUNTABLE
from hub.site.checking_recipes import check_source, statistics_of
from hub.site.converting import did_you_mean
from hub.site.reading import Files, Place


def check_features(files: Files) -> Iterator[Problem]:
    """What is wrong with the declared features of a site."""
    first: dict[str, Place] = {}
    attributes = {name for item, _ in files.items.values() for name in item.attributes} | statistics_of(files)
    attributes |= set(files.site.live_facts)
    for feature, place in files.features:
        if feature.name in first:
            where = first[feature.name].file_line
            yield place.problem(("name",), f"the feature {feature.name!r} is there already ({where}); rename one")
        first.setdefault(feature.name, place)
        if isinstance(feature, declared.OfDimension):
            yield from _dimension(feature.dimension, place)
        yield from _feature(feature, attributes, place)
        if isinstance(feature, declared.Score | declared.ScoreMatch) and feature.model not in files.models:
            yield place.problem(("model",), f"no model {feature.model!r}; {did_you_mean(feature.model, files.models)}")
        if isinstance(feature, declared.NeighbourScore | declared.NeighbourMax | declared.SessionScore):
            yield from check_source(files, feature, (), place.problem)
        if isinstance(feature, declared.Cross | declared.Position):
            yield from _told_to_nobody(feature, {each.name: each for each, _ in files.features}, place)


def _told_to_nobody(
    feature: declared.Cross | declared.Position, others: Mapping[str, Feature], place: Place
) -> Iterator[Problem]:
    wrong = wrong_cross(feature, others) if isinstance(feature, declared.Cross) else None
    if wrong is not None:
        yield place.problem(("of",), f"{wrong}; there are {', '.join(others)}")
    elif feature.sentence:
        message = "nobody is told of a slot, or of two things at once; remove the sentence"
        yield place.problem(("sentence",), message)


def _feature(feature: Feature, attributes: set[str], place: Place) -> Iterator[Problem]:
    match feature:
        case (
            declared.ItemAttribute(attribute=attribute)
            | declared.ItemIs(attribute=attribute)
            | declared.PriceDistance(attribute=attribute)
            | declared.ScoreMatch(attribute=attribute)
            | declared.Freshness(attribute=attribute)
        ):
            yield from _attribute(attribute, attributes, "attribute", place)
        case declared.WindowCount(kind=kind) | declared.DecayedCount(kind=kind):
            yield from _kind(kind, "kind", place)
        case declared.Rate() | declared.DistinctCount():
            yield from _counted(feature, place)
        case declared.ContextIs(field=field):
            yield from _field(field, "field", place)
        case declared.Code() | declared.Hash():
            yield from _coded(feature, attributes, place)
        case _:
            pass


def _dimension(named: str, place: Place) -> Iterator[Problem]:
    if named not in DIMENSIONS:
        yield place.problem(
            ("dimension",), f"profiles keep no affinity for {named!r}; {did_you_mean(named, DIMENSIONS)}"
        )


def _attribute(named: str, attributes: set[str], field: str, place: Place) -> Iterator[Problem]:
    if named not in attributes:
        yield place.problem((field,), f"no item has an attribute {named!r}; {did_you_mean(named, attributes)}")


def _field(named: str, field: str, place: Place) -> Iterator[Problem]:
    if not is_context_field(named):
        cure = did_you_mean(named, [*CONTEXT_FIELDS, f"{ATTRIBUTE_PREFIX}NAME"])
        yield place.problem((field,), f"no field {named!r} of the context; {cure}")


def _coded(feature: declared.Code | declared.Hash, attributes: set[str], place: Place) -> Iterator[Problem]:
    if feature.of.startswith(ITEM) and is_source(feature.of):
        yield from _attribute(feature.of.removeprefix(ITEM), attributes, "of", place)
    elif feature.of.startswith(CONTEXT):
        yield from _field(feature.of.removeprefix(CONTEXT), "of", place)
    elif not is_source(feature.of):
        message = f"nothing can be coded by {feature.of!r}; write {ITEM}NAME, {CONTEXT}FIELD or {TRAITS}NAME"
        yield place.problem(("of",), message)
    if isinstance(feature, declared.Code):
        for position, value in enumerate(feature.values):
            if not value or value in feature.values[:position]:
                what = f"the value {value!r} is listed twice" if value else "a value is blank"
                yield place.problem(("values", position), f"{what}; remove it")


def _counted(feature: declared.Rate | declared.DistinctCount, place: Place) -> Iterator[Problem]:
    if isinstance(feature, declared.DistinctCount):
        if feature.of not in COUNTABLE:
            yield place.problem(
                ("of",), f"nothing counts different {feature.of!r}; {did_you_mean(feature.of, COUNTABLE)}"
            )
        return
    yield from _kind(feature.kind, "kind", place)
    yield from _kind(feature.per, "per", place)
    if feature.prior_successes > feature.prior_trials:
        yield place.problem(("prior_successes",), "more successes than prior_trials before anything happens")


def _kind(kind: str, field: str, place: Place) -> Iterator[Problem]:
    if kind not in set(Kind):
        yield place.problem((field,), f"no kind of event {kind!r}; {did_you_mean(kind, set(Kind))}")
