"""A fleet that promises codes while everything goes wrong, before a real book on a real ledger; by a seed.

Nodes are cut off, killed, copied, set back to an older disk, their clocks and the hub's jump, requests and answers are
lost or come late; a thief has the key and forges codes for numbers of his choice. Most codes are presented as who
means to cheat would: in date, by their owner, for several orders at the same moment, in threads that race. The judge
counts on his own what the hub has redeemed: by number and order, from the answers alone, never from the ledger's sums.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from codes_world import NOW_MS, SPRING, Book, opened_book, promotion

from edgewise.bundle.promotions import Promotion
from edgewise.codes.code import CodeKey, day_of, write_code
from edgewise.codes.refusals import Denial
from edgewise.codes.stock import Number, Stock
from edgewise.ids import NodeId, SubjectId
from edgewise.profile.state import DAY_MS
from hub.codes.book import Lent
from hub.codes.book import Verdict as Answer
from hub.ledger.code_leases import Held

HAND: Final = 4
NODES: Final = 5
MOST_NODES: Final = 9
PEOPLE: Final = 400
MOST_AT_ONCE: Final = 5
"""Orders for which one code is presented at the same moment."""
PAIRS: Final = (
    ("promise", 0.36),
    ("redeem", 0.25),
    ("exchange", 0.20),
    ("cut", 0.03),
    ("crash", 0.03),
    ("copy", 0.005),
    ("snapshot", 0.02),
    ("restore", 0.01),
    ("jump", 0.02),
    ("hub_jump", 0.003),
    ("pass", 0.008),
)


@dataclass
class SimulatedNode:
    """One running node: its disk, and what its processes hold in memory."""

    id: NodeId
    incarnation: str
    disk: Stock = field(default_factory=Stock)
    hand: list[Number] = field(default_factory=list)
    ahead_ms: int = 0
    """How wrong its clock is."""
    is_cut: bool = False
    is_doubtful: bool = False
    """A copy, or set back to an older disk, at some time."""
    kept: list[Stock] = field(default_factory=list)
    """Backups of its disk."""
    late: list[Lent] = field(default_factory=list)
    """Answers of the hub that are still on their way."""


class Presented(NamedTuple):
    """A code in a customer's hands."""

    text: str
    person: SubjectId
    number: int
    last_day: int
    is_doubtful: bool
    """Its node was cut off, or is a copy, or was set back, when it promised it."""


@dataclass
class Verdict:
    """What the judge has counted."""

    attempts: int = 0
    contested: int = 0
    """Attempts with a code in date, its owner's, not redeemed before, and for one of the reasons in `why`."""
    why: Counter[str] = field(default_factory=Counter)
    redeemed: Counter[tuple[int, str]] = field(default_factory=Counter)
    """(number, order) -> fresh redemptions."""
    over: int = 0
    """Redemptions beyond the total, or of a number that was redeemed for another order."""
    denied: Counter[Denial] = field(default_factory=Counter)
    promised: int = 0
    disappointed: int = 0
    """Honest people whose code, still valid by its day, was refused for what had happened to a node."""
    total: int = 0
    left_over: int = 0
    """Of the total, neither redeemed nor to be lent again at the end."""


class Simulation:
    """One promotion in one fleet."""

    def __init__(self, book: Book, rng: np.random.Generator, total: int) -> None:
        self.book = book
        self.rng = rng
        self.terms: Promotion = promotion(total, valid_days=14, per_person=1_000)
        book.promotions = {SPRING: self.terms}
        self.nodes = [SimulatedNode(NodeId(f"n-{index}"), f"i-{index}") for index in range(NODES)]
        self.wallet: list[Presented] = []
        self.fresh: list[Presented] = []
        """Promised, and not presented yet."""
        self.orders = 0
        self.starts = 0
        self.numbers: dict[int, str] = {}
        self.key: CodeKey | None = None
        self.verdict = Verdict(total=total)
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE)
        self._names = [name for name, _ in PAIRS]
        weights = np.array([weight for _, weight in PAIRS])
        self._weights = weights / weights.sum()

    def run(self, attempts: int) -> Verdict:
        """Let things happen until so many codes were presented."""
        with self._threads:
            while self.verdict.attempts < attempts:
                for step in self.rng.choice(self._names, 256, p=self._weights):
                    getattr(self, f"_{step}")()
                    if self.verdict.attempts >= attempts:
                        break
        self.verdict.left_over = self._left_over()
        return self.verdict

    # --- what nodes do ------------------------------------------------------------------------------------------------
    def _node(self) -> SimulatedNode:
        return self.nodes[int(self.rng.integers(len(self.nodes)))]

    def _now(self, node: SimulatedNode) -> int:
        return self.book.clock.time_ms + node.ahead_ms

    def _promise(self) -> None:
        node = self._node()
        now_ms = self._now(node)
        if not node.hand:
            node.disk, node.hand = node.disk.take(SPRING, HAND, now_ms)  # durable, then used
        key = next((key for key in node.disk.keys if key.promotion == SPRING), None)
        if key is None or not node.hand:
            node.disk = node.disk.wants(SPRING)
            return
        number = node.hand.pop(0)
        if now_ms >= number.until_ms or day_of(now_ms) > number.last_day:
            return
        person = SubjectId(f"{int(self.rng.integers(PEOPLE)):032x}")
        last_day = min(number.last_day, day_of(now_ms + self.terms.valid_days * DAY_MS))
        text = write_code(key, number.number, last_day, person)
        promised = Presented(text, person, number.number, last_day, node.is_cut or node.is_doubtful)
        self.wallet.append(promised)
        self.fresh.append(promised)
        self.verdict.promised += 1

    def _exchange(self) -> None:
        node = self._node()
        if node.is_cut:
            return
        if node.late and self.rng.random() < 0.5:
            self._told(node, node.late.pop(0))
            return
        node.disk = node.disk.finish(self._now(node))
        held = [Held(lease.id, lease.incarnation, lease.taken, lease.finished) for lease in node.disk.leases]
        wanted = int(self.rng.integers(1, 40))
        lent = self.book.book.lend(node.id, node.incarnation, held, {SPRING: wanted})
        fate = self.rng.random()
        if fate < 0.15:
            return  # the answer is lost
        if fate < 0.3:
            node.late.append(lent)
            return
        self._told(node, lent)

    def _told(self, node: SimulatedNode, lent: Lent) -> None:
        leases = [lease for lease in lent.leases if lease.incarnation == node.incarnation]
        node.disk = node.disk.told(leases, lent.keys, lent.revoked)
        names = {lease.id for lease in node.disk.leases}
        node.hand = [number for number in node.hand if number.lease in names]

    # --- what happens to them -----------------------------------------------------------------------------------------
    def _cut(self) -> None:
        node = self._node()
        node.is_cut = not node.is_cut

    def _crash(self) -> None:
        self._start(self._node())

    def _start(self, node: SimulatedNode) -> None:
        self.starts += 1
        node.incarnation = f"s-{self.starts}"
        node.hand, node.late = [], []
        node.disk = node.disk.begun(node.incarnation)

    def _copy(self) -> None:
        """The folder runs a second time, under its own name, and both go on."""
        original = self._node()
        copy = SimulatedNode(original.id, "", original.disk, ahead_ms=original.ahead_ms, kept=list(original.kept))
        original.is_doubtful = copy.is_doubtful = True
        self._start(copy)
        if len(self.nodes) < MOST_NODES:
            self.nodes.append(copy)
        else:
            self.nodes[int(self.rng.integers(len(self.nodes)))] = copy

    def _snapshot(self) -> None:
        node = self._node()
        node.kept = [*node.kept[-3:], node.disk]

    def _restore(self) -> None:
        node = self._node()
        if node.kept:
            node.disk = node.kept[int(self.rng.integers(len(node.kept)))]
            node.is_doubtful = True
            self._start(node)

    def _jump(self) -> None:
        self._node().ahead_ms = int(self.rng.normal() * 2 * DAY_MS)

    def _hub_jump(self) -> None:
        self.book.clock.time_ms = max(NOW_MS, self.book.clock.time_ms + int(self.rng.normal() * 4 * DAY_MS))

    def _pass(self) -> None:
        self.book.clock.time_ms += int(self.rng.integers(DAY_MS // 2))

    # --- what customers, and a thief, do ------------------------------------------------------------------------------
    def _redeem(self) -> None:
        if not self.wallet:
            return
        kind = self.rng.random()
        if kind < 0.7:
            if self.fresh:
                self._present_at_once(self.fresh.pop(int(self.rng.integers(len(self.fresh)))))
            return
        shown = self.wallet[int(self.rng.integers(max(0, len(self.wallet) - 300), len(self.wallet)))]
        text, person = shown.text, shown.person
        if kind < 0.82:  # the thief: a true key, a number and a day of his choice
            number = int(self.rng.integers(1, 2 * self.verdict.total + 50))
            day = day_of(self.book.clock.time_ms) + int(self.rng.integers(40))
            self.key = self.key or self.book.key()
            text = write_code(self.key, number, day, person)
        elif kind < 0.85:
            person = SubjectId("f" * 32)
        order = self._order() if kind < 0.95 else f"o-{int(self.rng.integers(1, self.orders + 2))}"
        self._judge_answer(self._ask(text, person, order), order, is_honest=kind >= 0.85)

    def _present_at_once(self, shown: Presented) -> None:
        """Two to five orders race for one code; the thief may have had its number before."""
        orders = [self._order() for _ in range(int(self.rng.integers(2, MOST_AT_ONCE + 1)))]
        if shown.number not in self.numbers and day_of(self.book.clock.time_ms) <= shown.last_day:
            self.verdict.contested += len(orders)
            self.verdict.why["at the same moment"] += len(orders)
            self.verdict.why["of a node cut off, copied or set back"] += len(orders) * shown.is_doubtful
            is_nearly_out = len(self.numbers) >= 0.9 * self.verdict.total
            self.verdict.why["with a tenth of the total left"] += len(orders) * is_nearly_out
        answers = list(self._threads.map(lambda order: self._ask(shown.text, shown.person, order), orders))
        for order, answer in zip(orders, answers, strict=True):
            self._judge_answer(answer, order, is_honest=True)

    def _order(self) -> str:
        self.orders += 1
        return f"o-{self.orders}"

    def _ask(self, text: str, person: SubjectId, order: str) -> Answer:
        return self.book.book.redeem(text, self.book.purchase(order), [person])

    def _judge_answer(self, answer: Answer, order: str, *, is_honest: bool) -> None:
        self.verdict.attempts += 1
        if answer.denial is not None:
            self.verdict.denied[answer.denial] += 1
            self.verdict.disappointed += is_honest and answer.denial in {Denial.RETURNED, Denial.UNKNOWN}
            return
        assert answer.code is not None
        if answer.is_new:
            self._judge(answer.code.number, order)
        elif self.numbers.get(answer.code.number) != order:
            self.verdict.over += 1  # it says that it was redeemed for this order before, and it was not

    def _judge(self, number: int, order: str) -> None:
        self.verdict.redeemed[number, order] += 1
        if number in self.numbers or len(self.numbers) >= self.verdict.total:
            self.verdict.over += 1
        self.numbers[number] = order

    def _left_over(self) -> int:
        """Once everything that was lent is over, all that was not redeemed can be lent again."""
        self.book.clock.time_ms += 60 * DAY_MS
        self.book.book.lend(NodeId("last"), "last", [], {SPRING: 1})
        budget = self.book.ledger.budgets()[0]
        assert budget.redeemed == len(self.numbers), "the ledger's sum is the judge's"
        return self.verdict.total - budget.redeemed - budget.free - budget.open


def simulated(folder: Path, *, seed: int, total: int, attempts: int) -> Verdict:
    """One fleet's story on a ledger in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with opened_book(folder, seed=seed) as book:
        return Simulation(book, np.random.default_rng(seed), total).run(attempts)
