"""`edgewise demo` as a person runs it: what it says when it cannot start, and the whole of it on real data."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from real_data import movielens_100k, open_bandit_log

EDGEWISE = Path(sys.executable).parent / "edgewise"


def test_a_taken_port_is_said_before_anything_is_done() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = subprocess.run(
            [EDGEWISE, "demo", "--once", "--port", port], capture_output=True, text=True, check=False, timeout=60
        )
    assert refused.returncode == 1
    assert f"cannot have port {port}" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_who_leaves_early_leaves_nothing_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [EDGEWISE, "demo", "--simulated", "--port", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as demo:
        assert demo.stderr is not None
        for line in demo.stderr:
            if line.startswith("make the site's keys"):
                break
        demo.send_signal(signal.SIGINT)
        said = demo.stderr.read()
    assert demo.returncode == 0
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.timeout(600)
def test_the_whole_demo_on_real_data() -> None:
    """Published figures: the popularity rule .088 [.080, .096] offline; Open Bandit by the data's own protocol."""
    movielens_100k()
    open_bandit_log("random", "all")
    ran = subprocess.run(
        [EDGEWISE, "demo", "--once", "--json", "--port", "0"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    addresses, figures = (json.loads(line) for line in ran.stdout.splitlines())
    assert set(addresses) == {"storefront", "edges", "hub", "admin"}
    assert len(addresses["edges"]) == 2
    assert not figures["simulated"]
    for group in ("all", "known", "new"):
        rates = figures["hit_rate_at_10"][group]
        assert rates["challenger"]["ci_low"] > rates["champion"]["ci_high"], group
    champion = figures["hit_rate_at_10"]["all"]["champion"]
    assert champion["estimate"] == pytest.approx(0.088, abs=0.003)
    assert figures["decisions"] > 20_000
    assert figures["errors"] == figures["hub_down"]["errors"] == figures["hub_down"]["pending_after"] == 0
    turned = figures["learning"]
    assert turned["errors"] == 0
    assert turned["predicted_lift"] is not None, turned["reason"]
    assert turned["phases"][0]["picks"] > 2_000
    # Whether the log says enough is chance; where it does, the release that was learned of it serves both nodes.
    assert turned["state"] in {"promoted", "stopped"}, turned["reason"]
    assert figures["bundle_versions"] == ([2, 2] if turned["state"] == "promoted" else [1, 1])
    bandit = figures["open_bandit"]
    told = {"ips": 0.004553, "snips": 0.004776, "relative_estimation_error": 0.084, "ess": 1_640.8}
    assert {name: bandit[name] for name in told} == pytest.approx(told, rel=6e-3)
