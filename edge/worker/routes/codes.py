"""`POST /v1/codes/check`: whether a code would be taken, said offline by any node; nothing is redeemed.

What the promotion's key signed is genuine on every node, whichever promised it. Whether it was redeemed already only
the hub knows, and it alone redeems (`POST /api/v1/codes/redeem`, or `Order Completed` with `coupon`). Whoever is named
in the request gets Segment's `Coupon Applied` or `Coupon Denied` into his history, without the code itself.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from edge.worker.desk import Desk
from edge.worker.endpoint import PRIVATE, Exchange, json_answer
from edge.worker.openapi import Operation, RouteSpec
from edge.worker.problems import Answer
from edge.worker.reception import Reception
from edgewise.bundle.promotions import Promotion, PromotionName
from edgewise.codes.code import Code, letters_of, verify
from edgewise.codes.refusals import WORDS, Denial, denial_of
from edgewise.consent import Consent
from edgewise.ids import SubjectId
from edgewise.subjects import subject_of

APPLIED: Final = "Coupon Applied"
DENIED: Final = "Coupon Denied"
_Id = Annotated[str, Meta(min_length=1, max_length=500)]


class CodeCheckBody(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A code, and who presents it for what."""

    code: Annotated[str, Meta(min_length=1, max_length=200)]
    anonymous_id: _Id | None = None
    """Without any id only the code itself is looked at, not whose it is."""
    user_id: _Id | None = None
    order_value: Annotated[float, Meta(ge=0)] | None = None
    """In the site's currency, before the discount; without, no minimum is asked."""
    order_id: Annotated[str, Meta(max_length=200)] = ""
    """For the event."""
    consent: Consent = Consent()


class CodeCheckAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """What this node can say of it."""

    valid: bool
    """False: it will not be redeemed as presented, and `reason` says why."""
    reason: Denial | None
    """As `reason` of Segment's `Coupon Denied`."""
    detail: str
    """The same in words."""
    promotion: PromotionName | None
    discount: str | None
    expires: str | None
    """The first moment at which it does not hold any more, RFC 3339."""
    yours: bool | None
    """Whether it was promised to who presents it; null where nobody was named. The hub knows more of who is the same
    person, and decides when it redeems."""


class CodeRoutes:
    """Codes, as one worker knows them."""

    def __init__(self, desk: Desk, reception: Reception) -> None:
        self._desk = desk
        self._reception = reception
        self._decoder = msgspec.json.Decoder(CodeCheckBody)

    def table(self) -> list[RouteSpec]:
        """Every path."""
        check = Operation(
            "POST",
            self.check,
            "Whether a promotion code would be taken; redeems nothing",
            CodeCheckAnswer,
            CodeCheckBody,
            problems=(503,),
        )
        return [RouteSpec("/v1/codes/check", "public", (check,))]

    async def check(self, exchange: Exchange) -> Answer:
        """Verify a code. Raises what decoding, and taking the event, raise."""
        asked = self._decoder.decode(exchange.body)
        answer, code = self._answer(asked, self._subjects(asked, exchange))
        if asked.anonymous_id or exchange.caller.visitor or (asked.user_id and exchange.caller.is_server):
            named = asked.anonymous_id or exchange.caller.visitor
            event = msgspec.Raw(msgspec.json.encode(_event(asked, answer, code)))
            offers = self._reception.offers([event], named, asked.consent, packed=False)
            await self._reception.settle(self._reception.take_now(offers, exchange.caller))
        return json_answer(answer, headers=[PRIVATE])

    def _subjects(self, asked: CodeCheckBody, exchange: Exchange) -> list[SubjectId] | None:
        """Whoever the request could be about; a claim is enough to be told no."""
        caller, key = exchange.caller, self._desk.keys.subject_key
        devices = dict.fromkeys(filter(None, (asked.anonymous_id, caller.visitor, caller.pseudonym)))
        subjects = [subject_of(key, "anonymousId", device) for device in devices]
        if asked.user_id is not None:
            subjects.append(subject_of(key, "userId", asked.user_id))
        return subjects or None

    def _answer(self, asked: CodeCheckBody, subjects: list[SubjectId] | None) -> tuple[CodeCheckAnswer, Code | None]:
        served, codes = self._desk.live.served, self._desk.codes
        code = verify(asked.code, codes.keys)
        if code is None:
            return _denied(Denial.MALFORMED if letters_of(asked.code) is None else Denial.UNKNOWN), None
        policy = None if served is None else served.bundle.policy
        promotion = None if policy is None else policy.offers.get(code.promotion)
        if policy is None or promotion is None or promotion.generation != code.generation:
            return _denied(Denial.UNKNOWN), code
        now_ms = self._desk.clock.now_ms()
        denial = denial_of(code, promotion, codes.keys, subjects, time_ms=now_ms, value=asked.order_value)
        if denial is None and codes.is_revoked(code.promotion, code.number):
            denial = Denial.REVOKED
        answer = CodeCheckAnswer(
            valid=denial is None,
            reason=denial,
            detail="this code holds" if denial is None else WORDS[denial],
            promotion=code.promotion,
            discount=promotion.discount.text(policy.site.currency),
            expires=_moment(code, promotion),
            yours=None if subjects is None else denial is not Denial.NOT_YOURS,
        )
        return answer, code


def _denied(denial: Denial) -> CodeCheckAnswer:
    return CodeCheckAnswer(
        valid=False, reason=denial, detail=WORDS[denial], promotion=None, discount=None, expires=None, yours=None
    )


def _moment(code: Code, promotion: Promotion) -> str:
    ends_ms = code.ends_ms if promotion.ends_ms is None else min(code.ends_ms, promotion.ends_ms)
    return dt.datetime.fromtimestamp(ends_ms / 1_000, dt.UTC).isoformat().replace("+00:00", "Z")


def _event(asked: CodeCheckBody, answer: CodeCheckAnswer, code: Code | None) -> dict[str, Any]:
    """Segment's, with the number in place of the code: whoever reads the record must not be able to spend it."""
    properties: dict[str, Any] = {} if code is None else {"coupon_id": f"{code.promotion}/{code.number}"}
    if code is not None:
        properties["coupon_name"] = code.promotion
    if asked.order_id:
        properties["order_id"] = asked.order_id
    if answer.reason is not None:
        properties["reason"] = answer.reason.value
    elif answer.discount is not None:
        properties["discount_text"] = answer.discount
    event = {"type": "track", "event": APPLIED if answer.valid else DENIED, "properties": properties}
    return event if asked.user_id is None else {**event, "userId": asked.user_id}
