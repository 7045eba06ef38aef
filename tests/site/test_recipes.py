"""What `site check` says of how a model is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from ranker_world import films
from ranker_world import shop as film_shop

from edgewise.errors import SiteError
from hub.site.loading import load_site

OUTCOME = "outcome: {kind: review, at_least: 4}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop") / "site"
    film_shop(folder, films(visitors=10, events=200))
    return folder


def problems(site: Path, added: str, *, outcome: str = OUTCOME) -> list[str]:
    """What is wrong with the film shop where its recipe has these lines more."""
    path = site / "models" / "film_ranker.yaml"
    said = path.read_text("utf-8")
    path.write_text(said.replace(OUTCOME, f"{outcome}\n  {added}"), "utf-8")
    try:
        load_site(site)
    except SiteError as wrong:
        return [f"{problem.path} {problem.message}" for problem in wrong.problems]
    finally:
        path.write_text(said, "utf-8")
    return []


@pytest.mark.parametrize(
    ("added", "says"),
    [
        ("rewards: {click: 1}", "the outcome is a review, and has no reward above 0; give it one"),
        ("rewards: {review: 1, click: -1}", "a click is worth -1; only a refund, which is taken off an order, may be"),
        ("rewards: {review: 1, refund: 2}", "a refund cannot be worth more than nothing; expected at most 0"),
        ("rewards: {review: 1, refund: -2}", "a refund is taken off an order, and orders have no reward"),
        ("rewards: {review: .inf}", ".inf is no finite number"),
        ("rewards: {review: 1, liking: 2}", "'liking'"),
        ("refits: 0", "expected int >= 1"),
        ("decisions: {position: feature}", "needs a feature of the type `position` among the model's; declare one"),
        ("decisions: {position: slot}", "'slot'"),
        ("decisions: {half_life_days: 0}", "expected float > 0"),
        ("linear: {interactions: [[[mood], [popularity]]]}", "the model takes no feature 'mood'"),
        ("linear: {l2: 0}", "expected float > 0"),
        ("incremental: {rounds: 0}", "expected int >= 1"),
        ("items_of: nobody", "names 'nobody', which learns nothing about items"),
        ("items_of: film_ranker", "names itself"),
    ],
)
def test_what_a_recipe_cannot_mean_is_said_with_its_line(site: Path, added: str, says: str) -> None:
    (found,) = problems(site, added)
    assert says in found
    assert found.startswith("models/film_ranker.yaml:")


@pytest.mark.parametrize(
    "added",
    [
        "rewards: {review: 3, view: 0.5, order: 10, refund: -10}",
        "decisions: {days: 30, half_life_days: 7}",
        "linear: {interactions: [[[popularity], [popularity]]]}\n  uncertainty: {}",
        "incremental: {rounds: 5}\n  refits: 4",
    ],
)
def test_a_recipe_that_means_something_passes(site: Path, added: str) -> None:
    assert problems(site, added) == []


def test_a_model_that_is_told_the_slot_passes(site: Path) -> None:
    features = site / "features" / "slot.yaml"
    features.write_text("- {type: position, name: slot}\n", "utf-8")
    try:
        assert problems(site, "decisions: {position: feature}") == []
    finally:
        features.unlink()
