"""`edgewise bench` and a real node with the starter bundle, as two processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from processes import ask, edgewise, run_edgewise

# What the command makes of answers is tested with small servers.
pytestmark = [pytest.mark.process, pytest.mark.slow]


def test_a_node_answers_every_visitor_rightly_and_its_own_counts_agree(tmp_path: Path) -> None:
    serve = ("edge", "serve", "--port", "0", "--workers", "1", "--data-dir", str(tmp_path / "node"))
    with edgewise(*serve, log=tmp_path / "log") as node:
        url = node.said["url"]
        report = tmp_path / "report.html"
        words = ("--rate", "100", "--duration", "2", "--warm-up", "0.5", "--connections", "20", "--report", str(report))
        done = run_edgewise("bench", url, *words, "--fail-if", "errors>0%", "--fail-if", "fallback>50%", "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["errors"] == 0
        assert told["requests"] > 100
        assert {"MODEL", "RULE"} <= set(told["reasons"])
        assert told["node"]["node"] == node.said["node"]
        assert told["node"]["state"] == "READY"
        assert 0 < told["node_ms"]["max"] <= told["latency_ms"]["max"]
        assert "polyline" in report.read_text("utf-8")
        status = ask(f"{url}/status")
        assert status["spool"]["created"] > told["requests"]
        assert status["profiles"]["count"] >= 2_000  # known visitors, whose history was told before
        assert node.stop() == 0
