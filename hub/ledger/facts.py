"""Live facts in the ledger: what holds now, and what held under every version that is remembered.

A number is kept with the versions between which it held, so that a version costs as many rows as it changed, and any
remembered sheet can be made again to the byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec
import sqlalchemy as sa

from edgewise.bundle.facts import FactSheet, decode_facts, encode_facts
from edgewise.errors import RefusedError
from edgewise.ids import ItemId
from hub.ledger import tables
from hub.ledger.dialect import Storage, chunks
from hub.ledger.registry import append
from hub.ledger.rows import AuditEntry, FactSheetRow, typed

FactChanges = Mapping[str, Mapping[ItemId, float | None]]
"""Name -> item -> number; None takes the number away."""


class FactRows:
    """Part of `Ledger`."""

    storage: Storage

    def newest_facts(self) -> FactSheetRow | None:
        """The last version that was made; None before the first."""
        with self.storage.reading() as connection:
            return _newest(connection)

    def fact_sheet(self, version: int) -> FactSheet:
        """A sheet as it was published.

        Raises:
            RefusedError: `facts-unknown`: the version is not remembered any more, or was never made here;
                `facts-damaged`: what is kept of it does not come to the same bytes.
        """
        with self.storage.reading() as connection:
            row = _row(connection, version)
            if row is None:
                oldest, newest = connection.execute(
                    sa.select(sa.func.min(tables.fact_sheets.c.version), sa.func.max(tables.fact_sheets.c.version))
                ).one()
                kept = "none is kept" if newest is None else f"versions {oldest} to {newest} are kept"
                raise RefusedError("facts-unknown", f"live facts version {version} are not here; {kept}")
            sheet = _sheet(connection, row)
        if hashlib.sha256(encode_facts(sheet)).hexdigest() != row.sha256:
            raise RefusedError("facts-damaged", f"live facts version {version} differ here from what was signed")
        return sheet

    def change_facts(
        self,
        changes: FactChanges,
        *,
        who: str,
        now_ms: int,
        life_ms: int,
        above: int = 0,
        halted: bool | None = None,
        renew: bool = False,
        audit: AuditEntry | None = None,
    ) -> tuple[FactSheetRow | None, bytes | None]:
        """Make the next version; the row, and the bytes that are to be published.

        Where nothing changes, that is the newest row, None before the first, and no bytes.

        `above`: a version that was published elsewhere, to be passed. `halted` None leaves that as it is. `renew`
        makes a version in any case.

        Raises BundleRefused when nodes would refuse the sheet; then nothing is changed.
        """
        with self.storage.writing() as connection:
            newest = _newest(connection)
            was_halted = newest is not None and newest.halted
            version = max(above, 0 if newest is None else newest.version) + 1
            changed = sum([_change(connection, name, said, version) for name, said in changes.items()])
            is_halted = was_halted if halted is None else halted
            if not changed and is_halted == was_halted and not renew:
                return newest, None
            row = FactSheetRow(version, now_ms, now_ms + life_ms, is_halted, 0, "", who)
            data = encode_facts(_sheet(connection, row))
            row = msgspec.structs.replace(
                row, numbers=decode_facts(data).numbers, sha256=hashlib.sha256(data).hexdigest()
            )
            connection.execute(tables.fact_sheets.insert(), msgspec.structs.asdict(row))
            if audit is not None:
                append(connection, audit, now_ms)
            return row, data

    def prune_facts(self, before_ms: int) -> int:
        """Forget versions that were issued earlier, but for the newest; returns how many went."""
        sheets, facts = tables.fact_sheets.c, tables.facts.c
        with self.storage.writing() as connection:
            newest = _newest(connection)
            if newest is None:
                return 0
            gone = connection.execute(
                sa.delete(tables.fact_sheets).where(sheets.issued_ms < before_ms, sheets.version < newest.version)
            ).rowcount
            oldest = connection.execute(sa.select(sa.func.min(sheets.version))).scalar_one()
            connection.execute(sa.delete(tables.facts).where(facts.until_version <= oldest))
            return gone


def _newest(connection: sa.Connection) -> FactSheetRow | None:
    query = sa.select(tables.fact_sheets).order_by(tables.fact_sheets.c.version.desc()).limit(1)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else typed(row, FactSheetRow)


def _row(connection: sa.Connection, version: int) -> FactSheetRow | None:
    query = sa.select(tables.fact_sheets).where(tables.fact_sheets.c.version == version)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else typed(row, FactSheetRow)


def _sheet(connection: sa.Connection, row: FactSheetRow) -> FactSheet:
    columns: dict[str, dict[ItemId, float]] = {}
    if not row.halted:
        facts = tables.facts.c
        query = sa.select(facts.name, facts.item, facts.value).where(
            facts.since_version <= row.version,
            sa.or_(facts.until_version.is_(None), facts.until_version > row.version),
        )
        for name, item, value in connection.execute(query):
            columns.setdefault(name, {})[item] = value
    return FactSheet(row.version, row.issued_ms, row.expires_ms, row.halted, columns)


def _change(connection: sa.Connection, name: str, said: Mapping[ItemId, float | None], version: int) -> int:
    """Write what differs from what holds; returns how many numbers that were."""
    facts = tables.facts.c
    holds: dict[str, float] = {}
    for some in chunks(list(said)):
        query = sa.select(facts.item, facts.value).where(
            facts.name == name, facts.until_version.is_(None), facts.item.in_(some)
        )
        holds.update((item, value) for item, value in connection.execute(query))
    changed = [item for item, value in said.items() if holds.get(item) != value]
    for some in chunks([item for item in changed if item in holds]):
        connection.execute(
            sa.update(tables.facts)
            .where(facts.name == name, facts.until_version.is_(None), facts.item.in_(some))
            .values(until_version=version)
        )
    rows = [
        {"name": name, "item": item, "since_version": version, "until_version": None, "value": said[item]}
        for item in changed
        if said[item] is not None
    ]
    if rows:
        connection.execute(tables.facts.insert(), rows)
    return len(changed)
