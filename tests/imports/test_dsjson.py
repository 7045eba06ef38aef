"""Lines of dsjson: what is stored, what is left out, and which fault of which field refuses a line."""

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import InputError
from hub.evaluation.logged import load_decisions
from hub.evaluation.policies import constant, uniform
from hub.imports.decision_store import decision_paths
from hub.imports.dsjson import DsjsonFault, parsed
from hub.imports.dsjson_import import import_dsjson
from hub.imports.dsjson_rows import MOST_FEATURES
from hub.imports.pseudonyms import import_key, pseudonym
from hub.ledger.suppression import SuppressionList

NAN = float("nan")


def cb(**changes: Any) -> dict[str, Any]:
    """A decision among three actions that shows the second."""
    line = {
        "_label_cost": -1.5,
        "_label_probability": 0.5,
        "_label_Action": 2,
        "_labelIndex": 1,
        "o": [{"v": 1.5, "EventId": "e1", "ActionTaken": False}],
        "Timestamp": "2021-02-04T16:31:29.2460000Z",
        "EventId": "e1",
        "a": [2, 1, 3],
        "c": {"Who": [{"mood": "good", "_secret": 1}], "_multi": [{"_tag": "x"}, {"_tag": "y"}, {"_tag": "z"}]},
        "p": [0.5, 0.25, 0.25],
        "VWState": {"m": "model-7"},
    }
    return {key: value for key, value in {**line, **changes}.items() if value is not ...}


def ccb(*outcomes: dict[str, Any], **changes: Any) -> dict[str, Any]:
    context = cb()["c"]
    return {"EventId": "e1", "c": context, "_outcomes": list(outcomes), "_ba": [0, 1], **changes}


def slot(shown: int, *others: int, cost: Any = 0.0, **changes: Any) -> dict[str, Any]:
    ranked = [shown, *others]
    return {"_id": "s", "_label_cost": cost, "_a": ranked, "_p": [1 / len(ranked)] * len(ranked), "_o": [], **changes}


def write(path: Path, *lines: dict[str, Any] | str) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines), "utf-8")
    return path


def rows(data_dir: Path, name: str = "log") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(decision_paths(data_dir, name).table).to_pylist()
    return found


def test_a_line_as_it_is_understood() -> None:
    decision = parsed(json.dumps(cb()).encode())
    (only,) = decision.slots
    assert (only.shown, only.propensity, only.reward, only.is_baseline) == ("y", 0.5, 1.5, False)
    assert dict(zip(only.choices, only.probabilities, strict=True)) == {"x": 0.25, "y": 0.5, "z": 0.25}
    assert decision.context == {"Who.mood": "good"}
    assert json.loads(decision.audit)["VWState"] == {"m": "model-7"}


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (cb(_label_probability=0.0), "_label_probability"),
        (cb(_label_probability=-0.5), "_label_probability"),
        (cb(_label_probability=1.001), "_label_probability"),
        (cb(_label_probability=NAN), "_label_probability"),
        (cb(_label_probability="often"), "_label_probability"),
        (cb(_label_probability=True), "_label_probability"),
        (cb(_label_probability=0.4), "_label_probability"),  # `p` says another
        (cb(_label_probability=..., p=[0.0, 0.5, 0.5]), "p"),
        (cb(p=[0.5, 0.5]), "p"),
        (cb(p=[0.5, 0.4, 0.3]), "p"),
        (cb(p=[0.5, NAN, 0.25]), "p"),
        (cb(p=...), "p"),
        (cb(_label_cost=NAN), "_label_cost"),
        (cb(_label_cost=math.inf), "_label_cost"),
        (cb(_label_cost=10**400), "_label_cost"),
        (cb(_label_cost=None), "_label_cost"),
        (cb(_label_cost=...), "_label_cost"),
        (cb(_label_Action=3), "_label_Action"),
        (cb(_labelIndex=2), "_labelIndex"),
        (cb(a=[4, 1, 2]), "a"),
        (cb(a=[0, 1, 2]), "a"),
        (cb(a=[2, 2, 1]), "a"),
        (cb(a=["2", 1, 3]), "a"),
        (cb(a=[]), "a"),
        (cb(a=...), "a"),
        (cb(pdrop=1), "pdrop"),
        (cb(pdrop=-0.1), "pdrop"),
        (cb(pdrop=NAN), "pdrop"),
        (cb(Timestamp="yesterday"), "Timestamp"),
        (cb(Timestamp=7), "Timestamp"),
        (cb(EventId=" ", o=[]), "EventId"),
        (cb(_skipLearn="yes"), "_skipLearn"),
        (cb(o=[{"v": 1, "EventId": "another"}]), "o"),
        (cb(c=...), "c"),
        (cb(c={}), "c._multi"),
        (cb(c={"_multi": [1]}), "c._multi"),
        (cb(c={"_multi": [{"_slot_id": 0}, {}]}), "c._multi"),
        (ccb(), "_outcomes"),
        (ccb(slot(0, 1), slot(3)), "_outcomes[1]._a"),
        (ccb(slot(0, 1), slot(1, 2, cost=None)), "_outcomes[1]._label_cost"),
        (ccb(slot(0, 1, _p=[0.5, 0.6])), "_outcomes[0]._p"),
        (ccb(slot(0, 1, _o=[{"v": 1, "EventId": "another"}])), "_outcomes[0]._o"),
    ],
)
def test_each_fault_is_named_and_the_good_lines_stay(tmp_path: Path, line: dict[str, Any], field: str) -> None:
    path = write(tmp_path / "log.json", cb(EventId="e0", o=[]), line, cb(EventId="e2", o=[]))
    imported = import_dsjson(path, tmp_path / "hub")
    assert (imported.rows, imported.rejected, imported.rejects) == (2, 1, {field: 1})
    assert [row["decision_id"] for row in rows(tmp_path / "hub")] == ["e0", "e2"]


@pytest.mark.parametrize("line", ["{", "[1]", "null", '{"EventId": "e9", "RewardValue": 1.0}', '{"c": "\\ud800"}', "é"])
def test_what_is_no_decision_loses_only_itself(tmp_path: Path, line: str) -> None:
    path = write(tmp_path / "log.json", line, cb(), "", "  ")
    imported = import_dsjson(path, tmp_path / "hub")
    assert (imported.rows, imported.rejected) == (1, 1)
    path.write_bytes(b"\xff\xfe{}\n" + json.dumps(cb()).encode())
    assert import_dsjson(path, tmp_path / "hub").rejected == 1


def test_a_decision_counts_once(tmp_path: Path) -> None:
    path = write(tmp_path / "log.json", cb(), cb(_label_cost=-9), cb(EventId=..., o=[]), cb(EventId=..., o=[]))
    imported = import_dsjson(path, tmp_path / "hub")
    assert (imported.rows, imported.rejects) == (3, {"EventId": 1})
    assert [(row["decision_id"], row["reward"]) for row in rows(tmp_path / "hub")] == [
        ("e1", 1.5),
        ("3", 1.5),
        ("4", 1.5),
    ]


def test_what_may_not_be_learned_from_is_counted_apart(tmp_path: Path) -> None:
    shown = [{"EventId": "e4", "ActionTaken": True}, {"v": 1.5, "EventId": "e4"}]
    path = write(
        tmp_path / "log.json",
        cb(EventId="e1", o=[], _skipLearn=True),
        cb(EventId="e2", o=[], _skipLearn=False),
        cb(EventId="e3", o=[], DeferredAction=True),
        cb(EventId="e4", o=shown, DeferredAction=True),
        cb(EventId="e5", o=[{"EventId": "e5", "ActionTaken": False}], DeferredAction=False),
        ccb(slot(0, 1), slot(1), EventId="e6", DeferredAction=True),
        ccb(slot(0, 1), slot(1, _o=[{"ActionTaken": True}]), EventId="e7", DeferredAction=True),
    )
    imported = import_dsjson(path, tmp_path / "hub")
    assert imported.dsjson is not None
    assert (imported.rejected, imported.dsjson.events) == (0, 4)
    assert (imported.dsjson.left_out.skip_learn, imported.dsjson.left_out.not_activated) == (1, 2)
    assert [row["decision_id"] for row in rows(tmp_path / "hub")] == ["e2", "e4", "e5", "e7", "e7"]


def test_an_action_that_is_listed_twice_is_two(tmp_path: Path) -> None:
    listed = [{"_tag": "x"}, {"_tag": "x"}, {"i": {"id": "z"}}]
    path = write(tmp_path / "log.json", cb(c={"_multi": listed}), cb(EventId="e2", o=[], c={"_multi": [{}, {}, {}]}))
    import_dsjson(path, tmp_path / "hub")
    first, second = rows(tmp_path / "hub")
    assert (first["action"], first["choices"]) == ("x#2", ["x", "x#2", "z"])
    assert (second["action"], second["choices"]) == ("2", ["1", "2", "3"])


def test_other_policies_choose_among_what_could_be_shown(tmp_path: Path) -> None:
    few = cb(
        EventId="e2",
        o=[],
        a=[1, 2],
        p=[0.5, 0.5],
        _label_Action=1,
        _labelIndex=0,
        c={"_multi": [{"_tag": "x"}, {"_tag": "w"}]},
    )
    import_dsjson(write(tmp_path / "log.json", cb(), few), tmp_path / "hub")
    log = load_decisions(tmp_path / "hub", "log")
    assert log.actions == ("w", "x", "y", "z")
    assert uniform(log).of_logged(log).tolist() == pytest.approx([1 / 3, 1 / 2])
    assert constant(log, "y").of_logged(log).tolist() == [1, 0]
    assert constant(log, "y").unsupported(log).tolist() == [0, 1]  # it was no choice in the second decision
    assert uniform(log).unsupported(log) == pytest.approx([1 / 3, 1 / 2])  # `z` and `w` were never shown


def test_a_probability_that_single_precision_rounded_up_is_one(tmp_path: Path) -> None:
    line = cb(a=[2], p=[1.0000001192092896], _label_probability=1.0000001192092896)
    import_dsjson(write(tmp_path / "log.json", line), tmp_path / "hub")
    assert rows(tmp_path / "hub")[0]["propensity"] == 1.0


def test_weights_are_stored_only_where_lines_were_dropped(tmp_path: Path) -> None:
    import_dsjson(write(tmp_path / "log.json", cb()), tmp_path / "hub")
    assert load_decisions(tmp_path / "hub", "log").sample_weight is None
    import_dsjson(write(tmp_path / "log.json", cb(pdrop=0.75), cb(EventId="e2", o=[])), tmp_path / "hub")
    weights = load_decisions(tmp_path / "hub", "log").sample_weight
    assert weights is not None
    assert weights.tolist() == [4, 1]


def test_rare_features_have_no_column_and_are_counted(tmp_path: Path) -> None:
    many = {f"f{number:03d}": 1.0 for number in range(MOST_FEATURES)}
    shared = cb()["c"]["_multi"]
    lines = [cb(EventId=f"e{n}", o=[], c={"N": {**many, f"rare{n}": "x"}, "_multi": shared}) for n in range(2)]
    imported = import_dsjson(write(tmp_path / "log.json", *lines), tmp_path / "hub")
    assert imported.dsjson is not None
    assert imported.dsjson.features_left_out == 2
    assert load_decisions(tmp_path / "hub", "log").context.column_names == [f"N.{name}" for name in many]


def test_gzip_names_and_a_second_time(tmp_path: Path) -> None:
    path = tmp_path / "week.dsjson.gz"
    path.write_bytes(gzip.compress((json.dumps(cb()) + "\n").encode()))
    first = import_dsjson(path, tmp_path / "hub", name="week")
    again = import_dsjson(path, tmp_path / "hub", name="week")
    assert (first.unchanged, again.unchanged, again.dsjson) == (False, True, first.dsjson)


def test_when_no_decision_is_good_the_old_import_stays(tmp_path: Path) -> None:
    path = write(tmp_path / "log.json", cb())
    import_dsjson(path, tmp_path / "hub")
    before = rows(tmp_path / "hub")
    write(path, cb(pdrop=2), cb(EventId="e2", o=[], _skipLearn=True))
    with pytest.raises(InputError, match="no decision could be used, 1 lines refused, 1 not to be learned from"):
        import_dsjson(path, tmp_path / "hub")
    assert rows(tmp_path / "hub") == before


def test_visitors_are_stored_as_pseudonyms_only(tmp_path: Path) -> None:
    listed = cb()["c"]["_multi"]
    named = [{"mood": "good"}, {"_id": "ada@example.com"}]
    lines = [
        cb(EventId="e1", c={"Who": named, "_multi": listed}),
        cb(EventId="e2", o=[], c={"Who": {"_id": 7}, "_multi": listed}),
        cb(EventId="e3", o=[], c={"_multi": listed}),
    ]
    path, hub, map_path = write(tmp_path / "log.json", *lines), tmp_path / "hub", tmp_path / "map.toml"
    map_path.write_text('[columns]\nuser = "Who._id"\n')
    import_dsjson(path, hub, map_path=map_path)
    key = import_key(hub)
    assert [row["user"] for row in rows(hub)] == [pseudonym("ada@example.com", key), pseudonym("7", key), None]
    assert all(b"ada@example.com" not in file.read_bytes() for file in hub.rglob("*.*"))
    assert load_decisions(hub, "log").unit_name == "user"
    SuppressionList(hub).append([], time_ms=5, pseudonyms=[pseudonym("ada@example.com", key)])
    again = import_dsjson(write(path, *lines, cb(EventId="e4", o=[])), hub, map_path=map_path)
    assert (again.rows, again.rejected) == (3, 0)
    assert [row["decision_id"] for row in rows(hub)] == ["e2", "e3", "e4"]
    map_path.write_text('context = ["age"]\n[columns]\naction = "tag"\n')
    with pytest.raises(InputError, match="a dsjson log says itself which field is what"):
        import_dsjson(path, hub, map_path=map_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from([cb(), ccb(slot(0, 1, 2), slot(1, 2))]), st.data())
def test_whatever_stands_in_a_field_is_understood_or_refused(line: dict[str, Any], data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(sorted(line)))
    changed = json.dumps({**line, field: data.draw(JSON)})
    try:
        decision = parsed(changed.encode())
    except DsjsonFault:
        return
    for each in decision.slots:
        assert 0 < each.propensity <= 1
        assert np.isfinite(each.reward)
        assert each.shown in each.choices
        assert sum(each.probabilities) == pytest.approx(1, abs=0.011)
    assert decision.weight >= 1
