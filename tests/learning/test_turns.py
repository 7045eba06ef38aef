"""A turn goes from new data to a candidate that waits for a person, and no further; after a crash it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from loop_world import HERO, PLAN, RANKER, LoopShop, evidence, off_policy_said

from edgewise.errors import InputError, ModelRefused, RefusedError
from edgewise.ids import ModelName
from hub.learning.evidence import Interval
from hub.learning.loop import models_to_learn
from hub.learning.turns import MOST_TRIES, TrainAsked
from hub.ledger.learning import StepName, StepState, TurnState
from hub.ledger.rows import ModelStatus, ReleaseStatus

pytestmark = pytest.mark.slow  # each registers and builds, and the scorer starts for both; one story is always told


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


def test_without_enough_new_data_no_turn_begins_and_it_says_why(shop: LoopShop) -> None:
    shop.click(4)
    report = shop.around()
    assert report.turns == ()
    assert report.idle == {HERO: "4 new outcomes or decisions; expected at least 5"}
    assert shop.ledger.turns() == []


def test_a_turn_ends_at_a_candidate_that_nobody_runs(shop: LoopShop) -> None:
    live = shop.releases.live()
    turn = shop.waiting()
    assert (turn.state, turn.version, turn.model, turn.registered) == (TurnState.WAITING, 2, HERO, RANKER)
    assert "--approve 1" in turn.reason
    assert shop.steps(turn) == [
        StepName.DATA,
        StepName.TRAIN,
        StepName.TRAIN,
        StepName.PARITY,
        StepName.EVALUATE,
        StepName.JUDGE,
        StepName.BUNDLE,
        StepName.APPROVAL,
    ]
    assert shop.registry.row(RANKER, 2).status is ModelStatus.CANDIDATE
    assert turn.release is not None
    assert shop.releases.row(turn.release).status is ReleaseStatus.CANDIDATE
    assert shop.releases.live() == live
    data, *_ = shop.ledger.steps(turn.number)
    assert (data.result["new"], data.result["outcomes"], data.who) == (10, 10, "learning loop")


def test_a_release_with_a_model_that_nobody_approved_cannot_be_approved(shop: LoopShop) -> None:
    turn = shop.waiting()
    assert turn.release is not None
    with pytest.raises(RefusedError, match="holds ranker@2, a candidate"):
        shop.releases.approve(turn.release, by="Bob")
    assert shop.releases.row(turn.release).status is ReleaseStatus.CANDIDATE


def test_the_loop_puts_nothing_of_the_site_in_force(shop: LoopShop) -> None:
    (shop.site / "retention.yaml").write_text("events_days: 1\n")
    shop.waiting()
    assert not [entry for entry in shop.ledger.audit() if entry.subject == "retention"]
    shop.releases.apply(shop.contents(), by="Ann")
    assert [entry.who for entry in shop.ledger.audit() if entry.subject == "retention"] == ["Ann"]


def test_what_is_not_recommended_is_not_built_and_its_reasons_are_kept(shop: LoopShop) -> None:
    worse = off_policy_said(lift=Interval(-0.01, -0.03, 0.01))
    shop.judged_by = lambda asked: evidence(looks=asked.looks, off_policy=worse)
    turn = shop.waiting()
    assert turn.state is TurnState.STOPPED
    assert turn.release is None
    assert "not surely above 0" in turn.reason
    judged = shop.ledger.steps(turn.number)[-1]
    assert (judged.name, judged.state) == (StepName.JUDGE, StepState.STOPS)
    assert judged.reasons
    assert len(shop.releases.rows()) == 1


def test_the_next_turn_counts_only_what_came_since_and_pays_for_each_look(shop: LoopShop) -> None:
    looks = []

    def worse(asked: object) -> object:
        looks.append(asked.looks)  # type: ignore[attr-defined]
        return evidence(off_policy=None)

    shop.judged_by = worse  # type: ignore[assignment]
    shop.waiting()
    shop.click(3)
    assert shop.around().turns == ()
    shop.click(4)
    (turn,) = shop.around().turns
    assert shop.ledger.steps(turn.number)[0].result["new"] == 7
    assert looks == [1, 2]


@pytest.mark.parametrize("refused", [InputError("only 3 outcomes"), ModelRefused("parity", "2 rows differ")])
def test_a_training_that_is_refused_ends_the_turn_with_its_words(shop: LoopShop, refused: Exception) -> None:
    def fail(_: TrainAsked) -> None:
        raise refused

    shop.failing = fail
    turn = shop.waiting()
    assert (turn.state, turn.reason, turn.version) == (TurnState.STOPPED, str(refused), None)


def test_only_what_serves_is_continued(shop: LoopShop) -> None:
    asked: list[TrainAsked] = []
    shop.failing = asked.append
    shop.train(by="Ann")  # version 2, which nobody approved
    shop.click(10)
    shop.around(plan=msgspec.structs.replace(PLAN, incremental=True))
    assert [each.parent for each in asked] == [1]


class Died(BaseException):
    """The process ends here."""


def test_a_training_that_keeps_ending_its_process_is_given_up(shop: LoopShop) -> None:
    def die(_: TrainAsked) -> None:
        raise Died

    shop.failing = die
    shop.click(10)
    for _ in range(MOST_TRIES):
        with pytest.raises(Died):
            shop.around()
    (turn,) = shop.around().turns
    assert (turn.state, turn.reason) == (TurnState.STOPPED, f"training ended its process {MOST_TRIES} times")


def test_a_model_that_was_registered_before_the_crash_is_not_trained_again(shop: LoopShop) -> None:
    def register_and_die(asked: TrainAsked) -> None:
        shop.train(by=asked.by)
        raise Died

    shop.failing = register_and_die
    shop.click(10)
    with pytest.raises(Died):
        shop.around()
    shop.failing = None
    (turn,) = shop.around().turns
    assert (turn.state, turn.version) == (TurnState.WAITING, 2)
    assert len(shop.registry.models(RANKER)) == 2


@pytest.mark.parametrize("dies_after", range(2, 8))
def test_a_turn_that_died_behind_any_step_comes_to_the_same_end(shop: LoopShop, dies_after: int) -> None:
    shop.click(10)
    taken = 0
    add = shop.ledger.add_step

    def add_and_die(*arguments: object, **changes: object) -> object:
        nonlocal taken
        turn = add(*arguments, **changes)  # type: ignore[arg-type]
        taken += 1
        if taken == dies_after:
            raise Died
        return turn

    shop.ledger.add_step = add_and_die  # type: ignore[method-assign, assignment]
    with pytest.raises(Died):
        shop.around()
    del shop.ledger.add_step
    (turn,) = shop.around().turns
    assert (turn.state, turn.version, turn.release) == (TurnState.WAITING, 2, 2)
    assert len(shop.registry.models(RANKER)) == 2
    assert [row.version for row in shop.releases.rows()] == [2, 1]


def test_two_processes_do_not_learn_at_once(shop: LoopShop) -> None:
    shop.click(10)
    assert shop.ledger.take_lease("another", now_ms=shop.clock.now_ms(), life_ms=60_000) is not None
    with pytest.raises(RefusedError, match="another process is at the learning loop"):
        shop.around()
    assert shop.ledger.turns() == []
    shop.clock.advance(60_000)
    assert shop.around().turns[0].state is TurnState.WAITING


def test_only_models_that_the_site_says_how_to_train_are_learned(shop: LoopShop) -> None:
    assert models_to_learn(shop.contents()) == [HERO]
    with pytest.raises(InputError, match="'list' is no model that the site says how to train"):
        models_to_learn(shop.contents(), [ModelName("list")])
