"""A promotion's code from the site's file to the order: shown by a node, verified there, redeemed at the hub, once."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from processes import ask, until
from shop_process import Shop, version

pytestmark = pytest.mark.process

ITEM = "house-blend"
"""First in the hero's order."""


@pytest.mark.timeout(120)
def test_a_code_is_shown_verified_and_redeemed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha256(b"till").hexdigest()
    monkeypatch.setenv("EDGEWISE_HUB_ADMIN_KEYS", f"admin:till:{digest}")
    till = {"Authorization": "Bearer till"}
    shop = Shop(tmp_path)
    (shop.site / "promotions" / "spring.yaml").write_text("discount: {percent: 10}\ntotal: 5\nwhen_out: without\n")
    coffees = shop.site / "items" / "coffees.yaml"
    coffees.write_text(coffees.read_text().replace(f"- id: {ITEM}\n", f"- id: {ITEM}\n  promotion: spring\n"))
    hero = shop.site / "placements" / "home_hero.yaml"
    always_the_same = hero.read_text().replace("cap: {impressions: 5, days: 1}\n", "")
    explores = "    exploration: {policy: epsilon-greedy, epsilon: 0.1}\n"
    assert explores in always_the_same
    hero.write_text(always_the_same.replace(explores, ""))
    shop.release()
    shop.run("release", "promote", "1")
    with shop.hub() as hub, shop.node("one", hub.said["hub"]) as node:

        def shown() -> Any:
            """What Ann sees of the coffee; its code is `code`, once the node was lent one."""
            items = shop.decide(node)["placements"]["home_hero"]["items"]
            return next((item["content"] for item in items if item["id"] == ITEM), {})

        until(lambda: version(node) == 1)
        until(lambda: "code" in shown())
        code = shown()["code"]
        assert shown()["code"] == code, "who comes again sees his own"

        def check(visitor: str) -> tuple[bool, Any]:
            said = ask(
                f"{node.said['url']}/v1/codes/check", {"code": code, "anonymousId": visitor}, headers=shop.headers
            )
            return said["valid"], said["reason"]

        assert check("ann") == (True, None)
        assert check("bo") == (False, "not-yours")

        def redeem(order: str, visitor: str = "ann") -> tuple[bool, Any]:
            body = {"code": code, "orderId": order, "anonymousId": visitor}
            said = ask(f"{hub.said['admin']}/api/v1/codes/redeem", body, headers=till)
            return said["redeemed"], said["reason"]

        assert redeem("o-0", "bo") == (False, "not-yours")
        assert redeem("o-1") == redeem("o-1") == (True, None), "the same order again is the same"
        assert redeem("o-2") == (False, "already-redeemed")
        budgets = ask(f"{hub.said['admin']}/api/v1/codes", headers=till)["promotions"]
        (budget,) = [budget for budget in budgets if budget["promotion"] == "spring"]
        assert (budget["redeemed"], budget["denied"]) == (1, {"already-redeemed": 1, "not-yours": 1})
        assert budget["redeemed"] + budget["open"] + budget["free"] == budget["total"] == 5
        assert node.stop() == 0
