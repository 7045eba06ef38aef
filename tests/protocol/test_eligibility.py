"""Who may be shown: against a naive twin, one item at a time; and the dial, consent and approval by story."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
import strategies_features as some
import world
from hypothesis import given
from hypothesis import strategies as st

from edgewise.bundle.catalogue import Catalogue, Item, content_sha256
from edgewise.bundle.items import ItemTable, encoded_content, is_approved
from edgewise.bundle.policy import Cap, Compare, Placement, Rule, Some
from edgewise.candidates import Catalogued, brought_pool
from edgewise.consent import NOTHING, Grants
from edgewise.eligibility import Blocks, Mask, may_personalise, readable
from edgewise.features.compile import CompiledFeatures
from edgewise.features.table import FeatureTable
from edgewise.features.view import View
from edgewise.ids import ItemId
from edgewise.profile.read import SESSION_GAP_MS
from edgewise.profile.state import DAY_MS, Profile
from edgewise.request import Candidate, Context
from edgewise.rules import Attributes, Facts, compile_rule

NOW_MS = world.NOW_MS
mutes = st.fixed_dictionaries(
    {},
    optional={
        "categories": st.lists(some.texts, max_size=2).map(tuple),
        "brands": st.lists(some.texts, max_size=2).map(tuple),
        "topics": st.lists(some.texts, max_size=2).map(tuple),
        "items": st.lists(some.items, max_size=2).map(tuple),
        "planets": st.just(("mars",)),
    },
)
rules: st.SearchStrategy[list[Rule]] = st.lists(
    st.sampled_from(
        [
            Compare("item.category", "contains", "drama"),
            Compare("item.price", "le", 3.0),
            Compare("context.locale", "ne", "noir"),
            Compare("item.brand", "ne", "$context.locale"),
            Some([Compare("item.category", "exists"), Compare("profile.history_length", "gt", 1.0)]),
        ]
    ),
    max_size=2,
)


@st.composite
def shops(draw: st.DrawFn) -> Catalogue:
    """Items of which some are approved, some were, and some have a schedule around now."""
    moments = st.none() | st.integers(NOW_MS - 2, NOW_MS + 2)
    made = []
    for item in draw(some.catalogues()).items:
        approval = draw(st.sampled_from([content_sha256(item.content), content_sha256(item.content), "0" * 64, None]))
        made.append(
            msgspec.structs.replace(item, approved_sha256=approval, starts_ms=draw(moments), ends_ms=draw(moments))
        )
    return Catalogue(made)


def placement(rules: list[Rule], *, exclude_seen: bool, cap: Cap | None) -> Placement:
    return world.placement(eligibility=rules, exclude_seen=exclude_seen, cap=cap)


def is_wanted(
    item: ItemId, attributes: Attributes, *, placement: Placement, mute: Mapping[str, Any], exclude: Any, facts: Facts
) -> bool:
    """The naive twin: everything that the visitor, the page and the rules say of one item."""
    profile = facts._view.profile
    if item in exclude or item in mute.get("items", ()):
        return False
    for kind, attribute in (("categories", "category"), ("brands", "brand"), ("topics", "topic")):
        value = attributes.get(attribute)
        values = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        if any(text and text in mute.get(kind, ()) for text in values):
            return False
    if placement.exclude_seen and item in profile.items:
        return False
    if placement.cap is not None:
        first_day = NOW_MS // DAY_MS - placement.cap.days + 1
        shown = [entry for entry in profile.impressions if entry.item == item and entry.time_ms >= first_day * DAY_MS]
        if len(shown) >= placement.cap.impressions:
            return False
    return all(compile_rule(rule).test(item, attributes, facts) for rule in placement.eligibility)


@given(
    catalogue=shops(),
    rules=rules,
    exclude_seen=st.booleans(),
    cap=st.none() | st.builds(Cap, st.integers(1, 2), st.integers(1, 7)),
    mute=mutes,
    profile=some.profiles(),
    context=some.contexts,
    exclude=st.frozensets(some.items, max_size=2),
    collection=st.lists(some.items, max_size=12),
    brought=st.lists(some.candidates, max_size=6, unique_by=lambda candidate: candidate.id),
)
def test_eligibility_equals_its_naive_twin(
    *,
    catalogue: Catalogue,
    rules: list[Rule],
    exclude_seen: bool,
    cap: Cap | None,
    mute: dict[str, Any],
    profile: Profile,
    context: Context,
    exclude: frozenset[ItemId],
    collection: list[ItemId],
    brought: list[Candidate],
) -> None:
    asked = placement(rules, exclude_seen=exclude_seen, cap=cap)
    features = CompiledFeatures(FeatureTable([]), ItemTable(catalogue))
    catalogued = Catalogued(asked, collection, features)
    facts = Facts(View(profile, context, NOW_MS, None))
    blocks = Blocks(features.items, mute, profile, NOW_MS)
    known = {item.id: item for item in catalogue.items}

    def wanted(item: ItemId, attributes: Attributes) -> bool:
        return is_wanted(item, attributes, placement=asked, mute=mute, exclude=exclude, facts=facts)

    places = catalogued.gate(blocks, exclude, facts, NOW_MS).passing(catalogued.pool.everything)
    expected = []
    for item_id in dict.fromkeys(collection):
        item = known.get(item_id)
        if item is None or item.approved_sha256 != content_sha256(item.content):
            continue
        if (item.starts_ms or 0) <= NOW_MS < (item.ends_ms or 1 << 60) and wanted(item_id, item.attributes):
            expected.append(item_id)
    assert features.ids(catalogued.pool.rows.take(places)) == expected

    pool = brought_pool(brought, catalogued, features, blocks=blocks, exclude=exclude, facts=facts)
    assert features.ids(pool.rows) == [
        candidate.id
        for candidate in brought
        if wanted(
            candidate.id,
            {**(known[candidate.id].attributes if candidate.id in known else {}), **candidate.attributes},
        )
    ]


def test_only_an_approval_of_this_very_content_counts() -> None:
    approved = world.item(0)
    edited = msgspec.structs.replace(approved, content={**approved.content, "title": "Film 0, now with a discount"})
    unapproved = msgspec.structs.replace(approved, approved_sha256=None)
    blank = msgspec.structs.replace(approved, approved_sha256="")
    assert is_approved(approved)
    assert [is_approved(item) for item in (edited, unapproved, blank)] == [False] * 3


def test_an_approval_does_not_depend_on_the_order_of_keys() -> None:
    content = {"b": 1, "a": [{"d": 2, "c": 3}]}
    turned = {"a": [{"c": 3, "d": 2}], "b": 1}
    assert content_sha256(content) == content_sha256(turned)
    assert msgspec.json.decode(encoded_content(Item(ItemId("x"), content))) == content


@pytest.mark.parametrize(
    ("grants", "dial", "expected"),
    [
        (Grants(personalisation=True), 3, True),
        (Grants(personalisation=True), 1, True),
        (Grants(personalisation=True), 0, False),
        (Grants(analytics=True, marketing=True), 3, False),
        (NOTHING, 3, False),
    ],
)
def test_no_grant_and_dial_nothing_both_deny(grants: Grants, dial: int, *, expected: bool) -> None:
    assert may_personalise(grants, dial) is expected


def test_the_dial_says_how_much_of_a_profile_is_read() -> None:
    pause_ms = SESSION_GAP_MS + 1
    visitor = world.shown(world.profile(["film-1", "film-2"], gap_ms=pause_ms), "film-9", 2)
    assert readable(visitor, 3, NOW_MS) is visitor
    session = readable(visitor, 2, NOW_MS)
    assert list(session.items) == ["film-2"]
    assert session.affinity == {}
    assert session.counts == {}
    assert session.impressions == visitor.impressions, "caps hold in a session as well"
    for dial in (1, 0):
        assert readable(visitor, dial, NOW_MS) == Profile()


def blocked(blocks: Blocks, asked: Placement, exclude: Sequence[ItemId] = ()) -> Mask | None:
    """As a gate asks for it."""
    return blocks.mask([*exclude, *blocks.unwanted(asked)])


def test_a_cap_counts_calendar_days() -> None:
    items = ItemTable(world.catalogue())
    asked = world.placement(cap=Cap(impressions=2, days=1))

    def allowed(times: int, now_ms: int) -> bool:
        visitor = world.shown(Profile(), "film-0", times)
        mask = blocked(Blocks(items, {}, visitor, now_ms), asked)
        return mask is None or not mask[0]

    assert allowed(1, NOW_MS)
    assert not allowed(2, NOW_MS)
    assert allowed(2, (NOW_MS // DAY_MS + 1) * DAY_MS), "the next day starts afresh"


def test_nobody_is_blocked_for_a_visitor_without_wishes_and_past() -> None:
    items = ItemTable(world.catalogue())
    assert blocked(Blocks(items, {"brands": ()}, Profile(), NOW_MS), world.placement(exclude_seen=True)) is None


def test_masks_of_two_placements_do_not_leak_into_each_other() -> None:
    items = ItemTable(world.catalogue())
    blocks = Blocks(items, {"items": ("film-5",)}, world.profile(["film-0"]), NOW_MS)
    seen = blocked(blocks, world.placement(exclude_seen=True))
    other = blocked(blocks, world.placement(), [world.FILMS[7]])
    assert seen is not None
    assert other is not None
    assert np.flatnonzero(seen).tolist() == [0, 5]
    assert np.flatnonzero(other).tolist() == [5, 7]
