"""Decisions that were made, asked again of a planned release: what differs is what the plan changes alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import world
from edge_world import bundle_files
from hub_process import edgewise
from hypothesis import given
from hypothesis import strategies as st
from replay_world import POLICY, ReplayShop, replay_shop
from world import CHALLENGER, FILMS, HERO, LIST

from edgewise.bundle.catalogue import Representation, content_sha256, encode_catalogue
from edgewise.bundle.manifest import TEMPLATES, encode_manifest
from edgewise.bundle.policy import Compare, Placement, Policy
from edgewise.bundle.templates import Template, Templates, TextVariable, encode_templates, template_sha256
from edgewise.ids import PlacementName, TemplateName
from edgewise.records import DecisionRecord
from hub.evaluation.changed_share import share_of
from hub.evaluation.planned import Replayed, replayed_share, said_of
from hub.release.bundle import BuiltBundle
from hub.replay import Replayer

VISITORS = 8
CARD = TemplateName("card")
LIVE = bundle_files(POLICY)


def built(files: dict[str, bytes]) -> BuiltBundle:
    return BuiltBundle(encode_manifest(world.manifest(files)), files)


def planned(policy: Policy | None = None, **stems: bytes) -> BuiltBundle:
    return built({**LIVE, **bundle_files(policy or POLICY, **stems)})


def with_placement(name: PlacementName, **changes: Any) -> Policy:
    changed: Placement = msgspec.structs.replace(POLICY.placements[name], **changes)
    return msgspec.structs.replace(POLICY, placements={**POLICY.placements, name: changed})


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayShop]:
    """Visitors who looked at films and asked for the hero and the list, twice each."""
    with replay_shop(tmp_path_factory.mktemp("shop"), files=LIVE) as made:
        for number in range(VISITORS):
            visitor = f"visitor-{number}"
            made.track(FILMS[number], visitor)
            made.ask(visitor=visitor)
            made.ask({"placements": [{"name": HERO}]}, visitor=visitor)
        made.report()
        yield made


@pytest.fixture(scope="module")
def records(shop: ReplayShop) -> list[DecisionRecord]:
    return shop.hub.ledger.latest_decisions(1_000)


@pytest.fixture
def replayer(shop: ReplayShop) -> Replayer:
    return shop.hub.replayer


def asked(shop: ReplayShop, replayer: Replayer, release: BuiltBundle, most: int = 1_000) -> Replayed:
    return replayed_share(shop.hub.ledger, replayer, built(LIVE), release, most=most)


def shown(record: DecisionRecord, name: PlacementName) -> list[str]:
    placed = json.loads(record.decision)["placements"].get(name)
    return [] if placed is None else [item["id"] for item in placed["items"]]


def test_the_latest_come_in_the_order_of_storing(shop: ReplayShop, records: list[DecisionRecord]) -> None:
    assert len(records) == 2 * VISITORS
    assert records == [record for _, record in shop.hub.ledger.decisions()]
    assert shop.hub.ledger.latest_decisions(3) == records[-3:]


def test_a_plan_that_changes_nothing_changes_no_decision(shop: ReplayShop, replayer: Replayer) -> None:
    found = asked(shop, replayer, planned())
    assert (found.share.changed, found.share.decisions, found.share.visitors) == (0, 2 * VISITORS, VISITORS)
    assert {name: placed.share.decisions for name, placed in found.placements.items()} == {
        HERO: 2 * VISITORS,
        LIST: VISITORS,
    }
    assert found.share.low == 0 < found.share.high < 0.4, "of 8 visitors nobody can tell that no one is concerned"
    assert found.left_out == {}


def test_what_a_rule_takes_away_changes_the_decisions_that_showed_it(
    shop: ReplayShop, replayer: Replayer, records: list[DecisionRecord]
) -> None:
    gone = FILMS[0]
    rule = Compare("item.id", "ne", gone)
    expected = sum(gone in shown(record, HERO) for record in records)
    found = asked(shop, replayer, planned(with_placement(HERO, eligibility=[rule])))
    assert 0 < expected < len(records)
    assert found.placements[HERO].share.changed == found.placements[HERO].items == expected
    assert found.placements[LIST].share.changed == 0
    assert found.placements[HERO].share.low < expected / len(records) < found.placements[HERO].share.high
    assert found.share.changed == expected


def test_other_words_are_told_from_other_items(
    shop: ReplayShop, replayer: Replayer, records: list[DecisionRecord]
) -> None:
    tile = {"headline": "Tile"}
    films = [world.item(number) for number in range(len(FILMS))]
    films[0] = msgspec.structs.replace(films[0], representations={"tile": Representation(tile, content_sha256(tile))})
    release = planned(with_placement(HERO, format="tile"), catalogue=encode_catalogue(world.catalogue(films)))
    found = asked(shop, replayer, release).placements[HERO]
    assert (found.items, found.looks) == (0, 0)
    assert found.words == sum(FILMS[0] in shown(record, HERO) for record in records)


def test_another_template_is_another_look_where_there_is_anything_to_see(shop: ReplayShop, replayer: Replayer) -> None:
    card = Template({"html": {"": "<b>{{ title }}</b>"}}, {"title": TextVariable()})
    card = msgspec.structs.replace(card, approved_sha256=template_sha256(card))
    files = {**LIVE, **bundle_files(with_placement(HERO, template=CARD))}
    found = asked(shop, replayer, built({**files, TEMPLATES: encode_templates(Templates({CARD: card}))}))
    of_hero, of_list = found.placements[HERO], found.placements[LIST]
    assert (of_hero.items, of_hero.words, of_hero.looks) == (0, 0, 2 * VISITORS)
    assert of_list.share.changed == 0


def test_a_placement_that_is_gone_changes_all_of_its_decisions(shop: ReplayShop, replayer: Replayer) -> None:
    policy = msgspec.structs.replace(POLICY, placements={HERO: POLICY.placements[HERO]})
    found = asked(shop, replayer, planned(policy))
    assert (found.placements[LIST].is_gone, found.placements[LIST].share.changed) == (True, VISITORS)
    assert (found.placements[HERO].is_gone, found.placements[HERO].share.changed) == (False, 0)
    assert any(line.startswith("  home_list: 8 of 8 decisions would change: 100.0 %") for line in said_of(found))


def test_only_so_many_are_asked_and_what_was_no_choice_is_left_out(shop: ReplayShop, replayer: Replayer) -> None:
    shop.ask({"placements": [{"name": HERO}], "options": {"force": {HERO: CHALLENGER}}})
    shop.report()
    found = asked(shop, replayer, planned(), most=3)
    assert (found.share.decisions, found.left_out) == (2, {"forced": 1})
    assert said_of(found)[-1] == "left out: forced 1"
    assert said_of(asked(shop, replayer, planned(), most=1)) == [
        "none of the latest decisions could be asked again",
        "left out: forced 1",
    ]


# --- the interval ---------------------------------------------------------------------------------------------------
outcomes = st.lists(st.tuples(st.booleans(), st.sampled_from("abcdefgh")), min_size=1, max_size=40)


@given(outcomes)
def test_the_share_lies_in_its_interval(found: list[tuple[bool, str]]) -> None:
    share = share_of([changed for changed, _ in found], [visitor for _, visitor in found])
    assert 0 <= share.low <= share.share <= share.high <= 1
    assert share.changed == sum(changed for changed, _ in found)


@given(outcomes)
def test_who_comes_twice_says_nothing_new(found: list[tuple[bool, str]]) -> None:
    once = [(changed, f"{visitor}{number}") for number, (changed, visitor) in enumerate(found)]
    twice = once + once
    one, two = (share_of([c for c, _ in rows], [v for _, v in rows]) for rows in (once, twice))
    assert two.share == one.share
    # Each visitor's two decisions are worth one; n / (n - 1) of the clusters' variance is all that is between.
    assert two.low <= one.low + 1e-9
    assert two.high >= one.high - 1e-9


def test_no_decision_says_nothing() -> None:
    assert (share_of([], []).low, share_of([], []).high) == (0.0, 1.0)


# --- the command ----------------------------------------------------------------------------------------------------
def test_the_command_says_how_many_decisions_would_change(
    shop: ReplayShop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = _site(tmp_path)
    releases_live(shop)
    told = edgewise(capsys, "site", "plan", str(site), "--data-dir", str(shop.hub.data_dir), "--replay", "8", "--json")
    assert told.code == 0, told.stderr
    plan = json.loads(told.stdout)
    assert plan["live"] == 7
    assert plan["not_replayed"] == ""
    assert plan["replayed"]["placements"][LIST]["is_gone"] is True
    assert plan["replayed"]["share"]["decisions"] + sum(plan["replayed"]["left_out"].values()) == 8
    none = edgewise(capsys, "site", "plan", str(site), "--data-dir", str(shop.hub.data_dir), "--replay", "0")
    assert "against release 7, which serves" in none.stdout
    assert "decisions" not in none.stdout


def releases_live(shop: ReplayShop) -> None:
    shop.hub.repository.assign(world.manifest(LIVE).version)


def _site(folder: Path) -> Path:
    """The film shop without its model, as a person would write it."""
    hero = msgspec.to_builtins(world.placement())
    del hero["arms"][CHALLENGER]
    items = []
    for number in range(len(FILMS)):
        item = msgspec.to_builtins(world.item(number))
        approved = {"by": item.pop("approved_by"), "sha256": item.pop("approved_sha256")}
        items.append({**item, "approved": approved})
    files: dict[str, Any] = {
        "site.yaml": {"name": world.SITE, "salt": POLICY.site.salt},
        f"placements/{HERO}.yaml": hero,
        "collections/all.yaml": {"all": True},
        "items/films.yaml": items,
    }
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(msgspec.json.encode(content))  # JSON is YAML
    return folder
