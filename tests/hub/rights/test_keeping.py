"""What a hub does about erasures by itself: what fails is tried again, later, and holds up nobody else."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hub_records import NODE, NOW_MS, event, payloads, preference

from edgewise.clock import ManualClock
from edgewise.subjects import subject_of
from hub.imports.decision_store import decision_paths
from hub.imports.decisions import import_decisions
from hub.ledger.batch import Batch
from hub.ledger.ledger import open_ledger
from hub.ledger.rows import ContactRow
from hub.ledger.suppression import SuppressionList
from hub.log import start_log
from hub.rights.certificate import Certificates
from hub.rights.keeping import FIRST_WAIT_MS, RightsKeeper
from hub.settings import HubSettings

pytestmark = pytest.mark.usefixtures("in_sqlite")
MAIL = "ann@mail.example"
ANN, BO = (subject_of(b"k" * 32, "anonymousId", name) for name in ("ann", "bo"))


def test_one_request_that_fails_stops_nobody_and_is_written_down_once(tmp_path: Path) -> None:
    past = tmp_path / "log.csv"
    past.write_text(f"user,action,propensity,reward\n{MAIL},a,0.5,1\nbo,b,0.5,0\n")
    import_decisions(past, tmp_path)
    table = decision_paths(tmp_path, "log").table
    whole = table.read_bytes()
    table.write_bytes(whole[: len(whole) // 2])
    clock = ManualClock(NOW_MS)
    with open_ledger(tmp_path) as ledger:
        ledger.keep_contacts([ContactRow("crm", "k1", ANN, {"email": MAIL}, NOW_MS)])
        asks = [preference(2 + n, subject=who, erasure=f"r-{who}") for n, who in enumerate((ANN, BO))]
        sent = payloads(event(0, subject=ANN), event(1, subject=BO, time_ms=NOW_MS), *asks)
        ledger.store([Batch(NODE, sent)], NOW_MS)
        keeper = RightsKeeper(tmp_path, ledger, HubSettings(), clock=clock, log=start_log("critical"))
        for _ in range(3):
            keeper._erase()
        assert [request.subject for request in ledger.erasure_requests()] == [ANN]
        assert list(ledger.events()) == []
        clock.advance(10 * FIRST_WAIT_MS)
        keeper._erase()
        assert len(SuppressionList(tmp_path).listed().entries) == 2
        hers, his = sorted(Certificates(tmp_path).readable(), key=lambda each: each.number)
        assert (hers.erased_ms, his.erased_ms) == (None, NOW_MS)
        table.write_bytes(whole)
        clock.advance(1_000 * FIRST_WAIT_MS)
        Certificates(tmp_path).file_of(his.id).write_bytes(b"damaged")
        keeper._erase()
        assert ledger.erasure_requests() == []
        assert pq.read_table(table).num_rows == 1
        hers, _ = sorted(Certificates(tmp_path).readable(), key=lambda each: each.number)
        assert hers.erased_ms == hers.compacted_ms == clock.now_ms()
        assert len(SuppressionList(tmp_path).listed().entries) == 2
