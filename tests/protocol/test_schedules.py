"""Schedules by the clocks of a place, against the IANA database itself and on the two nights on which clocks change."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
import world
from hypothesis import example, given
from hypothesis import strategies as st
from world import FILMS, HERO

from edgewise.admission.load import Bundle
from edgewise.bundle.clocks import CompiledSchedule, LocalClock
from edgewise.bundle.needed import DYNAMIC_CONTENT, protocol_needed
from edgewise.bundle.schedules import WEEKDAYS, Schedule
from edgewise.decide import decide
from edgewise.decision import PlacementDecision
from edgewise.errors import BundleRefused
from edgewise.profile.state import Profile
from edgewise.reasons import Reason
from edgewise.request import Candidate, PlacementRequest
from hub.site.zones import tables_of, zone_table

BERLIN = "Europe/Berlin"
PLACES = [BERLIN, "America/New_York", "America/Sao_Paulo", "Africa/Casablanca", "Asia/Kathmandu", "Australia/Lord_Howe"]
"""Among them half an hour of summer time, a quarter of an hour of difference, and one that goes back for Ramadan."""


def schedule(**said: Any) -> Schedule:
    return msgspec.convert({"timezone": BERLIN, **said}, Schedule)


def is_open(moment: str, **said: Any) -> bool:
    """`moment` in UTC, as `2026-03-29T01:00`."""
    asked = schedule(**said)
    now_ms = int(dt.datetime.fromisoformat(moment).replace(tzinfo=dt.UTC).timestamp() * 1_000)
    return CompiledSchedule(asked, zone_table(asked.timezone)).is_open(now_ms)


def first_moment(day: dt.date, minutes: int, zone: ZoneInfo) -> dt.datetime:
    """The naive twin: count minutes on until the clocks of the place show one of them."""
    while True:
        naive = dt.datetime.combine(day, dt.time()) + dt.timedelta(minutes=minutes)
        found = naive.replace(tzinfo=zone).astimezone(dt.UTC)
        if found.astimezone(zone).replace(tzinfo=None) == naive:
            return found
        minutes += 1


minutes_of_day = st.integers(0, 24 * 60 - 1)
moments = st.integers(1_609_459_200, 2_240_524_800).map(lambda since: dt.datetime.fromtimestamp(since, dt.UTC))
"""From 2021 to 2040."""
changes = st.sampled_from(PLACES).flatmap(
    lambda place: st.tuples(st.just(place), st.sampled_from(zone_table(place)), st.integers(-2_000, 2_000))
)


@given(st.sampled_from(PLACES), moments)
def test_clocks_show_what_the_database_says(place: str, moment: dt.datetime) -> None:
    shown = moment.astimezone(ZoneInfo(place)).replace(tzinfo=dt.UTC)
    assert LocalClock(zone_table(place)).local(int(moment.timestamp())) == int(shown.timestamp())


@given(changes, minutes_of_day, minutes_of_day, st.sets(st.sampled_from(WEEKDAYS), min_size=1))
@example((BERLIN, (1774746000, 7200), 0), 150, 180, set(WEEKDAYS))
def test_it_is_open_between_two_moments_of_each_of_its_days(
    near: tuple[str, tuple[int, int], int], opens: int, closes: int, days: set[str]
) -> None:
    place, (change_s, _), minutes = near
    zone = ZoneInfo(place)
    now = dt.datetime.fromtimestamp(change_s, dt.UTC).replace(second=0) + dt.timedelta(minutes=minutes)
    today = now.astimezone(zone).date()
    expected = False
    if opens == closes:
        return
    for away in (-2, -1, 0, 1):
        day = today + dt.timedelta(days=away)
        if WEEKDAYS[day.weekday()] in days:
            until = closes if closes > opens else closes + 24 * 60
            expected |= first_moment(day, opens, zone) <= now < first_moment(day, until, zone)
    said = schedule(timezone=place, days=sorted(days), **{"from": _written(opens), "to": _written(closes)})
    assert CompiledSchedule(said, zone_table(place)).is_open(int(now.timestamp() * 1_000)) is expected


def _written(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


@pytest.mark.parametrize(
    ("utc", "expected"),
    [("00:59", False), ("01:00", True), ("01:29", True), ("01:30", True), ("01:59", True), ("02:00", False)],
)
def test_a_time_that_a_day_does_not_have_is_the_next_one(utc: str, expected: bool) -> None:  # noqa: FBT001
    # Clocks go from 02:00 to 03:00 at 01:00 UTC: it opens at 03:00, and closes at 04:00, which is 02:00 UTC.
    assert is_open(f"2026-03-29T{utc}", **{"from": "02:30", "to": "04:00"}) is expected


@pytest.mark.parametrize(
    ("utc", "expected"),
    [("00:29", False), ("00:30", True), ("01:10", True), ("01:30", True), ("01:59", True), ("02:00", False)],
)
def test_of_a_time_that_comes_twice_the_first_is_meant(utc: str, expected: bool) -> None:  # noqa: FBT001
    # Clocks go from 03:00 back to 02:00 at 01:00 UTC: 02:30 is 00:30 UTC, and 03:00 comes at 02:00 UTC.
    assert is_open(f"2026-10-25T{utc}", **{"from": "02:30", "to": "03:00"}) is expected


def test_days_dates_exceptions_and_ends() -> None:
    weekdays: dict[str, Any] = {"days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "to": "20:00"}
    assert is_open("2026-12-01T07:00", **weekdays)
    assert not is_open("2026-12-01T06:59", **weekdays)
    assert not is_open("2026-12-01T19:00", **weekdays)
    assert not is_open("2026-12-05T12:00", **weekdays), "a Saturday"
    assert is_open("2026-12-05T12:00", **weekdays, dates=["2026-12-05"])
    assert not is_open("2026-12-01T12:00", **weekdays, **{"except": ["2026-12-01"]})
    assert [is_open(f"2026-12-{day}T12:00", dates=["2026-12-06"]) for day in ("05", "06", "07")] == [False, True, False]
    night: dict[str, Any] = {"days": ["fri"], "from": "22:00", "to": "06:00"}
    assert [is_open(f"2026-12-{moment}", **night) for moment in ("04T21:00", "05T04:59", "05T05:00", "05T21:00")] == [
        *(True, True),
        *(False, False),
    ]
    advent = {"starts": "2026-12-01T09:00", "ends": "2026-12-24 12:00"}
    utc = ("01T07:59", "01T08:00", "24T10:59", "24T11:00")
    assert [is_open(f"2026-12-{moment}", **advent) for moment in utc] == [False, True, True, False]


# --- on a node ------------------------------------------------------------------------------------------------------
WEEKEND = schedule(days=["sat", "sun"])
ZONES = tables_of([BERLIN])
SATURDAY_MS = int(dt.datetime(2026, 12, 5, 12, tzinfo=dt.UTC).timestamp() * 1_000)
MONDAY_MS = SATURDAY_MS + 2 * 86_400_000


def shop(items: dict[int, Schedule] | None = None, **changes: Any) -> Bundle:
    films = [msgspec.structs.replace(world.item(n), schedule=(items or {}).get(n)) for n in range(len(FILMS))]
    policy = world.policy({HERO: world.placement(**changes)}, zones=ZONES)
    return world.bundle(catalogue=world.catalogue(films), policy=policy)


def shown(made: Bundle, now_ms: int, request: PlacementRequest | None = None, **changes: Any) -> PlacementDecision:
    asked = world.question(request or PlacementRequest(HERO), **changes)
    decided = decide(asked, Profile(), bundle=made, score=world.score, draw=lambda *_: 0.5, now_ms=now_ms)
    return decided.decision.placements[HERO]


def test_an_item_is_shown_when_it_is_open() -> None:
    made = shop({0: WEEKEND, 1: WEEKEND})
    first = [shown(made, now_ms).items[0].id for now_ms in (SATURDAY_MS, MONDAY_MS, SATURDAY_MS)]
    assert first == [FILMS[0], FILMS[2], FILMS[0]]
    forced = {HERO: [FILMS[0]]}
    assert shown(made, SATURDAY_MS, force=forced).items[0].id == FILMS[0]
    assert shown(made, MONDAY_MS, force=forced).items[0].id == FILMS[20], (
        "nobody sees what is closed, operators neither"
    )


def test_a_placement_that_is_closed_shows_its_fallback() -> None:
    made = shop(schedule=WEEKEND)
    assert shown(made, SATURDAY_MS).items[0].id == FILMS[0]
    closed = shown(made, MONDAY_MS)
    assert (closed.reason, closed.items[0].id) == (Reason.FALLBACK_NO_CANDIDATE, FILMS[20])
    brought = PlacementRequest(HERO, candidates=[Candidate(FILMS[5])])
    assert shown(made, MONDAY_MS, brought).reason is Reason.FALLBACK_NO_CANDIDATE


def test_schedules_ask_for_a_newer_node() -> None:
    assert protocol_needed(world.policy({HERO: world.placement()}, zones=ZONES)) == DYNAMIC_CONTENT


@pytest.mark.parametrize(
    ("wrong", "code", "path"),
    [
        ({"schedule": schedule(timezone="Asia/Tokyo")}, "dangling", "schedule.timezone"),
        ({"schedule": schedule(**{"from": "08:00", "to": "08:00"})}, "invalid", "schedule.to"),
        ({"schedule": schedule(starts="2026-02-30T09:00")}, "invalid", "schedule.starts"),
    ],
)
def test_a_node_refuses_a_schedule_that_it_cannot_ask(wrong: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(BundleRefused) as refused:
        shop(**wrong)
    assert (refused.value.code, path in str(refused.value)) == (code, True)


@pytest.mark.parametrize("zone", [[], [(5, 0), (5, 3_600)], [(0, 90_000)]], ids=["empty", "falls", "beyond_a_day"])
def test_a_node_refuses_clocks_that_nobody_has(zone: list[tuple[int, int]]) -> None:
    with pytest.raises(BundleRefused) as refused:
        world.bundle(policy=world.policy({HERO: world.placement()}, zones={BERLIN: zone}))
    assert refused.value.code == "invalid"
