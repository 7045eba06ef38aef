"""Consent precedence, against the sentence in interfaces.md written out as a naive twin."""

import itertools

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
