"""`edgewise train ranker`: it finds what is true, nothing where nothing is, and says how it came about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
from hub_process import edgewise
from ranker_world import NOW_MS, RANKER, films, remember, review
from ranker_world import shop as film_shop

from edgewise.bundle.golden import unpack
from edgewise.errors import InputError, ModelRefused
from edgewise.ids import DecisionId, ItemId, ModelName
from hub.artefacts import check_artefacts, digest_of, to_files
from hub.datasets.films import FilmHistory
from hub.demo.story import Story
from hub.ledger.ledger import open_ledger
from hub.ledger.rows import ModelStatus
from hub.model_card import unstated
from hub.registry import ModelRegistry
from hub.scoring_child import ScoringChild
from hub.site.loading import SiteContents
from hub.train.dataset import replayed_rows
from hub.train.history import History
from hub.train.items import fit_items, items_known_by
from hub.train.logged import LoggedRows
from hub.train.ranker import MadeRanker, make_ranker, recipe_of
from hub.train.shop import Shop

QUICK = ["trees.rounds=12"]


class World(NamedTuple):
    """A world of films whose visitors have tastes, and the ranker that was learned from its past."""

    folder: Path
    films: FilmHistory
    contents: SiteContents
    story: Story
    history: History
    made: MadeRanker

    def run(self, capsys: pytest.CaptureFixture[str], data_dir: Path, *words: str) -> tuple[int, str, str]:
        site = ("--site", self.folder / "site", "--data-dir", data_dir)
        ended = edgewise(capsys, "train", "ranker", *words, *site)
        assert "Traceback" not in ended.stderr
        return ended.code, ended.stdout, ended.stderr


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    known = films(visitors=80, events=4_000)
    contents, story = film_shop(folder / "site", known)
    history = History([review(known, number, rated) for number, rated in enumerate(story.past)])
    made = make_ranker(history, contents, RANKER, recipe_of(contents, RANKER, QUICK))
    return World(folder, known, contents, story, history, made)


@pytest.fixture(scope="module")
def remembered(world: World) -> Path:
    """A hub that imported the past under a key of its own."""
    with open_ledger(world.folder / "hub") as ledger:
        remember(ledger, world.films, world.story.past, key="another-key-")
    return world.folder / "hub"


# --- what it learns --------------------------------------------------------------------------------------------------
def test_it_beats_the_rule_where_visitors_have_tastes(world: World) -> None:
    measures = world.made.judged["all"].measures
    assert measures["hit_rate@10 above the rule"].ci_low > 0
    assert measures["hit_rate@10"].estimate == pytest.approx(
        measures["hit_rate@10 of the rule"].estimate + measures["hit_rate@10 above the rule"].estimate
    )


def test_it_finds_nothing_where_visitors_choose_at_random(world: World) -> None:
    """Any column that knew the outcome, or anything later, would show here: nothing else tells films apart."""
    rng = np.random.default_rng(5)
    rated: dict[str, set[str]] = {}
    chosen = []
    for number, one in enumerate(world.story.past):
        left = sorted(set(world.films.items) - rated.setdefault(one.visitor, set()))
        film = left[int(rng.integers(len(left)))]
        rated[one.visitor].add(film)
        stars = float(rng.integers(3, 6))
        chosen.append(review(world.films, number, one._replace(item=ItemId(film), rating=stars)))
    made = make_ranker(History(chosen), world.contents, RANKER, recipe_of(world.contents, RANKER, QUICK))
    judged = made.judged["all"]
    most_rated = max(len(of) for of in rated.values())
    assert judged.choices >= 100
    assert judged.measures["hit_rate@10"].ci_low <= 10 / (len(world.films.items) - most_rated)
    assert judged.measures["hit_rate@10 above the retrieval"].ci_low <= 0


def test_the_same_past_gives_the_same_model_at_any_hub(
    world: World, remembered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("film_ranker", "--set", QUICK[0], "--by", "Ann", "--json", "--quiet")
    code, out, err = world.run(capsys, remembered, *words)
    assert code == 0, err
    told = json.loads(out)
    assert told["model"] == "film_ranker"
    version = told["version"]
    with open_ledger(remembered) as ledger:
        registry = ModelRegistry(remembered, ledger)
        row = registry.row(RANKER, version)
        assert row.status is ModelStatus.CANDIDATE, "a person has to approve it"
        assert registry.artefacts(RANKER, version) == world.made.artefacts
        (entry,) = ledger.audit(limit=1)
        assert (entry.who, entry.what, entry.subject) == ("Ann", "model register", f"film_ranker@{version}")
    assert row.sha256 == told["sha256"] == digest_of(to_files(world.made.artefacts, world.made.card))
    assert row.card == json.loads(json.dumps(world.made.card))
    assert told["data"] == row.card["data"]
    assert told["parity"]["mismatches"] == 0
    assert told["choices"]["all"] == row.card["data"]["outcomes_judged"]
    assert set(told["metrics"]["all"]["hit_rate@10"]) == {"estimate", "ci_low", "ci_high"}


@pytest.mark.slow
def test_another_seed_gives_another_model(world: World) -> None:
    recipe = recipe_of(world.contents, RANKER, ["trees.rounds=2"])
    one, again, other = (
        make_ranker(world.history, world.contents, RANKER, recipe, seed=seed).artefacts for seed in (1, 1, 2)
    )
    assert digest_of(to_files(one, {})) == digest_of(to_files(again, {}))
    assert one.model != other.model


# --- what comes out ---------------------------------------------------------------------------------------------------
def test_the_edge_scores_the_golden_rows_as_they_were_trained(world: World) -> None:
    artefacts = world.made.artefacts
    assert artefacts.model is not None
    assert artefacts.attribution is not None
    assert artefacts.golden is not None
    matrix, expected = unpack(artefacts.golden)
    with ScoringChild() as child:
        scores = child.score(artefacts.model, matrix)
        attributions = child.score(artefacts.attribution, matrix)
    assert np.abs(scores - expected).max() <= 1e-5 * max(1.0, float(np.abs(expected).max()))
    assert attributions.shape == (len(matrix), matrix.shape[1] + 1)
    assert np.allclose(attributions.sum(axis=1), expected, atol=1e-4)


def test_what_is_served_knows_items_until_the_end(world: World) -> None:
    statistics = world.made.artefacts.statistics
    visitors = {(rated.visitor, rated.item) for rated in world.story.past}
    count = len({visitor for visitor, _ in visitors})
    item = world.story.past[-1].item
    assert statistics["popularity"].values[item] == pytest.approx(sum(of == item for _, of in visitors) / count)


def test_the_card_says_what_it_is_for_where_it_comes_from_and_what_it_cannot_do(world: World) -> None:
    card, judged = world.made.card, world.made.judged["all"]
    assert set(card) == {
        "summary",
        "kind",
        "data",
        "metrics",
        "features",
        "consent",
        "fairness",
        "known_limits",
        "parity",
        "settings",
        "reproduction",
    }
    assert unstated(card) == []
    for group in set(world.made.judged) - {"all"}:
        assert any(f", {group} visitors" in measured for measured in card["fairness"])
    assert "placement film_list (arm challenger)" in card["summary"]
    assert "next review with 4 stars or more" in card["summary"]
    data = card["data"]
    assert (data["records"], data["visitors"]) == (len(world.history), world.history.visitors)
    assert data["from"] < data["items of the rows fitted until"] <= data["judged on outcomes from"] <= data["to"]
    assert (data["outcomes_judged"], data["visitors_judged"]) == (judged.choices, judged.visitors)
    assert data["outcomes_learned_from"] > 0
    assert sum(of["gain_share"] for of in card["features"].values()) == pytest.approx(1, abs=1e-4)
    assert list(card["features"]) == sorted(card["features"], key=lambda name: -card["features"][name]["gain_share"])
    assert card["features"]["alike"]["purpose"] == "personalisation"
    assert card["features"]["popularity"]["purpose"] is None
    assert card["consent"]["purposes"] == ["personalisation"]
    told = card["metrics"]["hit_rate@10, all visitors"]
    assert told["estimate"] == pytest.approx(judged.measures["hit_rate@10"].estimate, abs=1e-6)
    assert card["settings"]["trees"]["rounds"] == 12
    assert card["reproduction"]["data_sha256"] == world.history.digest()
    assert any("evidence, not lift" in limit for limit in card["known_limits"])
    few = f"Intervals of all visitors come from only {judged.visitors} of them"
    assert any(limit.startswith(few) for limit in card["known_limits"])
    assert str(NOW_MS) not in json.dumps(card)


def test_scores_for_ordering_only_are_said_to_be_that(world: World) -> None:
    recipe = recipe_of(world.contents, RANKER, ["trees.rounds=2", "trees.objective=lambdarank"])
    made = make_ranker(world.history, world.contents, RANKER, recipe)
    assert any("do not compare across decisions" in limit for limit in made.card["known_limits"])
    assert made.card["parity"]["mismatches"] == 0


def as_decisions(world: World) -> LoggedRows:
    """The choices of the past as if a node had shown ten of their candidates, what was wanted in any slot."""
    recipe = recipe_of(world.contents, RANKER, QUICK)
    through = len(world.history) // 2
    shop = Shop(world.contents, RANKER, recipe, fit_items(world.history, recipe, through))
    asked: dict[str, Any] = {"since": through, "whole_from": len(world.history), "most": 400, "negatives": 9, "seed": 0}
    rows = replayed_rows(world.history, shop, recipe.outcome, **asked).rows
    rng = np.random.default_rng(0)
    slot = np.concatenate([rng.permutation(size) + 1 for size in rows.size.tolist()]).astype(np.int32)
    return LoggedRows(
        names=rows.names,
        matrix=rows.matrix,
        label=rows.label,
        gain=rows.gain,
        known_ms=np.array([world.history.deeds[deed].moment_ms for deed in rows.deed.tolist()]).repeat(rows.size),
        items=tuple(ItemId(f"film-{number % 50}") for number in range(len(rows))),
        slot=slot,
        propensity=np.full(len(rows), 0.1),
        size=rows.size,
        sample_probability=np.ones(rows.choices),
        decision_ids=tuple(DecisionId(str(deed)) for deed in rows.deed.tolist()),
        time_ms=np.array([world.history.deeds[deed].moment_ms for deed in rows.deed.tolist()]),
        bundle_digests=("",) * rows.choices,
        left_out={},
    )


@pytest.mark.slow
def test_it_learns_from_decisions_with_settings_that_were_looked_for(world: World) -> None:
    settings = [*QUICK, 'decisions={"position": "inverse_propensity"}']
    recipe = recipe_of(world.contents, RANKER, settings)
    logged = as_decisions(world)
    made = make_ranker(world.history, world.contents, RANKER, recipe, tune=2, logged=logged)
    card = made.card
    assert card["data"]["decisions_learned_from"] == len(logged.size)
    assert card["reproduction"]["tuned"]["trials"] == 2
    assert card["reproduction"]["tuned"]["after"] >= card["reproduction"]["tuned"]["before"]
    assert any("learned from what nodes showed" in limit for limit in card["known_limits"])
    assert made.judged["all"].measures["hit_rate@10 above the rule"].ci_low > 0, "it still knows what people like"
    assert made.artefacts.model != world.made.artefacts.model


def test_a_ranker_that_shares_items_looks_at_them_and_brings_none(world: World) -> None:
    settings = ["linear={}", "items_of=film_ranker", 'decisions={"half_life_days": 400}']
    known = items_known_by(world.made.artefacts)
    recipe = recipe_of(world.contents, RANKER, settings)
    made = make_ranker(world.history, world.contents, RANKER, recipe, logged=as_decisions(world), items=known)
    assert (made.artefacts.neighbours, made.artefacts.statistics) == (None, {})
    assert made.judged["all"].measures["hit_rate@10 above the rule"].ci_low > 0, "it sees what the other has learned"
    assert any("film_ranker knows them" in limit for limit in made.card["known_limits"])


def test_a_line_learns_in_place_of_trees_and_says_so(world: World) -> None:
    settings = ['decisions={"half_life_days": 400}', "linear={}", "uncertainty={}"]
    made = make_ranker(
        world.history, world.contents, RANKER, recipe_of(world.contents, RANKER, settings), logged=as_decisions(world)
    )
    assert made.judged["all"].measures["hit_rate@10 above the rule"].ci_low > 0, "it knows what people like"
    assert "Scores are expected rewards" in made.card["summary"]
    assert any("It is a line" in limit for limit in made.card["known_limits"])
    assert made.card["parity"]["mismatches"] == 0
    assert made.artefacts.continuation is None
    assert made.artefacts.kind.uncertain
    with ScoringChild() as child:
        check_artefacts(made.artefacts, child)  # what the registry asks of it
    assert made.card["sureness"]["standard error of a score, median"] > 0
    shares = [of["gain_share"] for of in made.card["features"].values()]
    assert sum(shares) == pytest.approx(1, abs=1e-4)


def test_a_line_has_no_settings_of_trees_to_look_for(
    world: World, remembered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = world.run(capsys, remembered, "film_ranker", "--quiet", "--set", "linear={}", "--tune", "2")
    assert (code, out) == (1, "")
    assert "--tune tries settings of trees, and the recipe says `linear`" in err


def test_no_decisions_are_said_and_nothing_is_kept(
    world: World, remembered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = world.run(capsys, remembered, "film_ranker", "--quiet", "--set", 'decisions={"days": 3}')
    assert (code, out) == (1, "")
    said = "0 of 0 items that decisions showed were wanted; expected at least 100 (decisions left out: none)"
    assert said in err


def test_people_are_shown_measures_parity_and_what_to_do_next(
    world: World, remembered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = world.run(capsys, remembered, "film_ranker", "--set", "trees.rounds=2")
    assert code == 0, err
    for part in ("film_ranker@", "hit_rate@10 above the rule", "0 mismatches", "edgewise model approve film_ranker@"):
        assert part in out


# --- what cannot be trained -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("other",), "the site has no `train` part in models/other.yaml; models with one: film_ranker"),
        (("film_ranker", "--set", "rounds"), "'rounds' is not KEY=VALUE, as in trees.rounds=100"),
        (("film_ranker", "--set", "wood.rounds=1"), "no setting 'wood.rounds': the recipe has no part 'wood'"),
        (("film_ranker", "--set", "trees.rounds=many"), "trees.rounds: expected int"),
        (("film_ranker", "--set", "trees.leaves=3"), "trees.leaves: unknown key 'leaves'"),
        (("film_ranker", "--set", "fit_share=1.5"), "fit_share: "),
        (("film_ranker", "--set", "outcome.kind=order"), "0 outcomes (order) after the first"),
        (("film_ranker", "--set", "fit_share=0.99"), "; expected at least 100"),
        (
            ("film_ranker", "--set", "placement=nowhere"),
            "arms that rank by the model 'film_ranker': none; expected one",
        ),
        (("film_ranker", "--set", 'features=["mood"]'), "no feature 'mood'; there are alike, "),
        (("film_ranker", "--set", "features=[]"), "no feature to learn from"),
        (("film_ranker", "--set", "trees.min_data_in_leaf=100000"), "no column tells wanted from other items in"),
        (("film_ranker", "--set", "validation_share=0.999"), "outcomes made rows; expected some to learn and some"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence_and_nothing_is_kept(
    world: World, remembered: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    before = sorted((remembered / "models").rglob("*"))
    code, out, err = world.run(capsys, remembered, *words, "--quiet")
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert said in err
    assert sorted((remembered / "models").rglob("*")) == before


def test_an_empty_ledger_is_said(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = world.run(capsys, tmp_path, "film_ranker", "--quiet", "--json")
    assert code == 1
    sentence = "0 outcomes (review) after the first 0 of 0 records; expected at least 100"
    assert json.loads(out)["error"]["message"] == sentence
    assert err.strip() == f"error: {sentence}"


def test_wrong_usage_ends_with_2_and_a_site_that_is_none_with_1(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert world.run(capsys, tmp_path, "film_ranker", "--seed", "-1")[0] == 2
    ended = edgewise(capsys, "train", "ranker", "film_ranker", "--data-dir", tmp_path)
    assert (ended.code, "--site" in ended.stderr) == (2, True)
    nowhere = tmp_path / "nowhere"
    ended = edgewise(capsys, "train", "ranker", "film_ranker", "--data-dir", tmp_path, "--site", nowhere)
    assert ended.code == 1
    assert str(nowhere) in ended.stderr


def test_settings_lie_over_the_recipe_of_the_site(world: World) -> None:
    recipe = recipe_of(world.contents, RANKER, ["trees.rounds = 7", 'features=["year"]', "neighbours.lambda=5"])
    told: dict[str, Any] = msgspec.to_builtins(recipe)
    assert (told["trees"]["rounds"], told["features"], told["neighbours"]["lambda"]) == (7, ["year"], 5.0)
    assert told["neighbours"]["closeness"] == 0.5
    with pytest.raises(InputError, match="models with one: film_ranker"):
        recipe_of(world.contents, ModelName("nobody"))


def test_too_little_to_learn_from_is_refused_before_anything_is_fitted(world: World) -> None:
    few = History([review(world.films, number, rated) for number, rated in enumerate(world.story.past[:150])])
    with pytest.raises(InputError, match=r"outcomes \(review\) after the first 93 of 150 records"):
        make_ranker(few, world.contents, RANKER, recipe_of(world.contents, RANKER))


def test_nothing_learned_is_nothing_served(world: World) -> None:
    recipe = recipe_of(world.contents, RANKER, ["trees.min_data_in_leaf=100000"])
    with pytest.raises(ModelRefused) as refused:
        make_ranker(world.history, world.contents, RANKER, recipe)
    assert refused.value.code == "nothing-learned"
