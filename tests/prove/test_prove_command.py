"""`edgewise prove` as a person runs it: a few kills on real processes, and nothing left behind however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from processes import run_edgewise, until

from hub.prove.victims import descendants, is_gone

EDGEWISE = Path(sys.executable).parent / "edgewise"


def figures(proof: dict[str, Any]) -> dict[str, float]:
    return {figure["what"]: figure["value"] for figure in proof["figures"]}


def test_scenarios_are_listed_and_an_unknown_one_is_refused() -> None:
    listed = run_edgewise("prove", "--list", "--json")
    assert {"kills", "swaps", "hub-away"} <= {each["name"] for each in json.loads(listed.stdout)["scenarios"]}
    refused = run_edgewise("prove", "--only", "kill")
    assert refused.returncode == 2
    assert "expected one of kills" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.timeout(200)
def test_a_few_kills_lose_nothing_and_the_figures_say_so(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    words = ("--only", "kills", "--kills", "3", "--workers", "1", "--seed", "4")
    ended = run_edgewise("prove", *words, "--report", str(page), "--json", most_s=180)
    told = json.loads(ended.stdout)
    (proof,) = told["proofs"]
    assert ended.returncode == 0, ended.stderr
    assert told["passed"]
    assert proof["parameters"] == {"seed": 4, "kills": 3, "workers": 1}
    counted = figures(proof)
    assert counted["kill -9"] == sum(counted[f"of them {kind}"] for kind in ("worker", "agent", "supervisor", "hub"))
    assert counted["acknowledged events lost"] == 0
    assert counted["events acknowledged"] > 50
    assert "Every figure is what it must be." in page.read_text()


@pytest.mark.process
@pytest.mark.parametrize(
    ("number", "processes"), [(signal.SIGINT, 1), pytest.param(signal.SIGTERM, 4, marks=pytest.mark.slow)]
)
def test_who_leaves_early_leaves_nothing_behind(tmp_path: Path, number: signal.Signals, processes: int) -> None:
    with subprocess.Popen(
        [EDGEWISE, "prove", "--only", "kills", "--kills", "1000"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as prove:
        started: list[int] = until(lambda: len(found := descendants(prove.pid)) >= processes and found)
        prove.send_signal(number)
        _, said = prove.communicate(timeout=60)
    assert prove.returncode not in {0, None}
    assert b"Traceback" not in said
    assert all(map(is_gone, started))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.timeout(320)
@pytest.mark.parametrize("scenario", ["kills", "cold-start", "full-disk"])
def test_the_quick_figures_are_what_they_must_be(scenario: str) -> None:
    ended = run_edgewise("prove", "--quick", "--only", scenario, "--json", most_s=300)
    (proof,) = json.loads(ended.stdout)["proofs"]
    assert ended.returncode == 0, ended.stderr
    if proof["not_run"]:
        pytest.skip(proof["not_run"])
    assert proof["figures"]
