"""One visitor's story: facts from the canonical profile, and a timeline that says who reported what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_records import NODE, NOW_MS, decision, decision_id, event, payloads, preference

from edgewise.consent import Consent, ConsentState
from edgewise.decision import ChosenItem, Decision, PlacementDecision, canonical_bytes
from edgewise.errors import InputError
from edgewise.events import Kind
from edgewise.ids import ArmName, BundleVersion, ItemId, MessageId, PlacementName, Producer, SubjectId
from edgewise.reasons import Reason
from edgewise.records import Touch
from edgewise.subjects import subject_of
from hub.ledger.batch import Batch
from hub.ledger.ledger import Ledger, open_ledger
from hub.profile_story import story_of, subject_named

KEY = b"k" * 32
ANN = subject_of(KEY, "anonymousId", "ann")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path) as opened:
        name = Producer("import/history")
        bought = (Touch(ItemId("tea"), quantity=2, value_minor=450, dimensions={"category": ("drinks",)}),)
        past = event(
            0, subject=ANN, message_id=MessageId("p"), name="Order Completed", touches=bought, time_ms=NOW_MS - 9_000
        )
        opened.append(name, [past], NOW_MS)
        items = tuple(
            ChosenItem(ItemId(film), rank, Reason.RULE, 1.0, 1.0, "")
            for rank, film in enumerate(["film-1", "film-2"], 1)
        )
        home = {PlacementName("home"): PlacementDecision(items, Reason.RULE, ArmName("champion"))}
        made = canonical_bytes(Decision(decision_id(1), BundleVersion(3), "d" * 64, home))
        refused = Consent(marketing=ConsentState.DENIED)
        live = (
            event(0, subject=ANN, traits={"plan": "gold"}, type="identify", name=""),
            decision(1, subject=ANN, decision=made, enrolled={"hero__0": ArmName("challenger")}),
            preference(2, subject=ANN, dial=2, consent=refused, mute={"topics": ("war",)}, time_ms=NOW_MS + 2_000),
            event(3, subject=ANN),
        )
        opened.store([Batch(NODE, payloads(*live))], NOW_MS)
        yield opened


def test_a_visitor_is_found_by_any_name_that_he_goes_by(ledger: Ledger) -> None:
    assert subject_named(ledger, KEY, "ann") == ANN
    assert subject_named(ledger, KEY, ANN) == ANN
    with pytest.raises(InputError, match="nothing is known of 'bo'"):
        subject_named(ledger, KEY, "bo")
    with pytest.raises(InputError, match="no profile of subject"):
        story_of(ledger, SubjectId("0" * 32), now_ms=NOW_MS, timeline=False)


def test_facts_are_those_of_the_canonical_profile(ledger: Ledger) -> None:
    story = story_of(ledger, ANN, now_ms=NOW_MS, timeline=False)
    assert story.counts[Kind.ORDER] == story.counts[Kind.CLICK] == 1
    assert (story.spent_minor, story.traits, story.dial) == (900, {"plan": "gold"}, 2)
    assert list(story.shares["category"]) == ["drinks", "drama"]
    assert sum(story.shares["category"].values()) == pytest.approx(1)
    assert story.last_items == ["film-3", "tea"]
    assert (story.consent, story.mute) == ({"marketing": "denied"}, {"topics": ("war",)})
    assert story.sources == {"import/history": 0, "n-a/1/0": 3}
    assert story.timeline is None
    assigned = story.facts["experiment hero__0"]
    assert (assigned.value, assigned.says) == ("challenger", "assigned for the first time")
    assert assigned.time_ms == NOW_MS + 1_000


def test_the_timeline_reads_from_the_oldest_on_and_names_its_sources(ledger: Ledger) -> None:
    story = story_of(ledger, ANN, now_ms=NOW_MS, timeline=True)
    assert story.timeline is not None
    told = [(moment.what, moment.about, moment.source, moment.seq) for moment in story.timeline]
    assert told == [
        ("Order Completed", "2 x tea, 9.00", "import/history", 0),
        ("identify", "film-0", NODE, 0),
        ("decision", "home: film-1, film-2", NODE, 1),
        ("preferences", "dial 2; mute topics: war; marketing denied", NODE, 2),
        ("Content Clicked", "film-3", NODE, 3),
    ]
