"""Sends what is due when it is due, whatever the answers do, and judges each answer."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Iterator
from typing import Final

from typing_extensions import override

from edge.bench.alarm import Alarm
from edge.bench.answers import WrongAnswerError, read_decision, read_success
from edge.bench.connection import Connection, Owner, Sent
from edge.bench.fleet import Fleet
from edge.bench.http1 import Reply, Target
from edge.bench.tally import Tally
from edge.bench.visits import DECIDE, Ask, Visits
from edge.bench.watched import Watched

AT_ONCE: Final = 32
"""Requests sent before answers are looked at again: what was missed is caught up without going deaf."""
SWEEP_S: Final = 0.1


class Generator(Owner):
    """One core's worth of visitors; lives on the loop that runs."""

    def __init__(
        self, target: Target, visits: Visits, *, connections: int, timeout_s: float, watched: Watched | None = None
    ) -> None:
        """A request counts as failed when `timeout_s` have passed since it was meant to be sent."""
        self.sent = 0
        """Requests that were put on the wire, the warm-up's too."""
        self.fleet = Fleet(target, connections, self)
        self._visits = visits
        self._timeout_s = timeout_s
        self._watched = watched
        self._tally = Tally(math.inf, math.inf)
        self._alarm = Alarm(self._release)
        self._due: Iterator[float] = iter(())
        self._next_s = math.inf
        self._waiting: deque[tuple[float, Ask | None]] = deque()  # an Ask where it is sent again
        self._busy: dict[Connection, Sent] = {}  # oldest first: requests are sent in the order of their moments
        self._sent_all = asyncio.Event()
        self._settled = asyncio.Event()

    async def run(self, due_s: Iterator[float], tally: Tally, *, patience_s: float | None = None) -> None:
        """Send a request at each moment of `due_s` (of `time.perf_counter()`, ascending) and wait for the answers.

        Behind the last one it waits for `patience_s` (None: the timeout); then what is missing counts as failed.
        """
        self._tally, self._due = tally, due_s
        self._sent_all.clear()
        self._settled.clear()
        sweeping = asyncio.get_running_loop().create_task(self._sweep())
        self._advance()
        try:
            await self._sent_all.wait()
            async with asyncio.timeout(self._timeout_s if patience_s is None else patience_s):
                await self._settled.wait()
        except TimeoutError:
            self._give_up(math.inf)
        finally:
            sweeping.cancel()

    async def ask_once(self, ask: Ask) -> Reply:
        """Send one request outside of any schedule, and return its answer.

        Raises:
            ConnectionError: it was not answered.
            TimeoutError: not in time.
        """
        connection = self.fleet.take()
        if connection is None:
            raise ConnectionError("all connections are closed")
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        connection.send(Sent(ask, 0.0, 0.0, reply))
        try:
            async with asyncio.timeout(self._timeout_s):
                return await reply
        except TimeoutError:
            connection.give_up()
            raise

    async def close(self) -> None:
        """Close all connections."""
        self._alarm.close()
        await self.fleet.close()

    @override
    def opened(self, connection: Connection) -> None:
        self._reuse(connection)

    @override
    def answered(self, connection: Connection, sent: Sent, reply: Reply, now_s: float) -> None:
        if sent.reply is not None:
            self.fleet.free(connection)
            if not sent.reply.done():
                sent.reply.set_result(reply)
            return
        del self._busy[connection]
        if reply.keep_alive:
            self._reuse(connection)  # first: whoever waits has waited long enough
        try:
            if sent.ask.kind == DECIDE:
                decided = read_decision(reply.status, reply.body)
                self._visits.learn(sent.ask.visitor, decided)
                if self._watched is not None:
                    self._watched.look(decided, now_s)
            else:
                decided = None
                read_success(reply.status, reply.body)
        except WrongAnswerError as wrong:
            self._tally.wrong(str(wrong), sent.intended_s, now_s, is_answer=True)
        else:
            self._tally.right(sent.ask.kind, sent.intended_s, sent.sent_s, now_s, decided)
        self._look_whether_settled()

    @override
    def broke(self, connection: Connection, sent: Sent, why: str, now_s: float, *, is_untouched: bool) -> None:
        if sent.reply is not None:
            if not sent.reply.done():
                sent.reply.set_exception(ConnectionError(why))
            return
        del self._busy[connection]
        if is_untouched and not sent.is_retry:
            self._send_again(sent, now_s)
            return
        self._tally.wrong(why, sent.intended_s, now_s, is_answer=False)
        self._look_whether_settled()

    @override
    def lost(self, connection: Connection) -> None:
        self.fleet.lost(connection)

    def _release(self) -> None:
        """The alarm rings: send what is due."""
        for _ in range(AT_ONCE):
            now_s = time.perf_counter()
            if self._next_s > now_s:
                break
            intended_s = self._next_s
            self._tally.dispatch(intended_s, now_s)
            connection = self.fleet.take()
            if connection is None:
                self._waiting.append((intended_s, None))
            else:
                self._send(connection, intended_s, now_s)
            self._next_s = next(self._due, math.inf)
        self._set_alarm()

    def _advance(self) -> None:
        self._next_s = next(self._due, math.inf)
        self._set_alarm()

    def _set_alarm(self) -> None:
        if self._next_s < math.inf:
            self._alarm.set(self._next_s)
        else:
            self._sent_all.set()
            self._look_whether_settled()

    def _send(self, connection: Connection, intended_s: float, now_s: float, again: Ask | None = None) -> None:
        sent = Sent(again or self._visits.next(), intended_s, now_s)
        sent.is_retry = again is not None
        self._busy[connection] = sent
        self.sent += 1
        connection.send(sent)

    def _send_again(self, sent: Sent, now_s: float) -> None:
        """Once more, as browsers and proxies do when a server closes a kept connection under a request's feet."""
        self._tally.retry(sent.intended_s)
        connection = self.fleet.take_freshest()
        if connection is None:
            self._waiting.appendleft((sent.intended_s, sent.ask))
        else:
            self._send(connection, sent.intended_s, now_s, sent.ask)

    def _reuse(self, connection: Connection) -> None:
        if self._waiting:
            intended_s, again = self._waiting.popleft()
            self._send(connection, intended_s, time.perf_counter(), again)
        else:
            self.fleet.free(connection)

    def _look_whether_settled(self) -> None:
        if self._next_s == math.inf and not self._busy and not self._waiting:
            self._settled.set()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self._give_up(time.perf_counter() - self._timeout_s)

    def _give_up(self, before_s: float) -> None:
        """Wait no longer for what was due before a moment."""
        now_s = time.perf_counter()
        while self._waiting and self._waiting[0][0] < before_s:
            self._tally.in_vain("no connection was free in time", self._waiting.popleft()[0], now_s)
        while self._busy:
            connection, sent = next(iter(self._busy.items()))
            if sent.intended_s >= before_s:
                break
            del self._busy[connection]
            connection.give_up()
            self._tally.in_vain("no answer in time", sent.intended_s, now_s)
        self._look_whether_settled()
