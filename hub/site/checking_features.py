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
    Feature,
    ItemAttribute,
    ItemIs,
    WindowCount,
)
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


def _feature(feature: Feature, attributes: set[str], place: Place) -> Iterator[Problem]:
    match feature:
        case ItemAttribute(attribute=attribute) | ItemIs(attribute=attribute):
            if attribute not in attributes:
                yield place.problem(
                    ("attribute",), f"no item has an attribute {attribute!r}; {did_you_mean(attribute, attributes)}"
                )
        case Affinity(dimension=dimension) | AffinityMatch(dimension=dimension):
            if dimension not in DIMENSIONS:
                cure = did_you_mean(dimension, DIMENSIONS)
                yield place.problem(("dimension",), f"profiles keep no affinity for {dimension!r}; {cure}")
        case WindowCount(kind=kind):
            if kind not in set(Kind):
                yield place.problem(("kind",), f"no kind of event {kind!r}; {did_you_mean(kind, set(Kind))}")
        case ContextIs(field=field):
            if not is_context_field(field):
                cure = did_you_mean(field, [*CONTEXT_FIELDS, f"{ATTRIBUTE_PREFIX}NAME"])
                yield place.problem(("field",), f"no field {field!r} of the context; {cure}")
        case _:
            pass
