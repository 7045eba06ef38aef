"""Whole histories of nodes and a hub in simulated time, each from a seed: processes die, lines break, disks fail.

Each must keep every invariant: nothing lost, nothing twice, one profile everywhere. Runs the test lab (`tests/faults`).
"""

from __future__ import annotations

import re
from typing import Final

from hub.prove.figure import NONE, Figure, Must
from hub.prove.from_tests import live_through
from hub.prove.lab import Lab
from hub.prove.order import Order

MODULE: Final = "faults/test_simulation.py"
QUICK: Final = "test_histories_keep"
FULL: Final = "test_2000_histories"
MOST_S: Final = 900.0
_HISTORIES: Final = re.compile(r"(\d+) seeds")
_LEAST: Final = {FULL: 2_000, QUICK: 50}


def run(lab: Lab, order: Order) -> list[Figure]:
    """Live through 2,000 histories, or through some."""
    lab.tell("live through histories", 0.0)
    wanted = FULL if order.whole_lab else QUICK
    lived = live_through(lab, MODULE, wanted, most_s=MOST_S)
    histories = sum(int(count) for count in _HISTORIES.findall(lived.told))
    return [
        Figure("histories", histories, must=Must(">=", _LEAST[wanted])),
        Figure("groups of histories that broke an invariant", lived.failed, must=NONE),
    ]
