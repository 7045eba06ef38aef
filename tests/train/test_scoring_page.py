"""The page and the card of `train scoring`: what they say is what was measured."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import typer
from pyarrow import csv
from shop_visits import OUTCOMES, visits, with_column, written

from edgewise.errors import InputError
from hub.commands.train_scoring import scoring
from hub.model_card import unstated
from hub.score_page import score_page
from hub.score_table import score_table
from hub.scoring_child import ScoringChild
from hub.train.scoring.card import scoring_card
from hub.train.scoring.cautions import about_quality
from hub.train.scoring.choices import ScoreKind
from hub.train.scoring.judging import Measured
from hub.train.scoring.page import roc_points, scoring_page
from hub.train.scoring.settings import Setting
from hub.train.scoring.trial import Plan, Trained, train_scoring

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def child() -> Iterator[ScoringChild]:
    with ScoringChild() as running:
        yield running


def learned(folder: Path, target: str, child: ScoringChild, **options: Any) -> Trained:
    path = written(folder, visits())
    drop = tuple(name for name in OUTCOMES if name != target)
    settings: dict[str, Setting] = {"n_estimators": 10, "num_leaves": 5}
    return train_scoring(Plan(table=path, target=target, drop=drop, cv=2, settings=settings, **options), child=child)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("bought", ["What a threshold costs", "lift"]),
        ("mood", ["What is taken for what", "fair"]),
        ("orders", ["deviance_explained", "predicted value"]),
        ("spent", ["rmse", "predicted value"]),
    ],
)
def test_the_page_and_the_card_of_each_kind(tmp_path: Path, child: ScoringChild, target: str, said: list[str]) -> None:
    trained = learned(tmp_path, target, child, groups=("place",), time="day" if target == "bought" else None)
    text = scoring_page(trained)
    assert re.findall(r"nan|inf(?!o)", text.lower()) == []
    for words in (*said, "Calibration", "For whom", "What it reads", "(missing)"):
        assert words in text
    for held in trained.report.metrics.values():
        assert f"[{held.ci_low:.4f}, {held.ci_high:.4f}]" in text
    card = scoring_card(trained.report)
    assert unstated(card) == []
    assert "place = north" in card["fairness"]
    assert (card["data"]["from"], card["data"]["to"]) == (
        ("0", "29") if target == "bought" else ("not stated: no time column was named",) * 2
    )
    assert any("divided at random" in limit for limit in card["known_limits"]) is (target != "bought")
    assert sum(group.rows for group in trained.report.calibration[0].groups) == len(trained.truth)


def test_the_command_writes_a_page_and_a_card(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    table = written(tmp_path, visits().select(["pages", "place", "bought"]))
    app = typer.Typer()
    app.command()(scoring)
    words = ["--table", table, "--target", "bought", "--cv", "2", "--group", "place", "--set", "n_estimators=5"]
    html, card = tmp_path / "r.html", tmp_path / "card.json"
    with pytest.raises(SystemExit) as ended:
        app([str(word) for word in [*words, "--html", html, "--card", card]])
    assert not ended.value.code
    assert "calibration of true" in capsys.readouterr().out
    assert html.read_text("utf-8").startswith("<!doctype html>")
    assert json.loads(card.read_text("utf-8"))["kind"] == "score, binary"
    with pytest.raises(SystemExit) as ended:
        app([str(word) for word in [*words, "--card", tmp_path / "card.txt"]])
    assert ended.value.code == 2
    assert "--card" in capsys.readouterr().err


def test_a_column_of_groups_must_be_there_and_be_one_of_groups(tmp_path: Path, child: ScoringChild) -> None:
    with pytest.raises(InputError, match="no column 'plaice'"):
        learned(tmp_path, "bought", child, groups=("plaice",))
    path = written(tmp_path, with_column(visits(), "who", [f"w{number}" for number in range(600)]))
    with pytest.raises(InputError, match="600 groups"):
        train_scoring(Plan(table=path, target="bought", features=("pages",), cv=2, groups=("who",)), child=child)


def test_bad_input_leaves_the_last_model_and_says_why(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(scoring)
    model = tmp_path / "m.onnx"
    model.write_bytes(b"the last good model")
    table = visits().select(["pages", "place", "bought"])
    flaws = {
        "nothing to learn": with_column(table, "bought", [True] * 600),
        "expected at least 20": table.slice(0, 3),
        "0 rows with a 'bought'": with_column(table, "bought", pa.nulls(600)),
        "no column 'bought'": table.drop_columns(["bought"]),
        "no feature column is left": with_column(table.select(["bought"]), "nan", [float("nan")] * 600),
    }
    for number, (said, flawed) in enumerate(flaws.items()):
        path = written(tmp_path, flawed, f"{number}.csv")
        with pytest.raises(InputError, match=said):
            app(["--table", str(path), "--target", "bought", "--export", str(model)], standalone_mode=False)
        assert model.read_bytes() == b"the last good model"
    capsys.readouterr()


def test_a_model_that_is_not_shown_to_beat_chance_says_so() -> None:
    for kind, name in ((ScoreKind.BINARY, "auc"), (ScoreKind.MULTICLASS, "macro_auc")):
        assert about_quality(kind, {name: Measured(0.6, 0.51, 0.7)}) == ()
        assert "not shown to be above 0.5" in about_quality(kind, {name: Measured(0.6, 0.49, 0.7)})[0]
    for kind, name in ((ScoreKind.REGRESSION, "r2"), (ScoreKind.COUNT, "deviance_explained")):
        assert about_quality(kind, {name: Measured(0.1, 0.01, 0.2)}) == ()
        assert name in about_quality(kind, {name: Measured(0.1, -0.01, 0.2)})[0]
        assert about_quality(kind, {name: Measured(float("nan"), float("nan"), float("nan"))})


def test_the_page_of_scored_rows_says_how_they_lie_and_what_was_missing(tmp_path: Path, child: ScoringChild) -> None:
    trained = learned(tmp_path, "bought", child)
    model = tmp_path / "m.onnx"
    model.write_bytes(trained.onnx)
    scored = score_table(model, tmp_path / "visits.csv", tmp_path / "p.csv", child=child)
    scores = csv.read_csv(tmp_path / "p.csv").column("score").to_numpy()
    assert scored.scores["score"].mean == pytest.approx(scores.mean(), abs=1e-6)
    assert scored.scores["score"].quantiles[10] == pytest.approx(np.median(scores), abs=1e-6)
    seconds = visits().column("seconds")
    assert scored.missing == pytest.approx(
        dict.fromkeys(scored.missing, 0.0)
        | {"seconds": seconds.null_count / 600, "place": visits().column("place").null_count / 600}
    )
    text = score_page("Scores", ["600 rows"], scored.scores, scored.missing)
    assert "Share of empty cells by column" in text
    assert f"{seconds.null_count / 600:.2%}" in text
    assert "No cell that the model reads was empty" in score_page("Scores", [], scored.scores, {"pages": 0.0})


def test_the_roc_curve_ends_in_both_corners_and_its_area_is_the_auc() -> None:
    rng = np.random.default_rng(0)
    happened = rng.random(50) < 0.4
    scores = np.round(happened * 0.3 + rng.random(50), 2)
    points = np.array(roc_points(happened, scores))
    assert points[0].tolist() == [0.0, 0.0]
    assert points[-1].tolist() == [1.0, 1.0]
    above = scores[happened][:, np.newaxis] - scores[~happened]
    area = float(((above > 0) + (above == 0) / 2).mean())
    assert np.trapezoid(points[:, 1], points[:, 0]) == pytest.approx(area)
