"""What the hub counts itself: against a naive count, in any order, and as far as a site asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from facts_shop import TEA, FactsShop
from hub_records import NODE, NOW_MS, event, payloads
from hypothesis import given
from hypothesis import strategies as st

from edgewise.events import KIND_OF, affinity_weight
from edgewise.ids import ItemId
from edgewise.records import EventRecord, Touch
from hub.counted_facts import OF_A_DAY, TIMES, TRENDING, WINDOWS_MS
from hub.facts.keeping import FactsKeeper
from hub.facts.trends import (
    BUCKET_MS,
    LONGEST_MS,
    TRENDING_HALF_LIFE_MS,
    TRENDING_STEP,
    Trends,
)
from hub.ledger.batch import Batch

ITEMS = [ItemId("a"), ItemId("b"), ItemId("c")]


def seen(item: str, name: str = "Product Viewed", *, ago_ms: int = 0, seq: int = 0) -> EventRecord:
    return event(seq, name=name, time_ms=NOW_MS - ago_ms, received_ms=NOW_MS, touches=(Touch(ItemId(item)),))


events = st.lists(
    st.builds(
        lambda item, name, ago_ms: seen(item, name, ago_ms=ago_ms),
        st.sampled_from(ITEMS),
        st.sampled_from(["Product Viewed", "Product Clicked", "Product Added", "Order Completed", "Product Removed"]),
        st.integers(0, 2 * LONGEST_MS),
    ),
    max_size=30,
)


def counted(story: list[EventRecord], name: str) -> dict[ItemId, float]:
    word, window = name.split("_")
    after = (NOW_MS - WINDOWS_MS[window]) // BUCKET_MS
    found: dict[ItemId, float] = {}
    for each in story:
        if KIND_OF[each.name] is TIMES[word] and each.time_ms // BUCKET_MS > after:
            item = each.touches[0].item
            found[item] = found.get(item, 0.0) + 1
    return found


@given(events, st.randoms(use_true_random=False))
def test_counts_are_those_of_a_naive_count_in_any_order(story: list[EventRecord], chance: object) -> None:
    shuffled = list(story)
    getattr(chance, "shuffle")(shuffled)  # noqa: B009  # hypothesis types its generator as an object
    for order in (story, shuffled):
        trends = Trends()
        trends.add(order)
        columns = trends.columns(OF_A_DAY, NOW_MS)
        for name in set(OF_A_DAY) - {TRENDING}:
            assert columns[name] == counted(story, name)


@given(events)
def test_trending_is_a_share_of_the_busiest(story: list[EventRecord]) -> None:
    trends = Trends()
    trends.add(story)
    weights = dict.fromkeys(ITEMS, 0.0)
    for each in story:
        age_ms = NOW_MS - each.time_ms
        weights[each.touches[0].item] += affinity_weight(KIND_OF[each.name], None) * 0.5 ** (
            age_ms / TRENDING_HALF_LIFE_MS
        )
    shares = trends.columns([TRENDING], NOW_MS)[TRENDING]
    most = max(weights.values())
    lately = any(NOW_MS - each.time_ms < LONGEST_MS and affinity_weight(KIND_OF[each.name], None) for each in story)
    if not lately:
        assert shares == {}
        return
    assert max(shares.values()) == 1.0
    faded = len(story) * 8 * 0.5 ** (LONGEST_MS / TRENDING_HALF_LIFE_MS)  # what was forgotten after a day
    for item, weight in weights.items():
        assert shares.get(item, 0.0) == pytest.approx(weight / most, abs=TRENDING_STEP + faded / most)


def test_while_nobody_does_anything_nothing_changes() -> None:
    trends = Trends()
    trends.add([seen("a"), seen("b", ago_ms=600_000), seen("b", "Product Clicked", ago_ms=3_000_000)])
    columns = trends.columns([TRENDING], NOW_MS)
    assert trends.columns([TRENDING], NOW_MS + LONGEST_MS // 2) == columns


def test_a_hub_counts_what_the_live_site_declares(tmp_path: Path) -> None:
    facts = FactsShop(tmp_path)
    ledger = facts.shop.ledger
    keeper = FactsKeeper(facts.board, ledger, facts.clock)
    ledger.store([Batch(NODE, payloads(seen(TEA, seq=0), seen("sencha", ago_ms=7_200_000, seq=1)))], NOW_MS)
    keeper.keep()
    assert facts.signed() is None, "the site declares nothing that is counted"

    facts.shop.edit("site.yaml", "origins: []\n", "origins: []\nlive_facts: {trending: {}, views_1h: {max: 1000}}\n")
    facts.shop.live()
    keeper.keep()
    sheet = facts.signed()
    assert sheet is not None
    assert sheet.columns == {"trending": {TEA: 1.0, "sencha": 0.5}, "views_1h": {TEA: 1.0}}

    facts.board.change({"stock": {TEA: 0.0}}, by="ann")
    ledger.store([Batch(NODE, payloads(seen("sencha", seq=2), seen("sencha", seq=3)))], NOW_MS)
    keeper.keep()
    sheet = facts.signed()
    assert sheet is not None
    assert sheet.columns == {
        "stock": {TEA: 0.0},
        "trending": {TEA: 0.4, "sencha": 1.0},
        "views_1h": {TEA: 1.0, "sencha": 2.0},
    }

    facts.clock.advance(2 * LONGEST_MS)
    keeper.keep()
    sheet = facts.signed()
    assert sheet is not None
    assert sheet.columns == {"stock": {TEA: 0.0}}, "what was counted is forgotten, what was said is not"


def test_a_halted_hub_does_not_count_and_an_hour_later_forgets(tmp_path: Path) -> None:
    facts = FactsShop(tmp_path)
    facts.shop.edit("site.yaml", "origins: []\n", "origins: []\nlive_facts: {views_24h: {}}\n")
    facts.shop.live()
    facts.board.halt(by="ann")
    facts.shop.ledger.store([Batch(NODE, payloads(seen(TEA)))], NOW_MS)
    keeper = FactsKeeper(facts.board, facts.shop.ledger, facts.clock, history_ms=1)
    keeper.keep()
    assert facts.version() == 1
    facts.board.resume(by="ann")
    keeper.keep()
    sheet = facts.signed()
    assert sheet is not None
    assert (sheet.version, sheet.columns) == (3, {"views_24h": {TEA: 1.0}})
    facts.clock.advance(4_000_000)
    keeper.keep()
    with facts.shop.ledger.storage.reading() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM fact_sheets").scalar_one() == 1
