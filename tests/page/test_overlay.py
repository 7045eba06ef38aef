"""edgewise-debug.js in Chromium: what developers see, other arms by an operator key; nothing of it without asking."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from page_world import HERO, LIST, LiveNode, barriers, decided, decided_anew, live_node, opened, shown
from playwright.sync_api import Browser, Page
from processes import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

PANEL = "window.edgewiseOverlay.shadowRoot"


def panel(page: Page) -> str:
    """What the overlay says."""
    return str(page.evaluate(f"{PANEL}.textContent"))


def test_nobody_gets_the_overlay_who_has_not_asked_for_it(node: LiveNode, chromium: Browser) -> None:
    with opened(chromium, node) as (page, wrong):
        decided(page)
        assert page.evaluate("window.edgewiseOverlay === undefined")
        page.evaluate("edgewise.debug()")
        until(lambda: "home_hero" in panel(page))
        assert wrong == []


def test_the_overlay_says_what_is_shown_and_why_under_the_same_policy(node: LiveNode, chromium: Browser) -> None:
    missing = '<div data-edgewise="next_release"></div>'
    with opened(chromium, node, HERO + LIST + missing, path="/shop?edgewise_debug") as (page, wrong):
        decision = decided(page)
        said = panel(page)
        for part in (decision, shown(page)[0], "propensity", "READY", "experiment hero", "after the script began"):
            assert part in said
        assert "Keeps its fallback: next_release" in said
        until(lambda: "Promotion Viewed" in panel(page))
        assert barriers(page) == []
        assert wrong == []


@pytest.mark.parametrize("arm", ["champion", "challenger", "film-7|film-9"])
def test_another_arm_is_shown_by_the_address(node: LiveNode, chromium: Browser, arm: str) -> None:
    """A node of this machine has no operator keys, so that whoever sits at it may."""
    with opened(chromium, node, path=f"/shop?edgewise_force=home_hero:{arm}") as (page, wrong):
        decided(page)
        if "|" in arm:
            assert shown(page) == ["film-7"]
        else:
            assert f"policy {arm}, experiment hero, arm {arm} (forced)" in panel(page)
            assert ("popularity = " in panel(page)) == (arm == "challenger"), "what its model saw, for operators"
        assert wrong == []


def test_elsewhere_another_arm_needs_an_operator_key(tmp_path: Path, chromium: Browser) -> None:
    keys = [hashlib.sha256(b"operator").hexdigest()]
    with (
        live_node(tmp_path, operator_keys_sha256=keys) as node,
        opened(chromium, node, path="/shop?edgewise_force=home_hero:challenger") as (page, _),
    ):
        page.wait_for_selector("[data-edgewise-state=failed]")
        assert "it was refused" in panel(page)
        page.evaluate(f"{PANEL}.querySelector('[type=password]').value = 'operator'")
        page.evaluate(f"[...{PANEL}.querySelectorAll('button')].pop().click()")
        decided_anew(page, "")
        assert page.evaluate("sessionStorage.edgewise_operator") == "operator"
        assert page.evaluate("localStorage.edgewise_operator") is None
