"""However batches are repeated, cut, late and out of order, and whoever turns out to be whom: hub and nodes agree.

Hub and nodes are compared with the naive fold of what was accepted (`convergence_twin`). A failure names its seed;
`EDGEWISE_FAULT_SEED=17 pytest tests/faults/test_convergence.py` runs that history again.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from convergence import live_through, live_through_on_two_cores
from fault_seeds import everything, seeds


def test_hub_and_three_nodes_equal_the_fold_of_what_was_accepted(folder: Path) -> None:
    happened = live_through(folder, seeds(range(100)))
    if everything():
        # Of each history both halves are looked at.
        assert happened["people of several"] > 100 < happened["several people"], happened
        assert min(happened[what] for what in ("merge", "unmerge", "erased", "cut", "says", "holes", "duplicates")) > 15


@pytest.mark.slow
@pytest.mark.timeout(1_200)  # 3 minutes on two cores of its own
def test_10000_histories_converge(folder: Path) -> None:
    happened = live_through_on_two_cores(folder, seeds(range(10_000, 20_000)))
    print(dict(happened))
    assert happened["happens"] >= 50_000 or not everything()
