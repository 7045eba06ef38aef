"""`edgewise model skew`, and the check before a release is approved, over what a node has really written down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hub_process import Finished, edgewise
from replay_world import ReplayShop, replay_shop
from world import CHALLENGER, HERO, LIST

from edgewise.records import FeatureRows

BY_MODEL = {"options": {"force": {HERO: CHALLENGER, LIST: CHALLENGER}}}
VISITORS = 6


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayShop]:
    with replay_shop(tmp_path_factory.mktemp("shop")) as made:
        for number in range(VISITORS):
            made.track(f"film-{number}", f"visitor-{number}")
            made.decided(BY_MODEL, visitor=f"visitor-{number}")
        yield made


def run(capsys: pytest.CaptureFixture[str], shop: ReplayShop, *words: str) -> Finished:
    ended = edgewise(capsys, *words, "--data-dir", shop.hub.data_dir)
    assert "Traceback" not in ended.stderr
    return ended


def test_nothing_is_skewed_and_the_page_says_so(
    capsys: pytest.CaptureFixture[str], shop: ReplayShop, tmp_path: Path
) -> None:
    ended = run(capsys, shop, "model", "skew", "--html", str(tmp_path / "skew.html"), "--json")
    assert ended.code == 0
    told = ended.told
    assert (told["decisions"], told["unequal"], told["examples"]) == (VISITORS, 0, [])
    assert told["rows"] > VISITORS
    assert {feature["name"] for feature in told["features"]} >= {"liked_alike", "genre"}
    assert "No skew" in (tmp_path / "skew.html").read_text()
    assert "every cell is what the hub computes" in run(capsys, shop, "model", "skew", "--most", "2").stdout


def test_a_model_that_no_release_has_is_said(capsys: pytest.CaptureFixture[str], shop: ReplayShop) -> None:
    ended = run(capsys, shop, "model", "skew", "rankr")
    assert ended.code == 1
    assert "no release has a model 'rankr'" in ended.stderr


def test_one_number_that_the_hub_does_not_compute_stops_a_release(
    capsys: pytest.CaptureFixture[str], shop: ReplayShop
) -> None:
    visitor = "visitor-of-another-hour"
    shop.track("film-7", visitor)
    record = shop.decided(BY_MODEL, visitor=visitor)
    rows = record.shown[LIST]
    matrix = np.frombuffer(rows.data, "<f4").reshape(len(rows.items), -1).copy()
    matrix[1, rows.names.index("popularity")] += 1
    matrix[0, rows.names.index("is_mobile")] = np.nan
    shop.hub.tamper(record, shown={LIST: FeatureRows(rows.names, rows.items, matrix.tobytes())}, sampled={})
    ended = run(capsys, shop, "model", "skew", "--json")
    assert ended.code == 1
    told = json.loads(ended.stdout)
    features = {feature["name"]: feature for feature in told["features"]}
    assert (features["popularity"]["mismatch"], features["popularity"]["largest_difference"]) == (1, 1.0)
    assert features["is_mobile"]["extra"] == 1
    assert [example["item"] for example in told["examples"]] == list(rows.items[:2])
    refused = run(capsys, shop, "release", "approve", "7", "--by", "Ann")
    assert refused.code == 1
    assert "--despite-skew" in refused.stderr
    assert "is_mobile, popularity" in refused.stderr
    despite = run(capsys, shop, "release", "approve", "7", "--by", "Ann", "--despite-skew")
    assert "skew" not in despite.stderr
