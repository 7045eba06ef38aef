"""`edgewise experiment analyse`, as an analyst runs it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from statistics_world import arm, written

from edgewise.errors import EdgewiseError
from edgewise.terminal import Terminal
from hub.commands.experiment import app

VARIANT = {
    "n",
    "mean",
    "absolute_lift",
    "relative_lift",
    "ci_low",
    "ci_high",
    "p_value",
    "chance_to_win",
    "verdict",
    "sentence",
}


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = 0
    try:
        app(["analyse", *map(str, words)])
    except SystemExit as left:
        code = int(left.code or 0)
    except EdgewiseError as refused:
        Terminal(json="--json" in words).problem(refused)
        code = 1
    said = capsys.readouterr()
    return code, said.out, said.err


def found(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    code, said, error = run(capsys, *words, "--json")
    assert code == 0, error
    read: dict[str, Any] = json.loads(said)
    return read


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    arms = {"A": arm(rng, 3_000, rho=0.7), "B": arm(rng, 3_000, lift=0.05, rho=0.7), "C": arm(rng, 3_000, rho=0.7)}
    return written(tmp_path_factory.mktemp("shop") / "shop.csv", arms)


ROWS = ("--variant", "variant", "--control", "A")


def test_the_contract(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read = found(capsys, shop, *ROWS, "--metric", "spend", "--metric", "converted:binary", "--unit", "visitor")
    assert read["srm"] == {
        "p_value": 1.0,
        "alarm": False,
        "expected": {"A": 3000.0, "B": 3000.0, "C": 3000.0},
        "observed": {"A": 3000, "B": 3000, "C": 3000},
    }
    assert set(read["metrics"]) == {"spend", "converted"}
    spend = read["metrics"]["spend"]
    assert spend["control"]["n"] == 3_000
    assert spend["control"]["mean"] == pytest.approx(10, abs=0.4)
    assert set(spend["variants"]) == {"B", "C"}
    better = spend["variants"]["B"]
    assert set(better) >= VARIANT
    assert better["chance_to_win"] is None
    assert better["mean"] - spend["control"]["mean"] == pytest.approx(better["absolute_lift"])
    assert better["ci_low"] < better["relative_lift"] < better["ci_high"]
    assert better["verdict"] == "ship"
    assert better["sentence"].startswith("Ship: spend of B is +")
    assert spend["variants"]["C"]["verdict"] == "wait"
    assert read["verdicts"]["B"]["word"] == "ship"


def test_sums_say_what_rows_say(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = ("--metric", "spend", "--metric", "converted:binary", "--metric", "orders:ratio:before")
    rows = found(capsys, shop, *ROWS, *metrics)
    lines = ["variant,metric,n,sum,sum_squares,denominator_sum,denominator_sum_squares,cross_product"]
    table = np.genfromtxt(shop, delimiter=",", names=True, dtype=None, encoding="utf-8")
    for name in ("A", "B", "C"):
        part = table[table["variant"] == name]
        for column, below in (("spend", None), ("converted", None), ("orders", "before")):
            value = part[column].astype(float)
            added = [len(value), value.sum(), (value**2).sum()]
            if below is not None:
                of = part[below]
                added += [of.sum(), (of**2).sum(), (of * value).sum()]
            lines.append(",".join([name, column, *map(repr, map(float, added))] + [""] * (6 - len(added))))
    sums_file = tmp_path / "sums.csv"
    sums_file.write_text("\n".join(lines))
    for asked in ((), metrics):
        sums = found(capsys, sums_file, "--control", "A", "--summary", *asked)
        assert sums["srm"] == rows["srm"]
        for metric in rows["metrics"]:
            for variant, expected in rows["metrics"][metric]["variants"].items():
                given = sums["metrics"][metric]["variants"][variant]
                for key in ("n", "mean", "absolute_lift", "relative_lift", "ci_low", "ci_high", "p_value"):
                    assert given[key] == pytest.approx(expected[key], rel=1e-8), (metric, key)
                assert given["verdict"] == expected["verdict"]


def test_cuped_narrows_the_interval(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = found(capsys, shop, *ROWS, "--metric", "spend")["metrics"]["spend"]["variants"]["B"]
    for option in ("before", "spend=before"):
        cuped = found(capsys, shop, *ROWS, "--metric", "spend", "--covariate", option)
        narrow = cuped["metrics"]["spend"]["variants"]["B"]
        assert narrow["variance_reduction"] == pytest.approx(0.49, abs=0.05)
        assert narrow["ci_high"] - narrow["ci_low"] < 0.8 * (plain["ci_high"] - plain["ci_low"])
        assert narrow["mean"] == plain["mean"]


def test_methods(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fixed, looked, chance = (
        found(capsys, shop, *ROWS, "--metric", "converted:binary", "--method", method)["metrics"]["converted"][
            "variants"
        ]["B"]
        for method in ("fixed", "sequential", "bayesian")
    )
    assert looked["ci_low"] < fixed["ci_low"]
    assert looked["p_value"] > fixed["p_value"]
    assert chance["p_value"] is None
    assert 0 < chance["chance_to_win"] < 1
    assert chance["ci_low"] == pytest.approx(fixed["ci_low"], abs=0.02)


def test_the_split_forbids_every_verdict(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read = found(capsys, shop, *ROWS, "--metric", "spend", "--weights", "A=1,B=2,C=1")
    assert read["srm"]["alarm"]
    assert {of["verdict"] for of in read["metrics"]["spend"]["variants"].values()} == {"wait"}
    assert "the split is not the one that was meant" in read["metrics"]["spend"]["variants"]["B"]["sentence"]
    nobody = found(capsys, shop, *ROWS, "--metric", "spend", "--weights", "A=1,B=1,C=1,D=1")
    gone = nobody["metrics"]["spend"]["variants"]["D"]
    assert (gone["n"], gone["mean"], gone["verdict"]) == (0, None, "wait")
    assert nobody["srm"]["alarm"]


def test_clicks_alone_decide_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "clicks.csv"
    rows = [f"{arm},{int(n < good)},{n % 7}" for arm, good in (("A", 100), ("B", 300)) for n in range(1_000)]
    path.write_text("\n".join(["variant,clicks,revenue", *rows]))
    alone = found(capsys, path, *ROWS, "--metric", "clicks:binary")
    assert alone["verdicts"]["B"]["word"] == "wait"
    assert "says nothing of the business" in alone["verdicts"]["B"]["sentence"]
    beside = found(capsys, path, *ROWS, "--metric", "clicks:binary", "--metric", "revenue")
    assert beside["outcome"] == "revenue"
    assert beside["metrics"]["clicks"]["variants"]["B"]["verdict"] == "wait"
    declared = found(capsys, path, *ROWS, "--metric", "clicks:binary", "--outcome", "clicks")
    assert declared["verdicts"]["B"]["word"] == "ship"
    other = found(capsys, path, *ROWS, "--metric", "clicks:binary", "--metric", "revenue", "--outcome", "revenue")
    assert other["metrics"]["clicks"]["variants"]["B"]["verdict"] == "wait"


def test_guardrails_and_directions(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = ("--metric", "spend", "--metric", "orders")
    held = found(capsys, shop, *ROWS, *metrics, "--guardrail", "orders=0.1")
    assert held["verdicts"]["B"]["word"] == "ship"
    assert held["metrics"]["orders"]["guardrails"]["B"]["state"] == "held"
    unclear = found(capsys, shop, *ROWS, *metrics, "--guardrail", "orders=0.001")
    assert unclear["verdicts"]["B"]["word"] == "wait"
    assert found(capsys, shop, *ROWS, "--metric", "spend", "--lower", "spend")["verdicts"]["B"]["word"] == "stop"


def test_bad_rows_are_counted_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"u{n},{'AB'[n % 2]},{10 + n % 5},{n % 2}" for n in range(200)]
    rows += ["u1,A,3,0", ",A,3,1", "x1,,3,1", "x2,A,oops,1", "x3,B,inf,0", "x4,B,,1", "x5,B,1000000,1"]
    path = tmp_path / "bad.csv.gz"
    path.write_bytes(gzip.compress("\n".join(["unit,variant,spend,good", *rows]).encode()))
    code, said, error = run(capsys, path, *ROWS, "--unit", "unit", "--metric", "spend", "--json")
    assert code == 0
    read = json.loads(said)
    warned = " | ".join(read["warnings"])
    assert "1 rows name no unit (the first: row 203, column unit): excluded" in warned
    assert "1 rows name no variant" in warned
    assert "2 values of spend are no finite number (the first: row 205, column spend: 'oops'): excluded" in warned
    assert "1 values of spend are missing" in warned
    assert "1 units saw more than one variant: excluded from all" in warned
    assert "unit x5 (1,000,000) holds 99% of the spread of spend in B" in warned
    assert "warning: unit x5" in error
    assert read["exposures"] == {"units": 204, "in_several": 1, "alarm": False}
    assert read["metrics"]["spend"]["excluded"] == 3
    assert read["metrics"]["spend"]["control"]["n"] == 100
    assert read["srm"]["observed"] == {"A": 101, "B": 102}


def test_events_of_a_unit_add_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{unit},{'AB'[unit % 2]},{amount},{int(amount > 3)}" for unit in range(40) for amount in (1, 2, unit % 9)]
    path = tmp_path / "events.csv"
    path.write_text("\n".join(["who,variant,amount,large", *rows]))
    read = found(capsys, path, *ROWS, "--unit", "who", "--metric", "amount", "--metric", "large:binary")
    spent = [3 + unit % 9 for unit in range(0, 40, 2)]
    assert read["metrics"]["amount"]["control"] == {"name": "A", "n": 20, "mean": pytest.approx(np.mean(spent))}
    large = [float(unit % 9 > 3) for unit in range(0, 40, 2)]
    assert read["metrics"]["large"]["control"]["mean"] == pytest.approx(np.mean(large))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--control", "Z", "--variant", "variant", "--metric", "spend"), 1, "no variant 'Z' to be the control"),
        ((*ROWS, "--metric", "profit"), 1, "no column 'profit'"),
        ((*ROWS, "--metric", "spend:binary"), 1, "expected 0 or 1 of a binary metric"),
        ((*ROWS, "--metric", "visitor"), 1, "column 'visitor' holds no number"),
        ((*ROWS, "--metric", "spend", "--weights", "A=1,B=1"), 1, "variant 'C' has no weight"),
        ((*ROWS, "--metric", "spend", "--weights", "A"), 2, "VARIANT=WEIGHT"),
        ((*ROWS, "--metric", "spend", "--method", "magic"), 2, "magic"),
        ((*ROWS, "--metric", "spend", "--guardrail", "orders=2"), 2, "expected a share from 0 to 1"),
        ((*ROWS, "--metric", "spend", "--guardrail", "orders"), 1, "no such metric"),
        ((*ROWS, "--metric", "spend:ratio"), 1, "expected COL"),
        (ROWS, 2, "--metric"),
        (("--control", "A", "--metric", "spend"), 2, "--variant"),
        ((*ROWS, "--metric", "spend", "--time", "before"), 2, "--unit"),
        (("--control", "A", "--summary", "--unit", "visitor"), 2, "no rows to look at"),
        (("--control", "A", "--summary"), 1, "no column 'metric'"),
    ],
)
def test_refused(shop: Path, words: tuple[str, ...], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    left, _, error = run(capsys, shop, *words)
    assert left == code
    assert said in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("A,spend,10,100,50", "row 2: spend: sum_squares = 50, expected at least"),
        ("A,spend,10,x,50", "row 2, column sum: no finite number"),
        ("A,spend,1.5,100,50000", "row 2, column n: 1.5, expected whole units"),
        ("A,spend,10,100,5000\nA,spend,10,100,5000", "row 3: spend of A comes twice"),
        ("A,spend,10,100,5000", "'A' is the only variant"),
        (",spend,10,100,5000", "row 2, column variant: nothing there"),
    ],
)
def test_sums_refused(tmp_path: Path, row: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sums.csv"
    path.write_text(f"variant,metric,n,sum,sum_squares\n{row}\n")
    code, _, error = run(capsys, path, "--control", "A", "--summary")
    assert code == 1
    assert said in error


def test_a_variant_without_units_in_sums(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sums.csv"
    path.write_text("variant,metric,n,sum,sum_squares\nA,spend,1000,9000,90000\nB,spend,0,0,0\n")
    read = found(capsys, path, "--control", "A", "--summary")
    assert read["srm"]["alarm"]
    gone = read["metrics"]["spend"]["variants"]["B"]
    assert (gone["n"], gone["mean"], gone["p_value"], gone["verdict"]) == (0, None, None, "wait")


def test_the_page_and_the_table(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    html = tmp_path / "report.html"
    words = (shop, *ROWS, "--metric", "spend", "--metric", "orders:ratio:spend", "--html", html)
    code, said, _ = run(capsys, *words)
    assert code == 0
    assert "Ship: spend of B is +" in said
    assert "ship" in said
    page = html.read_text()
    assert page.count("<svg") == 2
    assert "Ship: spend of B is +" in page
    quiet = run(capsys, *words, "--quiet")
    assert quiet == (0, "", "")
