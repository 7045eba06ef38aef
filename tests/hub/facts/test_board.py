"""Live facts from a change to what a node's own TUF client reads; crashes, the switch, renewal, missing keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from facts_shop import TEA, FactsShop
from hub_records import NOW_MS

from edgewise.bundle.facts import FactSheet
from edgewise.errors import BundleRefused, UnavailableError
from edgewise.ids import ItemId
from hub.facts.board import LIFE_MS, FactsBoard
from hub.ledger.ledger import open_ledger
from hub.release.chain import KEPT_VERSIONS

SOLD_OUT = {"stock": {TEA: 0.0}}


@pytest.fixture
def facts(tmp_path: Path) -> FactsShop:
    return FactsShop(tmp_path)


def test_a_node_reads_what_was_set_and_only_that(facts: FactsShop) -> None:
    assert facts.signed() is None
    row = facts.board.change(SOLD_OUT, by="ann")
    assert row is not None
    assert (row.version, row.numbers, row.who) == (1, 1, "ann")
    assert facts.signed() == FactSheet(1, NOW_MS, NOW_MS + LIFE_MS, columns={"stock": {TEA: 0.0}})
    facts.board.change({"stock": {TEA: None}, "price": {TEA: 8.0}}, by="ann")
    sheet = facts.signed()
    assert sheet is not None
    assert sheet.columns == {"price": {TEA: 8.0}}
    role = facts.client.versions()["facts"]
    again = facts.board.change({"price": {TEA: 8.0}}, by="ann")
    assert (again and again.version, facts.version()) == (2, 2)
    assert facts.client.versions()["facts"] == role, "what changes nothing is not signed again"


def test_the_switch_is_written_down_and_back(facts: FactsShop) -> None:
    facts.board.change(SOLD_OUT, by="ann")
    facts.board.halt(by="bob")
    sheet = facts.signed()
    assert sheet is not None
    assert (sheet.version, sheet.halted, sheet.columns) == (2, True, {})
    assert facts.board.halt(by="bob").version == 2, "halted is halted"
    facts.board.resume(by="bob")
    sheet = facts.signed()
    assert sheet is not None
    assert (sheet.version, sheet.columns) == (3, SOLD_OUT)
    deeds = facts.shop.ledger.audit(what={"facts halt", "facts resume"})
    assert [(deed.who, deed.what) for deed in deeds] == [("bob", "facts resume"), ("bob", "facts halt")]


def test_a_change_that_died_before_it_was_signed_is_signed_by_whoever_comes_next(facts: FactsShop) -> None:
    facts.shop.ledger.change_facts(SOLD_OUT, who="ann", now_ms=NOW_MS, life_ms=LIFE_MS)
    assert facts.signed() is None
    row = facts.board.keep_up()
    assert row is not None
    assert facts.version() == row.version == 1
    assert facts.board.keep_up() is None, "nothing is due any more"


def test_numbers_are_renewed_at_half_of_their_life(facts: FactsShop) -> None:
    facts.board.change(SOLD_OUT, by="ann")
    facts.clock.advance(LIFE_MS // 2)
    assert facts.board.keep_up() is None
    facts.clock.advance(1)
    row = facts.board.keep_up()
    assert row is not None
    assert (row.version, row.who, row.expires_ms) == (2, "hub", facts.clock.now_ms() + LIFE_MS)
    sheet = facts.signed()
    assert sheet is not None
    assert sheet.columns == SOLD_OUT


def test_a_hub_that_lost_its_ledger_does_not_fall_behind_its_nodes(facts: FactsShop, tmp_path: Path) -> None:
    for stock in (3.0, 2.0, 1.0):
        facts.board.change({"stock": {TEA: stock}}, by="ann")
    with open_ledger(tmp_path / "new") as ledger:
        row = FactsBoard(ledger, facts.repository, facts.clock).change(SOLD_OUT, by="ann")
    assert row is not None
    assert facts.version() == row.version == 4


def test_without_the_online_key_nothing_is_changed(facts: FactsShop) -> None:
    (facts.shop.data_dir / "keys/facts.pem").unlink()
    with pytest.raises(UnavailableError, match="key of the role facts"):
        facts.board.change(SOLD_OUT, by="ann")
    assert facts.board.newest() is None


def test_no_offline_key_is_needed(facts: FactsShop) -> None:
    for role in ("root", "targets"):
        (facts.shop.data_dir / f"keys/{role}.pem").unlink()
    facts.board.change(SOLD_OUT, by="ann")
    assert facts.version() == 1


def test_old_sheets_leave_the_disk(facts: FactsShop) -> None:
    for stock in range(KEPT_VERSIONS + 5):
        facts.board.change({"stock": {TEA: float(stock)}}, by="ann")
    assert len(list((facts.repository.path / "targets/facts").iterdir())) == KEPT_VERSIONS
    assert facts.version() == KEPT_VERSIONS + 5


def test_what_the_live_release_knows_nothing_of_is_told(facts: FactsShop) -> None:
    strange = {ItemId(f"x-{number}"): 1.0 for number in range(7)}
    assert facts.board.notes({"stock": {TEA: 0.0}}) == []
    items, names = facts.board.notes({"stock": dict(strange), "heat": {TEA: 1.0}})
    assert items == "7 items are not in the live release 1: x-0, x-1, x-2, x-3, x-4 …"
    assert names == "the site does not declare heat under live_facts in site.yaml"


def test_a_release_is_read_once_for_any_number_of_changes_until_another_is_live(facts: FactsShop) -> None:
    assert facts.board.notes({"heat": {TEA: 1.0}})
    blobs = list((facts.repository.path / "blobs").iterdir())
    kept = {blob: blob.read_bytes() for blob in blobs}
    for blob in blobs:
        blob.unlink()
    assert facts.board.notes({"heat": {TEA: 1.0}}) == ["the site does not declare heat under live_facts in site.yaml"]
    with pytest.raises(BundleRefused):
        FactsBoard(facts.shop.ledger, facts.repository, facts.clock).notes({"heat": {TEA: 1.0}})

    for blob, data in kept.items():
        blob.write_bytes(data)
    facts.shop.edit("site.yaml", "origins: []\n", "origins: []\nlive_facts: {heat: {}}\n")
    facts.shop.live()
    assert facts.board.notes({"heat": {TEA: 1.0}}) == []
