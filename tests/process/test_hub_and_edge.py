"""Hub and nodes as people run them: a release travels, events come back, and the hub may die in between."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from processes import ask, until
from shop_process import ITEM, Shop, version

from edge.node.keys import load_site_keys
from edge.node.layout import NodePaths
from edge.profiles.cache import ProfileCache
from edgewise.ids import SubjectId
from edgewise.subjects import subject_of
from hub.ledger.ledger import open_ledger
from hub.replay import replay_decisions

pytestmark = pytest.mark.process


def subject(folder: Path) -> SubjectId:
    return subject_of(load_site_keys(NodePaths(folder)).subject_key, "anonymousId", "ann")


@pytest.mark.timeout(240)
def test_a_release_travels_events_come_back_and_the_hub_may_die_in_between(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.release()
    with shop.hub() as hub, shop.node("one", hub.said["hub"]) as one, shop.node("two", hub.said["hub"]) as two:
        # Nothing is promoted: the built-in fallback answers, whatever is asked for.
        assert shop.decide(one)["placements"]["home_hero"]["reason"] == "FALLBACK_NO_BUNDLE"

        shop.run("release", "promote", "1")
        until(lambda: version(one) == version(two) == 1)
        assert [item["id"] for item in shop.decide(one)["placements"]["home_hero"]["items"]]
        until(lambda: {node["bundle_version"] for node in shop.run("nodes")["nodes"]} == {1})

        # What happens on one node is stored, and known on the other.
        shop.decide(two)
        shop.track(one, "m-first")
        until(lambda: shop.stored() == {"m-first": 1})
        ann, cache = subject(tmp_path / "two"), ProfileCache.open(tmp_path / "two" / "profiles")
        until(lambda: (profile := cache.profile(ann)) is not None and ITEM in profile.items)
        cache.close()

        # Who opts out on one node is opted out on the other, under whatever name its page knows him.
        for page_names in (None, "page-id"):
            cookie = shop.cookie(one, page_names)
            assert shop.reason(one, page_names, cookie) != "OPTED_OUT"
            shop.becomes_opted_out(two, page_names, cookie, expected=False)
            shop.opt_out(one, cookie)
            assert shop.reason(one, page_names, cookie) == "OPTED_OUT"
            shop.becomes_opted_out(two, page_names, cookie, expected=True)
        cookie = shop.cookie(one, None)
        shop.opt_out(one, cookie)

        # The hub dies. Nobody notices but the status.
        hub.stop(number=signal.SIGKILL)
        for number in range(20):
            assert shop.decide(one)["bundle"]["version"] == 1
            shop.track(one, f"m-away-{number}")
        until(lambda: not ask(f"{one.said['url']}/status")["hub"]["connected"])
        # Whom the other node has never heard of may have opted out, as he has.
        assert shop.reason(two, None, cookie) == shop.reason(two, "page-id", cookie) == "OPTED_OUT"
        assert shop.reason(two, None, shop.cookie(two, None)) != "OPTED_OUT"
        assert ask(f"{one.said['url']}/health/ready")["state"] in {"READY", "STALE"}
        catalogue = next(file for file in sorted(shop.site.rglob("*.yaml")) if "Earl Grey" in file.read_text())
        catalogue.write_text(catalogue.read_text().replace("price: 7", "price: 8"))
        assert shop.release() == 2
        shop.run("release", "promote", "2")

        # It comes back: the spool drains, nothing is lost or doubled, and what was promoted meanwhile arrives.
        with shop.hub(grpc=hub.said["hub"]):
            until(lambda: version(one) == version(two) == 2)
            expected = {"m-first": 1} | {f"m-away-{number}": 1 for number in range(20)}
            until(lambda: shop.stored() == expected)
            until(lambda: ask(f"{one.said['url']}/status")["spool"]["pending"] == 0)
            with open_ledger(shop.hub_dir) as ledger:
                totals = ledger.totals()
                assert (totals.dropped, totals.dead_letters) == (0, 0)
                assert totals.decisions >= 21
                decided = [record.decision_id for _, record in ledger.decisions()]

            # What the nodes decided with the release of then is made again to the byte, while they run another one.
            assert {(replay.identical, replay.missing) for replay in replay_decisions(shop.hub_dir, decided)} == {
                (True, ())
            }
            assert shop.run("replay", decided[-1])["bundle_version"] == 1
            explained = shop.run("explain", decided[-1])
            assert explained["causes"] == "decided again"
            assert [item["why"] for item in explained["placements"]["home_hero"]["items"]]

            shop.run("release", "rollback")
            until(lambda: version(one) == version(two) == 1)
            assert (one.stop(), two.stop()) == (0, 0)
