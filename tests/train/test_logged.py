"""`hub.train.logged`: rows as they were logged, joined to what came of them; what is useless is counted, by reason."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from replay_world import ReplayShop, replay_shop
from world import CHALLENGER, HERO, LIST, policy

from edgewise.bundle.rewards import RewardDefinition
from edgewise.ids import ItemId
from edgewise.records import DecisionRecord, FeatureRows
from hub.site.recipes import Outcome
from hub.train.logged import NEVER, NOT_SHOWN, LoggedRows, logged_rows

CLICKED = Outcome("click")
COLUMNS = ("popularity", "liked_alike")
_numbers = itertools.count()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayShop]:
    with replay_shop(tmp_path_factory.mktemp("shop")) as made:
        yield made


class Moment:
    """A stretch of time on the shop's clock that nobody else decides in."""

    def __init__(self, node: ReplayShop) -> None:
        node.clock.advance(10_000)
        self.node = node
        self.visitor = f"visitor-{next(_numbers)}"
        while LIST not in self.decided().shown:  # held out of all personalisation
            self.visitor = f"visitor-{next(_numbers)}"
        node.clock.advance(10_000)
        self.since_ms = node.clock.now_ms()

    def decided(self, body: dict[str, Any] | None = None) -> DecisionRecord:
        return self.node.decided(body, visitor=self.visitor)

    def clicked(self, record: DecisionRecord, item: ItemId, name: str = "Content Clicked", **more: str) -> None:
        said = {"itemId": item, "decisionId": record.decision_id, **more}
        self.node.track(item, self.visitor, event=name, properties=said)
        self.node.report()

    def rows(self, outcome: Outcome = CLICKED, names: tuple[str, ...] = COLUMNS, *, ms: int = 1) -> LoggedRows:
        ledger = self.node.hub.ledger
        return logged_rows(ledger, LIST, outcome, names, since_ms=self.since_ms, until_ms=self.since_ms + ms)


@pytest.fixture
def moment(node: ReplayShop) -> Moment:
    return Moment(node)


def test_rows_are_the_logged_columns_in_the_order_asked_for(moment: Moment) -> None:
    record = moment.decided()
    whole = record.sampled.get(LIST, record.shown[LIST])
    logged = np.frombuffer(whole.data, "<f4").reshape(len(whole.items), len(whole.names))
    rows = moment.rows()
    expected = logged[:, [whole.names.index(name) for name in COLUMNS]]
    assert rows.matrix.tobytes() == expected.tobytes()
    assert (rows.names, rows.size.tolist()) == (COLUMNS, [len(whole.items)])
    assert rows.sample_probability.tolist() == [0.5 if record.sampled else 0.0]
    assert (rows.decision_ids, rows.bundle_digests) == ((record.decision_id,), (record.bundle_digest,))
    shown = record.shown[LIST].items
    slots = {item: slot for slot, item in enumerate(shown, 1)}
    assert rows.slot.tolist() == [slots.get(item, NOT_SHOWN) for item in whole.items]
    assert ((rows.propensity > 0) & (rows.propensity <= 1)).sum() == len(shown)


def test_only_the_outcome_on_what_was_shown_here_is_a_label(moment: Moment) -> None:
    record = moment.decided()
    shown = record.shown[LIST].items
    moment.clicked(record, shown[2], placement=LIST)
    moment.clicked(record, shown[3], placement=HERO)
    moment.clicked(record, shown[4], name="Product Viewed", placement=LIST)
    moment.clicked(record, ItemId("film-unseen"), placement=LIST)
    rows = moment.rows()
    assert rows.slot[rows.label > 0].tolist() == [3]
    assert (rows.known_ms != NEVER).tolist() == (rows.label > 0).tolist()
    assert rows.known_ms.min() >= record.time_ms
    assert moment.rows(Outcome("view")).label.sum() == 1
    assert moment.rows(Outcome("order")).label.sum() == 0


def test_a_deferred_decision_counts_once_it_was_activated(moment: Moment) -> None:
    record = moment.decided({"options": {"deferActivation": True}})
    before = moment.rows()
    assert (len(before.size), before.left_out) == (0, {"not-shown": 1})
    assert before.matrix.shape == (0, len(COLUMNS))
    moment.clicked(record, record.shown[LIST].items[0], name="Promotion Viewed")
    after = moment.rows()
    assert (after.decision_ids, after.left_out) == ((record.decision_id,), {})


def test_what_no_model_ranked_or_other_columns_or_damage_is_left_out_by_reason(moment: Moment) -> None:
    hub = moment.node.hub
    hub.tamper(moment.decided(), sampled={}, shown={})
    moment.decided({"placements": [{"name": HERO}]})
    for damage in ({"decision": b"\xff"}, {"decision": b'{"decision_id":"\xff"}'}):
        hub.tamper(moment.decided(), **damage)
    cut = moment.decided()
    rows = cut.shown[LIST]
    for data in (rows.data[:-4], rows.data[:-3]):
        record = moment.decided()
        hub.tamper(record, sampled={}, shown={LIST: FeatureRows(rows.names, rows.items, data)})
    kept = moment.rows()
    assert kept.decision_ids == (cut.decision_id,)
    assert kept.left_out == {"no-model": 1, "damaged": 4}
    assert moment.rows(names=("popularity", "mood")).left_out == {"no-model": 1, "other-columns": 3, "damaged": 2}


def test_a_dry_run_is_no_decision(moment: Moment) -> None:
    record = moment.decided()
    moment.node.hub.tamper(record, dry_run=True)
    rows = moment.rows()
    assert (rows.decision_ids, rows.left_out) == ((), {})


def test_times_bound_the_decisions(moment: Moment) -> None:
    first = moment.decided()
    moment.node.clock.advance(5)
    second = moment.decided()
    assert moment.rows().decision_ids == (first.decision_id,)
    assert moment.rows(ms=6).decision_ids == (first.decision_id, second.decision_id)
    assert moment.rows(ms=6).time_ms.tolist() == [moment.since_ms, moment.since_ms + 5]


def test_what_an_operator_forced_teaches_nothing(moment: Moment) -> None:
    moment.decided({"options": {"force": {LIST: CHALLENGER}}})
    rows = moment.rows()
    assert (rows.decision_ids, rows.left_out) == ((), {"internal": 1})


def test_the_reward_of_the_placement_is_the_gain(moment: Moment) -> None:
    """While something may still come nothing is learned; what comes too late is not."""
    record = moment.decided()
    shown = record.shown[LIST].items
    reward = RewardDefinition({"click": 1.0, "order": 10.0}, wait_hours=1)
    listed = msgspec.structs.replace(policy().placements[LIST], reward=reward)
    moment.clicked(record, shown[0], placement=LIST)
    moment.clicked(record, shown[0], name="Order Completed", placement=LIST)
    over_ms = record.time_ms + 3_600_000

    def rows(now_ms: int) -> LoggedRows:
        asked: dict[str, Any] = {"since_ms": moment.since_ms, "until_ms": moment.since_ms + 1}
        return logged_rows(
            moment.node.hub.ledger, LIST, CLICKED, COLUMNS, policy=policy({LIST: listed}), now_ms=now_ms, **asked
        )

    assert rows(over_ms).left_out == {"waiting": 1}
    settled = rows(over_ms + 1)
    assert settled.gain[settled.slot == 1].tolist() == [11]
    assert settled.label.sum() == 1


def test_what_the_site_did_not_keep_is_counted_and_what_it_kept_tells_how_probable_that_was(moment: Moment) -> None:
    kept, left = moment.decided(), moment.decided()
    moment.node.hub.tamper(kept, learning_probability=0.25)
    moment.node.hub.tamper(left, learning_probability=0.25, is_kept=False)
    rows = moment.rows()
    assert (rows.decision_ids, rows.left_out) == ((kept.decision_id,), {"not-kept": 1})
    assert rows.kept_probability is not None
    assert rows.kept_probability.tolist() == [0.25]


def test_where_no_reward_is_defined_nothing_is_waited_for(moment: Moment) -> None:
    record = moment.decided()
    moment.clicked(record, record.shown[LIST].items[0], placement=LIST)
    ledger, soon_ms = moment.node.hub.ledger, record.time_ms + 60_000
    rows = logged_rows(ledger, LIST, CLICKED, COLUMNS, since_ms=moment.since_ms, until_ms=soon_ms, now_ms=soon_ms)
    assert (rows.decision_ids, rows.left_out) == ((record.decision_id,), {})
    assert rows.label.sum() == 1
