"""Turns in the ledger: one open turn a model, steps that are only added, a switch, a lease of one holder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgewise.errors import InputError, RefusedError
from edgewise.ids import BundleVersion, ModelName, PlacementName
from hub.ledger.learning import OPEN, Step, StepName, StepState, TurnState
from hub.ledger.ledger import Ledger, open_ledger
from hub.ledger.rows import AuditEntry

MODEL, REGISTERED, PLACE = ModelName("hero"), ModelName("ranker"), PlacementName("home_hero")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path) as opened:
        yield opened


def test_a_model_has_one_open_turn_at_a_time(ledger: Ledger) -> None:
    first = ledger.begin_turn(MODEL, REGISTERED, PLACE, 10)
    with pytest.raises(RefusedError, match="turn 1 of the model hero is still open"):
        ledger.begin_turn(MODEL, REGISTERED, PLACE, 11)
    other = ledger.begin_turn(ModelName("list"), REGISTERED, PLACE, 11)
    step = Step(turn=1, number=0, name=StepName.DATA, state=StepState.STOPS, time_ms=20, who="loop", reasons=("few",))
    ended = ledger.add_step(step, state=TurnState.STOPPED, reason="few")
    assert (ended.state, ended.reason, ended.changed_ms) == (TurnState.STOPPED, "few", 20)
    again = ledger.begin_turn(MODEL, REGISTERED, PLACE, 30)
    assert [turn.number for turn in ledger.turns()] == [again.number, other.number, first.number]
    assert [turn.number for turn in ledger.turns(OPEN, model=MODEL)] == [again.number]


def test_steps_are_numbered_and_read_as_they_were_written(ledger: Ledger) -> None:
    ledger.begin_turn(MODEL, REGISTERED, PLACE, 10)
    told = {"decisions": 3, "share": 0.5, "nothing": None, "names": ["a"]}
    turn = ledger.turn(1)
    for state in (StepState.BEGUN, StepState.DONE):
        turn = ledger.add_step(
            Step(turn=1, number=0, name=StepName.TRAIN, state=state, time_ms=11, who="loop", inputs=told, result=told),
            audit=AuditEntry("loop", "learning step", "turn 1"),
            version=4,
            release=BundleVersion(9),
        )
        assert (turn.version, turn.release) == (4, 9)
    steps = ledger.steps(1)
    assert [step.number for step in steps] == [1, 2]
    assert (steps[1].inputs, steps[1].result, steps[1].reasons) == (told, told, ())
    assert len(ledger.audit(what={"learning step"})) == 2
    with pytest.raises(InputError, match="no turn 7"):
        ledger.turn(7)


def test_the_last_word_of_the_switch_holds(ledger: Ledger) -> None:
    assert not ledger.switch().halted
    ledger.throw_switch(halted=True, who="Ann", reason="a sale", now_ms=5)
    assert (ledger.switch().halted, ledger.switch().who) == (True, "Ann")
    ledger.throw_switch(halted=False, who="Bob", reason="", now_ms=6)
    assert not ledger.switch().halted
    assert [entry.what for entry in ledger.audit()] == ["learning resume", "learning halt"]


def test_a_lease_is_held_by_one_until_it_ends_or_is_given_back(ledger: Ledger) -> None:
    assert ledger.take_lease("a", now_ms=0, life_ms=100) is not None
    assert ledger.take_lease("b", now_ms=99, life_ms=100) is None
    held = ledger.take_lease("a", now_ms=50, life_ms=100)
    assert held is not None
    assert held.until_ms == 150
    assert ledger.take_lease("b", now_ms=150, life_ms=100) is not None
    ledger.free_lease("a")
    assert ledger.take_lease("a", now_ms=160, life_ms=100) is None, "b holds it: a cannot give it away"
    ledger.free_lease("b")
    assert ledger.take_lease("a", now_ms=160, life_ms=100) is not None


def test_a_lease_of_a_clock_that_ran_ahead_does_not_lock_everybody_out(ledger: Ledger) -> None:
    assert ledger.take_lease("a", now_ms=1_000_000, life_ms=100) is not None
    assert ledger.take_lease("b", now_ms=500, life_ms=100) is not None
