"""Numbers of promotions, lent to nodes so that what may be redeemed never exceeds the total.

    redeemed + open + what is lent next <= total          holds in every transaction, by comparison, not by trust

`open` are numbers that somebody may still redeem. A number becomes closed without being redeemed in two ways, and is
refused from then on, whoever presents it: its node gave it back unused, or the last day that codes of its lease may
hold, and some grace, has passed. Only then is its place in the total lent again, under a *new* number. So nothing that
a node does, or that happens to its disk or its clock, lets one number more be redeemed than the total: it can only
spoil some of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from edgewise.bundle.promotions import Promotion, PromotionName
from edgewise.codes.code import DAY_MS, CodeKey, day_end_ms, day_of
from edgewise.codes.stock import Lease
from edgewise.ids import NodeId
from hub.ledger import tables
from hub.ledger.dialect import Storage, chunks, insert_new, upsert
from hub.ledger.rows import typed

MAIL: Final = NodeId("hub-mail")
"""By this name the hub leases from itself, for its mails; no node is called so."""
_IMPERSONAL: Final = "/"
"""In the name of a lease that says nothing but promotion and number."""
GRACE_MS: Final = 3 * DAY_MS
"""How long after its last day an order with a code is taken, if it was placed before: events come late."""
LENT: Final = "lent"
SETTLED: Final = "settled"
OVER: Final = "over"
MOST_REVOKED: Final = 10_000
"""Numbers that nodes are told of, the latest; the hub refuses all."""


class Held(msgspec.Struct, frozen=True):
    """What a node says of a lease that it has."""

    lease: str
    incarnation: str
    """Of the node when it was lent, or last taken over."""
    taken: int
    finished: bool = False
    """No number is taken from it any more; what is left is given back."""


class Budget(msgspec.Struct, frozen=True):
    """How a promotion stands."""

    promotion: PromotionName
    total: int
    lent: int
    """The last number that was lent."""
    open: int
    redeemed: int
    terms: dict[str, Any] = {}
    """The promotion, as the policy said it when numbers were last lent: what was promised outlives a release."""

    @property
    def free(self) -> int:
        """May be lent now; less than 0 after the total was lowered below what is promised."""
        return self.total - self.open - self.redeemed


class LeaseRow(msgspec.Struct, frozen=True):
    """A range of numbers, and who has it."""

    lease: str
    promotion: PromotionName
    node: NodeId
    incarnation: str
    first: int
    last: int
    taken: int
    until_ms: int
    last_day: int
    ends_ms: int
    state: str


def lease_of_mail(mail: str, name: PromotionName) -> str:
    """Of the code that a mail promises: a hash, because `mail`, its key in the outbox, leads to a person."""
    return hashlib.sha256(f"mail/{name}/{mail}".encode()).hexdigest()[:32]


def unname_mails(connection: sa.Connection, mails: Sequence[str]) -> None:
    """From now on the leases of these mails are named by their numbers alone, which stay taken.

    A hash of what can be found out is a name: who has the key of an erased mail could look what it promised.
    """
    names = connection.execute(sa.select(tables.code_promotions.c.promotion)).scalars().all() if mails else ()
    _unname(connection, [lease_of_mail(mail, name) for mail in mails for name in names])


def _of_mails_gone(connection: sa.Connection) -> set[str]:
    columns = tables.code_leases.c
    mine = sa.select(columns.lease, columns.promotion).where(columns.node == MAIL, ~columns.lease.contains(_IMPERSONAL))
    named = connection.execute(mine).all()
    gone, names = {row.lease for row in named}, {row.promotion for row in named}
    # After the leases: no mail has one before it lies in the outbox.
    for mail in connection.execute(sa.select(tables.mail_outbox.c.key)).scalars() if gone else ():
        gone.difference_update(lease_of_mail(mail, name) for name in names)
    return gone


def _unname(connection: sa.Connection, leases: Sequence[str]) -> None:
    columns = tables.code_leases.c
    impersonal = columns.promotion + sa.literal(_IMPERSONAL) + sa.cast(columns.first, sa.Text)
    for some in chunks(leases):
        renamed = sa.update(tables.code_leases).where(columns.lease.in_(some))
        connection.execute(renamed.values(lease=impersonal, incarnation=impersonal))


class CodeLeases:
    """Part of `Ledger`."""

    storage: Storage

    def exchange_codes(
        self,
        node: NodeId,
        incarnation: str,
        held: Sequence[Held],
        wants: Mapping[PromotionName, int],
        *,
        promotions: Mapping[PromotionName, Promotion],
        lease_ms: int,
        now_ms: int,
        names: Sequence[str],
    ) -> list[Lease]:
        """Hear what a node has taken, and say all that this incarnation of it may take from now on.

        `wants` is how many numbers of a promotion it would like to have left, `names` are unused ids for new leases,
        one a promotion. Asking again changes nothing: what was lent and never arrived is among what is said.
        """
        with self.storage.writing() as connection:
            end_leases(connection, now_ms)
            rows = _of_node(connection, node)
            for one in held:
                if one.lease in rows:
                    _hear(connection, rows[one.lease], one, incarnation)
            # Those past their time, too: it takes nothing of them by its own clock, and will say what it has taken.
            mine = [row for row in _of_node(connection, node).values() if row.incarnation == incarnation]
            for name, (promotion, wanted) in zip(names, _wanted(wants, promotions, now_ms), strict=False):
                left = sum(
                    row.last - row.first + 1 - row.taken
                    for row in mine
                    if row.promotion == promotion and row.until_ms - lease_ms // 4 > now_ms
                )
                lent = _lend(
                    connection,
                    LeaseRow(
                        name,
                        promotion,
                        node,
                        incarnation,
                        first=0,
                        last=wanted - left,
                        taken=0,
                        until_ms=now_ms + lease_ms,
                        last_day=0,
                        ends_ms=0,
                        state=LENT,
                    ),
                    promotions[promotion],
                )
                mine += [] if lent is None else [lent]
            return [
                Lease(
                    id=row.lease,
                    promotion=row.promotion,
                    incarnation=row.incarnation,
                    first=row.first,
                    last=row.last,
                    until_ms=row.until_ms,
                    last_day=row.last_day,
                    taken=row.taken,
                )
                for row in sorted(mine, key=lambda row: (row.until_ms, row.first))
            ]

    def lend_code(
        self, lease: str, node: NodeId, name: PromotionName, promotion: Promotion, *, lease_ms: int, now_ms: int
    ) -> LeaseRow | None:
        """One number, lent and taken at once, under a name of the caller's choice; the same one for the same name.

        None: nothing is left, it is not the promotion's time, or codes of this lease have ended.
        """
        with self.storage.writing() as connection:
            end_leases(connection, now_ms)
            known = _lease(connection, lease)
            if known is not None:
                return None if known.state == OVER else known
            if not promotion.is_open(now_ms):
                return None
            asked = LeaseRow(
                lease,
                name,
                node,
                incarnation=lease,
                first=0,
                last=1,
                taken=1,
                until_ms=now_ms + lease_ms,
                last_day=0,
                ends_ms=0,
                state=SETTLED,
            )
            return _lend(connection, asked, promotion)

    def unname_mails_gone(self) -> None:
        """As `unname_mails`, of all mails that the outbox has no more: too old, or erased while they were written.

        Every mail is looked at, outside of the writer's time.
        """
        with self.storage.reading() as connection:
            gone = _of_mails_gone(connection)
        if gone:
            with self.storage.writing() as connection:
                _unname(connection, sorted(gone))

    def forgotten_leases(self, held: Sequence[Held]) -> list[str]:
        """What a node says that it has, and nobody was ever lent by this ledger: it was set back, for rows stay."""
        said, columns = {one.lease for one in held}, tables.code_leases.c
        with self.storage.reading() as connection:
            for some in chunks(sorted(said)):
                said -= set(connection.execute(sa.select(columns.lease).where(columns.lease.in_(some))).scalars())
        return sorted(said)

    def is_code_lent(self, lease: str) -> bool:
        """Whether codes of a lease may still be redeemed."""
        with self.storage.reading() as connection:
            row = _lease(connection, lease)
        return row is not None and row.state != OVER

    def code_keys(
        self, promotions: Mapping[PromotionName, Promotion], fresh: Sequence[bytes], now_ms: int
    ) -> list[CodeKey]:
        """The keys of promotions, of the generation that each names; those that are missing are made of `fresh`."""
        with self.storage.writing() as connection:
            rows = [
                {"promotion": name, "generation": promotion.generation, "key": key, "made_ms": now_ms}
                for (name, promotion), key in zip(promotions.items(), fresh, strict=True)
            ]
            insert_new(connection, tables.code_keys, rows)
            return _keys(connection, promotions)

    def budgets(self) -> list[Budget]:
        """All promotions that codes were ever lent of, by name."""
        query = sa.select(tables.code_promotions).order_by(tables.code_promotions.c.promotion)
        with self.storage.reading() as connection:
            return [typed(row, Budget) for row in connection.execute(query).mappings()]

    def code_leases_of(self, promotion: str) -> list[LeaseRow]:
        """Every lease of a promotion whose codes may still be redeemed, oldest first."""
        columns = tables.code_leases.c
        query = sa.select(tables.code_leases).where(columns.promotion == promotion, columns.state != OVER)
        with self.storage.reading() as connection:
            rows = connection.execute(query.order_by(columns.first)).mappings()
            return [typed(row, LeaseRow) for row in rows]

    def revoked_codes(self) -> list[tuple[PromotionName, int]]:
        """Numbers that were taken back, the latest MOST_REVOKED."""
        columns = tables.code_revocations.c
        query = sa.select(columns.promotion, columns.number).order_by(columns.time_ms.desc()).limit(MOST_REVOKED)
        with self.storage.reading() as connection:
            return [(PromotionName(row[0]), row[1]) for row in connection.execute(query)]


def end_leases(connection: sa.Connection, now_ms: int) -> None:
    """Close what nobody can redeem any more. It stays closed if the clock is set back afterwards."""
    columns = tables.code_leases.c
    query = sa.select(tables.code_leases).where(columns.state != OVER, columns.ends_ms <= now_ms)
    for row in [typed(row, LeaseRow) for row in connection.execute(query).mappings()]:
        unredeemed = row.last - row.first + 1 - _redeemed_in(connection, row.promotion, row.first, row.last)
        _add(connection, row.promotion, open_=-unredeemed)
        connection.execute(sa.update(tables.code_leases).where(columns.lease == row.lease).values(state=OVER))


def lease_of(connection: sa.Connection, promotion: PromotionName, number: int) -> tuple[str, int] | None:
    """State and last day of the lease that a number belongs to; None for one that was never lent, or given back."""
    columns = tables.code_leases.c
    query = sa.select(columns.state, columns.last_day).where(
        columns.promotion == promotion, columns.first <= number, columns.last >= number
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else (row.state, row.last_day)


def budget_of(connection: sa.Connection, promotion: PromotionName) -> Budget:
    """As it stands now; all 0 where nothing was ever lent."""
    query = sa.select(tables.code_promotions).where(tables.code_promotions.c.promotion == promotion)
    row = connection.execute(query).mappings().one_or_none()
    return Budget(promotion, 0, 0, 0, 0) if row is None else typed(row, Budget)


def count_redeemed(connection: sa.Connection, promotion: PromotionName) -> None:
    """One number that was open is redeemed."""
    _add(connection, promotion, open_=-1, redeemed=1)


def _of_node(connection: sa.Connection, node: NodeId) -> dict[str, LeaseRow]:
    columns = tables.code_leases.c
    query = sa.select(tables.code_leases).where(columns.node == node, columns.state == LENT)
    return {row["lease"]: typed(row, LeaseRow) for row in connection.execute(query).mappings()}


def _lease(connection: sa.Connection, lease: str) -> LeaseRow | None:
    query = sa.select(tables.code_leases).where(tables.code_leases.c.lease == lease)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else typed(row, LeaseRow)


def _hear(connection: sa.Connection, row: LeaseRow, said: Held, incarnation: str) -> None:
    """What one lease came to. Whoever speaks for it has it: its last owner, or who goes on where that one ended."""
    if said.incarnation != row.incarnation:
        return  # a copy has taken it over, or this is the copy of somebody who went on: it gets numbers of its own
    if said.taken < row.taken:
        # The disk was set back: which numbers were promised since is not known any more. None is taken again.
        _change(connection, row, state=SETTLED)
        return
    taken = min(said.taken, row.last - row.first + 1)
    if not said.finished:
        _change(connection, row, taken=taken, incarnation=incarnation)
        return
    last = row.first + taken - 1
    unredeemed = row.last - last - _redeemed_in(connection, row.promotion, last + 1, row.last)
    _add(connection, row.promotion, open_=-unredeemed)
    _change(connection, row, taken=taken, last=last, state=SETTLED)


def _wanted(
    wants: Mapping[PromotionName, int], promotions: Mapping[PromotionName, Promotion], now_ms: int
) -> list[tuple[PromotionName, int]]:
    return [
        (name, most) for name, most in sorted(wants.items()) if name in promotions and promotions[name].is_open(now_ms)
    ]


def _lend(connection: sa.Connection, asked: LeaseRow, promotion: Promotion) -> LeaseRow | None:
    """Numbers for `asked`, whose `last` says how many are wanted; None where there are none."""
    budget = budget_of(connection, asked.promotion)
    columns = ("total", "lent", "open", "redeemed", "terms")
    terms = msgspec.to_builtins(promotion)
    if (budget.total, budget.terms) != (promotion.total, terms):
        budget = msgspec.structs.replace(budget, total=promotion.total, terms=terms)
        upsert(connection, tables.code_promotions, [msgspec.structs.asdict(budget)], update=columns)
    # A quarter of what is free at most, so that whoever comes next finds something, down to single numbers.
    count = min(asked.last, max(1, budget.free // 4), budget.free)
    if count <= 0:
        return None
    last_day = day_of(asked.until_ms) + promotion.valid_days
    if promotion.ends_ms is not None:
        last_day = min(last_day, day_of(promotion.ends_ms - 1))
    lent = msgspec.structs.replace(
        asked,
        first=budget.lent + 1,
        last=budget.lent + count,
        last_day=last_day,
        ends_ms=day_end_ms(last_day) + GRACE_MS,
    )
    connection.execute(tables.code_leases.insert(), msgspec.structs.asdict(lent))
    moved = msgspec.structs.replace(budget, lent=lent.last, open=budget.open + count)
    upsert(connection, tables.code_promotions, [msgspec.structs.asdict(moved)], update=columns)
    return lent


def _redeemed_in(connection: sa.Connection, promotion: PromotionName, first: int, last: int) -> int:
    columns = tables.code_redemptions.c
    query = sa.select(sa.func.count()).where(
        columns.promotion == promotion, columns.number >= first, columns.number <= last
    )
    return int(connection.execute(query).scalar_one())


def _add(connection: sa.Connection, promotion: PromotionName, *, open_: int, redeemed: int = 0) -> None:
    columns = tables.code_promotions.c
    connection.execute(
        sa.update(tables.code_promotions)
        .where(columns.promotion == promotion)
        .values(open=columns.open + open_, redeemed=columns.redeemed + redeemed)
    )


def _change(connection: sa.Connection, row: LeaseRow, **values: Any) -> None:
    connection.execute(sa.update(tables.code_leases).where(tables.code_leases.c.lease == row.lease).values(**values))


def _keys(connection: sa.Connection, promotions: Mapping[PromotionName, Promotion]) -> list[CodeKey]:
    columns = tables.code_keys.c
    found = []
    for some in chunks(sorted(promotions)):
        rows = connection.execute(
            sa.select(columns.promotion, columns.generation, columns.key).where(columns.promotion.in_(some))
        )
        found += [CodeKey(PromotionName(row.promotion), row.generation, bytes(row.key)) for row in rows]
    return [key for key in found if promotions[key.promotion].generation == key.generation]
