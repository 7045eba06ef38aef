"""`hub.train.shop`: the placement that a ranker is trained for decides as an edge would."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from ranker_world import GRANTED, NOW_MS, RANKER, films, review
from ranker_world import shop as film_shop

from edgewise.consent import Grants
from edgewise.errors import InputError
from edgewise.features.table import FeatureTable
from edgewise.ids import ArmName, ItemId, ModelName, PlacementName, Producer, SubjectId
from edgewise.profile.preferences import Preferences, state
from edgewise.profile.reduce import fold
from edgewise.profile.state import Profile
from edgewise.records import PreferenceRecord
from hub.site.loading import SiteContents
from hub.site.recipes import RankerRecipe
from hub.train.history import History
from hub.train.items import fit_items
from hub.train.ranker import recipe_of
from hub.train.shop import NOWHERE, Seat, Shop, features_of, seat_of

WORLD = films(visitors=30, events=1_000)


class Asking:
    """A shop, and a visitor who rated the first films of the past."""

    def __init__(self, folder: Path) -> None:
        self.contents: SiteContents
        self.contents, story = film_shop(folder / "site", WORLD)
        self.recipe: RankerRecipe = recipe_of(self.contents, RANKER)
        records = [review(WORLD, number, rated) for number, rated in enumerate(story.past)]
        history = History(records)
        self.shop = Shop(self.contents, RANKER, self.recipe, fit_items(history, self.recipe, len(history)))
        own = [record for record in records if record.subject == records[0].subject]
        self.profile = fold(Profile(), own[:5])
        self.rated = {record.touches[0].item for record in own[:5]}
        self.left = sorted(set(map(ItemId, WORLD.items)) - self.rated)


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Asking:
    return Asking(tmp_path_factory.mktemp("site"))


def said(**changes: object) -> Preferences:
    preferences = Preferences()
    record = PreferenceRecord(Producer("n/1/0"), 0, SubjectId("s"), 1, 1)
    state(preferences, msgspec.structs.replace(record, **changes))
    return preferences


def test_a_model_has_its_seat(asking: Asking) -> None:
    assert seat_of(asking.contents, RANKER, asking.recipe) == Seat(PlacementName("film_list"), ArmName("challenger"))
    assert asking.shop.count == 10
    with pytest.raises(InputError, match="arms that rank by the model 'other': none; expected one placement"):
        seat_of(asking.contents, ModelName("other"), asking.recipe)


def test_a_model_with_two_seats_has_to_say_which(asking: Asking) -> None:
    either = msgspec.structs.replace(asking.recipe, placement=None)
    with pytest.raises(InputError, match=r"film_hero\.\w+.*film_list\.challenger.*; expected one placement"):
        seat_of(asking.contents, RANKER, either)


def test_columns_are_those_of_the_recipe_in_the_order_of_the_table(asking: Asking) -> None:
    table = asking.contents.features
    assert features_of(table, asking.recipe) is table
    some = msgspec.structs.replace(asking.recipe, features=["year", "alike"])
    assert [feature.name for feature in features_of(table, some).features] == ["alike", "year"]
    with pytest.raises(InputError, match="no feature 'mood'; there are alike, "):
        features_of(table, msgspec.structs.replace(asking.recipe, features=["alike", "mood"]))
    for nothing in (FeatureTable([]), table):
        with pytest.raises(InputError, match="no feature to learn from"):
            features_of(nothing, msgspec.structs.replace(asking.recipe, features=[]))
    with pytest.raises(InputError, match="no feature to learn from"):
        features_of(FeatureTable([]), asking.recipe)


def test_a_choice_holds_what_may_be_shown_and_not_what_was_rated(asking: Asking) -> None:
    wanted = asking.left[7]
    choice = asking.shop.choice(asking.profile, Preferences(), GRANTED, NOW_MS, wanted=[wanted])
    assert choice is not None
    assert choice.retrieved == len(asking.left), "two hundred films, so that retrieval leaves out none"
    assert choice.wanted.sum() == 1
    assert choice.rank_by_retrieval == int(choice.wanted.argmax())
    assert 0 <= choice.rank_by_rule < len(asking.left)
    seen = next(iter(asking.rated))
    assert asking.shop.choice(asking.profile, Preferences(), GRANTED, NOW_MS, wanted=[seen]) is None
    assert asking.shop.choice(asking.profile, Preferences(), GRANTED, NOW_MS, wanted=[ItemId("no film")]) is None


def test_who_may_not_be_personalised_makes_no_choice(asking: Asking) -> None:
    wanted = [asking.left[0]]
    for preferences, grants in ((said(dial=0), GRANTED), (Preferences(), Grants(analytics=True))):
        assert asking.shop.choice(asking.profile, preferences, grants, NOW_MS, wanted=wanted) is None


def test_what_a_visitor_has_muted_does_not_compete(asking: Asking) -> None:
    muted, wanted = asking.left[:2]
    choice = asking.shop.choice(asking.profile, said(mute={"items": (muted,)}), GRANTED, NOW_MS, wanted=[wanted])
    assert choice is not None
    assert choice.retrieved == len(asking.left) - 1


def test_a_draw_thins_what_was_retrieved_and_moves_no_rank(asking: Asking) -> None:
    wanted = [asking.left[7]]
    whole = asking.shop.choice(asking.profile, Preferences(), GRANTED, NOW_MS, wanted=wanted)
    thinned = asking.shop.choice(
        asking.profile, Preferences(), GRANTED, NOW_MS, wanted=wanted, draw=lambda is_wanted: is_wanted
    )
    assert whole is not None
    assert thinned is not None
    assert (thinned.retrieved, thinned.wanted.tolist()) == (1, [True])
    assert thinned.matrix.tobytes() == whole.matrix[whole.wanted].tobytes()
    assert (thinned.rank_by_retrieval, thinned.rank_by_rule) == (whole.rank_by_retrieval, whole.rank_by_rule)
    assert whole.rank_by_retrieval < NOWHERE
    assert whole.matrix.dtype == np.float32
