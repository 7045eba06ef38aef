"""Section 3, for people who bring a file: the JSON of each command to the key, and files with broken rows."""

from __future__ import annotations

import csv
import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hub_process import edgewise

pytestmark = pytest.mark.process

MEASURES = ("precision", "recall", "hit_rate", "mrr", "ndcg_cut", "ndcg_uncut", "coverage")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`log.csv`, 1,200 decisions, two of them broken; `used.csv`, who used what; `visits.csv`, with a target."""
    made = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(5)
    chances = {"a": 0.5, "b": 0.3, "9007199254740993": 0.2}
    arms = rng.choice(list(chances), p=list(chances.values()), size=1_200)
    log = [["when", "id", "arm", "p", "click", "who"]]
    log += [
        [str(1_700_000_000 + row), f"d{row}", arm, str(chances[arm]), str(int(rng.random() < 0.2)), f"u{row % 40}"]
        for row, arm in enumerate(map(str, arms))
    ]
    log[7][3], log[9][4] = "often", ""
    _write(made / "log.csv", log)
    (made / "map.toml").write_text(
        '[columns]\ntimestamp = "when"\ndecision_id = "id"\naction = "arm"\npropensity = "p"\nreward = "click"\n'
        'user = "who"\n'
    )
    used = [[str(rng.integers(60)), str(rng.integers(25)), str(row)] for row in range(1_500)]
    _write(made / "used.csv", [["who", "what", "when"], *used])
    x = rng.random((400, 2))
    visits = [[f"{a}", f"{b}", str(int(a + rng.random() > 1))] for a, b in x]
    _write(made / "visits.csv", [["pages", "seconds", "bought"], *visits])
    with gzip.open(made / "visits.csv.gz", "wt") as packed:
        packed.write((made / "visits.csv").read_text())
    return made


def _write(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def finite(value: Any) -> bool:
    return isinstance(value, float | int) and math.isfinite(value)


def test_a_broken_row_is_set_aside_with_row_column_value_and_what_was_expected(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    words = ("import", "decisions", folder / "log.csv", "--map", folder / "map.toml", "--data-dir", tmp_path / "hub")
    told = edgewise(capsys, *words, "--json")
    imported = told.told
    assert (imported["name"], imported["rows"], imported["rejected"]) == ("log", 1_198, 2)
    assert imported["rejects"] == {"p": 1, "click": 1}
    with Path(imported["rejects_file"]).open(newline="") as file:
        rejects = list(csv.DictReader(file))
    assert list(rejects[0]) == ["row", "column", "value", "expected"]
    assert [(each["row"], each["column"], each["value"]) for each in rejects] == [
        ("8", "p", "often"),
        ("10", "click", ""),
    ]
    assert all(each["expected"] for each in rejects)
    assert edgewise(capsys, *words, "--quiet")[:2] == (0, "")
    assert edgewise(capsys, *words, "--name", "other", "--json").told["name"] == "other"
    uniform = edgewise(
        capsys, "evaluate", "--decisions", "log", "--policy", "uniform", "--data-dir", tmp_path / "hub", "--json"
    )
    assert uniform.told["n"] == 1_198


def test_evaluate_answers_in_the_shape_of_the_contract(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    hub = ("--data-dir", tmp_path / "hub")
    edgewise(capsys, "import", "decisions", folder / "log.csv", "--map", folder / "map.toml", *hub)
    (tmp_path / "p.csv").write_text("action,probability\na,0.2\nb,0.2\n9007199254740993,0.6\n")
    asked = ("evaluate", "--decisions", "log", *hub, "--json", "--estimator", "ips,snips,dm,dr,sndr", "--policy")
    for policy in ("logged", "uniform", "constant:9007199254740993", f"probabilities:{tmp_path / 'p.csv'}"):
        told = edgewise(capsys, *asked, policy)
        found = told.told
        assert set(found) == {"logged_value", "n", "verdict", "warnings", "estimators"}
        assert found["verdict"] in {"ok", "warn"}
        assert list(found["estimators"]) == ["ips", "snips", "dm", "dr", "sndr"]
        for estimate in found["estimators"].values():
            assert {"estimate", "ci_low", "ci_high", "stderr", "ess", "max_weight"} == set(estimate)
        assert all(map(finite, found["estimators"]["ips"].values()))
    refused = edgewise(capsys, *asked, "constant:nothing")
    assert (refused.code, json.loads(refused.stdout)["verdict"]) == (1, "refused")
    assert json.loads(refused.stdout)["warnings"]


@pytest.mark.parametrize("method", ["ease", "popular"])
def test_recommend_reports_every_measure_at_every_length(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, method: str
) -> None:
    report = tmp_path / "R.json"
    words = ("--user", "who", "--item", "what", "--split", "random:0.2:3", "--k", "5,10,20", "--report", report)
    told = edgewise(
        capsys, "train", "recommend", "--interactions", folder / "used.csv", *words, "--method", method, "--json"
    ).told
    assert {f"{measure}@{k}" for measure in MEASURES for k in (5, 10, 20)} <= set(told)
    assert all(0 <= told[f"{measure}@10"] <= 1 for measure in MEASURES)
    assert json.loads(report.read_text()) == told


def test_scoring_is_judged_exported_and_run_as_an_edge_does(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    model, report, out = tmp_path / "M.onnx", tmp_path / "R.json", tmp_path / "P.csv"
    told = edgewise(
        capsys, "train", "scoring", "--table", folder / "visits.csv.gz", "--target", "bought", "--kind", "binary",
        "--features", "pages,seconds", "--cv", "2", "--set", "n_estimators=5", "--report", report,
        "--export", model, "--json",
    ).told  # fmt: skip
    assert {"metrics", "parity", "warnings"} <= set(told)
    assert set(told["metrics"]["auc"]) == {"mean", "ci_low", "ci_high"}
    assert told["metrics"]["auc"]["ci_low"] <= told["metrics"]["auc"]["mean"] <= told["metrics"]["auc"]["ci_high"]
    assert told["parity"]["rows"] > 0
    assert told["parity"]["max_abs_error"] <= 1e-5
    assert json.loads(report.read_text()) == told
    scored = edgewise(capsys, "score", "onnx", model, "--table", folder / "visits.csv", "--out", out, "--json").told
    assert scored["rows"] == 400
    rows = list(csv.reader(out.read_text().splitlines()))
    assert (rows[0], len(rows)) == (["score"], 401)
    assert all(0 < float(row[0]) < 1 for row in rows[1:])
    absent = edgewise(capsys, "score", "onnx", model, "--table", folder / "used.csv", "--out", out, "--quiet")
    assert (absent.code, absent.stdout) == (1, "")
    assert "no column 'pages', 'seconds'" in absent.stderr


def test_events_that_are_none_are_set_aside_and_a_file_counts_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    hub, lines = tmp_path / "hub", tmp_path / "calls.jsonl"
    edgewise(capsys, "keys", "init", "--data-dir", hub)
    site = tmp_path / "site"
    edgewise(capsys, "site", "init", site, "--data-dir", hub, "--by", "ann")
    call = {"type": "track", "event": "Product Viewed", "timestamp": "2026-01-01T00:00:00Z", "anonymousId": "ann"}
    lines.write_text(
        "\n".join([
            json.dumps({**call, "messageId": "m-1", "properties": {"product_id": 9007199254740993}}),
            json.dumps({**call, "messageId": "m-1"}),
            json.dumps({**call, "event": "Something Of Our Own"}),
            '{"type": "track"}',
            '{"type": "track", "event": "x", "anonymousId": "a", "properties": {"price": NaN}}',
        ])
    )  # fmt: skip
    words = ("import", "events", lines, "--data-dir", hub, "--site", site)
    told = edgewise(capsys, *words, "--json").told
    assert (told["lines"], told["stored"], told["known"], told["rejected"]) == (5, 2, 1, 2)
    with Path(told["rejects_file"]).open(newline="") as file:
        rejects = list(csv.DictReader(file))
    assert [each["line"] for each in rejects] == ["4", "5"]
    assert all(each["expected"] for each in rejects)
    assert edgewise(capsys, *words, "--json").told["stored"] == 0
    shown = edgewise(capsys, "profile", "show", "ann", "--data-dir", hub, "--json").told
    assert shown["last_items"] == ["9007199254740993"]
