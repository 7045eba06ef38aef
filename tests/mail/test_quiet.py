"""Quiet hours on the reader's clock, over midnight and over the days on which clocks are changed."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import InputError
from hub.mail.quiet import NEVER_QUIET, Quiet, quiet_until, zone_of

DAY_MINUTES = 24 * 60
BERLIN = Quiet(21 * 60, 8 * 60, "Europe/Berlin")


def at(text: str, zone: str = "Europe/Berlin") -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=zone_of(zone)).timestamp() * 1_000)


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        ("2026-01-10T20:59", None),
        ("2026-01-10T21:00", "2026-01-11T08:00"),
        ("2026-01-10T23:59", "2026-01-11T08:00"),
        ("2026-01-11T00:00", "2026-01-11T08:00"),
        ("2026-01-11T07:59", "2026-01-11T08:00"),
        ("2026-01-11T08:00", None),
        ("2026-03-28T22:00", "2026-03-29T08:00"),  # an hour shorter: clocks are put forward
        ("2026-10-24T22:00", "2026-10-25T08:00"),
    ],
)
def test_they_end_at_the_same_reading_of_the_clock_every_day(now: str, ends: str | None) -> None:
    assert quiet_until(BERLIN, at(now)) == (None if ends is None else at(ends))


def test_an_end_that_a_day_does_not_have_comes_with_the_gap() -> None:
    quiet = Quiet(21 * 60, 2 * 60 + 30, "Europe/Berlin")
    until = quiet_until(quiet, at("2026-03-29T01:30"))
    assert until is not None
    assert quiet_until(quiet, until) is None
    assert until == at("2026-03-29T03:30")


@given(
    st.integers(0, DAY_MINUTES - 1),
    st.integers(0, DAY_MINUTES - 1),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]),
    st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2027, 12, 31)),  # noqa: DTZ001
)
def test_what_they_are_put_off_to_is_later_and_not_quiet(start: int, end: int, zone: str, moment: dt.datetime) -> None:
    quiet, now_ms = Quiet(start, end, zone), int(moment.replace(tzinfo=dt.UTC).timestamp() * 1_000)
    until = quiet_until(quiet, now_ms)
    if until is not None:
        assert now_ms < until <= now_ms + 26 * 3_600_000
        # where clocks are put back over the end, the same hours may come once more
        again = quiet_until(quiet, until)
        assert again is None or again - until <= 3_600_000


def test_equal_ends_are_never_quiet_and_a_zone_must_exist() -> None:
    assert quiet_until(NEVER_QUIET, 0) is None
    with pytest.raises(InputError, match="IANA name such as Europe/Berlin"):
        zone_of("Berlin/Europe")
