"""Which numbers of promotions a node may spend: leases of the hub, as the node has written them down.

A lease is a range of numbers, for one incarnation of one node. It is *consumed by number*: `taken` is how many were
given out, from the first on, and is durable before one of them is used, so that no crash gives a number twice. Whoever
holds a lease beyond its time takes nothing from it any more. What can still go wrong (a disk that is copied, or set
back to an older state) makes two codes of one number, of which the hub redeems one: a customer may be disappointed,
the total is not exceeded.

Immutable values: the caller writes the new one down, then uses what it was given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from edgewise.bundle.promotions import PromotionName
from edgewise.codes.code import CodeKey, day_of


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """What the hub lends, and what of it is gone."""

    id: str
    promotion: PromotionName
    incarnation: str
    """Of the node that it was lent to; a node that starts anew asks whether it may go on with it."""
    first: int
    last: int
    until_ms: int
    """From then on no number is taken."""
    last_day: int
    """No code of it may hold longer (`edgewise.codes.code`)."""
    taken: int = 0
    """So many numbers, from the first on, were given out: they may be promised."""
    spare: tuple[int, ...] = ()
    """Given out, and brought back unused by a worker that ended."""
    finished: bool = False
    """The hub is told that no number is taken from it any more; nothing takes that back."""

    @property
    def left(self) -> int:
        """Numbers that can still be taken."""
        return self.last - self.first + 1 - self.taken + len(self.spare)

    def is_good(self, now_ms: int) -> bool:
        """Whether numbers may be taken from it now."""
        return not self.finished and now_ms < self.until_ms and day_of(now_ms) <= self.last_day


class Number(NamedTuple):
    """One that may be promised, once."""

    lease: str
    number: int
    until_ms: int
    last_day: int


class Stock(msgspec.Struct, frozen=True):
    """All that a node has of promotions."""

    incarnation: str = ""
    """Of the node, since it last started; leases of others are asked for before they are used."""
    leases: tuple[Lease, ...] = ()
    keys: tuple[CodeKey, ...] = ()
    revoked: frozenset[tuple[PromotionName, int]] = frozenset()
    """Numbers that count no more, as far as the hub told."""
    wanted: frozenset[PromotionName] = frozenset()
    """Promotions that are served here, of which there was once no number."""

    def left(self, promotion: PromotionName, now_ms: int) -> int:
        """Numbers that can be taken now."""
        return sum(lease.left for lease in self._own(promotion, now_ms))

    def take(self, promotion: PromotionName, most: int, now_ms: int) -> tuple[Stock, list[Number]]:
        """Up to `most` numbers of a promotion, and the stock without them, to be kept before one is used."""
        given: list[Number] = []
        changed: dict[str, Lease] = {}
        for lease in self._own(promotion, now_ms):
            if len(given) == most:
                break
            spares = lease.spare[: most - len(given)]
            fresh = min(most - len(given) - len(spares), lease.last - lease.first + 1 - lease.taken)
            start = lease.first + lease.taken
            numbers = [*spares, *range(start, start + fresh)]
            given += [Number(lease.id, number, lease.until_ms, lease.last_day) for number in numbers]
            changed[lease.id] = msgspec.structs.replace(
                lease, taken=lease.taken + fresh, spare=lease.spare[len(spares) :]
            )
        return self._with(changed), given

    def bring_back(self, unused: Iterable[Number]) -> Stock:
        """Numbers that were taken and not used by whoever took them. Never one that was promised."""
        back: dict[str, set[int]] = {}
        for number in unused:
            back.setdefault(number.lease, set()).add(number.number)
        changed = {
            lease.id: msgspec.structs.replace(
                lease,
                spare=(*lease.spare, *sorted(back[lease.id] & set(range(lease.first, lease.first + lease.taken)))),
            )
            for lease in self.leases
            if lease.id in back
        }
        return self._with(changed)

    def begun(self, incarnation: str) -> Stock:
        """After a start: nothing is taken until the hub has said what this incarnation may go on with."""
        return msgspec.structs.replace(self, incarnation=incarnation)

    def finish(self, now_ms: int) -> Stock:
        """Before the hub is asked: leases whose time is over, or of which nothing is left, are finished for good."""
        return self._with(
            {
                lease.id: msgspec.structs.replace(lease, finished=True)
                for lease in self.leases
                if not lease.finished and (not lease.is_good(now_ms) or not lease.left)
            }
        )

    def told(
        self, leases: Sequence[Lease], keys: Sequence[CodeKey], revoked: Iterable[tuple[PromotionName, int]]
    ) -> Stock:
        """What the hub says this incarnation has: all else is dropped. `taken` never falls."""
        known = {lease.id: lease for lease in self.leases}
        merged = []
        for lease in leases:
            before = known.get(lease.id)
            taken = lease.taken if before is None else max(before.taken, lease.taken)
            spare, finished = ((), False) if before is None else (before.spare, before.finished)
            merged.append(msgspec.structs.replace(lease, taken=taken, spare=spare, finished=finished))
        released = {key.promotion for key in keys}
        return msgspec.structs.replace(
            self,
            leases=tuple(merged),
            keys=tuple(keys),
            revoked=frozenset(revoked),
            wanted=frozenset(name for name in self.wanted if name in released),
        )

    def wants(self, promotion: PromotionName) -> Stock:
        """Somebody was to be promised something, and there was no number."""
        return msgspec.structs.replace(self, wanted=self.wanted | {promotion})

    def _own(self, promotion: PromotionName, now_ms: int) -> list[Lease]:
        return [
            lease
            for lease in self.leases
            if lease.promotion == promotion and lease.incarnation == self.incarnation and lease.is_good(now_ms)
        ]

    def _with(self, changed: dict[str, Lease]) -> Stock:
        return msgspec.structs.replace(self, leases=tuple(changed.get(lease.id, lease) for lease in self.leases))
