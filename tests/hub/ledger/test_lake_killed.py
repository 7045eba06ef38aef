"""Moving and erasing old records, killed before any step: nothing is lost, doubled, or left in a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hub_records import NOW_MS
from lake_world import ANN, compact, files, fill, told

from hub.ledger.ledger import Ledger, open_ledger

on_both = pytest.mark.parametrize(
    "either_database",
    ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)],
    indirect=True,
)
STEPS = frozenset({"os.rename", "os.remove", "os.mkdir"})


def dies_in(step: int, folder: Path, work: Callable[[Ledger], None]) -> bool:
    """Run `work` in a child that is killed before its step; False: it came to its end before."""
    child = os.fork()
    if child == 0:
        count = -1

        def counted(*_: Any) -> None:
            nonlocal count
            count += 1
            if count == step:
                os._exit(9)

        with open_ledger(folder) as ledger:
            for engine in (ledger.storage._writer, ledger.storage._reader):
                sa.event.listen(engine, "before_cursor_execute", counted)
                sa.event.listen(engine, "commit", counted)
            sys.addaudithook(lambda name, _: counted() if name in STEPS else None)
            work(ledger)
            os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 9)
    return code == 9


def erased(ledger: Ledger) -> None:
    ledger.erase(ANN, NOW_MS)


@on_both
@pytest.mark.parametrize("work", [compact, pytest.param(erased, marks=pytest.mark.slow)])
@pytest.mark.usefixtures("either_database")
def test_a_process_may_be_killed_before_any_step(tmp_path: Path, work: Callable[[Ledger], Any]) -> None:
    with open_ledger(tmp_path) as ledger:
        fill(ledger, 4)
        if work is erased:
            compact(ledger)
        before = told(ledger)
    step = 0
    while dies_in(step, tmp_path, work):
        step += 1
        with open_ledger(tmp_path) as ledger:
            if work is compact:
                ledger.lake.rewrite()
                assert told(ledger) == before
            else:
                events = list(ledger.events())
                if len(events) == len(before["events"]):
                    assert told(ledger) == before
                else:  # the rows went; the files follow at the next turn
                    assert events == [one for one in before["events"] if one[1].subject != ANN]
                    ledger.lake.rewrite([])
                    assert list(ledger.events()) == events
            assert files(ledger) == sorted(row.file for row in ledger.lake.partitions())
    assert step > 10
    with open_ledger(tmp_path) as ledger:
        assert files(ledger) == sorted(row.file for row in ledger.lake.partitions())
        assert (
            sum(row.records for row in ledger.lake.partitions()) == ledger.totals().events + ledger.totals().decisions
        )
