"""First assignments of experiments: a minimum over records, so that no order, split or repetition changes them."""

from hypothesis import given
from hypothesis import strategies as st
from strategies_profile import START_MS, SUBJECT

from edgewise.consent import Grants
from edgewise.ids import ArmName, BundleVersion, DecisionId, Producer
from edgewise.profile.merge import merge
from edgewise.profile.read import session_view
from edgewise.profile.reduce import fold, touches_profile
from edgewise.profile.state import MAX_ENROLMENTS, Enrolment, Profile, decode_profile, encode_profile
from edgewise.reasons import Degradation
from edgewise.records import DecisionRecord, decode_record, encode_record
from edgewise.request import Context

ARMS = [ArmName("a"), ArmName("b")]


def decision(
    seq: int,
    enrolled: dict[str, ArmName],
    *,
    node: int = 0,
    time_ms: int = START_MS,
    may: bool = True,
    dry: bool = False,
) -> DecisionRecord:
    return DecisionRecord(
        producer=Producer(f"n{node}/1/0"),
        seq=seq,
        decision_id=DecisionId(f"d{node}-{seq}"),
        subject=SUBJECT,
        time_ms=time_ms,
        bundle_version=BundleVersion(1),
        bundle_digest="",
        facts_version=0,
        placements=(),
        context=Context(),
        grants=Grants(personalisation=may),
        dial=3,
        degradation=Degradation.NONE,
        applied={},
        decision=b"{}",
        dry_run=dry,
        enrolled=enrolled,
    )


enrolled = st.dictionaries(st.sampled_from([f"e{number}__0" for number in range(4)]), st.sampled_from(ARMS), max_size=3)
records = st.lists(st.tuples(enrolled, st.integers(0, 3)), max_size=8).map(
    lambda drawn: [
        decision(number, arms, node=number % 3, time_ms=START_MS + later) for number, (arms, later) in enumerate(drawn)
    ]
)


def first_of(history: list[DecisionRecord]) -> dict[str, Enrolment]:
    """The slow and obvious twin."""
    found: dict[str, list[Enrolment]] = {}
    for record in history:
        for bucket, arm in record.enrolled.items():
            found.setdefault(bucket, []).append(Enrolment(record.time_ms, arm))
    return {bucket: min(all_of_it) for bucket, all_of_it in found.items()}


@given(history=records, order=st.permutations(range(3)))
def test_the_first_assignment_holds_in_any_order_and_any_split(history: list[DecisionRecord], order: list[int]) -> None:
    by_node = [[record for record in history if record.producer == f"n{node}/1/0"] for node in range(3)]
    whole = fold(Profile(), history)
    assert whole.enrolments == first_of(history)
    mixed = [record for node in order for record in by_node[node]]
    assert encode_profile(fold(Profile(), mixed)) == encode_profile(whole)
    parts = [fold(Profile(), one) for one in by_node]
    assert encode_profile(merge(merge(parts[0], parts[1]), parts[2])) == encode_profile(whole)
    assert encode_profile(fold(whole, history)) == encode_profile(whole)
    assert decode_profile(encode_profile(whole)) == whole


MANY = [decision(0, {f"e{number}__0": ARMS[0]}, node=number) for number in range(MAX_ENROLMENTS + 40)]


@given(st.permutations(MANY))
def test_of_too_many_the_same_stay_in_any_order(history: list[DecisionRecord]) -> None:
    whole = fold(Profile(), MANY)
    assert len(whole.enrolments) == MAX_ENROLMENTS
    assert encode_profile(fold(Profile(), history)) == encode_profile(whole)
    half = len(history) // 2
    merged = merge(fold(Profile(), history[:half]), fold(Profile(), history[half:]))
    assert encode_profile(merged) == encode_profile(whole)


def test_nothing_is_remembered_without_a_grant_or_of_a_dry_run() -> None:
    arms = {"e0__0": ARMS[1]}
    for refused in (decision(0, arms, may=False), decision(0, arms, dry=True), decision(0, {})):
        assert not touches_profile(refused)
        assert fold(Profile(), [refused]) == Profile()
    assert touches_profile(decision(0, arms))


def test_records_keep_it_and_a_session_knows_it() -> None:
    record = decision(0, {"e0__0": ARMS[1]})
    assert decode_record(encode_record(record)) == record
    assert b"enrolled" not in encode_record(decision(0, {})), "who is known already costs no byte"
    profile = fold(Profile(), [record])
    assert session_view(profile, START_MS + 10**9).enrolments == {"e0__0": Enrolment(START_MS, ARMS[1])}
