"""Journeys are enabled one at a time: by data first, then by the verdict on an earlier one, or by a reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from experiment_world import HOME, KEY, LATER_MS, NEW, OLD, REFUNDS, VERSION, Traffic, experiment, policy

from edgewise.errors import InputError, RefusedError
from edgewise.ids import ArmName
from hub.data_audit.audit import Audit, Fix, Point
from hub.journeys.enabled import enabled_journeys
from hub.journeys.enabling import Gate, Verdicts, data_gate, enable, pause, verdict_gate, verdicts_on
from hub.journeys.overview import listed, placements_of
from hub.ledger.journeys import JourneyState, JourneySwitch
from hub.ledger.ledger import Ledger, open_ledger
from hub.ledger.rows import AuditEntry, ReleaseRow, ReleaseStatus
from hub.release.held_back import held_back
from hub.site.journey_file import Champion, JourneyFile, StepFile, Trigger

PAGE = JourneyFile(placements=[HOME])
MAIL = JourneyFile(kind="mail", trigger=Trigger("Product Added"), steps=[StepFile(HOME)])
NONE: dict[str, JourneyFile] = {}
OPEN = Gate("data", is_open=True, sentence="all of it is known")
CLOSED = Gate("data", is_open=False, sentence="20% of what the journey needs is known.")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path) as opened:
        yield opened


def audit(*lost: float, people: int = 10) -> Audit:
    points = [Point("event", f"e{n}", "", 0.25, {}, 1 - share, False, 0.25 * share) for n, share in enumerate(lost)]
    fix = Fix("absent", "event e0", 0.1, 3, "Bring in event 'e0'.")
    return Audit("j", 0, 90, people, 1, points, [], 0.0, [fix], [fix], "")


def test_the_first_journey_waits_for_its_data(ledger: Ledger) -> None:
    assert data_gate(PAGE, audit(0.0, 0.9)).is_open
    held = data_gate(PAGE, audit(0.5, 0.6))
    assert not held.is_open
    assert held.sentence == (
        "45% of what the journey needs is known of 10 active people, 50% are asked; first: Bring in event 'e0'."
    )
    assert not data_gate(PAGE, audit(0.0, people=0)).is_open, "of nobody nothing is known"
    assert verdict_gate(verdicts_on(ledger, "banner", NONE.get, None, lambda _: None, days=9, now_ms=LATER_MS)) is None


def test_a_held_journey_is_enabled_only_with_a_reason_which_the_audit_keeps(ledger: Ledger) -> None:
    with pytest.raises(RefusedError, match=r"is known\. Whoever .*--override REASON"):
        enable(ledger, "banner", [CLOSED], by="Ann", now_ms=1)
    assert enabled_journeys(ledger) == set()
    switch = enable(ledger, "banner", [CLOSED], by="Ann", override="a demonstration", now_ms=2)
    assert (switch.reason, switch.gates) == ("a demonstration", (CLOSED.sentence,))
    assert enabled_journeys(ledger) == {"banner"}
    (entry,) = ledger.audit(limit=9, what={"journey enable"})
    assert (entry.who, entry.subject, entry.detail["override"]) == ("Ann", "banner", "a demonstration")
    with pytest.raises(InputError, match="enabled already, by Ann"):
        enable(ledger, "banner", [OPEN], by="Bo", now_ms=3)


def test_a_reason_that_is_not_needed_is_not_kept(ledger: Ledger) -> None:
    assert enable(ledger, "banner", [OPEN], by="Ann", override="just so", now_ms=1).reason == ""


def test_a_paused_journey_is_enabled_no_more_and_can_be_again(ledger: Ledger) -> None:
    with pytest.raises(InputError, match="not enabled"):
        pause(ledger, "banner", by="Ann", reason="", now_ms=1)
    enable(ledger, "banner", [OPEN], by="Ann", now_ms=1)
    enable(ledger, "cart", [OPEN], by="Ann", now_ms=2)
    pause(ledger, "banner", by="Bo", reason="a strike", now_ms=3)
    assert enabled_journeys(ledger) == {"cart"}
    (entry,) = ledger.audit(limit=9, what={"journey pause"})
    assert entry.detail["reason"] == "a strike"
    enable(ledger, "banner", [OPEN], by="Ann", now_ms=4)
    assert enabled_journeys(ledger) == {"banner", "cart"}


def test_two_who_say_something_at_once_do_not_both(ledger: Ledger) -> None:
    said = JourneySwitch(journey="banner", state=JourneyState.ENABLED, who="Ann", time_ms=1)
    ledger.switch_journey(said, AuditEntry("Ann", "journey enable", "banner"), after=0)
    with pytest.raises(RefusedError, match="meanwhile"):
        ledger.switch_journey(said, AuditEntry("Bo", "journey enable", "banner"), after=0)
    assert len(ledger.journey_switches()) == 1


def test_the_next_journey_waits_for_a_verdict_on_an_earlier_one(ledger: Ledger) -> None:
    of = policy(experiment(method="fixed", guardrails=[msgspec.structs.replace(REFUNDS, threshold=0.5)]))
    enable(ledger, "banner", [OPEN], by="Ann", now_ms=1)
    journeys: dict[str, JourneyFile] = {"banner": PAGE}
    known = journeys.get

    def asked() -> Verdicts:
        return verdicts_on(ledger, "cart", known, of, lambda _: None, days=60, now_ms=LATER_MS)

    held = verdict_gate(asked())
    assert held is not None
    assert not held.is_open
    assert held.sentence == "there is no verdict yet on banner, which came before"
    traffic = Traffic(of)
    traffic.crowd(600, orders={OLD: 0.1, NEW: 0.5}, refunds={OLD: 0.3, NEW: 0.3})
    traffic.store(ledger)
    found = verdict_gate(asked())
    assert found is not None
    assert found.is_open
    assert found.sentence.startswith(f"banner, {KEY}: Ship: orders")
    own = verdicts_on(ledger, "banner", known, of, lambda _: None, days=60, now_ms=LATER_MS)
    assert own == ((), ()), "no journey waits for itself"


def test_pages_of_a_journey_that_nobody_enabled_serve_the_champion_alone() -> None:
    of = policy()
    built = held_back(of, {"banner": PAGE, "cart": MAIL}, ())
    placement = built.placements[HOME]
    assert (placement.arm, placement.experiment, placement.safe) == (OLD, None, True)
    assert held_back(of, {"banner": PAGE}, {"banner"}) is of
    assert held_back(of, {"cart": MAIL}, ()) is of, "what mails ask is asked by nobody else"
    said = JourneyFile(placements=[HOME], champion=Champion(ArmName("new")))
    assert held_back(of, {"banner": said}, ()).placements[HOME].arm == "new"


def test_a_page_journey_is_in_force_with_a_release_that_is_built_since() -> None:
    said = JourneySwitch(number=1, journey="banner", state=JourneyState.ENABLED, who="Ann", time_ms=50)
    journeys = {"banner": PAGE, "cart": MAIL, "later": JourneyFile()}
    states = {"banner": said, "cart": said}

    def live(built_ms: int) -> ReleaseRow:
        return ReleaseRow(VERSION, "d", built_ms, status=ReleaseStatus.LIVE)

    def in_force(row: ReleaseRow | None) -> dict[str, bool]:
        return {of.name: of.is_in_force for of in listed(journeys, states, row).journeys}

    assert in_force(live(49)) == {"banner": False, "cart": True, "later": True}
    assert in_force(live(51))["banner"]
    assert not in_force(None)["banner"]
    kinds = [(of.name, of.kind, of.state) for of in listed(journeys, states, None).journeys]
    assert kinds == [("banner", "page", "enabled"), ("cart", "mail", "enabled"), ("later", "audit", "off")]
    assert placements_of(MAIL) == (HOME,)
