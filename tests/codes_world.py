"""Promotions, and a hub's book on a ledger with clocks and chance of the test's own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from edgewise.bundle.promotions import Discount, Promotion, PromotionName
from edgewise.codes.code import CodeKey
from edgewise.ids import NodeId, SubjectId
from edgewise.profile.state import DAY_MS
from hub.codes.book import CodeBook, Purchase
from hub.ledger.code_leases import Held
from hub.ledger.ledger import Ledger

NOW_MS: Final = 1_760_000_000_000
SPRING: Final = PromotionName("spring")
ANN: Final = SubjectId("a" * 32)
BO: Final = SubjectId("b" * 32)
NODE: Final = NodeId("n-1")
OTHER: Final = NodeId("n-2")
KEY: Final = CodeKey(SPRING, 1, b"k" * 32)


def promotion(total: int = 100, **changes: Any) -> Promotion:
    """Fifteen percent off."""
    return Promotion(**{"discount": Discount(percent=15.0), "total": total, **changes})


class HandClock:
    """Told what time it is."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self.time_ms = now_ms

    def now_ms(self) -> int:
        """As it was set."""
        return self.time_ms

    def monotonic_ms(self) -> float:
        """The same."""
        return float(self.time_ms)


class Book:
    """A book whose promotions, clock and chance the test holds."""

    def __init__(self, ledger: Ledger, promotions: dict[PromotionName, Promotion] | None = None, seed: int = 7) -> None:
        self.ledger = ledger
        self.clock = HandClock()
        self.promotions = {SPRING: promotion()} if promotions is None else promotions
        self.book = CodeBook(ledger, lambda: self.promotions, self.clock, np.random.default_rng(seed).bytes)

    def lend(self, want: int, *held: Held, node: NodeId = NODE, incarnation: str = "i1") -> list[tuple[int, int, int]]:
        """(first, last, taken) of what the node has now."""
        lent = self.book.lend(node, incarnation, held, {SPRING: want})
        return [(lease.first, lease.last, lease.taken) for lease in lent.leases]

    def key(self) -> CodeKey:
        """The spring's key, as a node gets it."""
        return self.book.lend(NODE, "reader", [], {}).keys[0]

    def purchase(self, order: str, **changes: Any) -> Purchase:
        """Placed now."""
        return Purchase(**{"order": order, "time_ms": self.clock.time_ms, **changes})

    def later(self, days: float) -> None:
        """Time goes on, or back."""
        self.clock.time_ms += round(days * DAY_MS)

    def budget(self) -> tuple[int, int, int]:
        """(free, open, redeemed) of the spring."""
        budget = next(budget for budget in self.ledger.budgets() if budget.promotion == SPRING)
        return budget.free, budget.open, budget.redeemed


@contextlib.contextmanager
def opened_book(folder: Path, **changes: Any) -> Iterator[Book]:
    """A book on a ledger in `folder`."""
    with contextlib.closing(Ledger.of(folder)) as ledger:
        yield Book(ledger, **changes)
