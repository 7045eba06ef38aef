"""The laws of the profile algebra, for random histories of several producers."""

from hypothesis import given
from hypothesis import strategies as st
from profile_naive import naive_profile
from strategies_profile import histories, interleavings

from edgewise.profile.merge import merge
from edgewise.profile.reduce import fold
from edgewise.profile.state import Profile, decode_profile, encode_profile


@given(st.data())
def test_any_arrival_order_gives_equal_bytes(data: st.DataObject) -> None:
    history = data.draw(histories())
    one = fold(Profile(), data.draw(interleavings(history)))
    other = fold(Profile(), data.draw(interleavings(history)))
    assert encode_profile(one) == encode_profile(other)


@given(st.data())
def test_any_split_and_any_repetition_gives_equal_bytes(data: st.DataObject) -> None:
    order = data.draw(interleavings(data.draw(histories())))
    whole = fold(Profile(), order)
    profile = Profile()
    position = 0
    while position < len(order):
        step = data.draw(st.integers(1, 5))
        again = data.draw(st.integers(0, position))
        profile = fold(profile, order[again:position] + order[position : position + step])
        position += step
    assert encode_profile(profile) == encode_profile(whole)


@given(st.data())
def test_merge_of_two_folds_is_the_fold_of_both(data: st.DataObject) -> None:
    history = data.draw(histories(producers=4))
    names = sorted(history)
    left = {name: history[name] for name in names[:2]}
    right = {name: history[name] for name in names[2:]}
    merged = merge(fold(Profile(), data.draw(interleavings(left))), fold(Profile(), data.draw(interleavings(right))))
    assert encode_profile(merged) == encode_profile(fold(Profile(), data.draw(interleavings(history))))


@given(histories(producers=3))
def test_merge_is_associative_commutative_and_has_an_identity(history: dict) -> None:  # type: ignore[type-arg]
    a, b, c = (fold(Profile(), records) for records in history.values())
    assert encode_profile(merge(merge(a, b), c)) == encode_profile(merge(a, merge(b, c)))
    assert encode_profile(merge(a, b)) == encode_profile(merge(b, a))
    assert encode_profile(merge(a, Profile())) == encode_profile(a) == encode_profile(merge(Profile(), a))


@given(st.data())
def test_folding_does_not_change_its_input_and_bytes_round_trip(data: st.DataObject) -> None:
    order = data.draw(interleavings(data.draw(histories())))
    start = fold(Profile(), order[:3])
    before = encode_profile(start)
    after = fold(start, order)
    assert encode_profile(start) == before
    assert encode_profile(decode_profile(encode_profile(after))) == encode_profile(after)


@given(st.data())
def test_the_fold_equals_its_naive_twin(data: st.DataObject) -> None:
    history = data.draw(histories())
    order = data.draw(interleavings(history))
    assert fold(Profile(), order) == naive_profile(order)
