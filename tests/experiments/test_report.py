"""What a report concludes where the truth is known: a lift, harm behind a lift, nothing, and what cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from experiment_world import (
    DAY_MS,
    KEY,
    LATER_MS,
    NEW,
    OLD,
    ORDERS,
    REFUNDS,
    Traffic,
    experiment,
    policy,
    report,
    trial,
)

from edgewise.bundle.experiments import Metric
from edgewise.errors import UnavailableError
from edgewise.ids import ArmName, SubjectId
from hub.experiments.overview import ReportsNow
from hub.experiments.page import report_page
from hub.experiments.report import reported
from hub.ledger.ledger import Ledger, open_ledger
from hub.statistics.verdict import Word

SAME, HARMFUL = ArmName("same"), ArmName("harmful")
ARMS = [OLD, NEW, SAME, HARMFUL]
JUDGED = msgspec.structs.replace(ORDERS, window_hours=5 * 24.0)
GUARDED = msgspec.structs.replace(REFUNDS, threshold=0.3)
OF_FOUR = experiment(arms=ARMS, weights=[0.25] * 4, outcome=JUDGED, guardrails=[GUARDED], method="fixed")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path) as opened:
        yield opened


def test_a_planted_lift_is_found_planted_harm_stops_and_an_arm_like_the_control_waits(ledger: Ledger) -> None:
    """Power of each to its word is above 99 % at these sizes: 400 an arm, .15 against .35, .2 against .5 and .05."""
    of = policy(OF_FOUR, holdout=0.05)
    traffic = Traffic(of)
    traffic.crowd(
        1_700,
        orders={OLD: 0.15, NEW: 0.35, SAME: 0.15, HARMFUL: 0.35},
        refunds={OLD: 0.2, NEW: 0.05, SAME: 0.2, HARMFUL: 0.5},
    )
    traffic.store(ledger)
    found = report(ledger, of)

    words = {arm: said.word for arm, said in found.analysis.verdicts.items()}
    assert words == {NEW: Word.SHIP, SAME: Word.WAIT, HARMFUL: Word.STOP}
    assert "refunds" in found.analysis.verdicts[HARMFUL].sentence
    assert not found.analysis.srm.alarm
    lift = found.analysis.metrics["orders"].variants[NEW]
    assert lift.ci_low < 0.35 / 0.15 - 1 < lift.ci_high
    assert lift.variance_reduction > 0.01, "who ordered before says something of who orders"
    assert found.waiting == {"orders": 0, "refunds": 0}
    assert [of_day.day for of_day in found.novelty[NEW].days] == [0, 1, 2, 3, 4]
    assert {each.attribute for each in found.segments} == {"device", "country", "visitor"}
    (of_device,) = [each for each in found.segments if each.attribute == "device"]
    assert set(of_device.variants[NEW].segments) == {"mobile", "desktop"}
    assert found.holdout is not None
    assert found.holdout.verdicts["personalised"].word in {Word.WAIT, Word.SHIP}

    page = report_page(found)
    assert page.count("<svg") >= 4
    assert found.analysis.verdicts[HARMFUL].sentence in page
    assert msgspec.json.decode(msgspec.json.encode(found))["analysis"]["outcome"] == "orders"

    # five days earlier the windows of half of them are open
    early = reported(trial(ledger, of, now_ms=LATER_MS - 13 * DAY_MS))
    assert 0 < early.waiting["orders"] < sum(early.analysis.srm.observed.values())
    assert early.analysis.metrics["orders"].excluded == early.waiting["orders"]
    assert early.run_time.units_needed is not None
    assert early.run_time.days_left is not None
    assert early.run_time.units_per_day > 100


def test_a_split_that_was_not_meant_waits_whatever_was_won(ledger: Ledger) -> None:
    of = policy(experiment(weights=[0.9, 0.1], method="fixed"))
    traffic = Traffic(policy(experiment()))
    traffic.crowd(300, orders={OLD: 0.1, NEW: 0.9})
    traffic.store(ledger)
    found = report(ledger, of)
    assert found.analysis.srm.alarm
    assert found.analysis.verdicts[NEW].word is Word.WAIT
    assert "split" in found.analysis.verdicts[NEW].sentence


@pytest.mark.parametrize(("said", "alarms"), [(0.6, False), (0.2, True)])
def test_more_visitors_than_the_coverage_lets_in_are_an_alarm(ledger: Ledger, said: float, alarms: bool) -> None:  # noqa: FBT001
    traffic = Traffic(policy(experiment(coverage=0.6)))
    traffic.crowd(200, orders={OLD: 0.1, NEW: 0.9})
    traffic.store(ledger)
    found = report(ledger, policy(experiment(coverage=said, method="fixed")))
    assert found.coverage is not None
    assert sum(found.coverage.observed.values()) == 200
    assert found.coverage.alarm is alarms
    assert ("take part" in found.analysis.verdicts[NEW].sentence) is alarms


def test_clicks_alone_never_ship(ledger: Ledger) -> None:
    of = policy(experiment(outcome=Metric("joy", "click", window_hours=24), method="fixed"))
    traffic = Traffic(of)
    traffic.visit(SubjectId("1" * 32), LATER_MS - 5 * DAY_MS)
    traffic.store(ledger)
    said = report(ledger, of).analysis.verdicts[NEW]
    assert said.word is Word.WAIT
    assert "joy alone says nothing of the business" in said.sentence


def test_nobody_there_is_said_so(ledger: Ledger) -> None:
    found = report(ledger, policy())
    assert found.began_ms is None
    assert found.analysis.verdicts[NEW].word is Word.WAIT
    assert found.run_time.days_left is None
    assert "Nobody was exposed" in report_page(found)
    assert found.key == KEY


def test_a_running_hub_reads_only_so_much_and_a_report_once_a_while(ledger: Ledger) -> None:
    of = policy()
    traffic = Traffic(of)
    traffic.visit(SubjectId("1" * 32), LATER_MS - 5 * DAY_MS)
    traffic.store(ledger)
    reports = ReportsNow(ledger, lambda: of, lambda _: None, every_ms=1_000)
    first = reports.at(KEY, LATER_MS)
    assert reports.at(KEY, LATER_MS + 999) is first
    assert reports.at(KEY, LATER_MS + 1_000).until_ms == LATER_MS + 1_000
    with pytest.raises(UnavailableError, match="1 decisions, a running hub reads 0; run `edgewise experiment report"):
        ReportsNow(ledger, lambda: of, lambda _: None, most=0).at(KEY, LATER_MS)
