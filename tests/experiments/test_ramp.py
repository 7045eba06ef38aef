"""Steps of a ramp: what holds one back, who takes it, and what the next release makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from experiment_world import DAY_MS, KEY, LATER_MS, NEW, OLD, REFUNDS, Traffic, experiment, policy, trial

from edgewise.bundle.experiments import Ramp, RampStep
from edgewise.bundle.policy import Policy
from edgewise.errors import InputError, RefusedError
from hub.experiments.ramp import RampStanding, advance, ramp_of, restart
from hub.ledger.ledger import Ledger, open_ledger
from hub.ledger.ramps import RampStepRow
from hub.ledger.rows import AuditEntry
from hub.release.ramped import ramped

RAMP = Ramp([RampStep(0.5, after_hours=24, min_units=40), RampStep(1.0)])
RAMPED = experiment(
    coverage=0.5, ramp=RAMP, method="fixed", guardrails=[msgspec.structs.replace(REFUNDS, threshold=0.3)]
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path) as opened:
        yield opened


def visited(ledger: Ledger, of: Policy, count: int = 120, harm: float = 0.2) -> None:
    traffic = Traffic(of)
    traffic.crowd(count, orders={OLD: 0.2, NEW: 0.2}, refunds={OLD: 0.05, NEW: harm})
    traffic.store(ledger)


def held(of: RampStanding) -> list[str]:
    return [gate.name for gate in of.gates if not gate.is_open]


def test_a_step_is_held_back_by_time_and_people(ledger: Ledger) -> None:
    of = policy(RAMPED)
    assert held(ramp_of(ledger, trial(ledger, of))) == ["time", "units"], "nobody came"
    visited(ledger, of, count=20, harm=0.05)
    found = ramp_of(ledger, trial(ledger, of))
    assert held(found) == ["units"]
    assert (found.step, found.steps, found.next_coverage, found.may_advance) == (1, 2, 1.0, False)
    soon = trial(ledger, policy(RAMPED), now_ms=trial(ledger, of).exposed.reached[0.5].since_ms + DAY_MS - 1)
    assert held(ramp_of(ledger, soon)) == ["time", "units"]


def test_a_step_is_held_back_by_harm_and_taken_over_it_only_with_a_reason(ledger: Ledger) -> None:
    of = policy(RAMPED)
    visited(ledger, of, count=500, harm=0.6)
    seen = trial(ledger, of)
    assert held(ramp_of(ledger, seen)) == ["harm"]
    with pytest.raises(RefusedError, match=r"refunds .*--override"):
        advance(ledger, seen, by="Ann")
    assert ledger.ramp_steps() == []

    step = advance(ledger, seen, by="Ann", override="a carrier was on strike")
    assert (step.number, step.coverage, step.reason) == (1, 1.0, "a carrier was on strike")
    (entry,) = ledger.audit(limit=10, what={"experiment ramp"})
    assert (entry.who, entry.subject, entry.detail["override"]) == ("Ann", KEY, "a carrier was on strike")
    assert any("refunds" in gate for gate in entry.detail["gates"])


def test_a_step_that_was_taken_is_built_and_then_the_next_is_asked_for(ledger: Ledger) -> None:
    of = policy(RAMPED)
    visited(ledger, of, harm=0.05)
    seen = trial(ledger, of)
    step = advance(ledger, seen, by="Ann", override="not needed")
    assert step.reason == "", "nothing held it back"
    with pytest.raises(RefusedError, match=r"Ann took the step to 1 on .*: apply the site"):
        advance(ledger, seen, by="Bo")

    built = ramped(of, ledger.ramp_steps())
    assert built.experiments[KEY] == msgspec.structs.replace(RAMPED, coverage=1.0)
    last = ramp_of(ledger, trial(ledger, built))
    assert (last.step, last.next_coverage, last.may_advance, last.gates) == (2, None, False, [])
    with pytest.raises(InputError, match="the last of 2 steps"):
        advance(ledger, trial(ledger, built), by="Ann")

    restart(ledger, trial(ledger, built), by="Bo", reason="")
    assert ramped(built, ledger.ramp_steps()).experiments[KEY].coverage == 0.5


def test_a_ramp_that_began_anew_waits_anew(ledger: Ledger) -> None:
    of = policy(RAMPED)
    visited(ledger, of, harm=0.05)
    assert ramp_of(ledger, trial(ledger, of)).may_advance
    restart(ledger, trial(ledger, of), by="Bo", reason="")
    assert held(ramp_of(ledger, trial(ledger, of))) == ["time", "units"]


def test_a_step_counts_for_the_ramp_and_the_assignment_it_was_taken_in(ledger: Ledger) -> None:
    of = policy(RAMPED)
    visited(ledger, of, harm=0.05)
    advance(ledger, trial(ledger, of), by="Ann")
    steps = ledger.ramp_steps()
    others = [
        msgspec.structs.replace(RAMPED, bucket_version=1),
        msgspec.structs.replace(RAMPED, seed="anew"),
        msgspec.structs.replace(RAMPED, ramp=None),
        msgspec.structs.replace(RAMPED, ramp=Ramp([RampStep(0.5), RampStep(0.9)])),
    ]
    assert [ramped(policy(each), steps).experiments[KEY].coverage for each in others] == [0.5] * 4


def test_two_who_take_the_same_step_take_it_once(ledger: Ledger) -> None:
    row = RampStepRow(experiment=KEY, seed="s", bucket_version=0, coverage=0.5, who="Ann", time_ms=LATER_MS)
    entry = AuditEntry("Ann", "experiment ramp", KEY)
    ledger.add_ramp_step(row, entry, after=0)
    with pytest.raises(RefusedError, match="meanwhile"):
        ledger.add_ramp_step(row, entry, after=0)
    assert len(ledger.ramp_steps(KEY)) == 1
    assert len(ledger.audit(limit=10, what={"experiment ramp"})) == 1


def test_a_coverage_that_is_no_step_is_named(ledger: Ledger) -> None:
    with pytest.raises(InputError, match=r"at 0.7, which is no step of: 0.5, 1"):
        ramp_of(ledger, trial(ledger, policy(msgspec.structs.replace(RAMPED, coverage=0.7))))
    with pytest.raises(InputError, match="has no ramp"):
        ramp_of(ledger, trial(ledger, policy(msgspec.structs.replace(RAMPED, ramp=None))))
