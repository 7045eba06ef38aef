"""Money, pieces and rates of weeks as live facts: what they say, and that a hub counts them beside the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from facts_shop import TEA, FactsShop
from hub_records import NODE, NOW_MS, event, payloads

from edgewise.ids import ItemId
from edgewise.profile.scopes import Scopes, observe
from edgewise.profile.state import DAY_MS
from edgewise.records import EventRecord, Touch
from hub.counted_facts import OF_WEEKS
from hub.facts.keeping import FactsKeeper
from hub.facts.standing import PRIOR_TRIALS, columns
from hub.ledger.batch import Batch


def done(seq: int, name: str, item: str, *, days_ago: int = 0, cents: int = 0, pieces: int = 1) -> EventRecord:
    touch = Touch(ItemId(item), quantity=pieces, value_minor=cents)
    return event(seq, name=name, time_ms=NOW_MS - days_ago * DAY_MS, received_ms=NOW_MS, touches=(touch,))


STORY = [
    *(done(seq, "Product Viewed", "a") for seq in range(8)),
    *(done(seq, "Product Viewed", "b") for seq in range(8, 10)),
    *(done(seq, "Product Clicked", "a") for seq in range(10, 14)),
    done(14, "Order Completed", "a", cents=500, pieces=3),
    done(15, "Order Refunded", "a", cents=500),
    done(16, "Order Completed", "b", cents=200, days_ago=8),
    done(17, "Product Viewed", "c", days_ago=20),
]


def test_sums_are_of_their_window_and_less_what_came_back() -> None:
    scopes = Scopes()
    observe(scopes, STORY)
    found = columns(scopes, OF_WEEKS, NOW_MS)
    assert found["revenue_7d"] == {"a": 1_000.0}
    assert found["units_7d"] == {"a": 2.0}
    assert found["revenue_30d"] == {"a": 1_000.0, "b": 200.0}


def test_an_item_that_few_have_seen_has_nearly_the_rate_of_the_site() -> None:
    scopes = Scopes()
    observe(scopes, STORY)
    rates = columns(scopes, ["click_rate_7d"], NOW_MS)["click_rate_7d"]
    of_site = 4 / 10
    assert rates[ItemId("a")] == pytest.approx((4 + PRIOR_TRIALS * of_site) / (8 + PRIOR_TRIALS), abs=0.0005)
    assert rates[ItemId("b")] == pytest.approx((0 + PRIOR_TRIALS * of_site) / (2 + PRIOR_TRIALS), abs=0.0005)
    assert rates[ItemId("c")] == pytest.approx(of_site), "nothing of it in the window"


def test_before_anything_was_tried_there_is_no_rate() -> None:
    scopes = Scopes()
    observe(scopes, [done(0, "Product Clicked", "a")])
    assert columns(scopes, ["click_rate_7d", "nonsense"], NOW_MS) == {"click_rate_7d": {}}


def test_a_hub_counts_weeks_once_all_of_them_are_read(tmp_path: Path) -> None:
    facts = FactsShop(tmp_path)
    facts.shop.edit("site.yaml", "origins: []\n", "origins: []\nlive_facts: {revenue_7d: {}, views_24h: {}}\n")
    facts.shop.live()
    keeper = FactsKeeper(facts.board, facts.shop.ledger, facts.clock, at_once=2)
    bought = [done(seq, "Order Completed", TEA, cents=450) for seq in range(3)]
    facts.shop.ledger.store([Batch(NODE, payloads(*bought, done(3, "Product Viewed", TEA)))], NOW_MS)
    keeper.keep()
    sheet = facts.signed()
    assert sheet is not None
    assert sheet.columns == {"views_24h": {TEA: 1.0}}
    keeper.keep()
    keeper.keep()
    sheet = facts.signed()
    assert sheet is not None
    assert sheet.columns == {"revenue_7d": {TEA: 1_350.0}, "views_24h": {TEA: 1.0}}
    facts.clock.advance(8 * DAY_MS)
    keeper.keep()
    sheet = facts.signed()
    assert sheet is not None
    assert sheet.columns == {}
