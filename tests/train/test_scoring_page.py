"""The page and the card of `train scoring`: what they say is what was measured."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from shop_visits import OUTCOMES, visits, with_column, written

from edgewise.errors import InputError
from hub.commands.train_scoring import scoring
from hub.model_card import unstated
from hub.scoring_child import ScoringChild
from hub.train.scoring.card import scoring_card
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
