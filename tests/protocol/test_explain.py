"""Explanations: in plain words, and only what is true of this visitor and this item."""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
import strategies_features as some
import world
from hypothesis import given
from hypothesis import strategies as st
from world import HERO, NOW_MS

from edgewise.admission.load import Bundle, load_bundle
from edgewise.bundle.exploration import EpsilonGreedy
from edgewise.bundle.golden import encode_golden
from edgewise.bundle.manifest import SESSIONS, encode_manifest
from edgewise.bundle.policy import Arm, ByAttribute, ByNeighbours, ByPriority, ByRetrieval
from edgewise.bundle.sessions import Walk, encode_sessions
from edgewise.consent import Grants
from edgewise.decide import decide
from edgewise.decision import ChosenItem, Why
from edgewise.events import Kind
from edgewise.explain import MOST_REASONS, Attribute, attributions_of, number_text, why_plain
from edgewise.features import table as declared
from edgewise.features.table import Feature, FeatureTable, OpenTickets, TimeShare, Visits, encode_features
from edgewise.ids import ArmName, ItemId, ModelName, Producer
from edgewise.profile.state import DAY_MS, Profile, Trait
from edgewise.reasons import Degradation, Reason
from edgewise.request import Candidate, Context, PlacementRequest

BUNDLE = world.bundle()
CHALLENGER = {"home_hero": "challenger"}
WIDTH = len(world.feature_table().features)


def first(
    profile: Profile | None = None,
    *,
    bundle: Bundle = BUNDLE,
    attribute: Attribute | None = world.attribute,
    draws: float = 0.0,
    candidates: Sequence[Candidate] | None = None,
    **changes: Any,
) -> ChosenItem:
    request = PlacementRequest(HERO, candidates=None if candidates is None else list(candidates))
    outcome = decide(
        world.question(request, **{"force": CHALLENGER, "explain": True, **changes}),
        Profile() if profile is None else profile,
        bundle=bundle,
        score=world.score,
        attribute=attribute,
        draw=lambda _placement, _slot: draws,
        now_ms=NOW_MS,
    )
    return outcome.decision.placements[HERO].items[0]


def crediting(**weights: float) -> Attribute:
    """Attributions that credit these columns with these weights, whatever the row says."""

    def attribute(_model: ModelName, matrix: world.Matrix) -> world.Matrix:
        contributions = np.zeros((len(matrix), WIDTH + 1), np.float32)
        for name, weight in weights.items():
            contributions[:, BUNDLE.features.column_of[name]] = weight
        return contributions

    return attribute


def told(item: ChosenItem) -> list[tuple[str, str]]:
    return [(why.code, why.text) for why in item.why]


def test_the_loudest_features_are_told_loudest_first() -> None:
    item = first(world.profile(["film-3", "film-13"]), candidates=[Candidate(world.FILMS[12])])
    assert told(item) == [
        ("liked_alike", "Because you looked at Film 13"),
        ("genre", "Because you often choose drama"),
        ("popularity", "Popular right now"),
    ]
    weights = [why.weight for why in item.why]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] == pytest.approx(2 * 0.8)
    assert sum(weights) == pytest.approx(item.score)


def test_the_item_that_speaks_loudest_is_named_not_the_latest() -> None:
    item = first(world.profile(["film-13", "film-15"]), candidates=[Candidate(world.FILMS[12])])
    assert told(item)[0] == ("liked_alike", "Because you looked at Film 13")


def test_a_missing_value_is_never_a_cause() -> None:
    """A tree may reward what is missing; the sentence about it would be a lie."""
    lies = crediting(liked_alike=9.0, last_alike=8.0, genre=7.0, views_7d=6.0, popularity=0.5)
    assert told(first(attribute=lies)) == [("popularity", "Popular right now")]


def test_a_page_that_is_not_so_is_no_cause() -> None:
    on_mobile = crediting(is_mobile=1.0)
    assert told(first(attribute=on_mobile)) == [("is_mobile", "Good on a small screen")]
    assert told(first(attribute=on_mobile, context=Context())) == []


def test_what_lowered_the_score_is_no_cause() -> None:
    assert told(first(attribute=crediting(popularity=-1.0))) == []


def test_what_was_not_granted_is_not_named() -> None:
    """The grant is for personalisation alone; the marketing feature is missing, so nothing is said of it."""
    table = world.feature_table()
    features = [
        msgspec.structs.replace(feature, sentence="You bought {value} films")
        if feature.name == "orders_30d"
        else feature
        for feature in table.features
    ]
    bundle = world.bundle(features=FeatureTable(features))
    visitor = world.profile(["film-3"])
    visitor.counts[Kind.ORDER] = [(NOW_MS // DAY_MS, 2)]
    credited = crediting(orders_30d=1.0)
    assert told(first(visitor, bundle=bundle, attribute=credited)) == [("orders_30d", "You bought 2 films")]
    grants = Grants(personalisation=True)
    assert told(first(visitor, bundle=bundle, attribute=credited, grants=grants)) == []


def test_numbers_are_filled_in() -> None:
    item = first(world.profile(["film-3", "film-4"]), attribute=crediting(views_7d=1.0))
    assert told(item) == [("views_7d", "You looked at 2 films lately")]


def test_without_attribution_the_profile_itself_is_told() -> None:
    item = first(world.profile(["film-3", "film-13"]), attribute=None, candidates=[Candidate(world.FILMS[12])])
    assert told(item) == [
        ("liked_alike", "Because you looked at Film 13"),
        ("last_alike", "Because you just looked at Film 13"),
        ("genre", "Because you often choose drama"),
    ]
    assert told(first(attribute=None)) == []


@pytest.mark.parametrize(
    "attribute",
    [
        lambda _model, _matrix: 1 / 0,
        lambda _model, matrix: np.zeros((len(matrix), 3), np.float32),
        lambda _model, matrix: np.full((len(matrix), WIDTH + 1), np.nan, np.float32),
        lambda _model, _matrix: None,
    ],
    ids=["raises", "narrow", "nan", "nothing"],
)
def test_a_broken_attribution_costs_detail_and_no_answer(attribute: Attribute) -> None:
    visitor = world.profile(["film-13"])
    assert told(first(visitor, attribute=attribute)) == told(first(visitor, attribute=None))
    assert attributions_of(attribute, world.RANKER, np.zeros((1, WIDTH), np.float32)) is None


def test_one_text_is_told_once() -> None:
    features = [
        declared.NeighbourScore(name="a", sentence="Because you looked at {item}"),
        declared.NeighbourMax(name="b", sentence="Because you looked at {item}"),
        *world.feature_table().features[2:],
    ]
    bundle = world.bundle(features=FeatureTable(features))
    credited = crediting(liked_alike=3.0, last_alike=2.0, popularity=1.0)
    item = first(world.profile(["film-13"]), bundle=bundle, attribute=credited)
    assert told(item) == [("a", "Because you looked at Film 13"), ("popularity", "Popular right now")]


def test_what_is_explored_says_so_and_nothing_else() -> None:
    bundle = world.bundle(policy=world.policy({HERO: world.placement(EpsilonGreedy(1.0))}))
    item = first(world.profile(["film-3"]), bundle=bundle, draws=0.99)
    assert item.reason is Reason.EXPLORE
    assert item.why == (Why("explore", "Shown to learn whether you like it", 0.0),)
    ruled = first(bundle=bundle, draws=0.99, force={HERO: "champion"})
    assert told(ruled) == [("explore", "Shown to learn whether you like it")]


def test_a_rule_is_told_by_its_attribute() -> None:
    def by(arm: Arm) -> list[tuple[str, str]]:
        name = ArmName("rule")
        placement = world.placement(arms={name: arm}, arm=name, opted_out_arm=name)
        bundle = world.bundle(policy=msgspec.structs.replace(world.policy({HERO: placement}), experiments={}))
        return told(first(bundle=bundle, force={}))

    assert by(Arm(ByAttribute("popularity"))) == [("popularity", "Popular right now")]
    assert by(Arm(ByAttribute("price", descending=False))) == [("price", "Ordered by price, lowest first")]
    assert by(Arm(ByAttribute("popularity", descending=False))) == [
        ("popularity", "Ordered by popularity, lowest first")
    ]
    assert by(Arm(ByAttribute("trending"))) == [("trending", "Trending right now")]
    assert by(Arm(ByPriority())) == [("priority", "Put first by the people of this site")]


def test_an_order_by_retrieval_is_told_as_what_it_was() -> None:
    """To a visitor who looked at nothing it is no order of what he looked at."""

    def by(arm: Arm, profile: Profile, **changes: Any) -> list[str]:
        arms = {ArmName("found"): arm, ArmName("plain"): Arm(ByRetrieval())}
        placement = world.placement(arms=arms, arm="found", opted_out_arm="plain")
        bundle = world.bundle(policy=msgspec.structs.replace(world.policy({HERO: placement}), experiments={}))
        return [text for _, text in told(first(profile, bundle=bundle, force={}, **changes))]

    found, known = Arm(ByRetrieval(), retrieval=ByNeighbours("popularity")), world.profile(["film-3"])
    assert by(found, known) == ["Ordered by what you looked at last"]
    assert by(found, Profile()) == ["Popular right now"]
    assert by(Arm(ByRetrieval()), known) == ["Put first by the people of this site"]
    assert by(found, known, dial=0)[1:] == ["Put first by the people of this site"]


def test_who_opted_out_is_told_so_and_the_rule() -> None:
    item = first(world.profile(["film-3"]), dial=0)
    assert told(item) == [
        ("opted_out", "Chosen without anything that is known about you"),
        ("popularity", "Popular right now"),
    ]


@pytest.mark.parametrize("degradation", [Degradation.DEADLINE, Degradation.OVERLOAD, Degradation.SCORER])
def test_a_fallback_is_told(degradation: Degradation) -> None:
    item = first(world.profile(["film-3"]), degradation=degradation)
    assert [why.code for why in item.why] == ["fallback"]


def test_every_reason_but_the_rankers_has_its_words() -> None:
    unsaid = {reason for reason in Reason if not why_plain(reason)}
    assert unsaid == {Reason.MODEL, Reason.RULE, Reason.FALLBACK_NO_BUNDLE}


def test_titles_are_put_in_as_they_are() -> None:
    """A title is data: braces, formats and further placeholders in it mean nothing."""
    films = [world.item(number) for number in range(24)]
    odd = {"title": "{value} {0.__class__} %s {item}"}
    films[13] = msgspec.structs.replace(films[13], content=odd, approved_sha256=None)
    bundle = world.bundle(catalogue=world.catalogue(films))
    item = first(world.profile(["film-13"]), bundle=bundle, attribute=crediting(liked_alike=1.0))
    assert told(item)[0][1] == f"Because you looked at {odd['title']}"


def test_an_item_without_title_is_called_by_its_id() -> None:
    items = world.bundle(
        catalogue=world.catalogue([msgspec.structs.replace(world.item(number), content={}) for number in range(24)])
    ).items
    assert items.title(world.FILMS[3]) == "film-3"
    assert items.title(ItemId("gone")) == "gone"
    assert BUNDLE.items.title(world.FILMS[3]) == "Film 3"


def test_nothing_is_explained_unasked() -> None:
    def forbidden(_model: ModelName, _matrix: world.Matrix) -> world.Matrix:
        raise AssertionError

    assert first(world.profile(["film-3"]), explain=False, attribute=forbidden).why == ()


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (3.0, "3"), (2.34, "2.3"), (-0.26, "-0.3"), (10.4, "10"), (12_345.0, "12345"), (1e20, str(10**20))],
)
def test_numbers_as_people_write_them(value: float, text: str) -> None:
    assert number_text(value) == text


@given(
    profile=some.profiles(),
    candidates=st.lists(some.candidates, min_size=1, max_size=4),
    attributed=st.booleans(),
)
def test_any_explanation_is_short_and_complete(
    profile: Profile, candidates: list[Candidate], *, attributed: bool
) -> None:
    item = first(profile, candidates=candidates, attribute=world.attribute if attributed else None)
    assert len(item.why) <= MOST_REASONS
    for why in item.why:
        assert why.text
        assert "{" not in why.text
        assert why.weight > 0


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        (TimeShare(name="views_7d", half_life_days=30, sentence="You spend time on {value}"), "You spend time on tea"),
        (OpenTickets(name="views_7d", sentence="{value} of your questions are open"), None),
        (Visits(name="views_7d", days=30, sentence="You came {value} times"), "You came 1 times"),
    ],
)
def test_what_the_profile_newly_keeps_is_told_where_it_is_so(feature: Feature, expected: str | None) -> None:
    table = world.feature_table()
    features = [feature if known.name == feature.name else known for known in table.features]
    today = NOW_MS // DAY_MS
    visitor = world.profile(["film-3"])
    visitor.topic_ms = {"tea": [(today, 9_000)], "milk": [(today, 500)]}
    visitor.slots = [(today, 0b110)]
    item = first(
        visitor,
        bundle=world.bundle(features=FeatureTable(features)),
        attribute=crediting(views_7d=1.0),
        candidates=[Candidate(world.FILMS[12], {"topic": ["milk", "tea"]})],
    )
    assert told(item) == ([] if expected is None else [("views_7d", expected)])


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        (
            declared.LastMatch(name="views_7d", dimension="category", sentence="{value}, like {item}"),
            "comedy, like Film 3",
        ),
        (declared.LastMatch(name="views_7d", dimension="category", last=1, sentence="{value}"), None),
        (declared.Code(name="views_7d", of="item.category", values=("noir", "comedy"), sentence="{value}"), "comedy"),
        (declared.Code(name="views_7d", of="item.category", values=("noir",), sentence="{value}!"), None),
        (declared.Hash(name="views_7d", of="context.locale", buckets=9, sentence="In {value}"), "In de-AT"),
        (declared.Hash(name="views_7d", of="profile.traits.plan", buckets=9, sentence="By {value}"), "By gold"),
        (declared.AffinitySum(name="views_7d", dimension="category", half_life_days=9, sentence="{value}"), "comedy"),
        (declared.DaysSinceItem(name="views_7d", sentence="You saw {item} before"), "You saw Film 12 before"),
        (declared.Cross(name="views_7d", of=("genre", "popularity"), sentence="Who knows"), None),
        (declared.Position(name="views_7d", sentence="It is first"), None),
        (declared.LocalHour(name="views_7d", sentence="It is {value} o'clock"), "It is 9 o'clock"),
    ],
)
def test_texts_are_told_where_a_number_says_nothing(feature: Feature, expected: str | None) -> None:
    table = world.feature_table()
    features = [feature if known.name == feature.name else known for known in table.features]
    visitor = world.profile(["film-3", "film-12", "film-11"])
    visitor.items[world.FILMS[11]] = msgspec.structs.replace(visitor.items[world.FILMS[11]], time_ms=NOW_MS)
    visitor.traits = {"plan": Trait(NOW_MS, Producer("n/1/0"), 1, "gold")}
    item = first(
        visitor,
        bundle=world.bundle(features=FeatureTable(features)),
        attribute=crediting(views_7d=1.0),
        candidates=[Candidate(world.FILMS[12], {"category": ["comedy", "opera"]})],
        context=Context(locale="de-AT", utc_offset_minutes=60),
    )
    assert told(item) == ([] if expected is None else [("views_7d", expected)])


def test_a_visit_of_others_is_told_by_the_item_that_it_shares() -> None:
    feature = declared.SessionScore(name="visits", sentence="Others who looked at {item} went on to this")
    table = FeatureTable([*world.feature_table().features, feature])
    files = world.resources(
        features=encode_features(table),
        golden=encode_golden(world.golden(table)),
    )
    # Whoever looked at film 9 looked at film 3 as well, and film 3 goes with nothing else.
    members = np.array([3, 9, 5, 11])
    files[SESSIONS] = encode_sessions(list(world.FILMS), np.ones(24), np.array([0, 2, 4]), members, Walk())
    made = world.manifest(files)
    bundle = load_bundle(made, hashlib.sha256(encode_manifest(made)).hexdigest(), files)
    column = len(table.features) - 1

    def attribute(_model: ModelName, matrix: world.Matrix) -> world.Matrix:
        contributions = np.zeros((len(matrix), len(table.features) + 1), np.float32)
        contributions[:, column] = matrix[:, column]
        return contributions

    def score(_model: ModelName, matrix: world.Matrix) -> world.Matrix:
        return matrix[:, column]

    outcome = decide(
        world.question(HERO, force=CHALLENGER, explain=True),
        world.profile(["film-9", "film-2"]),
        bundle=bundle,
        score=score,
        attribute=attribute,
        draw=lambda _placement, _slot: 0.0,
        now_ms=NOW_MS,
    )
    (item,) = outcome.decision.placements[HERO].items
    assert (item.id, [why.text for why in item.why]) == ("film-3", ["Others who looked at Film 9 went on to this"])
