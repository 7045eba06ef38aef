"""Under load, a bundle after whose swap two workers die natively goes back by itself, and hardly a visitor notices."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from processes import edgewise, listening_pids, until
from typing_extensions import override

from edge.node.bundles import BundleStore
from edge.node.layout import NodePaths
from edge.node.status import WorkerStatus, read_status
from edge.testing.small_bundle import HERO, small_bundle
from hub.prove.victims import is_gone

# Without load, `test_edge_node` has such a bundle go back.
pytestmark = [pytest.mark.process, pytest.mark.slow]

VISITORS = 4
ASKED = json.dumps({"anonymousId": "ann", "placements": [{"name": HERO}]})


class Visitor(threading.Thread):
    """Asks for one decision after the other on a connection that it keeps; comes again where that breaks."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._address = urlsplit(url).netloc
        self.answers = 0
        self.broken = 0
        self.refused: list[int] = []
        self.versions: set[int] = set()
        self.stopping = threading.Event()

    @override
    def run(self) -> None:
        connection = HTTPConnection(self._address, timeout=10)
        while not self.stopping.wait(0.005):
            try:
                connection.request("POST", "/v1/decide", ASKED, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                told = json.loads(answer.read())
            except (OSError, HTTPException):
                # The process behind it was killed: nobody could have answered.
                self.broken += 1
                connection.close()
                continue
            self.answers += 1
            if answer.status == 200:
                self.versions.add(told["bundle"]["version"])
            else:
                self.refused.append(answer.status)
        connection.close()


def said_by_worker(file: Path) -> WorkerStatus | None:
    return read_status(file, WorkerStatus)


def test_a_bundle_that_kills_workers_goes_back_while_visitors_are_answered(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    words = ("edge", "serve", "--port", "0", "--workers", "2", "--data-dir", str(folder))
    with edgewise(*words, log=tmp_path / "log") as node:
        visitors = [Visitor(node.said["url"]) for _ in range(VISITORS)]
        for visitor in visitors:
            visitor.start()
        store, bad = BundleStore(NodePaths(folder)), small_bundle("shop", version=7)
        store.activate(store.stage(bad.manifest_bytes, bad.resources))
        until(lambda: all(7 in visitor.versions for visitor in visitors))
        broken_before = sum(visitor.broken for visitor in visitors)
        swapped_s = time.monotonic()
        for victim in until(lambda: len(found := listening_pids(node)) == 2 and found):
            os.kill(victim, signal.SIGSEGV)
            until(partial(is_gone, victim))
        until(lambda: store.quarantined(bad.digest) is not None)
        reverted_s = time.monotonic() - swapped_s
        told = [NodePaths(folder).worker_status(index) for index in range(2)]
        until(lambda: [status and status.bundle_version for status in map(said_by_worker, told)] == [0, 0])
        for visitor in visitors:
            visitor.versions = set()
        until(lambda: all(visitor.versions for visitor in visitors))
        assert [visitor.versions for visitor in visitors] == [{0}] * VISITORS
        for visitor in visitors:
            visitor.stopping.set()
            visitor.join()
        broken = sum(visitor.broken for visitor in visitors) - broken_before
        answers = sum(visitor.answers for visitor in visitors)
        print(f"reverted {reverted_s:.2f} s after the first death; {broken} of {answers} requests met a killed process")
        assert not [status for visitor in visitors for status in visitor.refused], "nobody is told of it"
        # A death breaks what is open to that process: each visitor's one connection, and the next one where that began
        # before the supervisor had noticed. Whoever comes then waits until somebody answers.
        assert broken <= 2 * 2 * VISITORS
        held = store.quarantined(bad.digest)
        assert held is not None
        assert held.code == "crash"
        assert node.stop() == 0
