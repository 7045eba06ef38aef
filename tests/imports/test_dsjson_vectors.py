"""The samples of VW's own repository, and every number that its reference outputs state of them."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from vectors import vector

from hub.evaluation.estimators import importance_weights
from hub.evaluation.logged import load_decisions
from hub.evaluation.policies import uniform
from hub.imports.decision_store import decision_paths
from hub.imports.dsjson_import import import_dsjson
from hub.imports.dsjson_summary import Baseline, DsjsonSummary, Moment


def imported(name: str, folder: Path) -> tuple[DsjsonSummary, list[dict[str, Any]]]:
    found = import_dsjson(vector(f"dsjson/{name}.json"), folder)
    assert (found.name, found.rejected) == (name, 0)
    assert found.dsjson is not None
    assert found.dsjson.left_out.total == 0
    return found.dsjson, pq.read_table(decision_paths(folder, name).table).to_pylist()


def test_twelve_articles_of_a_news_site(tmp_path: Path) -> None:
    log, rows = imported("decisionservice", tmp_path)
    assert (log.events, log.sum_of_cost, log.events_with_cost) == (3, -2, 2)
    assert (log.least_actions, log.most_actions) == (12, 12)
    assert log.baseline.events == 0  # the action shown is never the first that is listed
    assert [row["propensity"] for row in rows] == [0.8166667] * 3
    loaded = load_decisions(tmp_path, "decisionservice")
    weighted = importance_weights(uniform(loaded).of_logged(loaded), loaded.propensity) * loaded.reward
    assert weighted.tolist() == pytest.approx([0.10204, 0, 0.10204], abs=0.000005)


def test_four_coffees(tmp_path: Path) -> None:
    log, rows = imported("dsjson_cb", tmp_path)
    assert (log.events, log.slots, log.sum_of_cost, log.events_with_cost) == (23, 23, -12, 12)
    assert (log.least_actions, log.most_actions) == (4, 4)
    assert log.baseline == Baseline(events=9, sum_of_cost=-6)
    assert {round(row["propensity"], 6) for row in rows} == {0.05, 0.85}
    assert log.first == Moment("13118d9b4c114f8485d9dec417e3aefe", "2021-02-04T16:31:29.2460000Z")
    assert log.last == Moment("36ae045ca6694633ba32bd4e0ea1a263", "2021-02-04T16:31:47.3190000Z")
    assert rows[0]["timestamp"].isoformat() == "2021-02-04T16:31:29.246000+00:00"
    assert (rows[0]["action"], rows[0]["context.FromUrl.weather"]) == ("Latte", "Sunny")
    assert str(rows[0]["reward"]) == "0.0"  # the log says -0.0
    assert "position" not in rows[0]


def test_one_or_two_slots(tmp_path: Path) -> None:
    log, rows = imported("ccb_data", tmp_path)
    assert (log.events, log.slots, log.events_by_slots) == (59, 66, {"1": 52, "2": 7})
    assert (log.least_actions, log.most_actions) == (4, 4)
    assert log.sum_of_cost == pytest.approx(-28.56, abs=1e-9)
    assert log.first_slot_cost == pytest.approx(-27.76, abs=1e-9)
    assert log.baseline.events == 16
    assert log.baseline.sum_of_cost == pytest.approx(-9.46, abs=1e-9)
    first, second = rows[:2]
    assert (first["position"], first["slot"], second["position"], second["slot"]) == (1, "MainArticle", 2, "SideBar")
    assert first["choices"] == ["Mocha", "Latte", "Cappuccino", "Americano"]
    assert second["choices"] == ["Mocha", "Latte", "Cappuccino"]  # what the first slot left over


def test_a_kept_line_stands_for_those_that_were_dropped(tmp_path: Path) -> None:
    log, rows = imported("cb_simple_pdrop", tmp_path)
    assert log.sum_of_weights == pytest.approx(10)
    assert (log.sum_of_cost, rows[0]["propensity"]) == (-1, 0.5)
    assert rows[0]["sample_weight"] == pytest.approx(10)
    assert rows[0]["action"] == "2"  # without a tag it is called by its number


@pytest.mark.parametrize("name", ["decisionservice", "dsjson_cb", "ccb_data", "cb_simple_pdrop"])
def test_every_field_is_kept(tmp_path: Path, name: str) -> None:
    _, rows = imported(name, tmp_path)
    kept = {row["row"]: json.loads(row["audit"]) for row in rows}
    in_columns = {"a", "p", "c", "EventId", "Timestamp", "pdrop", "_outcomes"}
    for number, text in enumerate(vector(f"dsjson/{name}.json").read_text("utf-8").splitlines(), 1):
        line = json.loads(text)
        rest = {key: value for key, value in line.items() if key not in in_columns}
        assert {key: kept[number][key] for key in rest} == rest
        for slot, audited in zip(line.get("_outcomes", []), kept[number].get("_outcomes", []), strict=True):
            assert audited == {key: value for key, value in slot.items() if key not in {"_a", "_p"}}
