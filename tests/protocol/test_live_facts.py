"""Live facts over a bundle: the same as a release with other numbers, bounded, and nothing more than numbers."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import pytest
import world
from hypothesis import given
from hypothesis import strategies as st
from world import CHAMPION, FILMS, HERO, LIST, NOW_MS

from edgewise.admission.load import Bundle, load_bundle
from edgewise.bundle.catalogue import Catalogue, Item
from edgewise.bundle.facts import FactSheet
from edgewise.bundle.policy import Arm, ByAttribute, ByNeighbours, Compare, LiveFact, Policy
from edgewise.decide import Outcome, decide
from edgewise.decision import canonical_bytes
from edgewise.draws import draw_from
from edgewise.errors import BundleRefused
from edgewise.features import table as declared
from edgewise.ids import ArmName, ItemId, PlacementName
from edgewise.live_facts import LiveFacts, bounded
from edgewise.question import Question
from edgewise.reasons import Degradation, Reason
from edgewise.request import Candidate, Context, PlacementRequest

PRICE = LiveFact(min=2.0, max=40.0, most_change=0.5)
LIVE = {"popularity": LiveFact(), "price": PRICE, "stock": LiveFact(min=0.0), "trending": LiveFact()}
RULES = [
    Compare("item.price", "lt", 7.0),
    Compare("item.price", "le", "$context.attributes.budget"),
]
EXPIRES_MS = NOW_MS + 1


def shop(**site: Any) -> Policy:
    """Both placements of the world, the list with rules of the item alone and of both, and an arm by a live name."""
    made = world.policy(live_facts=LIVE, **site)
    listed, hero = made.placements[LIST], made.placements[HERO]
    ruled = msgspec.structs.replace(listed, eligibility=RULES)
    return world.policy({HERO: hero, LIST: ruled, TRENDS: TREND_PLACEMENT}, live_facts=LIVE, **site)


TRENDS = PlacementName("trends")
TREND_PLACEMENT = world.placement(
    arms={
        ArmName("trending"): Arm(ByAttribute("trending"), retrieval=ByNeighbours(fill_attribute="price", limit=12)),
        CHAMPION: Arm(ByAttribute("trending")),
    },
    arm=ArmName("trending"),
    opted_out_arm=CHAMPION,
    count=6,
)
TABLE = declared.FeatureTable(
    [*world.feature_table().features, declared.ItemIs(name="five", attribute="price", value="5")]
)


def bundle(items: list[Item] | None = None, policy: Policy | None = None) -> Bundle:
    changes: dict[str, Any] = {"policy": policy or shop(), "features": TABLE, "golden": world.golden(TABLE)}
    return world.bundle(**changes, **({} if items is None else {"catalogue": Catalogue(items)}))


BUNDLE = bundle()


def sheet(columns: Mapping[str, Mapping[ItemId, float]] | None = None, **changes: Any) -> FactSheet:
    known: dict[str, Any] = {"version": 5, "issued_ms": NOW_MS - 1, "expires_ms": EXPIRES_MS}
    if columns:
        known["columns"] = columns
    return FactSheet(**{**known, **changes})


def ask(question: Question, facts: LiveFacts | None, *, over: Bundle = BUNDLE, now_ms: int = NOW_MS) -> Outcome:
    return decide(
        question,
        world.profile(["film-3", "film-8"]),
        bundle=over,
        facts=facts,
        score=world.score,
        draw=draw_from("salt", question.decision_id),
        now_ms=now_ms,
    )


def everything(**changes: Any) -> Question:
    context = Context(attributes={"budget": 6.5})
    return world.question(PlacementRequest(HERO, 20), PlacementRequest(LIST, 20), TRENDS, context=context, **changes)


def placements(outcome: Outcome) -> Any:
    """What was decided, without the bundle's name."""
    return msgspec.to_builtins(outcome.decision.placements)


def shown(outcome: Outcome) -> set[ItemId]:
    return {item.id for placed in outcome.decision.placements.values() for item in placed.items}


# --- the naive twin --------------------------------------------------------------------------------------------------
def moved(item: Item, said: FactSheet) -> Item:
    """An item of a release that says what the sheet says; what is sold out nobody has approved."""
    attributes = dict(item.attributes)
    for name, fact in LIVE.items():
        number, released = said.columns.get(name, {}).get(item.id), item.attributes.get(name)
        if number is None:
            continue
        if fact.most_change is not None:
            assert isinstance(released, float)
            room = abs(released) * fact.most_change
            number = min(max(number, released - room), released + room)
        number = number if fact.min is None else max(number, fact.min)
        attributes[name] = number if fact.max is None else min(number, fact.max)
    is_gone = said.columns.get("stock", {}).get(item.id, 1.0) <= 0
    return msgspec.structs.replace(
        item, attributes=attributes, approved_sha256=None if is_gone else item.approved_sha256
    )


some_items = st.sampled_from([*FILMS, ItemId("of-another-release")])
numbers = st.sampled_from([-3.0, 0.0, 1.0, 4.0, 5.0, 6.0, 6.5, 9.0, 50.0, 120.0])
columns = st.dictionaries(
    st.sampled_from([*LIVE, "undeclared"]), st.dictionaries(some_items, numbers, max_size=24), max_size=5
)


@given(columns.map(sheet), st.sampled_from([Degradation.NONE, Degradation.DEADLINE]), st.integers(0, 9))
def test_facts_decide_as_a_release_that_says_the_same(said: FactSheet, degradation: Degradation, visitor: int) -> None:
    naive = bundle([moved(item, said) for item in BUNDLE.items.items])
    question = everything(unit=f"v{visitor}", degradation=degradation)
    live, released = ask(question, LiveFacts(BUNDLE, said)), ask(question, None, over=naive)
    assert placements(live) == placements(released)
    assert live.shown == released.shown
    assert live.facts_version == 5


@given(columns.map(sheet), columns.map(sheet))
def test_the_bundle_beneath_is_never_changed(first: FactSheet, second: FactSheet) -> None:
    before = canonical_bytes(ask(everything(), None).decision)
    over_first = canonical_bytes(ask(everything(), LiveFacts(BUNDLE, first)).decision)
    LiveFacts(BUNDLE, second)
    assert canonical_bytes(ask(everything(), LiveFacts(BUNDLE, first)).decision) == over_first
    assert canonical_bytes(ask(everything(), None).decision) == before


@given(columns.map(sheet))
def test_no_fact_approves_an_item_or_touches_its_content(said: FactSheet) -> None:
    unapproved = [msgspec.structs.replace(item, approved_sha256=None) for item in BUNDLE.items.items[:12]]
    half = bundle([*unapproved, *BUNDLE.items.items[12:]])
    facts = LiveFacts(half, said)
    changed = facts.at(NOW_MS)
    assert not shown(ask(everything(), facts, over=half)) & {item.id for item in unapproved}
    assert [changed.content_json(film) for film in FILMS] == [half.content_json(film) for film in FILMS]
    assert changed.item(FILMS[0]) is half.item(FILMS[0])


# --- bounds ----------------------------------------------------------------------------------------------------------
@given(
    st.lists(st.tuples(st.floats(-1e12, 1e12), st.floats(-1e6, 1e6) | st.just(float("nan"))), min_size=1),
    st.none() | st.floats(-1e6, 0),
    st.none() | st.floats(0, 1e6),
    st.none() | st.floats(0, 10),
)
def test_no_number_goes_farther_than_the_site_lets_it(
    pairs: list[tuple[float, float]], least: float | None, most: float | None, change: float | None
) -> None:
    live, released = np.array(pairs).T
    result = bounded(live, released, LiveFact(min=least, max=most, most_change=change))
    for value, was, now in zip(result, released, live, strict=True):
        if change is not None and np.isnan(was):
            assert np.isnan(value)
            continue
        assert least is None or value >= least
        assert most is None or value <= most
        if change is not None and (least is None or value != least) and (most is None or value != most):
            assert abs(value - was) <= abs(was) * (change + 1e-12)
        if least is None and most is None and change is None:
            assert value == now


def test_text_lists_and_booleans_are_not_replaced_by_numbers() -> None:
    odd = [world.item(0, trending="hot"), world.item(1, trending=True), world.item(2, trending=["a"]), world.item(3)]
    items = bundle([*odd, *BUNDLE.items.items[4:]])
    facts = LiveFacts(items, sheet({"trending": dict.fromkeys(FILMS[:4], 7.0)}))
    said = [facts.at(NOW_MS).items.attributes(code).get("trending") for code in range(4)]
    assert said == ["hot", True, ["a"], 7.0]


def test_a_number_that_is_not_declared_does_nothing_but_stock_does() -> None:
    silent = bundle(policy=world.policy())
    facts = LiveFacts(silent, sheet({"popularity": {FILMS[9]: 1e6}, "stock": {FILMS[0]: 0.0}}))
    assert facts.at(NOW_MS).items is silent.items
    question = world.question(PlacementRequest(HERO, 3), force={HERO: "champion"})
    items = ask(question, facts, over=silent).decision.placements[HERO].items
    assert [item.id for item in items] == [FILMS[1], FILMS[2], FILMS[3]]


@pytest.mark.parametrize(
    ("live", "said"),
    [
        ({"category": LiveFact()}, "is a dimension of profiles"),
        ({"price": LiveFact(min=2, max=1)}, "the least is 2, above the most, 1"),
        ({"Price": LiveFact()}, "matching regex"),
        ({"price": {"most_change": -1}}, "`float` >= 0"),
    ],
)
def test_a_policy_that_lets_facts_do_what_they_cannot_is_refused(live: Any, said: str) -> None:
    raw = msgspec.to_builtins(world.policy())
    raw["site"]["live_facts"] = msgspec.to_builtins(live)
    files = world.resources(policy=msgspec.json.encode(raw))
    with pytest.raises(BundleRefused, match=said):
        load_bundle(world.manifest(files), "0" * 64, files)


# --- sold out, everywhere --------------------------------------------------------------------------------------------
def test_what_is_sold_out_is_offered_nowhere() -> None:
    """Not from a collection, not brought by the page, not forced by an operator, not as a fallback."""
    gone = [FILMS[0], FILMS[20], ItemId("of-the-page")]
    facts = LiveFacts(BUNDLE, sheet({"stock": dict.fromkeys(gone, 0.0)}))
    brought = PlacementRequest(
        HERO, 5, candidates=[Candidate(gone[0], {"stock": 9.0}), Candidate(gone[2]), Candidate(FILMS[5])]
    )
    asked = [
        world.question(PlacementRequest(HERO, 24)),
        world.question(brought),
        world.question(brought, degradation=Degradation.DEADLINE),
        world.question(PlacementRequest(HERO, 24), degradation=Degradation.OVERLOAD),
        world.question(force={HERO: gone}),
    ]
    for question in asked:
        outcome = ask(question, facts)
        assert not shown(outcome) & set(gone)
        assert shown(outcome)
    forced = ask(asked[-1], facts).decision.placements[HERO]
    assert (forced.reason, forced.items[0].id) == (Reason.FALLBACK_NO_CANDIDATE, FILMS[21])


def test_what_the_release_says_is_sold_out_comes_back_with_the_facts_alone() -> None:
    films = [world.item(0, stock=0.0), *BUNDLE.items.items[1:20], world.item(20, stock=0.0), *BUNDLE.items.items[21:]]
    released = bundle(films)
    question = world.question(PlacementRequest(HERO, 24), force={HERO: "champion"})
    page = world.question(PlacementRequest(HERO, candidates=[Candidate(FILMS[0])]), force={HERO: "champion"})
    forced = world.question(force={HERO: [FILMS[20]]})

    def seen(facts: LiveFacts | None, now_ms: int = NOW_MS) -> set[ItemId]:
        return shown(ask(question, facts, over=released, now_ms=now_ms)) & {FILMS[0], FILMS[20]}

    assert seen(None) == set()
    assert shown(ask(page, None, over=released)) == {FILMS[0]}, "of its own shelves the page knows more"
    assert FILMS[20] not in shown(ask(forced, None, over=released))
    back = LiveFacts(released, sheet({"stock": {FILMS[0]: 3.0}}))
    assert seen(back) == {FILMS[0]}
    assert back.expires_ms is not None
    assert seen(back, back.expires_ms) == set(), "nobody says any more that it is there"
    other = LiveFacts(released, sheet({"stock": {FILMS[5]: 0.0, FILMS[20]: 1.0}}))
    assert seen(other) == {FILMS[20]}
    assert FILMS[5] not in shown(ask(question, other, over=released))


def test_when_everything_is_sold_out_nothing_is_shown() -> None:
    facts = LiveFacts(BUNDLE, sheet({"stock": dict.fromkeys(FILMS, 0.0)}))
    outcome = ask(everything(), facts)
    assert shown(outcome) == set()
    assert {placed.reason for placed in outcome.decision.placements.values()} == {Reason.FALLBACK_NO_CANDIDATE}


# --- the switch and the end ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("said", [None, sheet(halted=True)])
def test_without_facts_or_halted_the_release_alone_counts(said: FactSheet | None) -> None:
    facts = LiveFacts(BUNDLE, said)
    assert facts.at(NOW_MS) is BUNDLE
    outcome = ask(everything(), facts)
    assert outcome.facts_version == 0
    assert canonical_bytes(outcome.decision) == canonical_bytes(ask(everything(), None).decision)


def test_past_their_end_numbers_are_the_released_ones_again_but_what_is_sold_out_stays_so() -> None:
    facts = LiveFacts(BUNDLE, sheet({"stock": {FILMS[0]: 0.0}, "popularity": {FILMS[9]: 1e6}}))
    question = world.question(PlacementRequest(HERO, 2), force={HERO: "champion"})

    def chosen(now_ms: int) -> list[ItemId]:
        return [item.id for item in ask(question, facts, now_ms=now_ms).decision.placements[HERO].items]

    assert chosen(EXPIRES_MS - 1) == [FILMS[9], FILMS[1]]
    assert chosen(EXPIRES_MS) == [FILMS[1], FILMS[2]]
    assert ask(question, facts, now_ms=EXPIRES_MS).facts_version == 5


def test_facts_of_one_bundle_are_not_taken_for_another() -> None:
    with pytest.raises(AssertionError, match="made for one bundle"):
        ask(everything(), LiveFacts(bundle(), None))
