"""The visitor's token, and subject ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.subjects import subject_of
from edgewise.visitor import MAX_AGE_MS, sign_visitor, verify_visitor

KEY, OTHER = b"k" * 32, b"o" * 32
NOW_MS = 1_780_000_000_000


@given(st.text(max_size=100))
def test_a_token_gives_back_the_id_that_was_signed(anonymous_id: str) -> None:
    try:
        anonymous_id.encode()
    except UnicodeEncodeError:
        return
    assert verify_visitor(KEY, sign_visitor(KEY, anonymous_id, NOW_MS), NOW_MS + 5) == anonymous_id


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_token_with_one_changed_character_proves_nothing(position: int, change: int) -> None:
    token = sign_visitor(KEY, "a-81f3", NOW_MS)
    position %= len(token)
    forged = token[:position] + chr(ord(token[position]) ^ change) + token[position + 1 :]
    assert verify_visitor(KEY, forged, NOW_MS) is None


def test_a_token_of_another_site_proves_nothing() -> None:
    assert verify_visitor(OTHER, sign_visitor(KEY, "a", NOW_MS), NOW_MS) is None


@pytest.mark.parametrize(
    ("age_ms", "valid"),
    [(0, True), (MAX_AGE_MS, True), (MAX_AGE_MS + 1, False), (-3_600_000, True), (-90_000_000, False)],
)
def test_a_token_ends_and_tolerates_a_slow_clock(age_ms: int, valid: bool) -> None:  # noqa: FBT001
    token = sign_visitor(KEY, "a", NOW_MS)
    assert (verify_visitor(KEY, token, NOW_MS + age_ms) is not None) is valid


@given(st.text(max_size=80))
def test_no_text_at_all_raises(token: str) -> None:
    assert verify_visitor(KEY, token, NOW_MS) is None


def test_subjects_differ_by_key_kind_and_identifier() -> None:
    subjects = {
        subject_of(key, kind, who) for key in (KEY, OTHER) for kind in ("anonymousId", "userId") for who in ("a", "b")
    }
    assert len(subjects) == 8
    assert all(len(subject) == 32 for subject in subjects)
    # the separator keeps kind and identifier apart
    assert subject_of(KEY, "a", "b\0c") != subject_of(KEY, "a\0b", "c") or subject_of(KEY, "ab", "") != subject_of(
        KEY, "a", "b"
    )
