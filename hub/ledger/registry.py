"""Nodes, models, releases and the audit. What changes a model or a release names who did it, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import msgspec
import sqlalchemy as sa

from edgewise.errors import InputError, RefusedError
from edgewise.ids import BundleVersion, ModelName
from hub.ledger import tables
from hub.ledger.dialect import Storage, upsert
from hub.ledger.rows import AuditEntry, AuditRow, ModelRow, ModelStatus, NodeRow, ReleaseRow, ReleaseStatus, typed
from hub.ledger.writing import take


class Registry:
    """Part of `Ledger`."""

    storage: Storage

    # --- nodes ----------------------------------------------------------------------------------------------------

    def nodes(self) -> list[NodeRow]:
        """Every node that was ever heard of, sorted by name."""
        query = sa.select(tables.nodes).order_by(tables.nodes.c.node)
        with self.storage.reading() as connection:
            return [typed(row, NodeRow) for row in connection.execute(query).mappings()]

    def save_nodes(self, rows: Iterable[NodeRow]) -> None:
        """Insert or overwrite nodes; when a node was first seen stays."""
        columns = [column.name for column in tables.nodes.c if column.name not in {"node", "first_seen_ms"}]
        with self.storage.writing() as connection:
            upsert(connection, tables.nodes, [msgspec.structs.asdict(row) for row in rows], update=columns)

    def disconnect_all(self) -> None:
        """No node is connected; said once by a hub that starts."""
        with self.storage.writing() as connection:
            connection.execute(sa.update(tables.nodes).values(connected=False))

    # --- models ---------------------------------------------------------------------------------------------------

    def add_model(self, row: ModelRow, audit: AuditEntry) -> None:
        """Register a model version. Raises RefusedError when that version exists."""
        with self.storage.writing() as connection:
            if _model(connection, row.name, row.version) is not None:
                raise RefusedError("model_exists", f"model {row.name} has a version {row.version} already")
            connection.execute(tables.models.insert(), msgspec.structs.asdict(row))
            append(connection, audit, row.created_ms)

    def models(self, name: ModelName | None = None) -> list[ModelRow]:
        """Model versions, sorted by name, newest version first."""
        query = sa.select(tables.models).order_by(tables.models.c.name, tables.models.c.version.desc())
        if name is not None:
            query = query.where(tables.models.c.name == name)
        with self.storage.reading() as connection:
            return [typed(row, ModelRow) for row in connection.execute(query).mappings()]

    def model(self, name: ModelName, version: int) -> ModelRow | None:
        """One model version."""
        with self.storage.reading() as connection:
            return _model(connection, name, version)

    def set_model_status(
        self,
        name: ModelName,
        version: int,
        status: ModelStatus,
        audit: AuditEntry,
        *,
        now_ms: int,
        expected: Collection[ModelStatus] = tuple(ModelStatus),
    ) -> ModelRow:
        """Move a model on; `audit.who` is recorded as its approver when it becomes approved.

        Raises InputError for an unknown model, RefusedError when its status is none of `expected`.
        """
        with self.storage.writing() as connection:
            row = _model(connection, name, version)
            if row is None:
                raise InputError(f"no model {name} version {version}")
            if row.status not in expected:
                raise RefusedError(
                    "model_status", f"model {name} version {version} is {row.status}; expected {_either(expected)}"
                )
            changes = _approval(status, status is ModelStatus.APPROVED, audit, now_ms)
            columns = tables.models.c
            connection.execute(
                sa.update(tables.models).where(columns.name == name, columns.version == version).values(**changes)
            )
            append(connection, audit, now_ms)
            return msgspec.structs.replace(row, **changes)

    # --- releases -------------------------------------------------------------------------------------------------

    def add_release(self, row: ReleaseRow, audit: AuditEntry) -> None:
        """Register a release. Raises RefusedError when its version exists."""
        with self.storage.writing() as connection:
            if _release(connection, row.version) is not None:
                raise RefusedError("release_exists", f"there is a release {row.version} already")
            connection.execute(tables.releases.insert(), msgspec.structs.asdict(row))
            append(connection, audit, row.created_ms)

    def releases(self) -> list[ReleaseRow]:
        """Every release, newest first."""
        query = sa.select(tables.releases).order_by(tables.releases.c.version.desc())
        with self.storage.reading() as connection:
            return [typed(row, ReleaseRow) for row in connection.execute(query).mappings()]

    def release(self, version: BundleVersion) -> ReleaseRow | None:
        """One release."""
        with self.storage.reading() as connection:
            return _release(connection, version)

    def set_release_status(
        self,
        version: BundleVersion,
        status: ReleaseStatus,
        audit: AuditEntry,
        *,
        now_ms: int,
        expected: Collection[ReleaseStatus] = tuple(ReleaseStatus),
        retire_live: bool = False,
    ) -> ReleaseRow:
        """Move a release on; `audit.who` is recorded as its approver when it becomes approved.

        `retire_live`: releases that were live are retired in the same transaction. Raises InputError for an unknown
        release, RefusedError when its status is none of `expected`.
        """
        with self.storage.writing() as connection:
            row = _release(connection, version)
            if row is None:
                raise InputError(f"no release {version}")
            if row.status not in expected:
                raise RefusedError("release_status", f"release {version} is {row.status}; expected {_either(expected)}")
            columns = tables.releases.c
            if retire_live:
                connection.execute(
                    sa.update(tables.releases)
                    .where(columns.status == ReleaseStatus.LIVE, columns.version != version)
                    .values(status=ReleaseStatus.RETIRED)
                )
            changes = _approval(status, status is ReleaseStatus.APPROVED, audit, now_ms)
            connection.execute(sa.update(tables.releases).where(columns.version == version).values(**changes))
            append(connection, audit, now_ms)
            return msgspec.structs.replace(row, **changes)

    # --- audit ----------------------------------------------------------------------------------------------------

    def record(self, entry: AuditEntry, now_ms: int) -> None:
        """Write down a deed that changes nothing else in the ledger."""
        with self.storage.writing() as connection:
            append(connection, entry, now_ms)

    def note(self, entry: AuditEntry, now_ms: int) -> None:
        """Write into the audit what changed nothing else in the ledger."""
        with self.storage.writing() as connection:
            append(connection, entry, now_ms)

    def audit(self, *, limit: int = 1_000, what: Collection[str] = ()) -> list[AuditRow]:
        """The latest entries, newest first; of some deeds only where `what` names them."""
        query = sa.select(tables.audit).order_by(tables.audit.c.seq.desc()).limit(limit)
        if what:
            query = query.where(tables.audit.c.what.in_(what))
        with self.storage.reading() as connection:
            return [AuditRow(**row) for row in connection.execute(query).mappings()]


def append(connection: sa.Connection, entry: AuditEntry, now_ms: int) -> None:
    """Write one audit entry inside a transaction."""
    connection.execute(
        tables.audit.insert(),
        {"seq": take(connection, "audit", 1), "time_ms": now_ms, **msgspec.structs.asdict(entry)},
    )


def _approval(status: ModelStatus | ReleaseStatus, approves: bool, audit: AuditEntry, now_ms: int) -> dict[str, Any]:  # noqa: FBT001
    return {"status": status, **({"approved_by": audit.who, "approved_ms": now_ms} if approves else {})}


def _either(statuses: Collection[str]) -> str:
    return " or ".join(sorted(statuses))


def _model(connection: sa.Connection, name: ModelName, version: int) -> ModelRow | None:
    columns = tables.models.c
    query = sa.select(tables.models).where(columns.name == name, columns.version == version)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else typed(row, ModelRow)


def _release(connection: sa.Connection, version: BundleVersion) -> ReleaseRow | None:
    query = sa.select(tables.releases).where(tables.releases.c.version == version)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else typed(row, ReleaseRow)
