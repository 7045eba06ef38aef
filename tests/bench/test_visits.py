"""Requests of a mix: what a node would decode, in the shares that were asked for, the same for the same seed."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import msgspec
import numpy as np
import pytest
from bench_server import decision

from edge.bench.answers import read_decision
from edge.bench.http1 import parse_target
from edge.bench.mix import Mix, decode_mix, load_mix, shipped
from edge.bench.visits import DECIDE, Ask, Visits
from edgewise.intake import decode_call
from edgewise.request import DecideRequest

TARGET = parse_target("http://127.0.0.1:8090")
MIXED = """
items = ["a", "b\\"quoted\\""]
[visitors]
new = 0.25
returning = 40
history = 2
[[requests]]
ask = "decide"
share = 6
explain = true
placements = [{name = "hero"}, {name = "list", count = 3, candidates = 5, attributes = {price = 2.5}}]
[[requests]]
ask = "view"
share = 3
[[requests]]
ask = "click"
share = 1
event = "Promotion Clicked"
[[contexts]]
locale = "de-DE"
"""


def visits(mix: Mix, seed: int = 1, run: str = "0123456789ab") -> Visits:
    return Visits(mix, TARGET, np.random.default_rng(seed), run=run, write_key=None)


def taken(ask: Ask) -> tuple[str, bytes]:
    """Path and body, with Content-Length believed."""
    head, _, rest = ask.data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert length == len(rest)
    return head.split(b" ")[1].decode(), rest


def event(ask: Ask) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(taken(ask)[1])
    return decoded


@pytest.mark.parametrize("name", shipped())
def test_every_request_of_the_shipped_mixes_is_one_that_a_node_decodes(name: str) -> None:
    made = visits(load_mix(name))
    for ask in [*made.probes(), *(made.next() for _ in range(300))]:
        path, body = taken(ask)
        if ask.kind == DECIDE:
            assert path == "/v1/decide"
            assert msgspec.json.decode(body, type=DecideRequest).anonymous_id == ask.visitor
        else:
            assert path == "/v1/track"
            assert decode_call(body, type="track").anonymous_id == ask.visitor


def test_a_decision_asks_what_the_profile_says() -> None:
    made = visits(decode_mix(MIXED, "mixed"))
    asked = msgspec.json.decode(
        taken(next(a for a in iter(made.next, None) if a.kind == DECIDE))[1], type=DecideRequest
    )
    hero, listed = asked.placements
    assert (hero.name, hero.count, hero.candidates) == ("hero", None, None)
    assert listed.count == 3
    assert listed.candidates is not None
    assert len({candidate.id for candidate in listed.candidates}) == 5
    assert listed.candidates[0].attributes == {"price": 2.5}
    assert asked.options.explain
    assert asked.context.locale == "de-DE"


def test_shares_of_requests_and_of_new_visitors_are_kept() -> None:
    """Within five standard errors of 4,000 draws; the seed makes it one case."""
    made = visits(decode_mix(MIXED, "mixed"))
    asks = [made.next() for _ in range(4_000)]
    decisions = sum(ask.kind == DECIDE for ask in asks) / len(asks)
    assert decisions == pytest.approx(0.6, abs=5 * (0.6 * 0.4 / 4_000) ** 0.5)
    strangers = [ask.visitor for ask in asks if not ask.visitor.startswith("known-")]
    assert len(strangers) / len(asks) == pytest.approx(0.25, abs=5 * (0.25 * 0.75 / 4_000) ** 0.5)
    assert len(set(strangers)) == len(strangers)
    assert {ask.visitor for ask in asks if ask.visitor.startswith("known-")} == {f"known-{n:08d}" for n in range(40)}


def test_a_click_is_on_what_was_shown_to_that_visitor_each_once_else_a_view() -> None:
    made = visits(decode_mix(MIXED, "mixed"))
    before = [event(ask) for ask in (made.next() for _ in range(500)) if ask.kind != DECIDE]
    assert {call["event"] for call in before} == {"Product Viewed"}
    for number in range(3):
        made.learn(f"visitor-{number}", read_decision(200, decision(item=f"item-{number}", number=number)))
    calls = [event(ask) for ask in (made.next() for _ in range(500)) if ask.kind != DECIDE]
    clicks = [call for call in calls if call["event"] == "Promotion Clicked"]
    assert [(click["anonymousId"], click["properties"]) for click in clicks] == [
        (f"visitor-{n}", {"decisionId": f"d-{n}", "placement": "home_hero", "itemId": f"item-{n}"}) for n in range(3)
    ]


def test_the_same_seed_asks_the_same_and_another_run_has_other_strangers_and_messages() -> None:
    mix = decode_mix(MIXED, "mixed")
    first, again, other = visits(mix), visits(mix), visits(mix, run="ba9876543210")
    for _ in range(100):
        one, two, three = first.next(), again.next(), other.next()
        assert one == two
        assert one.kind == three.kind
        assert one.visitor.startswith("known-") == (one.visitor == three.visitor)
        if one.kind != DECIDE:
            assert event(one)["messageId"] != event(three)["messageId"]


def test_history_tells_each_known_visitor_its_views_in_every_run_the_same() -> None:
    mix = decode_mix(MIXED, "mixed")
    batches = list(visits(mix).history())
    calls = [call for ask in batches for call in json.loads(taken(ask)[1])["batch"]]
    assert {taken(ask)[0] for ask in batches} == {"/v1/batch"}
    assert Counter(call["anonymousId"] for call in calls) == {f"known-{n:08d}": 2 for n in range(40)}
    assert len({call["messageId"] for call in calls}) == 80
    assert batches == list(visits(mix, seed=9, run="ba9876543210").history())
    assert list(visits(load_mix("flash-sale")).history()) == []
