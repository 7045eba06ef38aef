"""One look at a model: what it sees, what it scores, what comes of it, and whether anything comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from edgewise.errors import InputError
from edgewise.ids import ModelName
from hub.ledger.ledger import Ledger
from hub.monitor.alarms import LEAST_PAST, Judged, judge
from hub.monitor.distances import ks, miscalibration, plain_psi, psi
from hub.monitor.freshness import HOUR_MS, Freshness, judge_freshness
from hub.monitor.reading import outcome_of, read_seen, serving_of
from hub.monitor.windows import Floats, Ints, SeenRows, sizes, window_of
from hub.release.releases import Releases

LEAST_ROWS: Final = 50
"""A stretch of fewer is not compared: its distances say more about chance than about visitors."""
Say = Callable[[str], None]


class WatchPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How to look."""

    hours: float = 24.0
    """Length of a stretch."""
    past: int = 28
    """How many before the latest are compared with."""
    settle_hours: float = 24.0
    """How long outcomes are waited for: calibration is judged on stretches that end so long ago."""


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One feature, or the score. Distances are in units of what chance brings (1 for the index)."""

    name: str
    psi: float
    """The index itself, as others' tables have it."""
    psi_distance: float
    psi_threshold: float | None
    """What the distance has to exceed to alarm; None while there is too little past."""
    ks_distance: float
    ks_threshold: float | None
    missing: float
    """Share in the latest stretch."""
    missing_before: float
    mean: float | None
    """Of the values that are there, in the latest stretch."""
    mean_before: float | None
    is_alarm: bool


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """A family of columns, judged together."""

    verdict: str
    """`ok`, `alarm`, or `learning` while there are fewer than 10 stretches to compare with, or none lately."""
    false_alarm_rate: float | None
    """How often chance alone alarms."""
    past: int
    """Stretches that were compared with."""
    columns: list[Column]


class CalibrationDrift(msgspec.Struct, frozen=True, kw_only=True):
    """Whether as much comes of a score as used to."""

    verdict: str
    false_alarm_rate: float | None
    past: int
    outcomes: float
    """That came in the latest stretch that has settled."""
    expected: float
    """That its scores let expect by the others."""
    ratio: float | None
    """The one by the other; None where nothing was to be expected."""
    distance: float
    """|outcomes - expected| in standard deviations of a Poisson count."""
    threshold: float | None
    ratios: list[float | None]
    """Of every stretch, the latest first."""


class WatchReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found; the JSON of `model watch`."""

    model: ModelName
    version: int
    """The one that is watched; features are compared over all versions that took the same columns."""
    watched_ms: int
    hours: float
    settle_hours: float
    outcome: str
    rows: list[int]
    """Items that the model put into slots, by stretch, the latest first."""
    features: Drift
    score: Drift
    calibration: CalibrationDrift
    freshness: Freshness
    left_out: dict[str, int]
    """Why decisions made no row -> how many."""
    alarms: list[str]
    """Everything that is wrong, in sentences; empty when all is well."""


class _Family(NamedTuple):
    judged: Judged
    columns: list[Column]


def watch(
    ledger: Ledger,
    releases: Releases,
    model: ModelName,
    version: int,
    plan: WatchPlan,
    *,
    now_ms: int,
    say: Say = lambda _: None,
) -> WatchReport:
    """Look at a version of a model by what nodes have reported until `now_ms`.

    Raises InputError when there is no such version, or the plan makes no stretches.
    """
    if plan.hours <= 0 or plan.past < 1 or plan.settle_hours < 0:
        raise InputError(f"{plan.past} stretches of {plan.hours:g} hours; expected some, each longer than nothing")
    card = releases.registry.row(model, version).card
    names = tuple(feature.name for feature in releases.registry.artefacts(model, version).features.features)
    width_ms = max(1, round(plan.hours * HOUR_MS))
    settle_ms = round(plan.settle_hours * HOUR_MS)
    count = plan.past + 1
    outcome = outcome_of(card)
    seen, left_out = read_seen(
        ledger,
        serving_of(releases, model),
        names,
        outcome,
        since_ms=now_ms - count * width_ms - settle_ms,
        until_ms=now_ms,
        progress=lambda read: say(f"{read:,} decisions read"),
    )
    say("comparing")
    own = seen.of_version(version)
    window = window_of(seen.time_ms, now_ms, width_ms)
    features = _drift(_family(seen, window, count))
    as_score = SeenRows(("score",), own.score.astype(np.float32)[:, None], *own[2:])
    score = _drift(_family(as_score, window_of(own.time_ms, now_ms, width_ms), count))
    calibration = _calibration(own, window_of(own.time_ms, now_ms - settle_ms, width_ms), count)
    freshness = judge_freshness(
        decisions=_decisions(seen, window, count),
        events=ledger.events_by_window(now_ms, width_ms, count),
        newest_decision_ms=ledger.newest_decision_ms(),
        newest_event_ms=ledger.newest_event_ms(),
        card=card,
        now_ms=now_ms,
        hours=plan.hours,
    )
    return WatchReport(
        model=model,
        version=version,
        watched_ms=now_ms,
        hours=plan.hours,
        settle_hours=plan.settle_hours,
        outcome=str(outcome.kind),
        rows=sizes(window, count).tolist(),
        features=features,
        score=score,
        calibration=calibration,
        freshness=freshness,
        left_out=dict(left_out),
        alarms=[*freshness.alarms, *_alarms(features, score, calibration)],
    )


def watched(releases: Releases, model: ModelName) -> int:
    """The version that the live release ranks by, else the newest one. Raises InputError where there is none."""
    live = releases.live()
    serving = None if live is None else serving_of(releases, model)(live)
    if serving is not None:
        return serving.model_version
    rows = releases.registry.models(model)
    if not rows:
        known = ", ".join(sorted({row.name for row in releases.registry.models()}))
        raise InputError(f"no model {model!r}; there are: {known or 'none'}")
    return rows[0].version


def _family(rows: SeenRows, window: Ints, count: int) -> _Family:
    """Index and distribution of every column, as one family."""
    columns = rows.matrix.T.astype(np.float64)
    measured = [(psi(column, window, count), ks(column, window, count)) for column in columns]
    distances = np.array([each for pair in measured for each in pair]).reshape(-1, count).T
    judged = judge(distances, present=(sizes(window, count) >= LEAST_ROWS).tolist())
    now, before = window == 0, (window > 0) & (window < count)
    told = []
    for number, (name, column) in enumerate(zip(rows.names, columns, strict=True)):
        by_psi, by_ks = (2 * number, 2 * number + 1)
        far = distances[0, [by_psi, by_ks]] > judged.thresholds[[by_psi, by_ks]]
        told.append(
            Column(
                name=name,
                psi=plain_psi(column, window, count),
                psi_distance=float(distances[0, by_psi]),
                psi_threshold=_finite(judged.thresholds[by_psi]),
                ks_distance=float(distances[0, by_ks]),
                ks_threshold=_finite(judged.thresholds[by_ks]),
                missing=_share(np.isnan(column[now])),
                missing_before=_share(np.isnan(column[before])),
                mean=_mean(column[now]),
                mean_before=_mean(column[before]),
                is_alarm=bool(far.any()),
            )
        )
    return _Family(judged, told)


def _drift(family: _Family) -> Drift:
    judged = family.judged
    return Drift(
        verdict=_verdict(judged),
        false_alarm_rate=_finite(judged.false_alarm_rate),
        past=judged.past,
        columns=family.columns,
    )


def _calibration(rows: SeenRows, window: Ints, count: int) -> CalibrationDrift:
    came, expected = miscalibration(rows.score, rows.outcome, window, count)
    distance = np.abs(came - expected) / np.sqrt(np.maximum(expected, 1.0))
    # where no outcome ever named a decision, that none came says nothing
    present = (sizes(window, count) >= LEAST_ROWS) & bool(came.any())
    judged = judge(distance[:, None], present=present.tolist())
    ratios = [_ratio(a, b) for a, b in zip(came.tolist(), expected.tolist(), strict=True)]
    return CalibrationDrift(
        verdict=_verdict(judged),
        false_alarm_rate=_finite(judged.false_alarm_rate),
        past=judged.past,
        outcomes=float(came[0]),
        expected=float(expected[0]),
        ratio=ratios[0],
        distance=float(distance[0]),
        threshold=_finite(judged.thresholds[0]),
        ratios=ratios,
    )


def _alarms(features: Drift, score: Drift, calibration: CalibrationDrift) -> list[str]:
    said = []
    far = [column.name for column in features.columns if column.is_alarm]
    if far:
        said.append(f"what the model sees has changed more than ever in {features.past} stretches: {', '.join(far)}")
    if score.verdict == "alarm":
        said.append(f"its scores have changed more than ever in {score.past} stretches")
    if calibration.verdict == "alarm":
        said.append(
            f"{calibration.outcomes:,.0f} outcomes came of scores that let expect {calibration.expected:,.1f}: farther "
            f"off than ever in {calibration.past} stretches"
        )
    return said


def _decisions(rows: SeenRows, window: Ints, count: int) -> list[int]:
    of_decision = np.unique(rows.decision, return_index=True)[1]
    counted: list[int] = sizes(window[of_decision], count).tolist()
    return counted


def _verdict(judged: Judged) -> str:
    if judged.is_alarm:
        return "alarm"
    return "learning" if judged.past < LEAST_PAST or not np.isfinite(judged.false_alarm_rate) else "ok"


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _share(mask: Any) -> float:
    return float(np.mean(mask)) if len(mask) else float("nan")


def _mean(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _ratio(came: float, expected: float) -> float | None:
    return came / expected if expected > 0 else None
