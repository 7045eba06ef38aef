"""`hub.explain`: causes in plain words, only where they are those of the decision, and what the model saw."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from hub_records import decision_id
from replay_world import ReplayShop, replay_shop
from world import CHALLENGER, CHAMPION, FILMS, HERO, LIST, genres_of

from edgewise.errors import InputError
from edgewise.ids import BundleVersion, ItemId, PlacementName
from edgewise.reasons import Reason
from edgewise.records import DecisionRecord
from hub.explain import Explanation, explain, plain

BY_MODEL: dict[str, Any] = {"options": {"force": {HERO: CHALLENGER, LIST: CHALLENGER}}}
_numbers = itertools.count()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayShop]:
    with replay_shop(tmp_path_factory.mktemp("shop")) as made:
        yield made


def somebody(shop: ReplayShop, *films: str) -> str:
    """A new visitor who looked at these films."""
    visitor = f"visitor-{next(_numbers)}"
    for film in films:
        shop.track(film, visitor)
    return visitor


def explained(shop: ReplayShop, record: DecisionRecord) -> Explanation:
    return explain(shop.hub.ledger, shop.hub.replayer, record.decision_id)


def causes(explanation: Explanation, place: PlacementName = LIST) -> list[list[tuple[str, str]]]:
    assert explanation.causes in {"logged", "decided again"}
    return [[(why.code, why.text) for why in item.why] for item in explanation.placements[place].items]


def test_causes_are_told_in_plain_words_and_are_the_same_whether_they_were_logged_or_not(shop: ReplayShop) -> None:
    told = {}
    for is_logged in (True, False):
        visitor = somebody(shop, "film-5")
        record = shop.decided({"options": {**BY_MODEL["options"], "explain": is_logged}}, visitor=visitor)
        explanation = explained(shop, record)
        assert explanation.causes == ("logged" if is_logged else "decided again")
        told[is_logged] = causes(explanation, HERO)
    assert told[True] == told[False]
    ((first, *others),) = told[True]
    assert first == ("liked_alike", "Because you looked at Film 5")
    assert others[0][0] == "genre"
    assert others[0][1].removeprefix("Because you often choose ") in genres_of(5)


def test_the_causes_that_are_worked_out_now_are_those_of_then(shop: ReplayShop) -> None:
    visitor = somebody(shop, "film-4")
    record = shop.decided(BY_MODEL, visitor=visitor)
    before = plain(explained(shop, record))
    for film in FILMS[10:20]:
        shop.track(film, visitor)
    shop.report()
    assert plain(explained(shop, record)) == before


def test_every_feature_of_every_item_is_shown_and_a_missing_one_is_none(shop: ReplayShop) -> None:
    record = shop.decided(BY_MODEL, visitor=somebody(shop, "film-4"))
    explanation = explained(shop, record)
    for name, rows in record.shown.items():
        matrix = np.frombuffer(rows.data, "<f4").reshape(len(rows.items), -1).tolist()
        for item, values in zip(explanation.placements[name].items, matrix, strict=True):
            assert list(item.features) == list(rows.names)
            for value, told in zip(values, item.features.values(), strict=True):
                assert told is None if math.isnan(value) else told == value
            assert item.features["temperature"] is None
            assert item.title == f"Film {item.id.removeprefix('film-')}"
    placed = explanation.placements[LIST]
    assert placed.propensity == pytest.approx(math.prod(item.propensity for item in placed.items))


def test_what_was_asked_and_allowed_is_told(shop: ReplayShop) -> None:
    visitor = somebody(shop, "film-4")
    shop.prefer({"dial": 2, "mute": {"categories": ["drama"]}}, visitor)
    body = {**BY_MODEL, "context": {"page": {"path": "/films"}}, "consent": {"marketing": "denied"}}
    record = shop.decided(body, visitor=visitor)
    explanation = explained(shop, record)
    assert (explanation.dial, explanation.mute) == (2, {"categories": ("drama",)})
    assert explanation.context.page.path == "/films"
    assert explanation.grants.personalisation
    assert not explanation.grants.marketing
    assert [request.name for request in explanation.asked] == [HERO, LIST]
    assert explanation.force == {HERO: CHALLENGER, LIST: CHALLENGER}
    assert explanation.applied == record.applied
    assert (explanation.subject, explanation.unit, explanation.producer) == (
        record.subject,
        record.unit,
        record.producer,
    )


def test_outcomes_are_those_that_name_the_decision(shop: ReplayShop) -> None:
    visitor = somebody(shop)
    record = shop.decided(BY_MODEL, visitor=visitor)
    assert explained(shop, record).outcomes == []
    first = record.shown[LIST].items[0]
    named = {"itemId": first, "decisionId": record.decision_id, "placement": LIST}
    shop.track(first, visitor, event="Content Clicked", properties=named)
    shop.track(first, visitor, event="Product Viewed")
    shop.report()
    (outcome,) = explained(shop, record).outcomes
    assert (outcome.item, outcome.kind, outcome.placement) == (first, "click", LIST)


@pytest.mark.parametrize(
    ("body", "reason", "text"),
    [
        ({"consent": {"personalisation": "denied"}}, "OPTED_OUT", "Chosen without anything that is known about you"),
        ({"options": {"force": {LIST: ["film-3"]}}}, "FORCED", "An operator asked for exactly this"),
        ({"options": {"force": {LIST: CHAMPION}}}, "RULE", "Popular right now"),
        (
            {
                "placements": [
                    {"name": LIST, "exclude": list(FILMS[:20]), "candidates": [{"id": "film-0"}, {"id": "x"}]}
                ]
            },
            "MODEL",
            None,
        ),
    ],
)
def test_what_no_model_decided_has_its_plain_cause(
    shop: ReplayShop, body: dict[str, Any], reason: str, text: str | None
) -> None:
    record = shop.decided(body, visitor=somebody(shop))
    explanation = explained(shop, record)
    items = explanation.placements[LIST].items
    assert items
    assert {item.reason for item in items} <= {Reason(reason), Reason.EXPLORE, Reason.HOLDOUT}
    if text is not None:
        assert {cause for of in causes(explanation) for _, cause in of} >= {text}
        assert all(not item.features for item in items)


def test_who_may_not_be_known_is_explained_without_a_subject(shop: ReplayShop) -> None:
    denied = {"personalisation": "denied", "analytics": "denied"}
    record = shop.decided({"consent": denied}, visitor=somebody(shop, "film-4"))
    explanation = explained(shop, record)
    assert (explanation.subject, explanation.applied) == ("", {})
    assert explanation.causes == "decided again"


def test_causes_that_cannot_be_told_are_not_made_up(shop: ReplayShop) -> None:
    record = shop.decided(BY_MODEL, visitor=somebody(shop, "film-4"))
    decision = msgspec.json.decode(record.decision)
    for changes, why in (
        ({"bundle_digest": "d" * 64}, "none: release 7 here has digest"),
        ({"bundle_version": BundleVersion(8)}, f"none: no release 8; there are: 7; its bundle {record.bundle_digest}"),
        (
            {"applied": {"n-gone/1/0": 4}},
            "none: decided again it comes out differently (n-gone/1/0: applied up to 4 there, nothing here)",
        ),
        (
            {"unit": "another", "force": {}, "time_ms": 1},
            "none: decided again it comes out differently (`edgewise replay`",
        ),
        ({"bundle_digest": "", "bundle_version": BundleVersion(0)}, "none: no bundle decided"),
    ):
        shop.hub.tamper(record, **changes)
        explanation = explained(shop, record)
        assert explanation.causes.startswith(why)
        assert {item.why for placed in explanation.placements.values() for item in placed.items} == {()}
        shown = [item.id for item in explanation.placements[LIST].items]
        assert shown == [ItemId(item["id"]) for item in decision["placements"][LIST]["items"]]


def test_logged_causes_are_told_even_when_the_bundle_is_gone(shop: ReplayShop) -> None:
    record = shop.decided({"options": {**BY_MODEL["options"], "explain": True}}, visitor=somebody(shop, "film-4"))
    told = causes(explained(shop, record))
    shop.hub.tamper(record, bundle_digest="d" * 64)
    explanation = explained(shop, record)
    assert explanation.causes == "logged"
    assert causes(explanation) == told
    assert all(item.title == item.id for item in explanation.placements[LIST].items)


def test_an_unknown_decision_is_said(shop: ReplayShop) -> None:
    with pytest.raises(InputError, match="holds no decision"):
        explain(shop.hub.ledger, shop.hub.replayer, decision_id(1))
