"""Codes in the answer of a real node: whose, how often, and what is shown where none can be promised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgpack
import pytest
from codes_shop import BEST, SUBJECT, ask, files, lend, shop
from codes_world import KEY, SPRING, promotion
from edge_world import VISITOR, decisions, install, node
from world import FILMS, HERO, LIST, NOW_MS, attribute, score

from edge.codes.counter import HAND
from edge.codes.stock_file import StockFile
from edge.node.layout import NodePaths
from edgewise.clock import ManualClock
from edgewise.codes.code import keys_of, verify
from edgewise.decide import decide
from edgewise.decision import canonical_bytes
from edgewise.draws import draw_from
from edgewise.profile.state import DAY_MS, Profile
from edgewise.question import question_of


def test_an_item_comes_with_a_code_of_the_visitors_own(tmp_path: Path) -> None:
    lend(tmp_path)
    with shop(tmp_path) as (client, _):
        shown = ask(client)
    content = shown["content"]
    assert shown["id"] == BEST
    assert content["title"] == "Film 0"
    assert content["discount"] == "15 %"
    code = verify(content["code"], keys_of([KEY]))
    assert code is not None
    assert code.number == 1
    assert code.ends_ms == NOW_MS + 10 * DAY_MS + (DAY_MS - NOW_MS % DAY_MS)
    assert content["codeExpires"].endswith("T00:00:00Z")


def test_who_comes_again_sees_his_code_again_on_any_worker(tmp_path: Path) -> None:
    lend(tmp_path)
    with shop(tmp_path) as (client, desk):
        first = ask(client)["content"]["code"]
        assert ask(client)["content"]["code"] == first
        desk.flush()
        assert ask(client)["content"]["code"] == first
        assert ask(client, anonymousId="another")["content"]["code"] != first
        assert desk.codes.figures().promised == {SPRING: 2}
    with shop(tmp_path) as (client, _):  # another process
        assert ask(client)["content"]["code"] == first


def test_msgpack_says_the_same(tmp_path: Path) -> None:
    lend(tmp_path)
    with shop(tmp_path) as (client, _):
        code = ask(client)["content"]["code"]
        packed = msgpack.packb({"anonymousId": VISITOR, "placements": [{"name": HERO}]})
        answer = client.post("/v1/decide", content=packed, headers={"content-type": "application/msgpack"})
    assert msgpack.unpackb(answer.content)["placements"][HERO]["items"][0]["content"]["code"] == code


@pytest.mark.parametrize(
    "fields",
    [
        {"consent": {"personalisation": "denied"}},
        {"options": {"dial": 1}},
        {"options": {"dryRun": True}},
        {"anonymousId": None},
    ],
    ids=["opted out", "this page only", "dry run", "an id that was made a moment ago"],
)
def test_who_can_be_promised_none_is_not_shown_the_item(tmp_path: Path, fields: dict[str, Any]) -> None:
    lend(tmp_path)
    with shop(tmp_path) as (client, desk):
        shown = ask(client, **fields)
        assert shown["id"] != BEST
        assert "code" not in shown["content"]
        assert desk.codes.figures().promised == {}


def test_without_a_number_the_item_is_hidden_or_shown_without(tmp_path: Path) -> None:
    lend(tmp_path, last=1)
    with shop(tmp_path) as (client, desk):
        assert ask(client, anonymousId="first")["id"] == BEST
        hidden = ask(client)
        assert hidden["id"] == FILMS[1]
        assert desk.codes.figures().spent == {SPRING: 1}
        client.post("/v1/decide", json={"anonymousId": VISITOR, "placements": [{"name": LIST}]})
        assert desk.codes.figures().spent == {SPRING: 1}, "a placement that cannot show it asks for none"
        assert decisions(desk)[-1].unpromised == ()
    other = tmp_path / "other"
    with shop(other, promotion(when_out="without")) as (client, _):
        shown = ask(client)
        assert shown["id"] == BEST
        assert "code" not in shown["content"]


def test_a_lease_that_is_over_promises_nothing(tmp_path: Path) -> None:
    lend(tmp_path, until_ms=NOW_MS + 1_000)
    with shop(tmp_path) as (client, desk):
        assert isinstance(desk.clock, ManualClock)
        desk.clock.advance(1_000)
        assert ask(client)["id"] == FILMS[1]


def test_before_its_start_and_after_its_end_nothing_is_promised(tmp_path: Path) -> None:
    lend(tmp_path)
    with shop(tmp_path, promotion(starts_ms=NOW_MS + 500, ends_ms=NOW_MS + 1_000)) as (client, desk):
        assert isinstance(desk.clock, ManualClock)
        assert ask(client)["id"] == FILMS[1]
        desk.clock.advance(500)
        within = ask(client)
        assert within["id"] == BEST
        assert within["content"]["codeExpires"].startswith("2025-10-09T08:53:21")
        desk.clock.advance(500)
        assert ask(client)["id"] == FILMS[1]


def test_a_decision_can_be_made_again_from_its_record(tmp_path: Path) -> None:
    """Without promising anything: what could not be promised stands in it."""
    lend(tmp_path, last=1)
    with shop(tmp_path) as (client, desk):
        ask(client, anonymousId="first")
        ask(client)
        desk.flush()
        with_code, without = decisions(desk)
        served = desk.live.served
        assert served is not None
        assert (with_code.unpromised, with_code.promised) == ((), {SPRING: 1})
        assert (without.unpromised, without.promised) == ((SPRING,), {})
        for record in (with_code, without):
            again = decide(
                question_of(record),
                Profile(),
                bundle=served.bundle,
                score=score,
                attribute=attribute,
                draw=draw_from(served.bundle.policy.site.salt, record.decision_id),
                now_ms=record.time_ms,
            )
            assert canonical_bytes(again.decision) == record.decision


def test_a_worker_takes_a_handful_and_brings_back_what_is_left(tmp_path: Path) -> None:
    lend(tmp_path)
    file = StockFile(NodePaths(tmp_path))
    with shop(tmp_path) as (client, _):
        ask(client)
        assert file.stock().leases[0].taken == HAND
    assert file.stock().leases[0].spare == tuple(range(2, HAND + 1))
    assert file.stock().left(SPRING, NOW_MS) == 19


def test_a_killed_worker_spends_its_hand_and_nobody_gets_it_again(tmp_path: Path) -> None:
    lend(tmp_path)
    install(NodePaths(tmp_path), files(promotion()))
    with shop(tmp_path) as (client, desk):
        killed = ask(client)["content"]["code"]
        desk.codes.let_go()  # as if nobody had been asked to bring it back
    with shop(tmp_path) as (client, _):
        fresh = verify(ask(client, anonymousId="next")["content"]["code"], keys_of([KEY]))
        assert fresh is not None
        assert fresh.number == HAND + 1
        assert ask(client)["content"]["code"] == killed


def test_an_erased_person_is_forgotten(tmp_path: Path) -> None:
    lend(tmp_path)
    with shop(tmp_path) as (client, desk):
        before = ask(client)["content"]["code"]
        desk.flush()
        desk.cache.erase(SUBJECT)
        assert ask(client)["content"]["code"] != before


def test_damage_to_the_file_promises_nothing_and_harms_nobody(tmp_path: Path) -> None:
    lend(tmp_path)
    path = NodePaths(tmp_path).codes
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with shop(tmp_path) as (client, _):
        assert ask(client)["id"] == FILMS[1]


def test_a_bundle_without_promotions_has_nothing_to_do_with_it(tmp_path: Path) -> None:
    with node(tmp_path, clock=ManualClock(NOW_MS)) as (client, _):
        assert ask(client)["id"] in FILMS
        assert not NodePaths(tmp_path).codes.exists()


def test_the_node_says_how_it_stands(tmp_path: Path) -> None:
    lend(tmp_path, last=9)
    with shop(tmp_path) as (client, _):
        ask(client)
        told = client.get("/status").json()["codes"]
        assert told == {"spring": {"left": 1, "untilMs": NOW_MS + DAY_MS, "hasKey": True, "isOpen": True}}
        assert 'edgewise_codes_promised_total{outcome="promised",promotion="spring"} 1.0' in client.get("/metrics").text
