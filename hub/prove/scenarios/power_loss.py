"""The power goes at any call of a spool: what was not synced is dropped, torn or kept out of order, as a disk may.

Nothing that was acknowledged may be lost, nothing may be stored twice. Runs the test lab (`tests/faults`).
"""

from __future__ import annotations

import re
from typing import Final

from hub.prove.figure import NONE, Figure, Must
from hub.prove.from_tests import live_through
from hub.prove.lab import Lab
from hub.prove.order import Order

MODULE: Final = "faults/test_power_loss.py"
QUICK: Final = "wherever_the_power_goes"
FULL: Final = "at_any_call"
POINTS: Final = 500
MOST_S: Final = 900.0
_POINTS: Final = re.compile(r"(\d+) crash points")


def run(lab: Lab, order: Order) -> list[Figure]:
    """Lose power at every call of 300 histories, or at some of 30."""
    lab.tell("lose power", 0.0)
    lived = live_through(lab, MODULE, FULL if order.whole_lab else QUICK, most_s=MOST_S)
    points = sum(int(count) for count in _POINTS.findall(lived.told))
    return [
        Figure("crash points", points, must=Must(">=", POINTS)),
        Figure("groups of histories that lost or doubled something", lived.failed, must=NONE),
    ]
