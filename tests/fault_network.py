"""gRPC between a node's agent and a hub in simulated time: the real clients and services, no sockets.

Messages of one stream arrive in order, each after a drawn while. What may happen to them: the connection is cut, before
or behind a message; nothing passes for a time, and then all that was under way arrives; the hub is not there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, NoReturn

import grpc
from fault_proxy import Way
from fault_seeds import Random

LATENCY_MS = 10.0
Find = Callable[[str], bytes | None]
Handler = Callable[[AsyncIterator[Any], Any], AsyncIterator[Any]]
_END = object()


class AbortedError(Exception):
    """A service has ended a call with a status."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        self.details = details


class _Context:
    """As much of a servicer's context as our services use."""

    async def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        raise AbortedError(code, details)


class Network:
    """All that lies between one node and the hub. `services`: full method name -> handler; empty while it is down."""

    def __init__(self, random: Random) -> None:
        self.services: dict[str, Handler] = {}
        self.find: Find | None = None
        """What the hub has to download, by path; None while it is down."""
        self.flowing = {way: asyncio.Event() for way in Way}
        self.heal()
        self.cut_odds = 0.0
        """That a message is the last one of its connection."""
        self.cuts = 0
        self.flip_odds = 0.0
        """That a download has a bit changed on its way."""
        self.flips = 0
        self.random = random
        self._open: dict[_Call, None] = {}

    @property
    def is_flowing(self) -> bool:
        """Whether a question gets through, and its answer back."""
        return all(flowing.is_set() for flowing in self.flowing.values())

    def silence(self, *ways: Way) -> None:
        """Nothing comes through any more, one way or both; nobody is told."""
        for way in ways:
            self.flowing[way].clear()

    def heal(self) -> None:
        """Everything flows again, first of all what was under way."""
        for flowing in self.flowing.values():
            flowing.set()

    def channel(self, *_: object) -> Channel:
        """Stands in for `edge.agent.link`'s way of opening one."""
        return Channel(self)

    def cut(self) -> None:
        """Every connection breaks, and both sides hear of it."""
        for call in list(self._open):
            call.break_off("the connection was cut")

    async def carry(self, way: Way) -> None:
        """Returns when a message has come through; cuts the connection under it, or behind it."""
        await asyncio.sleep(self.random.random() * LATENCY_MS / 1_000)
        await self.flowing[way].wait()
        if self.random.random() < self.cut_odds:
            self.cuts += 1
            asyncio.get_running_loop().call_soon(self.cut)
            if self.random.random() < 0.5:
                await asyncio.Event().wait()  # cancelled by the cut: it did not come through


class Channel:
    """What the generated stubs need of a `grpc.aio.Channel`."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._calls: list[_Call] = []

    def stream_stream(self, method: str, *_: object, **__: object) -> Callable[..., _Call]:
        def call(requests: AsyncIterator[Any], **_: object) -> _Call:
            made = _Call(self._network, method, requests)
            self._calls = [one for one in self._calls if not one.ended] + [made]
            return made

        return call

    def unary_unary(self, *_: object, **__: object) -> None:
        """No story here uses one."""

    unary_stream = unary_unary

    async def close(self, *_: object) -> None:
        for call in self._calls:
            call.break_off("the channel was closed")


class _Call:
    """One bidirectional stream, both ends of it."""

    def __init__(self, network: Network, method: str, requests: AsyncIterator[Any]) -> None:
        self._network = network
        self._answers: asyncio.Queue[Any] = asyncio.Queue()
        self._arrived: asyncio.Queue[Any] = asyncio.Queue()
        self.ended = False
        network._open[self] = None
        self._sending = asyncio.create_task(self._send(requests))
        self._serving = asyncio.create_task(self._serve(network.services.get(method)))

    def __aiter__(self) -> _Call:
        return self

    async def __anext__(self) -> Any:
        answer = await self._answers.get()
        if answer is _END:
            raise StopAsyncIteration
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def cancel(self) -> None:
        """By the client. The other side hears of it as soon as the network lets it."""
        self._sending.cancel()
        self._answers.put_nowait(asyncio.CancelledError())
        self._resetting = asyncio.create_task(self._reset())

    def break_off(self, why: str) -> None:
        """By whatever lies between."""
        self._fail(grpc.StatusCode.UNAVAILABLE, why)
        self._sending.cancel()
        self._serving.cancel()

    async def _reset(self) -> None:
        await self._network.carry(Way.TO_HUB)
        self._serving.cancel()

    async def _send(self, requests: AsyncIterator[Any]) -> None:
        async for request in requests:
            await self._network.carry(Way.TO_HUB)
            self._arrived.put_nowait(request)
        await self._network.carry(Way.TO_HUB)
        self._arrived.put_nowait(_END)

    async def _requests(self) -> AsyncIterator[Any]:
        while (request := await self._arrived.get()) is not _END:
            yield request

    async def _serve(self, handler: Handler | None) -> None:
        try:
            await self._network.carry(Way.TO_HUB)
            if handler is None:
                self._fail(grpc.StatusCode.UNAVAILABLE, "nobody listens")
                return
            async with contextlib.aclosing(handler(self._requests(), _Context())) as answers:  # type: ignore[type-var]
                async for answer in answers:
                    await self._network.carry(Way.TO_NODE)
                    self._answers.put_nowait(answer)
            await self._network.carry(Way.TO_NODE)
            self._end(_END)
        except AbortedError as aborted:
            self._fail(aborted.code, aborted.details)
        finally:
            self._sending.cancel()
            self._network._open.pop(self, None)

    def _fail(self, code: grpc.StatusCode, details: str) -> None:
        nothing = grpc.aio.Metadata()
        self._end(grpc.aio.AioRpcError(code, nothing, nothing, details))

    def _end(self, how: object) -> None:
        if not self.ended:
            self.ended = True
            self._answers.put_nowait(how)
        self._network._open.pop(self, None)
