"""What re-orders a content hub: freshness, what was read already, a predicted trait; weighed by a formula, and told."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
import scores_world
import world
from hypothesis import given
from hypothesis import strategies as st
from world import HERO, NOW_MS

from edgewise.admission.load import Bundle
from edgewise.bundle.catalogue import Item, content_sha256
from edgewise.bundle.policy import Arm, ByFormula, Diversity, OfFeature, OfItem, OfNumber, Placement, Product, Sum, Term
from edgewise.decide import decide
from edgewise.decision import PlacementDecision
from edgewise.errors import BundleRefused
from edgewise.events import Kind
from edgewise.features import table as declared
from edgewise.features.freshness import freshness, published_day
from edgewise.features.table import FeatureTable
from edgewise.ids import ArmName, CollectionName, ItemId
from edgewise.profile.state import DAY_MS, LastTouch, Profile

TODAY = NOW_MS // DAY_MS
"""9 October 2025."""


@pytest.mark.parametrize(
    ("written", "days"),
    [
        ("1970-01-02", 1.0),
        ("1970-01-02T12:00:00", 1.5),
        ("1970-01-02T12:00:00+12:00", 1.0),
        (86_400_000, 1.0),
        (86_400_000.0, 1.0),
    ],
)
def test_a_date_a_moment_and_milliseconds_are_days(written: str | float, days: float) -> None:
    assert published_day(written) == days


@pytest.mark.parametrize("written", ["", "soon", "2026-13-01", None, True, ["2026-01-01"], math.inf, 10**400])
def test_what_is_no_date_is_missing(written: Any) -> None:
    assert math.isnan(published_day(written))


@given(st.lists(st.floats(-40_000, 40_000, width=32), min_size=2, max_size=6), st.floats(0.1, 1_000))
def test_newer_is_fresher_up_to_one_and_a_half_after_so_many_days(days: list[float], half_after: float) -> None:
    fresh = freshness(np.array(days, np.float32), NOW_MS, half_after)
    assert ((fresh > 0) & (fresh <= 1)).all()
    for left, newer in zip(days, fresh.tolist(), strict=True):
        assert all(newer >= other for right, other in zip(days, fresh.tolist(), strict=True) if left >= right)
    half = freshness(np.array([TODAY], np.float32), TODAY * DAY_MS + round(half_after * DAY_MS), half_after)
    assert half.tolist() == pytest.approx([0.5], abs=1e-6)


def article(number: int, topic: str, days_ago: float, **attributes: Any) -> Item:
    content = {"title": f"Article {number}"}
    known = {"topic": [topic], "published_ms": float(NOW_MS - days_ago * DAY_MS), "reads": 10.0 - number, **attributes}
    return Item(ItemId(f"article-{number}"), content, known, approved_sha256=content_sha256(content), approved_by="Ann")


ARTICLES = [
    article(0, "craft", 40, reader="browsing"),
    article(1, "craft", 30, reader="buying"),
    article(2, "actors", 2, reader=["buying", "leaving"]),
    article(3, "actors", 0.5),
    article(4, "history", 90, reader="nobody"),
]
HUB: list[declared.Feature] = [
    declared.TimeShare(name="topic_time", half_life_days=14, sentence="Because you read about {value}"),
    declared.Freshness(
        name="fresh", attribute="published_ms", half_after_days=10, purpose=None, sentence="New this week"
    ),
    declared.Touched(name="already_read", days=60),
    declared.ScoreMatch(
        name="fits", model=scores_world.MOOD, attribute="reader", sentence="For readers who are {value}"
    ),
]
BEST = Sum(
    [
        Product([OfNumber(2.0), OfFeature("topic_time", 0)]),
        OfFeature("fresh", 0),
        Product([OfNumber(-3.0), OfFeature("already_read", 0)]),
    ]
)


def hub(formula: Term, **changes: Any) -> Placement:
    arms = {ArmName("best"): Arm(ByFormula(formula)), ArmName("read"): Arm(ByFormula(OfItem("reads")))}
    return Placement(
        CollectionName("articles"), arms, ArmName("best"), ArmName("read"), [ARTICLES[4].id], count=5, **changes
    )


def hub_bundle(placement: Placement) -> Bundle:
    policy = msgspec.structs.replace(
        world.policy({HERO: placement}), collections={CollectionName("articles"): [each.id for each in ARTICLES]}
    )
    return scores_world.bundle(policy=policy, items=ARTICLES, features=scores_world.table(*HUB))


def decided(placement: Placement, profile: Profile | None = None, **changes: Any) -> PlacementDecision:
    outcome = decide(
        world.question(explain=True, **changes),
        Profile() if profile is None else profile,
        bundle=hub_bundle(placement),
        score=scores_world.score,
        draw=lambda *_: 0.0,
        now_ms=NOW_MS,
    )
    return outcome.decision.placements[HERO]


def reader(topic: str, *read: int) -> Profile:
    """Somebody who spent a minute on a topic today, and read these articles."""
    profile = Profile(topic_ms={topic: [(TODAY, 60_000)]}, last_ms=NOW_MS)
    for number in read:
        profile.items[ItemId(f"article-{number}")] = LastTouch(NOW_MS - 60_000, Kind.VIEW)
    return profile


def order(placement: Placement, profile: Profile | None = None, **changes: Any) -> list[int]:
    return [int(item.id.removeprefix("article-")) for item in decided(placement, profile, **changes).items]


def test_time_on_a_topic_moves_its_articles_up_and_what_was_read_down() -> None:
    assert order(hub(BEST)) == [3, 2, 1, 0, 4], "of a stranger only the dates are known"
    assert order(hub(BEST), reader("craft")) == [1, 0, 3, 2, 4]
    assert order(hub(BEST), reader("craft", 1)) == [0, 3, 2, 4, 1]


def test_who_opted_out_gets_what_most_read_and_no_topic_has_more_than_its_share() -> None:
    assert order(hub(BEST), reader("history"), dial=0) == [0, 1, 2, 3, 4]
    assert order(hub(BEST, diversity=Diversity("topic", 1)), reader("craft")) == [1, 3, 4]


def test_only_what_spoke_for_an_article_is_told_and_the_weightiest_first() -> None:
    told = [[why.text for why in item.why] for item in decided(hub(BEST), reader("craft", 1)).items]
    assert told[0] == ["Because you read about craft"], "forty days old: nothing new"
    assert told[1] == ["New this week"]
    assert told[-1][0] == "Because you read about craft", "read already, and still only what is true"
    weights = [why.weight for why in decided(hub(BEST), reader("craft")).items[0].why]
    assert weights == sorted(weights, reverse=True)


def test_a_predicted_trait_meets_what_an_article_is_for() -> None:
    found = decided(hub(OfFeature("fits", -1.0)))
    stranger_on_a_phone = np.array([[2 / 3, 0.0, np.nan]], np.float32)
    said = scores_world.score(scores_world.MOOD, stranger_on_a_phone)[0]
    of_class = dict(zip(scores_world.CLASSES, said.tolist(), strict=True))
    browsing, buying, leaving = (of_class[name] for name in scores_world.CLASSES)
    expected = {0: browsing, 1: buying, 2: max(buying, leaving), 4: 0.0}
    scores = {int(item.id.removeprefix("article-")): item.score for item in found.items}
    assert scores == pytest.approx({**expected, 3: -1.0}), "0 for a reader that no class is, missing without any"
    likeliest = max(found.items, key=lambda item: item.score)
    assert likeliest.why[0].text == f"For readers who are {max(of_class, key=lambda name: of_class[name])}"


def test_a_score_that_fails_leaves_the_order_to_the_rest() -> None:
    def broken(_model: object, _matrix: object) -> Any:
        raise ValueError("no graph")

    outcome = decide(
        world.question(),
        Profile(),
        bundle=hub_bundle(hub(Sum([OfFeature("fits", 0), OfFeature("fresh", 0)]))),
        score=broken,
        draw=lambda *_: 0.0,
        now_ms=NOW_MS,
    )
    assert [item.id for item in outcome.decision.placements[HERO].items][:2] == ["article-3", "article-2"]


def test_a_formula_over_what_is_no_feature_is_refused() -> None:
    with pytest.raises(BundleRefused, match="'fesh', which is no feature"):
        hub_bundle(hub(OfFeature("fesh")))


@pytest.mark.parametrize(
    ("feature", "says"),
    [
        (declared.ScoreMatch(name="x", model=scores_world.CHURN, attribute="reader"), "has no classes"),
        (declared.ScoreMatch(name="x", model=world.RANKER, attribute="reader"), "no score 'ranker'"),
        (declared.ScoreMatch(name="x", model=scores_world.MOOD, attribute=""), "names no attribute"),
        (declared.Freshness(name="x", attribute=""), "names no attribute"),
    ],
)
def test_a_feature_that_cannot_be_computed_is_refused(feature: declared.Feature, says: str) -> None:
    with pytest.raises(BundleRefused, match=says):
        scores_world.bundle(features=scores_world.table(feature))


def test_opted_out_visitors_are_not_ranked_by_features() -> None:
    placement = hub(BEST)
    arms = {ArmName("best"): placement.arms[ArmName("best")]}
    with pytest.raises(BundleRefused, match="opted-out"):
        hub_bundle(Placement(placement.collection, arms, ArmName("best"), ArmName("best"), placement.fallback))


def test_scores_are_asked_only_where_their_column_is_wanted() -> None:
    table = FeatureTable([*scores_world.table().features, *HUB])
    features = hub_bundle(hub(BEST)).features
    assert features.names == tuple(feature.name for feature in table.features)
    outcome = decide(
        world.question(),
        reader("craft"),
        bundle=hub_bundle(hub(BEST)),
        score=scores_world.score,
        draw=lambda *_: 0.0,
        now_ms=NOW_MS,
    )
    assert outcome.decision.scores == {}
