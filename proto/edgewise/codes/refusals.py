"""Why a code is not accepted: one closed list for nodes and hub, as `reason` of Segment's `Coupon Denied`."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Final

from edgewise.bundle.promotions import Promotion
from edgewise.codes.code import Code, Keys, is_owner
from edgewise.ids import SubjectId


class Denial(StrEnum):
    """Also what metrics and tables call it."""

    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    NOT_STARTED = "not-started"
    NOT_YOURS = "not-yours"
    REVOKED = "revoked"
    RETURNED = "returned"
    ALREADY_REDEEMED = "already-redeemed"
    PER_PERSON = "per-person"
    MINIMUM_ORDER = "minimum-order"


WORDS: Final = {
    Denial.MALFORMED: "this is no code: a letter is wrong or missing; compare it with what was sent",
    Denial.UNKNOWN: "no promotion has given out this code",
    Denial.EXPIRED: "the code's time is over",
    Denial.NOT_STARTED: "the promotion has not begun",
    Denial.NOT_YOURS: "the code was promised to somebody else",
    Denial.REVOKED: "the code was revoked",
    Denial.RETURNED: "the code's number was given back by the node that had it, so it is not promised any more",
    Denial.ALREADY_REDEEMED: "the code was redeemed already",
    Denial.PER_PERSON: "this person has redeemed as many codes of the promotion as one may",
    Denial.MINIMUM_ORDER: "the order is smaller than the promotion asks for",
}
"""For people: what is wrong, and where it can be mended, how."""


def denial_of(
    code: Code,
    promotion: Promotion,
    keys: Keys,
    subjects: Collection[SubjectId] | None,
    *,
    time_ms: int,
    value: float | None = None,
) -> Denial | None:
    """What speaks against a verified code without looking anything up: a node and the hub say the same.

    `subjects` None: whoever presents it. `value` is the order's, None where that is not known.
    """
    if subjects is not None and not is_owner(code, keys, subjects):
        return Denial.NOT_YOURS
    if promotion.starts_ms is not None and time_ms < promotion.starts_ms:
        return Denial.NOT_STARTED
    if time_ms >= code.ends_ms or (promotion.ends_ms is not None and time_ms >= promotion.ends_ms):
        return Denial.EXPIRED
    if value is not None and value < promotion.minimum_order:
        return Denial.MINIMUM_ORDER
    return None
