"""What was known at a moment, against a count by hand."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hub.lifetime.history import Unit, future, history
from hub.lifetime.purchases import by_day

ROWS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 30), st.integers(-20, 90)), min_size=1, max_size=40)


@given(ROWS, st.integers(0, 30), st.sampled_from(Unit))
def test_counts_are_those_of_a_count_by_hand(rows: list[tuple[str, int, int]], end: int, unit: Unit) -> None:
    days: dict[str, dict[int, list[int]]] = {}
    for name, day, value in rows:
        days.setdefault(name, {}).setdefault(day, []).append(value)
    kept = {
        name: {day: sum(of) for day, of in sorted(by.items()) if sum(of) > 0 or min(of) == 0}
        for name, by in days.items()
    }
    names = [name for name in sorted(kept) if kept[name]]
    bought, taken = by_day(
        np.array([row[0] for row in rows], dtype=object),
        np.array([row[1] for row in rows]),
        np.array([row[2] for row in rows], dtype=np.float64),
    )
    assert bought.names == tuple(names)
    assert len(taken) == sum(len(days[name]) - len(kept[name]) for name in days)
    of = history(bought, end, unit)
    came = future(bought, of, end, 30)
    assert [bought.names[at] for at in of.customer] == [name for name in names if min(kept[name]) <= end]
    for index, at in enumerate(of.customer):
        mine = kept[bought.names[at]]
        past = [day for day in mine if day <= end]
        assert of.frequency[index] == len(past) - 1
        assert of.recency[index] == (past[-1] - past[0]) / unit.days
        assert of.age[index] == (end - past[0]) / unit.days
        assert of.first_value[index] == mine[past[0]]
        repeated = [mine[day] for day in past[1:]]
        assert math.isnan(of.mean_value[index]) if not repeated else of.mean_value[index] == np.mean(repeated)
        assert came.purchases[index] == len(mine) - len(past)
        assert came.value[index] == sum(mine[day] for day in mine if day > end)
