"""The one place where a code is redeemed: in the writer's transaction, each number once, within its lease."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from edgewise.bundle.promotions import Promotion, PromotionName
from edgewise.codes.code import Code, CodeKey
from edgewise.codes.refusals import Denial
from edgewise.ids import SubjectId
from hub.ledger import tables
from hub.ledger.code_leases import OVER, budget_of, count_redeemed, end_leases, lease_of
from hub.ledger.dialect import Storage, chunks, insert_new, upsert
from hub.ledger.registry import append
from hub.ledger.rows import AuditEntry


class Presented(NamedTuple):
    """A verified code, and who presents it for what."""

    code: Code
    order: str
    """The shop's id of the order; the same code for the same order again is the same redemption."""
    subjects: Collection[SubjectId]
    """Every subject of the person, the one that the code was promised to first."""
    time_ms: int
    """When the order was placed."""
    channel: str
    """`event`, `api` or `command`."""


class Redeemed(NamedTuple):
    """What became of it."""

    denial: Denial | None
    """None: it is redeemed, now or before for the same order."""
    is_new: bool = False


class CodeStanding(NamedTuple):
    """What the ledger knows of one number."""

    lease: str | None
    """State of its lease; None: it was never lent, or given back."""
    redeemed_ms: int | None
    revoked_ms: int | None


class CodeRedemptions:
    """Part of `Ledger`."""

    storage: Storage

    def redeem_code(self, shown: Presented, promotion: Promotion, now_ms: int) -> Redeemed:
        """Redeem a code once, or say why not; what was denied is counted. The code was verified, and is its owner's."""
        with self.storage.writing() as connection:
            end_leases(connection, now_ms)
            code, order = shown.code, _digest(shown.order)
            before = _redemption(connection, code)
            if before is not None and before.order_sha256 == order:
                return Redeemed(None)
            denial = Denial.ALREADY_REDEEMED if before is not None else _denial(connection, shown, promotion)
            if denial is not None:
                count_denial(connection, code.promotion, denial)
                return Redeemed(denial)
            row = {"promotion": code.promotion, "number": code.number, "time_ms": shown.time_ms}
            connection.execute(
                tables.code_redemptions.insert(), {**row, "order_sha256": order, "channel": shown.channel}
            )
            subject = next(iter(shown.subjects))
            connection.execute(tables.code_holders.insert(), {**row, "subject": subject})
            count_redeemed(connection, code.promotion)
            return Redeemed(None, is_new=True)

    def was_redeemed_for(self, code: Code, order: str) -> bool:
        """Whether a verified code has been redeemed for this order already."""
        with self.storage.reading() as connection:
            before = _redemption(connection, code)
        return before is not None and before.order_sha256 == _digest(order)

    def deny_code(self, promotion: PromotionName | None, denial: Denial) -> None:
        """Count a code that did not get as far as the ledger's own look at it."""
        with self.storage.writing() as connection:
            count_denial(connection, promotion or PromotionName(""), denial)

    def code_denials(self) -> dict[tuple[PromotionName, Denial], int]:
        """How often what was denied."""
        columns = tables.code_denials.c
        with self.storage.reading() as connection:
            rows = connection.execute(sa.select(columns.promotion, columns.reason, columns.count))
            return {(PromotionName(row[0]), Denial(row[1])): row[2] for row in rows}

    def code_standing(self, code: Code) -> CodeStanding:
        """What is known of a code's number."""
        columns = tables.code_revocations.c
        with self.storage.reading() as connection:
            lease = lease_of(connection, code.promotion, code.number)
            redeemed = _redemption(connection, code)
            revoked = connection.execute(
                sa.select(columns.time_ms).where(columns.promotion == code.promotion, columns.number == code.number)
            ).scalar_one_or_none()
        return CodeStanding(
            None if lease is None else lease[0], None if redeemed is None else redeemed.time_ms, revoked
        )

    def revoke_code(self, code: Code, who: str, reason: str, now_ms: int) -> bool:
        """Take a code back, unless it is redeemed; False then. Nodes hear of it with their next exchange."""
        with self.storage.writing() as connection:
            if _redemption(connection, code) is not None:
                return False
            row = {"promotion": code.promotion, "number": code.number}
            insert_new(connection, tables.code_revocations, [{**row, "time_ms": now_ms, "who": who, "reason": reason}])
            append(connection, AuditEntry(who, "codes revoke", code.promotion, {**row, "reason": reason}), now_ms)
        return True

    def all_code_keys(self) -> list[CodeKey]:
        """Of all generations: what `verify` needs to name a code of an old key."""
        columns = tables.code_keys.c
        with self.storage.reading() as connection:
            rows = connection.execute(sa.select(columns.promotion, columns.generation, columns.key))
            return [CodeKey(PromotionName(row[0]), row[1], bytes(row[2])) for row in rows]

    def code_cursor(self) -> int:
        """Up to which position events were looked through for codes."""
        with self.storage.reading() as connection:
            query = sa.select(tables.counters.c.value).where(tables.counters.c.name == _CURSOR)
            return connection.execute(query).scalar_one_or_none() or 0

    def move_code_cursor(self, position: int) -> None:
        """Events up to this position were looked through."""
        with self.storage.writing() as connection:
            upsert(connection, tables.counters, [{"name": _CURSOR, "value": position}], update=("value",))


_CURSOR: Final = "codes/position"


def count_denial(connection: sa.Connection, promotion: PromotionName, denial: Denial) -> None:
    """One more."""
    columns = tables.code_denials.c
    row = {"promotion": promotion, "reason": denial.value}
    insert_new(connection, tables.code_denials, [{**row, "count": 0}])
    connection.execute(
        sa.update(tables.code_denials)
        .where(columns.promotion == promotion, columns.reason == denial.value)
        .values(count=columns.count + 1)
    )


def _digest(order: str) -> str:
    return hashlib.sha256(order.encode()).hexdigest()


def _denial(connection: sa.Connection, shown: Presented, promotion: Promotion) -> Denial | None:
    code = shown.code
    lease = lease_of(connection, code.promotion, code.number)
    if lease is None:
        was_lent = code.number <= budget_of(connection, code.promotion).lent
        return Denial.RETURNED if was_lent else Denial.UNKNOWN
    state, last_day = lease
    if state == OVER or code.last_day > last_day:
        return Denial.EXPIRED
    columns = tables.code_revocations.c
    revoked = sa.select(sa.func.count()).where(columns.promotion == code.promotion, columns.number == code.number)
    if connection.execute(revoked).scalar_one():
        return Denial.REVOKED
    if _held(connection, code.promotion, shown.subjects) >= promotion.per_person:
        return Denial.PER_PERSON
    return None


def _redemption(connection: sa.Connection, code: Code) -> sa.Row[Any, Any] | None:
    columns = tables.code_redemptions.c
    query = sa.select(columns.order_sha256, columns.time_ms).where(
        columns.promotion == code.promotion, columns.number == code.number
    )
    return connection.execute(query).one_or_none()


def _held(connection: sa.Connection, promotion: PromotionName, subjects: Iterable[SubjectId]) -> int:
    columns = tables.code_holders.c
    found = 0
    for some in chunks(sorted(set(subjects))):
        query = sa.select(sa.func.count()).where(columns.promotion == promotion, columns.subject.in_(some))
        found += int(connection.execute(query).scalar_one())
    return found
