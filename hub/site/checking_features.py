"""The feature table: names once, and every attribute, dimension, event and field exists."""

from __future__ import annotations

from collections.abc import Iterator

from edgewise.attributes import ATTRIBUTE_PREFIX, CONTEXT_FIELDS, is_context_field
from edgewise.errors import Problem
from edgewise.events import DIMENSIONS, Kind
from edgewise.features.table import (
    Affinity,
    AffinityMatch,
    ContextIs,
    DistinctCount,
    Feature,
    ItemAttribute,
    ItemIs,
    PriceDistance,
    Rate,
    Score,
    WindowCount,
)
from edgewise.profile.habits import COUNTABLE
from hub.site.checking_recipes import statistics_of
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
        yield from _feature(feature, attributes, place)
        if isinstance(feature, Score) and feature.model not in files.models:
            yield place.problem(("model",), f"no model {feature.model!r}; {did_you_mean(feature.model, files.models)}")


def _feature(feature: Feature, attributes: set[str], place: Place) -> Iterator[Problem]:
    match feature:
        case ItemAttribute(attribute=attribute) | ItemIs(attribute=attribute) | PriceDistance(attribute=attribute):
            if attribute not in attributes:
                yield place.problem(
                    ("attribute",), f"no item has an attribute {attribute!r}; {did_you_mean(attribute, attributes)}"
                )
        case Affinity(dimension=dimension) | AffinityMatch(dimension=dimension):
            if dimension not in DIMENSIONS:
                cure = did_you_mean(dimension, DIMENSIONS)
                yield place.problem(("dimension",), f"profiles keep no affinity for {dimension!r}; {cure}")
        case WindowCount(kind=kind):
            yield from _kind(kind, "kind", place)
        case Rate() | DistinctCount():
            yield from _counted(feature, place)
        case ContextIs(field=field):
            if not is_context_field(field):
                cure = did_you_mean(field, [*CONTEXT_FIELDS, f"{ATTRIBUTE_PREFIX}NAME"])
                yield place.problem(("field",), f"no field {field!r} of the context; {cure}")
        case _:
            pass


def _counted(feature: Rate | DistinctCount, place: Place) -> Iterator[Problem]:
    if isinstance(feature, DistinctCount):
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
