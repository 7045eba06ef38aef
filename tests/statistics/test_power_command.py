"""`edgewise experiment power`, as somebody plans with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from statistics_world import arm, written

from edgewise.errors import EdgewiseError
from edgewise.terminal import Terminal
from hub.commands.experiment import app


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = 0
    try:
        app(["power", *map(str, words)])
    except SystemExit as left:
        code = int(left.code or 0)
    except EdgewiseError as refused:
        Terminal().problem(refused)
        code = 1
    said = capsys.readouterr()
    return code, said.out, said.err


def test_from_a_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    html = tmp_path / "power.html"
    words = ("--baseline", 0.1, "--lift", 0.05, "--per-day", 2_000, "--html", html)
    code, said, _ = run(capsys, *words, "--json")
    assert code == 0
    read = json.loads(said)
    assert read["units"] == pytest.approx(115_521, abs=3)
    assert read["days"] == read["units"] / 2_000
    assert read["arms"]["control"] == pytest.approx(read["units"] / 2, abs=1)
    assert "<svg" in html.read_text()
    assert "58 days" in run(capsys, *words)[1]


def test_from_today(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = written(tmp_path / "today.csv", {"A": arm(np.random.default_rng(1), 2_000, rho=0.7)})
    words = (rows, "--metric", "spend", "--unit", "visitor", "--units", 2_000, "--json")
    plain, cuped = (json.loads(run(capsys, *words, *more)[1]) for more in ((), ("--covariate", "before")))
    assert plain["baseline"]["mean"] == pytest.approx(10, abs=0.4)
    assert plain["baseline"]["stddev"] == pytest.approx(4, abs=0.3)
    assert cuped["baseline"]["rho"] == pytest.approx(0.7, abs=0.05)
    assert cuped["lift"] == pytest.approx(plain["lift"] * 0.714, rel=0.05)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--lift", 0.1), 2, "--baseline"),
        (("--baseline", 0.1), 2, "--lift"),
        (("--baseline", 3, "--lift", 0.1), 2, "--stddev"),
        (("--baseline", 0.5, "--lift", 3), 2, "proportion"),
        (("--baseline", 0.1, "--lift", 0.1, "--weights", "A=1"), 2, "at least two arms"),
        (("--baseline", 0.1, "--lift", 0.1, "--method", "bayesian"), 2, "fixed, sequential"),
        (("nowhere.csv", "--lift", 0.1), 2, "--metric"),
        (("nowhere.csv", "--metric", "spend", "--lift", 0.1), 1, "no such file"),
    ],
)
def test_refused(words: tuple[object, ...], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    left, _, error = run(capsys, *words)
    assert left == code
    assert said in error
