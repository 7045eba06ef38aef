"""edgewise.js in Chromium: it fills, sees and tells; without storage, without a node, in pages that never reload."""

from __future__ import annotations

import pytest
from page_world import HERO, LIST, LiveNode, filled, opened, shown
from playwright.sync_api import Browser
from processes import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


def test_placements_are_filled_in_one_question_without_a_violation(node: LiveNode, chromium: Browser) -> None:
    with opened(chromium, node, HERO + LIST) as (page, wrong):
        filled(page)
        filled(page, "home_list")
        assert len(shown(page)) == 1
        assert len(shown(page, "home_list")) == 10
        assert page.evaluate("performance.getEntriesByName(`${location.origin}/v1/decide`).length") == 1
        assert wrong == []


def test_what_was_in_sight_for_a_second_is_told_once_and_the_rest_is_not(node: LiveNode, chromium: Browser) -> None:
    before = len(node.events("Promotion Viewed"))
    with opened(chromium, node, '<p class="tall"></p>' + HERO + LIST) as (page, wrong):
        filled(page, "home_list")
        decision = page.get_attribute("[data-edgewise-decision]", "data-edgewise-decision")
        seen = until(lambda: told if len(told := node.events("Promotion Viewed")[before:]) > 1 else None)
        assert {event.decision_id for event in seen} == {decision}
        assert seen[0].placement == "home_hero"
        assert wrong == []
