"""Promotion codes over HTTP: how their budgets stand, and the shop's call that redeems one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import override

from edgewise.bundle.promotions import PromotionName
from edgewise.clock import Clock
from edgewise.codes.refusals import WORDS, Denial
from edgewise.errors import MALFORMED
from hub.admin.openapi import Documented
from hub.admin.problems import problem
from hub.codes.book import Purchase
from hub.codes.redeeming import Redeemer
from hub.ledger.ledger import Ledger

PATH: Final = "/api/v1/codes"
MOST_BODY_BYTES: Final = 64 << 10
_Id = Annotated[str, Meta(min_length=1, max_length=500)]
_Route = tuple[Documented, Callable[[Request], Awaitable[Response]]]


class RedeemBody(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A code, the order that it is for, and whose order it is: at least one of the ids."""

    code: Annotated[str, Meta(min_length=1, max_length=200)]
    order_id: _Id
    anonymous_id: _Id | None = None
    user_id: _Id | None = None
    order_value: Annotated[float, Meta(ge=0)] | None = None
    """In the site's currency, before the discount."""


class RedeemAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """Whether the order has the discount."""

    redeemed: bool
    """True also where the same order has redeemed it before."""
    is_new: bool
    reason: Denial | None
    """As `reason` of Segment's `Coupon Denied`."""
    detail: str
    promotion: PromotionName | None


class CodeBudget(msgspec.Struct, frozen=True, rename="camel"):
    """One promotion."""

    promotion: PromotionName
    total: int
    redeemed: int
    open: int
    """Lent to nodes: promised, or about to be."""
    free: int
    """Can be lent; below 0 after the total was lowered beneath what is promised."""
    denied: dict[Denial, int]


class CodesAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """All promotions of which codes were ever lent."""

    promotions: list[CodeBudget]


class CodeRoutes:
    """Reading budgets, redeeming codes."""

    def __init__(self, ledger: Ledger, redeemer: Redeemer, clock: Clock) -> None:
        self._ledger = ledger
        self._redeemer = redeemer
        self._clock = clock

    def table(self) -> list[_Route]:
        """Every route with what answers it."""
        return [
            (Documented(PATH, "Promotion codes, how their budgets stand.", CodesAnswer), self.get),
            (
                Documented(
                    f"{PATH}/redeem",
                    "Redeem a code for an order, once.",
                    RedeemAnswer,
                    method="post",
                    body=RedeemBody,
                    refuses=True,
                ),
                self.redeem,
            ),
        ]

    async def get(self, _: Request) -> Response:
        """All budgets."""
        return _json(await run_in_threadpool(lambda: CodesAnswer(code_budgets(self._ledger))))

    async def redeem(self, request: Request) -> Response:
        """200 with the verdict; a code that is not accepted is an answer, and no error."""
        body = await request.body()
        if len(body) > MOST_BODY_BYTES:
            return problem(413, f"{len(body)} bytes; expected at most {MOST_BODY_BYTES}")
        try:
            asked = msgspec.json.decode(body, type=RedeemBody)
        except MALFORMED as wrong:
            return problem(400, str(wrong))
        names = {"userId": asked.user_id, "anonymousId": asked.anonymous_id}
        known = {kind: name for kind, name in names.items() if name is not None}
        if not known:
            return problem(422, "whose order is it? say anonymousId, userId, or both: a code belongs to a person")
        purchase = Purchase(asked.order_id, self._clock.now_ms(), asked.order_value)
        verdict = await run_in_threadpool(self._redeemer.redeem, asked.code, purchase, known)
        return _json(
            RedeemAnswer(
                redeemed=verdict.denial is None,
                is_new=verdict.is_new,
                reason=verdict.denial,
                detail="redeemed" if verdict.denial is None else WORDS[verdict.denial],
                promotion=None if verdict.code is None else verdict.code.promotion,
            )
        )


class CodesCollector(Collector):
    """Budgets as Prometheus reads them, off the ledger when somebody asks."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @override
    def collect(self) -> Iterator[Metric]:
        codes = GaugeMetricFamily(
            "edgewise_codes", "Places of a promotion's total, by state.", labels=["promotion", "state"]
        )
        for budget in self._ledger.budgets():
            codes.add_metric([budget.promotion, "redeemed"], budget.redeemed)
            codes.add_metric([budget.promotion, "open"], budget.open)
            codes.add_metric([budget.promotion, "free"], budget.free)
        yield codes
        denied = CounterMetricFamily(
            "edgewise_codes_denied", "Codes that were not accepted, and why.", labels=["promotion", "reason"]
        )
        for (promotion, reason), count in sorted(self._ledger.code_denials().items()):
            denied.add_metric([promotion, reason.value], count)
        yield denied


def code_budgets(ledger: Ledger) -> list[CodeBudget]:
    """How all promotions stand, by name."""
    denials = ledger.code_denials()
    return [
        CodeBudget(
            budget.promotion,
            budget.total,
            budget.redeemed,
            budget.open,
            budget.free,
            {reason: count for (name, reason), count in sorted(denials.items()) if name == budget.promotion},
        )
        for budget in ledger.budgets()
    ]


def _json(answer: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")
