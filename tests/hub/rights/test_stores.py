"""Every folder of a used hub is known to hold people, or not to."""

from __future__ import annotations

from pathlib import Path

from hub_process import make_site
from hub_records import NODE, NOW_MS, event, payloads

from hub.imports.decisions import import_decisions
from hub.imports.event_rejects import EventRejects
from hub.ledger.batch import Batch
from hub.ledger.ledger import LAKE, open_ledger
from hub.rights.stores import EMPTIED, IMPERSONAL


def test_no_folder_is_forgotten(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    make_site(folder)
    log = tmp_path / "log.csv"
    log.write_text("user,action,propensity,reward\nann,a,0.5,1\nbo,b,2,0\n")
    import_decisions(log, folder)
    with open_ledger(folder) as ledger:
        ledger.store([Batch(NODE, payloads(event(0)))], NOW_MS)
        ledger.lake.compact(before_ms=NOW_MS * 2, now_ms=NOW_MS * 2, least_records=1)
    with EventRejects(folder / "events" / "rejects" / "past.csv"):
        pass
    found = {path.name for path in folder.iterdir() if path.is_dir()}
    assert {"decisions", "events", LAKE, "keys", "repository"} <= found
    assert found <= EMPTIED | IMPERSONAL
    assert not EMPTIED & IMPERSONAL
