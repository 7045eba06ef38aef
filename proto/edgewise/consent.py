"""Consent: what may be read, written and logged for a visitor, decided before a profile is touched.

Precedence (interfaces.md, section 1): dial 0, `Sec-GPC: 1` or a stored denial > what the request says > a stored
grant > the site's default. Everything that is not granted fails closed.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Purpose(StrEnum):
    """What data may be used for."""

    PERSONALISATION = "personalisation"
    ANALYTICS = "analytics"
    MARKETING = "marketing"


class ConsentState(StrEnum):
    """`pending` is not a grant."""

    GRANTED = "granted"
    DENIED = "denied"
    PENDING = "pending"


class Consent(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One answer per purpose; None where the speaker says nothing.

    A purpose that nobody knows is refused and not passed over: a misspelt denial must not become a grant.
    """

    personalisation: ConsentState | None = None
    analytics: ConsentState | None = None
    marketing: ConsentState | None = None
    personalization: ConsentState | None = None
    """Understood and never kept: what it says stands in `personalisation`."""

    def __post_init__(self) -> None:
        """Take the American spelling for the British one; of two different answers the stricter holds."""
        if self.personalization is not None:
            said = _stricter(self.personalisation, self.personalization)
            msgspec.structs.force_setattr(self, "personalisation", said)
            msgspec.structs.force_setattr(self, "personalization", None)

    def under(self, around: Consent) -> Consent:
        """These answers within what is said around them: the nearer word holds, but a denial anywhere is a denial."""
        if around == SILENCE:
            return self
        return Consent(
            **{
                purpose.value: ConsentState.DENIED
                if ConsentState.DENIED in (self.of(purpose), around.of(purpose))
                else self.of(purpose) or around.of(purpose)
                for purpose in Purpose
            }
        )

    def of(self, purpose: Purpose) -> ConsentState | None:
        """What is said of one purpose."""
        match purpose:
            case Purpose.PERSONALISATION:
                return self.personalisation
            case Purpose.ANALYTICS:
                return self.analytics
            case Purpose.MARKETING:
                return self.marketing


SILENCE = Consent()


def _stricter(left: ConsentState | None, right: ConsentState) -> ConsentState:
    return next(state for state in (ConsentState.DENIED, ConsentState.PENDING, right) if state in (left, right))


class Grants(msgspec.Struct, frozen=True):
    """What is granted in the end."""

    personalisation: bool = False
    analytics: bool = False
    marketing: bool = False

    def allows(self, purpose: Purpose) -> bool:
        """Whether data may be used for `purpose`."""
        match purpose:
            case Purpose.PERSONALISATION:
                return self.personalisation
            case Purpose.ANALYTICS:
                return self.analytics
            case Purpose.MARKETING:
                return self.marketing


NOTHING = Grants()


def effective(
    *, stored: Consent, asked: Consent, default: Consent, opted_out: bool, global_privacy_control: bool
) -> Grants:
    """The grants that hold for one request.

    `opted_out` is dial 0. `Sec-GPC: 1` and dial 0 deny personalisation and marketing; analytics without identity
    is not theirs to deny, but analytics *with* identity is, so it is denied as well.
    """

    def granted(purpose: Purpose) -> bool:
        if opted_out or global_privacy_control or stored.of(purpose) is ConsentState.DENIED:
            return False
        said = asked.of(purpose) or stored.of(purpose) or default.of(purpose)
        return said is ConsentState.GRANTED

    return Grants(
        personalisation=granted(Purpose.PERSONALISATION),
        analytics=granted(Purpose.ANALYTICS),
        marketing=granted(Purpose.MARKETING),
    )
