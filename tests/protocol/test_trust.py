"""READY, STALE, ERROR: rules on times alone."""

from hypothesis import given
from hypothesis import strategies as st

from edgewise.reasons import State
from edgewise.trust import STALE_AFTER_MS, state_of

NOW_MS = 1_760_000_000_000
times = st.none() | st.integers(0, 2 * NOW_MS)


@given(st.integers(0, 2 * NOW_MS), times, times)
def test_without_a_bundle_nothing_else_matters(now_ms: int, seen_ms: int | None, expires_ms: int | None) -> None:
    state = state_of(has_bundle=False, now_ms=now_ms, hub_last_seen_ms=seen_ms, metadata_expires_ms=expires_ms)
    assert state is State.ERROR


def test_a_node_without_hub_and_signatures_stays_ready() -> None:
    assert state_of(has_bundle=True, now_ms=NOW_MS, hub_last_seen_ms=None, metadata_expires_ms=None) is State.READY


def test_a_hub_is_missed_after_sixty_seconds() -> None:
    def state(silent_ms: int) -> State:
        return state_of(
            has_bundle=True, now_ms=NOW_MS, hub_last_seen_ms=NOW_MS - silent_ms, metadata_expires_ms=NOW_MS + 1
        )

    assert state(0) is State.READY
    assert state(STALE_AFTER_MS - 1) is State.READY
    assert state(STALE_AFTER_MS) is State.STALE
    assert state(-5_000) is State.READY, "a clock that jumped back makes nothing stale"


def test_expired_metadata_is_stale_although_the_hub_is_heard() -> None:
    def state(expires_ms: int) -> State:
        return state_of(has_bundle=True, now_ms=NOW_MS, hub_last_seen_ms=NOW_MS, metadata_expires_ms=expires_ms)

    assert state(NOW_MS + 1) is State.READY
    assert state(NOW_MS) is State.STALE


@given(times, times, st.integers(0, NOW_MS), st.integers(0, NOW_MS))
def test_waiting_alone_never_makes_a_node_fresher(
    seen_ms: int | None, expires_ms: int | None, now_ms: int, later_ms: int
) -> None:
    def state(at_ms: int) -> State:
        return state_of(has_bundle=True, now_ms=at_ms, hub_last_seen_ms=seen_ms, metadata_expires_ms=expires_ms)

    if state(now_ms) is State.STALE:
        assert state(now_ms + later_ms) is State.STALE
