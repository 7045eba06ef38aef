"""A model on a node for 16 days: on the last one what it sees, scores or brings is another, or nothing comes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, generate_latest
from release_world import Shop, tiny_model

from edgewise.consent import Grants
from edgewise.decision import ChosenItem, Decision, PlacementDecision, canonical_bytes
from edgewise.errors import EdgewiseError, InputError
from edgewise.ids import (
    ArmName,
    BundleVersion,
    DecisionId,
    ItemId,
    MessageId,
    ModelName,
    PlacementName,
    Producer,
    SubjectId,
    ulid,
)
from edgewise.reasons import Degradation, Reason
from edgewise.records import DecisionRecord, EventRecord, FeatureRows, Record, Touch, encode_record
from edgewise.request import Context, PlacementRequest
from hub.admin.watched import WatchCollector
from hub.commands.model import app
from hub.ledger.batch import Batch
from hub.monitor.keeping import keep, kept
from hub.monitor.page import watch_page
from hub.monitor.watch import WatchPlan, WatchReport, watch, watched

pytestmark = pytest.mark.slow  # a signed release and a trained model stand behind it
DAY_MS = 86_400_000
DAYS = 16
A_DAY = 80
HERO, ARM = PlacementName("home_hero"), ArmName("challenger")
RANKER = ModelName("ranker")
GRANTED = Grants(personalisation=True, analytics=True)


class Day(NamedTuple):
    """What is shown in one day."""

    matrix: NDArray[np.float32]
    score: NDArray[np.float64]
    clicked: NDArray[np.bool_]


Change = Callable[[Day], Day]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    made = Shop(tmp_path_factory.mktemp("site"))
    made.rank_by_model()
    made.registry.register(RANKER, tiny_model(made.contents().features), {"data": {"to": "2020-01-01"}}, by="Ann")
    made.registry.approve(RANKER, 1, by="Ann")
    made.registry.promote(RANKER, 1, by="Ann")
    made.live()
    return made


def days(columns: int, change: Change) -> list[Day]:
    """The latest first; the same chances every day, but for what `change` does to the latest."""
    # Of their own generator, so that another feature of the site does not draw other scores.
    features, rng = np.random.default_rng(7), np.random.default_rng(21)
    made = []
    for _ in range(DAYS):
        matrix = features.lognormal(size=(A_DAY, columns)).astype(np.float32)
        score = rng.normal(size=A_DAY)
        made.append(Day(matrix, score, rng.random(A_DAY) < 1 / (1 + np.exp(1 - score))))
    return [change(made[0]), *made[1:]]


class Traffic:
    """Stores days as a node would have reported them; each test's visitors come from a node of their own."""

    def __init__(self, site: Shop) -> None:
        self.site = site
        self.names = tuple(feature.name for feature in site.contents().features.features)

    def records(self, producer: Producer, found: list[Day]) -> list[Record]:
        records: list[Record] = []
        live = self.site.releases.live()
        assert live is not None
        end_ms = self.site.clock.now_ms()
        for number, day in enumerate(found):
            for row in range(len(day.score)):
                time_ms = end_ms - number * DAY_MS - (row + 1) * DAY_MS // (A_DAY + 2)
                identifier = DecisionId(ulid(time_ms, f"{producer}{row:03d}".encode()[-10:]))
                records += self._pair(producer, len(records), identifier, time_ms, day, row=row, live=live)
        return records

    def _pair(
        self,
        producer: Producer,
        seq: int,
        decision_id: DecisionId,
        time_ms: int,
        day: Day,
        *,
        row: int,
        live: BundleVersion,
    ) -> list[Record]:
        item = ItemId("rooibos")
        chosen = ChosenItem(item, 1, Reason.MODEL, float(day.score[row]), 1.0, "")
        placed = PlacementDecision((chosen,), Reason.MODEL, ARM)
        shown = FeatureRows(self.names, (item,), day.matrix[row].astype("<f4").tobytes())
        made: list[Record] = [
            DecisionRecord(
                producer=producer,
                seq=seq,
                decision_id=decision_id,
                subject=SubjectId(""),
                time_ms=time_ms,
                bundle_version=live,
                bundle_digest="d" * 64,
                facts_version=0,
                placements=(PlacementRequest(HERO),),
                context=Context(),
                grants=GRANTED,
                dial=3,
                degradation=Degradation.NONE,
                applied={},
                decision=canonical_bytes(Decision(decision_id, live, "d" * 64, {HERO: placed})),
                shown={HERO: shown},
            )
        ]
        if day.clicked[row]:
            made.append(
                EventRecord(
                    producer=producer,
                    seq=seq + 1,
                    subject=SubjectId(""),
                    message_id=MessageId(f"{producer}:{seq}"),
                    type="track",
                    name="Content Clicked",
                    time_ms=time_ms + 1,
                    received_ms=time_ms + 1,
                    grants=GRANTED,
                    touches=(Touch(item),),
                    decision_id=decision_id,
                    placement=HERO,
                )
            )
        return made


def looked(site: Shop, change: Change = lambda day: day) -> WatchReport:
    """Store the days and look, then move on by so long that the next test sees nothing of them."""
    traffic = Traffic(site)
    site.clock.advance(2 * DAYS * DAY_MS)
    producer = Producer(f"n-{site.clock.now_ms() // DAY_MS}/1/0")
    records = traffic.records(producer, days(len(traffic.names), change))
    site.ledger.store([Batch(producer, [encode_record(record) for record in records])], site.clock.now_ms())
    plan = WatchPlan(past=DAYS - 1, settle_hours=0)
    return watch(site.ledger, site.releases, RANKER, watched(site.releases, RANKER), plan, now_ms=site.clock.now_ms())


def test_days_like_the_others_are_well(site: Shop) -> None:
    found = looked(site)
    assert (found.alarms, found.version, found.rows) == ([], 1, [A_DAY] * DAYS)
    assert {found.features.verdict, found.score.verdict, found.calibration.verdict} == {"ok"}
    assert found.features.false_alarm_rate == 1 / DAYS
    assert found.freshness.decisions == [A_DAY] * DAYS


def moved_column(day: Day) -> Day:
    matrix = day.matrix.copy()
    matrix[:, 1] *= 8
    return day._replace(matrix=matrix)


def test_the_feature_that_changed_is_named(site: Shop) -> None:
    found = looked(site, moved_column)
    (alarm,) = found.alarms
    assert alarm.startswith("what the model sees has changed more than ever in 15 stretches: ")
    assert [column.name for column in found.features.columns if column.is_alarm] == [Traffic(site).names[1]]


def test_scores_that_changed_are_told(site: Shop) -> None:
    # as much comes of them as of such scores before
    found = looked(site, lambda day: day._replace(score=day.score + 3, clicked=np.ones(A_DAY, np.bool_)))
    assert found.score.verdict == "alarm"
    assert found.features.verdict == "ok"


def test_less_that_comes_of_a_score_is_told(site: Shop) -> None:
    found = looked(site, lambda day: day._replace(clicked=np.zeros(A_DAY, np.bool_)))
    assert (found.calibration.verdict, found.calibration.ratio) == ("alarm", 0.0)
    assert found.score.verdict == found.features.verdict == "ok"


def test_an_empty_day_is_told(site: Shop) -> None:
    found = looked(site, lambda day: Day(day.matrix[:0], day.score[:0], day.clicked[:0]))
    assert found.features.verdict == "learning"
    assert any(alarm.startswith("no decision of this model came") for alarm in found.alarms)
    assert any(alarm.startswith("no event came") for alarm in found.alarms)


def test_what_was_found_is_kept_for_metrics_and_shown(site: Shop, tmp_path: Path) -> None:
    found = looked(site, moved_column)
    keep(tmp_path, found)
    (tmp_path / "monitor" / "broken.json").write_text("{")
    assert kept(tmp_path) == [found]
    registry = CollectorRegistry()
    registry.register(WatchCollector(tmp_path, site.ledger, site.clock))
    told = generate_latest(registry).decode()
    assert 'edgewise_model_alarm{model="ranker",version="1",what="features"} 1.0' in told
    assert 'edgewise_model_alarm{model="ranker",version="1",what="score"} 0.0' in told
    assert 'edgewise_newest_record_age_seconds{kind="decision"}' in told
    shown = watch_page(found)
    assert "<svg" in shown
    assert "ALARM" in shown


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = 0
    try:
        app([str(word) for word in words])
    except SystemExit as left:
        code = int(left.code or 0)
    except EdgewiseError as refused:
        code, _ = 1, capsys.readouterr()
        return code, "", str(refused)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_by_command(site: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    html = tmp_path / "watch.html"
    code, said, _ = run(capsys, "watch", "ranker", "--data-dir", site.data_dir, "--json", "--html", html, "--past", 3)
    found: dict[str, Any] = json.loads(said)
    assert (code, found["version"], found["features"]["verdict"]) == (0, 1, "learning")
    assert html.read_text().startswith("<!doctype html>")
    assert (site.data_dir / "monitor" / "ranker.json").is_file()
    assert "no model 'nobody'" in run(capsys, "watch", "nobody", "--data-dir", site.data_dir)[2]
    assert run(capsys, "watch", "ranker@x", "--data-dir", site.data_dir)[0] == 2


def test_a_plan_without_stretches_is_refused(site: Shop) -> None:
    with pytest.raises(InputError, match="each longer than nothing"):
        watch(site.ledger, site.releases, RANKER, 1, WatchPlan(hours=0), now_ms=1)
