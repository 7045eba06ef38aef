"""A large import is over within a minute, on any machine."""

from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from hub.imports.decisions import import_decisions

ROWS = 541_909


@pytest.mark.slow
def test_half_a_million_decisions_import_within_a_minute(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    actions, propensity = rng.integers(4_000, size=ROWS), rng.uniform(0.01, 1, size=ROWS)
    with (tmp_path / "log.csv").open("w", encoding="utf-8") as file:
        file.write("timestamp,decision_id,action,propensity,reward,user,text\n")
        for row, (action, p) in enumerate(zip(actions.tolist(), propensity.tolist(), strict=True)):
            quoted = '"a text, quoted"' if row % 2 else "plain"
            file.write(f"2024-05-01 12:{row % 60:02d}:00,d{row},{action},{p},{row % 2},u{row % 5000},{quoted}\n")
    (tmp_path / "map.toml").write_text('context = ["text"]\n')
    started = perf_counter()
    imported = import_decisions(tmp_path / "log.csv", tmp_path / "hub", map_path=tmp_path / "map.toml")
    elapsed_s = perf_counter() - started
    print(f"\nimported {imported.rows:,} decisions in {elapsed_s:.1f} s")
    assert imported.rows == ROWS
    assert elapsed_s < 60
