"""A node on a disk of a few megabytes that fills up: decisions go on, refusals and drops are declared, all comes back.

A real tmpfs, real processes: the supervisor, two workers, the starter bundle, no hub to take anything away.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from needs import lacking
from processes import ask, edgewise, until
from spool_world import records_of

from edge.node.layout import NodePaths
from edge.spool.lanes import counts_in
from edgewise.records import EventRecord, GapRecord
from hub.prove import tmpfs
from hub.prove.lab import NotHereError

pytestmark = [pytest.mark.process, pytest.mark.slow]

DISK_BYTES = 8 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, large enough for a node to start on."""
    try:
        with tmpfs.small_disk(tmp_path / "disk", DISK_BYTES) as folder:
            yield folder
    except NotHereError as lacked:
        lacking(str(lacked))


class Visitors:
    """Some threads, each of which decides and clicks over one connection and keeps what it was told."""

    def __init__(self, port: int, threads: int = 3) -> None:
        self._port = port
        self._stopping = threading.Event()
        self.decided = Counter[int]()
        self.acknowledged: set[str] = set()
        self.refused = 0
        self.faults: list[str] = []
        self._threads = [threading.Thread(target=self._visit, args=(index,)) for index in range(threads)]
        for thread in self._threads:
            thread.start()

    def _visit(self, index: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        for number in itertools.count():
            if self._stopping.is_set():
                connection.close()
                return
            visitor, message = f"v-{index}-{number}", f"m-{index}-{number}"
            status, _ = self._post(
                connection,
                "/v1/decide",
                {"anonymousId": visitor, "placements": [{"name": "home_hero"}]},
            )
            self.decided[status] += 1
            call = {"event": "Product Viewed", "messageId": message, "anonymousId": visitor}
            status, headers = self._post(connection, "/v1/track", {**call, "properties": {"product_id": "x" * 200}})
            if status == 200:
                self.acknowledged.add(message)
            elif status == 503 and headers.get("retry-after"):
                self.refused += 1
            else:
                self.faults.append(f"track: {status} {headers}")

    @staticmethod
    def _post(connection: http.client.HTTPConnection, path: str, body: Any) -> tuple[int, dict[str, str]]:
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(30)


def test_on_a_full_disk_decisions_go_on_and_drops_are_declared_and_all_comes_back_without_a_restart(
    small_disk: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    words = ("edge", "serve", "--port", "0", "--workers", "2", "--data-dir", str(small_disk / "node"))
    with edgewise(*words, log=log) as node:
        url, paths = node.said["url"], NodePaths(small_disk / "node")
        workers = sorted(node.children())
        ballast = tmpfs.Filler(small_disk / "ballast")
        visitors = Visitors(int(url.rpartition(":")[2]))
        until(lambda: len(visitors.acknowledged) > 50)

        # Somebody else fills the disk to the last byte, and goes on doing so.
        def is_full() -> bool:
            ballast.fill()
            return visitors.refused > 50 and ask(f"{url}/status")["spool"]["dropped"] > 50

        until(is_full, most_s=60)
        acknowledged = len(visitors.acknowledged)
        ballast.give_back()
        until(lambda: len(visitors.acknowledged) > acknowledged + 100)
        visitors.stop()
        assert visitors.faults == []
        assert set(visitors.decided) == {200}
        assert sorted(node.children()) == workers, "nobody had to be started again"
        # What a worker says of itself is half a second old at most, and the last gaps are declared as fast.
        until(lambda: what_status_says(url) == what_is_there(paths), most_s=10)
        messages = [record.message_id for record in records_of(paths.spool) if isinstance(record, EventRecord)]
        assert len(messages) == len(set(messages))
        assert visitors.acknowledged <= set(messages), "acknowledged and lost"


def test_on_a_full_disk_killed_workers_are_replaced_and_what_was_acknowledged_before_is_there(
    small_disk: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    words = ("edge", "serve", "--port", "0", "--workers", "2", "--data-dir", str(small_disk / "node"))
    with edgewise(*words, log=log) as node:
        url, paths = node.said["url"], NodePaths(small_disk / "node")
        visitors = Visitors(int(url.rpartition(":")[2]), threads=1)
        until(lambda: len(visitors.acknowledged) > 20)
        visitors.stop()
        before = node.children()
        ballast = tmpfs.Filler(small_disk / "ballast")
        ballast.fill()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        until(lambda: len(node.children()) == 2 and not set(node.children()) & set(before))
        until(lambda: answers(url))
        late = Visitors(int(url.rpartition(":")[2]), threads=2)
        until(lambda: late.decided[200] > 100)
        ballast.give_back()
        until(lambda: len(late.acknowledged) > 20)
        late.stop()
        assert (late.faults, set(late.decided)) == ([], {200})
        kept = {record.message_id for record in records_of(paths.spool) if isinstance(record, EventRecord)}
        assert visitors.acknowledged | late.acknowledged <= kept
        until(lambda: what_status_says(url) == what_is_there(paths), most_s=10)


def answers(url: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(ask(f"{url}/health/live"))
    return False


def what_status_says(url: str) -> tuple[int, int, int, int, dict[str, int]]:
    told = ask(f"{url}/status")["spool"]
    return told["created"], told["stored"], told["dropped"], told["pending"], told["droppedByLane"]


def what_is_there(paths: NodePaths) -> tuple[int, int, int, int, dict[str, int]]:
    """The same, counted in the spool: no hub has taken anything."""
    records = records_of(paths.spool)
    gaps = [record for record in records if isinstance(record, GapRecord)]
    lanes = Counter[str]()
    for gap in gaps:
        lanes.update(counts_in(gap.lane, gap.count))
    kept = len(records) - len(gaps)
    return kept + lanes.total(), 0, lanes.total(), kept, dict(lanes)
