"""Keeps the node in numbers of promotion codes: says what was taken, and hears all that it has.

State for state, so that nothing need be remembered of what was said before: what got lost on the way is made up by
the next exchange. Each start of the agent is an incarnation of its own, and nothing is taken from leases of earlier
ones until the hub has said that this one may go on with them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import grpc

from edge.agent.link import Line
from edge.backoff import pause
from edge.codes.stock_file import StockFile
from edge.log import Log
from edgewise.bundle.promotions import PromotionName
from edgewise.clock import Clock
from edgewise.codes.code import CodeKey
from edgewise.codes.stock import Lease, Stock
from edgewise.ids import NodeId
from edgewise.v1 import codes_pb2 as pb
from edgewise.v1.codes_pb2_grpc import CodesStub

LEAST: Final = 64
"""Numbers of a promotion that a node likes to have left; more where they go quickly."""
MOST: Final = 4_096
EVERY_MS: Final = 5_000
IDLE_MS: Final = 60_000
"""Where nothing of promotions is served here: keys may have changed all the same."""
LOOK_MS: Final = 200
EXCHANGE_TIMEOUT_S: Final = 10.0


class CodesFeed:
    """One node's codes. Belongs to the agent's event loop."""

    def __init__(self, file: StockFile, node: NodeId, incarnation: str, *, clock: Clock, log: Log) -> None:
        self._file = file
        self._node = node
        self._incarnation = incarnation
        self._clock = clock
        self._log = log
        self._stopping = asyncio.Event()
        self._has_begun = False
        self._before: Stock | None = None
        """As the last exchange left it."""

    def finish(self) -> None:
        """End the session."""
        self._stopping.set()

    async def session(self, line: Line, heard: Callable[[], None]) -> None:
        """Exchange now, and then whenever something is short, until `finish`. `heard` is called at each answer."""
        stub = CodesStub(line.channel)  # type: ignore[no-untyped-call]  # generated
        while not self._stopping.is_set():
            try:
                await self._exchange(stub, line.metadata)
            except grpc.aio.AioRpcError as failed:
                if failed.code() is not grpc.StatusCode.UNIMPLEMENTED:
                    raise
                await pause(self._stopping, IDLE_MS)  # an older hub: it lends nothing, and need not be asked often
                continue
            except OSError as failed:
                self._log.error("codes cannot be written down, none is promised", detail=str(failed))
                await pause(self._stopping, IDLE_MS)
                continue
            heard()
            await self._until_due()

    async def _exchange(self, stub: CodesStub, metadata: tuple[tuple[str, str], ...]) -> None:
        if not self._has_begun:
            await asyncio.to_thread(self._file.change, lambda stock: stock.begun(self._incarnation))
            self._has_begun = True
        now_ms = self._clock.now_ms()
        stock = await asyncio.to_thread(self._file.change, lambda stock: stock.finish(now_ms))
        request = pb.ExchangeRequest(
            node_id=self._node,
            incarnation=self._incarnation,
            held=[
                pb.HeldLease(id=lease.id, incarnation=lease.incarnation, taken=lease.taken, finished=lease.finished)
                for lease in stock.leases
            ],
            wanted=[pb.WantedCodes(promotion=name, count=count) for name, count in self._wants(stock).items()],
        )
        answer: pb.ExchangeResponse = await stub.Exchange(request, timeout=EXCHANGE_TIMEOUT_S, metadata=metadata)
        leases = [_lease(lease, self._incarnation) for lease in answer.leases]
        keys = [CodeKey(PromotionName(key.promotion), key.generation, key.key) for key in answer.keys]
        revoked = {(PromotionName(one.promotion), one.number) for one in answer.revoked}
        self._before = await asyncio.to_thread(self._file.change, lambda stock: stock.told(leases, keys, revoked))

    def _wants(self, stock: Stock) -> Mapping[PromotionName, int]:
        """As much as was taken since the last exchange, four times over; they are a few seconds apart."""
        before = {} if self._before is None else {lease.id: lease.taken for lease in self._before.leases}
        taken = dict.fromkeys(_served(stock), 0)
        for lease in stock.leases:
            taken[lease.promotion] += lease.taken - before.get(lease.id, lease.taken)
        return {name: min(max(LEAST, 4 * count), MOST) for name, count in sorted(taken.items())}

    async def _until_due(self) -> None:
        """Wait for the next exchange: a few seconds, or less where numbers run out that did not before."""
        after, generation = self._before, self._file.generation()
        assert after is not None
        waited_ms, most_ms = 0, EVERY_MS if _served(after) else IDLE_MS
        while waited_ms < most_ms and not self._stopping.is_set():
            await pause(self._stopping, LOOK_MS)
            waited_ms += LOOK_MS
            if self._file.generation() != generation:
                generation = self._file.generation()
                if self._is_short(await asyncio.to_thread(self._file.stock), after):
                    return

    def _is_short(self, stock: Stock, after: Stock) -> bool:
        now_ms = self._clock.now_ms()
        return any(
            name not in _served(after) or stock.left(name, now_ms) < min(LEAST // 2, after.left(name, now_ms))
            for name in _served(stock)
        )


def _served(stock: Stock) -> set[PromotionName]:
    return {lease.promotion for lease in stock.leases} | stock.wanted


def _lease(said: pb.CodeLease, incarnation: str) -> Lease:
    return Lease(
        id=said.id,
        promotion=PromotionName(said.promotion),
        incarnation=incarnation,
        first=said.first,
        last=said.last,
        until_ms=said.until_ms,
        last_day=said.last_day,
        taken=said.taken,
    )
