"""The probes that ship, against real nodes: our own server withstands all, granian all but what its setting says."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from processes import Started, edgewise

from edge.settings import EdgeSettings
from edge.testing.probes import Report, probe_all

pytestmark = pytest.mark.process

COMMAND = [sys.executable, "-m", "edge.testing.probes"]
GRANIAN_GAPS = {
    "transfer-encoding and content-length",
    "a transfer coding nobody reads",
    "the same content-length twice",
    "a chunk size that is no number",
    "a chunk size beyond 64 bits",
    "a signed chunk size",
    "a line feed in a chunk extension",
    "a line feed behind a chunk size",
    "nothing behind a chunk",
    "content-length in a trailer",
    "line feeds alone",
    "no Host",
}


def node_words(folder: Path, server: str) -> tuple[str, ...]:
    return ("edge", "serve", "--port", "0", "--workers", "1", "--data-dir", str(folder / "node"), "--server", server)


def peak_memory_bytes(node: Started) -> int:
    """Of the node's worker."""
    (worker,) = node.children()
    (peak,) = (line for line in Path(f"/proc/{worker}/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) << 10


def probed(node: Started, *, slow_sockets: int) -> Report:
    return asyncio.run(
        probe_all(node.said["url"], slow_sockets=slow_sockets, head_s=1.0, body_s=2.0, write_key="demo", settles_s=0.4)
    )


@pytest.mark.slow  # the same bad requests are refused in `edge/test_http1`, one at a time
def test_our_own_server_withstands_every_probe_in_bounded_memory(tmp_path: Path) -> None:
    limits = tmp_path / "edge.toml"
    limits.write_text("header_timeout_ms = 1_000\nbody_timeout_ms = 2_000\n")
    words = (*node_words(tmp_path, "edgewise"), "--config", str(limits))
    with edgewise(*words, log=tmp_path / "log") as node:
        before_bytes = peak_memory_bytes(node)
        report = probed(node, slow_sockets=120)
        assert [told for told in report.probes if not told.passed] == []
        assert [told for told in report.slow if not told.passed] == []
        assert {told.name for told in report.probes if told.second_served} == set()
        assert sum(told.kind == "framing" for told in report.probes) >= 14
        assert all(
            told.status is not None and 400 <= told.status < 500 for told in report.probes if told.kind == "framing"
        )
        assert report.passed
        # 8 MB of a head and 1 GB of a body came; far less was kept.
        assert peak_memory_bytes(node) - before_bytes < 24 << 20
        assert node.stop() == 0
    assert "Traceback" not in node.log.read_text()


@pytest.mark.slow
def test_granian_has_the_gaps_that_its_setting_declares_and_no_others(tmp_path: Path) -> None:
    with edgewise(*node_words(tmp_path, "granian"), log=tmp_path / "log") as node:
        ended = subprocess.run([*COMMAND, node.said["url"], "--json"], capture_output=True, text=True, check=False)
        assert ended.returncode == 1, ended.stderr
        report = json.loads(ended.stdout)
        assert {told["name"] for told in report["probes"] if not told["passed"]} <= GRANIAN_GAPS
        assert report["alive_afterwards"]
        assert not report["passed"]
    assert EdgeSettings().server == "edgewise"


def test_the_command_says_in_one_line_why_it_cannot_probe() -> None:
    for url, said in (("ftp://node", "no URL of a node"), ("http://127.0.0.1:1", "127.0.0.1")):
        ended = subprocess.run([*COMMAND, url, "--json"], capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
        assert said in ended.stderr
        assert "Traceback" not in ended.stderr
