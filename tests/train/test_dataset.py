"""`hub.train.dataset`: rows that know nothing of their outcome or of anything later, and the arithmetic of row sets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from ranker_world import RANKER, films, review
from ranker_world import shop as film_shop

from edgewise.consent import Grants
from edgewise.errors import InputError, RefusedError
from edgewise.ids import ItemId, Producer
from edgewise.records import EventRecord, Touch
from hub.datasets.films import FilmHistory
from hub.demo.story import LIKED, Story
from hub.site.loading import SiteContents
from hub.site.recipes import Outcome, RankerRecipe
from hub.train.dataset import RankingRows, Replayed, part, replayed_rows, sampled, together
from hub.train.history import History
from hub.train.items import fit_items
from hub.train.ranker import recipe_of
from hub.train.rewards import Rewards, outcomes_of, wanted_items
from hub.train.shop import NOWHERE, Shop

REVIEW = Outcome("review", at_least=LIKED)


class Past:
    """A small film shop's past, and how it is asked about."""

    def __init__(self, folder: Path) -> None:
        self.films: FilmHistory = films(visitors=40, events=1_500)
        self.contents: SiteContents
        self.story: Story
        self.contents, self.story = film_shop(folder / "site", self.films)
        self.recipe: RankerRecipe = recipe_of(self.contents, RANKER)
        self.records = [review(self.films, number, rated) for number, rated in enumerate(self.story.past)]
        self.history = History(self.records)
        self.through = len(self.records) // 2
        self.shop = Shop(self.contents, RANKER, self.recipe, fit_items(self.history, self.recipe, self.through))

    def rows(self, history: History | None = None, **changes: int) -> Replayed:
        """Rows of all outcomes after the first half, whole unless told otherwise."""
        return replayed_rows(history or self.history, self.shop, REVIEW, **self.asked(**changes))

    def asked(self, **changes: int) -> dict[str, Any]:
        """What `rows` asks for."""
        asked = {"since": self.through, "whole_from": self.through, "most": 10_000, "negatives": 5, "seed": 0}
        return {**asked, **changes}


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    return Past(tmp_path_factory.mktemp("past"))


@pytest.fixture(scope="module")
def whole(past: Past) -> RankingRows:
    return past.rows().rows


def same(left: RankingRows, right: RankingRows) -> None:
    """Equal, to the bit."""
    assert left.names == right.names
    for name in (
        "matrix",
        "label",
        "gain",
        "size",
        "retrieved",
        "visitor",
        "deed",
        "rank_by_rule",
        "rank_by_retrieval",
    ):
        assert getattr(left, name).tobytes() == getattr(right, name).tobytes(), name


# --- point in time -------------------------------------------------------------------------------------------------
@given(st.data())
def test_rows_are_the_same_whether_or_not_anything_comes_later(
    past: Past, whole: RankingRows, data: st.DataObject
) -> None:
    end = data.draw(st.integers(int(whole.deed[0]) + 1, len(past.records)))
    then = past.rows(History(past.records[:end])).rows
    same(then, part(whole, whole.deed < end))


def test_what_is_planted_after_the_outcomes_changes_no_row(past: Past, whole: RankingRows) -> None:
    """The giveaway: right after everything, each visitor looks again at all that he will have wanted."""
    end_ms = past.history.deeds[-1].moment_ms
    planted = [
        msgspec.structs.replace(
            record,
            producer=Producer("import/giveaway"),
            message_id=f"giveaway-{record.seq}",
            name="Product Viewed",
            time_ms=end_ms + 1 + record.seq,
        )
        for record in past.records
        if wanted_items(record, REVIEW)
    ]
    same(past.rows(History([*past.records, *planted])).rows, whole)


def test_the_outcome_itself_is_not_in_its_row(past: Past) -> None:
    """Told twice in one file at one moment, a film is wanted once: the second time it was rated already."""
    last = past.records[-1]
    fresh = msgspec.structs.replace(last, seq=len(past.records), subject="somebody new", message_id="fresh")
    wanted = msgspec.structs.replace(fresh, touches=(msgspec.structs.replace(last.touches[0], rating=5.0),))
    again = msgspec.structs.replace(wanted, seq=wanted.seq + 1, message_id="again")
    once, twice = (past.rows(History([*past.records, *more])) for more in ([wanted], [wanted, again]))
    same(once.rows, twice.rows)
    assert twice.unavailable == once.unavailable + 1
    row = part(once.rows, once.rows.deed == once.rows.deed[-1])
    length = row.names.index("history_length")
    assert set(row.matrix[:, length].tolist()) <= {0.0}, "of somebody who has not rated anything yet"


def test_items_that_were_fitted_on_the_rows_are_refused(past: Past) -> None:
    with pytest.raises(RefusedError, match=f"first {past.through:,} records and rows asked from 10 on") as refused:
        past.rows(since=10)
    assert refused.value.code == "leakage"


# --- what makes a row ------------------------------------------------------------------------------------------------
def test_every_choice_holds_what_was_wanted_and_what_was_retrieved(past: Past, whole: RankingRows) -> None:
    numbers = outcomes_of(past.history, REVIEW, past.through, 10_000)
    assert set(whole.deed.tolist()) <= set(numbers)
    assert (np.diff(whole.deed) > 0).all()
    start = 0
    for choice, size in enumerate(whole.size.tolist()):
        label, retrieved = whole.label[start : start + size], whole.retrieved[choice]
        record = past.history.deeds[whole.deed[choice]].record
        assert label.sum() == len(wanted_items(record, REVIEW)) == 1
        assert label[retrieved:].all(), "what was not retrieved is there because it was wanted"
        first = np.flatnonzero(label[:retrieved])
        assert whole.rank_by_retrieval[choice] == (first[0] if len(first) else NOWHERE)
        assert 0 <= whole.rank_by_rule[choice] < len(past.films.items)
        start += size
    assert start == len(whole)


def test_only_the_latest_outcomes_make_rows_if_there_are_too_many(past: Past, whole: RankingRows) -> None:
    same(past.rows(most=12).rows, part(whole, whole.deed >= outcomes_of(past.history, REVIEW, past.through, 12)[0]))


@pytest.mark.parametrize(
    ("kind", "at_least", "rating", "is_wanted"),
    [
        ("review", 4.0, 4.0, True),
        ("review", 4.0, 3.5, False),
        ("review", 4.0, None, False),
        ("review", None, 1.0, True),
        ("view", None, 5.0, False),
    ],
)
def test_what_counts_as_wanted(past: Past, kind: str, at_least: float | None, rating: float, is_wanted: bool) -> None:  # noqa: FBT001
    touch = Touch(ItemId("a"), rating=rating)
    record = msgspec.structs.replace(past.records[0], touches=(touch,))
    outcome = Outcome(kind, at_least)  # type: ignore[arg-type]
    assert wanted_items(record, outcome) == ([ItemId("a")] if is_wanted else [])


def test_outcomes_of_who_may_not_be_personalised_or_of_unknown_items_make_no_row(past: Past) -> None:
    number = len(past.records)
    liked = msgspec.structs.replace(past.records[-1], touches=(Touch(ItemId("no-film"), rating=5.0),))
    unknown = msgspec.structs.replace(liked, seq=number, message_id="unknown", subject="new")
    silent = msgspec.structs.replace(
        past.records[-1], seq=number + 1, message_id="silent", subject="shy", grants=Grants(analytics=True)
    )
    before, after = past.rows(), past.rows(History([*past.records, unknown, silent]))
    same(before.rows, after.rows)
    assert after.unavailable == before.unavailable + 1, "the silent one is not even in the history"


def test_a_history_without_outcomes_is_said(past: Past) -> None:
    views: list[EventRecord] = [msgspec.structs.replace(record, name="Product Viewed") for record in past.records]
    with pytest.raises(InputError, match=f"no outcome of 'review' among {len(views) - past.through:,} records"):
        past.rows(History(views))


def test_what_was_wanted_is_worth_what_the_site_says(past: Past, whole: RankingRows) -> None:
    worth = Rewards(REVIEW, {"review": 3.0})
    asked: dict[str, Any] = {
        "since": past.through,
        "whole_from": past.through,
        "most": 10_000,
        "negatives": 5,
        "seed": 0,
    }
    weighed = replayed_rows(past.history, past.shop, worth, **asked).rows
    assert weighed.gain.tolist() == (3 * whole.label).tolist()
    assert whole.gain.tolist() == whole.label.tolist()
    same(weighed, replace(whole, gain=weighed.gain))


# --- fresh items ------------------------------------------------------------------------------------------------------
def test_an_outcome_is_described_by_the_latest_items_that_were_fitted_before_it(past: Past, whole: RankingRows) -> None:
    middle = int(whole.deed[whole.choices // 2])
    later = Shop(past.contents, RANKER, past.recipe, fit_items(past.history, past.recipe, middle))
    asked: dict[str, Any] = {
        "since": past.through,
        "whole_from": past.through,
        "most": 10_000,
        "negatives": 5,
        "seed": 0,
    }
    fresh = replayed_rows(past.history, past.shop, REVIEW, later=[later], **asked).rows
    alone = replayed_rows(past.history, later, REVIEW, **(asked | {"since": middle, "whole_from": middle})).rows
    same(part(fresh, fresh.deed < middle), part(whole, whole.deed < middle))
    same(part(fresh, fresh.deed >= middle), alone)
    assert alone.matrix.tobytes() != part(whole, whole.deed >= middle).matrix.tobytes()


# --- fewer of the unwanted -------------------------------------------------------------------------------------------
def test_early_choices_keep_what_was_wanted_and_a_draw_of_the_rest(past: Past, whole: RankingRows) -> None:
    middle = int(whole.deed[whole.choices // 2])
    drawn = past.rows(whole_from=middle).rows
    same(part(drawn, drawn.deed >= middle), part(whole, whole.deed >= middle))
    early = part(drawn, drawn.deed < middle)
    assert early.label.sum() == part(whole, whole.deed < middle).label.sum()
    assert (early.size <= 5 + 1).all()
    assert early.rank_by_retrieval.tolist() == part(whole, whole.deed < middle).rank_by_retrieval.tolist()
    same(past.rows(whole_from=middle).rows, drawn)
    other = past.rows(whole_from=middle, seed=1).rows
    assert other.matrix.tobytes() != drawn.matrix.tobytes()


@given(st.integers(0, 8), st.integers(0, 3))
def test_a_sample_keeps_its_rows_in_order_and_counts_what_was_retrieved(
    whole: RankingRows, negatives: int, seed: int
) -> None:
    fewer = sampled(whole, negatives, seed)
    same(fewer, sampled(whole, negatives, seed))
    assert fewer.label.sum() == whole.label.sum()
    assert fewer.deed.tolist() == whole.deed.tolist()
    start = there = 0
    for choice in range(whole.choices):
        of = slice(start, start + fewer.size[choice])
        kept: NDArray[np.float32] = fewer.matrix[of]
        full = whole.matrix[there : there + whole.size[choice]]
        assert (fewer.label[of] == 0).sum() == min(negatives, (whole.label[there : there + len(full)] == 0).sum())
        rows = [row.tobytes() for row in full]
        position = -1
        for row in kept:
            position = rows.index(row.tobytes(), position + 1)
        missed = whole.size[choice] - whole.retrieved[choice]
        assert fewer.size[choice] - fewer.retrieved[choice] == missed
        start, there = of.stop, there + len(full)
    assert start == len(fewer)


@given(st.data())
def test_parts_put_together_again_are_the_whole(whole: RankingRows, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, whole.choices))
    early = np.arange(whole.choices) < cut
    same(together(part(whole, early), part(whole, ~early)), whole)
