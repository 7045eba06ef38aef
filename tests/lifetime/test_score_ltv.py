"""`edgewise score ltv`, as an analyst runs it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from lifetime_world import shop, written

from edgewise.errors import EdgewiseError
from edgewise.terminal import Terminal
from hub.commands.score import app

COLUMNS = ("--customer", "customer", "--time", "day", "--value", "spent")


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("orders") / "orders.csv"
    path.write_text(written(shop(5, 400, r=1.0, alpha=40.0, a=0.5, b=3.0, days=500)))
    return path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = 0
    try:
        app(["ltv", *map(str, words)])
    except SystemExit as left:
        code = int(left.code or 0)
    except EdgewiseError as refused:
        Terminal(json="--json" in words).problem(refused)
        code = 1
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_contract(orders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    html, out = tmp_path / "ltv.html", tmp_path / "ltv.csv"
    end = ("--calibration-end", "2011-11-26", "--unit", "day", "--html", html, "--out", out)
    code, said, _ = run(capsys, orders, *COLUMNS, *end, "--json")
    assert code == 0
    found = json.loads(said)
    assert set(found["parameters"]) == {"r", "alpha", "a", "b"}
    assert found["log_likelihood"] < 0
    assert {"customer", "expected_purchases", "expected_value", "churn_risk"} <= set(found["customers"][0])
    assert found["expected_value"] == pytest.approx(sum(of["expected_value"] for of in found["customers"]))
    judged = found["calibration"]
    # horizon and period are one here, hence the forecasts of the customers are what was judged
    assert judged["purchases_expected"] == pytest.approx(found["expected_purchases"])
    assert judged["purchases_ratio"]["ci_low"] < 1 < judged["purchases_ratio"]["ci_high"]
    with out.open() as lines:
        rows = list(csv.DictReader(lines))
    assert [row["customer"] for row in rows] == [of["customer"] for of in found["customers"]]
    assert "Forecast against what came" in html.read_text()
    assert html.read_text().count("<svg") == 4


@pytest.mark.slow
def test_alpha_is_in_units(orders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    by_day, by_week = (
        json.loads(run(capsys, orders, *COLUMNS, "--unit", unit, "--horizon", horizon, "--json")[1])
        for unit, horizon in (("day", 70), ("week", 10))
    )
    assert by_day["parameters"]["alpha"] == pytest.approx(7 * by_week["parameters"]["alpha"], rel=1e-3)
    assert by_day["parameters"]["r"] == pytest.approx(by_week["parameters"]["r"], rel=1e-3)
    assert by_day["expected_value"] == pytest.approx(by_week["expected_value"], rel=1e-3)
    assert by_day["calibration"] is None


@pytest.mark.slow
def test_trees_stand_on_the_baseline(orders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (orders, *COLUMNS, "--model", "ml", "--calibration-end", "2011-11-26", "--json")
    code, said, _ = run(capsys, *words)
    assert code == 0
    found = json.loads(said)
    assert set(found["trees"]) == {"value", "purchases", "churn"}
    assert found["baseline_calibration"]["customers"] == found["calibration"]["customers"]
    assert run(capsys, *words)[1] == said


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--calibration-end", "2031-01-01"), 1, "expected a day between"),
        (("--calibration-end", "autumn"), 2, "autumn"),
        (("--model", "magic"), 2, "magic"),
        (("--unit", "year"), 2, "year"),
        (("--html", "/nowhere/at/all.html"), 1, "there is no folder"),
    ],
)
def test_wrong_words_are_refused(
    orders: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, said: str
) -> None:
    left, out, err = run(capsys, orders, *COLUMNS, *words)
    assert left == code
    assert said in err
    assert "Traceback" not in out + err


def test_columns_that_are_not_there_are_named(orders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, orders, "--customer", "client", "--time", "day", "--value", "spent")
    assert code == 1
    assert "no column 'client'" in err


def test_a_shop_that_nobody_comes_back_to_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "once.csv"
    path.write_text("customer,day,spent\n" + "".join(f"c{n},2011-01-{n % 28 + 1:02d},9.5\n" for n in range(40)))
    code, _, err = run(capsys, path, *COLUMNS)
    assert code == 1
    assert "40 customers, 0 of whom bought on a second day" in err
