"""Where one worker promises codes: out of a handful of numbers that are its own, without any I/O in a request.

    stock file -- take, durable --> hand -- promise --> remembered by person (write-behind, `edge.profiles.promised`)

A worker that is killed loses its hand: so many numbers count as promised until their lease ends. One that stops brings
them back. Who comes again sees the code that he has, as long as it holds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

import lmdb
import msgspec

from edge.codes.stock_file import StockFile
from edge.profiles.cache_file import CacheFile, Txn
from edge.profiles.promised import Promised, PromisedCodes, Whose
from edgewise.bundle.promotions import Promotion, PromotionName
from edgewise.codes.code import CodeKey, day_end_ms, day_of, keys_of, write_code
from edgewise.codes.stock import Number, Stock
from edgewise.ids import ItemId, SubjectId
from edgewise.profile.state import DAY_MS
from edgewise.promises import Promise

HAND: Final = 8
"""Numbers of a promotion that a worker takes at a time: so many a crash of it costs."""
LOW: Final = 4
MOST_A_MINUTE: Final = 600
"""Fresh promises of one promotion by one worker: what a flood of invented visitors can use up."""
MINUTE_MS: Final = 60_000


class _Pace(msgspec.Struct):
    """How many fresh promises this minute has seen."""

    minute: int = 0
    made: int = 0

    def allows(self, now_ms: int) -> bool:
        return self.minute != now_ms // MINUTE_MS or self.made < MOST_A_MINUTE

    def count(self, now_ms: int) -> None:
        if self.minute != now_ms // MINUTE_MS:
            self.minute, self.made = now_ms // MINUTE_MS, 0
        self.made += 1


class Fetched(NamedTuple):
    """What another thread has brought."""

    numbers: dict[PromotionName, list[Number]]
    generation: object
    stock: Stock


class CounterFigures(NamedTuple):
    """For /status and /metrics."""

    promised: dict[PromotionName, int]
    """Fresh codes since the process started."""
    spent: dict[PromotionName, int]
    """Requests for which there was no number."""


class CodeCounter:
    """Belongs to one worker's event loop; only `fetch` and `bring_back` block, and touch nothing of it."""

    def __init__(
        self, file: StockFile, cache: CacheFile, count: Callable[[PromotionName, str], None] = lambda *_: None
    ) -> None:
        """`count` is told of every promotion that was `promised`, or was `out`."""
        self._count = count
        self._file = file
        self._remembered = PromisedCodes(cache)
        self._hand: dict[PromotionName, deque[Number]] = {}
        self._offers: Mapping[PromotionName, Promotion] = {}
        self._keys: dict[tuple[PromotionName, int], CodeKey] = {}
        self._revoked: frozenset[tuple[PromotionName, int]] = frozenset()
        self._generation: object = None
        self._paces: dict[PromotionName, _Pace] = {}
        self.unflushed: dict[Whose, Promised] = {}
        """Promises to be remembered with the next flush."""
        self._promised: dict[PromotionName, int] = {}
        self._spent: dict[PromotionName, int] = {}

    # --- in a request -------------------------------------------------------------------------------------------------
    def unpromised(
        self, offers: Mapping[PromotionName, Promotion], subject: SubjectId | None, now_ms: int
    ) -> tuple[PromotionName, ...]:
        """Promotions of which nothing can be promised to a person now; None: to nobody at all."""
        if not offers:
            return ()
        if subject is None:
            return tuple(offers)
        return tuple(
            name for name, promotion in offers.items() if not self._can_promise(name, promotion, subject, now_ms)
        )

    def promise(
        self,
        shown: Mapping[ItemId, PromotionName],
        offers: Mapping[PromotionName, Promotion],
        subject: SubjectId,
        now_ms: int,
    ) -> dict[ItemId, Promise]:
        """Codes for items that are shown; what `unpromised` named gets none. One code a promotion, the person's own."""
        made: dict[PromotionName, Promise | None] = {}
        for name in shown.values():
            if name not in made:
                made[name] = self._promise(name, offers[name], subject, now_ms)
        return {item: promise for item, name in shown.items() if (promise := made[name]) is not None}

    @property
    def keys(self) -> dict[tuple[PromotionName, int], CodeKey]:
        """What verifies codes, as the hub said last."""
        return self._keys

    def is_revoked(self, promotion: PromotionName, number: int) -> bool:
        """Whether the hub has said that a code was taken back."""
        return (promotion, number) in self._revoked

    # --- between requests ---------------------------------------------------------------------------------------------
    def serves(self, offers: Mapping[PromotionName, Promotion]) -> None:
        """Promotions of the bundle that answers now: numbers of these are taken."""
        self._offers = offers

    def short(self) -> list[PromotionName]:
        """Promotions of which there should be more in hand."""
        return [name for name in self._offers if len(self._hand.get(name, ())) < LOW]

    def is_behind(self) -> bool:
        """Whether the file is another one than was last looked at."""
        return self._file.generation() != self._generation

    def fetch(self, short: Iterable[PromotionName], now_ms: int) -> Fetched:
        """Take numbers, and read what the agent was told. Blocking; raises OSError when the disk does not take it."""
        stock, numbers = self._file.stock(), dict[PromotionName, list[Number]]()
        for name in short:
            # a look first: to find that there is nothing, nobody need wait for a lock or a disk
            if stock.left(name, now_ms) or name not in stock.wanted:
                numbers[name] = self._file.take(name, HAND, now_ms)
        return Fetched(numbers, self._file.generation(), self._file.stock())

    def take_in(self, fetched: Fetched) -> None:
        """What was fetched may be promised from now on."""
        for name, numbers in fetched.numbers.items():
            self._hand.setdefault(name, deque()).extend(numbers)
        stock = fetched.stock
        self._generation, self._keys, self._revoked = fetched.generation, keys_of(stock.keys), stock.revoked
        leases = {lease.id for lease in stock.leases}
        for name, hand in self._hand.items():
            self._hand[name] = deque(number for number in hand if number.lease in leases)

    def remember(self, txn: Txn, promises: Mapping[Whose, Promised]) -> None:
        """Let all workers know, as part of a transaction."""
        self._remembered.remember(txn, promises.items())

    def let_go(self) -> list[Number]:
        """What is in hand, which is no more."""
        unused = [number for hand in self._hand.values() for number in hand]
        self._hand = {}
        return unused

    def bring_back(self, unused: Iterable[Number]) -> None:
        """Let others have what was let go. Blocking; raises OSError."""
        self._file.bring_back(unused)

    def figures(self) -> CounterFigures:
        """What this process has counted."""
        return CounterFigures(dict(self._promised), dict(self._spent))

    # ------------------------------------------------------------------------------------------------------------------
    def _can_promise(self, name: PromotionName, promotion: Promotion, subject: SubjectId, now_ms: int) -> bool:
        if not promotion.is_open(now_ms) or (name, promotion.generation) not in self._keys:
            return False
        if self._next(name, now_ms) is not None and self._paces.setdefault(name, _Pace()).allows(now_ms):
            return True
        if self._known(name, promotion, subject, now_ms) is not None:
            return True
        self._spent[name] = self._spent.get(name, 0) + 1
        self._count(name, "out")
        return False

    def _promise(self, name: PromotionName, promotion: Promotion, subject: SubjectId, now_ms: int) -> Promise | None:
        key = self._keys.get((name, promotion.generation))
        if key is None:
            return None
        known = self._known(name, promotion, subject, now_ms)
        if known is None:
            number = self._next(name, now_ms)
            if number is None:
                return None
            self._hand[name].popleft()
            self._paces.setdefault(name, _Pace()).count(now_ms)
            last_day = min(number.last_day, day_of(now_ms + promotion.valid_days * DAY_MS))
            known = Promised(name, key.generation, number.number, last_day)
            self.unflushed[Whose(subject, name)] = known
            self._promised[name] = self._promised.get(name, 0) + 1
            self._count(name, "promised")
        ends_ms = day_end_ms(known.last_day)
        if promotion.ends_ms is not None:
            ends_ms = min(ends_ms, promotion.ends_ms)
        return Promise(name, known.number, write_code(key, known.number, known.last_day, subject), ends_ms)

    def _known(self, name: PromotionName, promotion: Promotion, subject: SubjectId, now_ms: int) -> Promised | None:
        whose = Whose(subject, name)
        found = self.unflushed.get(whose)
        if found is None:
            try:
                found = self._remembered.find(whose)
            except lmdb.Error:
                return None
        if found is None or found.generation != promotion.generation or day_end_ms(found.last_day) <= now_ms:
            return None
        return None if (name, found.number) in self._revoked else found

    def _next(self, name: PromotionName, now_ms: int) -> Number | None:
        """The number in hand that comes next and may still be promised."""
        hand = self._hand.get(name)
        while hand:
            if now_ms < hand[0].until_ms and day_of(now_ms) <= hand[0].last_day:
                return hand[0]
            hand.popleft()
        return None
