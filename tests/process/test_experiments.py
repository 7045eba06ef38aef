"""An experiment as people run it: its weights, its audience and its arms change, and nobody changes his arm."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest
from processes import Started, ask, until
from shop_process import Shop, version

from edgewise.hashing import Namespace, bucket, in_namespace
from edgewise.ids import DecisionId
from hub.ledger.ledger import open_ledger
from hub.replay import replay_decisions

pytestmark = [pytest.mark.process, pytest.mark.slow]

VISITORS: Final = [f"visitor-{number}" for number in range(24)]
LATER: Final = [f"newcomer-{number}" for number in range(24)]
SITE_ARM: Final = """arms:
  champion:
    ranking: {method: priority}"""
PAGES_OWN: Final = """arms:
  champion:
    ranking: {method: external}"""


def placed(shop: Shop, node: Started, visitor: str, country: str = "") -> tuple[DecisionId, dict[str, Any]]:
    """What the banner is for a visitor."""
    body = {"anonymousId": visitor, "placements": [{"name": "home_hero"}], "context": {"geo": {"country": country}}}
    answer = ask(f"{node.said['url']}/v1/decide", body, headers=shop.headers)
    return DecisionId(answer["decisionId"]), answer["placements"]["home_hero"]


def arms(shop: Shop, node: Started, visitors: list[str], country: str = "") -> dict[str, str | None]:
    """The arm of each who takes part; None of the others."""
    told = {visitor: placed(shop, node, visitor, country)[1]["experiment"] for visitor in visitors}
    return {visitor: None if one is None else one["arm"] for visitor, one in told.items()}


def change(shop: Shop, *nodes: Started, **said: str) -> None:
    """Write other lines into the experiment, release it, and wait until the nodes serve it."""
    path = shop.site / "experiments" / "home_hero.yaml"
    kept = [line for line in path.read_text().splitlines() if line.partition(":")[0] not in said]
    path.write_text("\n".join([*kept, *(f"{key}: {value}" for key, value in said.items())]) + "\n")
    release(shop, *nodes)


def release(shop: Shop, *nodes: Started) -> None:
    number = shop.release()
    shop.run("release", "promote", str(number))
    until(lambda: {version(node) for node in nodes} <= {number})


@pytest.mark.timeout(240)
def test_weights_audience_and_arms_change_and_nobody_changes_his_arm(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    hero = shop.site / "placements" / "home_hero.yaml"
    hero.write_text(hero.read_text().replace(SITE_ARM, PAGES_OWN))
    with shop.hub() as hub, shop.node("one", hub.said["hub"]) as one, shop.node("two", hub.said["hub"]) as two:
        release(shop, one, two)
        first = arms(shop, one, VISITORS)
        assert set(first.values()) == {"champion", "challenger"}

        # An external champion: the page keeps what it has, and who saw it is known.
        pages = {visitor: placed(shop, one, visitor)[1] for visitor in VISITORS}
        for visitor, arm in first.items():
            assert bool(pages[visitor]["items"]) is (arm == "challenger")
            assert pages[visitor]["policy"] == arm
            assert pages[visitor]["reason"] in ({"RULE"} if arm == "champion" else {"RULE", "EXPLORE"})

        # Everybody would be a challenger now, and half of them in no experiment at all.
        change(shop, one, two, weights="[0.0, 1.0]", coverage="0.5", sticky="true")
        assert arms(shop, one, VISITORS) == first
        newcomers = arms(shop, one, LATER)
        assert set(newcomers.values()) == {"challenger", None}
        # The other node has never seen them, and keeps to it as soon as the hub has told it.
        arms(shop, two, VISITORS)
        until(lambda: arms(shop, two, VISITORS) == first)

        # Only some countries and a part of the visitors, for whoever comes anew.
        part = "{name: home, start: 0.0, end: 0.5}"
        change(shop, one, two, condition="{geo.country: {$in: [DE, AT]}}", namespace=part, coverage="1.0")
        inside = {visitor for visitor in LATER if newcomers[visitor] is None}
        german = dict(placed(shop, one, visitor, "DE") for visitor in sorted(inside))
        assert set(arms(shop, one, [f"abroad-{number}" for number in range(20)], "FR").values()) == {None}
        assert arms(shop, one, VISITORS) == first

        # A new bucket version assigns anew, by the weights of now; whoever was in an older one is shut out by the next.
        change(shop, one, two, bucket_version="1", condition="{}", namespace="null")
        assert set(arms(shop, one, VISITORS).values()) == {"challenger"}
        change(shop, one, two, bucket_version="2", min_bucket_version="2")
        assert set(arms(shop, one, VISITORS).values()) == {None}
        assert set(arms(shop, one, ["somebody-new"]).values()) == {"challenger"}

        # Hashing of version 1, as an experiment that began elsewhere has it.
        elsewhere = {"hash_version": "1", "sticky": "false", "weights": "[0.5, 0.5]"}
        change(shop, one, two, **elsewhere, bucket_version="0", min_bucket_version="0")
        by_hash = dict(placed(shop, one, visitor) for visitor in VISITORS)

        until(lambda: stored(shop) >= {*by_hash, *german})
        with open_ledger(shop.hub_dir) as ledger:
            records = {record.decision_id: record for _, record in ledger.decisions()}
        for decision, hero_then in by_hash.items():
            value = bucket("home_hero-1", records[decision].unit, 1)
            assert value is not None
            assert hero_then["experiment"]["arm"] == ("champion" if value < 0.5 else "challenger")
        takes_part = {decision: hero_then["experiment"] is not None for decision, hero_then in german.items()}
        assert takes_part == {
            decision: in_namespace(records[decision].unit, Namespace("home", 0.0, 0.5)) for decision in german
        }
        assert set(takes_part.values()) == {True, False}
        remembered = Counter(name for record in records.values() for name in record.enrolled)
        assert remembered["home_hero__0"] >= len(VISITORS)
        assert remembered["home_hero__2"] == 1
        assert {(replay.identical, replay.missing) for replay in replay_decisions(shop.hub_dir, list(records))} == {
            (True, ())
        }


def stored(shop: Shop) -> set[DecisionId]:
    with open_ledger(shop.hub_dir) as ledger:
        return {record.decision_id for _, record in ledger.decisions()}
