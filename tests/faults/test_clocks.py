"""A node whose time of day jumps by a day, forth and back, while it works: the kernel's clock as libfaketime shows it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fault_pair import QUICK, pair
from needs import lacking
from processes import until

FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
DAY_MS = 86_400_000

pytestmark = pytest.mark.process


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
    with pair(tmp_path, settings=QUICK + "stale_after_ms = 5000\n", **fake) as both:
        until(lambda: both.status()["hub"]["connected"])
        before_ms = both.status()["hub"]["last_seen_ms"]
        seen_ms = []
        for offset in ("+1d", "-1d", "+0"):
            both.track(3)
            set_clock(clock, offset)
            both.track(3)
            both.decide()
            # The node is in touch with its hub whatever day it takes it for, and says since when by that day.
            until(lambda: both.status()["hub"]["connected"])
            day = {"+1d": DAY_MS, "-1d": -DAY_MS, "+0": 0}[offset]
            until(lambda day=day: abs(both.status()["hub"]["last_seen_ms"] - before_ms - day) < DAY_MS / 2)  # type: ignore[misc]
            seen_ms.append(both.status()["hub"]["last_seen_ms"] - before_ms)
        assert seen_ms[0] > DAY_MS / 2
        assert seen_ms[1] < -DAY_MS / 2
        until(lambda: both.stored() == both.expected())
