"""Whole histories of nodes and a hub, by seed: none breaks an invariant.

A failure names its seed; `EDGEWISE_FAULT_SEED=17 pytest tests/faults/test_simulation.py` runs that history again.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_history import live_through, live_through_all, live_through_on_two_cores
from fault_mishaps import MISHAPS
from fault_seeds import everything

from hub.ledger.ledger import open_ledger
from hub.meters import Meters


def test_histories_keep_every_invariant(folder: Path) -> None:
    happened = live_through_all(folder, range(24))
    if everything():
        assert min(happened[what] for what in (*MISHAPS, "erased", "flip", "swaps")) >= 2, happened
        assert happened["closed"] >= 50
        assert happened["conflicts"] * 10 <= happened["closed"], "what proves nothing is the exception"


UNSTEADY = (0, 4, 9, 12, 13, 16, 21, 27, 38)
"""Seeds whose histories were told otherwise each time, while the hub told its nodes of news in the order of a set."""


def test_a_seed_is_one_history(folder: Path) -> None:
    """Else whoever reads of a failure cannot see it again."""
    told: list[list[object]] = []
    for time in range(2):
        place = folder / str(time)
        place.mkdir()
        with open_ledger(place) as ledger:
            lived = [
                live_through(ledger, Meters(), place / str(seed), seed) for seed in (0, 4, 9, 12, 13, 16, 21, 27, 38)
            ]
        told.append([world.random.getstate() for world in lived])
    assert told[0] == told[1]


@pytest.mark.slow
@pytest.mark.timeout(1_800)  # 6 minutes on two cores of its own
def test_2000_histories_keep_every_invariant(folder: Path) -> None:
    happened = live_through_on_two_cores(folder, range(10_000, 12_000))
    print(dict(happened))
    assert (happened["messages"] >= 20_000 and happened["closed"] >= 5_000) or not everything()
