"""The checker finds what it is there to find: each kind of loss is made on purpose, and shows in its own figure."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_records import decision, decision_id, event, gap, payloads

from edgewise.ids import NodeId, Producer, producer
from edgewise.subjects import subject_of
from hub.keys import KeyFolder, make_keys
from hub.ledger.batch import Batch
from hub.ledger.ledger import open_ledger
from hub.ledger.tables import dead_letters
from hub.prove.account import Account, conserved, lost_and_doubled, take_account
from hub.prove.figure import Figure
from hub.prove.journal import Journal

ONE = producer(NodeId("n-a"), 1, 0)
TWO = producer(NodeId("n-a"), 2, 1)
ANN = "ann"


class World:
    """A hub's folder, and what its visitors remember."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make_keys(folder)
        self.ann = subject_of(KeyFolder(folder).secrets().subject_key, "anonymousId", ANN)
        self.journal = Journal()

    def view(self, seq: int, message: str, name: Producer = ONE) -> bytes:
        return payloads(event(seq, producer=name, message=message, subject=self.ann, name="Product Viewed"))[0]

    def store(self, name: Producer, *records: bytes) -> None:
        with open_ledger(self.folder) as ledger:
            ledger.store([Batch(name, list(records))], 1)

    def account(self) -> Account:
        return take_account(self.folder, self.journal)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    # A message twice, on two producers; a decision; something dropped and declared.
    world.store(ONE, world.view(0, "m-0"), world.view(1, "m-1"), *payloads(decision(2, producer=ONE, number=9)))
    world.store(TWO, world.view(0, "m-1", TWO), *payloads(gap(1, 3, producer=TWO)), world.view(4, "m-2", TWO))
    world.journal.kept(ANN, ["m-0", "m-1", "m-2"])
    world.journal.shown(decision_id(9))
    return world


def values(figures: list[Figure]) -> dict[str, float]:
    return {figure.what: figure.value for figure in figures}


def failing(figures: list[Figure]) -> set[str]:
    return {figure.what for figure in figures if not figure.passed}


def status(created: int, pending: int = 0) -> dict[str, object]:
    return {"spool": {"created": created, "pending": pending}}


def test_where_all_is_well_every_figure_passes(world: World) -> None:
    account = world.account()
    assert failing(lost_and_doubled(account, world.journal)) == set()
    assert failing(conserved(account, status(8))) == set()
    assert values(conserved(account, status(8)))["records created"] == 8
    assert account.dropped == 3
    assert account.counted == {ANN: 3}


def test_an_acknowledged_event_that_is_not_stored_is_lost(world: World) -> None:
    world.journal.kept(ANN, ["m-3", "m-4"])
    assert values(lost_and_doubled(world.account(), world.journal))["acknowledged events lost"] == 2


def test_a_doubtful_event_may_be_stored_or_not(world: World) -> None:
    world.journal.doubtful(ANN, ["m-5"])
    world.store(TWO, world.view(5, "m-6", TWO))
    world.journal.doubtful(ANN, ["m-6"])
    assert failing(lost_and_doubled(world.account(), world.journal)) == set()


def test_an_event_that_nobody_sent_is_found(world: World) -> None:
    world.store(TWO, world.view(5, "m-9", TWO))
    assert "events stored twice, or that nobody sent" in failing(lost_and_doubled(world.account(), world.journal))


def test_an_answered_decision_without_a_record_is_found(world: World) -> None:
    world.journal.shown(decision_id(10))
    told = values(lost_and_doubled(world.account(), world.journal))
    assert told["answered decisions without a record"] == 1


def test_a_profile_that_counts_something_twice_is_found(world: World) -> None:
    account = world.account()._replace(counted={ANN: 4})
    told = values(lost_and_doubled(account, world.journal))
    assert told["events counted twice or not at all in a profile"] == 1


def test_a_number_in_no_table_and_one_in_two_are_found(world: World) -> None:
    with open_ledger(world.folder) as ledger, ledger.storage.writing() as connection:
        connection.exec_driver_sql("delete from events where message_id = 'm-0'")
        row = {"producer": ONE, "seq": 2, "reason": "", "payload": b"", "stored_ms": 1}
        connection.execute(dead_letters.insert(), row)
    assert world.account().misplaced == 2


def test_a_node_whose_own_account_differs_is_found(world: World) -> None:
    account = world.account()
    assert failing(conserved(account, status(7))) == {"created, node's /status against the ledger"}
    assert failing(conserved(account, status(8, pending=1))) == {"records left in the spool"}
