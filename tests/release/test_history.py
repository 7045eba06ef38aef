"""What was live, from an audit that a crash may have left ahead of the assignment."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edgewise.ids import BundleVersion
from hub.ledger.rows import AuditRow
from hub.release.history import BEFORE, PROMOTE, ROLLBACK, VERSION, history


def v(version: int) -> BundleVersion:
    return BundleVersion(version)


def entry(what: str, version: int, before: int | None) -> AuditRow:
    return AuditRow(0, 0, "Ann", what, f"release {version}", {VERSION: version, BEFORE: before})


def test_promotions_push_and_rollbacks_pop() -> None:
    walked = [entry(PROMOTE, 1, None), entry(PROMOTE, 2, 1), entry(PROMOTE, 3, 2), entry(ROLLBACK, 2, 3)]
    assert history(walked[:3], v(3)).before == (1, 2)
    assert history(walked, v(2)) == (frozenset({1, 2, 3}), (1,))
    assert history([], None) == (frozenset(), ())


def test_what_the_next_entry_does_not_find_live_never_ran() -> None:
    died = [entry(PROMOTE, 1, None), entry(PROMOTE, 2, 1), entry(PROMOTE, 3, 2)]
    assert history(died, v(2)) == (frozenset({1, 2}), (1,))
    assert history([*died, entry(PROMOTE, 4, 2)], v(4)) == (frozenset({1, 2, 4}), (1, 2))
    assert history([*died[:2], entry(ROLLBACK, 1, 2)], v(2)).before == (1,), "a rollback can die, too"


def test_an_entry_that_could_not_see_what_was_live_says_nothing_about_the_one_before() -> None:
    blind = AuditRow(0, 0, "Ann", PROMOTE, "release 1", {VERSION: 1})
    assert history([entry(PROMOTE, 1, None), entry(PROMOTE, 2, 1), blind], v(1)).before == (1, 2)


@given(st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=12))
def test_crashes_leave_the_history_of_what_came_true(steps: list[tuple[int, bool]]) -> None:
    live: int | None = None
    written: list[AuditRow] = []
    lived: list[int] = []
    for version, came_true in steps:
        written.append(entry(PROMOTE, version, live))
        if came_true:
            live = version
            lived.append(version)
    told = history(written, None if live is None else v(live))
    assert told.ran == set(lived)
    assert list(told.before) == [first for first, second in pairwise(lived) if first != second]
