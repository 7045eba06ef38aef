"""Importing decision logs: every fault named, no good row lost, nothing done twice."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import InputError, UnavailableError
from hub.imports.decision_store import DecisionsRecord, decision_paths, default_name
from hub.imports.decisions import import_decisions
from hub.imports.pseudonyms import import_key, pseudonym
from hub.tables import FileFormat

GOOD: dict[str, Any] = {
    "timestamp": "2024-05-01T12:00:00Z",
    "decision_id": "d0",
    "action": "a",
    "propensity": "0.5",
    "reward": "1",
    "position": "1",
    "user": "ada@example.com",
    "sample_weight": "4",
}
PROBABILITY = "a probability above 0 and at most 1"
TIME = "a time in ISO 8601, or seconds or milliseconds since 1970"
FAULTS: list[tuple[str, str, str]] = [
    ("propensity", "0", PROBABILITY),
    ("propensity", "-0.1", PROBABILITY),
    ("propensity", "1.0001", PROBABILITY),
    ("propensity", "", PROBABILITY),
    ("propensity", "NaN", PROBABILITY),
    ("propensity", "often", PROBABILITY),
    ("propensity", "0,5", PROBABILITY),
    ("reward", "NaN", "a finite number"),
    ("reward", "", "a finite number"),
    ("reward", "inf", "a finite number"),
    ("reward", "yes", "a finite number"),
    ("timestamp", "yesterday", TIME),
    ("timestamp", "", TIME),
    ("timestamp", "2024-02-30", TIME),
    ("action", "", "the action that was shown"),
    ("action", "  ", "the action that was shown"),
    ("decision_id", "", "an id of the decision"),
    ("position", "left", "a whole number from 0"),
    ("position", "1.5", "a whole number from 0"),
    ("position", "-1", "a whole number from 0"),
    ("sample_weight", "0", "a number above 0"),
    ("sample_weight", "", "a number above 0"),
]


def good(number: int, **changes: Any) -> dict[str, Any]:
    return {**GOOD, "decision_id": f"d{number}", **changes}


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


WRITERS = {"csv": (write_csv, 2), "jsonl": (write_jsonl, 1), "parquet": (write_parquet, 1)}


def stored(data_dir: Path, name: str = "log") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(decision_paths(data_dir, name).table).to_pylist()
    return rows


def rejected(data_dir: Path, name: str = "log") -> list[dict[str, str]]:
    with decision_paths(data_dir, name).rejects.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize(("column", "value", "expected"), FAULTS)
def test_each_fault_is_named_and_the_good_rows_stay(
    tmp_path: Path, form: str, column: str, value: str, expected: str
) -> None:
    write, first_row = WRITERS[form]
    path = write(tmp_path / f"log.{form}", [good(0), good(1, **{column: value}), good(2)])
    imported = import_decisions(path, tmp_path / "hub")
    assert (imported.rows, imported.rejected, imported.rejects) == (2, 1, {column: 1})
    assert [row["decision_id"] for row in stored(tmp_path / "hub")] == ["d0", "d2"]
    (reject,) = rejected(tmp_path / "hub")
    shown = value
    assert reject == {"row": str(first_row + 1), "column": column, "value": shown, "expected": expected}
    assert imported.rejects_file == str(decision_paths(tmp_path / "hub", "log").rejects)


def test_a_row_with_two_faults_has_two_lines_and_counts_once(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.csv", [good(0), good(1, reward="", propensity="2")])
    imported = import_decisions(path, tmp_path / "hub")
    assert imported.rejected == 1
    assert [(reject["row"], reject["column"]) for reject in rejected(tmp_path / "hub")] == [
        ("3", "propensity"),
        ("3", "reward"),
    ]


def test_a_row_of_the_wrong_length_loses_only_itself(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.csv", [good(0), good(1)])
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1], "1,2", lines[1] + ",more", '"open', lines[2]]) + "\n")
    imported = import_decisions(path, tmp_path / "hub")
    assert (imported.rows, imported.rejected) == (2, 3)
    assert [reject["expected"] for reject in rejected(tmp_path / "hub")][:2] == ["8 fields, got 2", "8 fields, got 9"]
    assert [row["row"] for row in stored(tmp_path / "hub")] == [2, 6]


def test_a_second_row_of_a_decision_and_position_is_not_counted(tmp_path: Path) -> None:
    rows = [good(0), good(0, position="2"), good(0, reward="5"), good(1, reward="bad"), good(1)]
    imported = import_decisions(write_csv(tmp_path / "log.csv", rows), tmp_path / "hub")
    assert [(row["decision_id"], row["position"], row["reward"]) for row in stored(tmp_path / "hub")] == [
        ("d0", 1, 1.0),
        ("d0", 2, 1.0),
        ("d1", 1, 1.0),  # the bad row before it does not count as the first
    ]
    assert imported.rejects == {"decision_id": 1, "reward": 1}


def test_what_is_stored(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.csv", [{**good(0, action="007"), "age": "31", "city": "Bonn"}])
    map_path = tmp_path / "map.toml"
    map_path.write_text('context = ["age", "city"]\n')
    import_decisions(path, tmp_path / "hub", map_path=map_path)
    (row,) = stored(tmp_path / "hub")
    assert row == {
        "row": 2,
        "timestamp": datetime(2024, 5, 1, 12, tzinfo=UTC),
        "decision_id": "d0",
        "action": "007",
        "propensity": 0.5,
        "reward": 1.0,
        "position": 1,
        "sample_weight": 4.0,
        "user": pseudonym("ada@example.com", import_key(tmp_path / "hub")),
        "context.age": 31.0,
        "context.city": "Bonn",
    }
    record = msgspec.json.decode(decision_paths(tmp_path / "hub", "log").record.read_bytes(), type=DecisionsRecord)
    assert (record.rows, record.rejected, record.source) == (1, 0, "log.csv")
    assert record.timestamps == ("2024-05-01T12:00:00+00:00", "2024-05-01T12:00:00+00:00")


def test_only_action_propensity_and_reward_are_needed(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.csv", [{"action": "a", "propensity": "1", "reward": "-2.5"}] * 2)
    import_decisions(path, tmp_path / "hub")
    assert stored(tmp_path / "hub") == [
        {"row": row, "decision_id": str(row), "action": "a", "propensity": 1.0, "reward": -2.5} for row in (2, 3)
    ]


def test_nobody_is_stored_by_name(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.csv", [good(0), good(1, user=""), good(2)])
    for name in ("log", "again"):
        import_decisions(path, tmp_path / "hub", name=name)
    import_decisions(path, tmp_path / "elsewhere")
    users = [row["user"] for row in stored(tmp_path / "hub")]
    assert users[0] == users[2] == stored(tmp_path / "hub", "again")[0]["user"]
    assert users[1] is None
    assert stored(tmp_path / "elsewhere")[0]["user"] != users[0]
    for file in (tmp_path / "hub").rglob("*.*"):
        assert b"ada@example.com" not in file.read_bytes()
    assert (tmp_path / "hub" / "import.key").stat().st_mode & 0o077 == 0


def test_a_damaged_key_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "import.key").write_bytes(b"short")
    with pytest.raises(UnavailableError, match="5 bytes, expected 32"):
        import_key(tmp_path)


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(file): (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.rglob("*") if file.is_file()}


def test_the_same_file_again_changes_nothing(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.csv", [good(0), good(1, reward="x")])
    first = import_decisions(path, tmp_path / "hub")
    before = snapshot(tmp_path / "hub")
    second = import_decisions(path, tmp_path / "hub")
    assert not first.unchanged
    assert second.unchanged
    assert msgspec.structs.replace(second, unchanged=False) == first
    assert snapshot(tmp_path / "hub") == before


def test_another_content_or_another_map_is_imported_anew(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.csv", [{**good(0), "age": "3"}, {**good(1, reward="x"), "age": "4"}])
    import_decisions(path, tmp_path / "hub")
    map_path = tmp_path / "map.toml"
    map_path.write_text('context = ["age"]\n')
    assert not import_decisions(path, tmp_path / "hub", map_path=map_path).unchanged
    assert "context.age" in stored(tmp_path / "hub")[0]
    write_csv(path, [{**good(0), "age": "3"}])
    imported = import_decisions(path, tmp_path / "hub", map_path=map_path)
    assert (imported.unchanged, imported.rows, imported.rejects_file) == (False, 1, None)
    assert not decision_paths(tmp_path / "hub", "log").rejects.exists()


def test_a_lost_or_damaged_store_is_made_again(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.csv", [good(0)])
    import_decisions(path, tmp_path / "hub")
    decision_paths(tmp_path / "hub", "log").table.unlink()
    assert not import_decisions(path, tmp_path / "hub").unchanged
    decision_paths(tmp_path / "hub", "log").record.write_text("{")
    assert not import_decisions(path, tmp_path / "hub").unchanged


def test_when_no_row_is_good_the_old_import_stays(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.csv", [good(0)])
    import_decisions(path, tmp_path / "hub")
    before = snapshot(tmp_path / "hub")
    write_csv(path, [good(0, propensity="0"), good(1, reward="")])
    with pytest.raises(InputError, match="no row could be used, 2 refused") as refused:
        import_decisions(path, tmp_path / "hub")
    assert [problem.path for problem in refused.value.problems] == ["row 2, column propensity", "row 3, column reward"]
    assert snapshot(tmp_path / "hub") == before


def test_absent_columns_are_named_with_what_there_is(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.csv", [{"item": "a", "p": "1", "reward": "1"}])
    with pytest.raises(InputError, match="no column 'action', 'propensity'; there are: 'item', 'p', 'reward'"):
        import_decisions(path, tmp_path / "hub")
    map_path = tmp_path / "map.toml"
    map_path.write_text('context = ["age"]\n[columns]\naction = "item"\npropensity = "p"\ntimestamp = "when"\n')
    with pytest.raises(InputError, match="no column 'when', 'age'"):
        import_decisions(path, tmp_path / "hub", map_path=map_path)
    assert not (tmp_path / "hub").exists()


def test_action_features_are_stored_beside(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.csv", [{"item": "1", "propensity": "1", "reward": "0"}])
    items = tmp_path / "items.csv"
    map_path = tmp_path / "map.toml"
    map_path.write_text('action_context = "items.csv"\n[columns]\naction = "item"\n')
    items.write_text(",item,price\n0,1,2.5\n1,02,3\n")
    import_decisions(path, tmp_path / "hub", map_path=map_path)
    features = pq.read_table(decision_paths(tmp_path / "hub", "log").actions).to_pylist()
    assert features == [{"action": "1", "price": 2.5}, {"action": "02", "price": 3.0}]
    items.write_text("item,price\n1,9\n")
    assert not import_decisions(path, tmp_path / "hub", map_path=map_path).unchanged
    for content, message in [
        ("id,price\n1,2\n", "no column 'item' or 'action'"),
        ("item,price\n1,2\n1,3\n", "an action occurs more than once"),
        ("item,price\n1,2\n,3\n", "1 rows without an action"),
    ]:
        items.write_text(content)
        with pytest.raises(InputError, match=message):
            import_decisions(path, tmp_path / "hub", map_path=map_path)
    items.unlink()
    with pytest.raises(InputError, match=r"items\.csv: no such file"):
        import_decisions(path, tmp_path / "hub", map_path=map_path)


@pytest.mark.parametrize("name", ["", ".hidden", "../up", "a/b", "x" * 101, "a\n"])
def test_names_stay_inside_the_folder(tmp_path: Path, name: str) -> None:
    path = write_csv(tmp_path / "log.csv", [good(0)])
    with pytest.raises(InputError, match="cannot name decisions"):
        import_decisions(path, tmp_path / "hub", name=name)


def test_the_default_name_is_the_stem() -> None:
    assert default_name(Path("logs/week-12.csv.gz")) == "week-12"
    assert default_name(Path("logs/v1.2.parquet")) == "v1.2"


def test_a_format_can_be_said(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.dump", [good(0)])
    with pytest.raises(InputError, match=r"\.dump ending, expected a format"):
        import_decisions(path, tmp_path / "hub")
    assert import_decisions(path, tmp_path / "hub", form=FileFormat.CSV).rows == 1


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.csv", [{"action": "a", "propensity": "1", "reward": "0"}])
    (tmp_path / "hub").write_text("a file in the way")
    with pytest.raises(UnavailableError, match="cannot be written"):
        import_decisions(path, tmp_path / "hub")


@given(
    st.lists(
        st.tuples(st.floats(0, 1.2), st.floats(allow_nan=True, allow_infinity=True), st.sampled_from(["a", "b", ""])),
        min_size=1,
        max_size=30,
    )
)
def test_rows_are_kept_as_one_at_a_time(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, float, str]]
) -> None:
    folder = tmp_path_factory.mktemp("law")
    kept = [
        (action, propensity, reward)
        for propensity, reward, action in rows
        if action and 0 < propensity <= 1 and abs(reward) < float("inf")
    ]
    path = write_csv(folder / "log.csv", [{"action": a, "propensity": repr(p), "reward": repr(r)} for p, r, a in rows])
    if not kept:
        with pytest.raises(InputError, match="no row could be used"):
            import_decisions(path, folder / "hub")
        return
    imported = import_decisions(path, folder / "hub")
    assert [(row["action"], row["propensity"], row["reward"]) for row in stored(folder / "hub")] == kept
    assert imported.rows + imported.rejected == len(rows)
