"""Dial, mutes and stored consent: the latest statement wins, at the same moment the stricter."""

from hypothesis import given
from hypothesis import strategies as st

from edgewise.consent import Consent, ConsentState
from edgewise.ids import Producer, SubjectId
from edgewise.profile.preferences import (
    Preferences,
    decode_preferences,
    encode_preferences,
    merge_preferences,
    state,
)
from edgewise.records import PreferenceRecord

said = st.sampled_from([None, *ConsentState])
statements = st.builds(
    PreferenceRecord,
    producer=st.just(Producer("")),
    seq=st.just(0),
    subject=st.just(SubjectId("5" * 32)),
    time_ms=st.integers(1, 4),
    received_ms=st.just(9),
    dial=st.sampled_from([None, 0, 1, 2, 3]),
    mail_days=st.sampled_from([None, 0, 7, 30]),
    mute=st.none()
    | st.dictionaries(st.sampled_from(["categories", "items"]), st.sampled_from([("a",), ("b", "a")]), max_size=2),
    more=st.none() | st.just(("x",)),
    less=st.none() | st.sampled_from([("y",), ("y", "z")]),
    consent=st.builds(Consent, personalisation=said, analytics=said),
)


def numbered(records: list[PreferenceRecord], name: str) -> list[PreferenceRecord]:
    return [
        PreferenceRecord(
            producer=Producer(name),
            seq=seq,
            subject=record.subject,
            time_ms=record.time_ms,
            received_ms=9,
            dial=record.dial,
            mail_days=record.mail_days,
            mute=record.mute,
            more=record.more,
            less=record.less,
            consent=record.consent,
        )
        for seq, record in enumerate(records)
    ]


def stated(*records: PreferenceRecord) -> Preferences:
    preferences = Preferences()
    for record in records:
        state(preferences, record)
    return preferences


@given(st.lists(statements, max_size=5), st.lists(statements, max_size=5))
def test_nodes_agree_whatever_they_heard_first_and_merging_is_the_union(
    here: list[PreferenceRecord], there: list[PreferenceRecord]
) -> None:
    one, other = numbered(here, "n1/1/0"), numbered(there, "n2/1/0")
    forward, backward = stated(*one, *other), stated(*other, *one)
    merged = merge_preferences(stated(*one), stated(*other))
    assert encode_preferences(forward) == encode_preferences(backward) == encode_preferences(merged)
    assert encode_preferences(merge_preferences(merged, stated(*one))) == encode_preferences(merged)
    assert encode_preferences(decode_preferences(encode_preferences(merged))) == encode_preferences(merged)


@given(st.lists(statements, max_size=5))
def test_a_repeated_statement_changes_nothing(records: list[PreferenceRecord]) -> None:
    once = numbered(records, "n1/1/0")
    assert encode_preferences(stated(*once, *once)) == encode_preferences(stated(*once))


def test_a_denial_beats_a_grant_of_the_same_moment_and_yields_to_a_later_one() -> None:
    def consent(producer: str, time_ms: int, answer: ConsentState) -> PreferenceRecord:
        return PreferenceRecord(
            producer=Producer(producer),
            seq=0,
            subject=SubjectId("s"),
            time_ms=time_ms,
            received_ms=9,
            consent=Consent(personalisation=answer),
        )

    denial, grant = consent("a", 5, ConsentState.DENIED), consent("z", 5, ConsentState.GRANTED)
    assert stated(denial, grant).stored_consent.personalisation is ConsentState.DENIED
    later = consent("b", 6, ConsentState.GRANTED)
    assert stated(later, denial, grant).stored_consent.personalisation is ConsentState.GRANTED
