"""Which step of a ramp an experiment is at, and what holds the next one back: time, people, harm."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from edgewise.errors import InputError, RefusedError
from edgewise.ids import ExperimentKey
from hub.experiments.exposed import Reached
from hub.experiments.report import ExperimentReport, reported
from hub.experiments.trial import Trial
from hub.ledger.ramps import RampStepRow
from hub.ledger.rows import AuditEntry
from hub.release.ramped import last_step
from hub.rewards.attribution import HOUR_MS
from hub.statistics.verdict import Word

if TYPE_CHECKING:
    from hub.ledger.ledger import Ledger


class Gate(msgspec.Struct, frozen=True):
    """One thing that a step waits for."""

    name: str
    """`time`, `units`, `harm` or `split`."""
    is_open: bool
    sentence: str


class RampStanding(msgspec.Struct, frozen=True, kw_only=True):
    """`edgewise experiment ramp KEY --json`."""

    key: ExperimentKey
    coverage: float
    """Of the live release."""
    step: int
    """Which one that is, from 1."""
    steps: int
    next_coverage: float | None
    """None: it is at its last step."""
    gates: list[Gate]
    """Of the step that it is at; none at the last one."""
    may_advance: bool
    taken: RampStepRow | None
    """The last step that a person took."""
    is_released: bool
    """Whether the live release has that step."""
    sentence: str


def standing(trial: Trial, report: ExperimentReport, taken: RampStepRow | None) -> RampStanding:
    """How the ramp stands. Raises InputError where there is none, or for a coverage that is none of its steps."""
    experiment, key = trial.rules.experiment, trial.rules.key
    if experiment.ramp is None:
        raise InputError(f"the experiment {key!r} has no ramp; write `ramp: {{steps: [...]}}` into the site")
    coverages = [step.coverage for step in experiment.ramp.steps]
    if experiment.coverage not in coverages:
        known = ", ".join(f"{coverage:g}" for coverage in coverages)
        raise InputError(f"the live release has {key!r} at {experiment.coverage:g}, which is no step of: {known}")
    at = coverages.index(experiment.coverage)
    is_released = taken is None or taken.coverage == experiment.coverage
    following = coverages[at + 1] if at + 1 < len(coverages) else None
    gates: list[Gate] = []
    if following is not None:
        step = experiment.ramp.steps[at]
        reached = trial.exposed.reached.get(experiment.coverage)
        gates = [
            _time(reached, step.after_hours, trial.now_ms),
            _units(reached, step.min_units),
            _harm(report),
            _split(report),
        ]
    held = [gate.sentence for gate in gates if not gate.is_open]
    may_advance = following is not None and is_released and not held
    return RampStanding(
        key=key,
        coverage=experiment.coverage,
        step=at + 1,
        steps=len(coverages),
        next_coverage=following,
        gates=gates,
        may_advance=may_advance,
        taken=taken,
        is_released=is_released,
        sentence=_sentence(key, experiment.coverage, following, taken, held, is_released=is_released),
    )


def ramp_of(ledger: Ledger, trial: Trial) -> RampStanding:
    """As `standing`, with what the ledger says of steps."""
    taken = last_step(trial.rules.key, trial.rules.experiment, ledger.ramp_steps(trial.rules.key))
    return standing(trial, reported(trial), taken)


def advance(ledger: Ledger, trial: Trial, *, by: str, override: str = "") -> RampStepRow:
    """A person takes the next step: written down, for the next `site apply` to build.

    Raises:
        InputError: there is no next step.
        RefusedError: `ramp-held`: something holds it back, and no `override` says why it is taken all the same;
            `ramp-unreleased`: the step before it is in no live release yet; `ramp-step`: somebody else took it.
    """
    found = ramp_of(ledger, trial)
    if found.next_coverage is None:
        raise InputError(f"{found.key!r} is at {found.coverage:g}, the last of {found.steps} steps")
    if not found.is_released:
        raise RefusedError("ramp-unreleased", found.sentence)
    if not found.may_advance and not override:
        held = "; ".join(gate.sentence for gate in found.gates if not gate.is_open)
        raise RefusedError("ramp-held", f"{held}. Whoever takes the step all the same says why: --override REASON")
    return _take(ledger, trial, found, found.next_coverage, by=by, reason="" if found.may_advance else override)


def restart(ledger: Ledger, trial: Trial, *, by: str, reason: str) -> RampStepRow:
    """Back to the first step, which nothing holds back. Raises InputError as `standing`."""
    found = ramp_of(ledger, trial)
    ramp = trial.rules.experiment.ramp
    assert ramp is not None
    return _take(ledger, trial, found, ramp.steps[0].coverage, by=by, reason=reason)


def _take(ledger: Ledger, trial: Trial, found: RampStanding, coverage: float, *, by: str, reason: str) -> RampStepRow:
    experiment = trial.rules.experiment
    known = ledger.ramp_steps(found.key)
    step = RampStepRow(
        experiment=found.key,
        seed=experiment.seed,
        bucket_version=experiment.bucket_version,
        coverage=coverage,
        who=by,
        time_ms=trial.now_ms,
        reason=reason,
        gates=tuple(gate.sentence for gate in found.gates),
    )
    detail = {"from": found.coverage, "to": coverage, "gates": list(step.gates), "override": reason}
    audit = AuditEntry(by, "experiment ramp", found.key, detail)
    return ledger.add_ramp_step(step, audit, after=known[-1].number if known else 0)


def _time(reached: Reached | None, after_hours: float, now_ms: int) -> Gate:
    hours = 0.0 if reached is None else (now_ms - reached.since_ms) / HOUR_MS
    if reached is None:
        return Gate(
            "time", after_hours == 0, f"nobody was exposed at this coverage yet; {after_hours:g} hours are asked"
        )
    is_open = hours >= after_hours
    return Gate("time", is_open, f"{hours:,.1f} of {after_hours:g} hours since the first exposure at this coverage")


def _units(reached: Reached | None, least: int) -> Gate:
    units = 0 if reached is None else reached.units
    return Gate("units", units >= least, f"{units:,} of {least:,} people were exposed at this coverage")


def _harm(report: ExperimentReport) -> Gate:
    """A guardrail that is breached, or an outcome that is worse, stops; one that is not clear yet does not."""
    stops = [of.sentence for of in report.analysis.verdicts.values() if of.word is Word.STOP]
    stops += [
        held.sentence
        for result in report.analysis.metrics.values()
        for held in result.guardrails.values()
        if held.state == "breached" and not any(held.sentence in said for said in stops)
    ]
    return Gate("harm", not stops, " ".join(stops) or "no guardrail is breached, and the outcome is not worse")


def _split(report: ExperimentReport) -> Gate:
    analysis, coverage = report.analysis, report.coverage
    wrong = []
    if analysis.srm.alarm:
        wrong.append(f"the split between arms is not the one that was meant (p = {analysis.srm.p_value:.2g})")
    if coverage is not None and coverage.alarm:
        wrong.append(f"not as many take part as were meant to (p = {coverage.p_value:.2g})")
    if analysis.exposures is not None and analysis.exposures.alarm:
        wrong.append(f"{analysis.exposures.in_several:,} people saw several arms")
    return Gate("split", not wrong, "; ".join(wrong) or "the split is as it was meant")


def _sentence(
    key: ExperimentKey,
    coverage: float,
    following: float | None,
    taken: RampStepRow | None,
    held: list[str],
    *,
    is_released: bool,
) -> str:
    if not is_released:
        assert taken is not None
        when = datetime.fromtimestamp(taken.time_ms / 1_000, UTC).date().isoformat()
        what = f"{taken.who} took the step to {taken.coverage:g} on {when}"
        return f"{key} is live at {coverage:g}; {what}: apply the site, approve and promote the release"
    if following is None:
        return f"{key} is at {coverage:g}, its last step"
    if held:
        return f"{key} stays at {coverage:g}: {'; '.join(held)}"
    return f"{key} may go from {coverage:g} to {following:g}"
