"""Numbers of promotions are lent to nodes: one exchange, which may be repeated."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from typing import Final

from typing_extensions import override

from edgewise.bundle.promotions import PromotionName
from edgewise.errors import EdgewiseError, InputError
from edgewise.v1 import codes_pb2 as pb
from edgewise.v1.codes_pb2_grpc import CodesServicer
from hub.codes.book import CodeBook, Lent
from hub.ledger.code_leases import Held
from hub.log import Log
from hub.rpc.guard import Context, node_of, refuse

MOST_LEASES: Final = 10_000
MOST_PROMOTIONS: Final = 1_000
MOST_NAME: Final = 64


class Codes(CodesServicer):
    """Exchange."""

    def __init__(self, book: CodeBook, writer: Executor, log: Log) -> None:
        """`writer` is the one thread that writes the ledger."""
        self._book = book
        self._writer = writer
        self._log = log

    @override
    async def Exchange(self, request: pb.ExchangeRequest, context: Context) -> pb.ExchangeResponse:
        try:
            lent = await asyncio.get_running_loop().run_in_executor(self._writer, self._lend, request)
        except EdgewiseError as refused:
            self._log.warning("codes refused", node=request.node_id[:80], reason=str(refused))
            await refuse(context, refused)
        return _response(lent)

    def _lend(self, request: pb.ExchangeRequest) -> Lent:
        node = node_of(request.node_id)
        if not 0 < len(request.incarnation) <= MOST_NAME:
            raise InputError(f"an incarnation of {len(request.incarnation)} characters, expected 1 to {MOST_NAME}")
        if len(request.held) > MOST_LEASES or len(request.wanted) > MOST_PROMOTIONS:
            raise InputError(
                f"{len(request.held)} leases and {len(request.wanted)} promotions in one exchange, "
                f"expected at most {MOST_LEASES} and {MOST_PROMOTIONS}"
            )
        held = [Held(one.id, one.incarnation, one.taken, one.finished) for one in request.held]
        wants = {PromotionName(one.promotion): one.count for one in request.wanted}
        lent = self._book.lend(node, request.incarnation, held, wants)
        if lent.forgotten:
            self._log.error(
                "a node has codes that this ledger never lent: was it restored from a backup? It has forgotten what "
                "was redeemed since; raise `generation` of the promotions, which ends all earlier codes",
                node=node,
                leases=len(lent.forgotten),
            )
        return lent


def _response(lent: Lent) -> pb.ExchangeResponse:
    return pb.ExchangeResponse(
        leases=[
            pb.CodeLease(
                id=lease.id,
                promotion=lease.promotion,
                first=lease.first,
                last=lease.last,
                taken=lease.taken,
                until_ms=lease.until_ms,
                last_day=lease.last_day,
            )
            for lease in lent.leases
            if lease.first <= lease.last
        ],
        keys=[pb.CodeKey(promotion=key.promotion, generation=key.generation, key=key.key) for key in lent.keys],
        revoked=[pb.RevokedCode(promotion=promotion, number=number) for promotion, number in lent.revoked],
    )
