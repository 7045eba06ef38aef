"""Consent precedence, against the sentence in interfaces.md written out as a naive twin."""

import itertools
from typing import Any

import msgspec
import pytest

from edgewise.consent import Consent, ConsentState, Purpose, effective

SAID = [None, *ConsentState]


def naive(stored: object, asked: object, default: object, *, out: bool) -> bool:
    if out or stored == "denied":
        return False
    if asked is not None:
        return asked == "granted"
    if stored == "granted":
        return True
    if stored == "pending":
        return False
    return default == "granted"


@pytest.mark.parametrize("purpose", list(Purpose))
def test_every_combination_follows_the_precedence(purpose: Purpose) -> None:
    for stored, asked, default, opted_out, signal in itertools.product(SAID, SAID, SAID, [False, True], [False, True]):
        grants = effective(
            stored=Consent(**{purpose: stored}),
            asked=Consent(**{purpose: asked}),
            default=Consent(**{purpose: default}),
            opted_out=opted_out,
            global_privacy_control=signal,
        )
        assert grants.allows(purpose) is naive(stored, asked, default, out=opted_out or signal)


def test_silence_grants_nothing() -> None:
    grants = effective(
        stored=Consent(), asked=Consent(), default=Consent(), opted_out=False, global_privacy_control=False
    )
    assert not any(grants.allows(purpose) for purpose in Purpose)


@pytest.mark.parametrize("encode", [msgspec.json, msgspec.msgpack])
def test_a_misspelt_purpose_is_refused_and_both_spellings_are_one(encode: Any) -> None:
    """Passed over, a denial would become the site's default, which may be a grant."""
    for word in ("personalization", "personalisation"):
        assert encode.decode(encode.encode({word: "denied"}), type=Consent) == Consent(
            personalisation=ConsentState.DENIED
        )
    for word in ("personalisaton", "Personalisation", "tracking"):
        with pytest.raises(msgspec.ValidationError, match=word):
            encode.decode(encode.encode({word: "denied"}), type=Consent)


@pytest.mark.parametrize(("first", "second"), list(itertools.product(ConsentState, ConsentState)))
def test_of_two_spellings_that_disagree_the_stricter_holds(first: ConsentState, second: ConsentState) -> None:
    said = Consent(personalisation=first, personalization=second)
    expected = next(state for state in ("denied", "pending", "granted") if state in {first, second})
    assert said == Consent(personalisation=ConsentState(expected))
    assert msgspec.json.encode(said) == b'{"personalisation":"%s"}' % expected.encode()


@pytest.mark.parametrize(("own", "around"), list(itertools.product(SAID, SAID)))
def test_a_denial_anywhere_is_a_denial_and_else_the_nearer_word_holds(
    own: ConsentState | None, around: ConsentState | None
) -> None:
    said = Consent(analytics=own).under(Consent(analytics=around))
    expected = ConsentState.DENIED if "denied" in {own, around} else own or around
    assert said == Consent(analytics=expected)
