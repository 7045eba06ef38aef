"""What an experiment may say: the site's own examples, two in one namespace, and what counts as business."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.bundle.experiments import Metric
from edgewise.bundle.policy import External
from edgewise.errors import SiteError
from edgewise.events import Kind
from edgewise.ids import ArmName, ExperimentKey
from hub.site.checking_experiments import NO_BUSINESS, is_business
from hub.site.loading import load_site
from hub.site.starting import start_site

KEY = ExperimentKey("home_hero")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    start_site(tmp_path / "site", by="Ann")
    return tmp_path / "site"


def test_the_examples_of_the_invented_site_hold(folder: Path) -> None:
    experiment, hero = folder / "experiments" / "home_hero.yaml", folder / "placements" / "home_hero.yaml"
    experiment.write_text(re.sub(r"^# (\w+:)", r"\1", experiment.read_text(), flags=re.MULTILINE))
    text, example = hero.read_text().split("#   pages_own:")
    hero.write_text(text.replace("arms:\n", f"arms:\n  pages_own:{example}", 1))
    policy = load_site(folder).policy
    said = policy.experiments[KEY]
    assert said.condition == {"geo.country": {"$in": ["DE", "AT"]}, "device.type": {"$ne": "tablet"}}
    assert said.namespace is not None
    assert (said.namespace.end, said.training_share, said.coverage, said.seed) == (0.5, 0.1, 0.1, "home_hero-1")
    assert said.ramp is not None
    assert [step.coverage for step in said.ramp.steps] == [0.1, 1.0]
    (hero_now,) = [placed for placed in policy.placements.values() if placed.experiment == KEY]
    assert isinstance(hero_now.arms[ArmName("pages_own")].ranking, External)


def test_what_no_placement_runs_may_be_a_draft_and_what_runs_must_be_declared(folder: Path) -> None:
    draft = "arms: [champion, challenger]\nweights: [0.5, 0.5]\n"
    (folder / "experiments" / "draft.yaml").write_text(draft)
    assert load_site(folder).policy.experiments[ExperimentKey("draft")].outcome is None
    (folder / "experiments" / "home_hero.yaml").write_text(draft)
    with pytest.raises(SiteError) as refused:
        load_site(folder)
    assert [problem.path for problem in refused.value.problems] == ["experiments/home_hero.yaml:1"] * 2


def test_two_that_run_in_one_part_of_a_namespace_are_refused(folder: Path) -> None:
    first = folder / "experiments" / "home_hero.yaml"
    first.write_text(first.read_text() + "namespace: {name: home, start: 0.0, end: 0.6}\n")
    other = first.read_text().replace("end: 0.6", "end: 1.0").replace("start: 0.0", "start: 0.5")
    (folder / "experiments" / "other.yaml").write_text(other)
    load_site(folder)  # the other one is a draft
    page = folder / "placements" / "home_list.yaml"
    hero = (folder / "placements" / "home_hero.yaml").read_text()
    page.write_text(hero.replace("experiment: home_hero", "experiment: other"))
    with pytest.raises(SiteError, match="1 problem") as refused:
        load_site(folder)
    (problem,) = refused.value.problems
    assert "shares visitors of 'home' with the experiment 'home_hero', which has 0 to 0.6" in problem.message
    (folder / "experiments" / "other.yaml").write_text(other.replace("start: 0.5", "start: 0.6"))
    load_site(folder)


@given(st.sampled_from(Kind))
def test_clicks_are_business_only_where_their_author_says_so(kind: Kind) -> None:
    assert is_business(Metric("m", kind)) is (kind not in NO_BUSINESS)
    assert is_business(Metric("m", kind, business=True))
    assert not is_business(Metric("m", kind, business=False))


@pytest.mark.parametrize(
    ("event", "expected"), [("Promotion Clicked", False), ("Order Completed", True), ("Trial Started", True)]
)
def test_names_are_judged_by_their_kind(event: str, *, expected: bool) -> None:
    assert is_business(Metric("m", event)) is expected
