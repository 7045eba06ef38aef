"""Collections: lists of items, written out or asked for by tags and by a query; resolved when a release is built.

A tag is a value of a text attribute (`category`, `topic`, whatever the items have). What a query asks of an item is
what its file says: numbers that live facts move between releases are for a placement's `eligibility`, which nodes ask
at every request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from edgewise.attributes import number_of, texts_of
from edgewise.bundle.policy import Compare, Every, Not, Rule, Some
from edgewise.eligibility import PlacementRules
from edgewise.errors import Problem
from edgewise.ids import ItemId
from edgewise.rules import reference
from hub.site.checking_rules import check_rule
from hub.site.converting import did_you_mean
from hub.site.documents import Say, Steps
from hub.site.files import CollectionFile, ItemFile, Tags

DESCENDING: Final = "-"
"""Before an attribute of `order_by`: the largest first."""
Matches = Callable[[ItemFile], bool]


def members(items: Mapping[ItemId, ItemFile], collection: CollectionFile) -> list[ItemId]:
    """The items of a collection, best first: as listed, or those that match, in the order of the files by default."""
    if collection.items is not None:
        return list(collection.items)
    matches = _test(collection)
    found = [item for item in items.values() if matches(item)]
    # From the last one on: sorting is stable, so that the first attribute has the last word.
    for attribute in reversed(collection.order_by):
        found = _ordered(found, attribute.removeprefix(DESCENDING), descending=attribute.startswith(DESCENDING))
    return [item.id for item in found[: collection.limit]]


def _test(collection: CollectionFile) -> Matches:
    tags = collection.tags
    rules = PlacementRules([] if collection.where is None else [collection.where])
    return lambda item: (tags is None or _has_tags(item, tags)) and rules.allow_item(item.id, item.attributes)


def _has_tags(item: ItemFile, tags: Tags) -> bool:
    own = tags_of(item, tags.of)
    return (not tags.any or not own.isdisjoint(tags.any)) and own.issuperset(tags.all) and own.isdisjoint(tags.none)


def tags_of(item: ItemFile, attributes: Iterable[str] = ()) -> frozenset[str]:
    """The tags of an item: values of the named attributes, or of all that hold text."""
    names = attributes or item.attributes
    return frozenset(text for name in names for text in texts_of(item.attributes.get(name)))


def _ordered(items: list[ItemFile], attribute: str, *, descending: bool) -> list[ItemFile]:
    """By a number, or by a text where no item has a number; who has none of it comes last either way."""
    numbers = [(number_of(item.attributes.get(attribute)), item) for item in items]
    if any(number == number for number, _ in numbers):  # noqa: PLR0124  # NaN: has none
        known = [(number, item) for number, item in numbers if number == number]  # noqa: PLR0124
        missing = [item for number, item in numbers if number != number]  # noqa: PLR0124
        known.sort(key=lambda pair: pair[0], reverse=descending)
        return [item for _, item in known] + missing
    texts = [(texts_of(item.attributes.get(attribute)), item) for item in items]
    spoken = sorted(((text, item) for text, item in texts if text), key=lambda pair: pair[0], reverse=descending)
    return [item for _, item in spoken] + [item for text, item in texts if not text]


# --- what is wrong --------------------------------------------------------------------------------------------------
def check_collection(items: Mapping[ItemId, ItemFile], collection: CollectionFile, say: Say) -> Iterator[Problem]:
    """Everything that is wrong with one collection, but for what is listed."""
    if [collection.all, collection.items is not None, _asks(collection)].count(True) != 1:
        message = "expected either `items: [...]`, `all: true`, or `tags` and `where`"
        yield say((), f"{message}; keep one of them")
        return
    if collection.items is not None:
        for key, given in (("order_by", collection.order_by), ("limit", collection.limit)):
            if given:
                yield say((key,), f"`items` are in order as they are listed; remove `{key}`, or ask by tags")
        return
    if collection.tags is not None:
        yield from _check_tags(items, collection.tags, say)
    if collection.where is not None:
        yield from check_rule(collection.where, (), ("where",), say)
        yield from _of_items_alone(collection.where, ("where",), say)
    known = sorted({name for item in items.values() for name in item.attributes})
    for position, attribute in enumerate(collection.order_by):
        name = attribute.removeprefix(DESCENDING)
        if name not in known:
            yield say(("order_by", position), f"no item has an attribute {name!r}; {did_you_mean(name, known)}")


def _asks(collection: CollectionFile) -> bool:
    return collection.tags is not None or collection.where is not None


def _check_tags(items: Mapping[ItemId, ItemFile], tags: Tags, say: Say) -> Iterator[Problem]:
    known = {name for item in items.values() for name, value in item.attributes.items() if texts_of(value)}
    unknown = [(position, name) for position, name in enumerate(tags.of) if name not in known]
    for position, name in unknown:
        message = f"no item has a text attribute {name!r}; {did_you_mean(name, known)}"
        yield say(("tags", "of", position), message)
    if unknown:
        return
    there = frozenset[str]().union(*(tags_of(item, tags.of) for item in items.values()))
    for key, asked in (("any", tags.any), ("all", tags.all), ("none", tags.none)):
        for position, tag in enumerate(asked):
            if tag not in there:
                yield say(("tags", key, position), f"no item has the tag {tag!r}; {_did_you_mean_tag(tag, there)}")
    if not (tags.any or tags.all or tags.none):
        yield say(("tags",), "asks for no tag; write some under `any`, `all` or `none`")


def _did_you_mean_tag(tag: str, there: Iterable[str]) -> str:
    said = did_you_mean(tag, there)
    return said if said.startswith("did you") or len(said) < 200 else "give it to an item, or remove it here"  # noqa: PLR2004


def _of_items_alone(rule: Rule, path: Steps, say: Say) -> Iterator[Problem]:
    """A collection is the same for everybody."""
    match rule:
        case Every(rules) | Some(rules):
            for position, part in enumerate(rules):
                yield from _of_items_alone(part, (*path, "rules", position), say)
        case Not(part):
            yield from _of_items_alone(part, (*path, "rule"), say)
        case Compare(of=of, to=to):
            for key, named in (("of", of), ("to", reference(to))):
                if named is not None and named.startswith(("profile.", "context.")):
                    cure = "ask for `item.ATTRIBUTE` here, and for visitors in the placement's `eligibility`"
                    yield say((*path, key), f"{named!r} differs from visitor to visitor; {cure}")
