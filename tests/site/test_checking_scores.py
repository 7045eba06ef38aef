"""What is wrong with how a score is to be trained is said with file, line and cure, before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from score_shop import FEATURES, write_site
from score_world import site_of

from edgewise.errors import SiteError
from hub.site.loading import load_site

OF_VISITORS = {"predicts": {"tells": "purchase", "days": 7}}


@pytest.mark.parametrize(
    ("score", "line", "says"),
    [
        ({**OF_VISITORS, "features": ["orders"]}, 3, "no feature 'orders'; did you mean 'orders_30d'?"),
        ({**OF_VISITORS, "features": ["orders_30d", "orders_30d"]}, 4, "is listed twice"),
        ({**OF_VISITORS, "features": ["item_price"]}, 3, "changes with the candidate"),
        ({**OF_VISITORS, "features": []}, 2, "a score needs a feature"),
        ({**OF_VISITORS, "calibration_share": 0.5, "validation_share": 0.5}, 1, "leave nothing to learn from"),
        (
            {"predicts": {"tells": "trait", "trait": "stage"}, "calendar": {}},
            2,
            "has moments of its own",
        ),
        ({"predicts": {"tells": "abandonment", "rules": ["weather"]}}, 4, "weather"),
        ({"predicts": {"tells": "purchase", "days": 0}}, 3, "expected int >= 1"),
        ({"predicts": {"tells": "mood"}}, 3, "unknown tells 'mood'"),
    ],
)
def test_a_wrong_recipe_is_refused(tmp_path: Path, score: dict[str, Any], line: int, says: str) -> None:
    with pytest.raises(SiteError) as refused:
        write_site(tmp_path, {"buys": score})
    problems = refused.value.problems
    assert [problem.path for problem in problems] == [f"models/buys.yaml:{line}"], problems
    assert says in problems[0].message


def test_a_model_either_ranks_or_scores(tmp_path: Path) -> None:
    write_site(tmp_path, {"buys": OF_VISITORS})
    file = tmp_path / "models" / "buys.yaml"
    file.write_text(f"train:\n  outcome: {{kind: view}}\n{file.read_text()}")
    with pytest.raises(SiteError) as refused:
        load_site(tmp_path)
    assert any("either ranks or scores" in problem.message for problem in refused.value.problems)


def test_a_score_does_not_learn_from_the_trait_that_it_tells(tmp_path: Path) -> None:
    own: list[dict[str, Any]] = [
        {"name": "is_student", "type": "trait_is", "trait": "stage", "value": "student"},
        {"name": "stage", "type": "code", "of": "profile.traits.stage", "values": ["student", "retired"]},
    ]
    scores = {"stage": {"predicts": {"tells": "trait", "trait": "stage"}, "features": ["is_student", "stage"]}}
    with pytest.raises(SiteError) as refused:
        site_of(tmp_path, [*FEATURES, *own], {"i": {"price": 1.0}}, scores)
    assert len(refused.value.problems) == 2
    assert all("the trait 'stage' that the score tells" in problem.message for problem in refused.value.problems)


def test_a_site_whose_features_are_all_of_candidates_cannot_train_one(tmp_path: Path) -> None:
    with pytest.raises(SiteError) as refused:
        site_of(tmp_path, FEATURES[-1:], {"i": {"price": 1.0}}, {"buys": OF_VISITORS})
    assert "no feature to learn from" in refused.value.problems[0].message
