"""Files of people as one table, or one clear line about what is wrong."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgewise.errors import InputError
from hub.linkage.records import Records, read_records
from hub.linkage.roles import Role


def read(tmp_path: Path, *contents: str, **options: str) -> Records:
    paths = []
    for number, content in enumerate(contents):
        paths.append(tmp_path / f"file{number}.csv")
        paths[-1].write_text(content, encoding="utf-8")
    return read_records(paths, key="id", truth=options.get("truth"))


def test_values_are_written_in_one_way_and_digits_survive(tmp_path: Path) -> None:
    records = read(tmp_path, "id,name,zip,dob\n007,  ANN  Lee ,01067,31/12/1990\n9007199254740993,Bo,,\n")
    assert records.ids == ["007", "9007199254740993"]
    ann, bo = records.table.to_pylist()
    assert (ann["full_name"], ann["first_name"], ann["last_name"]) == ("ann lee", "ann", "lee")
    assert (ann["postcode"], ann["postcode_area"], ann["birth_date"], ann["birth_year"]) == (
        "01067",
        "010",
        "1990-12-31",
        "1990",
    )
    assert (bo["first_name"], bo["last_name"], bo["postcode"]) == ("bo", None, None)
    assert records.roles == {Role.FULL_NAME: "name", Role.POSTCODE: "zip", Role.BIRTH_DATE: "dob"}


def test_parquet_reads_as_csv_does(tmp_path: Path) -> None:
    csv = read(tmp_path, "id,name,dob\n1,ann lee,1990-01-02\n2,bo,\n")
    path = tmp_path / "people.parquet"
    columns = {"id": [1, 2], "name": ["ann lee", "bo"], "dob": pa.array([7306, None], pa.date32())}
    pq.write_table(pa.table(columns), path)
    assert read_records([path], key="id").table.equals(csv.table)


def test_ids_of_two_files_are_told_apart_only_where_they_must_be(tmp_path: Path) -> None:
    apart = read(tmp_path, "id,name\n1,ann\n", "id,email\n2,b@x.example\n")
    assert (apart.ids, apart.files) == (["1", "2"], ["file0", "file1"])
    assert set(apart.roles) == {Role.FULL_NAME, Role.EMAIL}
    assert read(tmp_path, "id,name\n1,ann\n", "id,name\n1,bo\n").ids == ["file0:1", "file1:1"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("key,name\n1,ann\n2,bo\n", "no column 'id'"),
        ("id,name\n1,ann\n1,bo\n3,cy\n", "id '1' occurs 2 times; expected an id of its own"),
        ("id,name\n1,ann\n,bo\n", "column 'id' is empty in 1 row, first in row 2"),
        ("id,name\n1,ann\n", "1 record, expected at least two"),
        ("id,name\n1,\n2,\n", "no column with values says who somebody is"),
        ("id,colour\n1,red\n2,red\n", "no column with values says who somebody is"),
    ],
)
def test_what_cannot_be_linked_is_refused_in_one_line(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        read(tmp_path, content)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_role_for_a_column_of_neither_file_is_refused(tmp_path: Path) -> None:
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path in paths:
        path.write_text("id,name,x\n1,ann,a@x.example\n", encoding="utf-8")
    given = {"x": Role.EMAIL}
    assert read_records(paths, key="id", given=given).roles[Role.EMAIL] == "x"
    with pytest.raises(InputError, match="no column 'y'"):
        read_records(paths, key="id", given={"y": Role.EMAIL})
