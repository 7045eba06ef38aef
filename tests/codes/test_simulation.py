"""The total holds whatever happens to nodes, a small version; `python -m accuracy --only codes` is the large one."""

from __future__ import annotations

from pathlib import Path

import pytest
from codes_simulation import simulated

from edgewise.codes.refusals import Denial


@pytest.mark.parametrize(("seed", "total"), [(1, 1), (2, 9), (3, 60)])
def test_no_number_more_than_the_total_is_redeemed(tmp_path: Path, seed: int, total: int) -> None:
    verdict = simulated(tmp_path, seed=seed, total=total, attempts=150)
    assert verdict.over == 0
    assert 0 < len(verdict.redeemed) <= total
    assert verdict.left_over == 0
    assert verdict.denied[Denial.ALREADY_REDEEMED] > 0, "the story must try what must not work"
