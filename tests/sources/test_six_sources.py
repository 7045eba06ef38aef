"""Six sources about twenty people: whatever the order in which they come, everybody is known alike."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hub_process import edgewise, make_site
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from six_sources import CARD_OF_MIA, DOCUMENTS, NAMES, NOW_MS, Source, address, six_sources

from edgewise.clock import ManualClock
from edgewise.consent import Consent, ConsentState
from edgewise.ids import Producer, SubjectId
from edgewise.profile.preferences import decode_preferences
from edgewise.profile.state import decode_profile
from edgewise.subjects import subject_of
from hub.imports.events import Intake, import_events
from hub.imports.source_import import import_source
from hub.keys import KeyFolder
from hub.ledger.ledger import Ledger, open_ledger
from hub.topics.tickets import Topics
from hub.webhooks.translating import translate

KEY = b"k" * 32
_GRANTED = ConsentState.GRANTED
SOURCES = six_sources()
BY_NAME = {source.name: source for source in SOURCES}
Known = dict[SubjectId, tuple[bytes, bytes]]
"""Subject -> its person's profile and preferences."""


class Part(NamedTuple):
    """A slice of a source, brought in one go."""

    name: str
    start: int
    stop: int

    @property
    def source(self) -> Source:
        return BY_NAME[self.name]


def bring(part: Part, ledger: Ledger, folder: Path, key: bytes = KEY) -> None:
    """As the site's people and vendors would: files imported, webhooks delivered one by one."""
    source, clock = part.source, ManualClock(NOW_MS)
    intake = Intake(key, Consent(_GRANTED, _GRANTED, _GRANTED), lambda _: None)
    if source.name == "shop":
        with Topics(folder) as topics:
            for row in source.rows[part.start : part.stop]:
                made = translate(
                    "shop", DOCUMENTS["shop"], [row], ledger=ledger, intake=intake, topics=topics, now_ms=NOW_MS
                )
                assert not made.refused
                ledger.append(Producer("hook/shop"), made.records, NOW_MS)
        return
    path = folder / f"{source.name}-{part.start}-{part.stop}.{source.ending}"
    path.write_bytes(source.content(part.start, part.stop))
    if source.name == "web":
        done = import_events(path, ledger, intake, data_dir=folder, clock=clock, name="web")
        assert not done.rejected
        return
    imported = import_source(path, source.name, DOCUMENTS[source.name], ledger, intake, data_dir=folder, clock=clock)
    assert not imported.rejected, imported.reasons


def known_after(parts: Sequence[Part]) -> Known:
    """What a fresh ledger knows of everybody once these were brought, in this order."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        with open_ledger(folder) as ledger:
            for part in parts:
                bring(part, ledger, folder)
            subjects = sorted({SubjectId(link.subject) for link in ledger.links()} | _named(ledger))
            people = ledger.person_profiles(subjects)
            return {subject: (row.profile, row.preferences) for subject, row in people.items()}


def _named(ledger: Ledger) -> set[SubjectId]:
    return {event.subject for _, event in ledger.events() if event.subject}


@pytest.fixture(scope="module")
def expected() -> Known:
    known = known_after([Part(source.name, 0, len(source.rows)) for source in SOURCES])
    assert len({profile for profile, _ in known.values()}) > len(NAMES)  # so that being alike is no accident
    return known


@st.composite
def deliveries(draw: Any) -> list[Part]:
    """Every source cut anywhere, parts of all sources in any order, some brought again; each source's order kept."""
    cut: dict[str, list[Part]] = {}
    for source in SOURCES:
        ends = draw(st.lists(st.integers(1, len(source.rows) - 1), max_size=3, unique=True).map(sorted))
        bounds = [0, *ends, len(source.rows)]
        cut[source.name] = [Part(source.name, start, stop) for start, stop in itertools.pairwise(bounds)]
    order = draw(st.permutations([name for name, parts in cut.items() for _ in parts]))
    waiting = {name: iter(parts) for name, parts in cut.items()}
    brought: list[Part] = []
    for name in order:
        brought.append(next(waiting[name]))
        if draw(st.integers(0, 3)) == 0:
            brought.append(draw(st.sampled_from(brought)))
    return brought


def check_any_order(parts: list[Part], expected: Known) -> None:
    found = known_after(parts)
    assert found.keys() == expected.keys()
    for subject, said in expected.items():
        assert found[subject] == said


_SETTINGS: dict[str, Any] = {
    "deadline": None,
    "phases": (Phase.explicit, Phase.generate),  # each example writes a ledger: shrinking would take minutes
    "suppress_health_check": [HealthCheck.too_slow],
    "derandomize": True,
}


@given(parts=deliveries())
@settings(max_examples=2, **_SETTINGS)
def test_everybody_is_known_alike_in_any_order(parts: list[Part], expected: Known) -> None:
    check_any_order(parts, expected)


@pytest.mark.slow
@given(parts=deliveries())
@settings(max_examples=25, **_SETTINGS)
def test_everybody_is_known_alike_in_many_orders(parts: list[Part], expected: Known) -> None:
    check_any_order(parts, expected)


class Shop(NamedTuple):
    """All six sources in one data folder."""

    folder: Path
    key: bytes

    def subject(self, kind: str, identifier: str) -> SubjectId:
        return subject_of(self.key, kind, identifier)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("six")
    make_site(folder)
    key = KeyFolder(folder).secrets().subject_key
    with open_ledger(folder) as ledger:
        for source in SOURCES:
            bring(Part(source.name, 0, len(source.rows)), ledger, folder, key)
    return Shop(folder, key)


def test_one_person_is_found_by_every_identifier_of_hers(shop: Shop) -> None:
    with open_ledger(shop.folder) as ledger:
        members = ledger.members_of(shop.subject("email", address("mia")))
        for kind, value in (
            ("userId", "u-mia"),
            ("anonymousId", "browser-mia"),
            ("anonymousId", "cart-mia"),
            ("loyaltyCard", CARD_OF_MIA),
            ("hubspotId", "700"),
            ("phone", "+491512345000"),
        ):
            assert shop.subject(kind, value) in members, kind
        [profile] = {row.profile for row in ledger.person_profiles(members).values()}
    assert {producer.split("/")[1] for producer in decode_profile(profile).applied} == {
        "crm", "web", "shop", "mail", "tickets", "receipts",
    }  # fmt: skip


def test_a_shared_tablet_fuses_nobody(shop: Shop) -> None:
    with open_ledger(shop.folder) as ledger:
        tom, uma = (ledger.members_of(shop.subject("userId", f"u-{name}")) for name in ("tom", "uma"))
        tablet = shop.subject("anonymousId", "tablet-of-the-family")
        assert tablet in ledger.members_of(tablet)
        assert not set(tom) & set(uma)
        assert tablet not in {*tom, *uma}


def test_twenty_customers_are_as_many_people_as_can_be_told_apart(shop: Shop) -> None:
    """Leo has two cards and a phone, and nothing that joins them."""
    with open_ledger(shop.folder) as ledger:
        people = {ledger.person_of(shop.subject("email", address(name))) for name in NAMES if name != "leo"}
        leo = {ledger.person_of(shop.subject("loyaltyCard", card)) for card in ("4003", "4103")}
    assert len(people) == 19
    assert len(leo) == 2


def test_who_unsubscribed_in_one_system_is_not_mailed_by_another(shop: Shop) -> None:
    with open_ledger(shop.folder) as ledger:
        subjects = {name: shop.subject("email", address(name)) for name in NAMES}
        people = ledger.person_profiles(list(subjects.values()))
        denied = {
            name
            for name, subject in subjects.items()
            if subject in people
            and decode_preferences(people[subject].preferences).stored_consent.marketing is ConsentState.DENIED
        }
    assert denied == {"ida", "max", "kai"}


def test_a_timeline_is_one_story_that_says_who_told_it(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    done = edgewise(capsys, "profile", "show", address("mia"), "--data-dir", shop.folder, "--timeline")
    assert done.code == 0, done.stderr
    shown = done.stdout
    timeline = shown[shown.index("timeline") :].splitlines()
    told = [
        ("Offline Purchase", "import receipts"),
        ("Product Viewed", "import web"),
        ("identify", "import crm"),
        ("Cart Viewed", "hook shop"),
        ("Order Completed", "hook shop"),
        ("Order Refunded", "hook shop"),
        ("49.90 EUR", "hook shop"),
        ("Email Opened", "import mail"),
        ("Ticket Opened", "import tickets"),
        ("Ticket Closed", "import tickets"),
    ]
    for what, says in told:
        assert any(what in line and says in line for line in timeline), (what, says)
    times = [line.strip()[:19] for line in timeline if line.strip()[:4] == "2026"]
    assert len(times) > len(told)
    assert times in (sorted(times), sorted(times, reverse=True))
