"""`hub.train.positions`: slots are told apart by items that stood in several, and no longer pass for taste."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import InputError
from edgewise.features.encodings import Position
from edgewise.features.table import FeatureTable, ItemAttribute
from edgewise.ids import DecisionId, ItemId
from edgewise.profile.state import DAY_MS
from hub.site.recipes import DecisionRecipe, TreeRecipe
from hub.train.boosting import Lesson, fit_trees, raw_scores
from hub.train.logged import NEVER, NOT_SHOWN, LoggedRows
from hub.train.positions import examination, lesson_of_decisions

LOOKED_AT = np.array([1.0, 0.55, 0.3, 0.15])
ITEMS = 6
FEATURES = FeatureTable([ItemAttribute(name="code", attribute="code"), Position(name="slot")])


class Shown:
    """Decisions of four slots. Better items stand lower: whoever believes the clicks, believes the opposite."""

    def __init__(self, decisions: int, seed: int = 0, *, is_worst_first: bool = True) -> None:
        rng = np.random.default_rng(seed)
        self.worth = np.linspace(0.3, 0.5, ITEMS)
        liking = rng.gumbel(size=(decisions, ITEMS)) + (-20 if is_worst_first else 20) * self.worth
        items = np.argsort(-liking, axis=1)[:, :4]
        chance = self.worth[items] * LOOKED_AT
        self.item = items.ravel()
        self.wanted = (rng.random(items.shape) < chance).ravel()
        self.slot = np.tile(np.arange(1, 5, dtype=np.int32), decisions)
        label = self.wanted.astype(np.float32)
        self.logged = LoggedRows(
            names=("code", "slot"),
            matrix=np.column_stack([self.item, np.ones(len(self.item))]).astype(np.float32),
            label=label,
            gain=label,
            known_ms=np.where(self.wanted, np.arange(decisions).repeat(4), NEVER),
            items=tuple(ItemId(f"item-{code}") for code in self.item),
            slot=self.slot,
            propensity=np.full(len(self.item), 0.5),
            size=np.full(decisions, 4),
            sample_probability=np.zeros(decisions),
            decision_ids=tuple(DecisionId(str(number)) for number in range(decisions)),
            time_ms=np.arange(decisions),
            bundle_digests=("",) * decisions,
            left_out={"no-model": 2},
        )

    def lesson(self, recipe: DecisionRecipe, *, until_ms: int = 1 << 60, fewest: int = 1) -> Lesson:
        return lesson_of_decisions(self.logged, FEATURES, recipe, until_ms=until_ms, fewest=fewest)

    def order(self, lesson: Lesson) -> float:
        """Rank correlation of what the trees say of items in one slot, and what they are worth."""
        trees = TreeRecipe(rounds=40, num_leaves=6, min_data_in_leaf=20)
        booster = fit_trees(lesson, trees, 0, what="", progress=lambda *_: None)
        rows = np.column_stack([np.arange(ITEMS), np.ones(ITEMS)]).astype(np.float32)
        said = np.argsort(np.argsort(raw_scores(booster, rows)))
        return float(np.corrcoef(said, np.arange(ITEMS))[0, 1])


@pytest.fixture(scope="module")
def shown() -> Shown:
    return Shown(6_000)


@pytest.mark.parametrize("is_worst_first", [True, False])
def test_how_often_a_slot_is_looked_at_is_found_whichever_items_stand_there(*, is_worst_first: bool) -> None:
    seen = Shown(6_000, is_worst_first=is_worst_first)
    theta = examination(seen.slot, seen.item, seen.wanted)
    # The rarest of four counts is some 300 of 6,000: a deviation of 6 %; four of them.
    assert np.abs(theta[1:] / LOOKED_AT - 1).max() < 0.25
    assert theta.max() == 1


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 60), st.integers(0, 99))
def test_examination_is_a_share_whatever_was_shown(slots: int, items: int, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    slot = rng.integers(1, slots + 1, count).astype(np.int32)
    theta = examination(slot, rng.integers(0, items, count), rng.random(count) < 0.3)
    assert ((theta >= 0) & (theta <= 1)).all()
    assert len(theta) == int(slot.max(initial=0)) + 1


def test_slots_that_no_item_links_change_nothing() -> None:
    slot = np.repeat(np.array([1, 2], np.int32), 50)
    wanted = np.arange(100) % np.where(slot == 1, 2, 10) == 0
    assert examination(slot, (slot - 1).astype(np.int64), wanted)[1:].tolist() == [1, 1]


@pytest.mark.parametrize("position", ["inverse_propensity", "feature"])
def test_items_are_put_in_order_by_worth_and_not_by_where_they_stood(shown: Shown, position: str) -> None:
    naive = Lesson(shown.logged.names, shown.logged.matrix, shown.logged.label, shown.logged.gain, shown.logged.size)
    assert shown.order(naive) < 0
    assert shown.order(shown.lesson(DecisionRecipe(position))) > 0.9  # type: ignore[arg-type]


def test_no_weight_is_above_the_most(shown: Shown) -> None:
    gain = shown.lesson(DecisionRecipe(most_weight=2.0)).gain
    assert gain.max() == 2
    assert gain[~shown.wanted].max() == 0


def test_what_was_not_shown_or_came_later_teaches_nothing(shown: Shown) -> None:
    before = shown.lesson(DecisionRecipe(), until_ms=100)
    assert before.size.tolist() == [4] * 100
    hidden = shown.logged.slot.copy()
    hidden[:8] = NOT_SHOWN
    shown_less = Shown(6_000)
    object.__setattr__(shown_less.logged, "slot", hidden)
    assert shown_less.lesson(DecisionRecipe(), until_ms=100).size.tolist() == [4] * 98


@pytest.mark.parametrize("position", ["inverse_propensity", "feature"])
def test_what_was_wanted_only_later_is_not_wanted_yet(position: str) -> None:
    seen = Shown(200)
    late = np.where(np.arange(800) % 2 == 0, seen.logged.known_ms, seen.logged.known_ms.clip(max=NEVER - 1_000) + 1_000)
    object.__setattr__(seen.logged, "known_ms", late)
    lesson = seen.lesson(DecisionRecipe(position), until_ms=100)  # type: ignore[arg-type]
    assert len(lesson.label) == 400, "it was shown all the same"
    assert np.array_equal(lesson.label > 0, seen.wanted[:400] & (np.arange(400) % 2 == 0))
    assert np.array_equal(lesson.gain > 0, lesson.label > 0)


def test_a_decision_counts_half_after_each_half_life(shown: Shown) -> None:
    assert shown.lesson(DecisionRecipe()).weight is None
    ages_days = np.array([6.0, 4.0, 2.0, 0.0])
    seen = Shown(4)
    object.__setattr__(seen.logged, "time_ms", ((10 - ages_days) * DAY_MS).astype(np.int64))
    weight = seen.lesson(DecisionRecipe(half_life_days=2.0), until_ms=10 * DAY_MS + 1, fewest=0).weight
    assert weight is not None
    assert weight.tolist() == pytest.approx(np.repeat([0.125, 0.25, 0.5, 1.0], 4).tolist(), rel=1e-6)
    later = seen.lesson(DecisionRecipe(half_life_days=2.0), until_ms=NEVER, fewest=0).weight
    assert later is not None
    assert later.max() == pytest.approx(1.0), "the latest decision is the present, however late it is asked"


def test_trees_follow_what_is_new_where_the_old_fades() -> None:
    """Halfway through, worth turns round. Whoever forgets says what is so now; whoever does not is torn."""
    seen = Shown(4_000, is_worst_first=False)
    turned = np.repeat(np.arange(4_000) < 2_000, 4)
    chance = np.where(turned, 0.8 - seen.item / ITEMS, 0.1 + seen.item / ITEMS)
    wanted = (np.random.default_rng(3).random(len(chance)) < chance).astype(np.float32)
    changes = {"label": wanted, "gain": wanted, "known_ms": np.where(wanted > 0, 0, NEVER)}
    changes["time_ms"] = np.arange(4_000) * (DAY_MS // 1_000)
    for name, values in changes.items():
        object.__setattr__(seen.logged, name, values)
    now = {"until_ms": 4 * DAY_MS}
    assert seen.order(seen.lesson(DecisionRecipe(half_life_days=0.3), **now)) > 0.9
    assert seen.order(seen.lesson(DecisionRecipe(), **now)) < 0.9


def test_too_little_and_a_missing_feature_are_said(shown: Shown) -> None:
    with pytest.raises(InputError, match=r"of 4 items that decisions showed were wanted; expected at least 9 .*no-m"):
        shown.lesson(DecisionRecipe(), until_ms=1, fewest=9)
    with pytest.raises(InputError, match="takes no feature of the type `position`"):
        lesson_of_decisions(
            shown.logged, FeatureTable(FEATURES.features[:1]), DecisionRecipe("feature"), until_ms=9_000, fewest=1
        )


def test_a_decision_that_was_kept_with_a_probability_counts_one_over_it() -> None:
    """With a half-life both count; where all were kept, none is weighed."""
    logged = Shown(100).logged
    kept = np.where(np.arange(100) % 2, 1.0, 0.25)
    sampled = dataclasses.replace(logged, kept_probability=kept)
    recipe = DecisionRecipe()
    weight = lesson_of_decisions(sampled, FEATURES, recipe, until_ms=1 << 60, fewest=1).weight
    assert weight is not None
    assert weight.tolist() == np.repeat(1 / kept, 4).tolist()
    whole = dataclasses.replace(logged, kept_probability=np.ones(100))
    assert lesson_of_decisions(whole, FEATURES, recipe, until_ms=1 << 60, fewest=1).weight is None

    fading = DecisionRecipe(half_life_days=1e-6)
    both = lesson_of_decisions(sampled, FEATURES, fading, until_ms=1 << 60, fewest=1).weight
    fresh = lesson_of_decisions(logged, FEATURES, fading, until_ms=1 << 60, fewest=1).weight
    assert both is not None
    assert fresh is not None
    assert np.allclose(both, fresh * np.repeat(1 / kept, 4))
