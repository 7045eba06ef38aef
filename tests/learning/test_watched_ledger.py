"""What nodes report, counted for the canary, the page and the metrics: by release, visitors only, rewards as joined."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hub_records import NODE, NOW_MS
from prometheus_client import CollectorRegistry, generate_latest
from rewards_world import HOME, HOUR_MS, said, shown
from world import placement, policy

from edgewise.bundle.policy import LiveFact
from edgewise.ids import BundleVersion, ModelName, NodeId, SubjectId
from edgewise.profile.state import DAY_MS
from edgewise.reasons import Degradation, State
from edgewise.records import encode_record
from hub.admin.learning import LearningCollector
from hub.learning.canary import CanarySeen, look
from hub.learning.news import News, decided_ms, news_of
from hub.learning.page import learning_page
from hub.learning.story import Day, FastFact, FastLoop, Story, bound_of, fast_loop
from hub.ledger.batch import Batch
from hub.ledger.learning import Step, StepName, StepState, Switch, TurnState
from hub.ledger.ledger import Ledger, open_ledger
from hub.ledger.rows import NodeRow
from hub.site.recipes import DecisionRecipe, Outcome, RankerRecipe

LIVE, CANDIDATE = BundleVersion(1), BundleVersion(2)
POLICY = policy({HOME: placement()})
RECIPE = RankerRecipe(outcome=Outcome("click"), placement=HOME, decisions=DecisionRecipe())
LATER_MS = NOW_MS + 50 * HOUR_MS
N_A = NodeId("n-a")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """Six decisions of three visitors, the later three by the candidate; a click on the first and the fourth."""
    records = [
        shown(
            number,
            "film-1",
            "film-2",
            subject=SubjectId(f"{number % 3}" * 32),
            bundle_version=LIVE if number < 3 else CANDIDATE,
            degradation=Degradation.SCORER if number == 5 else Degradation.NONE,
        )
        for number in range(6)
    ]
    trial = shown(6, "film-1", bundle_version=CANDIDATE, dry_run=True)
    clicks = [
        said(n, "Content Clicked", "film-1", at_ms=NOW_MS + 60_000 + n, of=records[of], subject=records[of].subject)
        for n, of in enumerate((0, 3))
    ]
    with open_ledger(tmp_path_factory.mktemp("hub")) as opened:
        payloads = [encode_record(record) for record in (*records, trial)]
        payloads += [encode_record(msgspec.structs.replace(click, seq=7 + n)) for n, click in enumerate(clicks)]
        opened.store([Batch(NODE, payloads)], LATER_MS)
        opened.save_nodes([NodeRow(N_A, State.READY, CANDIDATE, "", 1, True, NOW_MS, LATER_MS)])
        yield opened


def looked(ledger: Ledger, *nodes: NodeId) -> CanarySeen:
    return look(ledger, POLICY, HOME, nodes=nodes, candidate=CANDIDATE, live=LIVE, since_ms=NOW_MS - 1, now_ms=LATER_MS)


def test_a_look_counts_both_releases_and_no_trial(ledger: Ledger) -> None:
    seen = looked(ledger, N_A)
    assert (seen.canary.decisions, seen.canary.degraded, seen.canary.units, seen.canary.reward) == (3, 1, 3, 1.0)
    assert (seen.others.decisions, seen.others.degraded, seen.others.reward) == (3, 0, 1.0)
    assert (seen.silent, seen.errors, seen.refusals) == ((), (), ())
    assert seen.hours == pytest.approx(50, abs=0.01)


def test_a_node_that_nobody_hears_is_silent(ledger: Ledger) -> None:
    assert looked(ledger, N_A, NodeId("n-z")).silent == ("n-z",)


def counted(ledger: Ledger, *, since: News | None = None, now_ms: int = LATER_MS) -> News:
    return news_of(ledger, POLICY, HOME, RECIPE, since=since, now_ms=now_ms)


def test_news_are_counted_once_and_only_what_has_settled(ledger: Ledger) -> None:
    first = counted(ledger)
    assert (first.decisions, first.outcomes, first.new) == (6, 2, 6)
    assert first.newest_ms == NOW_MS + 5_000
    assert first.joined.made == 7
    again = counted(ledger, since=msgspec.convert(msgspec.to_builtins(first), News))
    assert (again.decisions, again.outcomes, again.new) == (0, 0, 0)
    assert counted(ledger, now_ms=NOW_MS + 2 * HOUR_MS).decisions == 0, "clicks may still come"
    times = decided_ms(ledger, POLICY, HOME, since_ms=0, until_ms=LATER_MS, now_ms=LATER_MS)
    assert times == [NOW_MS + number * 1_000 for number in range(6)]


def test_metrics_say_which_turns_need_a_person(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    with open_ledger(tmp_path) as ledger:
        registry.register(LearningCollector(ledger))
        turn = ledger.begin_turn(ModelName("hero"), ModelName("ranker"), HOME, 1)
        step = Step(turn=1, number=0, name=StepName.APPROVAL, state=StepState.WAITS, time_ms=2, who="loop")
        ledger.add_step(step, state=TurnState.WAITING)
        text = generate_latest(registry).decode()
        assert 'edgewise_learning_turns{model="hero",state="waiting"} 1.0' in text
        assert 'edgewise_learning_turns{model="hero",state="running"} 0.0' in text
        assert "edgewise_learning_halted 0.0" in text
        ledger.throw_switch(halted=True, who="Ann", reason="a sale", now_ms=3)
        assert "edgewise_learning_halted 1.0" in generate_latest(registry).decode()
    del turn


# --- the page ---------------------------------------------------------------------------------------------------------
def test_the_fast_loop_says_what_nothing_bounds(ledger: Ledger) -> None:
    facts = {"views_1h": LiveFact(), "trending": LiveFact(), "price": LiveFact(most_change=0.5, min=0.0)}
    fast = fast_loop(ledger, policy({HOME: placement()}, live_facts=facts))
    assert fast.facts == [
        FastFact("price", counted=False, bound="at most 50% from what was released, at least 0"),
        FastFact("trending", counted=True, bound="a share, as it is counted"),
        FastFact("views_1h", counted=True, bound=""),
    ]
    assert (fast.halted, fast.version, fast_loop(ledger, None).facts) == (False, None, [])
    assert bound_of("price", LiveFact(max=9.0)) == "at most 9"


def test_the_page_draws_lifts_and_days_and_warns(ledger: Ledger) -> None:
    del ledger
    fast = FastLoop([FastFact("views_1h", counted=True, bound="")], True, 3, 7, NOW_MS, "hub", ["facts halt by Ann"])
    told = Story(
        now_ms=NOW_MS,
        switch=Switch(1, halted=True, who="Ann", reason="<b>sale</b>", time_ms=NOW_MS),
        turns=[],
        days={HOME: [Day(NOW_MS // DAY_MS, LIVE, 4, 2.0), Day(NOW_MS // DAY_MS + 1, CANDIDATE, 5, 4.0)]},
        fast=fast,
    )
    html = learning_page(told)
    assert "&lt;b&gt;sale&lt;/b&gt;" in html
    assert "Counted from what visitors do, and nothing bounds them: views_1h." in html
    assert "Live facts are halted: version 3 with 7 numbers, counted by the hub" in html
    for said_of in ("release 1", "release 2", "0.5", "0.8", "None has begun yet."):
        assert said_of in html
