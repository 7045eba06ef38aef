"""The table behind a calibration plot holds every row once, and its intervals are the published ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.train.scores.reliability import reliability, wilson


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9]), st.booleans()), min_size=1, max_size=200))
def test_a_table_holds_every_row_once(rows: list[tuple[float, bool]]) -> None:
    said, came = np.array([row[0] for row in rows]), np.array([float(row[1]) for row in rows])
    table = reliability(said, came)
    assert sum(held.rows for held in table.bins) == len(rows)
    assert sum(held.rows * held.came for held in table.bins) == pytest.approx(came.sum())
    assert sum(held.rows * held.said for held in table.bins) == pytest.approx(said.sum())
    assert all(held.low <= held.came <= held.high for held in table.bins)
    assert [held.said for held in table.bins] == sorted(held.said for held in table.bins)
    assert 0 <= table.error <= 1


def test_what_always_comes_as_often_as_it_was_said_has_no_error() -> None:
    said = np.repeat([0.2, 0.6], 50)
    came = np.concatenate([np.repeat([1.0, 0.0], [10, 40]), np.repeat([1.0, 0.0], [30, 20])])
    assert reliability(said, came).error == pytest.approx(0)


def test_wilson_is_the_published_interval() -> None:
    """Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I: 81 of 263, 15 of 148."""
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15 / 148, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0.0, 20)[0] == 0
