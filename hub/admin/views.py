"""From the ledger's rows to what the admin API and the commands show."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version as installed_version

import msgspec

from edgewise.ids import DecisionId, SiteName
from hub.admin.answers import (
    LoggedDecision,
    Model,
    Models,
    Nack,
    Node,
    Nodes,
    Outcome,
    Release,
    Releases,
    Summary,
    Totals,
)
from hub.ledger.batch import parts_of
from hub.ledger.ledger import Ledger
from hub.ledger.rows import NodeRow, ReleaseRow, ReleaseStatus


def node_view(row: NodeRow) -> Node:
    """One node."""
    nack = None
    if row.nack_code is not None:
        nack = Nack(row.nack_code, row.nack_detail or "", row.nacked_ms or 0)
    return Node(
        node=row.node,
        state=row.state,
        connected=row.connected,
        bundle_version=row.bundle_version,
        bundle_digest=row.bundle_digest,
        protocol_version=row.protocol_version,
        first_seen_ms=row.first_seen_ms,
        last_seen_ms=row.last_seen_ms,
        spool_bytes=row.spool_bytes,
        decisions=row.decisions,
        last_nack=nack,
    )


def nodes(ledger: Ledger, now_ms: int) -> Nodes:
    """Every node that was ever heard of."""
    return Nodes([node_view(row.at(now_ms)) for row in ledger.nodes()])


def releases(rows: Iterable[ReleaseRow]) -> Releases:
    """Every release."""
    return Releases([Release(**msgspec.structs.asdict(row)) for row in rows])


def models(ledger: Ledger) -> Models:
    """Every model version."""
    return Models([Model(**msgspec.structs.asdict(row)) for row in ledger.models()])


def logged_decision(ledger: Ledger, decision_id: DecisionId) -> LoggedDecision | None:
    """One decision with its outcomes; None when it is unknown (or has not arrived yet)."""
    record = ledger.decision(decision_id)
    if record is None:
        return None
    outcomes = [
        Outcome(reward.item, reward.placement, reward.kind, reward.value, reward.time_ms, reward.message_id)
        for reward in ledger.rewards([decision_id])
    ]
    return LoggedDecision(
        decision_id=record.decision_id,
        time_ms=record.time_ms,
        node=parts_of(record.producer).node,
        bundle_version=record.bundle_version,
        bundle_digest=record.bundle_digest,
        degradation=record.degradation,
        dial=record.dial,
        subject=record.subject,
        decision=msgspec.json.decode(record.decision, type=dict[str, object]),
        outcomes=outcomes,
    )


def summary(
    ledger: Ledger, rows: Iterable[ReleaseRow], *, site: SiteName, incarnation: str, now_ms: int, reading: str
) -> Summary:
    """The hub at a glance."""
    connected = [row for row in ledger.nodes() if row.at(now_ms).connected]
    by_version: dict[str, int] = {}
    for row in connected:
        by_version[str(row.bundle_version)] = by_version.get(str(row.bundle_version), 0) + 1
    return Summary(
        site=site,
        incarnation=incarnation,
        edgewise_version=installed_version("edgewise"),
        reading=reading,
        totals=Totals(**msgspec.structs.asdict(ledger.totals())),
        nodes_connected=len(connected),
        nodes_by_version=by_version,
        live_releases=[row.version for row in rows if row.status is ReleaseStatus.LIVE],
        storage=ledger.storage.note(),
    )
