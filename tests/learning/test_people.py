"""What only a person may do, what the loop does with turns that wait, and that few nodes come first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from loop_world import HERO, HOUR_MS, PLAN, RANKER, LoopShop

from edgewise.errors import RefusedError, UnavailableError
from edgewise.ids import NodeId
from edgewise.reasons import State
from hub.learning.alerts import Alert, Alerts
from hub.ledger.learning import StepName, Turn, TurnState
from hub.ledger.rows import ModelStatus, ReleaseStatus
from hub.scoring_child import ScoringChild

pytestmark = pytest.mark.slow  # each registers and builds, and the scorer starts for both


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    LoopShop(folder).ledger.close()
    return folder


@pytest.fixture
def shop(prepared: Path, tmp_path: Path) -> Iterator[LoopShop]:
    made = LoopShop(tmp_path, prepared=prepared)
    yield made
    made.ledger.close()


@pytest.fixture(scope="module")
def child() -> Iterator[ScoringChild]:
    with ScoringChild() as made:
        yield made


def approved(shop: LoopShop, child: ScoringChild) -> Turn:
    turn = shop.waiting()
    return shop.person("Bob").approve(turn.number, {}, child)


def test_two_people_bring_a_model_to_all_nodes(shop: LoopShop, child: ScoringChild) -> None:
    shop.connect("n-a", "n-b", "n-c")
    turn = approved(shop, child)
    assert (turn.state, turn.release) == (TurnState.CANARY, 2)
    assert shop.registry.row(RANKER, 2).approved_by == "Bob"
    assert turn.release is not None
    assert shop.releases.row(turn.release).approved_by == "Bob"
    tried = shop.releases.tried()
    assert set(tried.values()) == {2}
    assert len(tried) == 1, "half of three nodes"
    assert shop.releases.live() == 1
    with pytest.raises(RefusedError, match="it can be promoted when it is ready"):
        shop.person("Cleo").promote(turn.number)
    # two hours later, with what three nodes have reported, nothing spoke against it
    shop.clock.advance(3 * HOUR_MS)
    shop.connect("n-a", "n-b", "n-c")
    plan = msgspec.structs.replace(PLAN, canary_decisions=1)
    (looked,) = shop.around(plan=plan).turns
    assert (looked.state, "0 of 1 decisions" in shop.ledger.steps(turn.number)[-1].reasons) == (TurnState.CANARY, True)


def test_with_one_node_there_is_no_canary_and_a_person_still_promotes(shop: LoopShop, child: ScoringChild) -> None:
    shop.connect("n-a")
    turn = approved(shop, child)
    assert turn.state is TurnState.READY
    assert "two connected nodes" in turn.reason
    promoted = shop.person("Cleo").promote(turn.number)
    assert promoted.state is TurnState.PROMOTED
    assert shop.releases.live() == 2
    assert shop.registry.aliases(RANKER) == {"champion": 2}
    assert "ranker@2 is champion now" in promoted.reason
    assert [entry.who for entry in shop.ledger.audit(what={"learning approve", "learning promote"})] == ["Cleo", "Bob"]
    same = shop.releases.apply(shop.contents(), by="Ann")
    assert (same.is_new, same.release.version) == (False, 2), "the site's next bundle takes the new model"
    shop.click(10)
    assert shop.around().turns[0].number == 2


def test_a_node_that_refuses_the_candidate_takes_it_back_from_all(shop: LoopShop, child: ScoringChild) -> None:
    shop.connect("n-a", "n-b", "n-c", "n-d")
    turn = approved(shop, child)
    tried = sorted(shop.releases.tried())
    shop.clock.advance(60_000)
    shop.connect(*tried[:1], nack_code="digest", nack_detail="torn", nacked_ms=shop.clock.now_ms())
    (stopped,) = shop.around().turns
    assert (stopped.number, stopped.state) == (turn.number, TurnState.STOPPED)
    assert f"refused by {tried[0]}: digest: torn" in stopped.reason
    assert shop.releases.tried() == {}
    assert shop.releases.live() == 1
    assert shop.ledger.audit(what={"release try end"})[0].who == "learning loop"


def test_a_node_that_serves_nothing_takes_it_back(shop: LoopShop, child: ScoringChild) -> None:
    shop.connect("n-a", "n-b")
    turn = approved(shop, child)
    (node,) = shop.releases.tried()
    shop.connect(node, state=State.ERROR)
    (stopped,) = shop.around().turns
    assert (stopped.number, stopped.state) == (turn.number, TurnState.STOPPED)
    assert "built-in fallback" in stopped.reason


def test_a_halt_takes_back_what_few_nodes_try_and_holds_everybody_up(shop: LoopShop, child: ScoringChild) -> None:
    shop.connect("n-a", "n-b")
    turn = approved(shop, child)
    assert shop.releases.tried()
    shop.person("Ann").halt("a sale begins")
    assert shop.releases.tried() == {}
    report = shop.around()
    assert report.halted
    assert [each.number for each in report.turns] == [turn.number]
    assert shop.ledger.turn(turn.number).state is TurnState.CANARY, "nothing was done"
    shop.person("Ann").resume("over")
    (stopped,) = shop.around().turns
    assert (stopped.state, "given back" in stopped.reason) == (TurnState.STOPPED, True)


def test_nobody_approves_or_promotes_while_it_is_halted(shop: LoopShop, child: ScoringChild) -> None:
    turn = shop.waiting()
    shop.person("Ann").halt("a sale begins")
    with pytest.raises(RefusedError, match="Ann halted the learning loop: a sale begins"):
        shop.person("Bob").approve(turn.number, {}, child)
    assert shop.registry.row(RANKER, 2).status is ModelStatus.CANDIDATE
    assert shop.person("Bob").turn_down(turn.number, "no").state is TurnState.STOPPED


def test_what_is_turned_down_is_refused_and_the_next_turn_may_begin(shop: LoopShop) -> None:
    turn = shop.waiting()
    assert turn.release is not None
    down = shop.person("Bob").turn_down(turn.number, "not before summer")
    assert (down.state, down.reason) == (TurnState.STOPPED, "turned down by Bob: not before summer")
    assert shop.releases.row(turn.release).status is ReleaseStatus.REFUSED
    shop.click(6)
    assert shop.around().turns[0].number == 2


def test_what_is_turned_down_while_nodes_try_it_is_given_back_and_refused(shop: LoopShop, child: ScoringChild) -> None:
    shop.connect("n-a", "n-b")
    turn = approved(shop, child)
    assert turn.release is not None
    assert turn.release in shop.releases.tried().values()
    shop.person("Bob").turn_down(turn.number, "not before summer")
    assert (shop.releases.tried(), shop.releases.row(turn.release).status) == ({}, ReleaseStatus.REFUSED)
    with pytest.raises(RefusedError, match="is refused"):
        shop.releases.promote(turn.release, by="Ann")


def test_what_nobody_approved_in_time_is_refused_and_another_turn_begins(shop: LoopShop, child: ScoringChild) -> None:
    turn = shop.waiting()
    shop.clock.advance(200 * HOUR_MS)
    with pytest.raises(RefusedError, match="was trained 200 hours ago"):
        shop.person("Bob").approve(turn.number, {}, child)
    shop.click(6)
    ended, begun = shop.around().turns
    assert (ended.number, ended.state, ended.reason) == (1, TurnState.STOPPED, "nobody approved it within 168 hours")
    assert (begun.number, begun.state) == (2, TurnState.WAITING)


def test_a_turn_waits_as_long_as_it_may_and_is_told_of_once(shop: LoopShop) -> None:
    said: list[Alert] = []
    alerts = Alerts({"list": said.append})
    shop.click(10)
    assert [told.type for told in shop.around(alerts).told] == ["learning.approval"]
    shop.clock.advance(HOUR_MS)
    assert shop.around(alerts).told == ()
    (alert,) = said
    assert (alert.turn, alert.model, alert.release) == (1, HERO, 2)
    assert "--approve 1" in alert.text
    assert shop.ledger.turn(1).state is TurnState.WAITING


def test_that_a_trial_was_taken_back_is_told_until_somebody_takes_it(shop: LoopShop, child: ScoringChild) -> None:
    shop.connect("n-a", "n-b")
    approved(shop, child)
    (node,) = shop.releases.tried()
    shop.connect(node, state=State.ERROR)
    said: list[Alert] = []

    def away(_: Alert) -> None:
        raise UnavailableError("away")

    assert [told.error for told in shop.around(Alerts({"list": away})).told] == ["away"]
    assert [told.type for told in shop.around(Alerts({"list": said.append})).told] == ["learning.stopped"]
    assert shop.around(Alerts({"list": said.append})).told == ()
    assert len(said) == 1


def test_what_people_do_by_hand_is_followed(shop: LoopShop, child: ScoringChild) -> None:
    shop.connect("n-a", "n-b")
    turn = shop.waiting()
    assert turn.release is not None
    shop.registry.approve(RANKER, 2, by="Ann")
    shop.releases.approve(turn.release, by="Ann")
    (tried,) = shop.around().turns
    assert tried.state is TurnState.CANARY
    shop.releases.promote(turn.release, by="Ann")
    (promoted,) = shop.around().turns
    assert (promoted.state, promoted.reason) == (TurnState.PROMOTED, "release 2 is live, promoted by hand")
    del child


def test_a_trial_that_was_written_down_and_not_begun_begins_later(shop: LoopShop, child: ScoringChild) -> None:
    shop.connect("n-a", "n-b")
    turn = shop.waiting()
    person = shop.person("Bob")

    class Died(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Died

    shop.releases.try_on = die  # type: ignore[method-assign, assignment]
    with pytest.raises(Died):
        person.approve(turn.number, {}, child)
    del shop.releases.try_on
    assert shop.releases.tried() == {}
    (tried,) = shop.around().turns
    assert tried.state is TurnState.CANARY
    assert list(shop.releases.tried().values()) == [2]
    assert shop.ledger.audit(what={"release try"})[0].who == "Bob"


def test_nodes_keep_the_live_release_where_the_assignment_says_nothing_of_them(
    shop: LoopShop, child: ScoringChild
) -> None:
    shop.connect("n-a", "n-b")
    approved(shop, child)
    assignment = shop.releases.repository.assignment()
    assert assignment is not None
    (node,) = assignment.nodes
    other = NodeId("n-b" if node == "n-a" else "n-a")
    assert (assignment.of(node), assignment.of(other)) == (2, 1)
    assert StepName.CANARY in shop.steps(shop.ledger.turn(1))
