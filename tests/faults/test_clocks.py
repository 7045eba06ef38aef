"""A node whose time of day jumps by a day, forth and back, while it works: by libfaketime, for all its processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fault_pair import QUICK, pair
from needs import lacking
from processes import until

from edgewise.ids import ulid_time_ms

FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
DAY_MS = 86_400_000

# Simulated histories have their clocks jump, too, in less time than two processes take to start.
pytestmark = [pytest.mark.process, pytest.mark.slow]


def set_clock(file: Path, offset: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(f"{offset}\n")
    new.replace(file)


def test_a_clock_that_jumps_a_day_either_way_loses_nothing_and_stops_nothing(tmp_path: Path) -> None:
    if not FAKETIME:
        lacking("no libfaketime below /usr/lib; `make tools` installs Debian's faketime")
    clock = tmp_path / "clock"
    set_clock(clock, "+0")
    fake = {
        "LD_PRELOAD": f"{FAKETIME[0]} {os.environ.get('LD_PRELOAD', '')}".strip(),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    days: list[int] = []
    with pair(tmp_path, settings=QUICK + "stale_after_ms = 5000\n", **fake) as both:
        until(lambda: both.status()["hub"]["connected"])
        for offset in ("+1d", "-1d", "+0"):
            both.track(3)
            set_clock(clock, offset)
            both.track(3)
            # The node stays in touch with its hub whatever day it takes it for, and says so by that day.
            until(lambda: (now := both.status())["state"] == "READY" or not now["bundle"]["digest"])
            until(lambda: (both.status()["hub"]["lastSeenSeconds"] or 9) < 5)
            assert both.status()["hub"]["connected"]
            assert both.decide()["placements"]
            days.append(ulid_time_ms(both.decide()["decisionId"]) // DAY_MS)
        assert [day - days[-1] for day in days] == [1, -1, 0]
        until(lambda: both.stored() == both.expected())
