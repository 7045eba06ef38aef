"""Which rows of an imported log belong together: by user where it names them, else by decision."""

from pathlib import Path

from hub.evaluation.logged import LoggedDecisions, load_decisions
from hub.imports.decisions import import_decisions

HEADER = "decision_id,user,action,propensity,reward,position\n"


def imported(folder: Path, *rows: str, header: str = HEADER) -> LoggedDecisions:
    path = folder / "log.csv"
    path.write_text(header + "".join(f"{row}\n" for row in rows))
    import_decisions(path, folder / "hub")
    return load_decisions(folder / "hub", "log")


def test_decisions_of_one_user_are_one_unit_and_strangers_one_each(tmp_path: Path) -> None:
    log = imported(
        tmp_path,
        "d1,ann,a,0.5,1,1",
        "d2,bob,a,0.5,1,1",
        "d3,ann,b,0.5,0,1",
        "d4,,b,0.5,0,1",
        "d5,,b,0.5,0,1",
    )
    assert log.unit_name == "user"
    unit = log.unit.tolist()
    assert unit[0] == unit[2]
    assert len({*unit}) == 4
    assert sorted({*unit}) == [0, 1, 2, 3]


def test_rows_of_a_decision_stay_together_whatever_they_say_of_the_user(tmp_path: Path) -> None:
    log = imported(tmp_path, "d1,,a,0.5,1,1", "d1,ann,b,0.5,1,2", "d1,bob,c,0.5,1,3", "d2,bob,a,0.5,1,1")
    assert log.unit.tolist() == [0, 0, 0, 1]


def test_without_users_decisions_are_the_units(tmp_path: Path) -> None:
    log = imported(tmp_path, "d1,a,0.5,1,1", "d1,b,0.5,1,2", "d2,a,0.5,1,1", header=HEADER.replace("user,", ""))
    assert log.unit_name == "decision"
    assert log.unit.tolist() == log.decision.tolist() == [0, 0, 1]
