"""One figure from end to end, as `make bench` runs it: processes, measurement, table, JSON and page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.process, pytest.mark.slow]

TESTS = Path(__file__).parents[1]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="figures need two cores")
def test_one_figure_is_measured_printed_and_drawn(tmp_path: Path) -> None:
    told, drawn = tmp_path / "figures.json", tmp_path / "figures.html"
    words = ["--quick", "--only", "P8", "--json", str(told), "--report", str(drawn)]
    done = subprocess.run(
        [sys.executable, "-m", "figures", *words],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    sheet = json.loads(told.read_text())
    (row,) = sheet["rows"]
    assert (row["id"], sheet["failed"]) == ("P8", {})
    assert row["value"] > 0
    assert (row["verdict"] == "FAIL") == (done.returncode == 1)
    assert "explanation of one shown item" in done.stdout
    assert "<table>" in drawn.read_text()
