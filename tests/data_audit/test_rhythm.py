"""Late is what is silent for longer than it uses to be."""

from hypothesis import given
from hypothesis import strategies as st

from hub.data_audit.rhythm import DAY_MS, LEAST_DAYS, PATIENCE, rhythm_of


@given(st.sets(st.integers(0, 400), min_size=1), st.integers(0, 500))
def test_a_source_is_stale_when_its_silence_is_longer_than_patience_with_its_habit(days: set[int], later: int) -> None:
    newest = max(days)
    rhythm = rhythm_of(days, newest * DAY_MS, (newest + later) * DAY_MS)
    assert rhythm.silent_days == later
    if len(days) < LEAST_DAYS:
        assert (rhythm.usual_days, rhythm.stale) == (None, False)
    else:
        assert rhythm.usual_days is not None
        assert rhythm.stale == (later > PATIENCE * rhythm.usual_days)


def test_a_monthly_source_may_be_silent_for_weeks() -> None:
    monthly = [0, 30, 60, 90]
    assert not rhythm_of(monthly, 90 * DAY_MS, 150 * DAY_MS).stale
    assert rhythm_of(range(91), 90 * DAY_MS, 94 * DAY_MS).stale
    assert not rhythm_of(range(91), 90 * DAY_MS, 80 * DAY_MS).stale
