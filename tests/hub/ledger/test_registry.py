"""Nodes, models, releases: what may follow on what, and that each deed is written down with its doer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edgewise.errors import InputError, RefusedError
from edgewise.ids import BundleVersion, ModelName, NodeId
from edgewise.reasons import State
from hub.audit import person, write_down
from hub.ledger.ledger import Ledger
from hub.ledger.rows import AuditEntry, ModelRow, ModelStatus, NodeRow, ReleaseRow, ReleaseStatus

pytestmark = pytest.mark.usefixtures("either_database")

ANN = AuditEntry("ann", "release approve", "release 1")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.of(tmp_path)
    yield opened
    opened.close()


def release(version: int, status: ReleaseStatus = ReleaseStatus.CANDIDATE) -> ReleaseRow:
    return ReleaseRow(BundleVersion(version), "d" * 64, 1_000, status=status, summary={"items": 3})


def test_a_release_is_approved_by_somebody_and_the_audit_says_so(ledger: Ledger) -> None:
    ledger.add_release(release(1), AuditEntry("loop", "release build", "release 1"))
    approved = ledger.set_release_status(
        BundleVersion(1), ReleaseStatus.APPROVED, ANN, now_ms=2_000, expected=[ReleaseStatus.CANDIDATE]
    )
    assert approved == ledger.release(BundleVersion(1)) == ledger.releases()[0]
    assert (approved.approved_by, approved.approved_ms, approved.summary) == ("ann", 2_000, {"items": 3})
    assert [(row.seq, row.who, row.what, row.time_ms) for row in ledger.audit()] == [
        (2, "ann", "release approve", 2_000),
        (1, "loop", "release build", 1_000),
    ]


def test_a_release_that_is_not_where_it_should_be_stays_there(ledger: Ledger) -> None:
    ledger.add_release(release(1, ReleaseStatus.REFUSED), ANN)
    with pytest.raises(RefusedError, match="release 1 is refused; expected approved or live"):
        ledger.set_release_status(
            BundleVersion(1),
            ReleaseStatus.LIVE,
            ANN,
            now_ms=2_000,
            expected=[ReleaseStatus.LIVE, ReleaseStatus.APPROVED],
        )
    with pytest.raises(InputError, match="no release 9"):
        ledger.set_release_status(BundleVersion(9), ReleaseStatus.LIVE, ANN, now_ms=2_000)
    with pytest.raises(RefusedError, match="there is a release 1 already"):
        ledger.add_release(release(1), ANN)
    assert [row.status for row in ledger.releases()] == [ReleaseStatus.REFUSED]
    assert len(ledger.audit()) == 1


def test_one_release_goes_live_and_the_one_before_retires(ledger: Ledger) -> None:
    ledger.add_release(release(1, ReleaseStatus.LIVE), ANN)
    ledger.add_release(release(2, ReleaseStatus.APPROVED), ANN)
    ledger.set_release_status(BundleVersion(2), ReleaseStatus.LIVE, ANN, now_ms=1, retire_live=True)
    assert [(row.version, row.status) for row in ledger.releases()] == [
        (2, ReleaseStatus.LIVE),
        (1, ReleaseStatus.RETIRED),
    ]


def test_models_are_listed_newest_first_and_approved_once(ledger: Ledger) -> None:
    for version in (1, 2):
        ledger.add_model(ModelRow(ModelName("ranker"), version, "a" * 64, 1_000, card={"auc": 0.7}), ANN)
    ledger.set_model_status(
        ModelName("ranker"), 2, ModelStatus.APPROVED, ANN, now_ms=5, expected=[ModelStatus.CANDIDATE]
    )
    assert [(row.version, row.status, row.approved_by) for row in ledger.models()] == [
        (2, ModelStatus.APPROVED, "ann"),
        (1, ModelStatus.CANDIDATE, None),
    ]
    assert ledger.models(ModelName("other")) == []
    with pytest.raises(RefusedError, match="version 2 is approved; expected candidate"):
        ledger.set_model_status(
            ModelName("ranker"), 2, ModelStatus.APPROVED, ANN, now_ms=6, expected=[ModelStatus.CANDIDATE]
        )
    with pytest.raises(RefusedError, match="has a version 1 already"):
        ledger.add_model(ModelRow(ModelName("ranker"), 1, "b" * 64, 1_000), ANN)
    with pytest.raises(InputError, match="no model ranker version 7"):
        ledger.set_model_status(ModelName("ranker"), 7, ModelStatus.APPROVED, ANN, now_ms=6)


def test_a_node_keeps_the_moment_when_it_was_first_seen(ledger: Ledger) -> None:
    row = NodeRow(NodeId("n-a"), State.READY, BundleVersion(3), "d", 1, True, first_seen_ms=10, last_seen_ms=10)
    ledger.save_nodes([row])
    ledger.save_nodes([msgspec.structs.replace(row, first_seen_ms=20, last_seen_ms=20, nack_code="digest")])
    ledger.disconnect_all()
    assert ledger.nodes() == [msgspec.structs.replace(row, last_seen_ms=20, nack_code="digest", connected=False)]


def test_a_deed_needs_a_doer(ledger: Ledger) -> None:
    assert person("ann", {"USER": "root"}) == "ann"
    assert person(None, {"USER": "root"}) == "root"
    with pytest.raises(InputError, match="--by NAME"):
        person(" ", {})
    write_down(ledger, "ann", "keys init", "film-shop", now_ms=7, detail={"made": ["root.pem"]})
    assert ledger.audit()[0].detail == {"made": ["root.pem"]}
