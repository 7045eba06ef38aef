"""`edgewise train ranker --incremental`: a day is added, the same each time; without a day the last version stays."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import lightgbm
import msgspec
import numpy as np
import pytest
from hub_process import edgewise
from ranker_world import HISTORY, NOW_MS, RANKER, films, remember, review
from ranker_world import shop as film_shop

from edgewise.bundle.golden import unpack
from edgewise.errors import InputError, ModelRefused
from edgewise.records import Touch
from hub.artefacts import Artefacts, digest_of, to_files
from hub.ledger.ledger import open_ledger
from hub.site.loading import SiteContents
from hub.train.continuation import decode_continuation
from hub.train.history import History
from hub.train.incremental import Continued, Parent, continue_ranker
from hub.train.ranker import MadeRanker, make_ranker, recipe_of

WORLD = films(visitors=60, events=2_600)
QUICK = ["trees.rounds=8", "incremental.rounds=3"]


class Days(NamedTuple):
    """What was known when a model was trained, the day after, and the model with that day."""

    folder: Path
    contents: SiteContents
    before: History
    after: History
    full: MadeRanker
    parent: Parent
    continued: Continued

    def on(self, history: History, *settings: str, parent: Parent | None = None) -> Continued:
        recipe = recipe_of(self.contents, RANKER, [*QUICK, *settings])
        return continue_ranker(history, self.contents, RANKER, recipe, parent or self.parent)


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Days:
    folder = tmp_path_factory.mktemp("days")
    contents, story = film_shop(folder / "site", WORLD)
    records = [review(WORLD, number, rated) for number, rated in enumerate(story.past)]
    before, after = History(records[:-200]), History(records)
    recipe = recipe_of(contents, RANKER, QUICK)
    full = make_ranker(before, contents, RANKER, recipe)
    parent = Parent(1, digest_of(to_files(full.artefacts, full.card)), full.artefacts)
    continued = continue_ranker(after, contents, RANKER, recipe, parent)
    with open_ledger(folder / "hub") as ledger:
        remember(ledger, WORLD, story.past[:-200])
    return Days(folder, contents, before, after, full, parent, continued)


def trees_of(artefacts: Artefacts) -> lightgbm.Booster:
    return lightgbm.Booster(model_str=decode_continuation(artefacts.continuation, "it").trees)


# --- what comes out --------------------------------------------------------------------------------------------------
def test_the_trees_of_the_parent_stay_and_a_few_come_behind_them(days: Days) -> None:
    old, new = trees_of(days.full.artefacts), trees_of(days.continued.artefacts)
    assert (old.num_trees(), new.num_trees()) == (8, 11)
    assert days.continued.artefacts.golden is not None
    matrix, expected = unpack(days.continued.artefacts.golden)
    first = new.predict(matrix, raw_score=True, num_iteration=8)
    assert np.allclose(first, old.predict(matrix, raw_score=True), rtol=0, atol=1e-9)
    assert np.abs(expected - np.asarray(first)).max() > 0


def test_items_are_fitted_on_everything_again(days: Days) -> None:
    old, new = (of.artefacts.statistics["popularity"].values for of in (days.full, days.continued))
    visitors = {(deed.visitor, deed.record.touches[0].item) for deed in days.after.deeds}  # type: ignore[union-attr]
    item = next(iter(old))
    assert new[item] == pytest.approx(sum(of == item for _, of in visitors) / days.after.visitors)
    assert old != new
    assert days.continued.artefacts.neighbours != days.full.artefacts.neighbours


@pytest.mark.slow
def test_the_same_day_gives_the_same_bytes(days: Days) -> None:
    again = days.on(days.after)
    assert to_files(again.artefacts, again.card) == to_files(days.continued.artefacts, days.continued.card)


def test_the_card_names_the_parent_and_judges_it_on_what_it_had_not_seen(days: Days) -> None:
    card = days.continued.card
    said = card["reproduction"]["parent"]
    assert (said["parent"], said["parent_sha256"]) == (1, days.parent.sha256)
    assert (said["records_then"], said["is_past_unchanged"], said["trees_added"]) == (len(days.before), True, 3)
    assert card["reproduction"]["data_sha256"] == days.after.digest()
    assert "hit_rate@10 above the parent, all visitors" in card["metrics"]
    first = days.continued.judged["all since, by the parent"]
    assert first.choices > days.continued.judged["all"].choices > 0
    assert any("older ones learned does not fade" in limit for limit in card["known_limits"])
    assert days.full.card["reproduction"].keys() & {"parent", "tuned"} == set()


@pytest.mark.slow
def test_a_past_that_changed_is_said(days: Days) -> None:
    fewer = History([deed.record for deed in days.after.deeds[5:]])
    card = days.on(fewer).card
    assert card["reproduction"]["parent"]["is_past_unchanged"] is False
    assert any("only training in full takes that into account" in limit for limit in card["known_limits"])


# --- what cannot be continued ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["incremental.most_trees=10"], "with 3 more version 1 would have 11 trees; at most 10 may be"),
        (['features=["alike", "year"]'], "the features are not those of version 1"),
        (["trees.objective=lambdarank"], "version 1 was trained as binary, and the site says lambdarank"),
        (["incremental.fewest_outcomes=5000"], "expected at least 5000. That version stays"),
        (['decisions={"days": 3}'], "trained in full"),
    ],
)
def test_what_cannot_be_added_is_said_in_one_sentence(days: Days, settings: list[str], said: str) -> None:
    with pytest.raises(InputError) as refused:
        days.on(days.after, *settings)
    assert said in str(refused.value)


def test_an_empty_day_is_said(days: Days) -> None:
    with pytest.raises(InputError, match=r"^0 outcomes \(review\) in the 0 records since .* version 1, knew"):
        days.on(days.before)


@pytest.mark.parametrize("state", [None, b"", b"\xff\x00", msgspec.msgpack.encode({"trees": 3})])
def test_a_parent_without_its_trees_cannot_be_continued(days: Days, state: bytes | None) -> None:
    bare = Parent(1, "", msgspec.structs.replace(days.full.artefacts, continuation=state))
    with pytest.raises(ModelRefused) as refused:
        days.on(days.after, parent=bare)
    assert refused.value.code == "continuation"


def test_what_is_surely_worse_than_its_parent_is_not_kept(days: Days) -> None:
    """In the morning of that day everybody takes what nobody ever took; in its evening they are themselves again."""
    count = Counter(touch.item for deed in days.before.deeds for touch in deed.record.touches)  # type: ignore[union-attr]
    rarely = sorted(WORLD.items, key=lambda item: (count[item], item))[:40]
    morning = days.after.deeds[len(days.before) : len(days.before) + 130]
    turned = [deed.record for deed in days.after.deeds]
    for number, deed in enumerate(morning, len(days.before)):
        touch = Touch(rarely[number % len(rarely)], rating=5.0)
        turned[number] = msgspec.structs.replace(deed.record, touches=(touch,))
    settings = ["trees.learning_rate=0.5", "incremental.rounds=40", "trees.min_data_in_leaf=5", "validation_share=0.18"]
    with pytest.raises(ModelRefused, match=r"later outcomes is .* below that of version 1, .* that version stays"):
        days.on(History(turned), *settings)


# --- the command -----------------------------------------------------------------------------------------------------
def test_nothing_can_be_added_to_no_version(days: Days, capsys: pytest.CaptureFixture[str]) -> None:
    words: list[str | Path] = [
        "--site",
        days.folder / "site",
        "--data-dir",
        days.folder / "hub",
        "--quiet",
        "--json",
        "--incremental",
    ]
    none = edgewise(capsys, "train", "ranker", "film_ranker", *words)
    said = json.loads(none.stdout)["error"]["message"]
    assert (none.code, said) == (1, "no version of film_ranker to go on with; train it in full first")


@pytest.mark.slow
def test_the_command_adds_day_after_day_and_keeps_the_version_where_there_is_none(
    days: Days, capsys: pytest.CaptureFixture[str]
) -> None:
    hub, site = days.folder / "hub", days.folder / "site"
    base: list[str | Path] = ["train", "ranker", "film_ranker", "--site", site, "--data-dir", hub, "--quiet", "--json"]
    quick = [word for setting in QUICK for word in ("--set", setting)]
    assert edgewise(capsys, *base, *quick).code == 0
    empty = edgewise(capsys, *base, "--incremental", *quick)
    assert empty.code == 1
    assert "0 outcomes (review) in the 0 records since" in empty.stderr
    late = [deed.record for deed in days.after.deeds[-200:]]
    for version, records in ((1, late[:100]), (2, late[100:])):
        with open_ledger(hub) as ledger:
            ledger.append(HISTORY, records, NOW_MS)  # type: ignore[arg-type]
        added = edgewise(capsys, *base, "--incremental", *quick)
        assert added.code == 0, added.stderr
        told = json.loads(added.stdout)
        assert (told["version"], told["reproduction"]["parent"]["parent"]) == (version + 1, version)
    wrong = edgewise(capsys, *base, "--from", "1")
    assert (wrong.code, "--from goes with --incremental" in wrong.stderr) == (1, True)
