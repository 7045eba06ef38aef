"""A file of purchases: days in every spelling, and faults named by row and column."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgewise.errors import InputError
from hub.lifetime.purchases import Columns, date_of, read_purchases

COLUMNS = Columns("who", "when", "paid")
DAYS = 15_200


def file(tmp_path: Path, times: list[str], **cells: list[str]) -> Path:
    whos = cells.get("who", [f"00{number % 3}" for number in range(len(times))])
    paid = cells.get("paid", ["2.5"] * len(times))
    path = tmp_path / "orders.csv"
    path.write_text("who,when,paid\n" + "".join(f"{w},{t},{p}\n" for w, t, p in zip(whos, times, paid, strict=True)))
    return path


@pytest.mark.parametrize(
    "spelling",
    [
        lambda day: str(np.datetime64(day, "D")),
        lambda day: f"{np.datetime64(day, 'D')}T23:59:00",
        lambda day: f"{np.datetime64(day, 'D')} 00:00:01Z",
        lambda day: str(np.datetime64(day, "D")).replace("-", ""),
        lambda day: str(day * 86_400 + 86_399),
        lambda day: str(day * 86_400_000 + 1),
    ],
    ids=["date", "time", "instant", "digits", "seconds", "milliseconds"],
)
def test_a_day_in_every_spelling(tmp_path: Path, spelling: Callable[[int], str]) -> None:
    read = read_purchases(file(tmp_path, [spelling(DAYS + number) for number in range(12)]), COLUMNS)
    assert read.purchases.names == ("000", "001", "002")
    assert sorted(read.purchases.day.tolist()) == list(range(DAYS, DAYS + 12))
    assert date_of(DAYS).isoformat() == "2011-08-14"


def test_parquet_and_a_day_with_two_orders(tmp_path: Path) -> None:
    days = pa.array([DAYS, DAYS, *range(DAYS, DAYS + 10)], pa.int32()).cast(pa.date32())
    whos = pa.array([7, 7, *range(100, 110)], pa.int64())
    path = tmp_path / "orders.parquet"
    pq.write_table(pa.table({"who": whos, "when": days, "paid": pa.array([1.5, 2.0, *[1.0] * 10])}), path)
    purchases, warnings = read_purchases(path, COLUMNS)
    at = purchases.names.index("7")
    assert purchases.value[purchases.customer == at].tolist() == [3.5]
    assert warnings == []


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    times = [f"2011-01-{number + 1:02d}" for number in range(13)]
    whos = ["", *[f"c{number}" for number in range(12)]]
    paid = ["1.0", "-3.0", *["1.0"] * 11]
    purchases, warnings = read_purchases(file(tmp_path, times, who=whos, paid=paid), COLUMNS)
    assert len(purchases.names) == 11
    assert warnings[0] == "1 of 13 rows name no customer: left out"
    assert "1 days of a customer come to 0 or less" in warnings[1]
    assert "3.00" in warnings[1]


@pytest.mark.parametrize(
    ("cell", "value", "said"),
    [
        ("when", "soon", "row 4, column when: 'soon'; expected a date"),
        ("when", "", "column 'when' is missing in 1 rows"),
        ("paid", "much", "row 4, column paid: 'much'; expected a number"),
        ("paid", "inf", "row 4, column paid: inf; expected a finite number"),
        ("paid", "", "column 'paid' is missing in 1 rows"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, cell: str, value: str, said: str) -> None:
    rows = {"when": [f"2011-01-{number + 1:02d}" for number in range(12)], "paid": ["1.0"] * 12}
    rows[cell][2] = value
    with pytest.raises(InputError, match=said.replace("(", r"\(")):
        read_purchases(file(tmp_path, rows["when"], paid=rows["paid"]), COLUMNS)


def test_three_rows_and_a_number_that_is_no_day(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="3 purchases, expected at least 10"):
        read_purchases(file(tmp_path, ["2011-01-01"] * 3), COLUMNS)
    with pytest.raises(InputError, match="row 2, column when: 20111301"):
        read_purchases(file(tmp_path, ["20111301"] * 12), COLUMNS)
    with pytest.raises(InputError, match="three columns"):
        read_purchases(file(tmp_path, ["20111201"] * 12), Columns("who", "when", "when"))
