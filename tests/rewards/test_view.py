"""The live view: what became of decisions, on either database, by command, over HTTP and as metrics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from hub_records import NODE, NOW_MS, SUBJECT, event, payloads
from rewards_world import ASIDE, HOME, HOUR_MS, said, shown
from starlette.testclient import TestClient
from typer.testing import CliRunner

from edgewise.bundle.policy import Placement, Policy, Site
from edgewise.bundle.rewards import RewardDefinition, TrafficRules
from edgewise.clock import ManualClock, SystemClock
from edgewise.errors import InputError
from edgewise.ids import ArmName, CollectionName, ItemId, MessageId, PlacementName, SiteName, SubjectId
from edgewise.records import DecisionRecord, EventRecord
from edgewise.request import Context
from hub.admin.app import Admin, admin_app
from hub.commands.hub import app as hub_app
from hub.facts.board import FactsBoard
from hub.ledger.batch import Batch
from hub.ledger.ledger import Ledger, open_ledger
from hub.meters import Meters
from hub.release.repository import Repository
from hub.rewards import join
from hub.rewards.exposures import exposures_of
from hub.rewards.join import join_records, joined
from hub.rewards.joined import Traffic, canonical_bytes
from hub.rewards.view import rewards_view
from hub.settings import HubSettings

OTHER = SubjectId("7" * 32)
NOW = NOW_MS + 30 * HOUR_MS
REWARD = RewardDefinition({"click": 1.0, "order": 10.0})


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path) as opened:
        yield opened


def store(ledger: Ledger, *records: DecisionRecord | EventRecord) -> None:
    """Numbered anew, in the order in which they are given."""
    start = ledger.stored_seq(NODE) + 1
    numbered = [msgspec.structs.replace(record, seq=start + index) for index, record in enumerate(records)]
    ledger.store([Batch(NODE, payloads(*numbered))], NOW_MS)


def policy(traffic: TrafficRules | None = None) -> Policy:
    """Two placements, one with a reward."""
    arm = ArmName("popular")
    plain = Placement(CollectionName("all"), {}, arm, arm, [ItemId("a")])
    return Policy(
        site=Site(SiteName("shop"), "salt", traffic=traffic or TrafficRules()),
        placements={HOME: msgspec.structs.replace(plain, reward=REWARD), ASIDE: plain},
        collections={},
    )


def history() -> list[DecisionRecord | EventRecord]:
    """A click that names its decision, an order by another name of the visitor, a decision that was never shown."""
    first, second = shown(1, "a", "b", others={ASIDE: ("c",)}), shown(2, "b")
    deferred = shown(3, "a", deferred=True)
    links = said(1, "Signed In", at_ms=NOW_MS, subject=OTHER, identifiers={"userId": SUBJECT}, vouched=True)
    click = said(2, "Content Clicked", "a", at_ms=first.time_ms + 9, of=first)
    order = said(3, "Order Completed", "b", at_ms=second.time_ms + HOUR_MS, subject=OTHER)
    lost = said(4, "Content Clicked", "a", at_ms=second.time_ms, decision_id=deferred.decision_id)
    return [first, second, deferred, links, click, order, lost]


def test_the_view_tells_what_became_of_every_decision(ledger: Ledger) -> None:
    store(ledger, *history())
    view = rewards_view(ledger, policy(), since_ms=NOW_MS, now_ms=NOW)
    home, aside = sorted(view.placements, key=lambda each: each.placement != HOME)

    assert (home.made, home.shown, home.rewarded, home.learnable) == (3, 2, 2, 2)
    assert home.dropped == {"not-shown": 1}
    assert home.bad == {"decision-left-out": 1}
    assert home.mean_reward == pytest.approx((1 + 0 + 10) / 3)
    assert (aside.made, aside.defined, aside.mean_reward) == (1, False, 0.0)


def test_a_decision_is_read_once_however_many_placements_are_told_of(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running hub tells of all of them: what it costs must not grow with their number."""
    store(ledger, *history())
    read = []

    def counting(record: DecisionRecord, *args: Any, **more: Any) -> Any:
        read.append(record.decision_id)
        return exposures_of(record, *args, **more)

    monkeypatch.setattr(join, "exposures_of", counting)
    assert len(rewards_view(ledger, policy(), since_ms=NOW_MS, now_ms=NOW).placements) == 2
    assert len(read) == len(set(read)) == 3


def test_a_join_reads_the_same_from_a_ledger_in_any_order(tmp_path: Path) -> None:
    """And the same as from the records themselves."""
    found = []
    for folder, records in (("one", history()), ("other", history()[::-1])):
        (tmp_path / folder).mkdir()
        with open_ledger(tmp_path / folder) as ledger:
            store(ledger, *records)
            store(ledger, *records[:3])  # once more: the ledger keeps the first of each
            whole = joined(ledger, HOME, REWARD, since_ms=NOW_MS, until_ms=NOW, now_ms=NOW)
            repeats = sum(isinstance(each, DecisionRecord) for each in records[:3])
            assert whole.counts.bad.pop("repeated-decision", 0) == repeats
            found.append(canonical_bytes(whole))
    records = history()
    plain = join_records(
        [each for each in records if isinstance(each, DecisionRecord)],
        [each for each in records if isinstance(each, EventRecord)],
        HOME,
        REWARD,
        since_ms=NOW_MS,
        until_ms=NOW,
        now_ms=NOW,
        person_of=lambda subject: SUBJECT if subject == OTHER else subject,
    )
    assert found == [canonical_bytes(plain)] * 2


def test_records_that_lie_in_files_are_joined_as_ever(ledger: Ledger) -> None:
    """Old ones move out of the database; rows stay the same to the byte."""
    store(ledger, *history())
    before = joined(ledger, HOME, REWARD, since_ms=NOW_MS, until_ms=NOW, now_ms=NOW)
    moved = ledger.lake.compact(before_ms=NOW + 1, now_ms=NOW, least_records=1)
    assert moved.records == len(history())
    after = joined(ledger, HOME, REWARD, since_ms=NOW_MS, until_ms=NOW, now_ms=NOW)

    assert before.counts.rewarded == 2
    assert canonical_bytes(after) == canonical_bytes(before)


def test_windows_of_a_ledger_hold_together_what_one_holds(ledger: Ledger) -> None:
    """An outcome far behind its window is found there, and nowhere else."""
    first, second = shown(1, "a"), shown(7_200, "a")
    late = said(1, "Content Clicked", "a", at_ms=first.time_ms + 28 * HOUR_MS, of=first)
    order = said(2, "Order Completed", "a", at_ms=second.time_ms + HOUR_MS)
    store(ledger, first, second, late, order)
    cut_ms = NOW_MS + HOUR_MS
    before, after = (
        joined(ledger, HOME, REWARD, since_ms=since_ms, until_ms=until_ms, now_ms=NOW)
        for since_ms, until_ms in ((NOW_MS, cut_ms), (cut_ms, NOW))
    )
    assert (before.reward.tolist(), len(before.late[0])) == ([0], 1)
    assert (after.reward.tolist(), after.late) == ([10], ((),))


def test_bots_and_staff_are_told_apart_and_counted(ledger: Ledger) -> None:
    """By rate, by the page's mark, by the site's rules: with all names of a person; nothing of theirs is learned."""
    bot, staff, tester, guest = (SubjectId(letter * 32) for letter in "bcde")
    fast = [event(0, message=MessageId(f"fast{n}"), subject=bot, time_ms=NOW_MS, touches=()) for n in range(5)]
    trait = said(90, "", at_ms=NOW_MS, subject=staff, type="identify", traits={"employee": True})
    link = said(91, "Signed In", at_ms=NOW_MS, subject=tester, identifiers={"userId": SUBJECT}, vouched=True)
    marked = Context(attributes={"bot": True})
    store(
        ledger,
        *fast,
        trait,
        link,
        shown(1, "a", subject=bot),
        shown(2, "a", subject=staff),
        shown(3, "a", subject=tester),
        shown(4, "a", subject=guest, context=marked),
        shown(5, "a", subject=guest, force={HOME: "popular"}),
        shown(6, "a", subject=guest),
    )
    rules = TrafficRules(most_per_minute=4, internal_subjects=[SUBJECT], internal_traits=["employee"])
    found = joined(ledger, HOME, REWARD, since_ms=NOW_MS, until_ms=NOW, now_ms=NOW, policy=policy(rules))

    bots, internal, visitor = Traffic.BOT, Traffic.INTERNAL, Traffic.VISITOR
    assert found.traffic == (bots, internal, internal, bots, internal, visitor)
    assert found.counts.traffic == {"bot": 2, "internal": 3, "visitor": 1}
    assert found.is_counted.tolist() == found.is_learnable.tolist() == [False] * 5 + [True]


def test_a_view_of_the_latest_decisions_is_cut_and_says_so(ledger: Ledger) -> None:
    """What came of older ones is left out with them, and is no bad input."""
    first, *others = (shown(seq, "a") for seq in range(1, 5))
    click = said(1, "Content Clicked", "a", at_ms=first.time_ms, of=first)
    store(ledger, first, *others, click)
    cut = rewards_view(ledger, policy(), since_ms=NOW_MS, now_ms=NOW, placement=HOME, most=3)
    whole = rewards_view(ledger, policy(), since_ms=NOW_MS, now_ms=NOW, placement=HOME, most=4)

    assert (cut.cut, cut.placements[0].made, cut.placements[0].rewarded, cut.placements[0].bad) == (True, 3, 0, {})
    assert (whole.cut, whole.placements[0].made, whole.placements[0].rewarded) == (False, 4, 1)


def test_the_view_over_http_and_as_metrics(ledger: Ledger) -> None:
    store(ledger, *history())
    clock = ManualClock(NOW_MS + HOUR_MS * 2)
    board = FactsBoard(ledger, Repository(ledger.storage.shelf.folder.parent, clock), clock)
    admin = Admin(
        ledger,
        Meters(),
        "i" * 32,
        SiteName("shop"),
        ledger.releases,
        lambda: "",
        clock,
        structlog.get_logger(),
        board,
        policy=policy,
    )
    client = TestClient(admin_app(admin, HubSettings()), base_url="http://127.0.0.1:8092")

    one = client.get("/api/v1/rewards", params={"placement": HOME}).json()
    assert [(each["placement"], each["made"], each["waiting"]) for each in one["placements"]] == [(HOME, 3, 2)]
    assert len(client.get("/api/v1/rewards").json()["placements"]) == 2
    assert client.get("/api/v1/rewards", params={"placement": "hme"}).status_code == 404
    documented = client.get("/openapi.json").json()["paths"]["/api/v1/rewards"]["get"]["parameters"]
    assert [(each["name"], each["in"], each["required"]) for each in documented] == [("placement", "query", False)]
    metrics = client.get("/metrics").text
    assert f'edgewise_rewards{{placement="{HOME}",state="rewarded"}} 2.0' in metrics
    assert f'edgewise_rewards_dropped{{placement="{HOME}",why="not-shown"}} 1.0' in metrics


def test_the_command_shows_the_view(ledger: Ledger, tmp_path: Path) -> None:
    """Before anything was released every click counts 1, and it says so."""
    now_ms = SystemClock().now_ms()
    made = shown(1, "a", at_ms=now_ms - HOUR_MS)
    store(ledger, made, said(1, "Content Clicked", "a", at_ms=made.time_ms + 9, of=made))
    run = CliRunner().invoke(hub_app, ["rewards", "--data-dir", str(tmp_path), "--json"])
    assert run.exit_code == 0, run.output
    placements = msgspec.json.decode(run.stdout)["placements"]
    assert [(each["placement"], each["made"], each["rewarded"]) for each in placements] == [(HOME, 1, 1)]

    for_people = CliRunner().invoke(hub_app, ["rewards", "--data-dir", str(tmp_path), "--hours", "2"])
    assert "home: no reward is defined; a click counts 1" in for_people.output


def test_an_unknown_placement_is_refused_with_those_that_there_are(ledger: Ledger) -> None:
    with pytest.raises(InputError, match="no placement 'hme'; there are aside, home"):
        rewards_view(ledger, policy(), since_ms=0, now_ms=NOW, placement=PlacementName("hme"))
