"""A new site: three journeys wait, the banner is enabled where its data are there, and each does what it promises."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from audit_world import AS_OF, AuditWorld
from release_world import Shop
from world import EVERYTHING_GRANTED

from edgewise.admission.load import Bundle, load_bundle
from edgewise.decide import decide
from edgewise.decision import PlacementDecision
from edgewise.events import Kind
from edgewise.ids import DecisionId, ItemId, PlacementName
from edgewise.profile.state import DAY_MS, LastTouch, Profile
from edgewise.question import Question
from edgewise.reasons import Reason
from edgewise.rendering import Links, ShownItem, content_of, render_placement
from edgewise.request import Context, PlacementRequest
from hub.journeys.enabled import enabled_journeys
from hub.journeys.enabling import enable
from hub.journeys.first import FIRST, begin_first
from hub.ledger.ledger import open_ledger
from hub.site.starting import start_site

BANNER, READING, READS = (PlacementName(name) for name in ("home_banner", "reading", "recommended_reads"))
NOW_MS = round(dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC).timestamp() * 1_000)
TODAY = NOW_MS // DAY_MS


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("begun"))


def released(shop: Shop) -> Bundle:
    built = shop.releases.preview(shop.contents(), {})
    return load_bundle(built.manifest, built.digest, built.resources)


def researcher(*items: str) -> Profile:
    """Somebody who clicked these today."""
    return Profile(last_ms=NOW_MS, items={ItemId(item): LastTouch(NOW_MS - 60_000, Kind.CLICK) for item in items})


def answered(bundle: Bundle, placement: PlacementName, profile: Profile, *, force: str = "") -> PlacementDecision:
    question = Question(
        decision_id=DecisionId("01KB00000000000000000000"),
        unit="somebody",
        placements=(PlacementRequest(placement),),
        context=Context(),
        grants=EVERYTHING_GRANTED,
        force={placement: force} if force else {},
        explain=True,
    )
    outcome = decide(question, profile, bundle=bundle, score=_no_model, draw=lambda *_: 0.5, now_ms=NOW_MS)
    return outcome.decision.placements[placement]


def _no_model(*_: Any) -> Any:
    raise AssertionError("the site has no model")


def test_until_a_person_enables_them_all_pages_serve_their_champion(shop: Shop) -> None:
    bundle = released(shop)
    for placement, expected in ((BANNER, "winter-season"), (READING, "article-harvest"), (READS, "article-harvest")):
        decided = answered(bundle, placement, researcher("house-blend", "kenya-aa"))
        assert decided.items[0].id == expected
        assert (decided.policy, decided.experiment) == ("champion", None)


def test_the_banner_offers_what_goes_with_what_is_looked_for_and_says_so(shop: Shop) -> None:
    with open_ledger(shop.data_dir) as ledger:
        enable(ledger, FIRST, [], by="Ann", now_ms=NOW_MS)
    bundle = released(shop)
    decided = answered(bundle, BANNER, researcher("house-blend"), force="challenger")
    (item,) = decided.items
    assert item.id == "offer-coffee-tools"
    assert item.why[0].text == "Goes with coffee, which you have been looking for"
    assert answered(bundle, BANNER, researcher("sencha"), force="challenger").items[0].id == "offer-tea-tools"
    assert answered(bundle, BANNER, Profile(), force="challenger").items[0].id == "winter-season"
    assert answered(bundle, BANNER, researcher("house-blend"), force="champion").items[0].id == "winter-season"
    assert answered(bundle, READING, researcher("house-blend")).policy == "champion", "the others wait"

    shown = ShownItem(item.id, 1, Reason.RULE, content_of(bundle, item.id), tuple(why.text for why in item.why))
    page = render_placement(bundle, BANNER, [shown], locale="en", decision_id="d", deferred=False, links=Links())
    assert "Grind it fresh" in page
    assert "Goes with coffee, which you have been looking for" in page


def test_articles_follow_time_and_what_was_looked_at(shop: Shop) -> None:
    bundle = released(shop)
    reader = researcher("article-water")
    reader.topic_ms = {"green": [(TODAY, 240_000)]}
    reader.affinity = {"topic": {"green": [(TODAY, 2)], "espresso": [(TODAY, 1)]}}
    order = [item.id for item in answered(bundle, READING, reader, force="challenger").items]
    assert set(order[:2]) == {"article-crema", "article-grind"}, "espresso was looked at"
    assert order[-1] == "article-water", "read already"
    reads = answered(bundle, READS, reader, force="challenger").items
    assert {bundle.items.item(item.id).attributes["category"][0] for item in reads} == {"coffee", "tea"}  # type: ignore[union-attr, index]
    assert "article-water" not in [item.id for item in reads]


def test_a_site_without_data_enables_nothing(tmp_path: Path) -> None:
    begun = begin_first(tmp_path / "site", tmp_path / "hub", by="Ann", now_ms=NOW_MS)
    assert (begun.is_enabled, begun.sentence) == (False, "the hub has no data yet")


def test_the_banner_alone_is_enabled_where_the_audit_finds_its_data(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    world = AuditWorld(capsys, tmp_path)
    world.fill()
    site, now_ms = tmp_path / "new-site", round(dt.datetime.combine(AS_OF, dt.time(20), dt.UTC).timestamp() * 1_000)
    start_site(site, "Ann")
    file = site / "journeys" / f"{FIRST}.yaml"
    asked = file.read_text()
    file.write_text(asked + "least_known: 0.9\n")
    held = begin_first(site, world.hub, by="Ann", now_ms=now_ms)
    assert not held.is_enabled
    assert "90% are asked; first: " in held.sentence
    file.write_text(asked)
    begun = begin_first(site, world.hub, by="Ann", now_ms=now_ms)
    assert begun.is_enabled, begun.sentence
    with open_ledger(world.hub) as ledger:
        assert enabled_journeys(ledger) == {FIRST}
    again = begin_first(site, world.hub, by="Ann", now_ms=now_ms)
    assert "people decided on journeys here before" in again.sentence
