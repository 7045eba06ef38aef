"""The film shop of `world` on a node and at its hub: what the node writes down is what the hub decides again."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from edge_world import KEYS, VISITOR, bundle_files, install, node, spooled, viewed
from release_world import write_without_sync
from starlette.testclient import TestClient
from world import HERO, LIST, NOW_MS, SITE, manifest, policy

from edge.node.bundles import BundleStore
from edge.node.layout import NodePaths
from edge.node.starter import install_starter
from edge.settings import EdgeSettings
from edge.worker.desk import Desk
from edgewise.bundle.manifest import encode_manifest
from edgewise.bundle.policy import LiveFact
from edgewise.clock import ManualClock
from edgewise.ids import BundleVersion, DecisionId, Producer
from edgewise.records import DecisionRecord, Record, encode_record
from edgewise.visitor import sign_visitor
from hub.keys import make_keys
from hub.ledger import tables
from hub.ledger.batch import Batch
from hub.ledger.facts import FactChanges
from hub.ledger.ledger import Ledger, open_ledger
from hub.ledger.rows import AuditEntry, ReleaseRow, ReleaseStatus
from hub.release.releases import Releases
from hub.release.repository import Repository
from hub.replay import Replayer
from hub.scoring_child import ScoringChild

POLICY = policy(
    holdout=0.1, feature_sample_share=0.5, live_facts={"popularity": LiveFact(most_change=2.0), "price": LiveFact()}
)
"""Some are held out, and of every second decision the whole matrices are kept. Popularity and price are live."""


class Hub:
    """A hub's data folder that has released what the node serves."""

    def __init__(
        self, data_dir: Path, ledger: Ledger, child: ScoringChild, files: dict[str, bytes], **changes: Any
    ) -> None:
        """`files` are the resources of the release, `changes` fields of its manifest."""
        self.data_dir = data_dir
        self.ledger = ledger
        self.repository = Repository(data_dir, write=write_without_sync)
        self._child = child
        self._received: Counter[Producer] = Counter()
        make_keys(data_dir)
        self.repository.create(SITE)
        made = encode_manifest(manifest(files, **changes))
        self.repository.publish_release(made, files)
        digest = hashlib.sha256(made).hexdigest()
        row = ReleaseRow(BundleVersion(7), digest, NOW_MS, status=ReleaseStatus.APPROVED)
        ledger.add_release(row, AuditEntry("Ann", "site apply", "release 7"))
        self.replayer = self.reopened()

    def reopened(self) -> Replayer:
        """As the next command would see the folder."""
        return Replayer(self.ledger, Releases(self.data_dir, self.ledger, write=write_without_sync), self._child)

    def receive(self, records: list[Record]) -> list[DecisionRecord]:
        """Store what a node has written down since the last time; returns the decisions of it."""
        new: dict[Producer, list[Record]] = {}
        for record in records:
            new.setdefault(record.producer, []).append(record)
        fresh: list[Record] = []
        for producer, all_of_it in new.items():
            own = all_of_it[self._received[producer] :]
            self._received[producer] += len(own)
            self.ledger.store([Batch(producer, [encode_record(record) for record in own])], NOW_MS)
            fresh += own
        return [record for record in fresh if isinstance(record, DecisionRecord)]

    def tamper(self, record: DecisionRecord, **changes: Any) -> None:
        """Write another record over a stored one, as somebody with the database could."""
        self.overwrite(record.decision_id, encode_record(msgspec.structs.replace(record, **changes)))

    def overwrite(self, decision_id: DecisionId, payload: bytes) -> None:
        """Write other bytes over a stored record."""
        at = tables.decisions.c.decision_id == decision_id
        with self.ledger.storage.writing() as connection:
            connection.execute(sa.update(tables.decisions).where(at).values(record=payload))


class ReplayShop:
    """Node and hub, side by side."""

    def __init__(self, client: TestClient, desk: Desk, hub: Hub) -> None:
        self.client = client
        self.desk = desk
        self.hub = hub

    @property
    def clock(self) -> ManualClock:
        assert isinstance(self.desk.clock, ManualClock)
        return self.desk.clock

    def track(self, film: str, visitor: str = VISITOR, **fields: Any) -> None:
        answer = self.client.post("/v1/track", json={**viewed(film), "anonymousId": visitor, **fields})
        assert answer.status_code == 200, answer.text

    def prefer(self, said: dict[str, Any], visitor: str = VISITOR) -> None:
        """State preferences as the proven visitor."""
        cookie = sign_visitor(KEYS.visitor_key, visitor, self.clock.now_ms())
        answer = self.client.put("/v1/preferences", json=said, headers={"cookie": f"ew_id={cookie}"})
        assert answer.status_code == 200, answer.text

    def ask(self, body: dict[str, Any] | None = None, *, visitor: str = VISITOR, **headers: str) -> dict[str, Any]:
        """Ask the node, which has time enough on a busy machine, too."""
        asked = {"anonymousId": visitor, "placements": [{"name": HERO}, {"name": LIST}], **(body or {})}
        asked["options"] = {"deadlineMs": 5_000, **asked.get("options", {})}
        self.client.cookies.clear()
        answer = self.client.post("/v1/decide", json=asked, headers=headers)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def say(self, columns: FactChanges, *, halted: bool = False, life_ms: int = 3_600_000) -> int:
        """The hub has new live facts, and the node takes them over; returns their version."""
        row, _ = self.hub.ledger.change_facts(
            columns, who="Ann", now_ms=self.clock.now_ms(), life_ms=life_ms, halted=halted, renew=True
        )
        served = self.desk.live.served
        assert row is not None
        assert served is not None
        self.desk.live.served = served.under(self.hub.ledger.fact_sheet(row.version))
        return row.version

    def report(self) -> list[DecisionRecord]:
        """The hub gets all that is in the spool; returns the new decisions."""
        return self.hub.receive(spooled(self.desk))

    def decided(self, body: dict[str, Any] | None = None, *, visitor: str = VISITOR, **headers: str) -> DecisionRecord:
        """Ask once, and have the hub know it."""
        told = self.ask(body, visitor=visitor, **headers)
        return next(record for record in self.report() if record.decision_id == told["decisionId"])


@contextmanager
def replay_shop(
    folder: Path, *, starter: bool = False, files: dict[str, bytes] | None = None, **changes: Any
) -> Iterator[ReplayShop]:
    """A node with one worker that serves what the hub has released, or still the starter bundle.

    `files` are the resources of the release, `changes` fields of its manifest.
    """
    files = bundle_files(POLICY) if files is None else files
    paths = NodePaths(folder / "node")
    paths.create()
    if starter:
        install_starter(BundleStore(paths), most_bytes=EdgeSettings().bundle_most_bytes)
    else:
        install(paths, files, **changes)
    with (
        node(paths.root, bundle=False) as (client, desk),
        open_ledger(folder / "hub") as ledger,
        ScoringChild() as child,
    ):
        yield ReplayShop(client, desk, Hub(folder / "hub", ledger, child, files, **changes))
